//! The options that say what of a profile is looked at, which several commands have.

use clap::Args as ClapArgs;
use profile::filter::TagFilter;
use profile::pattern::PatternError;

use super::{Named, named};

/// What of a profile is looked at.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Filters, as pprof's of these names")]
pub(crate) struct FilterArgs {
    /// Only samples with a frame whose function, file or binary matches. Percentages stay those of the whole profile.
    #[arg(long, value_name = "REGEX", value_parser = named)]
    pub(crate) focus: Option<Named>,
    /// No samples with a frame that matches.
    #[arg(long, value_name = "REGEX", value_parser = named)]
    pub(crate) ignore: Option<Named>,
    /// Take frames that match out of the stacks.
    #[arg(long, value_name = "REGEX", value_parser = named)]
    pub(crate) hide: Option<Named>,
    /// Leave only frames that match in the stacks.
    #[arg(long, value_name = "REGEX", value_parser = named)]
    pub(crate) show: Option<Named>,
    /// Cut off what is above the outermost frame that matches; no samples without one.
    #[arg(long, value_name = "REGEX", value_parser = named)]
    pub(crate) show_from: Option<Named>,
    /// Cut off what is below the innermost frame that matches.
    #[arg(long, value_name = "REGEX", value_parser = named)]
    pub(crate) prune_from: Option<Named>,
    /// Only samples with such labels: "key=regex", "key=16kb:1mb" for numbers, or without a key what any label "key:text" has
    /// to match.
    #[arg(long, value_name = "FILTER", value_parser = labels)]
    pub(crate) tag_focus: Option<Labels>,
    /// No samples with such labels.
    #[arg(long, value_name = "FILTER", value_parser = labels)]
    pub(crate) tag_ignore: Option<Labels>,
    /// Only labels whose names match.
    #[arg(long, value_name = "REGEX", value_parser = named)]
    pub(crate) tag_show: Option<Named>,
    /// No labels whose names match.
    #[arg(long, value_name = "REGEX", value_parser = named)]
    pub(crate) tag_hide: Option<Named>,
    /// Make what labels of these keys say frames above the roots, the first key outermost.
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    pub(crate) tag_root: Vec<String>,
    /// Make what labels of these keys say frames below the leaves, the last key innermost.
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    pub(crate) tag_leaf: Vec<String>,
}

/// A filter of labels, and how it was written.
#[derive(Debug, Clone)]
pub(crate) struct Labels {
    pub(crate) text: String,
    pub(crate) filter: TagFilter,
}

fn labels(text: &str) -> Result<Labels, PatternError> {
    Ok(Labels {
        text: text.to_owned(),
        filter: TagFilter::new(text)?,
    })
}
