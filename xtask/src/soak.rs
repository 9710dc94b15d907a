//! `make soak`: what takes hours. The tests in their long form, every fuzz target, and the stories in which the operator is
//! killed, many times.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use testkit::tools::{self, Tool};

use crate::suite::{self, Ran};
use crate::test::Results;
use crate::{e2e, root, say};

/// Resident memory at which the fuzzer complains, and the largest single piece. Inputs have at most [`INPUT_BYTES_MAX`]; what
/// they unpack to is limited to 16 MiB, and a decoder may have it twice beside what it makes of it.
const RESIDENT_MEBIBYTES_MAX: u32 = 512;
const ALLOCATION_MEBIBYTES_MAX: u32 = 128;

/// The largest input that the fuzzer makes. Four times the largest seed.
const INPUT_BYTES_MAX: u32 = 64 << 10;

/// An input that takes longer than this is a finding: all that is done with one takes milliseconds.
const INPUT_SECONDS_MAX: u32 = 20;

/// Where libFuzzer says at its end how many inputs it tried.
const INPUTS_LABEL: &str = "stat::number_of_executed_units:";

/// Lines of a fuzzer's log that are shown when it failed: the panic, its frames, the input and how to try it again.
const LOG_LINES_SHOWN: usize = 80;

/// `cargo xtask soak`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Only this part.
    #[arg(long)]
    only: Option<Part>,
    /// Minutes of fuzzing, over all targets.
    #[arg(long, default_value_t = 60)]
    fuzz_minutes: u64,
    /// Only this fuzz target.
    #[arg(long)]
    target: Option<String>,
    /// Repeats a soak: the seed that it printed.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The tests of all crates, in their long form.
    Tests,
    /// The fuzz targets.
    Fuzz,
    /// The stories of kills, on a real cluster.
    Stories,
}

/// Runs the soak and says how it went.
pub(crate) fn run(flags: &Flags) -> Result<ExitCode> {
    let seed = flags.seed.unwrap_or_else(|| RandomState::new().hash_one("soak"));
    say(&format!("the seed of this soak: --seed {seed}"));
    let mut results = Results::default();
    let wanted = |part| flags.only.is_none_or(|only| only == part);
    if wanted(Part::Tests) {
        test(&mut results, seed)?;
    }
    if wanted(Part::Fuzz) {
        fuzz(&mut results, flags, seed)?;
    }
    if wanted(Part::Stories) {
        results.tell_stories(&e2e::Flags {
            test: Some("faults_operator".to_owned()),
            arguments: vec!["killed".to_owned()],
            environment: environment(seed),
            ..e2e::Flags::default()
        })?;
    }
    Ok(results.verdict())
}

/// What makes tests do their long form, and the random ones throw from the seed.
fn environment(seed: u64) -> Vec<(String, String)> {
    let variables = [
        ("SOAK", "1".to_owned()),
        ("SOAK_SEED", seed.to_string()),
        ("PROPTEST_RNG_SEED", seed.to_string()),
    ];
    variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn test(results: &mut Results, seed: u64) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--release", "--workspace", "--exclude", "e2e", "--no-fail-fast"])
        .envs(environment(seed))
        .current_dir(root()?);
    results.run("tests in their long form", &mut cargo)?;
    Ok(())
}

