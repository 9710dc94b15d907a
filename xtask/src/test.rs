//! `make test`: every suite, in the order in which they find mistakes fastest, and one table at the end.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;
use testkit::process;
use testkit::tools::{Tool, ensure};

use crate::suite::{Ran, run, table};
use crate::{e2e, root, say};

/// Exit code when everything that ran is green but something was left out.
const LEFT_OUT: u8 = 3;

/// Go modules of this repository with tests of their own.
const GO_MODULES: [&str; 2] = ["examples/sample-app", "e2e/hostile"];

/// Runs everything that this machine can run.
pub(crate) fn everything() -> Result<ExitCode> {
    let mut ran = static_checks()?;
    let mut left_out = Vec::new();
    let root = root()?;
    ran.push(run(
        "units",
        cargo(&root).args(["test", "--workspace", "--exclude", "e2e", "--no-fail-fast"]),
    )?);
    for module in GO_MODULES {
        ran.push(run(
            module,
            Command::new("go")
                .args(["test", "-v", "./..."])
                .current_dir(root.join(module)),
        )?);
    }
    if process::is_root() {
        ran.extend(e2e_results()?);
    } else {
        left_out.push((
            "e2e".to_owned(),
            "needs root, for network namespaces and a kubelet".to_owned(),
        ));
    }
    say(&table(&ran, &left_out));
    let failed = ran.iter().any(|suite| suite.counts.failed > 0);
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
    if failed || (is_ci && !left_out.is_empty()) {
        return Ok(ExitCode::FAILURE);
    }
    Ok(if left_out.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(LEFT_OUT)
    })
}

/// `make vet`: what can be said without running anything of ours.
pub(crate) fn vet() -> Result<ExitCode> {
    let mut ran = static_checks()?;
    let hygiene = ["test", "--package", "xtask", "--test", "architecture", "--test", "tidy"];
    ran.push(run("architecture, tidiness", cargo(&root()?).args(hygiene))?);
    say(&table(&ran, &[]));
    let failed = ran.iter().any(|suite| suite.counts.failed > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn static_checks() -> Result<Vec<Ran>> {
    let root = root()?;
    let mut ran = vec![run("format", cargo(&root).args(["fmt", "--all", "--check"]))?];
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    ran.push(run("clippy", cargo(&root).args(clippy))?);
    let deny = ensure(Tool::CargoDeny)?.join("cargo-deny");
    let checks = ["--log-level", "error", "check", "bans", "licenses", "sources"];
    ran.push(run(
        "licences, bans, sources",
        Command::new(deny).args(checks).current_dir(&root),
    )?);
    ran.push(run(
        "generated files",
        cargo(&root).args(["run", "--quiet", "--package", "xtask", "--", "crd", "--check"]),
    )?);
    for module in GO_MODULES {
        let unformatted = r#"files="$(gofmt -l .)" && [ -z "$files" ] || { echo "not formatted: $files"; exit 1; }"#;
        let check = format!("{unformatted} && go vet ./...");
        ran.push(run(
            &format!("vet {module}"),
            Command::new("sh").args(["-c", &check]).current_dir(root.join(module)),
        )?);
    }
    Ok(ran)
}

/// An end-to-end suite that cannot even start is a failure like another: the table must still be shown.
fn e2e_results() -> Result<Vec<Ran>> {
    match e2e::run(&e2e::Flags::default()) {
        Ok(ran) => Ok(ran),
        Err(error) => {
            say(&format!("error: {error:#}"));
            Ok(vec![run("e2e", &mut Command::new("false"))?])
        }
    }
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root);
    command
}
