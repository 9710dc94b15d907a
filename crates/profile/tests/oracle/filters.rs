//! What filters leave of a profile, byte for byte as google/pprof's library leaves it, on real profiles; and patterns that
//! mean what they mean in Go.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use profile::filter::{Frames, Selection, TagFilter};
use profile::model::{LabelValue, Sample};
use profile::pattern::Pattern;
use profile::{Limits, Profile};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use crate::corpus::{corpus, read};
use crate::harness::{Oracle, Request, compare};

/// As a URL has it.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            quoted.push(char::from(byte));
        } else {
            write!(quoted, "%{byte:02X}").unwrap();
        }
    }
    quoted
}

fn unquoted(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut unquoted = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            unquoted.push(u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            unquoted.push(byte);
        }
    }
    unquoted
}

/// The options of an operation, each a pattern.
struct Options<'o>(Vec<(&'o str, Pattern)>);

impl<'o> Options<'o> {
    fn read(query: &'o str) -> Result<Self, String> {
        let option = |option: &'o str| {
            let (name, value) = option.split_once('=').unwrap();
            Ok((name, Pattern::new(&unquoted(value)).map_err(|error| error.to_string())?))
        };
        Ok(Self(
            query
                .split('&')
                .filter(|query| !query.is_empty())
                .map(option)
                .collect::<Result<_, String>>()?,
        ))
    }

    fn get(&self, name: &str) -> Option<Pattern> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, pattern)| pattern.clone())
    }
}

fn ours(request: &Request) -> Result<Vec<u8>, String> {
    let bytes = read(&request.sources[0]);
    let mut profile = Profile::parse(&bytes, &Limits::DEFAULT).map_err(|error| error.to_string())?;
    if let Some(query) = request.operation.strip_prefix("pprof?") {
        return selected(profile, query);
    }
    let (operation, query) = request.operation.split_once('?').unwrap_or((&request.operation, ""));
    let options = Options::read(query)?;
    let get = |name| options.get(name);
    let matched = match operation {
        "frames" => {
            let frames = Frames {
                focus: get("focus"),
                ignore: get("ignore"),
                hide: get("hide"),
                show: get("show"),
            };
            let matched = profile.filter_frames(&frames);
            format!("{} {} {} {}", matched.focus, matched.ignore, matched.hide, matched.show)
        }
        "labels" => {
            let matched = profile.filter_labels(get("show").as_ref(), get("hide").as_ref());
            format!("{} {}", matched.show, matched.hide)
        }
        "show_from" => profile.show_from(&get("from").unwrap()).to_string(),
        "prune" => {
            profile.prune(&get("drop").unwrap(), get("keep").as_ref());
            String::new()
        }
        "prune_from" => {
            profile.prune_from(&get("from").unwrap());
            String::new()
        }
        "uninteresting" => {
            profile.remove_uninteresting().map_err(|error| error.to_string())?;
            String::new()
        }
        other => panic!("{other}"),
    };
    Ok([matched.as_bytes(), b"\n", &profile.encode()].concat())
}

