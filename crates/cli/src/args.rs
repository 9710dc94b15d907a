//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use profile::pattern::{Pattern, PatternError};

mod filters;

pub(crate) use filters::{FilterArgs, Labels};

/// Read, compare and explain profiles on local files; no cluster is needed.
///
/// Wherever a profile is read, it may be one of pprof (packed or not), of gperftools, Go's debug=1, jemalloc's heap, collapsed
/// stacks (py-spy, austin, async-profiler, perf), V8's .cpuprofile or .heapprofile, or a JFR recording. What it is shows in
/// its bytes; names do not matter.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-profile",
    version,
    after_help = "Exit codes: 0 done, 1 failed (a bad profile included), 2 wrong usage."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell whether files are whole and valid profiles.
    ///
    /// pprof profiles get both checks: the one that the operator runs while a body streams into the bucket, and the full
    /// one, whose verdict is that of google/pprof. Profiles of other formats are valid when they can be read.
    Check(CheckArgs),
    /// Show what a profile says about itself.
    Info(InfoArgs),
    /// Show the functions that cost most, as `pprof -top` does.
    Top(TopArgs),
    /// Show who calls functions and whom they call, as `pprof -peek` does.
    Peek(PeekArgs),
    /// Draw a flame graph, or write its stacks.
    Flame(FlameArgs),
    /// Merge profiles into one, as `pprof -proto` does.
    ///
    /// Profiles that do not measure the same are made to: the sample types that all have are kept, in the finest unit that any has.
    Merge(MergeArgs),
    /// Subtract one profile from another, as pprof's `-base` does, and with --labelled its `-diff_base`.
    ///
    /// With --delta it is what a program did between two profiles that count from its start.
    Diff(DiffArgs),
    /// Merge CPU profiles into one for `go build -pgo`.
    ///
    /// The compiler reads default.pgo in the folder of the main package by itself. Profiles of production, of several pods
    /// and hours, make a better one than any benchmark. In a folder what is no CPU profile is left out, and said so; a file
    /// that is named must be one, and none may be damaged. Profiles must have the start lines of functions: Go writes them since 1.20.
    Pgo(PgoArgs),
    /// Make a profile of one format into another.
    ///
    /// A JFR recording becomes one profile with the sample types of what it holds: cpu, wall, alloc, inuse, lock. Names, files
    /// and lines are those that the source has. Collapsed stacks are counts of samples unless austin wrote them.
    Convert(ConvertArgs),
    /// Print a script with which a shell completes this program's arguments.
    ///
    /// For `kubectl profile` kubectl itself asks a program named kubectl_complete-profile, which has to run `kubectl-profile
    /// __complete` with the arguments that it is given.
    Completion(CompletionArgs),
    /// Print the reference page.
    #[command(name = "__reference", hide = true)]
    Reference,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Arguments of `check`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  kubectl-profile check heap.pprof
  kubectl-profile check -o json profiles/2026-01-15/web | jq '.[] | select(.valid | not)'
  curl -s localhost:6060/debug/pprof/heap | kubectl-profile check -")]
pub(crate) struct CheckArgs {
    /// Profiles, folders of them, or "-" for standard input.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

/// Arguments of `info`.
#[derive(Debug, ClapArgs)]
pub(crate) struct InfoArgs {
    /// A profile, or "-" for standard input.
    pub(crate) file: PathBuf,
    /// How to print.
    #[arg(short, long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

/// Arguments of `top`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  kubectl-profile top cpu.pprof
  kubectl-profile top --cum -n 50 -t alloc_space heap.pprof
  kubectl-profile top -n 0 --node-fraction 0 -o json cpu.pprof | jq '.functions[] | select(.flat > 0) | .name'
  kubectl-profile diff --labelled --base before.pprof after.pprof | kubectl-profile top -")]
pub(crate) struct TopArgs {
    /// A profile, or "-" for standard input.
    pub(crate) file: PathBuf,
    /// Which value: the name of a sample type or its index. The profile's default when it is not given.
    #[arg(short = 't', long)]
    pub(crate) sample_type: Option<String>,
    /// How many functions at most; 0 for all.
    #[arg(short = 'n', long, default_value_t = 20)]
    pub(crate) count: usize,
    /// First what costs most with all that it called, not what costs most in itself.
    #[arg(long)]
    pub(crate) cum: bool,
    /// Leave out functions that cost less than this part of all, with all that they called; 0 for none.
    #[arg(long, default_value_t = 0.005, value_parser = fraction)]
    pub(crate) node_fraction: f64,
    /// How to print.
    #[arg(short, long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    /// What of it is looked at.
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
}

fn fraction(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(fraction) if (0.0..=1.0).contains(&fraction) => Ok(fraction),
        Ok(_) | Err(_) => Err("a fraction is a number from 0 to 1".to_owned()),
    }
}

/// Arguments of `peek`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  kubectl-profile peek '^runtime.mallocgc$' cpu.pprof
  kubectl-profile peek -o json 'json.*Marshal' cpu.pprof | jq '.functions[].callers'")]
pub(crate) struct PeekArgs {
    /// A regular expression of the functions' names; it may match anywhere in them.
    #[arg(value_parser = named)]
    pub(crate) regex: Named,
    /// A profile, or "-" for standard input.
    pub(crate) file: PathBuf,
    /// Which value: the name of a sample type or its index. The profile's default when it is not given.
    #[arg(short = 't', long)]
    pub(crate) sample_type: Option<String>,
    /// First what costs most with all that it called, not what costs most in itself.
    #[arg(long)]
    pub(crate) cum: bool,
    /// How to print.
    #[arg(short, long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    /// What of it is looked at.
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
}

/// A pattern of names, and how it was written.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) text: String,
    pub(crate) pattern: Pattern,
}

