//! Ids to indexes, and the rules that need the whole profile.

use hashbrown::HashMap;

use super::columns::{Columns, RawLabel};
use crate::check::CheckError;
use crate::model::{
    Function, Header, Label, LabelValue, Line, Location, Mapping, Profile, Samples, StringId, Strings, ValueType,
};

/// What ids mean. Nearly every producer counts from one; for the others there is a map.
enum Ids {
    Counted(u64),
    Mapped(HashMap<u64, u32>),
}

/// What is said of a table whose ids are reserved or double.
struct Rules {
    reserved: &'static str,
    double: &'static str,
}

impl Ids {
    fn new(ids: impl ExactSizeIterator<Item = u64> + Clone, rules: &Rules) -> Result<Self, &'static str> {
        if ids.clone().zip(1..).all(|(id, counted)| id == counted) {
            return Ok(Self::Counted(ids.len() as u64));
        }
        let mut mapped = HashMap::with_capacity(ids.len());
        for (id, index) in ids.zip(0_u32..) {
            if id == 0 {
                return Err(rules.reserved);
            }
            if mapped.insert(id, index).is_some() {
                return Err(rules.double);
            }
        }
        Ok(Self::Mapped(mapped))
    }

    #[inline]
    fn index(&self, id: u64) -> Option<u32> {
        match self {
            // Tables are below 2^32 entries: each takes two bytes of a profile below 4 GiB.
            Self::Counted(count) => (id.wrapping_sub(1) < *count).then(|| (id - 1) as u32),
            Self::Mapped(mapped) => mapped.get(&id).copied(),
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

    fn resolve_within(self, bytes: &[u8]) -> Result<Profile<'_>, &'static str> {
        if self.strings.is_empty() {
            return Err("there is no string table");
        }
        let string = Lookup {
            count: self.strings.len() as u64,
        };
        let mapping_ids = Ids::new(
            self.mappings.iter().map(|mapping| mapping.id),
            &Rules {
                reserved: "a mapping has the reserved id 0",
                double: "two mappings have the same id",
            },
        )?;
        let function_ids = Ids::new(
            self.functions.iter().map(|function| function.id),
            &Rules {
                reserved: "a function has the reserved id 0",
                double: "two functions have the same id",
            },
        )?;
        let location_ids = Ids::new(
            self.locations.iter().map(|location| location.id),
            &Rules {
                reserved: "a location has the reserved id 0",
                double: "two locations have the same id",
            },
        )?;
        let header = self.header(&string)?;
        let mappings = self.mappings(&string)?;
        let functions = self.functions(&string)?;
        let locations = self.locations.iter().map(|raw| Location {
            id: raw.id,
            mapping: mapping_ids.index(raw.mapping),
            address: raw.address,
            lines_begin: raw.lines_begin,
            lines_end: raw.lines_end,
            is_folded: raw.is_folded,
        });
        let locations = locations.collect();
        let line = |raw: &super::columns::RawLine| {
            let function = function_ids
                .index(raw.function)
                .ok_or("a line has a function that is not there")?;
            Ok(Line {
                function,
                line: raw.line.cast_signed(),
                column: raw.column.cast_signed(),
            })
        };
        let lines = self.lines.iter().map(line).collect::<Result<_, &str>>()?;
        let strings = Strings {
            bytes: bytes.into(),
            ranges: self.strings.clone(),
        };
        let samples = self.samples(&string, &strings, &location_ids)?;
        Ok(Profile {
            header,
            strings,
            mappings,
            locations,
            lines,
            functions,
            samples,
        })
    }

    fn header(&self, string: &Lookup) -> Result<Header, &'static str> {
        let value_type = |(kind, unit)| {
            Ok::<_, &str>(ValueType {
                kind: string.id(kind)?,
                unit: string.id(unit)?,
            })
        };
        let [drop_frames, keep_frames, default_sample_type, doc_url] = self.singles;
        Ok(Header {
            sample_types: self
                .sample_types
                .iter()
                .copied()
                .map(value_type)
                .collect::<Result<_, _>>()?,
            period_type: value_type(self.period_type)?,
            period: self.period,
            time_nanos: self.time_nanos,
            duration_nanos: self.duration_nanos,
            drop_frames: string.id(drop_frames)?,
            keep_frames: string.id(keep_frames)?,
            comments: self
                .comments
                .iter()
                .map(|comment| string.id(*comment))
                .collect::<Result<_, _>>()?,
            default_sample_type: string.id(default_sample_type)?,
            doc_url: string.id(doc_url)?,
        })
    }

    fn mappings(&self, string: &Lookup) -> Result<Vec<Mapping>, &'static str> {
        let mapping = |raw: &super::columns::RawMapping| {
            let [has_functions, has_filenames, has_line_numbers, has_inline_frames] = raw.has;
            Ok(Mapping {
                id: raw.id,
                start: raw.start,
                limit: raw.limit,
                offset: raw.offset,
                file: string.id(raw.file)?,
                build_id: string.id(raw.build_id)?,
                has_functions,
                has_filenames,
                has_line_numbers,
                has_inline_frames,
            })
        };
        self.mappings.iter().map(mapping).collect()
    }

    fn functions(&self, string: &Lookup) -> Result<Vec<Function>, &'static str> {
        let function = |raw: &super::columns::RawFunction| {
            Ok(Function {
                id: raw.id,
                name: string.id(raw.name)?,
                system_name: string.id(raw.system_name)?,
                file: string.id(raw.file)?,
                start_line: raw.start_line.cast_signed(),
            })
        };
        self.functions.iter().map(function).collect()
    }

    fn samples(self, string: &Lookup, strings: &Strings<'_>, locations: &Ids) -> Result<Samples, &'static str> {
        let types = self.sample_types.len();
        if types == 0 && !self.value_ends.is_empty() {
            return Err("there are samples but no sample types");
        }
        if !self
            .value_ends
            .iter()
            .zip(1..)
            .all(|(end, count): (_, usize)| *end as usize == count * types)
        {
            return Err("a sample has not as many values as there are sample types");
        }
        let location = |id: &u64| locations.index(*id).ok_or("a sample has a location that is not there");
        let stacks = self.stacks.iter().map(location).collect::<Result<_, _>>()?;
        let mut labels = Vec::with_capacity(self.labels.len());
        let mut label_ends = Vec::with_capacity(self.label_ends.len());
        let mut begin = 0;
        for end in self.label_ends {
            let end = end as usize;
            let before = labels.len();
            for raw in self.labels.get(begin..end).unwrap_or_default() {
                labels.extend(string.label(raw)?);
            }
            in_order(labels.get_mut(before..).unwrap_or_default(), strings);
            // No more than there were on the wire.
            label_ends.push(labels.len() as u32);
            begin = end;
        }
        Ok(Samples {
            values: self.values,
            stacks,
            stack_ends: self.stack_ends,
            labels,
            label_ends,
        })
    }
}

/// The string table, as far as looking up needs it.
struct Lookup {
    count: u64,
}

impl Lookup {
    #[inline]
    fn id(&self, index: u64) -> Result<StringId, &'static str> {
        // A table below 2^32 entries, as all.
        if index < self.count {
            Ok(StringId(index as u32))
        } else {
            Err("a string index points beyond the string table")
        }
    }

    /// A label, as google/pprof reads it; `None` for one that says nothing, which it drops.
    fn label(&self, raw: &RawLabel) -> Result<Option<Label>, &'static str> {
        let key = self.id(raw.key)?;
        Ok(if raw.text != 0 {
            Some(Label {
                key,
                value: LabelValue::Text(self.id(raw.text)?),
            })
        } else if raw.number != 0 || raw.unit != 0 {
            let unit = if raw.unit == 0 { None } else { Some(self.id(raw.unit)?) };
            Some(Label {
                key,
                value: LabelValue::Number(raw.number.cast_signed(), unit),
            })
        } else {
            None
        })
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