/// What is left of a profile by options of pprof's command line.
fn selected(mut profile: Profile<'_>, query: &str) -> Result<Vec<u8>, String> {
    let said = |error: profile::pattern::PatternError| error.to_string();
    let mut selection = Selection::default();
    for option in query.split('&') {
        let option = String::from_utf8(unquoted(option)).unwrap();
        let (name, value) = option.split_once('=').unwrap();
        let pattern = || Pattern::new(value.as_bytes()).map(Some).map_err(said);
        let filter = || TagFilter::new(value).map(Some).map_err(said);
        let keys = || value.split(',').map(str::to_owned).collect();
        match name {
            "focus" => selection.frames.focus = pattern()?,
            "ignore" => selection.frames.ignore = pattern()?,
            "hide" => selection.frames.hide = pattern()?,
            "show" => selection.frames.show = pattern()?,
            "show_from" => selection.show_from = pattern()?,
            "tagfocus" => selection.tag_focus = filter()?,
            "tagignore" => selection.tag_ignore = filter()?,
            "tagshow" => selection.tag_show = pattern()?,
            "taghide" => selection.tag_hide = pattern()?,
            "prune_from" => selection.prune_from = pattern()?,
            "tagroot" => selection.tag_root = keys(),
            "tagleaf" => selection.tag_leaf = keys(),
            "unit" => value.clone_into(&mut selection.unit),
            other => panic!("{other}"),
        }
    }
    profile.give_mapping();
    // A pattern that is of no use is not used, and pprof says nothing of it.
    let _unused = profile.remove_uninteresting();
    let unmatched = selection
        .apply(&mut profile, &Limits::DEFAULT)
        .map_err(|error| error.to_string())?;
    let names: Vec<_> = unmatched.iter().map(|filter| format!("{filter:?}")).collect();
    Ok([names.join(",").as_bytes(), b"\n", &profile.encode()].concat())
}

/// Patterns that mean something in a profile: of some of its own functions, files and mappings, and general ones.
fn patterns(profile: &Profile<'_>) -> Vec<String> {
    let strings = profile.strings();
    let mut patterns: Vec<_> = ["runtime", "^main\\.", "\\.go$", "malloc|alloc", "(?i)LIB", "^$", "."]
        .map(str::to_owned)
        .into();
    let functions = profile.functions();
    for at in [1, 3, 5, 7] {
        if let Some(function) = functions.get(functions.len() * at / 8) {
            patterns.push(format!("^\\Q{}\\E$", strings.text(function.name)));
            patterns.push(
                strings
                    .text(function.file)
                    .into_owned()
                    .replace(['(', ')', '[', ']', '+', '*', '?', '\\', '{', '|'], "."),
            );
        }
    }
    let mapping = profile.mappings().first().map(|mapping| strings.text(mapping.file));
    patterns.extend(mapping.map(|file| format!("\\Q{file}\\E")));
    patterns.retain(|pattern| !pattern.is_empty());
    patterns.dedup();
    patterns
}

/// Operations on one profile: every pattern alone, and some together.
fn operations(profile: &Profile<'_>) -> Vec<String> {
    let patterns: Vec<_> = patterns(profile).iter().map(|pattern| quoted(pattern)).collect();
    let next = |at: usize, by: usize| &patterns[(at + by) % patterns.len()];
    let mut operations = vec!["uninteresting".to_owned()];
    for (at, pattern) in patterns.iter().enumerate() {
        for name in ["focus", "ignore", "hide", "show"] {
            operations.push(format!("frames?{name}={pattern}"));
        }
        let (second, third, fourth) = (next(at, 1), next(at, 3), next(at, 7));
        operations.push(format!("frames?focus={pattern}&ignore={second}&hide={third}"));
        operations.push(format!("frames?ignore={pattern}&show={second}&hide={fourth}"));
        operations.push(format!("show_from?from={pattern}"));
        operations.push(format!("prune?drop={pattern}"));
        operations.push(format!("prune?drop={pattern}&keep={second}"));
        operations.push(format!("prune_from?from={pattern}"));
        operations.push(format!("labels?show={pattern}&hide={third}"));
    }
    operations
}

