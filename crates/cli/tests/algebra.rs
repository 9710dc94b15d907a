//! Profiles out of profiles, and what is looked at of one: as the built program pprof does it, and its library.
#![expect(clippy::unwrap_used, reason = "a test file: its functions are tests or their parts")]

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use profile::build::Builder;
use profile::model::Sample;
use profile::{Limits, unpack};
use tempfile::TempDir;

#[path = "peer/pprof.rs"]
mod pprof;

use pprof::Pprof;

fn data(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profile/tests/data");
    folder.join(name).to_str().unwrap().to_owned()
}

fn run(arguments: &[impl AsRef<str>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-profile"));
    command.args(arguments.iter().map(AsRef::as_ref));
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn read(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// What it writes when it does what it is told, without gzip.
fn written(arguments: &[impl AsRef<str>]) -> Vec<u8> {
    let output = run(arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    unpack(&output.stdout, &Limits::DEFAULT).unwrap().into_owned()
}

/// Writes a profile: what it measures, and stacks of named functions, outermost first, with values.
fn write(path: &Path, types: &[(&str, &str)], samples: &[(&str, &[i64])]) -> String {
    let mut builder = Builder::new(types, &Limits::DEFAULT).unwrap();
    for (stack, values) in samples {
        let mut locations = Vec::new();
        for name in stack.split(';').rev() {
            locations.push(builder.frame(name.as_bytes()).unwrap());
        }
        builder
            .push_sample(Sample {
                stack: &locations,
                values,
                labels: &[],
            })
            .unwrap();
    }
    fs::write(path, builder.finish().encode()).unwrap();
    path.to_str().unwrap().to_owned()
}

impl Pprof {
    /// What it writes with `-proto`, without gzip; `None` when it refuses.
    fn proto(&self, arguments: &[&str]) -> Option<Vec<u8>> {
        let out = self.path("out.pb.gz");
        let _absent = fs::remove_file(&out);
        let output = format!("-output={}", out.display());
        let ran = self.run(&[&["-proto", &output], arguments].concat());
        ran.status
            .success()
            .then(|| unpack(&read(&out), &Limits::DEFAULT).unwrap().into_owned())
    }
}

/// Pairs of profiles to combine: of Go, of code in no mapping, and of types and units that differ.
fn pairs(folder: &Path) -> Vec<(String, String)> {
    let write = |name, types: &[_], samples: &[_]| write(&folder.join(name), types, samples);
    let bare = write(
        "bare",
        &[("samples", "count")],
        &[("main;work", &[6]), ("main;old", &[4])],
    );
    let other = write(
        "other",
        &[("samples", "count")],
        &[("main;work", &[9]), ("main;new", &[1])],
    );
    let alloc = [("objects", "count"), ("alloc", "bytes")];
    let fine = write("fine", &alloc, &[("main;work", &[1, 2048]), ("main;idle", &[2, 0])]);
    let coarse = write(
        "coarse",
        &[("alloc", "kb")],
        &[("main;work", &[2]), ("main;more", &[1])],
    );
    let mut pairs: Vec<_> = ["cpu", "heap", "mutex", "block", "goroutine"]
        .map(|name| data(&format!("{name}.pprof")))
        .map(|file| (file.clone(), file))
        .to_vec();
    pairs.extend([
        (data("heap.pprof"), data("allocs.pprof")),
        (bare, other),
        (fine.clone(), coarse.clone()),
        (coarse, fine),
        (data("heap.pprof"), data("cpu.pprof")),
    ]);
    pairs
}

#[test]
fn merges_and_differences_are_those_of_the_program_pprof() {
    let Some(pprof) = Pprof::build() else {
        return eprintln!("no go: nothing compared");
    };
    let mut compared = 0;
    for (a, b) in &pairs(pprof.folder.path()) {
        let base = |option: &str| format!("{option}={a}");
        let ways: [(&[&str], &[&str]); 6] = [
            (&["merge", a], &[a]),
            (&["merge", a, b], &[a, b]),
            (&["diff", "--base", a, b], &[&base("-base"), b]),
            (&["diff", "--labelled", "--base", a, b], &[&base("-diff_base"), b]),
            (
                &["diff", "--normalize", "--base", a, b],
                &["-normalize", &base("-base"), b],
            ),
            (
                &["diff", "--normalize", "--labelled", "--base", a, b],
                &["-normalize", &base("-diff_base"), b],
            ),
        ];
        for (ours, theirs) in ways {
            let Some(theirs) = pprof.proto(theirs) else {
                assert_eq!(run(ours).status.code(), Some(1), "{ours:?}");
                continue;
            };
            assert!(written(ours) == theirs, "{ours:?}");
            let raw = run(&[ours, &["--raw", "--rules", "pprof"]].concat());
            assert!(raw.stdout == theirs, "{ours:?} without gzip");
            compared += 1;
        }
    }
    assert!(compared >= 50, "only {compared} were any");
}

#[test]
fn what_is_written_raw_is_what_the_library_writes() {
    let Some(pprof) = Pprof::build() else {
        return eprintln!("no go: nothing compared");
    };
    assert!(pprof.build_package(".", "oracle"));
    let out = pprof.path("out");
    let library = |operation: &str, sources: &[&str]| {
        let request = format!("{operation}\t{}\t{}\n", out.display(), sources.join("\t"));
        fs::write(pprof.path("request"), request).unwrap();
        let mut oracle = Command::new(pprof.path("oracle"));
        let answer = oracle.stdin(File::open(pprof.path("request")).unwrap()).output();
        (text(&answer.unwrap().stdout) == "ok\n").then(|| read(&out))
    };
    let mut compared = 0;
    for (a, b) in &pairs(pprof.folder.path()) {
        let ways: [(&[&str], &str, &[&str]); 5] = [
            (&["merge", a], "compact", &[a]),
            (&["merge", a, b], "merge", &[a, b]),
            (&["diff", "--base", a, b], "base", &[b, a]),
            (&["diff", "--labelled", "--base", a, b], "diff_base", &[b, a]),
            (&["diff", "--normalize", "--base", a, b], "normalize", &[b, a]),
        ];
        for (ours, operation, sources) in ways {
            let raw = run(&[ours, &["--raw"]].concat());
            match library(operation, sources) {
                Some(theirs) => assert!(raw.stdout == theirs, "{ours:?}"),
                None => {
                    assert_eq!(raw.status.code(), Some(1), "{ours:?}");
                    continue;
                }
            }
            assert!(written(&[ours, &["--rules", "library"]].concat()) == raw.stdout);
            compared += 1;
        }
    }
    assert!(compared >= 35, "only {compared} were any");
}

/// Filters, as they are written for this program.
const FILTERS: [&[&str]; 22] = [
    &["--focus=burn"],
    &["--focus=^main[.]", "--ignore=func1"],
    &["--ignore=runtime"],
    &["--hide=runtime"],
    &["--show=^main"],
    &["--show-from=main"],
    &["--show-from=^runtime", "--hide=func"],
    &["--prune-from=main"],
    &["--tag-focus=blue"],
    &["--tag-focus=tenant=blue", "--focus=main"],
    &["--tag-focus=bytes=1kb:"],
    &["--tag-ignore=path=api"],
    &["--tag-ignore=:16kb"],
    &["--tag-show=tenant"],
    &["--tag-hide=tenant", "--tag-root=path"],
    &["--tag-root=tenant,path"],
    &["--tag-leaf=bytes"],
    &["--tag-root=none", "--tag-leaf=,bytes"],
    &["--focus=", "--ignore="],
    &["--focus=no such function"],
    &[
        "--ignore=n1",
        "--hide=n2",
        "--show-from=main",
        "--tag-ignore=n3",
        "--tag-show=n4",
        "--tag-hide=n5",
    ],
    &[
        "--focus=main|..................................................................................................",
    ],
];

/// A filter as it is written for pprof.
fn for_pprof(filter: &&str) -> String {
    let (name, value) = filter.strip_prefix("--").unwrap().split_once('=').unwrap();
    let name = name.replace("tag-", "tag").replace('-', "_");
    format!("-{name}={value}")
}

/// The options, in pprof's words, of which a program says that they matched nothing.
fn unmatched(said: &str) -> Vec<String> {
    let option = |line: &str| {
        let theirs = line.strip_suffix(" expression matched no samples");
        let ours = line.strip_suffix(" matched nothing");
        let ours = ours.and_then(|line| Some(line.strip_prefix("kubectl-profile: --")?.split_once(' ')?.0));
        Some(theirs.or(ours)?.replace('-', "").to_lowercase())
    };
    said.lines().filter_map(option).collect()
}

#[test]
fn filters_are_those_of_pprof() {
    let Some(pprof) = Pprof::build() else {
        return eprintln!("no go: nothing compared");
    };
    for file in [data("cpu.pprof"), data("heap.pprof")] {
        for filters in FILTERS {
            let theirs: Vec<_> = filters.iter().map(for_pprof).collect();
            let theirs: Vec<_> = theirs.iter().map(String::as_str).chain([file.as_str()]).collect();
            for (ours, report) in [
                (&["top"][..], &["-top", "-nodecount=20"][..]),
                (&["peek", "^main"], &["-peek=^main"]),
            ] {
                let ours = run(&[ours, filters, &[&file]].concat());
                let theirs = pprof.run(&[report, &theirs].concat());
                // What matches nothing is told by exit code.
                if ours.status.success() {
                    assert_eq!(text(&ours.stdout), text(&theirs.stdout), "{filters:?} {file}");
                }
                assert_eq!(
                    unmatched(&text(&ours.stderr)),
                    unmatched(&text(&theirs.stderr)),
                    "{filters:?} {file}"
                );
            }
            let ours = [&["merge"], filters, &[&file]].concat();
            assert!(Some(written(&ours)) == pprof.proto(&theirs), "{filters:?} {file}");
        }
    }
}

#[test]
fn a_filter_that_matches_nothing_is_named() {
    let cpu = data("cpu.pprof");
    let told = |arguments: &[&str]| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0));
        text(&output.stderr)
    };
    assert_eq!(
        told(&["top", "--focus", "no \u{1b}such", "--tag-root", "x,y", &cpu]),
        "kubectl-profile: --tag-root \"x,y\" matched nothing\nkubectl-profile: --focus \"no \\u{1b}such\" matched nothing\n"
    );
    assert_eq!(
        told(&["top", "--tag-focus", "5s:", &cpu]),
        "kubectl-profile: --tag-focus \"5s:\" is read as a range of numbers, not as a regular expression\n\
         kubectl-profile: --tag-focus \"5s:\" matched nothing\n"
    );
    // Of two profiles that are compared it is enough that one has it.
    let folder = TempDir::new().unwrap();
    let of = |name, stack| write(&folder.path().join(name), &[("samples", "count")], &[(stack, &[1])]);
    let (before, after) = (of("before", "main;old"), of("after", "main;young"));
    let flame = |focus| told(&["flame", "--folded", "--focus", focus, "--base", &before, &after]);
    assert_eq!(flame("old"), "");
    assert_eq!(flame("none"), "kubectl-profile: --focus \"none\" matched nothing\n");
    for wrong in ["--focus=(", "--tag-focus=a=(", "--rules=none"] {
        assert_eq!(run(&["merge", wrong, &cpu]).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn every_command_shows_only_what_is_wanted() {
    let folder = TempDir::new().unwrap();
    let types = [("samples", "count")];
    let file = write(
        &folder.path().join("a"),
        &types,
        &[("main;work;hot", &[6]), ("main;idle", &[2]), ("gc", &[8])],
    );
    let said = |arguments: &[&str]| {
        let output = run(arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let only = "main;hot 6\n";
    assert_eq!(said(&["flame", "--folded", "--focus=work", "--hide=work", &file]), only);
    assert_eq!(
        said(&["convert", "--to", "folded", "--focus=work", "--hide=work", &file]),
        only
    );
    // Percentages are of the whole profile, also in a picture.
    let picture = said(&["flame", "--focus=main", &file]);
    assert!(picture.contains("samples: 8 of 16 in a"), "{picture}");
    assert!(picture.contains("<title>work: 6 (37.50%)"), "{picture}");
    let compared = said(&["flame", "--focus=main", "--base", &file, &file]);
    assert!(
        compared.contains("<title>idle: 2 → 2, +0 (12.50% → 12.50%)<"),
        "{compared}"
    );
    let top: serde_json::Value = serde_json::from_str(&said(&["top", "-o", "json", "--focus=idle", &file])).unwrap();
    assert_eq!(
        (top["total"].as_i64(), top["counts"]["of"].as_u64()),
        (Some(16), Some(2))
    );
    let labelled = said(&[
        "convert",
        "--to",
        "folded",
        "--tag-root=tenant",
        "--tag-focus=tenant=blue",
        &data("cpu.pprof"),
    ]);
    assert!(
        !labelled.is_empty() && labelled.lines().all(|line| line.starts_with("blue;")),
        "{labelled}"
    );
}

#[test]
fn standard_input_is_one_of_several_sources() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let fine = write(
        &path("fine"),
        &[("other", "count"), ("alloc", "bytes")],
        &[("a", &[1, 2048])],
    );
    let coarse = write(&path("coarse"), &[("alloc", "kb")], &[("a", &[3])]);
    let piped = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-profile"));
        command
            .args(arguments)
            .stdin(File::open(&fine).unwrap())
            .output()
            .unwrap()
    };
    // It is asked for twice, for it does not measure what the other does.
    let merged = piped(&["merge", "-", &coarse]);
    assert!(merged.status.success(), "{}", text(&merged.stderr));
    assert_eq!(
        unpack(&merged.stdout, &Limits::DEFAULT).unwrap(),
        written(&["merge", &fine, &coarse])
    );
    let twice = piped(&["merge", "-", "-"]);
    assert!(text(&twice.stderr).contains("standard input can be read only once"));
}

#[test]
fn a_delta_is_what_happened_since_the_base() {
    let folder = TempDir::new().unwrap();
    let types = [("alloc_objects", "count"), ("inuse_objects", "count")];
    let of = |name, samples: &[_]| write(&folder.path().join(name), &types, samples);
    let before = of("before", &[("main;old", &[5, 5]), ("main;both", &[2, 2])]);
    let after = of(
        "after",
        &[("main;old", &[5, 1]), ("main;both", &[9, 0]), ("main;new", &[1, 1])],
    );
    let out = folder.path().join("delta").to_str().unwrap().to_owned();
    let delta = |base: &str, file: &str| {
        let ran = run(&["diff", "--delta", "--out", &out, "--base", base, file]);
        assert!(ran.status.success(), "{}", text(&ran.stderr));
        let folded = |index| text(&run(&["flame", "--folded", "-t", index, &out]).stdout);
        (folded("0"), folded("1"), text(&ran.stderr))
    };
    let (allocated, used, told) = delta(&before, &after);
    assert_eq!(
        (allocated.as_str(), used.as_str(), told.as_str()),
        ("main;both 7\nmain;new 1\n", "main;new 1\nmain;old 1\n", "")
    );
    let (allocated, _, told) = delta(&after, &before);
    assert_eq!(allocated, "main;both 2\nmain;old 5\n");
    assert!(
        told.ends_with("before were begun anew: it is what the program did since it was restarted\n"),
        "{told}"
    );
    // Of Go: nothing happened between a profile and itself, and a CPU profile counts only its own time.
    let mutex = data("mutex.pprof");
    assert_eq!(delta(&mutex, &mutex), (String::new(), String::new(), String::new()));
    let refused = run(&["diff", "--delta", "--base", &data("cpu.pprof"), &data("cpu.pprof")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).ends_with("nothing in it counts from the start of the program: it has samples, cpu\n")
    );
    assert_eq!(
        run(&["diff", "--delta", "--normalize", "--base", &before, &after])
            .status
            .code(),
        Some(2)
    );
}