fn named(text: &str) -> Result<Named, PatternError> {
    Ok(Named {
        text: text.to_owned(),
        pattern: Pattern::new(text.as_bytes())?,
    })
}

/// Arguments of `flame`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
A comparison is drawn with the room of both profiles: red is what is more than before, blue what is less, and frames that
are new or gone have a border and a sign. Folded stacks of a comparison have two numbers, before and after.

Examples:
  kubectl-profile flame --out cpu.svg cpu.pprof
  kubectl-profile flame --sandwich runtime.mallocgc --out malloc.svg cpu.pprof
  kubectl-profile flame --base before.pprof --normalize --out changes.svg after.pprof
  kubectl-profile flame --speedscope --out heap.speedscope.json heap.pprof")]
pub(crate) struct FlameArgs {
    /// A profile, or "-" for standard input.
    pub(crate) file: PathBuf,
    /// Which value: the name of a sample type or its index. The profile's default when it is not given; speedscope gets all.
    #[arg(short = 't', long)]
    pub(crate) sample_type: Option<String>,
    /// Draw who called what costs, from the leaves on.
    #[arg(long, conflicts_with_all = ["sandwich", "folded", "speedscope"])]
    pub(crate) inverted: bool,
    /// Draw one function, with all its callers above it and all that it called below: its name, or a part that no other has.
    #[arg(long, value_name = "FUNCTION", conflicts_with_all = ["folded", "speedscope"])]
    pub(crate) sandwich: Option<String>,
    /// Compare with this profile.
    #[arg(long, value_name = "FILE", conflicts_with = "speedscope")]
    pub(crate) base: Option<PathBuf>,
    /// Compare parts of the whole instead of values: for profiles that were taken over different times.
    #[arg(long, requires = "base", conflicts_with = "folded")]
    pub(crate) normalize: bool,
    /// Write folded stacks instead of a picture.
    #[arg(long, conflicts_with = "speedscope")]
    pub(crate) folded: bool,
    /// Write what speedscope reads instead of a picture.
    #[arg(long)]
    pub(crate) speedscope: bool,
    /// How many frames the picture has at most; what is left out stays in the frames above.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) nodes_max: usize,
    /// The file to write; standard output when it is not given.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// What of it is looked at.
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
}

/// Whose rules hold where profiles become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rules {
    /// Those of the program pprof, as `pprof -proto` writes it. Sample types that not all have are left out, units are made
    /// the same, code in no mapping gets one, a single profile is written as it is, and frames that the profile calls
    /// uninteresting are cut off.
    Pprof,
    /// Those of google/pprof's library: nothing is invented and nothing is lost. Profiles must have the same sample types, and a
    /// single one is compacted.
    Library,
}

