//! What people trip over: folders of everything, results among their own sources, pipes, terminals, full disks, bombs.
#![expect(clippy::unwrap_used, reason = "a test file: its functions are tests or their parts")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use profile::build::Builder;
use profile::model::{Mapping, Sample};
use profile::{Limits, gzip};
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kubectl-profile");

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../profile/tests/data")
        .join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Runs a line of a shell, in which `$P` is the program, `$D` a folder.
fn shell(line: &str, folder: &Path) -> Output {
    let mut bash = Command::new("bash");
    bash.args(["-c", line]).env("P", PROGRAM).env("D", folder);
    bash.stdin(Stdio::null()).output().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code and what was told.
fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), said(&output.stderr))
}

/// The sum of the first sample type.
fn total(path: &Path) -> i64 {
    let info: Value = serde_json::from_str(&said(&run(&["info", "-o", "json", text(path)]).stdout)).unwrap();
    info["sampleTypes"][0]["total"].as_i64().unwrap()
}

/// Writes a profile of one sample, of the function main.
fn write_sample(to: &Path, types: &[(&str, &str)], values: &[i64]) {
    let mut builder = Builder::new(types, &Limits::DEFAULT).unwrap();
    let stack = [builder.frame(b"main").unwrap()];
    let sample = Sample {
        stack: &stack,
        values,
        labels: &[],
    };
    builder.push_sample(sample).unwrap();
    fs::write(to, builder.finish().encode()).unwrap();
}

/// What a service has in the bucket for a day, as the operator stores it.
fn day(folder: &Path) -> PathBuf {
    let web = folder.join("web");
    fs::create_dir(&web).unwrap();
    for name in ["cpu", "heap", "goroutine", "mutex"] {
        fs::copy(
            data(&format!("{name}.pprof")),
            web.join(format!("20260115-120000-{name}.pprof")),
        )
        .unwrap();
    }
    let trace = b"go 1.26 trace\0\0\0\x01\x02";
    fs::write(web.join("20260115-120000-trace.trace"), trace).unwrap();
    web
}

#[test]
fn a_folder_of_several_types_is_refused_with_a_way_out() {
    let folder = TempDir::new().unwrap();
    let web = day(folder.path());
    fs::remove_file(web.join("20260115-120000-trace.trace")).unwrap();
    for rules in ["pprof", "library"] {
        let (code, why) = told(&run(&["merge", "--rules", rules, text(&web)]));
        assert_eq!(code, Some(1));
        assert!(why.contains("name the files of one: FOLDER/*-cpu.pprof"), "{why}");
    }
    let out = folder.path().join("day.pprof");
    let merged = shell("$P merge --out $D/day.pprof $D/web/*-cpu.pprof", folder.path());
    assert!(merged.status.success() && out.exists());
}

#[test]
fn what_is_no_profile_in_a_folder_is_no_reason_against_the_profiles_there() {
    let folder = TempDir::new().unwrap();
    let web = day(folder.path());
    fs::write(web.join("README"), "What is in here.\nAnd why.\n").unwrap();
    let out = folder.path().join("default.pgo");
    let run_pgo = || run(&["pgo", "--out", text(&out), text(&web)]);
    let (_, why) = told(&run_pgo());
    for left_out in [
        "heap.pprof: not a CPU profile",
        "trace.trace: this is an execution trace of Go and no profile; `go tool trace` reads it",
        "README: this is not a profile",
    ] {
        assert!(why.contains(left_out), "{why}");
    }
    // One that is damaged is not passed over: it may have been most of them.
    let whole = fs::read_dir(&web).unwrap().count();
    let mut cut = Vec::new();
    std::io::Read::read_to_end(&mut File::open(data("cpu.pprof")).unwrap(), &mut cut).unwrap();
    cut.truncate(cut.len() / 2);
    fs::write(web.join("20260115-130000-cpu.pprof"), cut).unwrap();
    assert_eq!(fs::read_dir(&web).unwrap().count(), whole + 1);
    let (code, why) = told(&run_pgo());
    assert_eq!(code, Some(1));
    assert!(why.contains("130000-cpu.pprof: the "), "{why}");
    // Nor is one that is named.
    let (code, why) = told(&run(&["pgo", "--out", text(&out), text(&web.join("README"))]));
    assert_eq!((code, why.contains("README: this is not a profile")), (Some(1), true));
}

