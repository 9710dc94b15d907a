//! A profile in memory, in columns.
//!
//! Samples, their stacks, values and labels lie in a few long vectors instead of one object each, and references are
//! indexes, not ids: they are resolved once, when the profile is decoded, and cannot dangle from then on.

use std::borrow::Cow;
use std::mem::replace;

use crate::limits::LimitExceeded;

/// A string of a profile: an index into its [`Strings`]. The same text may have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct StringId(pub(crate) u32);

impl StringId {
    /// The empty string, which every profile has first.
    pub const EMPTY: Self = Self(0);
}

/// A table of strings over one buffer: that of the input, or one of its own.
///
/// Strings are bytes. The format says UTF-8, but producers cut names in the middle and google/pprof takes them.
#[derive(Debug, Clone, Default)]
pub struct Strings<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    /// Where in `bytes` each begins and how long it is.
    pub(crate) ranges: Vec<(u32, u32)>,
}

impl Strings<'_> {
    /// The bytes of a string; empty for an id of another profile.
    #[inline]
    pub fn get(&self, id: StringId) -> &[u8] {
        let range = self.ranges.get(id.0 as usize);
        range
            .and_then(|(begin, len)| self.bytes.get(*begin as usize..)?.get(..*len as usize))
            .unwrap_or_default()
    }

    /// The string as text, where bytes that are no UTF-8 are replaced.
    pub fn text(&self, id: StringId) -> Cow<'_, str> {
        String::from_utf8_lossy(self.get(id))
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there are none, not even the empty one.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Adds a string. Strings end at 4 GiB in all: their places are 32 bits wide.
    pub(crate) fn push(&mut self, string: &[u8]) -> Result<StringId, LimitExceeded> {
        let bytes = self.bytes.to_mut();
        let too_much = LimitExceeded {
            name: "bytes of strings",
            limit: u64::from(u32::MAX),
        };
        let begin = u32::try_from(bytes.len()).map_err(|_| too_much)?;
        let len = u32::try_from(string.len()).map_err(|_| too_much)?;
        let id = u32::try_from(self.ranges.len()).map_err(|_| too_much)?;
        bytes.extend_from_slice(string);
        self.ranges.push((begin, len));
        Ok(StringId(id))
    }
}

/// What a value counts, and in which unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ValueType {
    /// "cpu", "`inuse_space`".
    pub kind: StringId,
    /// "nanoseconds", "bytes".
    pub unit: StringId,
}

/// A label of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label {
    /// Its name.
    pub key: StringId,
    /// What it says.
    pub value: LabelValue,
}

/// What a label says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LabelValue {
    /// A text.
    Text(StringId),
    /// A number; its unit is there when any number of the same key in the same sample has one.
    Number(i64, Option<StringId>),
}

/// A file mapped into the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mapping {
    /// Unique in the profile, not 0.
    pub id: u64,
    /// First address.
    pub start: u64,
    /// The address after the last.
    pub limit: u64,
    /// Where in the file the first address is.
    pub offset: u64,
    /// The file. Never to be opened: whoever wrote the profile chose it.
    pub file: StringId,
    /// What the linker said of the build.
    pub build_id: StringId,
    /// Whether its locations have functions.
    pub has_functions: bool,
    /// Whether its functions have files.
    pub has_filenames: bool,
    /// Whether its lines have numbers.
    pub has_line_numbers: bool,
    /// Whether inlined calls are lines of their own.
    pub has_inline_frames: bool,
}

/// An instruction of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Location {
    /// Unique in the profile, not 0.
    pub id: u64,
    /// Index of the mapping, if it is known.
    pub mapping: Option<u32>,
    /// Its address.
    pub address: u64,
    /// Where its lines begin in [`Profile::lines`], innermost call first.
    pub lines_begin: u32,
    /// Where they end.
    pub lines_end: u32,
    /// Whether several functions share this code, so that the lines are a guess.
    pub is_folded: bool,
}

/// A line of the source, at a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Line {
    /// Index of the function.
    pub function: u32,
    /// Line number.
    pub line: i64,
    /// Column number.
    pub column: i64,
}

/// A function of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Function {
    /// Unique in the profile, not 0.
    pub id: u64,
    /// For people.
    pub name: StringId,
    /// For the linker.
    pub system_name: StringId,
    /// The source file.
    pub file: StringId,
    /// Where in it the function begins.
    pub start_line: i64,
}

/// What a profile says once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// What each value of a sample is.
    pub sample_types: Vec<ValueType>,
    /// What the period counts.
    pub period_type: ValueType,
    /// Events between two samples.
    pub period: i64,
    /// Start of the collection, nanoseconds since the Unix epoch.
    pub time_nanos: i64,
    /// How long was collected, nanoseconds.
    pub duration_nanos: i64,
    /// A regular expression of frames that views drop, with all that they called.
    pub drop_frames: StringId,
    /// A regular expression of frames that views keep although `drop_frames` matches.
    pub keep_frames: StringId,
    /// Free text.
    pub comments: Vec<StringId>,
    /// The kind of the sample type to show first.
    pub default_sample_type: StringId,
    /// Where to read about this profile.
    pub doc_url: StringId,
}

/// A profile: valid as google/pprof understands it.
#[derive(Debug, Clone, Default)]
pub struct Profile<'a> {
    pub(crate) header: Header,
    pub(crate) strings: Strings<'a>,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) locations: Vec<Location>,
    pub(crate) lines: Vec<Line>,
    pub(crate) functions: Vec<Function>,
    pub(crate) samples: Samples,
    /// Whether the frames that the header's patterns name are cut off already. It is no part of the wire form.
    pub(crate) is_pruned: bool,
}

