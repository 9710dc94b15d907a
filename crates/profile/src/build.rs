//! A profile in the making, for those who have it in another form.
//!
//! Two ways lead to each table, so that importers of every kind are served. What has no identity of its own but its
//! contents (functions by name, file and line; frames; mappings of one file) is *found or added*: [`Builder::function`],
//! [`Builder::location`], [`Builder::frame`], [`Builder::mapping`], and [`Builder::add_sample`], which adds up what has the same stack and
//! labels. What is told apart by its source although it looks the same is *pushed*: [`Builder::push_location`],
//! [`Builder::push_mapping`], [`Builder::push_sample`]. Ids are given here, from one, in the order of coming.
//!
//! Sources are hostile: each count and size is compared with [`Limits`] before memory is taken. A profile of this module
//! is valid: what refers to nothing is refused.
//!
//! ```
//! use profile::Limits;
//! use profile::build::{Builder, BuildError};
//! use profile::model::Sample;
//!
//! let mut builder = Builder::new(&[("samples", "count")], &Limits::DEFAULT)?;
//! let mut stack = Vec::new();
//! for name in ["leaf", "main"] {
//!     stack.push(builder.frame(name.as_bytes())?);
//! }
//! builder.add_sample(Sample { stack: &stack, values: &[1], labels: &[] })?;
//! builder.add_sample(Sample { stack: &stack, values: &[2], labels: &[] })?;
//! let profile = builder.finish();
//! assert_eq!(profile.sample_count(), 1);
//! assert_eq!(profile.totals(), [3]);
//! # Ok::<(), BuildError>(())
//! ```

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::decode::in_order;
use crate::limits::{LimitExceeded, Limits, at_most};
use crate::merge::{Interner, place};
use crate::model::{
    Function, Header, Label, LabelValue, Line, Location, Mapping, Profile, Sample, Samples, StringId, ValueType,
};

/// Why something cannot become part of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// There would be more of something than is allowed.
    #[error("the profile exceeds a limit")]
    Limit(#[from] LimitExceeded),
    /// A sample has another number of values than there are sample types.
    #[error("a sample has {values} values, but there are {types} sample types")]
    Values {
        /// Values of the sample.
        values: usize,
        /// Sample types of the profile.
        types: usize,
    },
    /// Something refers to what was never added. A mistake of the caller.
    #[error("there is no {what} {index}")]
    Absent {
        /// What is referred to: "location", "string".
        what: &'static str,
        /// Its index.
        index: u32,
    },
}

/// Puts a profile together.
pub struct Builder {
    limits: Limits,
    header: Header,
    strings: Interner,
    mappings: Vec<Mapping>,
    mapping_by_key: HashTable<u32>,
    functions: Vec<Function>,
    function_by_key: HashTable<u32>,
    locations: Vec<Location>,
    lines: Vec<Line>,
    location_by_key: HashTable<u32>,
    samples: Samples,
    sample_by_key: HashTable<u32>,
    /// Labels of the sample at hand, in order.
    scratch: Vec<Label>,
    /// What the profile takes at least when it is written.
    bytes: u64,
    hasher: DefaultHashBuilder,
}

impl Builder {
    /// An empty profile whose samples have a value for each of these kinds and units.
    ///
    /// # Errors
    /// When these are too many or their names too long.
    pub fn new(sample_types: &[(&str, &str)], limits: &Limits) -> Result<Self, BuildError> {
        let types: Vec<_> = sample_types
            .iter()
            .map(|(kind, unit)| (kind.as_bytes(), unit.as_bytes()))
            .collect();
        Self::of(&types, limits)
    }

    /// As [`Builder::new`], of names that need not be text.
    pub(crate) fn of(sample_types: &[(&[u8], &[u8])], limits: &Limits) -> Result<Self, BuildError> {
        at_most(sample_types.len() as u64, limits.sample_types_max, "sample types")?;
        let mut builder = Self {
            limits: *limits,
            header: Header::default(),
            strings: Interner::default(),
            mappings: Vec::new(),
            mapping_by_key: HashTable::new(),
            functions: Vec::new(),
            function_by_key: HashTable::new(),
            locations: Vec::new(),
            lines: Vec::new(),
            location_by_key: HashTable::new(),
            samples: Samples::default(),
            sample_by_key: HashTable::new(),
            scratch: Vec::new(),
            bytes: 0,
            hasher: DefaultHashBuilder::default(),
        };
        for of in sample_types {
            let of = builder.value_type(*of)?;
            builder.header.sample_types.push(of);
        }
        Ok(builder)
    }

    /// What is measured between two samples, in which unit, and how much of it.
    ///
    /// # Errors
    /// When a name is too long or one string too many.
    pub fn set_period(&mut self, kind: &str, unit: &str, period: i64) -> Result<(), BuildError> {
        self.set_period_type((kind.as_bytes(), unit.as_bytes()), period)
    }

