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

/// Builds main packages of `module` at `version` into `staging/bin`; packages are named by their path in the module.
///
/// Through a module of our own and not by `go install`, which first asks for the list of all versions of the module, and
/// a proxy may not have that.
pub(super) fn install(module: &str, packages: &[&str], version: &str, tags: &str, staging: &Path) -> Result<()> {
    let source = staging.join("src");
    fs::create_dir_all(&source).context("create source folder")?;
    let file = format!("module profiling.io/testkit/tool\n\ngo 1.26\n\nrequire {module} {version}\n");
    fs::write(source.join("go.mod"), file).context("write go.mod")?;
    let mut go = command();
    go.arg("build")
        .args(FLAGS)
        .args(["-mod=mod", "-tags", tags, "-o"])
        .arg(staging.join("bin/"));
    go.args(
        packages
            .iter()
            .map(|package| format!("{module}/{package}").trim_end_matches('/').to_owned()),
    );
    process::run(go.current_dir(&source)).map(drop)
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
