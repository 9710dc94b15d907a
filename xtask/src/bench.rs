//! `make bench`: the figures, as tables with their limits. Those without a cluster are ratios to a bound in CPU time, counts
//! or bytes, never wall time: machines are noisy. Those of a cluster are taken by `e2e/figures` inside its network.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use testkit::tools::{Tool, ensure as ensure_tool};
use testkit::{Cluster, process};

use crate::{cluster, e2e, root, say};

/// Largest static program of the operator.
const PROGRAM_MEBIBYTES_MAX: f64 = 25.0;

/// `cargo xtask bench`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Which cluster; it is started for the figures that need one, and taken down after them.
    #[arg(long, default_value = "bench")]
    name: String,
    /// Only these; default all.
    parts: Vec<Part>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Decisions and memory of the planner.
    Planner,
    /// What bombs cost the streaming check, and its speed.
    Profile,
    /// Memory of uploads.
    Store,
    /// Memory of captures.
    Capture,
    /// Size of the static program.
    Program,
    /// On a cluster: requests to the API server per check interval.
    Requests,
    /// On a cluster: from the sample to the first byte asked, and to the profile in the bucket.
    Reaction,
    /// On a cluster: an idle operator, and its start.
    Idle,
    /// On a cluster: memory of the operator for a body of 256 MiB.
    Bodies,
    /// On a cluster: what being profiled costs a program.
    Target,
    /// On a cluster of its own: 10,000 simulated pods.
    Scale,
}

/// Prints the figures.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let mut left_out = Vec::new();
    let mut of_cluster = Vec::new();
    for part in Part::value_variants() {
        if !flags.parts.is_empty() && !flags.parts.contains(part) {
            continue;
        }
        match part {
            Part::Planner => planner()?,
            Part::Profile => profile()?,
            Part::Store => store()?,
            Part::Capture => capture()?,
            Part::Program => program()?,
            Part::Requests | Part::Reaction | Part::Idle | Part::Bodies | Part::Target | Part::Scale => {
                if process::is_root() {
                    of_cluster.push(*part);
                } else {
                    left_out.push(part.name());
                }
            }
        }
    }
    // Ten thousand pods would be in the figures of a cluster that had them before.
    let (on_its_own, together): (Vec<Part>, Vec<Part>) = of_cluster.iter().partition(|part| **part == Part::Scale);
    for parts in [together, on_its_own].iter().filter(|parts| !parts.is_empty()) {
        on_a_cluster(&flags.name, parts)?;
    }
    if !left_out.is_empty() {
        say(&format!(
            "left out, because only root can start a cluster: {}",
            left_out.join(", ")
        ));
    }
    Ok(())
}

impl Part {
    /// The name on the command line, here and in the program that takes the figures of a cluster.
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|one| one.get_name().to_owned()).unwrap_or_default()
    }
}

fn planner() -> Result<()> {
    say("== planner: decisions and memory");
    example("profiling-planner", "figures", &[])
}

fn profile() -> Result<()> {
    say("== profile: CPU time of google/pprof to ours, memory of merges (needs Go)");
    example_with("profiling-profile", &["--features", "libdeflate"], "ratios", &[])?;
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
    )
}

fn store() -> Result<()> {
    say("== store: memory of a body of 256 MiB into a folder");
    example("profiling-store", "upload_memory", &["folder", "256"])
}

fn capture() -> Result<()> {
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
    shown(memory.env("CAPTURE_TEST_FULL_SIZE", "1"))
}

fn program() -> Result<()> {
    say("== operator: the static program");
    let program = crate::image::stage("release")?;
    let mebibytes = program.metadata().context("size of the program")?.len() as f64 / f64::from(1 << 20);
    say(&format!("{mebibytes:.1} MiB, at most {PROGRAM_MEBIBYTES_MAX} MiB"));
    Ok(())
}

/// Starts a cluster, takes the figures in it, and takes it down, however they went.
fn on_a_cluster(name: &str, parts: &[Part]) -> Result<()> {
    // Everything is built before the cluster starts: a machine that compiles starves a kubelet.
    let program = figures_program()?;
    if parts.contains(&Part::Scale) {
        ensure_tool(Tool::Kwok)?;
    }
    let archives = e2e::images("release")?;
    let cluster = cluster::up(name, None)?;
    let taken = take_in(&cluster, &archives, &program, parts);
    if taken.is_err() {
        e2e::keep_logs(&cluster)?;
    }
    cluster::down(name)?;
    taken
}

fn take_in(cluster: &Cluster, archives: &[PathBuf], program: &Path, parts: &[Part]) -> Result<()> {
    for archive in archives {
        cluster.import_image(archive)?;
    }
    cluster.wait_for_metrics()?;
    let names = parts.iter().map(|part| part.name());
    shown(cluster.command(program).args(names))
}

/// Builds the program that takes figures inside a cluster's network.
fn figures_program() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--package", "e2e", "--bin", "figures"]);
    cargo.arg("--message-format=json-render-diagnostics");
    let output = cargo
        .current_dir(root()?)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("start cargo")?;
    ensure!(output.status.success(), "the figures do not compile");
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).context("decode cargo's message")?;
        if let Some(program) = message["executable"].as_str() {
            return Ok(PathBuf::from(program));
        }
    }
    bail!("cargo names no program")
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
    example_with(package, &[], name, arguments)
}

fn example_with(package: &str, features: &[&str], name: &str, arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["run", "--quiet", "--release", "--package", package])
        .args(features)
        .args(["--example", name, "--"])
        .args(arguments);
    shown(&mut cargo)
}

fn shown(command: &mut Command) -> Result<()> {
    let status = command.current_dir(root()?).status().context("start cargo")?;
    ensure!(status.success(), "a figure could not be taken");
    Ok(())
}
