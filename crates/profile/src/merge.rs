//! Many profiles to one, as google/pprof's `Merge` does it, byte for byte.
//!
//! Samples with the same stack and labels are added up. Mappings are the same by size (rounded up to pages), offset and
//! build id (else file); functions by start line and names; locations by mapping, address within it, lines with columns,
//! and foldedness; so a program that was loaded elsewhere is still the same program. Everything keeps the order in which
//! it was first seen; what no sample reaches is left out; samples whose values are all zero are skipped, and if adding up
//! makes new ones, the result is merged once more to shed them.
//!
//! A [`Merger`] takes one profile after the other and keeps none of them: its size is that of the result.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::limits::LimitExceeded;
use crate::model::{Header, LabelValue, Profile, Sample, Samples, StringId, Strings, ValueType};

mod code;

use code::{Code, Memo};

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

/// Merges profiles one by one.
#[derive(Default)]
pub struct Merger {
    header: Option<Header>,
    strings: Interner,
    code: Code,
    samples: Samples,
    by_key: HashTable<u32>,
    hasher: DefaultHashBuilder,
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
        let mut memo = Memo::new(profile);
        self.add_header(profile, &mut memo)?;
        self.code.first_mapping(profile, &mut memo, &mut self.strings)?;
        let types = profile.header.sample_types.len();
        let (mut stack, mut labels) = (Vec::new(), Vec::new());
        for sample in profile.samples() {
            if sample.values.iter().all(|value| *value == 0) {
                continue;
            }
            stack.clear();
            for location in sample.stack {
                stack.push(self.code.location(*location, profile, &mut memo, &mut self.strings)?);
            }
            labels.clear();
            for label in sample.labels {
                let mut label = *label;
                label.key = memo.string(label.key, profile, &mut self.strings)?;
                match &mut label.value {
                    LabelValue::Text(text) => *text = memo.string(*text, profile, &mut self.strings)?,
                    LabelValue::Number(_, Some(unit)) => *unit = memo.string(*unit, profile, &mut self.strings)?,
                    LabelValue::Number(_, None) => {}
                }
                labels.push(label);
            }
            self.add_sample(
                Sample {
                    stack: &stack,
                    values: sample.values,
                    labels: &labels,
                },
                types,
            )?;
        }
        Ok(())
    }

    /// The merged profile.
    ///
    /// # Errors
    /// When no profile was added.
    pub fn finish(self) -> Result<Profile<'static>, MergeError> {
        let header = self.header.ok_or(MergeError::Nothing)?;
        let types = header.sample_types.len();
        let has_zeros = self
            .samples
            .values
            .chunks_exact(types.max(1))
            .any(|values| values.iter().all(|v| *v == 0));
        let profile = self.code.into_profile(header, self.strings.strings, self.samples);
        if has_zeros {
            // Zero samples are skipped on input, so this cannot come to it again.
            let mut again = Self::new();
            again.add(&profile)?;
            return again.finish();
        }
        Ok(profile)
    }

    fn add_sample(&mut self, sample: Sample<'_>, types: usize) -> Result<(), LimitExceeded> {
        let hash = self.hasher.hash_one((sample.stack, sample.labels));
        let Self {
            samples,
            by_key,
            hasher,
            ..
        } = self;
        let same = |index: &u32| {
            let other = samples.get(*index as usize, types);
            other.stack == sample.stack && other.labels == sample.labels
        };
        if let Some(index) = by_key.find(hash, same).copied() {
            let begin = index as usize * types;
            let sums = samples.values.get_mut(begin..begin + types).unwrap_or_default();
            for (sum, value) in sums.iter_mut().zip(sample.values) {
                *sum = sum.wrapping_add(*value);
            }
            return Ok(());
        }
        let index = place(samples.len())?;
        samples.values.extend_from_slice(sample.values);
        samples.stacks.extend_from_slice(sample.stack);
        samples.labels.extend_from_slice(sample.labels);
        samples.stack_ends.push(place(samples.stacks.len())?);
        samples.label_ends.push(place(samples.labels.len())?);
        by_key.insert_unique(hash, index, |index| {
            let sample = samples.get(*index as usize, types);
            hasher.hash_one((sample.stack, sample.labels))
        });
        Ok(())
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

    pub(crate) fn intern(&mut self, text: &[u8]) -> Result<StringId, LimitExceeded> {
        let hash = self.hasher.hash_one(text);
        let Self {
            strings,
            by_text,
            hasher,
        } = self;
        if let Some(id) = by_text.find(hash, |id| strings.get(StringId(*id)) == text) {
            return Ok(StringId(*id));
        }
        let id = strings.push(text)?;
        by_text.insert_unique(hash, id.0, |id| hasher.hash_one(strings.get(StringId(*id))));
        Ok(id)
    }
}
