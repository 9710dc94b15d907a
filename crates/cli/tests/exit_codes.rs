//! What every command says of what came of it: 0 done, 1 failed (a bad profile included), 2 wrong usage.
#![expect(clippy::unwrap_used, reason = "a test file: its functions are tests or their parts")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// How each command is told to read one file; what it writes goes to standard output, or into OUT.
const COMMANDS: [&[&str]; 9] = [
    &["check", "FILE"],
    &["info", "FILE"],
    &["top", "FILE"],
    &["peek", ".", "FILE"],
    &["flame", "--folded", "FILE"],
    &["merge", "FILE"],
    &["diff", "--base", "FILE", "FILE"],
    &["pgo", "--out", "OUT", "FILE"],
    &["convert", "FILE"],
];

/// Commands that read no profile.
const OTHERS: [&str; 2] = ["completion", "help"];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../profile/tests/data")
        .join(name)
}

fn run(arguments: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-profile"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn on(command: &[&str], file: &Path, out: &Path) -> Output {
    let replaced = command.iter().map(|word| match *word {
        "FILE" => file.display().to_string(),
        "OUT" => out.display().to_string(),
        word => word.to_owned(),
    });
    run(&replaced.collect::<Vec<_>>())
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_command_is_in_this_test() {
    let help = said(&run(&["--help".to_owned()]).stdout);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    for name in commands.lines().filter_map(|line| line.split_whitespace().next()) {
        let is_known = COMMANDS.iter().any(|command| command[0] == name) || OTHERS.contains(&name);
        assert!(is_known, "{name} has no row here");
    }
}

#[test]
fn a_good_profile_is_0() {
    let folder = TempDir::new().unwrap();
    for command in COMMANDS {
        let output = on(command, &data("cpu.pprof"), &folder.path().join("out"));
        assert_eq!(output.status.code(), Some(0), "{command:?}: {}", said(&output.stderr));
    }
}

#[test]
fn a_bad_profile_is_1_and_named() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    for (file, why) in [
        (
            data("index.html"),
            "index.html: this is not a profile; it begins with \"<html>",
        ),
        (data("no-such.pprof"), "no-such.pprof"),
    ] {
        for command in COMMANDS {
            let output = on(command, &file, &out);
            assert_eq!(output.status.code(), Some(1), "{command:?}");
            let said = said(&output.stderr) + &said(&output.stdout);
            assert!(said.contains(why), "{command:?}: {said}");
            assert!(!out.exists(), "{command:?} wrote a result");
        }
    }
}

#[test]
fn what_is_no_profile_is_told_which_formats_there_are() {
    let output = on(&["info", "FILE"], &data("index.html"), Path::new(""));
    let said = said(&output.stderr);
    for format in [
        "pprof and its legacy formats",
        "jemalloc heap",
        "collapsed stacks",
        "V8 CPU profile",
        "V8 heap profile",
        "JFR recording",
    ] {
        assert!(said.contains(format), "{said}");
    }
}

#[test]
fn wrong_usage_is_2() {
    let folder = TempDir::new().unwrap();
    for command in COMMANDS {
        let mut unknown = command.to_vec();
        unknown.insert(1, "--no-such-option");
        let output = on(&unknown, &data("cpu.pprof"), folder.path());
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        let nothing = [command[0].to_owned()];
        assert_eq!(run(&nothing).status.code(), Some(2), "{command:?} without a file");
    }
    for arguments in [
        &[][..],
        &["no-such"],
        &["completion", "no-such"],
        &["convert", "--to", "no-such", "x"],
    ] {
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        assert_eq!(run(&arguments).status.code(), Some(2), "{arguments:?}");
    }
}
