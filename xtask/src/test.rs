//! `make test`: every suite, in the order in which they find mistakes fastest, and one table at the end.

use std::process::{Command, ExitCode};

use anyhow::Result;
use testkit::process;
use testkit::tools::{Tool, ensure, packages};

use crate::suite::{self, Ran};
use crate::{e2e, root, say};

/// Exit code when everything that ran is green but something was left out.
const LEFT_OUT: u8 = 3;

/// Go modules of this repository with tests of their own.
const GO_MODULES: [&str; 2] = ["examples/sample-app", "e2e/hostile"];

/// Fails where a file is not formatted, and names it.
const GOFMT: &str = r#"files="$(gofmt -l .)" && [ -z "$files" ] || { echo "not formatted: $files"; exit 1; }"#;

/// Runs everything that this machine can run.
pub(crate) fn everything() -> Result<ExitCode> {
    let mut results = Results::default();
    results.check_statically()?;
    results.install_runtimes();
    results.cargo("units", &["test", "--workspace", "--exclude", "e2e", "--no-fail-fast"])?;
    for module in GO_MODULES {
        results.run(
            module,
            Command::new("go")
                .args(["test", "-v", "./..."])
                .current_dir(root()?.join(module)),
        )?;
    }
    results.tell_stories(&e2e::Flags::default())?;
    Ok(results.verdict())
}

/// `make vet`: what can be said without running the product.
pub(crate) fn vet() -> Result<ExitCode> {
    let mut results = Results::default();
    results.check_statically()?;
    let hygiene = ["test", "--package", "xtask", "--test", "architecture", "--test", "tidy"];
    results.cargo("architecture, tidiness", &hygiene)?;
    Ok(results.verdict())
}

/// What ran, and what could not and why.
#[derive(Debug, Default)]
pub(crate) struct Results {
    ran: Vec<Ran>,
    left_out: Vec<(String, String)>,
}

impl Results {
    /// Runs a suite, and says whether it is green.
    pub(crate) fn run(&mut self, name: &str, command: &mut Command) -> Result<bool> {
        say(&format!("== {name}"));
        let ran = suite::run(name, command)?;
        let is_green = ran.counts.failed == 0;
        self.add(ran);
        Ok(is_green)
    }

    pub(crate) fn add(&mut self, ran: Ran) {
        self.ran.push(ran);
    }

    fn cargo(&mut self, name: &str, arguments: &[&str]) -> Result<()> {
        self.run(name, Command::new("cargo").args(arguments).current_dir(root()?))?;
        Ok(())
    }

    pub(crate) fn leave_out(&mut self, name: &str, why: &str) {
        self.left_out.push((name.to_owned(), why.to_owned()));
    }

    fn check_statically(&mut self) -> Result<()> {
        self.cargo("format", &["fmt", "--all", "--check"])?;
        self.cargo(
            "clippy",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ],
        )?;
        self.check_licences()?;
        self.cargo(
            "generated files",
            &["run", "--quiet", "--package", "xtask", "--", "crd", "--check"],
        )?;
        self.cargo(
            "generated pages",
            &["run", "--quiet", "--package", "xtask", "--", "reference", "--check"],
        )?;
        for module in GO_MODULES {
            let check = format!("{GOFMT} && go vet ./...");
            let mut sh = Command::new("sh");
            self.run(
                &format!("vet {module}"),
                sh.args(["-c", &check]).current_dir(root()?.join(module)),
            )?;
        }
        Ok(())
    }

    /// What the importers' tests run: node, java and python. Where they cannot be installed, those tests say so.
    fn install_runtimes(&mut self) {
        let missing = packages::missing_runtimes();
        if !missing.is_empty() {
            say(&format!("installing packages: {}", missing.join(" ")));
        }
        if let Err(error) = packages::install(&missing) {
            self.leave_out("importers, on real programs", &format!("{error:#}"));
        }
    }

    fn check_licences(&mut self) -> Result<()> {
        const NAME: &str = "licences, bans, sources";
        let checks = ["--log-level", "error", "check", "bans", "licenses", "sources"];
        match ensure(Tool::CargoDeny) {
            Ok(bin) => {
                let mut deny = Command::new(bin.join("cargo-deny"));
                self.run(NAME, deny.args(checks).current_dir(root()?))?;
            }
            Err(error) => self.leave_out(NAME, &format!("cargo-deny cannot be built: {error:#}")),
        }
        Ok(())
    }

    /// A suite that cannot even start is a failure like another: the table is still shown.
    pub(crate) fn tell_stories(&mut self, flags: &e2e::Flags) -> Result<()> {
        if !process::is_root() {
            self.leave_out("e2e", "needs root, for network namespaces and a kubelet");
            return Ok(());
        }
        match e2e::run(flags) {
            Ok(ran) => self.ran.extend(ran),
            Err(error) => {
                say(&format!("error: {error:#}"));
                self.run("e2e", &mut Command::new("false"))?;
            }
        }
        Ok(())
    }

    /// Shows the table and gives the exit code. In CI, something left out is a failure.
    pub(crate) fn verdict(&self) -> ExitCode {
        say(&suite::table(&self.ran, &self.left_out));
        let failed = self.ran.iter().any(|suite| suite.counts.failed > 0);
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        match (failed, self.left_out.is_empty()) {
            (false, true) => ExitCode::SUCCESS,
            (false, false) if !is_ci => ExitCode::from(LEFT_OUT),
            _ => ExitCode::FAILURE,
        }
    }
}
