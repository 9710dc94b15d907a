//! The reports that `pprof` prints, to the letter, on the profiles of pinned public modules.
//!
//! The peer is the program `pprof` itself, built from the pinned module. Without Go there is nothing to compare with: the
//! tests then pass with a note, except under CI, where they fail.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file: its functions are tests or their parts"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use profile::view::top::TopOptions;
use profile::view::{Order, View};
use profile::{Limits, Profile, unpack};
use tempfile::TempDir;

#[path = "oracle/built.rs"]
mod built;
#[path = "oracle/corpus.rs"]
mod corpus;

use built::built;
use corpus::{corpus, read};

/// The program, and a folder for what it might write.
struct Pprof {
    folder: TempDir,
}

impl Pprof {
    /// `None` when there is no Go to build it with.
    fn build() -> Option<Self> {
        let folder = built("github.com/google/pprof", "pprof")?;
        Some(Self { folder })
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("pprof")
    }

    /// The reports that it prints at these commands, each from the line on that says how much is shown.
    fn reports(&self, arguments: &[&str], file: &Path, commands: &str) -> Vec<String> {
        let mut ran = Command::new(self.program())
            .args(arguments)
            .arg("-symbolize=none")
            .arg(file)
            .env("HOME", self.folder.path())
            .env("PPROF_TMPDIR", self.folder.path())
            .env("PPROF_BINARY_PATH", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        ran.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
        let output = ran.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout);
        let mut reports: Vec<String> = Vec::new();
        for line in said.split_inclusive('\n') {
            if line.starts_with("Showing nodes accounting for") {
                reports.push(String::new());
            }
            *reports.last_mut().unwrap() += line;
        }
        reports
    }
}

/// Compares the reports of some sample types; gives how many rows were the same.
fn compare(pprof: &Pprof, profile: &Profile<'_>, indexes: &[usize], file: &Path, arguments: &[&str]) -> usize {
    let (mut commands, mut ours, mut rows) = (String::new(), Vec::new(), 0);
    for index in indexes.iter().copied() {
        let view = View::new(profile, index).unwrap();
        let unit = profile.strings().text(profile.header().sample_types[index].unit);
        let mut ask = |what: String, report: String| {
            commands += &what;
            ours.push((what, report));
        };
        let mut top = |what: &str, options: TopOptions| {
            let top = view.top(options);
            ask(what.to_owned(), top.text(&unit, top.unit(&unit)));
            top.rows.len()
        };
        let begin = format!("sample_index={index}\nunit=minimum\nnodefraction=0\nnodecount=0\n");
        rows += top(&(begin + "top\n"), TopOptions::ALL);
        if Some(index) == profile.default_sample_index() {
            let by_cum = TopOptions {
                order: Order::Cum,
                ..TopOptions::ALL
            };
            top("top -cum\n", by_cum);
            for rows_max in [0, 7] {
                let shortened = TopOptions {
                    rows_max,
                    fraction_min: 0.005,
                    ..TopOptions::ALL
                };
                top(&format!("nodefraction=0.005\nnodecount={rows_max}\ntop\n"), shortened);
            }
        }
        let raw = format!("unit={unit}\nnodefraction=0\nnodecount=0\n");
        let exact = view.top(TopOptions::ALL).text(&unit, &unit);
        ask(raw + "top\n", exact);
        let peek = view.peek(Order::Flat, |_| true).unwrap();
        // It fails where nothing is to be seen.
        if Some(index) == profile.default_sample_index() && !peek.entries.is_empty() {
            ask("peek (?s).\n".to_owned(), in_order(&peek.text(&unit, &unit)));
        }
    }
    let theirs = pprof.reports(arguments, file, &commands);
    assert_eq!(ours.len(), theirs.len(), "{}", file.display());
    for ((what, ours), theirs) in ours.iter().zip(theirs) {
        let theirs = if what.starts_with("peek") {
            in_order(&theirs)
        } else {
            theirs
        };
        for (line, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
            assert_eq!(ours, theirs, "{what} of {} {arguments:?}, line {line}", file.display());
        }
        assert_eq!(ours.len(), theirs.len(), "{what} of {} {arguments:?}", file.display());
    }
    rows
}

