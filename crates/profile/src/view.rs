//! What people look at: the functions that cost most, who calls them, stacks, flame graphs.
//!
//! A [`View`] is one sample type of a profile by function name, as `pprof -top` sees it: inlined calls are frames of
//! their own, file and line do not matter, code without a name goes by its binary, and what the profile itself calls
//! uninteresting (its drop and keep frames) is cut off the leaves.
//!
//! [`View::top`] and [`View::peek`] are pprof's reports. [`stacks::Stacks`] are the stacks of one view or of two, from
//! which come folded lines and the trees of [`flame`], drawn by [`svg`]; [`speedscope`] writes what that program reads.

use crate::limits::LimitExceeded;
use crate::model::{Label, LabelValue, Profile};
use crate::prune::{Prune, PruneError};

mod edges;
pub mod flame;
mod frames;
mod json;
mod nodes;
pub mod peek;
mod printable;
pub mod speedscope;
pub mod stacks;
pub mod svg;

pub mod top;
pub mod units;

use nodes::Nodes;
pub use printable::printable;
use stacks::Span;

/// Bytes of what is written for people where names come again and again: 128 MiB, eight times what the stacks of the largest
/// natural profile take when each is written out. Names may be as long as 64 KiB, so counts of lines are no limit.
const TEXT_BYTES_MAX: u64 = 128 << 20;

/// Why a profile cannot be shown.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ViewError {
    /// It has no sample type of this index.
    #[error("there is no sample type {index}; the profile has {types}")]
    SampleType {
        /// The index asked for.
        index: usize,
        /// How many there are.
        types: usize,
    },
    /// It holds negative values, so it is a difference and areas cannot show it.
    #[error("the profile has negative values: a difference cannot be drawn as areas")]
    Negative,
    /// Its values add up to more than 63 bits hold, and parts of that sum would be no parts.
    #[error("the values of the profile add up to more than 2^63")]
    Overflow,
    /// It is too large to be shown.
    #[error("the profile is too large to be shown")]
    Limit(#[from] LimitExceeded),
}

/// One sample type of a profile, by function name.
#[derive(Debug)]
pub struct View<'p> {
    /// Locations of all stacks, leaf first.
    locations: &'p [u32],
    /// Where the stacks are in them, without those that are worth nothing.
    spans: Vec<Span<i64>>,
    nodes: Nodes<'p>,
    total: i64,
    unusable: Option<PruneError>,
}

/// What comes first in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// What costs most in itself.
    #[default]
    Flat,
    /// What costs most with all that it called.
    Cum,
}

impl<'p> View<'p> {
    /// The sample type with this index. Where the profile's own patterns of frames are of no use nothing is cut off, as in
    /// pprof: [`View::unusable`] tells.
    ///
    /// # Errors
    /// When there is no such sample type, or inlined calls make its stacks larger than is allowed.
    pub fn new(profile: &'p Profile<'p>, sample_type: usize) -> Result<Self, ViewError> {
        let types = profile.header.sample_types.len();
        if sample_type >= types {
            return Err(ViewError::SampleType {
                index: sample_type,
                types,
            });
        }
        let (prune, unusable) = match Prune::of(profile) {
            Ok(prune) => (prune, None),
            Err(error) => (Prune::default(), Some(error)),
        };
        let view = Self {
            locations: &profile.samples.stacks,
            spans: spans(profile, sample_type, &prune),
            nodes: Nodes::new(profile, &prune),
            total: total(profile, sample_type),
            unusable,
        };
        frames::are_within_limit(&view)?;
        Ok(view)
    }

    /// Stacks of locations, leaf first, with their values; none is zero.
    fn stacks(&self) -> impl Iterator<Item = (&'p [u32], i64)> {
        self.spans.iter().map(|span| {
            let stack = self.locations.get(span.begin as usize..span.end as usize);
            (stack.unwrap_or_default(), span.value)
        })
    }

    /// Why the profile's own pattern of frames to drop or keep is no regular expression, or too large a one.
    pub fn unusable(&self) -> Option<&PruneError> {
        self.unusable.as_ref()
    }

    /// What percentages are of: the sum of all values without their signs; of a comparison only the base's.
    pub fn total(&self) -> i64 {
        self.total
    }

    /// Makes percentages be of something else: of the profile before parts of it were filtered out.
    #[must_use]
    pub fn with_total(mut self, total: i64) -> Self {
        self.total = total;
        self
    }
}

/// What percentages of a sample type are of: the sum of all values without their signs; of a comparison only the base's.
pub fn total(profile: &Profile<'_>, sample_type: usize) -> i64 {
    let sum = |sum: i64, value: i64| sum.wrapping_add(value.wrapping_abs());
    // Few profiles are comparisons, and all labels are looked through sooner than those of each sample.
    if is_base(profile, &profile.samples.labels) {
        let base = profile.samples().filter(|sample| is_base(profile, sample.labels));
        let base_total = base
            .filter_map(|sample| sample.values.get(sample_type).copied())
            .fold(0, sum);
        if base_total > 0 {
            return base_total;
        }
    }
    values(profile, sample_type).fold(0, sum)
}

/// Where stacks are that are worth something, without what is cut off their leaves.
fn spans(profile: &Profile<'_>, sample_type: usize, prune: &Prune) -> Vec<Span<i64>> {
    let samples = &profile.samples;
    let mut spans = Vec::with_capacity(samples.stack_ends.len());
    let mut begin = 0;
    for (end, value) in samples.stack_ends.iter().zip(values(profile, sample_type)) {
        if value != 0 {
            let stack = samples.stacks.get(begin as usize..*end as usize);
            // Not longer than it was.
            let kept = prune.kept(stack.unwrap_or_default()).len() as u32;
            spans.push(Span {
                begin: *end - kept,
                end: *end,
                value,
            });
        }
        begin = *end;
    }
    spans
}

/// The values of all samples.
fn values(profile: &Profile<'_>, sample_type: usize) -> impl Iterator<Item = i64> {
    let types = profile.header.sample_types.len();
    profile
        .samples
        .values
        .iter()
        .skip(sample_type)
        .step_by(types.max(1))
        .copied()
}

/// Whether a sample is of the profile that another is compared with.
fn is_base(profile: &Profile<'_>, labels: &[Label]) -> bool {
    labels.iter().any(|label| match label.value {
        LabelValue::Text(text) => {
            profile.strings.get(label.key) == b"pprof::base" && profile.strings.get(text) == b"true"
        }
        LabelValue::Number(..) => false,
    })
}
