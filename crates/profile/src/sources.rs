//! Profiles of many sources as one, and one less another, by the rules of google/pprof's command line: what `pprof -proto`
//! writes.
//!
//! Profiles that measure the same could be merged as [`Merger`] does it, with nothing invented and nothing lost. The program
//! takes those too that only measure alike, and makes them measure the same first: the sample types that all have, in the finest
//! unit that any has ([`Agreement`]). A profile without mappings gets one, for its locations to be in. Frames that a profile calls
//! uninteresting are cut off, as far as its patterns are of use. A single profile is not compacted. Files of mappings that are
//! URLs are forgotten. And sources are merged in chunks, one chunk after the other.
//!
//! Sources are read one after the other and none is kept: what stays in memory is the result, or two of its size. A source
//! may be asked for twice, for what all have in common is known only when all were seen; it is, when one of a chunk measures
//! something else than the first.

use std::ops::Range;

use crate::limits::{LimitExceeded, at_most};
use crate::merge::{MergeError, Merger};
use crate::model::{Mapping, Profile, StringId};
use crate::scale::ScaleError;

mod agreement;
mod url;

pub use agreement::{Agreement, Disagreement, Measured};

/// Profiles that pprof's command line holds and merges at once. The result depends on it where times are zero or values
/// negative.
const CHUNK: usize = 128;

/// Bytes of the names of all sample types and units of a chunk, kept to find out what all have in common. 1 MiB: each of the
/// profiles may have 64 types, with names as long as two of the longest natural ones (below 32 bytes).
const NAMES_BYTES_MAX: u64 = (CHUNK * 64 * 2 * 64) as u64;

