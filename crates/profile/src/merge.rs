//! Many profiles to one, as google/pprof's `Merge` does it, byte for byte.
//!
//! Samples with the same stack and labels are added up. Mappings are the same by size (rounded up to pages), offset and
//! build id (else file); functions by start line and names; locations by mapping, address within it, lines with columns,
//! and foldedness; so a program that was loaded elsewhere is still the same program. Everything keeps the order in which
//! it was first seen; what no sample reaches is left out; samples whose values are all zero are skipped, and those that
//! adding up makes so are shed in the end, with what only they reached.
//!
//! A [`Merger`] takes one profile after the other and keeps none of them: its size is that of the result.

use std::hash::BuildHasher as _;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::limits::LimitExceeded;
use crate::model::{Header, Label, LabelValue, Profile, Samples, StringId, Strings, ValueType};

mod code;
mod known;
mod shed;

use code::{Code, Memo};
use known::{Order, UNSEEN};

/// Two profiles do not measure the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Incompatible {
    /// Their sample types differ, by kind or unit or order.
    #[error("the sample types differ: {first} and {second}")]
    SampleTypes {
        /// Those of the first.
        first: String,
        /// Those of the second.
        second: String,
    },
    /// Their period types differ.
    #[error("the period types differ: {first} and {second}")]
    PeriodTypes {
        /// That of the first.
        first: String,
        /// That of the second.
        second: String,
    },
}

