//! The end-to-end suite: a cluster, the images, the stories, and nothing left behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use testkit::{Cluster, process};

use crate::suite::{self, Counts, Ran};
use crate::{cluster, image, root, say};

/// `cargo xtask e2e`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Which cluster; started when it does not run.
    #[arg(long, default_value = "e2e")]
    pub(crate) name: String,
    /// Leave the cluster running, for a look at it or for the next run.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Use the images that the cluster has already.
    #[arg(long)]
    pub(crate) no_images: bool,
    /// Cargo profile of the operator.
    #[arg(long, default_value = "release")]
    pub(crate) profile: String,
    /// Only the tests of this file in `e2e/tests`.
    #[arg(long)]
    pub(crate) test: Option<String>,
    /// Passed to the test programs: a part of a test's name, `--test-threads=1` …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
    /// What the stories find in their environment.
    #[arg(skip)]
    pub(crate) environment: Vec<(String, String)>,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            name: "e2e".to_owned(),
            keep: false,
            no_images: false,
            profile: "release".to_owned(),
            test: None,
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// The images that stories use, by what they are; `e2e` has the same names.
const OPERATOR: &str = "localhost/profiling-operator:e2e";
const PROGRAMS: [(&str, &str, &str); 2] = [
    ("examples/sample-app", "sample-app", "localhost/sample-app:e2e"),
    ("e2e/hostile", "hostile", "localhost/hostile:e2e"),
];

/// Stories of one program at once, whatever the machine: they wait for intervals and cooldowns, not for a CPU.
const STORIES_AT_ONCE: &str = "8";

/// Runs the suite and says how it went.
pub(crate) fn run(flags: &Flags) -> Result<Vec<Ran>> {
    // Everything is built before the cluster starts: a machine that compiles starves a kubelet.
    let programs = test_programs(flags.test.as_deref())?;
    let archives = if flags.no_images {
        Vec::new()
    } else {
        images(&flags.profile)?
    };
    let cluster = cluster::up(&flags.name, None)?;
    let outcome = run_in(&cluster, &archives, &programs, flags);
    let failed = outcome
        .as_ref()
        .map_or(true, |ran| ran.iter().any(|one| one.counts.failed > 0));
    if failed {
        keep_logs(&cluster)?;
    }
    if flags.keep {
        say(&format!(
            "cluster {} is left running; `cargo xtask cluster --name {0} down` stops it",
            flags.name
        ));
    } else {
        cluster::down(&flags.name)?;
    }
    outcome
}

fn run_in(
    cluster: &Cluster,
    archives: &[PathBuf],
    programs: &BTreeMap<String, PathBuf>,
    flags: &Flags,
) -> Result<Vec<Ran>> {
    for archive in archives {
        cluster.import_image(archive)?;
    }
    cluster.wait_for_metrics()?;
    let mut ran = Vec::new();
    for (name, program) in programs {
        let mut command = cluster.command(program);
        // The stories are marked as ignored, because without a cluster they cannot run.
        command
            .args(["--include-ignored"])
            .args(&flags.arguments)
            .envs(flags.environment.iter().map(|(name, value)| (name, value)))
            .env("RUST_TEST_THREADS", STORIES_AT_ONCE)
            .current_dir(root()?.join("e2e"));
        let one = suite::run(&format!("e2e: {name}"), &mut command)?;
        // With a filter most programs run nothing.
        if one.counts != Counts::default() || flags.arguments.is_empty() {
            ran.push(one);
        }
    }
    Ok(ran)
}

/// Builds every image to an archive.
pub(crate) fn images(profile: &str) -> Result<Vec<PathBuf>> {
    image::stage(profile)?;
    let folder = root()?.join("target/programs");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let operator = folder.join("profiling-operator.tar");
    image::build_archive(OPERATOR, &operator)?;
    let mut archives = vec![operator];
    for (source, name, reference) in PROGRAMS {
        archives.push(image::program_archive(reference, &image::go_program(source, name)?)?);
    }
    Ok(archives)
}

/// Builds the stories and gives their programs by the name of their file.
fn test_programs(only: Option<&str>) -> Result<BTreeMap<String, PathBuf>> {
    let mut cargo = Command::new("cargo");
    cargo.args([
        "test",
        "--package",
        "e2e",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ]);
    match only {
        Some(name) => cargo.args(["--test", name]),
        None => cargo.args(["--tests"]),
    };
    let output = cargo
        .current_dir(root()?)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("start cargo")?;
    if !output.status.success() {
        bail!("the stories do not compile");
    }
    let mut programs = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: Value = serde_json::from_str(line).context("decode cargo's message")?;
        // Programs that are no tests are built with them: those of the package.
        if message["profile"]["test"] != true {
            continue;
        }
        if let Some(program) = message["executable"].as_str() {
            let name = message["target"]["name"].as_str().unwrap_or(program);
            programs.insert(name.to_owned(), PathBuf::from(program));
        }
    }
    Ok(programs)
}

/// Copies the cluster's logs, and what its objects look like, to where they outlive it.
pub(crate) fn keep_logs(cluster: &Cluster) -> Result<()> {
    let kept = root()?.join("target/e2e-logs");
    if kept.exists() {
        fs::remove_dir_all(&kept).with_context(|| format!("remove {}", kept.display()))?;
    }
    fs::create_dir_all(&kept).with_context(|| format!("create {}", kept.display()))?;
    for folder in ["logs", "pods"] {
        copy_files(&cluster.dir().join(folder), &kept.join(folder))?;
    }
    for (file, arguments) in [
        (
            "objects.yaml",
            ["get", "pods,deployments,profilingconfigs,leases", "-A", "-o", "yaml"],
        ),
        (
            "events.txt",
            ["get", "events", "-A", "--sort-by=.lastTimestamp", "-o=wide"],
        ),
    ] {
        // The API server may be what is broken.
        let text = cluster.kubectl(arguments).map_or_else(
            |error| format!("{error:#}"),
            |output| String::from_utf8_lossy(&output.stdout).into_owned(),
        );
        fs::write(kept.join(file), text).with_context(|| format!("write {file}"))?;
    }
    say(&format!("the cluster's logs are in {}", kept.display()));
    Ok(())
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    process::run(Command::new("cp").arg("-rL").arg(from).arg(to)).map(drop)
}