    /// As [`Builder::set_period`], of names that need not be text.
    pub(crate) fn set_period_type(&mut self, of: (&[u8], &[u8]), period: i64) -> Result<(), BuildError> {
        self.header.period_type = self.value_type(of)?;
        self.header.period = period;
        Ok(())
    }

    /// When the collection began, in nanoseconds since the Unix epoch, and how long it took, in nanoseconds; 0 where
    /// unknown.
    pub fn set_time(&mut self, time_nanos: i64, duration_nanos: i64) {
        self.header.time_nanos = time_nanos;
        self.header.duration_nanos = duration_nanos;
    }

    /// Regular expressions of frames that views drop, with all that they called, and of those that they keep although
    /// they match the first.
    ///
    /// # Errors
    /// When one is too long or one string too many.
    pub fn set_frames(&mut self, drop: &[u8], keep: &[u8]) -> Result<(), BuildError> {
        self.header.drop_frames = self.string(drop)?;
        self.header.keep_frames = self.string(keep)?;
        Ok(())
    }

    /// The kind of the sample type to show first. Without it that is the last.
    ///
    /// # Errors
    /// When the name is too long or one string too many.
    pub fn set_default_sample_type(&mut self, kind: &str) -> Result<(), BuildError> {
        self.header.default_sample_type = self.string(kind.as_bytes())?;
        Ok(())
    }

    /// One more comment.
    ///
    /// # Errors
    /// When it is too long or one too many.
    pub fn add_comment(&mut self, text: &[u8]) -> Result<(), BuildError> {
        let count = self.header.comments.len() as u64 + 1;
        at_most(count, self.limits.comments_max, "comments")?;
        let comment = self.string(text)?;
        self.header.comments.push(comment);
        Ok(())
    }

    /// The id of a string, which is the same for the same bytes.
    ///
    /// # Errors
    /// When it is longer than allowed, one too many, or too much in all.
    pub fn string(&mut self, text: &[u8]) -> Result<StringId, BuildError> {
        if let Some(known) = self.strings.find(text) {
            return Ok(known);
        }
        at_most(text.len() as u64, self.limits.string_bytes_max, "bytes in one string")?;
        let count = self.strings.strings.len() as u64 + 1;
        at_most(count, self.limits.strings_max, "strings")?;
        // A tag and a length before it.
        self.take(text.len() as u64 + 2)?;
        Ok(self.strings.intern(text)?)
    }

    /// The index of a mapping with this start, limit, offset, file and build id: of the first such one, else of a new
    /// one. Its id in `mapping` is not looked at.
    ///
    /// # Errors
    /// As [`Builder::push_mapping`].
    pub fn mapping(&mut self, mapping: Mapping) -> Result<u32, BuildError> {
        let key = |of: &Mapping| (of.start, of.limit, of.offset, of.file, of.build_id);
        let hash = self.hasher.hash_one(key(&mapping));
        let mappings = &self.mappings;
        let same = |index: &u32| mappings.get(*index as usize).map(key) == Some(key(&mapping));
        if let Some(index) = self.mapping_by_key.find(hash, same) {
            return Ok(*index);
        }
        let index = self.push_mapping(mapping)?;
        let (mappings, hasher) = (&self.mappings, &self.hasher);
        self.mapping_by_key.insert_unique(hash, index, |index| {
            let other = mappings.get(*index as usize).copied().unwrap_or_default();
            hasher.hash_one(key(&other))
        });
        Ok(index)
    }

    /// The index of a new mapping, which no [`Builder::mapping`] finds.
    ///
    /// # Errors
    /// When it is one too many, or has strings that are not of this builder.
    pub fn push_mapping(&mut self, mapping: Mapping) -> Result<u32, BuildError> {
        self.knows(mapping.file)?;
        self.knows(mapping.build_id)?;
        let index = place(self.mappings.len())?;
        at_most(u64::from(index) + 1, self.limits.mappings_max, "mappings")?;
        // A tag, a length, an id.
        self.take(4)?;
        self.mappings.push(Mapping {
            id: u64::from(index) + 1,
            ..mapping
        });
        Ok(index)
    }