/// Options about the labels of a profile, and some with all others.
fn label_options(profile: &Profile<'_>) -> Vec<String> {
    let strings = profile.strings();
    let mut keys: Vec<String> = Vec::new();
    let mut values = vec![
        "value=[a-f]".to_owned(),
        ".".to_owned(),
        "no-such=x".to_owned(),
        "0:1".to_owned(),
    ];
    for Sample { labels, .. } in profile.samples().take(40) {
        for label in labels {
            let key = strings.text(label.key).into_owned();
            if keys.contains(&key) || keys.len() == 6 {
                continue;
            }
            match label.value {
                LabelValue::Text(text) => {
                    let text = strings.text(text);
                    let text = text.get(..3).unwrap_or(&text);
                    values.extend([format!("{key}=\\Q{text}\\E"), format!("\\Q{key}:{text}\\E,.")]);
                }
                LabelValue::Number(number, unit) => {
                    let unit = unit.map_or("bytes".into(), |unit| strings.text(unit));
                    let unit = unit.trim_matches(|c: char| !c.is_ascii_alphabetic());
                    let half = number / 2;
                    values.extend([
                        format!("{key}={number}{unit}"),
                        format!("{key}={half}:"),
                        format!("{key}=:{half}{unit}"),
                        format!("{number}:"),
                        format!("1{unit}:{number}{unit}"),
                        "1kb:1mb".to_owned(),
                    ]);
                }
            }
            keys.push(key);
        }
    }
    let mut options = Vec::new();
    for value in &values {
        options.push(vec![format!("tagfocus={value}")]);
        options.push(vec![format!("tagignore={value}")]);
    }
    keys.push("no-such".to_owned());
    for (key, value) in keys.iter().zip(values.iter().cycle()) {
        options.push(vec![format!("tagroot={key}")]);
        options.push(vec![format!("tagleaf={key},no-such,{}", keys[0]), "unit=kb".to_owned()]);
        options.push(vec![format!("tagshow=^\\Q{key}\\E$"), "hide=runtime".to_owned()]);
        options.push(vec![
            format!("taghide=^\\Q{key}\\E$"),
            format!("tagroot={key},{}", keys[0]),
            format!("tagignore={value}"),
            "prune_from=a".to_owned(),
            "show_from=m".to_owned(),
        ]);
    }
    let joined = |options: Vec<String>| {
        options
            .iter()
            .map(|option| quoted(option))
            .collect::<Vec<_>>()
            .join("&")
    };
    options
        .into_iter()
        .map(|options| format!("pprof?{}", joined(options)))
        .collect()
}

#[test]
fn filters_leave_what_google_pprof_leaves() {
    let Some(oracle) = Oracle::build("./algebra") else {
        return eprintln!("no go: nothing compared");
    };
    let mut requests = Vec::new();
    for path in corpus() {
        let bytes = read(&path);
        let Ok(profile) = Profile::parse(&bytes, &Limits::DEFAULT) else {
            continue;
        };
        // Go reads the file again for each, so the large ones get fewer.
        let every = match bytes.len() {
            100_000.. => 17,
            10_000.. => 5,
            _ => 1,
        };
        let labels = label_options(&profile);
        for operation in operations(&profile).into_iter().chain(labels).step_by(every) {
            let sources = vec![path.clone()];
            requests.push(Request { operation, sources });
        }
    }
    let compared = compare(&oracle, &requests, ours);
    assert!(compared >= 2000, "only {compared} results were compared");
    println!("{compared} results of {} requests", requests.len());
}

/// Patterns of the pieces that the syntaxes differ in.
fn syntax() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b",
        "é",
        "\u{fffd}",
        "\n",
        "0",
        "_",
        "-",
        " ",
        "<",
        "&",
        "~",
        "#",
        "/",
        "\"",
        ".",
        "^",
        "$",
        "*",
        "+",
        "?",
        "|",
        "(",
        ")",
        "(?:",
        "(?i)",
        "(?i:",
        "(?s-i:",
        "(?m)",
        "(?U)",
        "(?-)",
        "(?)",
        "(?x)",
        "(?P<n>",
        "(?<m>",
        "(?P<>",
        "(?=",
        "(?i-",
        "{",
        "}",
        "{2}",
        "{,2}",
        "{2,}",
        "{0,3}",
        "{3,2}",
        "{01}",
        "{1001}",
        "{500}",
        "{ 2}",
        "[",
        "]",
        "[^",
        "[]",
        "[a-",
        "[ab]",
        "[^a]",
        "[a-z0]",
        "[[:alpha:]]",
        "[[:^word:]_]",
        "[[:nope:]]",
        "[:",
        ":]",
        "[a&&b]",
        "[a--b]",
        "[~~]",
        "[[a]",
        "[\\d-z]",
        "[\\w]",
        "[^\\S]",
        "\\",
        "\\d",
        "\\D",
        "\\w",
        "\\W",
        "\\s",
        "\\S",
        "\\b",
        "\\B",
        "\\A",
        "\\z",
        "\\Z",
        "\\C",
        "\\Q",
        "\\E",
        "\\Qa*\\E",
        "\\n",
        "\\t",
        "\\a",
        "\\e",
        "\\_",
        "\\<",
        "\\>",
        "\\-",
        "\\0",
        "\\12",
        "\\1",
        "\\141",
        "\\x61",
        "\\x{e9}",
        "\\x{110000}",
        "\\x{}",
        "\\xg",
        "\\x{d800}",
        "\\u0061",
        "\\é",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..7).prop_map(|pieces| pieces.concat())
}

