//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Read, compare and explain pprof profiles.
#[derive(Debug, Parser)]
#[command(name = "kubectl-profile", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell whether files are whole and valid profiles.
    Check(CheckArgs),
    /// Show what a profile says about itself.
    Info(InfoArgs),
    /// Show the functions that cost most.
    Top(TopArgs),
    /// Draw a flame graph, or write its stacks.
    Flame(FlameArgs),
    /// Merge profiles of the same types into one.
    Merge(MergeArgs),
    /// Subtract one profile from another.
    Diff(DiffArgs),
    /// Merge CPU profiles into one for `go build -pgo`.
    Pgo(PgoArgs),
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
pub(crate) struct TopArgs {
    /// A profile, or "-" for standard input.
    pub(crate) file: PathBuf,
    /// Which value: the name of a sample type or its index. The profile's default when it is not given.
    #[arg(short = 't', long)]
    pub(crate) sample_type: Option<String>,
    /// How many functions at most; 0 for all.
    #[arg(short = 'n', long, default_value_t = 20)]
    pub(crate) count: usize,
    /// How to print.
    #[arg(short, long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

/// Arguments of `flame`.
#[derive(Debug, ClapArgs)]
pub(crate) struct FlameArgs {
    /// A profile, or "-" for standard input.
    pub(crate) file: PathBuf,
    /// Which value: the name of a sample type or its index. The profile's default when it is not given.
    #[arg(short = 't', long)]
    pub(crate) sample_type: Option<String>,
    /// Write folded stacks instead of a picture.
    #[arg(long)]
    pub(crate) folded: bool,
    /// How many frames the picture has at most; what is left out stays in the frames above.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) nodes_max: usize,
    /// The file to write; standard output when it is not given.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `merge`.
#[derive(Debug, ClapArgs)]
pub(crate) struct MergeArgs {
    /// Profiles, folders of them, or "-" for standard input.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Write the protobuf without gzip.
    #[arg(long)]
    pub(crate) raw: bool,
    /// The file to write; standard output when it is not given.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `diff`.
#[derive(Debug, ClapArgs)]
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
    /// Write the protobuf without gzip.
    #[arg(long)]
    pub(crate) raw: bool,
    /// The file to write; standard output when it is not given.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `pgo`.
#[derive(Debug, ClapArgs)]
pub(crate) struct PgoArgs {
    /// CPU profiles of one program, or folders of them.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The file to write.
    #[arg(long, default_value = "default.pgo")]
    pub(crate) out: PathBuf,
}
