//! `cargo xtask deps`: everything that building and testing needs, fetched or built ahead.

use std::process::Command;

use anyhow::Result;
use testkit::process;
use testkit::tools::{KubernetesVersion, Tool, ensure, packages};

use crate::{root, say};

/// Fetches crates, installs missing packages and builds the tools. Without root it does what can be done and says what
/// is left.
pub(crate) fn run() -> Result<()> {
    process::run_shown(Command::new("cargo").args(["fetch", "--locked"]).current_dir(root()?))?;
    let missing = [packages::missing(), packages::missing_runtimes()].concat();
    if missing.is_empty() {
        say("packages of this machine: nothing is missing");
    } else if process::is_root() {
        say(&format!("installing packages: {}", missing.join(" ")));
        packages::install(&missing)?;
    } else {
        say(&format!(
            "left out, because only root can install packages: {}",
            missing.join(" ")
        ));
    }
    let version = KubernetesVersion::from_environment()?;
    let others = [
        Tool::CargoDeny,
        Tool::Buildah,
        Tool::Helm,
        Tool::PySpy,
        Tool::Austin,
        Tool::Java25,
        Tool::AsyncProfiler,
    ];
    for tool in Tool::of_cluster(version).into_iter().chain(others) {
        let begun = testkit::wait::now();
        match ensure(tool) {
            Ok(_) => say(&format!("{} ({:.0} s)", tool.folder(), begun.elapsed().as_secs_f64())),
            // For want of a package, perhaps.
            Err(error) if !process::is_root() => say(&format!("left out: {}: {error:#}", tool.folder())),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
