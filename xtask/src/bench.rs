//! `make bench`: the figures, as tables. Each program prints ratios to a bound in CPU time, counts or bytes, never wall
//! time: machines are noisy.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{root, say};

/// Largest static program of the operator.
const PROGRAM_MEBIBYTES_MAX: f64 = 25.0;

/// Prints every figure that needs no cluster.
pub(crate) fn run() -> Result<()> {
    say("== planner: decisions and memory");
    example("profiling-planner", "figures", &[])?;
    say("== profile: CPU time of google/pprof to ours, memory of merges (needs Go)");
    example("profiling-profile", "ratios", &[])?;
    say("== profile: what a bomb costs the streaming check");
    for bomb in bombs()?.lines() {
        example("profiling-profile", "check_bombs", &[bomb])?;
    }
    say("== profile: speed of the streaming check on profiles of our own");
    let data = root()?.join("crates/profile/tests/data");
    let mut files = Vec::new();
    for entry in data.read_dir().context("list the profiles")? {
        files.push(entry.context("list the profiles")?.path().display().to_string());
    }
    files.sort();
    example(
        "profiling-profile",
        "check_throughput",
        &files.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    say("== store: memory of a body of 256 MiB into a folder");
    example("profiling-store", "upload_memory", &["folder", "256"])?;
    say("== capture: memory of captures, whole sizes");
    let mut memory = Command::new("cargo");
    memory.args([
        "test",
        "--release",
        "--package",
        "profiling-capture",
        "--test",
        "memory",
        "--",
        "--nocapture",
    ]);
    shown(memory.env("CAPTURE_TEST_FULL_SIZE", "1"))?;
    say("== operator: the static program");
    let program = crate::image::stage("release")?;
    let mebibytes = program.metadata().context("size of the program")?.len() as f64 / f64::from(1 << 20);
    say(&format!("{mebibytes:.1} MiB, at most {PROGRAM_MEBIBYTES_MAX} MiB"));
    Ok(())
}

/// The names of the bombs, as the program itself lists them.
fn bombs() -> Result<String> {
    let mut cargo = Command::new("cargo");
    cargo.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "profiling-profile",
        "--example",
        "check_bombs",
    ]);
    let output = cargo.current_dir(root()?).output().context("start cargo")?;
    ensure!(
        output.status.success(),
        "the bombs cannot be listed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).context("names of the bombs")
}

fn example(package: &str, name: &str, arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            package,
            "--example",
            name,
            "--",
        ])
        .args(arguments);
    shown(&mut cargo)
}

fn shown(command: &mut Command) -> Result<()> {
    let status = command.current_dir(root()?).status().context("start cargo")?;
    ensure!(status.success(), "a figure could not be taken");
    Ok(())
}