/// Every target for its share of the time, from real files and from what was found before.
fn fuzz(results: &mut Results, flags: &Flags, seed: u64) -> Result<()> {
    let mut targets = targets(&root()?.join("fuzz/targets"))?;
    targets.retain(|name| flags.target.as_ref().is_none_or(|only| only == name));
    ensure!(!targets.is_empty(), "there is no such fuzz target");
    let work = root()?.join("target/fuzz");
    let seeds = work.join("seeds");
    fs::create_dir_all(&seeds).with_context(|| format!("create {}", seeds.display()))?;
    let mut collect = Command::new("cargo");
    collect
        .args(["run", "--package", "profiling-profile", "--features", "libdeflate"])
        .args(["--example", "fuzz_seeds", "--"])
        .arg(&seeds)
        .current_dir(root()?);
    let mut build = cargo_fuzz(&work, "build")?;
    for (name, command) in [("seeds of the fuzzer", &mut collect), ("fuzz targets", &mut build)] {
        if !results.run(name, command)? {
            return Ok(());
        }
    }
    // 0 would be without end.
    let seconds = (flags.fuzz_minutes * 60 / targets.len() as u64).max(1);
    for target in &targets {
        results.add(fuzz_one(target, &work, seconds, seed)?);
    }
    Ok(())
}

/// One target. What its fuzzer says goes into a file, the end of which is shown when it found something.
fn fuzz_one(target: &str, work: &Path, seconds: u64, seed: u64) -> Result<Ran> {
    let (corpus, findings) = (work.join("corpus").join(target), work.join("findings").join(target));
    let logs = work.join("logs");
    for folder in [&corpus, &findings, &logs] {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let log = logs.join(target);
    let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
    say(&format!("== fuzz {target} for {seconds} s, log {}", log.display()));
    let before = files(&findings)?;
    let mut cargo = cargo_fuzz(work, "run")?;
    cargo
        .arg(target)
        .arg(&corpus)
        .arg(work.join("seeds").join(target))
        .arg("--")
        .args([
            format!("-artifact_prefix={}/", findings.display()),
            format!("-max_total_time={seconds}"),
            // libFuzzer's seed has 32 bits.
            format!("-seed={}", seed & 0xffff_ffff),
            format!("-max_len={INPUT_BYTES_MAX}"),
            format!("-timeout={INPUT_SECONDS_MAX}"),
            format!("-rss_limit_mb={RESIDENT_MEBIBYTES_MAX}"),
            format!("-malloc_limit_mb={ALLOCATION_MEBIBYTES_MAX}"),
            "-print_final_stats=1".to_owned(),
        ])
        .stderr(output);
    let mut ran = suite::run(target, &mut cargo)?;
    let said = fs::read_to_string(&log).with_context(|| format!("read {}", log.display()))?;
    let inputs = said.lines().find_map(|line| line.strip_prefix(INPUTS_LABEL));
    ran.name = format!("fuzz {target}, {} inputs", inputs.map_or("no", str::trim));
    if ran.counts.failed > 0 {
        let lines: Vec<_> = said.lines().collect();
        let first = lines.len().saturating_sub(LOG_LINES_SHOWN);
        say(&lines.get(first..).unwrap_or_default().join("\n"));
    }
    for found in files(&findings)?.difference(&before) {
        say(&format!("FOUND by fuzz {target}: {}", found.display()));
    }
    Ok(ran)
}

/// All files of a folder.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let listed = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    listed
        .map(|entry| Ok(entry.with_context(|| format!("list {}", folder.display()))?.path()))
        .collect()
}

/// A command of cargo-fuzz over our targets. The sanitizer and the instrumentation that the fuzzer follows are flags that
/// only a nightly compiler takes without being told that it is wanted. The sanitizer watches libdeflate, too, which is C.
fn cargo_fuzz(work: &Path, command: &str) -> Result<Command> {
    let mut cargo = Command::new(tools::ensure(Tool::CargoFuzz)?.join("cargo-fuzz"));
    cargo
        .args([command, "--fuzz-dir", "fuzz"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CFLAGS", "-fsanitize=address")
        .env("CARGO_TARGET_DIR", work.join("target"))
        .current_dir(root()?);
    Ok(cargo)
}

/// The names of the fuzz targets, a file for each.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let stems = files(folder)?.into_iter().map(|path| path.with_extension(""));
    let names = stems.filter_map(|stem| Some(stem.file_name()?.to_string_lossy().into_owned()));
    Ok(names.collect())
}