/// Calls of the same weight but for the sign come in any order from pprof: here in that of their text.
fn in_order(text: &str) -> String {
    let weight = |line: &str| {
        let first = line
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .trim_start_matches('-')
            .to_owned();
        (line.len() > 59 && line.starts_with("          ") && line.contains(" |   ")).then_some(first)
    };
    let mut lines: Vec<&str> = text.lines().collect();
    for ties in lines.chunk_by_mut(|a, b| weight(a).is_some() && weight(a) == weight(b)) {
        ties.sort_unstable();
    }
    lines.join("\n")
}

/// Runs a check on all of them, on each processor.
fn each<T: Sync>(all: &[T], check: impl Fn(&T) -> usize + Sync) -> usize {
    let (next, rows) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            rows.fetch_add(check(one), Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    rows.into_inner()
}

/// The profiles that we take, each content once, with their types.
fn valid() -> Vec<(String, PathBuf, Vec<u8>)> {
    let mut found: Vec<(String, PathBuf, Vec<u8>)> = Vec::new();
    for path in corpus() {
        let Ok(raw) = unpack(&read(&path), &Limits::DEFAULT).map(std::borrow::Cow::into_owned) else {
            continue;
        };
        let Ok(profile) = Profile::decode(&raw, &Limits::DEFAULT) else {
            continue;
        };
        let header = profile.header();
        let all = header.sample_types.iter().chain([&header.period_type]);
        let text = |of| profile.strings().text(of).into_owned();
        let types: Vec<_> = all.map(|of| text(of.kind) + "/" + &text(of.unit)).collect();
        if types.len() > 1 && !found.iter().any(|(_, _, known)| *known == raw) {
            found.push((types.join(","), path, raw));
        }
    }
    found.sort();
    found
}

#[test]
fn top_and_peek_are_those_of_pprof() {
    let Some(pprof) = Pprof::build() else {
        return eprintln!("no go: nothing compared");
    };
    let profiles = valid();
    let rows = each(&profiles, |(_, path, raw)| {
        let profile = Profile::decode(raw, &Limits::DEFAULT).unwrap();
        let types = &profile.header().sample_types;
        // It finds a type by its name, the first one of that name.
        let is_first = |index: &usize| !types[..*index].iter().any(|of| of.kind == types[*index].kind);
        let indexes: Vec<_> = (0..types.len()).filter(is_first).collect();
        compare(&pprof, &profile, &indexes, path, &[])
    });
    assert!(rows >= 1000, "only {rows} rows were compared");
    println!("{} profiles, {rows} rows", profiles.len());
}

#[test]
fn differences_are_shown_as_pprof_shows_them() {
    let Some(pprof) = Pprof::build() else {
        return eprintln!("no go: nothing compared");
    };
    let profiles = valid();
    // Neighbours that can be compared, the small ones: a large one takes pprof a second for each report.
    let is_small = |(_, path, _): &&(String, PathBuf, Vec<u8>)| fs::metadata(path).unwrap().len() < 100_000;
    let small: Vec<_> = profiles.iter().filter(is_small).collect();
    let pairs: Vec<_> = small.windows(2).filter(|pair| pair[0].0 == pair[1].0).collect();
    let rows = each(&pairs, |pair| {
        let [(_, base_path, base), (_, path, raw)] = pair else {
            return 0;
        };
        let decode = |raw| Profile::decode(raw, &Limits::DEFAULT).unwrap();
        let (profile, base) = (decode(raw), decode(base));
        let index = profile.default_sample_index().unwrap();
        let compared = profile.compare(&mut base.clone()).unwrap();
        let argument = format!("-diff_base={}", base_path.display());
        let rows = compare(&pprof, &compared, &[index], path, &[&argument]);
        let subtracted = profile.subtract(&mut base.clone()).unwrap();
        let argument = format!("-base={}", base_path.display());
        rows + compare(&pprof, &subtracted, &[index], path, &[&argument])
    });
    assert!(rows >= 100, "only {rows} rows were compared");
    println!("{} pairs, {rows} rows", pairs.len());
}