/// Why profiles cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There were none.
    #[error("no profiles to merge")]
    Nothing,
    /// They do not measure the same.
    #[error("the profiles cannot be merged")]
    Incompatible(#[from] Incompatible),
    /// The result outgrows its columns.
    #[error("the merged profile is too large")]
    Limit(#[from] LimitExceeded),
}

/// Samples of the result with which one is compared before it is looked up: what came next the last time, and those after it,
/// for a source has not all samples that others have. Where each has three of five, this finds seven of eight.
const GUESSES: u32 = 4;

/// Merges profiles one by one.
#[derive(Default)]
pub struct Merger {
    header: Option<Header>,
    strings: Interner,
    code: Code,
    memo: Memo,
    samples: Samples,
    by_key: HashTable<Slot>,
    order: Order,
    hasher: DefaultHashBuilder,
}

/// A sample of the result, as the table of them has it. With so much of the hash beside it, a sample is looked at only
/// when it is the right one, and the table grows without looking at any.
struct Slot {
    hash: u32,
    index: u32,
}

impl Slot {
    /// The hash by which the table places it: the golden ratio spreads the 32 bits over all 64.
    fn place(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Merger {
    /// A merger that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one profile.
    ///
    /// # Errors
    /// When it does not measure the same as the first, or the result outgrows its columns.
    pub fn add(&mut self, profile: &Profile<'_>) -> Result<(), MergeError> {
        let mut memo = std::mem::take(&mut self.memo);
        memo.begin(profile);
        if self.header.is_none() {
            self.reserve(profile);
        }
        self.add_header(profile, &mut memo)?;
        self.code.first_mapping(profile, &mut memo, &mut self.strings)?;
        self.add_samples(profile, &mut memo)?;
        self.memo = memo;
        Ok(())
    }

    fn add_samples(&mut self, profile: &Profile<'_>, memo: &mut Memo) -> Result<(), LimitExceeded> {
        let types = profile.header.sample_types.len();
        let sources = &profile.samples;
        let ends = sources.stack_ends.iter().zip(&sources.label_ends);
        let (mut stack_begin, mut label_begin) = (0, 0);
        let mut before = UNSEEN;
        for (values, (stack_end, label_end)) in sources.values.chunks_exact(types.max(1)).zip(ends) {
            let stack = sources.stacks.get(stack_begin..*stack_end as usize).unwrap_or_default();
            let labels = sources.labels.get(label_begin..*label_end as usize).unwrap_or_default();
            (stack_begin, label_begin) = (*stack_end as usize, *label_end as usize);
            if values.iter().all(|value| *value == 0) {
                continue;
            }
            if let Some(known) = self.guess(before, stack, labels, memo) {
                add_values(&mut self.samples.values, known, values);
                before = known;
                continue;
            }
            // Into the columns at once: what turns out to be known is taken off again.
            let begin = (self.samples.stacks.len(), self.samples.labels.len());
            self.add_stack(stack, profile, memo)?;
            self.add_labels(labels, profile, memo)?;
            let merged = self.add_sample(begin, values)?;
            self.order.set(before, merged);
            before = merged;
        }
        Ok(())
    }

    /// The sample of the result with this stack and these labels, if it is one of those that came next the last time.
    #[inline]
    fn guess(&self, before: u32, stack: &[u32], labels: &[Label], memo: &Memo) -> Option<u32> {
        let guess = self.order.after(before);
        if guess as usize >= self.samples.len() {
            return None;
        }
        self.find_from(guess, stack, labels, memo)
    }

    /// The same, from the first guess on. On its own, for the compiler to keep everything about it in registers.
    #[inline(never)]
    fn find_from(&self, mut guess: u32, stack: &[u32], labels: &[Label], memo: &Memo) -> Option<u32> {
        for _ in 0..GUESSES {
            if guess as usize >= self.samples.len() {
                return None;
            }
            // Its values are not looked at.
            let merged = self.samples.get(guess as usize, 0);
            if memo.locations.are(stack, merged.stack) && memo.are_labels(labels, merged.labels) {
                return Some(guess);
            }
            guess = self.order.after(guess);
        }
        None
    }

    /// Makes the tables large enough for the first profile: most that follow are like it.
    fn reserve(&mut self, profile: &Profile<'_>) {
        self.strings.reserve(&profile.strings);
        self.code.reserve(profile);
        let samples = &mut self.samples;
        self.by_key
            .reserve(profile.samples.len(), |slot| Slot::place(slot.hash));
        samples.values.reserve(profile.samples.values.len());
        samples.stacks.reserve(profile.samples.stacks.len());
        samples.stack_ends.reserve(profile.samples.len());
        samples.labels.reserve(profile.samples.labels.len());
        samples.label_ends.reserve(profile.samples.len());
    }

    #[inline]
    fn add_stack(&mut self, stack: &[u32], profile: &Profile<'_>, memo: &mut Memo) -> Result<(), LimitExceeded> {
        let begin = self.samples.stacks.len();
        if !memo.locations.translate(stack, &mut self.samples.stacks) {
            let merged = self.samples.stacks.get_mut(begin..).unwrap_or_default();
            for (merged, location) in merged.iter_mut().zip(stack).filter(|(merged, _)| **merged == UNSEEN) {
                *merged = self.code.location(*location, profile, memo, &mut self.strings)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn add_labels(&mut self, labels: &[Label], profile: &Profile<'_>, memo: &mut Memo) -> Result<(), LimitExceeded> {
        let Self { samples, strings, .. } = self;
        for label in labels {
            let value = match label.value {
                LabelValue::Text(text) => LabelValue::Text(memo.string(text, profile, strings)?),
                LabelValue::Number(number, Some(unit)) => {
                    LabelValue::Number(number, Some(memo.string(unit, profile, strings)?))
                }
                LabelValue::Number(number, None) => LabelValue::Number(number, None),
            };
            let key = memo.string(label.key, profile, strings)?;
            samples.labels.push(Label { key, value });
        }
        Ok(())
    }

    /// The merged profile.
    ///
    /// # Errors
    /// When no profile was added.
    pub fn finish(self) -> Result<Profile<'static>, MergeError> {
        let header = self.header.ok_or(MergeError::Nothing)?;
        let mut profile = self.code.into_profile(header, self.strings.strings, self.samples);
        profile.shed_zeros();
        Ok(profile)
    }

    /// Adds the sample whose stack and labels begin here and end the columns; gives its index.
    fn add_sample(&mut self, begin: (usize, usize), values: &[i64]) -> Result<u32, LimitExceeded> {
        let Self {
            samples,
            by_key,
            hasher,
            ..
        } = self;
        let stack = samples.stacks.get(begin.0..).unwrap_or_default();
        let labels = samples.labels.get(begin.1..).unwrap_or_default();
        // One half is as good as the other.
        let hash = (hasher.hash_one((stack, labels)) >> 32) as u32;
        let same = |slot: &Slot| {
            let other = samples.get(slot.index as usize, values.len());
            slot.hash == hash && other.stack == stack && other.labels == labels
        };
        match by_key.entry(Slot::place(hash), same, |slot| Slot::place(slot.hash)) {
            Entry::Occupied(known) => {
                let index = known.get().index;
                samples.stacks.truncate(begin.0);
                samples.labels.truncate(begin.1);
                add_values(&mut samples.values, index, values);
                Ok(index)
            }
            Entry::Vacant(none) => {
                let index = place(samples.len())?;
                samples.values.extend_from_slice(values);
                samples.stack_ends.push(place(samples.stacks.len())?);
                samples.label_ends.push(place(samples.labels.len())?);
                none.insert(Slot { hash, index });
                Ok(index)
            }
        }
    }

    fn add_header(&mut self, profile: &Profile<'_>, memo: &mut Memo) -> Result<(), MergeError> {
        let strings = &mut self.strings;
        let new = &profile.header;
        let header = match &mut self.header {
            Some(header) => {
                compatible_with(header, &strings.strings, profile)?;
                header
            }
            none => {
                let mut value_type = |of: ValueType| {
                    Ok::<_, LimitExceeded>(ValueType {
                        kind: memo.string(of.kind, profile, strings)?,
                        unit: memo.string(of.unit, profile, strings)?,
                    })
                };
                let sample_types = new
                    .sample_types
                    .iter()
                    .map(|of| value_type(*of))
                    .collect::<Result<_, _>>()?;
                let period_type = value_type(new.period_type)?;
                none.insert(Header {
                    sample_types,
                    period_type,
                    drop_frames: memo.string(new.drop_frames, profile, strings)?,
                    keep_frames: memo.string(new.keep_frames, profile, strings)?,
                    ..Header::default()
                })
            }
        };
        if header.time_nanos == 0 || new.time_nanos < header.time_nanos {
            header.time_nanos = new.time_nanos;
        }
        header.duration_nanos = header.duration_nanos.wrapping_add(new.duration_nanos);
        if header.period == 0 || header.period < new.period {
            header.period = new.period;
        }
        for comment in &new.comments {
            let comment = memo.string(*comment, profile, strings)?;
            if !header.comments.contains(&comment) {
                header.comments.push(comment);
            }
        }
        if header.default_sample_type == StringId::EMPTY {
            header.default_sample_type = memo.string(new.default_sample_type, profile, strings)?;
        }
        if header.doc_url == StringId::EMPTY {
            header.doc_url = memo.string(new.doc_url, profile, strings)?;
        }
        Ok(())
    }
}

impl Profile<'_> {
    /// The same profile without what no sample uses: the merge of it alone.
    ///
    /// # Errors
    /// When the profile outgrows its columns.
    pub fn compact(&self) -> Result<Profile<'static>, MergeError> {
        let mut merger = Merger::new();
        merger.add(self)?;
        merger.finish()
    }

    /// This profile less `base`, which is negated by it.
    ///
    /// # Errors
    /// When the two do not measure the same, or the difference outgrows its columns.
    pub fn subtract(&self, base: &mut Profile<'_>) -> Result<Profile<'static>, MergeError> {
        base.negate();
        let mut merger = Merger::new();
        merger.add(self)?;
        merger.add(base)?;
        merger.finish()
    }

    /// This profile less `base`, whose samples stay apart under the label that marks them as the base's.
    ///
    /// # Errors
    /// As [`Profile::subtract`].
    pub fn compare(&self, base: &mut Profile<'_>) -> Result<Profile<'static>, MergeError> {
        base.set_label("pprof::base", "true")?;
        self.subtract(base)
    }
}

/// Errs when two profiles do not measure the same.
pub(crate) fn compatible(first: &Profile<'_>, second: &Profile<'_>) -> Result<(), Incompatible> {
    compatible_with(&first.header, &first.strings, second)
}

fn compatible_with(header: &Header, strings: &Strings<'_>, profile: &Profile<'_>) -> Result<(), Incompatible> {
    let (types, others) = (&header.sample_types, &profile.header.sample_types);
    let same = |of: &ValueType, other: &ValueType| {
        strings.get(of.kind) == profile.strings.get(other.kind)
            && strings.get(of.unit) == profile.strings.get(other.unit)
    };
    let shown = |types: &[ValueType], strings: &Strings<'_>| {
        let shown = types
            .iter()
            .map(|of| format!("{}/{}", strings.text(of.kind), strings.text(of.unit)));
        shown.collect::<Vec<_>>().join(", ")
    };
    if !same(&header.period_type, &profile.header.period_type) {
        return Err(Incompatible::PeriodTypes {
            first: shown(&[header.period_type], strings),
            second: shown(&[profile.header.period_type], &profile.strings),
        });
    }
    if types.len() != others.len() || !types.iter().zip(others).all(|(of, other)| same(of, other)) {
        return Err(Incompatible::SampleTypes {
            first: shown(types, strings),
            second: shown(others, &profile.strings),
        });
    }
    Ok(())
}

/// Adds the values of a sample to those of another in the column.
#[inline]
fn add_values(column: &mut [i64], index: u32, values: &[i64]) {
    let first = index as usize * values.len();
    let sums = column.get_mut(first..first + values.len()).unwrap_or_default();
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = sum.wrapping_add(*value);
    }
}

/// Places in columns are 32 bits wide: half the memory, and four thousand million are enough.
pub(crate) fn place(index: usize) -> Result<u32, LimitExceeded> {
    u32::try_from(index).map_err(|_| LimitExceeded {
        name: "entries in a column",
        limit: u64::from(u32::MAX),
    })
}

/// Strings, each text once.
pub(crate) struct Interner {
    pub(crate) strings: Strings<'static>,
    by_text: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Default for Interner {
    /// With the empty string, which is always the first.
    fn default() -> Self {
        let hasher = DefaultHashBuilder::default();
        let strings = Strings {
            bytes: Vec::new().into(),
            ranges: vec![(0, 0)],
        };
        let mut by_text = HashTable::new();
        let hash = |_: &u32| hasher.hash_one::<&[u8]>(&[]);
        by_text.insert_unique(hash(&0), 0, hash);
        Self {
            strings,
            by_text,
            hasher,
        }
    }
}

impl Interner {
    /// The id of a text that was interned before.
    pub(crate) fn find(&self, text: &[u8]) -> Option<StringId> {
        let same = |id: &u32| self.strings.get(StringId(*id)) == text;
        self.by_text
            .find(self.hasher.hash_one(text), same)
            .map(|id| StringId(*id))
    }

    /// Makes room for these strings.
    fn reserve(&mut self, strings: &Strings<'_>) {
        let Self {
            strings: known,
            by_text,
            hasher,
        } = self;
        by_text.reserve(strings.len(), |id| hasher.hash_one(known.get(StringId(*id))));
        known.ranges.reserve(strings.len());
        let bytes = strings.ranges.iter().map(|(_, len)| *len as usize).sum();
        known.bytes.to_mut().reserve(bytes);
    }

    /// Whether a text has this id.
    #[inline]
    fn is(&self, id: u32, text: &[u8]) -> bool {
        // What is not there would be as the empty string.
        (id as usize) < self.strings.len() && self.strings.get(StringId(id)) == text
    }

    pub(crate) fn intern(&mut self, text: &[u8]) -> Result<StringId, LimitExceeded> {
        let hash = self.hasher.hash_one(text);
        let Self {
            strings,
            by_text,
            hasher,
        } = self;
        let same = |id: &u32| strings.get(StringId(*id)) == text;
        let none = match by_text.entry(hash, same, |id| hasher.hash_one(strings.get(StringId(*id)))) {
            Entry::Occupied(known) => return Ok(StringId(*known.get())),
            Entry::Vacant(none) => none,
        };
        let id = strings.push(text)?;
        none.insert(id.0);
        Ok(id)
    }
}
