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

use frames::Frames;
use nodes::Nodes;
pub use printable::printable;

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
    nodes: Nodes<'p>,
    frames: Frames,
    total: i64,
    /// Whether no value is negative.
    is_sum: bool,
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
        let nodes = Nodes::new(profile, &prune);
        let frames = Frames::new(profile, sample_type, &prune, &nodes)?;
        let is_sum = frames.spans().iter().all(|span| span.value > 0);
        Ok(Self {
            nodes,
            frames,
            is_sum,
            total: total(profile, sample_type),
            unusable,
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
    let (mut total, mut base_total) = (0_i64, 0_i64);
    for sample in profile.samples() {
        let value = sample.values.get(sample_type).copied().unwrap_or(0);
        total = total.wrapping_add(value.wrapping_abs());
        if is_base(profile, sample.labels) {
            base_total = base_total.wrapping_add(value.wrapping_abs());
        }
    }
    if base_total > 0 { base_total } else { total }
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