#[test]
fn the_same_command_again_has_the_same_result() {
    let folder = TempDir::new().unwrap();
    let cpu = folder.path().join("cpu");
    fs::create_dir(&cpu).unwrap();
    fs::copy(data("cpu.pprof"), cpu.join("a")).unwrap();
    fs::copy(data("cpu.pprof"), cpu.join("b")).unwrap();
    let one = total(&data("cpu.pprof"));
    let out = cpu.join("all");
    for command in ["merge", "pgo"] {
        for round in 0..3 {
            let (code, why) = told(&run(&[command, "--out", text(&out), text(&cpu)]));
            assert_eq!(code, Some(0), "{why}");
            assert_eq!(total(&out), 2 * one, "{command}, round {round}");
            let is_told = why.contains("all: it is the file to write");
            assert_eq!(is_told, round > 0, "{why}");
        }
        fs::remove_file(&out).unwrap();
    }
    // Who names it means it.
    fs::copy(data("cpu.pprof"), &out).unwrap();
    run(&["merge", "--out", text(&out), text(&out), text(&cpu.join("a"))]);
    assert_eq!(total(&out), 2 * one);
}

#[test]
fn pipes_are_read_once_and_used_twice() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, types, values| write_sample(&folder.path().join(name), types, values);
    write("fine", &[("other", "count"), ("alloc", "bytes")], &[1, 2048]);
    write("coarse", &[("alloc", "kb")], &[3]);
    let merged = shell(
        "$P merge --raw --rules pprof <(cat $D/fine) <(cat $D/coarse)",
        folder.path(),
    );
    assert_eq!(told(&merged), (Some(0), String::new()));
    let files = shell("$P merge --raw --rules pprof $D/fine $D/coarse", folder.path());
    assert!(merged.stdout == files.stdout && !files.stdout.is_empty());
}

#[test]
fn standard_input_twice_is_wrong_usage() {
    for arguments in [
        &["merge", "-", "-"][..],
        &["check", "-", "-"],
        &["pgo", "-", "-"],
        &["diff", "--base", "-", "-"],
        &["diff", "--delta", "--base", "-", "-"],
        &["flame", "--base", "-", "-"],
    ] {
        let (code, why) = told(&run(arguments));
        assert_eq!(code, Some(2), "{arguments:?}");
        assert_eq!(why, "kubectl-profile: standard input can be read only once\n");
    }
}

#[test]
fn a_folder_without_files_is_told_beside_what_is_right() {
    let folder = TempDir::new().unwrap();
    let (empty, deep) = (folder.path().join("empty"), folder.path().join("deep"));
    fs::create_dir(&empty).unwrap();
    fs::create_dir_all(deep.join("below")).unwrap();
    let heap = data("heap.pprof");
    let output = run(&["check", "-o", "json", text(&empty), text(&deep), text(&heap)]);
    assert_eq!(output.status.code(), Some(1));
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = |index: usize| listed[index]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error(0).ends_with("empty holds no files"), "{listed}");
    assert!(
        error(1).ends_with("deep holds only folders: name those with the files"),
        "{listed}"
    );
    assert_eq!(listed[2]["valid"], true);
}

#[test]
fn a_name_of_a_file_is_no_movement_of_the_terminal() {
    let folder = TempDir::new().unwrap();
    let evil = folder.path().join("\u{1b}[31mred\nheap.pprof: ok");
    fs::copy(data("heap.pprof"), &evil).unwrap();
    fs::write(folder.path().join("\u{1b}[2J"), "").unwrap();
    let checked = said(&run(&["check", text(folder.path())]).stdout);
    assert_eq!(checked.lines().count(), 2, "{checked}");
    assert!(
        !checked.contains('\u{1b}') && checked.contains("\\u{1b}[31mred\\nheap.pprof: ok: ok"),
        "{checked}"
    );
}

