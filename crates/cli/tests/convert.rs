//! Profiles of other tools, small ones made by hand: converted, checked, and read by every command; and completion.
#![expect(clippy::unwrap_used, reason = "a test file: its functions are tests or their parts")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const STACKS: &str = "<module> (app.py:9);spin (app.py:5);burn (app.py:2) 90\n<module> (app.py:9);spin (app.py:6) 10\n";

const HEAP: &str = r#"{"head": {"callFrame": {"functionName": "(root)", "url": "", "lineNumber": -1}, "selfSize": 0, "children":
    [{"callFrame": {"functionName": "leak", "url": "/app/app.js", "lineNumber": 5}, "selfSize": 4096, "children": []}]}}"#;

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-profile"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            folder: TempDir::new().unwrap(),
        };
        fs::write(files.path("app.stacks"), STACKS).unwrap();
        fs::write(files.path("app.heapprofile"), HEAP).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn a_converted_profile_is_one_of_pprof() {
    let files = Files::new();
    let out = files.name("app.pprof");
    said(&run(&["convert", "--out", &out, &files.name("app.stacks")]));
    let checked: serde_json::Value = serde_json::from_str(&said(&run(&["check", "-o", "json", &out]))).unwrap();
    assert_eq!(checked[0]["format"], "pprof");
    assert_eq!(checked[0]["samples"], 2);
    // The same again is the same, packed or not.
    let raw = run(&["convert", "--to", "raw", &files.name("app.stacks")]).stdout;
    assert_eq!(run(&["convert", "--to", "raw", &out]).stdout, raw);
    assert_eq!(
        run(&["convert", &files.name("app.stacks")]).stdout,
        run(&["convert", &out]).stdout
    );
    let folded = said(&run(&["convert", "--to", "folded", &out]));
    assert_eq!(folded, "<module>;spin 10\n<module>;spin;burn 90\n");
    let sheets: serde_json::Value =
        serde_json::from_str(&said(&run(&["convert", "--to", "speedscope", &out]))).unwrap();
    assert_eq!(sheets["profiles"][0]["name"], "samples");
    assert_eq!(sheets["profiles"][0]["endValue"], 100);
}

#[test]
fn every_reader_takes_other_formats() {
    let files = Files::new();
    let (stacks, heap) = (files.name("app.stacks"), files.name("app.heapprofile"));
    let top: serde_json::Value = serde_json::from_str(&said(&run(&["top", "-o", "json", &stacks]))).unwrap();
    assert_eq!(
        (
            top["functions"][0]["name"].as_str(),
            top["functions"][0]["flat"].as_i64()
        ),
        (Some("burn"), Some(90))
    );
    said(&run(&["info", &heap]));
    said(&run(&["flame", &heap]));
    let merged = files.name("merged");
    said(&run(&["merge", "--out", &merged, &stacks, &stacks]));
    assert!(said(&run(&["convert", "--to", "folded", &merged])).contains("burn 180"));
    let difference = files.name("difference");
    said(&run(&["diff", "--base", &stacks, "--out", &difference, &merged]));
    assert!(said(&run(&["convert", "--to", "folded", &difference])).contains("burn 90"));
}

#[test]
fn a_folder_is_checked_file_by_file_and_standard_input_too() {
    let files = Files::new();
    let listed: serde_json::Value = serde_json::from_str(&said(&run(&[
        "check",
        "-o",
        "json",
        files.folder.path().to_str().unwrap(),
    ])))
    .unwrap();
    let formats: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["format"].clone())
        .collect();
    assert_eq!(formats, ["heapprofile", "collapsed"]);
    assert_eq!(listed[1]["sampleTypes"][0]["unit"], "count");
    let mut check = Command::new(env!("CARGO_BIN_EXE_kubectl-profile"));
    let piped = check
        .args(["check", "-"])
        .stdin(File::open(files.path("app.stacks")).unwrap())
        .output()
        .unwrap();
    assert_eq!(said(&piped), "-: ok, collapsed, 2 samples of samples/count\n");
}

#[test]
fn the_older_formats_of_pprof_are_read_too() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profile/tests/data/goroutine-debug-1.txt");
    let page = page.to_str().unwrap();
    let checked = said(&run(&["check", page]));
    assert!(
        checked.ends_with("ok, go-count-text, 1 samples of goroutine/count\n"),
        "{checked}"
    );
    let files = Files::new();
    let out = files.name("goroutine.pprof");
    said(&run(&["convert", "--out", &out, page]));
    assert!(said(&run(&["check", &out])).contains("ok, pprof, 1 samples of goroutine/count"));
}

#[test]
fn what_looks_like_nothing_can_be_named() {
    let files = Files::new();
    let plain = files.name("plain");
    fs::write(&plain, "main 5\n").unwrap();
    assert_eq!(run(&["convert", &plain]).status.code(), Some(1));
    assert_eq!(
        said(&run(&["convert", "--from", "collapsed", "--to", "folded", &plain])),
        "main 5\n"
    );
    let wrong = run(&["convert", "--from", "jfr", &plain]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("plain: this JFR recording is broken at byte 0"));
    let mut perf = File::create(files.path("perf.data")).unwrap();
    perf.write_all(b"PERFILE2\0\0\0").unwrap();
    let advised = run(&["convert", &files.name("perf.data")]);
    assert!(String::from_utf8_lossy(&advised.stderr).contains("perf script"));
}

#[test]
fn shells_and_kubectl_complete() {
    for shell in ["bash", "zsh", "fish"] {
        let script = said(&run(&["completion", shell]));
        assert!(
            script.contains("kubectl-profile") && script.contains("convert"),
            "{shell}"
        );
    }
    let complete = |words: &[&str]| said(&run(&[&["__complete"], words].concat()));
    assert_eq!(
        complete(&["co"]).lines().next().unwrap().split('\t').next(),
        Some("convert")
    );
    assert!(complete(&[""]).ends_with(":4\n") && !complete(&[""]).contains("__"));
    assert!(complete(&["convert", "--to", "r"]).starts_with("raw\t"));
    assert!(complete(&["convert", "--fr"]).starts_with("--from\t"));
    assert!(complete(&["check", "-o", ""]).starts_with("text\t"));
    // Files are the shell's.
    assert_eq!(complete(&["top", "pro"]), ":0\n");
    assert_eq!(complete(&["convert", "--out", ""]), ":0\n");
    assert_eq!(complete(&["no-such", ""]), ":4\n");
}

#[test]
fn the_page_in_the_repository_is_the_programs_own() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/KUBECTL_PROFILE.md");
    let found = fs::read_to_string(page).unwrap();
    assert!(
        found == said(&run(&["__reference"])),
        "run `cargo run -p xtask -- reference`"
    );
}
