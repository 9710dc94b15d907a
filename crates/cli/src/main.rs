//! kubectl-profile: read, compare and explain profiles on local files, without a cluster.
//!
//! Exit codes: 0 done, 1 failed (a bad profile included), 2 wrong usage.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use profile::view::printable;

mod args;
mod check;
mod combine;
mod completion;
mod convert;
mod files;
mod pgo;
mod reference;
mod select;
mod show;

use args::{Args, Command};

/// What a command line that cannot be meant is told by, as clap does it.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    // Before arguments are read: the words to complete may be any, a "--" among them.
    if words.next().is_some_and(|first| first == completion::COMPLETE) {
        let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        return ended(completion::complete(&words));
    }
    let Args { command } = Args::parse();
    ended(match command {
        Command::Check(args) => check::run(&args),
        Command::Info(args) => show::info(&args),
        Command::Top(args) => show::top(&args),
        Command::Peek(args) => show::peek(&args),
        Command::Flame(args) => show::flame(&args),
        Command::Merge(args) => combine::merge(&args),
        Command::Diff(args) => combine::diff(&args),
        Command::Pgo(args) => pgo::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Completion(args) => completion::script(&args),
        Command::Reference => reference::run(),
    })
}

fn ended(done: anyhow::Result<bool>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever read our output has seen enough of it.
        Err(error)
            if error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) =>
        {
            ExitCode::SUCCESS
        }
        Err(error) => {
            tell(&format!("kubectl-profile: {error:#}"));
            if error.is::<files::Usage>() {
                ExitCode::from(WRONG_USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// One line to the person, not into the result. It may quote a profile.
fn tell(line: &str) {
    // If standard error is gone there is nobody to tell; the exit code is all that is left to say it with.
    drop(writeln!(std::io::stderr(), "{}", printable(line)));
}
