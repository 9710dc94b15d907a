//! The project's own chores: generation, the architecture test, the test cluster.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

mod cluster;
#[cfg(feature = "generate")]
mod crd;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own chores")]
struct Flags {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Write the custom resource's definition from the code.
    #[cfg(feature = "generate")]
    Crd {
        /// Fail where a file is not current, and write nothing.
        #[arg(long)]
        check: bool,
    },
    /// The test cluster.
    Cluster(cluster::Flags),
}

fn main() -> ExitCode {
    match run(Flags::parse().chore) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<ExitCode> {
    match chore {
        #[cfg(feature = "generate")]
        Chore::Crd { check } => crd::run(&root()?, check)?,
        Chore::Cluster(flags) => cluster::run(flags)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The workspace's folder.
#[cfg_attr(
    not(feature = "generate"),
    expect(dead_code, reason = "generation is its only user so far")
)]
fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask lies in the workspace")?.to_owned())
}

/// Tells the person at the terminal.
#[expect(
    clippy::print_stderr,
    reason = "a command-line program speaks on standard error; its output is data"
)]
fn say(line: &str) {
    eprintln!("{line}");
}
