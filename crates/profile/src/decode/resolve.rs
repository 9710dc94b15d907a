//! Ids to indexes, and the rules that need the whole profile.

use hashbrown::HashMap;

use super::columns::{Columns, Ids, NOTHING};
use crate::check::CheckError;
use crate::messages;
use crate::model::{Header, Label, LabelValue, Profile, Samples, StringId, Strings, ValueType};

/// What is wrong where strings are: google/pprof looks at them before all else that needs the whole profile.
pub(super) const NO_STRINGS: &str = "there is no string table";
pub(super) const NO_STRING: &str = "a string index points beyond the string table";

/// What the ids of a table mean. Nearly every producer counts from one; for the others there is a map.
enum Table {
    Counted(u32),
    Mapped(HashMap<u64, u32>),
}

impl Table {
    /// A table of these ids; `double` is what is said of one where two are the same.
    fn new(
        is_counted: bool,
        ids: impl ExactSizeIterator<Item = u64>,
        double: &'static str,
    ) -> Result<Self, &'static str> {
        if is_counted {
            // Tables are below 2^32 entries: each takes two bytes of a profile below 4 GiB.
            return Ok(Self::Counted(ids.len() as u32));
        }
        let mut mapped = HashMap::with_capacity(ids.len());
        for (id, index) in ids.zip(0_u32..) {
            if mapped.insert(id, index).is_some() {
                return Err(double);
            }
        }
        Ok(Self::Mapped(mapped))
    }

    /// Makes indexes of the narrow ids of a column. What is not in the table becomes [`NOTHING`]; gives whether all were.
    fn resolve<'c>(&self, ids: &Ids, column: impl Iterator<Item = &'c mut u32>) -> bool {
        match self {
            Self::Counted(count) => {
                // Nothing is written, and nothing but the maximum is computed: several entries at a time.
                let largest = column.map(|narrow| *narrow).reduce(u32::max);
                largest.is_none_or(|largest| largest < *count)
            }
            Self::Mapped(mapped) => {
                let mut all = true;
                for narrow in column {
                    let index = ids.id(*narrow).and_then(|id| mapped.get(&id));
                    all &= index.is_some();
                    *narrow = index.copied().unwrap_or(NOTHING);
                }
                all
            }
        }
    }
}

impl Columns {
    /// Looks up every id and string, and keeps the rules of google/pprof's `CheckValid`.
    pub(super) fn resolve(self, bytes: &[u8]) -> Result<Profile<'_>, CheckError> {
        let offset = bytes.len() as u64;
        self.resolve_within(bytes)
            .map_err(|what| CheckError::Malformed { what, offset })
    }

    fn resolve_within(mut self, bytes: &[u8]) -> Result<Profile<'_>, &'static str> {
        if self.strings.is_empty() {
            return Err(NO_STRINGS);
        }
        let header = self.header();
        if self.string_index_max >= self.strings.len() as u64 {
            return Err(NO_STRING);
        }
        self.resolve_code()?;
        let strings = Strings {
            bytes: bytes.into(),
            ranges: self.strings,
        };
        if self.has_many_labels {
            put_labels_in_order(&mut self.samples, &strings);
        }
        let types = header.sample_types.len();
        if let Some(values) = self.values_each {
            if types == 0 {
                return Err("there are samples but no sample types");
            }
            if self.values_differ || values != types {
                return Err("a sample has not as many values as there are sample types");
            }
        }
        Ok(Profile {
            header,
            strings,
            mappings: self.mappings,
            locations: self.locations,
            lines: self.lines,
            functions: self.functions,
            samples: self.samples,
            is_pruned: false,
        })
    }

    /// Mappings of locations, functions of lines, and locations of stacks.
    fn resolve_code(&mut self) -> Result<(), &'static str> {
        if let Some(reserved) = self.reserved {
            return Err(reserved);
        }
        let mappings = Table::new(
            self.counted.mappings,
            self.mappings.iter().map(|mapping| mapping.id),
            "two mappings have the same id",
        )?;
        let functions = Table::new(
            self.counted.functions,
            self.functions.iter().map(|function| function.id),
            "two functions have the same id",
        )?;
        let locations = Table::new(
            self.counted.locations,
            self.locations.iter().map(|location| location.id),
            "two locations have the same id",
        )?;
        let mapping = self
            .locations
            .iter_mut()
            .filter_map(|location| location.mapping.as_mut());
        if !mappings.resolve(&self.ids, mapping) {
            // google/pprof takes a location whose mapping is not there for one without.
            for location in &mut self.locations {
                location.mapping = location
                    .mapping
                    .filter(|mapping| (*mapping as usize) < self.mappings.len());
            }
        }
        if !functions.resolve(&self.ids, self.lines.iter_mut().map(|line| &mut line.function)) {
            return Err("a line has a function that is not there");
        }
        if !locations.resolve(&self.ids, self.samples.stacks.iter_mut()) {
            return Err("a sample has a location that is not there");
        }
        Ok(())
    }

    fn header(&mut self) -> Header {
        let string_index_max = &mut self.string_index_max;
        let mut string = |index: u64| {
            *string_index_max = index.max(*string_index_max);
            // What is cut off here is beyond every table, and found to be.
            StringId(index as u32)
        };
        let mut value_type = |of: &messages::ValueType| ValueType {
            kind: string(of.kind),
            unit: string(of.unit),
        };
        let sample_types = self.sample_types.iter().map(&mut value_type).collect();
        let period_type = value_type(&self.period_type);
        let [drop_frames, keep_frames, default_sample_type, doc_url] = self.singles.map(&mut string);
        Header {
            sample_types,
            period_type,
            period: self.period,
            time_nanos: self.time_nanos,
            duration_nanos: self.duration_nanos,
            drop_frames,
            keep_frames,
            comments: self.comments.iter().copied().map(string).collect(),
            default_sample_type,
            doc_url,
        }
    }
}

/// Puts the labels of each sample in order.
fn put_labels_in_order(samples: &mut Samples, strings: &Strings<'_>) {
    let mut begin = 0;
    for end in &samples.label_ends {
        let end = *end as usize;
        in_order(samples.labels.get_mut(begin..end).unwrap_or_default(), strings);
        begin = end;
    }
}

/// Puts the labels of one sample in google/pprof's order: texts before numbers, by key; the order of the file within a
/// key. Where one number of a key has a unit, all have one, if only an empty one.
pub(crate) fn in_order(labels: &mut [Label], strings: &Strings<'_>) {
    if labels.len() > 1 {
        labels.sort_by_key(|label| (matches!(label.value, LabelValue::Number(..)), strings.get(label.key)));
    }
    for group in labels.chunk_by_mut(|a, b| strings.get(a.key) == strings.get(b.key)) {
        if group
            .iter()
            .any(|label| matches!(label.value, LabelValue::Number(_, Some(_))))
        {
            for label in group {
                if let LabelValue::Number(_, unit) = &mut label.value {
                    unit.get_or_insert(StringId::EMPTY);
                }
            }
        }
    }
}