/// How a profile that was made of others is written.
#[derive(Debug, ClapArgs)]
pub(crate) struct WriteArgs {
    /// Write the protobuf without gzip, as the library's `Merge` and `WriteUncompressed` do.
    #[arg(long)]
    pub(crate) raw: bool,
    /// Whose rules hold: those of pprof when it is not given, and with --raw those of the library.
    #[arg(long, value_enum)]
    pub(crate) rules: Option<Rules>,
    /// The file to write; standard output when it is not given.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `merge`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  kubectl-profile merge --out day.pprof profiles/2026-01-15/web/*-cpu.pprof
  kubectl-profile merge --focus '^main[.]' cpu-1.pprof cpu-2.pprof | kubectl-profile top -")]
pub(crate) struct MergeArgs {
    /// Profiles, folders of them, or "-" for standard input.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How it is written.
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    /// What of it is looked at.
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
}

/// Arguments of `diff`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  kubectl-profile diff --base before.pprof after.pprof | kubectl-profile top -
  kubectl-profile diff --labelled --normalize --base before.pprof --out changes.pprof after.pprof
  kubectl-profile diff --delta --base 120000-allocs.pprof 130000-allocs.pprof | kubectl-profile flame --out hour.svg -")]
pub(crate) struct DiffArgs {
    /// The profile to subtract.
    #[arg(long)]
    pub(crate) base: PathBuf,
    /// The profile to subtract it from, or "-" for standard input.
    pub(crate) file: PathBuf,
    /// Keep the base's samples apart under the label that pprof marks them with, so that percentages are of the base.
    #[arg(long)]
    pub(crate) labelled: bool,
    /// Scale the profile to the base's totals first.
    #[arg(long)]
    pub(crate) normalize: bool,
    /// Take what counts from the start of the program as far as it grew since the base, and what is a state as it is now: for
    /// Go's allocs, heap, mutex and block. If the program was restarted in between, it is all that it did since then.
    #[arg(long, conflicts_with_all = ["labelled", "normalize", "rules"])]
    pub(crate) delta: bool,
    /// How it is written.
    #[command(flatten)]
    pub(crate) write: WriteArgs,
    /// What of it is looked at.
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
}

/// Arguments of `pgo`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  kubectl-profile pgo --out cmd/web/default.pgo profiles/2026-01-15/web
  go build -pgo=auto ./cmd/web")]
pub(crate) struct PgoArgs {
    /// CPU profiles of one program, folders of them, or "-" for standard input.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The file to write.
    #[arg(long, default_value = "default.pgo")]
    pub(crate) out: PathBuf,
}

/// A format to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// pprof's protobuf, or one of the older formats that pprof reads.
    Pprof,
    /// A line for each stack, of py-spy, austin, async-profiler or perf.
    Collapsed,
    /// V8's CPU profile.
    Cpuprofile,
    /// V8's sampling heap profile.
    Heapprofile,
    /// Java's flight recorder, of the JVM or async-profiler.
    Jfr,
}

/// A format to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum To {
    /// pprof's protobuf with gzip.
    Pprof,
    /// pprof's protobuf without gzip.
    Raw,
    /// A line for each stack of one sample type.
    Folded,
    /// What speedscope reads: all sample types, or the one that is given.
    Speedscope,
}

/// Arguments of `convert`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  kubectl-profile convert --out app.pprof recording.jfr && go tool pprof -top -sample_index=alloc_space app.pprof
  node --cpu-prof --cpu-prof-name=app.cpuprofile app.js && kubectl-profile convert --out app.pprof app.cpuprofile
  py-spy record -f raw -o app.stacks --pid 4711 && kubectl-profile convert --out app.pprof app.stacks
  perf script report stackcollapse | kubectl-profile convert --out app.pprof -")]
pub(crate) struct ConvertArgs {
    /// A profile, or "-" for standard input.
    pub(crate) file: PathBuf,
    /// The format of the file. Seen in its bytes when it is not given.
    #[arg(long, value_enum)]
    pub(crate) from: Option<From>,
    /// The format to write.
    #[arg(long, value_enum, default_value = "pprof")]
    pub(crate) to: To,
    /// Which value is written as stacks: the name of a sample type or its index. The profile's default when it is not given;
    /// speedscope gets all.
    #[arg(short = 't', long)]
    pub(crate) sample_type: Option<String>,
    /// The file to write; standard output when it is not given.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// What of it is looked at.
    #[command(flatten)]
    pub(crate) filters: FilterArgs,
}

/// Arguments of `completion`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  kubectl-profile completion bash > /etc/bash_completion.d/kubectl-profile
  kubectl-profile completion zsh > \"${fpath[1]}/_kubectl-profile\"
  kubectl-profile completion fish > ~/.config/fish/completions/kubectl-profile.fish
  printf '#!/bin/sh\\nexec kubectl-profile __complete \"$@\"\\n' > ~/bin/kubectl_complete-profile && chmod +x ~/bin/kubectl_complete-profile")]
pub(crate) struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}
