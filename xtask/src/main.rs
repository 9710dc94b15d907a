//! The project's own chores: generation, the architecture test, the test cluster.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

mod bench;
mod cluster;
#[cfg(feature = "generate")]
mod crd;
mod deps;
mod e2e;
mod image;
mod reference;
mod soak;
mod suite;
mod test;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own chores")]
struct Flags {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Print the figures; those of a cluster need root.
    Bench(bench::Flags),
    /// Write the custom resource's definition from the code.
    #[cfg(feature = "generate")]
    Crd {
        /// Fail where a file is not current, and write nothing.
        #[arg(long)]
        check: bool,
    },
    /// The test cluster.
    Cluster(cluster::Flags),
    /// Fetch and build everything that building and testing needs.
    Deps,
    /// Run the end-to-end stories on a real cluster.
    E2e(e2e::Flags),
    /// Build the operator's image.
    Image(image::Flags),
    /// Write the page about kubectl-profile from its help.
    Reference {
        /// Fail where the page is not current, and write nothing.
        #[arg(long)]
        check: bool,
    },
    /// Run the long form of every test, then the fuzzer, then the stories of kills.
    Soak(soak::Flags),
    /// Run every test.
    Test,
    /// Run every check that needs no test to run.
    Vet,
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
        Chore::Bench(flags) => bench::run(&flags)?,
        Chore::Cluster(flags) => cluster::run(flags)?,
        Chore::Deps => deps::run()?,
        Chore::E2e(flags) => {
            let ran = e2e::run(&flags)?;
            say(&suite::table(&ran, &[]));
            if ran.iter().any(|one| one.counts.failed > 0) {
                return Ok(ExitCode::FAILURE);
            }
        }
        Chore::Image(flags) => image::run(&flags)?,
        Chore::Reference { check } => reference::run(&root()?, check)?,
        Chore::Soak(flags) => return soak::run(&flags),
        Chore::Test => return test::everything(),
        Chore::Vet => return test::vet(),
    }
    Ok(ExitCode::SUCCESS)
}

/// The workspace's folder.
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
