//! Building Go programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Smaller programs that do not depend on where they were built; the same for every build, so that Go's own build cache is
/// shared between tools.
const FLAGS: [&str; 3] = ["-trimpath", "-ldflags", STRIP];
const STRIP: &str = "-s -w";

/// `go` at low priority: a build takes minutes, and the machine is somebody's.
pub(super) fn command() -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "10", "go"]).env("GOWORK", "off");
    command
}

/// Installs main packages of one module at `version` into `bin`.
pub(super) fn install(packages: &[&str], version: &str, tags: &str, bin: &Path) -> Result<()> {
    let mut go = command();
    go.arg("install").args(FLAGS).args(["-tags", tags]);
    go.args(packages.iter().map(|package| format!("{package}@{version}")));
    process::run(go.env("GOBIN", bin)).map(drop)
}

/// Builds the module in `dir` to the file `out`. `-mod=mod` lets Go complete the go.mod with what the sources import, at
/// the versions that the required modules ask for. `variables` are set at link time: package path, name and value.
pub(super) fn build(dir: &Path, out: &Path, variables: &[(&str, String)]) -> Result<()> {
    let set: String = variables
        .iter()
        .map(|(name, value)| format!(" -X {name}={value}"))
        .collect();
    let mut go = command();
    go.args([
        "build",
        "-trimpath",
        "-mod=mod",
        "-ldflags",
        &format!("{STRIP}{set}"),
        "-o",
    ])
    .arg(out)
    .arg(".");
    process::run(go.current_dir(dir)).map(drop)
}

/// Builds one file without dependencies to a static program `name` in `bin`.
pub(super) fn build_file(source: &str, name: &str, bin: &Path) -> Result<()> {
    let dir = bin.with_file_name("src");
    fs::create_dir_all(&dir).context("create source folder")?;
    fs::write(dir.join("main.go"), source).context("write source")?;
    let mut go = command();
    go.arg("build").args(FLAGS).arg("-o").arg(bin.join(name)).arg("main.go");
    process::run(go.env("CGO_ENABLED", "0").current_dir(&dir)).map(drop)
}