#[test]
fn patterns_match_what_they_match_in_go() {
    let Some(oracle) = Oracle::build("./algebra") else {
        return eprintln!("no go: nothing compared");
    };
    let texts = [
        "",
        "a",
        "b",
        "ab",
        "aab",
        "A",
        "é",
        "É",
        "a\nb",
        "\n",
        "0",
        "a_0 b",
        "-",
        "<a>",
        "a{2}",
        "[a]",
        "(a)",
        "\\",
        "a&b~#",
        "a\u{17f}K",
        "٣",
        "\u{fffd}",
    ];
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha),
    );
    let patterns: Vec<_> = (0..20_000)
        .map(|_| syntax().new_tree(&mut runner).unwrap().current())
        .collect();
    let listed: String = patterns
        .iter()
        .map(|pattern| {
            let fields: Vec<_> = std::iter::once(pattern.as_str()).chain(texts).map(quoted).collect();
            fields.join("\t") + "\n"
        })
        .collect();
    let list = oracle.folder.path().join("patterns");
    fs::write(&list, listed).unwrap();
    let operation = "match".to_owned();
    let answers = oracle
        .ask(&[Request {
            operation,
            sources: vec![list],
        }])
        .remove(0)
        .unwrap();
    let answers = String::from_utf8(answers).unwrap();
    let mut compiled = 0;
    for (pattern, theirs) in patterns.iter().zip(answers.lines()) {
        let ours = match Pattern::new(pattern.as_bytes()) {
            Ok(pattern) => texts
                .iter()
                .map(|text| if pattern.is_match(text.as_bytes()) { '1' } else { '0' })
                .collect(),
            // A repetition behind flags: the one thing that Go takes and is refused here.
            Err(error) if error.to_string().starts_with("a repetition behind flags") => continue,
            Err(_) => "error".to_owned(),
        };
        assert_eq!(ours, theirs, "{pattern:?}");
        compiled += usize::from(theirs != "error");
    }
    assert!(compiled > 3000, "only {compiled} patterns were any");
    println!("{compiled} of {} patterns are any", patterns.len());
}

#[test]
fn the_profiles_of_this_crate_are_filtered_without_go() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cpu.pprof");
    let bytes = read(&path);
    let whole = Profile::parse(&bytes, &Limits::DEFAULT).unwrap();
    let burn = || Some(Pattern::new(b"^main\\.burn$").unwrap());
    let filtered = |frames: Frames| {
        let mut profile = whole.clone();
        profile.filter_frames(&frames);
        profile
    };
    let focused = filtered(Frames {
        focus: burn(),
        ..Frames::default()
    });
    let ignored = filtered(Frames {
        ignore: burn(),
        ..Frames::default()
    });
    assert!(focused.sample_count() > 0 && focused.sample_count() + ignored.sample_count() == whole.sample_count());
    let shown = filtered(Frames {
        show: burn(),
        ..Frames::default()
    });
    assert!(shown.samples().all(|sample| sample.stack.len() == 1));
}