    /// The index of the function with these names, file and start. Its id in `function` is not looked at.
    ///
    /// # Errors
    /// When it is one too many, or has strings that are not of this builder.
    pub fn function(&mut self, function: Function) -> Result<u32, BuildError> {
        let key = |of: &Function| (of.name, of.system_name, of.file, of.start_line);
        let hash = self.hasher.hash_one(key(&function));
        let functions = &self.functions;
        let same = |index: &u32| functions.get(*index as usize).map(key) == Some(key(&function));
        if let Some(index) = self.function_by_key.find(hash, same) {
            return Ok(*index);
        }
        for string in [function.name, function.system_name, function.file] {
            self.knows(string)?;
        }
        let index = place(self.functions.len())?;
        at_most(u64::from(index) + 1, self.limits.functions_max, "functions")?;
        // A tag, a length, an id.
        self.take(4)?;
        self.functions.push(Function {
            id: u64::from(index) + 1,
            ..function
        });
        let (functions, hasher) = (&self.functions, &self.hasher);
        self.function_by_key.insert_unique(hash, index, |index| {
            let other = functions.get(*index as usize).copied().unwrap_or_default();
            hasher.hash_one(key(&other))
        });
        Ok(index)
    }

    /// The index of the location of a function of which nothing is known but its name.
    ///
    /// # Errors
    /// As [`Builder::string`], [`Builder::function`] and [`Builder::location`].
    pub fn frame(&mut self, name: &[u8]) -> Result<u32, BuildError> {
        let name = self.string(name)?;
        let function = self.function(Function {
            name,
            ..Function::default()
        })?;
        let line = Line {
            function,
            ..Line::default()
        };
        self.location(0, None, &[line])
    }

    /// The index of a location with this address, mapping and lines (innermost call first): of the first such one, else
    /// of a new one. An address of 0 is none, for frames that are known by their lines only.
    ///
    /// # Errors
    /// As [`Builder::push_location`].
    pub fn location(&mut self, address: u64, mapping: Option<u32>, lines: &[Line]) -> Result<u32, BuildError> {
        let hash = self.hasher.hash_one((address, mapping, lines));
        let (locations, all_lines) = (&self.locations, &self.lines);
        let same = |index: &u32| {
            locations.get(*index as usize).is_some_and(|other| {
                (other.address, other.mapping) == (address, mapping) && lines_of(other, all_lines) == lines
            })
        };
        if let Some(index) = self.location_by_key.find(hash, same) {
            return Ok(*index);
        }
        let index = self.push_location(address, mapping, lines)?;
        let (locations, all_lines, hasher) = (&self.locations, &self.lines, &self.hasher);
        self.location_by_key.insert_unique(hash, index, |index| {
            let other = locations.get(*index as usize).copied().unwrap_or_default();
            hasher.hash_one((other.address, other.mapping, lines_of(&other, all_lines)))
        });
        Ok(index)
    }

    /// The index of a new location, which no [`Builder::location`] finds.
    ///
    /// # Errors
    /// When it is one too many, has too many lines, or a mapping or function that is not there.
    pub fn push_location(&mut self, address: u64, mapping: Option<u32>, lines: &[Line]) -> Result<u32, BuildError> {
        if let Some(index) = mapping {
            exists(index, self.mappings.len(), "mapping")?;
        }
        for line in lines {
            exists(line.function, self.functions.len(), "function")?;
        }
        let limit = self.limits.lines_per_location_max;
        at_most(lines.len() as u64, limit, "lines at one location")?;
        let index = place(self.locations.len())?;
        at_most(u64::from(index) + 1, self.limits.locations_max, "locations")?;
        // A tag, a length, an id; and for each line a tag, a length, a function.
        self.take(4 + 4 * lines.len() as u64)?;
        let lines_begin = place(self.lines.len())?;
        let lines_end = place(self.lines.len() + lines.len())?;
        self.lines.extend_from_slice(lines);
        self.locations.push(Location {
            id: u64::from(index) + 1,
            mapping,
            address,
            lines_begin,
            lines_end,
            is_folded: false,
        });
        Ok(index)
    }

    /// Adds the values of a sample to those of the first added one with the same stack and labels; sums wrap around. Its
    /// labels may come in any order.
    ///
    /// # Errors
    /// As [`Builder::push_sample`].
    pub fn add_sample(&mut self, sample: Sample<'_>) -> Result<(), BuildError> {
        let types = self.header.sample_types.len();
        let labels = self.ordered(sample.labels)?;
        let hash = self.hasher.hash_one((sample.stack, labels.as_slice()));
        let samples = &self.samples;
        let same = |index: &u32| {
            let other = samples.get(*index as usize, types);
            other.stack == sample.stack && other.labels == labels
        };
        let found = self.sample_by_key.find(hash, same).copied();
        let ordered = Sample {
            labels: &labels,
            ..sample
        };
        let added = match found {
            Some(index) => self.sum(index, sample.values),
            None => self.append(ordered).map(|index| {
                let (samples, hasher) = (&self.samples, &self.hasher);
                self.sample_by_key.insert_unique(hash, index, |index| {
                    let sample = samples.get(*index as usize, types);
                    hasher.hash_one((sample.stack, sample.labels))
                });
            }),
        };
        self.scratch = labels;
        added
    }

