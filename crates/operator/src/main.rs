//! `profiling-operator`: a flight recorder for workloads.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use operator::flags::{Flags, Mode};
use operator::telemetry::start_logs;

// glibc keeps the peaks of a full list for ever: after 10,000 pods were listed it held several times
// what was in use. mimalloc gives them back. What would change this: a figure that shows the contrary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let flags = Flags::parse();
    if let Err(error) = start_logs(&flags.log_level, matches!(flags.mode, Mode::Run(_))) {
        say_without_logs(&error);
        return ExitCode::FAILURE;
    }
    match run(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ended");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "there is no log yet, and an end without a word is a riddle"
)]
fn say_without_logs(error: &anyhow::Error) {
    eprintln!("profiling-operator: {error:#}");
}

fn run(flags: Flags) -> anyhow::Result<()> {
    // Pages of 2 MiB, of which our many small buffers use little: with 32 captures they were 28 of 36 MiB resident. The
    // allocator is built not to ask for them (`no_thp`), for it does so before this line, and the first two were 4 of the
    // 16 MiB of an idle process; where the machine gives them unasked, the image sets MIMALLOC_ALLOW_THP. Without the call
    // it is the same program, only larger.
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(error = %error, "huge pages not disabled");
    }
    // One provider for every connection of the process, chosen before the first.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("a TLS provider was installed already");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Two are enough for what is nearly all waiting; each costs its stack.
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        match flags.mode {
            Mode::Run(flags) => operator::cluster::run(flags).await,
            Mode::Standalone(flags) => operator::standalone::run(flags).await,
            Mode::Demo(flags) => operator::demo::run(flags).await,
        }
    })
}
