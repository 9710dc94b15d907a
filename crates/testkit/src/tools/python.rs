//! Installing programs that Python packages bring.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Puts the programs of one package into `staging/bin`: whole ones of its wheel, which run without Python. Nothing is built, and
/// nothing that the package depends on is fetched.
pub(super) fn install(package: &str, version: &str, staging: &Path) -> Result<()> {
    // An environment of its own has a pip even where the machine has none.
    let environment = staging.join("environment");
    process::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let unpacked = staging.join("unpacked");
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--no-input", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary", ":all:", "--target"])
        .arg(&unpacked)
        .arg(format!("{package}=={version}"));
    process::run(&mut pip)?;
    for entry in fs::read_dir(unpacked.join("bin")).context("list the package's programs")? {
        let entry = entry.context("list the package's programs")?;
        fs::rename(entry.path(), staging.join("bin").join(entry.file_name())).context("move a program")?;
    }
    fs::remove_dir_all(&environment).context("remove the environment")?;
    fs::remove_dir_all(&unpacked).context("remove the package")
}