#[test]
fn a_dash_is_standard_output_and_a_terminal_gets_no_bytes() {
    let folder = TempDir::new().unwrap();
    fs::copy(data("heap.pprof"), folder.path().join("heap")).unwrap();
    let dash = shell("cd $D; $P merge --out - heap", folder.path());
    assert!(dash.status.success() && dash.stdout.starts_with(&[0x1f, 0x8b]));
    assert!(!folder.path().join("-").exists());
    for line in ["merge", "convert", "convert --to raw", "diff --base $D/heap"] {
        // It gives the program a terminal of its own.
        let on_terminal = format!("script -qec \"$P {line} $D/heap\" /dev/null");
        let output = shell(&on_terminal, folder.path());
        assert_eq!(output.status.code(), Some(2), "{line}");
        let shown = said(&output.stdout);
        assert!(
            shown.contains("write it with --out FILE, or into a pipe"),
            "{line}: {shown}"
        );
    }
    let shown = shell(
        "script -qec \"$P convert --to folded -t 0 $D/heap\" /dev/null",
        folder.path(),
    );
    assert_eq!(shown.status.code(), Some(0));
}

#[test]
fn a_full_disk_leaves_no_half_a_result() {
    let folder = TempDir::new().unwrap();
    fs::copy(data("heap.pprof"), folder.path().join("heap")).unwrap();
    // No file may grow beyond a block, and who writes on is told so.
    let line = "trap '' XFSZ; ulimit -f 1; exec $P merge --raw --out $D/out $D/heap";
    let (code, why) = told(&shell(line, folder.path()));
    assert_eq!(code, Some(1));
    assert!(why.contains("cannot write ") && why.contains("/out: "), "{why}");
    assert!(!folder.path().join("out").exists());
    let (code, why) = told(&shell("$P top $D/heap > /dev/full", folder.path()));
    assert_eq!(code, Some(1));
    assert!(
        why.starts_with("kubectl-profile: cannot write to standard output: "),
        "{why}"
    );
    let (code, why) = told(&shell(
        "$P flame --folded $D/heap | true; exit ${PIPESTATUS[0]}",
        folder.path(),
    ));
    assert_eq!((code, why.as_str()), (Some(0), ""));
}

/// Kibibytes of address space: the program itself takes half of it in a debug build, and a bomb would not fit.
const ADDRESS_SPACE: u64 = 64 << 10;

#[test]
fn failure_15_a_bomb_takes_little_memory_whatever_is_done_with_it() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("zeros"), gzip(&vec![0; 64 << 20])).unwrap();
    fs::copy(data("heap.pprof"), folder.path().join("heap")).unwrap();
    for command in ["check", "info", "top", "flame", "merge", "convert", "peek ."] {
        let limited = |file: &str| {
            let line = format!("ulimit -v {ADDRESS_SPACE}; exec $P {command} $D/{file}");
            shell(&line, folder.path())
        };
        assert_eq!(
            limited("heap").status.code(),
            Some(0),
            "{command} has room for a profile"
        );
        let refused = limited("zeros");
        assert_eq!(refused.status.code(), Some(1), "{command}");
        let said = said(&refused.stderr) + &said(&refused.stdout);
        assert!(said.contains("zeros: this is not a profile"), "{command}: {said}");
    }
}

/// Few bytes that name a long string again and again.
#[test]
fn failure_15_what_is_said_of_a_profile_has_an_end() {
    let folder = TempDir::new().unwrap();
    let mut builder = Builder::new(&[("samples", "count")], &Limits::DEFAULT).unwrap();
    let long = "x".repeat(60_000);
    let file = builder.string(long.as_bytes()).unwrap();
    for _ in 0..4_000 {
        builder.add_comment(long.as_bytes()).unwrap();
        let mapping = Mapping {
            file,
            build_id: file,
            ..Mapping::default()
        };
        builder.push_mapping(mapping).unwrap();
    }
    let path = folder.path().join("profile");
    fs::write(&path, gzip(&builder.finish().encode())).unwrap();
    for arguments in [&["info"][..], &["info", "-o", "json"], &["top"]] {
        let output = run(&[arguments, &[text(&path)]].concat());
        assert_eq!(told(&output), (Some(0), String::new()), "{arguments:?}");
        assert!(output.stdout.len() < 4 << 20, "{arguments:?}");
        assert!(said(&output.stdout).contains("398"), "the rest is counted");
    }
}