    /// Adds one more sample, whether or not there is one with the same stack and labels. Its labels may come in any order.
    ///
    /// # Errors
    /// When it is one too many, too deep, has too many labels, another number of values than there are sample types, or a
    /// location or string that is not there.
    pub fn push_sample(&mut self, sample: Sample<'_>) -> Result<(), BuildError> {
        let labels = self.ordered(sample.labels)?;
        let pushed = self.append(Sample {
            labels: &labels,
            ..sample
        });
        self.scratch = labels;
        pushed.map(|_| ())
    }

    /// How many samples there are.
    pub fn sample_count(&self) -> usize {
        self.samples.len()
    }

    /// The profile.
    pub fn finish(self) -> Profile<'static> {
        Profile {
            header: self.header,
            strings: self.strings.strings,
            mappings: self.mappings,
            locations: self.locations,
            lines: self.lines,
            functions: self.functions,
            samples: self.samples,
            is_pruned: false,
        }
    }

    fn value_type(&mut self, (kind, unit): (&[u8], &[u8])) -> Result<ValueType, BuildError> {
        Ok(ValueType {
            kind: self.string(kind)?,
            unit: self.string(unit)?,
        })
    }

    /// The labels in the order of the model, in the scratch space, which the caller puts back.
    fn ordered(&mut self, labels: &[Label]) -> Result<Vec<Label>, BuildError> {
        let limit = self.limits.labels_per_sample_max;
        at_most(labels.len() as u64, limit, "labels in one sample")?;
        for label in labels {
            self.knows(label.key)?;
            match label.value {
                LabelValue::Text(string) | LabelValue::Number(_, Some(string)) => self.knows(string)?,
                LabelValue::Number(_, None) => {}
            }
        }
        let mut ordered = std::mem::take(&mut self.scratch);
        ordered.clear();
        ordered.extend_from_slice(labels);
        in_order(&mut ordered, &self.strings.strings);
        Ok(ordered)
    }

    fn sum(&mut self, index: u32, values: &[i64]) -> Result<(), BuildError> {
        let types = self.header.sample_types.len();
        self.has_types(values)?;
        let begin = index as usize * types;
        let sums = self.samples.values.get_mut(begin..begin + types).unwrap_or_default();
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = sum.wrapping_add(*value);
        }
        Ok(())
    }

    fn append(&mut self, sample: Sample<'_>) -> Result<u32, BuildError> {
        self.has_types(sample.values)?;
        let limit = self.limits.locations_per_sample_max;
        at_most(sample.stack.len() as u64, limit, "locations in one sample")?;
        for location in sample.stack {
            exists(*location, self.locations.len(), "location")?;
        }
        let index = place(self.samples.len())?;
        at_most(u64::from(index) + 1, self.limits.samples_max, "samples")?;
        // A tag and a length, a byte for each number, and for each label a tag, a length, a key and its value.
        let numbers = sample.stack.len() + sample.values.len();
        self.take(2 + numbers as u64 + 6 * sample.labels.len() as u64)?;
        let samples = &mut self.samples;
        let stack_end = place(samples.stacks.len() + sample.stack.len())?;
        let limit = self.limits.locations_in_samples_max;
        at_most(u64::from(stack_end), limit, "locations in all samples")?;
        let label_end = place(samples.labels.len() + sample.labels.len())?;
        samples.values.extend_from_slice(sample.values);
        samples.stacks.extend_from_slice(sample.stack);
        samples.stack_ends.push(stack_end);
        samples.labels.extend_from_slice(sample.labels);
        samples.label_ends.push(label_end);
        Ok(index)
    }

    fn has_types(&self, values: &[i64]) -> Result<(), BuildError> {
        let (values, types) = (values.len(), self.header.sample_types.len());
        // Without types there is nothing that a sample could count.
        if values == types && types > 0 {
            Ok(())
        } else {
            Err(BuildError::Values { values, types })
        }
    }

    fn knows(&self, string: StringId) -> Result<(), BuildError> {
        exists(string.0, self.strings.strings.len(), "string")
    }

    /// Counts what a part takes on the wire at least. Without this few bytes of a source that names a deep stack again
    /// and again would become very many.
    fn take(&mut self, bytes: u64) -> Result<(), LimitExceeded> {
        let sum = self.bytes + bytes;
        at_most(sum, self.limits.uncompressed_bytes_max, "uncompressed bytes")?;
        self.bytes = sum;
        Ok(())
    }
}

fn exists(index: u32, count: usize, what: &'static str) -> Result<(), BuildError> {
    if (index as usize) < count {
        Ok(())
    } else {
        Err(BuildError::Absent { what, index })
    }
}

fn lines_of<'l>(location: &Location, lines: &'l [Line]) -> &'l [Line] {
    let range = location.lines_begin as usize..location.lines_end as usize;
    lines.get(range).unwrap_or_default()
}
