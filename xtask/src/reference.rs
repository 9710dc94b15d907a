//! Writes the page about kubectl-profile, which is the program's own help.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use testkit::process;

const PAGE: &str = "docs/KUBECTL_PROFILE.md";

/// Writes the page under `root`, or with `check` fails where it is not current.
pub(crate) fn run(root: &Path, check: bool) -> anyhow::Result<()> {
    // The program is asked, not linked: it is a binary, and what a user runs is what counts.
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--package", "profiling-cli", "--", "__reference"]);
    let printed = process::run(cargo.current_dir(root))?.stdout;
    let text = String::from_utf8(printed).context("the page is text")?;
    let path = root.join(PAGE);
    if check {
        let found = std::fs::read_to_string(&path).with_context(|| format!("read {PAGE}"))?;
        if found != text {
            bail!("{PAGE} is not current; run `cargo run -p xtask -- reference`");
        }
        return Ok(());
    }
    std::fs::write(&path, text).with_context(|| format!("write {PAGE}"))
}