/// All samples, in columns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples {
    /// As many per sample as there are sample types.
    pub(crate) values: Vec<i64>,
    /// Indexes of locations, leaf first.
    pub(crate) stacks: Vec<u32>,
    pub(crate) stack_ends: Vec<u32>,
    /// Texts by key, then numbers by key; in the order of the file within a key.
    pub(crate) labels: Vec<Label>,
    pub(crate) label_ends: Vec<u32>,
}

/// One sample of a profile.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'p> {
    /// Indexes of its locations, leaf first.
    pub stack: &'p [u32],
    /// One for each sample type.
    pub values: &'p [i64],
    /// Texts by key, then numbers by key.
    pub labels: &'p [Label],
}

impl Samples {
    pub(crate) fn len(&self) -> usize {
        self.stack_ends.len()
    }

    #[inline]
    pub(crate) fn get(&self, index: usize, types: usize) -> Sample<'_> {
        Sample {
            stack: range(&self.stacks, &self.stack_ends, index),
            values: self.values.get(index * types..(index + 1) * types).unwrap_or_default(),
            labels: range(&self.labels, &self.label_ends, index),
        }
    }

    /// All samples in their order. Each begins where the one before it ends, so none is looked up.
    #[inline]
    pub(crate) fn iter(&self, types: usize) -> impl Iterator<Item = Sample<'_>> {
        let mut values = self.values.as_slice();
        let (mut stack_begin, mut label_begin) = (0, 0);
        self.stack_ends
            .iter()
            .zip(&self.label_ends)
            .map(move |(stack_end, label_end)| {
                let (of_this, of_others) = values.split_at_checked(types).unwrap_or_default();
                values = of_others;
                let stack = replace(&mut stack_begin, *stack_end as usize)..stack_begin;
                let labels = replace(&mut label_begin, *label_end as usize)..label_begin;
                Sample {
                    stack: self.stacks.get(stack).unwrap_or_default(),
                    values: of_this,
                    labels: self.labels.get(labels).unwrap_or_default(),
                }
            })
    }

    /// The same samples with the stacks that `rewrite` writes, without those to which it says no. The caller sees to it
    /// that all stacks together stay below 2^32 frames.
    pub(crate) fn with_stacks(&self, types: usize, mut rewrite: impl FnMut(Sample<'_>, &mut Vec<u32>) -> bool) -> Self {
        let mut kept = Self::default();
        for sample in self.iter(types) {
            let begin = kept.stacks.len();
            if rewrite(sample, &mut kept.stacks) {
                kept.values.extend_from_slice(sample.values);
                kept.labels.extend_from_slice(sample.labels);
                // Labels are not more than they were.
                kept.stack_ends.push(kept.stacks.len() as u32);
                kept.label_ends.push(kept.labels.len() as u32);
            } else {
                kept.stacks.truncate(begin);
            }
        }
        kept
    }

    /// Takes away the labels to which `is_left` says no.
    pub(crate) fn retain_labels(&mut self, mut is_left: impl FnMut(&Label) -> bool) {
        let (mut begin, mut left) = (0, 0);
        for end in &mut self.label_ends {
            for at in begin..*end as usize {
                if self.labels.get(at).is_some_and(&mut is_left) {
                    self.labels.swap(left, at);
                    left += 1;
                }
            }
            begin = *end as usize;
            // Not more than there were.
            *end = left as u32;
        }
        self.labels.truncate(left);
    }
}

#[inline]
fn range<'c, T>(column: &'c [T], ends: &[u32], index: usize) -> &'c [T] {
    let begin = index
        .checked_sub(1)
        .and_then(|before| ends.get(before))
        .copied()
        .unwrap_or(0);
    let end = ends.get(index).copied().unwrap_or(begin);
    column.get(begin as usize..end as usize).unwrap_or_default()
}

impl<'a> Profile<'a> {
    /// The same profile with a buffer of its own.
    pub fn into_owned(self) -> Profile<'static> {
        let strings = Strings {
            bytes: Cow::Owned(self.strings.bytes.into_owned()),
            ranges: self.strings.ranges,
        };
        Profile {
            header: self.header,
            strings,
            mappings: self.mappings,
            locations: self.locations,
            lines: self.lines,
            functions: self.functions,
            samples: self.samples,
            is_pruned: self.is_pruned,
        }
    }

    /// What the profile says once.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its strings.
    pub fn strings(&self) -> &Strings<'a> {
        &self.strings
    }

    /// Its mappings; the first is the program's own.
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// Its locations.
    pub fn locations(&self) -> &[Location] {
        &self.locations
    }

    /// The lines of all locations.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Its functions.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The lines of one location, innermost call first.
    pub fn lines_of(&self, location: &Location) -> &[Line] {
        self.lines
            .get(location.lines_begin as usize..location.lines_end as usize)
            .unwrap_or_default()
    }

    /// How many samples there are.
    pub fn sample_count(&self) -> usize {
        self.samples.len()
    }

    /// The samples.
    pub fn samples(&self) -> impl Iterator<Item = Sample<'_>> {
        let types = self.header.sample_types.len();
        self.samples.iter(types)
    }

    /// Index of the sample type that is shown when nobody chose: the one that the profile names, else the last.
    ///
    /// `None` when there are no sample types.
    pub fn default_sample_index(&self) -> Option<usize> {
        let wanted = self.strings.get(self.header.default_sample_type);
        let types = &self.header.sample_types;
        let named = types
            .iter()
            .position(|of| !wanted.is_empty() && self.strings.get(of.kind) == wanted);
        named.or(types.len().checked_sub(1))
    }
}