#[test]
fn sample_types_are_named_as_in_pprof() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, types, values| {
        let path = folder.path().join(name);
        write_sample(&path, types, values);
        path
    };
    let folded = |path: &Path, wanted: &str| {
        let output = run(&["flame", "--folded", "-t", wanted, text(path)]);
        (output.status.code(), said(&output.stdout))
    };
    let older = write("older", &[("objects", "count"), ("space", "bytes")], &[3, 40]);
    let one = |value: i64| (Some(0), format!("main {value}\n"));
    assert_eq!(folded(&older, "inuse_objects"), one(3));
    assert_eq!(folded(&older, "inuse_space"), one(40));
    assert_eq!(folded(&older, ""), one(40));
    // A number is an index, whatever types are called.
    let numbered = write("numbered", &[("1", "count"), ("0", "count")], &[5, 6]);
    assert_eq!(folded(&numbered, "1"), one(6));
    assert_eq!(folded(&numbered, "0"), one(5));
    for wanted in ["2", "alloc_space"] {
        assert_eq!(folded(&numbered, wanted).0, Some(1), "{wanted}");
    }
}

#[test]
fn patterns_of_no_use_are_told_and_not_used() {
    let folder = TempDir::new().unwrap();
    let mut builder = Builder::new(&[("samples", "count")], &Limits::DEFAULT).unwrap();
    let stack = [builder.frame(b"main").unwrap()];
    let sample = Sample {
        stack: &stack,
        values: &[7],
        labels: &[],
    };
    builder.push_sample(sample).unwrap();
    builder.set_frames(b"(", b"").unwrap();
    let path = folder.path().join("profile");
    fs::write(&path, builder.finish().encode()).unwrap();
    for arguments in [
        &["top"][..],
        &["top", "--focus", "main"],
        &["peek", "main"],
        &["flame"],
        &["flame", "--speedscope"],
        &["convert", "--to", "folded"],
    ] {
        let output = run(&[arguments, &[text(&path)]].concat());
        let (code, why) = told(&output);
        assert_eq!(code, Some(0), "{arguments:?}: {why}");
        assert!(said(&output.stdout).contains("main"), "{arguments:?}");
        let reason = "kubectl-profile: no frames are cut off: the profile's pattern of frames to drop is not usable: ";
        assert!(
            why.starts_with(reason) && why.lines().count() == 1,
            "{arguments:?}: {why}"
        );
    }
    let (code, why) = told(&run(&["merge", text(&path)]));
    assert_eq!(
        (code, why.as_str()),
        (Some(0), ""),
        "what is made of profiles is pprof's, which says nothing"
    );
}

#[test]
fn info_says_what_filters_can_ask_for() {
    let (cpu, heap) = (data("cpu.pprof"), data("heap.pprof"));
    let info: Value = serde_json::from_slice(&run(&["info", "-o", "json", text(&heap)]).stdout).unwrap();
    assert_eq!(
        (&info["format"], &info["defaultSampleType"]),
        (&"pprof".into(), &"inuse_space".into())
    );
    assert_eq!(info["labels"][0]["key"], "bytes");
    assert!(
        info["labels"][0]["numbers"].as_u64().unwrap() > 0 && info["labels"][0]["texts"] == 0,
        "{info}"
    );
    let shown = said(&run(&["info", text(&cpu)]).stdout);
    assert!(shown.starts_with("format           pprof\n"), "{shown}");
    assert!(shown.contains("\nlabel            tenant: "), "{shown}");
    let shown = said(&run(&["info", text(&heap)]).stdout);
    let default = "inuse_space ";
    let line = shown.lines().find(|line| line.starts_with(default)).unwrap();
    assert!(line.ends_with(" in bytes, shown when none is asked for"), "{line}");
}

#[test]
fn scripts_of_shells_do_not_have_what_help_does_not_have() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = said(&run(&["completion", shell]).stdout);
        assert!(
            script.contains("convert") && !script.contains("__complete") && !script.contains("__reference"),
            "{shell}"
        );
    }
    let complete = |words: &[&str]| said(&run(&[&["__complete"], words].concat()).stdout);
    assert!(complete(&["--"]).starts_with("--help\t"), "{}", complete(&["--"]));
    assert!(complete(&["top", "--"]).contains("--focus\t"));
}
