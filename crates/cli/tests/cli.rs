//! The program as people run it, on profiles that Go served.
#![expect(clippy::unwrap_used, reason = "a test file: its functions are tests or their parts")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../profile/tests/data")
        .join(name)
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-profile"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn check_tells_good_from_bad_by_its_exit_code() {
    let (heap, page) = (data("heap.pprof"), data("index.html"));
    let (code, out, _) = said(&run(&["check", text(&heap)]));
    assert_eq!(code, Some(0));
    assert!(
        out.ends_with("samples of alloc_objects/count, alloc_space/bytes, inuse_objects/count, inuse_space/bytes\n")
    );
    let (code, out, _) = said(&run(&[
        "check",
        "-o",
        "json",
        text(&heap),
        text(&page),
        "/nonexistent/x",
    ]));
    assert_eq!(code, Some(1));
    let listed: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(listed[0]["valid"], true);
    assert_eq!(listed[0]["sampleTypes"][3]["type"], "inuse_space");
    assert!(
        listed[1]["error"]
            .as_str()
            .unwrap()
            .starts_with("this is not a profile; it begins with \"<html>")
    );
    assert_eq!(listed[2]["valid"], false);
}

#[test]
fn wrong_usage_is_exit_code_2_and_a_bad_profile_1() {
    for arguments in [
        &["check"][..],
        &["no-such"],
        &["top"],
        &["diff", "a"],
        &["merge", "--no-such"],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let page = data("index.html");
    for command in ["info", "top", "flame", "merge"] {
        let (code, _, err) = said(&run(&[command, text(&page)]));
        assert_eq!(code, Some(1), "{command}");
        assert!(err.contains("index.html: this is not a profile"), "{err}");
    }
    assert_eq!(
        run(&["top", "-t", "no-such", text(&data("cpu.pprof"))]).status.code(),
        Some(1)
    );
}

#[test]
fn standard_input_and_output_serve_for_files() {
    let heap = data("heap.pprof");
    let stdin = File::open(&heap).unwrap();
    let piped = Command::new(env!("CARGO_BIN_EXE_kubectl-profile"))
        .args(["merge", "--raw", "-"])
        .stdin(Stdio::from(stdin))
        .output()
        .unwrap();
    assert!(piped.status.success());
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("merged");
    assert!(
        run(&["merge", "--raw", "--out", text(&out), text(&heap)])
            .status
            .success()
    );
    let (code, info, _) = said(&run(&["info", "-o", "json", text(&out)]));
    assert_eq!(code, Some(0));
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["periodType"], "space");
    let mut file = Vec::new();
    std::io::Read::read_to_end(&mut File::open(&out).unwrap(), &mut file).unwrap();
    assert_eq!(piped.stdout, file);
}

#[test]
fn merging_a_folder_and_subtracting_one_leaves_the_other() {
    let folder = TempDir::new().unwrap();
    let both = folder.path().join("both");
    fs::create_dir(&both).unwrap();
    for name in ["a", "b"] {
        fs::copy(data("heap.pprof"), both.join(name)).unwrap();
    }
    let total = |path: &Path| {
        let (code, out, err) = said(&run(&["info", "-o", "json", text(path)]));
        assert_eq!(code, Some(0), "{err}");
        let info: serde_json::Value = serde_json::from_str(&out).unwrap();
        info["sampleTypes"][1]["total"].as_i64().unwrap()
    };
    let one = total(&data("heap.pprof"));
    let merged = folder.path().join("merged");
    assert!(run(&["merge", "--out", text(&merged), text(&both)]).status.success());
    assert_eq!(total(&merged), 2 * one);
    let difference = folder.path().join("difference");
    let heap = data("heap.pprof");
    let arguments = ["diff", "--base", text(&heap), "--out", text(&difference), text(&merged)];
    assert!(run(&arguments).status.success());
    assert_eq!(total(&difference), one);
    let labelled = [&arguments[..], &["--labelled", "--normalize"]].concat();
    assert!(run(&labelled).status.success());
    assert_eq!(total(&difference), 0);
    for (rules, why) in [
        (
            "pprof",
            "do not measure alike: no sample type is in all profiles up to this one, which has samples, cpu",
        ),
        (
            "library",
            "cannot be merged: the period types differ: space/bytes and cpu/nanoseconds",
        ),
    ] {
        let (code, _, err) = said(&run(&[
            "merge",
            "--rules",
            rules,
            text(&heap),
            text(&data("cpu.pprof")),
        ]));
        assert_eq!(code, Some(1));
        assert!(err.contains(&format!("cpu.pprof: the profiles {why}")), "{err}");
    }
}
