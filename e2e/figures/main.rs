//! The figures that need a cluster: `make bench` starts one, runs this inside its network, and takes the cluster down.
//!
//! `figures PART…` takes the parts named and prints their table. A figure that misses its limit is a row that says so; an
//! error is a figure that could not be taken.

mod beside;
mod bodies;
mod idle;
mod reaction;
mod requests;
mod scale;
mod table;
mod target;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use testkit::Cluster;

use table::Table;

/// Takes the figures of one part.
type Part = fn(&Cluster, &mut Table) -> Result<()>;

/// The parts by name, in the order in which they are wanted.
const PARTS: [(&str, Part); 6] = [
    ("requests", requests::take),
    ("reaction", reaction::take),
    ("idle", idle::take),
    ("bodies", bodies::take),
    ("target", target::take),
    ("scale", scale::take),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let cluster = Cluster::from_environment()?;
    let mut parts = Vec::new();
    for name in std::env::args().skip(1) {
        match PARTS.iter().find(|(known, _)| *known == name) {
            Some(part) => parts.push(part),
            None => bail!(
                "no part is called {name:?}; there are {:?}",
                PARTS.map(|(known, _)| known)
            ),
        }
    }
    let mut table = Table::default();
    let mut failed = Vec::new();
    for (name, take) in parts {
        say(&format!("== {name}"));
        // What one part comes to says nothing of the others.
        if let Err(error) = take(&cluster, &mut table) {
            say(&format!("{name}: {error:#}"));
            failed.push(*name);
        }
    }
    table.show();
    if failed.is_empty() {
        return Ok(());
    }
    Err(anyhow::anyhow!("{}", failed.join(", "))).context("figures that could not be taken")
}

/// Tells whoever waits how far it is.
#[expect(clippy::print_stderr, reason = "progress goes beside the table, not into it")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
