//! CPU profiles that a Go program wrote, merged for `go build -pgo`, which builds the program with it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test file: its functions are tests or their parts"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use testkit::process;

fn go_is_there() -> bool {
    let is_there = process::find("go").is_some();
    assert!(is_there || std::env::var_os("CI").is_none(), "CI must have go");
    if !is_there {
        eprintln!("not tested: go not found");
    }
    is_there
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/pgo")
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../profile/tests/data")
        .join(name)
}

/// Builds one of the programs; what the compiler says of its decisions in the hot package is on standard error.
fn build(program: &str, out: &Path, pgo: &str) -> String {
    let mut go = Command::new("go");
    go.args([
        "build",
        "-gcflags=profiling.io/cli/tests/pgo/hot=-m=2",
        &format!("-pgo={pgo}"),
        "-o",
    ])
    .arg(out)
    .arg(format!("./{program}"));
    let built = process::run(go.env("GOWORK", "off").current_dir(source())).unwrap();
    String::from_utf8(built.stderr).unwrap()
}

fn pgo(out: &Path, files: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-profile"));
    command.arg("pgo").arg("--out").arg(out).args(files).output().unwrap()
}

#[test]
fn the_compiler_inlines_what_merged_profiles_say_is_hot() {
    if !go_is_there() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let said = build("record", &path("record"), "off");
    assert!(!said.contains("inlining call to burn"), "{said}");
    // As in the bucket: what one service had captured in a day, of several types.
    fs::create_dir(path("web")).unwrap();
    for name in ["120000-cpu.pprof", "120500-cpu.pprof"] {
        process::run(Command::new(path("record")).arg(path("web").join(name))).unwrap();
    }
    fs::copy(data("heap.pprof"), path("web").join("120000-heap.pprof")).unwrap();
    let merged = pgo(&path("default.pgo"), &[&path("web")]);
    let told = String::from_utf8(merged.stderr).unwrap();
    assert_eq!(merged.status.code(), Some(0), "{told}");
    assert!(
        told.contains("120000-heap.pprof: not a CPU profile: it has alloc_objects"),
        "{told}"
    );
    assert!(told.ends_with("samples from 2 profiles\n"), "{told}");

    let said = build("plain", &path("optimised"), path("default.pgo").to_str().unwrap());
    assert!(said.contains("inlining call to burn"), "{said}");
    let version = process::text(Command::new("go").args(["version", "-m"]).arg(path("optimised"))).unwrap();
    assert!(version.contains("-pgo="), "{version}");
    process::run(&mut Command::new(path("optimised"))).unwrap();
}

#[test]
fn what_is_no_cpu_profile_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("default.pgo");
    let heap = data("heap.pprof");
    let refused = |files: &[&Path]| {
        let output = pgo(&out, files);
        assert_eq!(output.status.code(), Some(1));
        assert!(!out.exists());
        String::from_utf8(output.stderr).unwrap()
    };
    let types = "alloc_objects, alloc_space, inuse_objects, inuse_space";
    assert!(
        refused(&[&data("cpu.pprof"), &heap]).ends_with(&format!("heap.pprof: not a CPU profile: it has {types}\n"))
    );
    let only = folder.path().join("only");
    fs::create_dir(&only).unwrap();
    fs::copy(&heap, only.join("heap.pprof")).unwrap();
    assert!(refused(&[&only]).ends_with("none of these is a CPU profile\n"));
    let java = folder.path().join("of.cpuprofile");
    fs::write(
        &java,
        r#"{"nodes":[{"id":1,"callFrame":{"functionName":"f","url":"","lineNumber":-1},"hitCount":1}],"endTime":9}"#,
    )
    .unwrap();
    assert!(refused(&[&java]).contains("no start lines of functions"));
    fs::write(only.join("page.html"), "<html>").unwrap();
    assert!(refused(&[&only]).contains("page.html: this is not a profile"));
}