/// Why profiles cannot be made one.
#[derive(Debug, thiserror::Error)]
pub enum CombineError {
    /// They do not measure alike.
    #[error("the profiles do not measure alike")]
    Disagreement {
        /// Which source, among those of the same side, measures something else than those before it. `None` when it is the
        /// base as a whole.
        index: Option<usize>,
        /// What is in the way.
        source: Disagreement,
    },
    /// They cannot be merged, even so.
    #[error("the profiles cannot be merged")]
    Merge(#[from] MergeError),
    /// One cannot be scaled to the other.
    #[error("the profile cannot be normalised")]
    Normalize(#[from] ScaleError),
    /// They are too large together.
    #[error("the profiles are too large to be one")]
    Limit(#[from] LimitExceeded),
}

/// What is done with one source's profile. It is changed by it; its memory can be used for the next one.
pub type Use<'u> = &'u mut dyn FnMut(&mut Profile<'_>) -> Result<(), CombineError>;

/// Merges the profiles of `count` sources. `read` is asked for a source by its index: it hands the profile over, and passes
/// on what comes of that. Indexes come in order, but a source may be asked for again.
///
/// The result is not finished: [`finish`] or [`subtract`] it.
///
/// # Errors
/// Those of `read`, and when the profiles cannot be made one.
pub fn merge<E: From<CombineError>>(
    count: usize,
    mut read: impl FnMut(usize, Use<'_>) -> Result<(), E>,
) -> Result<Profile<'static>, E> {
    let mut merged: Option<Profile<'static>> = None;
    let mut begin = 0;
    while begin < count {
        let end = count.min(begin.saturating_add(CHUNK));
        let next = merge_chunk(begin..end, &mut read)?;
        merged = Some(match merged {
            None => next,
            Some(before) => both(before, next, Some(begin))?,
        });
        begin = end;
    }
    merged.ok_or_else(|| CombineError::from(MergeError::Nothing).into())
}

/// How one profile is taken from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subtraction {
    /// Whether the base's samples stay apart, under the label that marks them.
    pub is_labelled: bool,
    /// Whether the profile is scaled to the base's totals first.
    pub is_normalized: bool,
}

/// A profile less a base, both as [`merge()`] gave them, finished.
///
/// # Errors
/// When they do not measure alike. The command line normalises only what measures the same.
pub fn subtract(
    mut profile: Profile<'static>,
    mut base: Profile<'static>,
    how: Subtraction,
) -> Result<Profile<'static>, CombineError> {
    if how.is_labelled {
        base.set_label("pprof::base", "true")?;
    }
    if how.is_normalized {
        profile.normalize(&base)?;
    }
    base.negate();
    Ok(finish(both(profile, base, None)?))
}

/// What the command line does last.
#[must_use]
pub fn finish(mut profile: Profile<'static>) -> Profile<'static> {
    // Where the patterns are of no use, pprof goes on without a word, and its bytes are what is wanted.
    let pruned = profile.remove_uninteresting();
    drop(pruned);
    profile.forget_urls();
    profile
}

fn merge_chunk<E: From<CombineError>>(
    sources: Range<usize>,
    read: &mut impl FnMut(usize, Use<'_>) -> Result<(), E>,
) -> Result<Profile<'static>, E> {
    let count = sources.len();
    let mut first: Option<(Measured, Agreement)> = None;
    let mut merger = Merger::new();
    let mut alone = None;
    let mut all_same = true;
    // In the hope that all measure the same as the first.
    for index in sources.clone() {
        read(index, &mut |profile| {
            let measured = Measured::by(profile);
            let agreement = match &mut first {
                Some((first, agreement)) => {
                    all_same &= *first == measured;
                    agreement
                }
                none => {
                    // Any number of the same agree as two do.
                    let same = vec![measured.clone(); count.min(2)];
                    let agreement = Agreement::between(&same).map_err(disagreement(index))?;
                    &mut none.insert((measured, agreement)).1
                }
            };
            if !all_same {
                return Ok(());
            }
            profile.give_mapping();
            agreement.apply(profile)?;
            if count == 1 {
                alone = Some(std::mem::take(profile).into_owned());
            } else {
                merger.add(profile)?;
            }
            Ok(())
        })?;
        if !all_same {
            drop(merger);
            return merge_alike(sources, read);
        }
    }
    match alone {
        Some(alone) => Ok(alone),
        None => Ok(merger.finish().map_err(CombineError::from)?),
    }
}

/// Merges a chunk of profiles that measure alike.
fn merge_alike<E: From<CombineError>>(
    sources: Range<usize>,
    read: &mut impl FnMut(usize, Use<'_>) -> Result<(), E>,
) -> Result<Profile<'static>, E> {
    let mut all = Vec::new();
    let mut bytes = 0;
    for index in sources.clone() {
        read(index, &mut |profile| {
            let measured = Measured::by(profile);
            bytes += measured.bytes();
            at_most(bytes, NAMES_BYTES_MAX, "bytes in the names of all sample types")?;
            all.push(measured);
            Ok(())
        })?;
    }
    let agreement = Agreement::between(&all).map_err(disagreement(sources.start))?;
    let mut merger = Merger::new();
    for index in sources {
        read(index, &mut |profile| {
            profile.give_mapping();
            agreement.apply(profile)?;
            Ok(merger.add(profile)?)
        })?;
    }
    Ok(merger.finish().map_err(CombineError::from)?)
}

/// Two profiles as one; the second begins with the source of that index.
fn both(
    mut first: Profile<'_>,
    mut second: Profile<'_>,
    index: Option<usize>,
) -> Result<Profile<'static>, CombineError> {
    let measured = [Measured::by(&first), Measured::by(&second)];
    let agreement = Agreement::between(&measured).map_err(|source| CombineError::Disagreement { index, source })?;
    agreement.apply(&mut first)?;
    agreement.apply(&mut second)?;
    let mut merger = Merger::new();
    merger.add(&first)?;
    merger.add(&second)?;
    Ok(merger.finish()?)
}

/// The error of sources that begin at an index.
fn disagreement(begin: usize) -> impl Fn(Disagreement) -> CombineError {
    move |source| CombineError::Disagreement {
        index: Some(begin + source.index()),
        source,
    }
}

impl Profile<'_> {
    /// Gives a profile without mappings one that all its locations are in: pprof tries to name functions by it.
    pub fn give_mapping(&mut self) {
        if !self.mappings.is_empty() {
            return;
        }
        self.mappings.push(Mapping {
            id: 1,
            ..Mapping::default()
        });
        for location in &mut self.locations {
            location.mapping = Some(0);
        }
    }

    /// Forgets the files of mappings that are URLs and have no build id: pprof names them so while it looks for functions.
    fn forget_urls(&mut self) {
        let strings = &self.strings;
        for mapping in &mut self.mappings {
            if strings.get(mapping.build_id).is_empty() && url::is_absolute(strings.get(mapping.file)) {
                mapping.file = StringId::EMPTY;
            }
        }
    }
}
