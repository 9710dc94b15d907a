//! A profile to bytes, in google/pprof's exact order.
//!
//! Fields by number; numbers that repeat are packed when there are more than two; what is zero is left out, except the
//! default sample type; the string table is in the order of first use, which is sample types, labels, mappings,
//! functions, drop and keep frames, period type, comments, default type, link.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use zlib_rs::crc32::crc32;
use zlib_rs::{Deflate, DeflateFlush, Status};

use crate::model::{LabelValue, Location, Profile, StringId, Strings, ValueType};

impl Profile<'_> {
    /// The uncompressed wire form, byte for byte that of google/pprof's `WriteUncompressed`.
    pub fn encode(&self) -> Vec<u8> {
        let table = Table::of(self);
        let mut out = Writer {
            bytes: Vec::with_capacity(self.strings.bytes.len()),
        };
        for of in &self.header.sample_types {
            out.message(1, |out| out.value_type(*of, &table));
        }
        for sample in self.samples() {
            out.message(2, |out| {
                let id = |index: &u32| self.locations.get(*index as usize).map_or(0, |location| location.id);
                out.repeated(1, sample.stack.iter().map(id));
                out.repeated(2, sample.values.iter().map(|value| value.cast_unsigned()));
                for label in sample.labels {
                    out.message(3, |out| {
                        out.number(1, table.index(label.key));
                        match label.value {
                            LabelValue::Text(text) => out.number(2, table.index(text)),
                            LabelValue::Number(number, unit) => {
                                out.number(3, number.cast_unsigned());
                                out.number(4, unit.map_or(0, |unit| table.index(unit)));
                            }
                        }
                    });
                }
            });
        }
        self.encode_code(&mut out, &table);
        for id in &table.order {
            out.bytes(6, self.strings.get(*id));
        }
        let header = &self.header;
        out.number(7, table.index(header.drop_frames));
        out.number(8, table.index(header.keep_frames));
        out.number(9, header.time_nanos.cast_unsigned());
        out.number(10, header.duration_nanos.cast_unsigned());
        if table.index(header.period_type.kind) != 0 || table.index(header.period_type.unit) != 0 {
            out.message(11, |out| out.value_type(header.period_type, &table));
        }
        out.number(12, header.period.cast_unsigned());
        out.repeated(13, header.comments.iter().map(|comment| table.index(*comment)));
        out.number_or_zero(14, table.index(header.default_sample_type));
        out.number(15, table.index(header.doc_url));
        out.bytes
    }

    /// Mappings, locations and functions.
    fn encode_code(&self, out: &mut Writer, table: &Table) {
        for mapping in &self.mappings {
            out.message(3, |out| {
                out.number(1, mapping.id);
                out.number(2, mapping.start);
                out.number(3, mapping.limit);
                out.number(4, mapping.offset);
                out.number(5, table.index(mapping.file));
                out.number(6, table.index(mapping.build_id));
                out.number(7, mapping.has_functions.into());
                out.number(8, mapping.has_filenames.into());
                out.number(9, mapping.has_line_numbers.into());
                out.number(10, mapping.has_inline_frames.into());
            });
        }
        for location in &self.locations {
            out.message(4, |out| self.encode_location(location, out));
        }
        for function in &self.functions {
            out.message(5, |out| {
                out.number(1, function.id);
                out.number(2, table.index(function.name));
                out.number(3, table.index(function.system_name));
                out.number(4, table.index(function.file));
                out.number(5, function.start_line.cast_unsigned());
            });
        }
    }

    fn encode_location(&self, location: &Location, out: &mut Writer) {
        let mapping = location.mapping.and_then(|index| self.mappings.get(index as usize));
        out.number(1, location.id);
        out.number(2, mapping.map_or(0, |mapping| mapping.id));
        out.number(3, location.address);
        for line in self.lines_of(location) {
            let function = self.functions.get(line.function as usize);
            out.message(4, |out| {
                out.number(1, function.map_or(0, |function| function.id));
                out.number(2, line.line.cast_unsigned());
                out.number(3, line.column.cast_unsigned());
            });
        }
        out.number(5, location.is_folded.into());
    }
}

/// The string table to be written: each text once.
struct Table {
    /// For each string of the profile its index in the table to come, or [`UNUSED`].
    indexes: Vec<u32>,
    order: Vec<StringId>,
}

const UNUSED: u32 = u32::MAX;

impl Table {
    fn of(profile: &Profile<'_>) -> Self {
        let mut builder = TableBuilder {
            strings: &profile.strings,
            table: Self {
                indexes: vec![UNUSED; profile.strings.len()],
                order: Vec::new(),
            },
            by_text: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        };
        let header = &profile.header;
        builder.add(StringId::EMPTY);
        for of in &header.sample_types {
            builder.add(of.kind);
            builder.add(of.unit);
        }
        for label in &profile.samples.labels {
            builder.add(label.key);
            match label.value {
                LabelValue::Text(text) => builder.add(text),
                LabelValue::Number(_, Some(unit)) => builder.add(unit),
                LabelValue::Number(_, None) => {}
            }
        }
        for mapping in &profile.mappings {
            builder.add(mapping.file);
            builder.add(mapping.build_id);
        }
        for function in &profile.functions {
            builder.add(function.name);
            builder.add(function.system_name);
            builder.add(function.file);
        }
        builder.add(header.drop_frames);
        builder.add(header.keep_frames);
        builder.add(header.period_type.kind);
        builder.add(header.period_type.unit);
        for comment in &header.comments {
            builder.add(*comment);
        }
        builder.add(header.default_sample_type);
        builder.add(header.doc_url);
        builder.table
    }

    #[inline]
    fn index(&self, id: StringId) -> u64 {
        self.indexes.get(id.0 as usize).map_or(0, |index| u64::from(*index))
    }
}

struct TableBuilder<'p> {
    strings: &'p Strings<'p>,
    table: Table,
    /// Indexes of the new table by the text behind them: the old one may have a text twice.
    by_text: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl TableBuilder<'_> {
    #[inline]
    fn add(&mut self, id: StringId) {
        if self.table.indexes.get(id.0 as usize) == Some(&UNUSED) {
            self.add_new(id);
        }
    }

    fn add_new(&mut self, id: StringId) {
        let text = self.strings.get(id);
        let order = &mut self.table.order;
        let same = |index: &u32| {
            order
                .get(*index as usize)
                .is_some_and(|other| self.strings.get(*other) == text)
        };
        let found = self.by_text.find(self.hasher.hash_one(text), same).copied();
        let index = found.unwrap_or_else(|| {
            // Not more than the old table had.
            let index = order.len() as u32;
            order.push(id);
            self.by_text.insert_unique(self.hasher.hash_one(text), index, |index| {
                let id = order.get(*index as usize).copied().unwrap_or_default();
                self.hasher.hash_one(self.strings.get(id))
            });
            index
        });
        if let Some(known) = self.table.indexes.get_mut(id.0 as usize) {
            *known = index;
        }
    }
}

/// Wire bytes in the making.
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    #[inline]
    fn number_or_zero(&mut self, field: u8, value: u64) {
        self.bytes.push(field << 3);
        self.varint(value);
    }

    #[inline]
    fn number(&mut self, field: u8, value: u64) {
        if value != 0 {
            self.number_or_zero(field, value);
        }
    }

    fn repeated(&mut self, field: u8, values: impl ExactSizeIterator<Item = u64>) {
        if values.len() > 2 {
            self.message(field, |out| values.for_each(|value| out.varint(value)));
        } else {
            values.for_each(|value| self.number_or_zero(field, value));
        }
    }

    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.bytes.push(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a message, whose length is known only when it is written: most fit the one byte that is left for it.
    #[inline]
    fn message(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        self.bytes.push(field << 3 | 2);
        let at = self.bytes.len();
        self.bytes.push(0);
        write(self);
        let len = self.bytes.len() - at - 1;
        if len < 0x80 {
            if let Some(byte) = self.bytes.get_mut(at) {
                *byte = len as u8;
            }
        } else {
            self.move_for_length(at, len);
        }
    }

    #[cold]
    fn move_for_length(&mut self, at: usize, len: usize) {
        let mut length = Writer {
            bytes: Vec::with_capacity(10),
        };
        length.varint(len as u64);
        self.bytes.splice(at..=at, length.bytes);
    }

    fn value_type(&mut self, of: ValueType, table: &Table) {
        self.number(1, table.index(of.kind));
        self.number(2, table.index(of.unit));
    }
}

/// One gzip member of `bytes`, with the header that Go writes, at deflate's default level 6.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut deflate = Deflate::new(6, false, 15);
    let mut buffer = vec![0; 64 << 10];
    let mut rest = bytes;
    loop {
        let (read, written) = (deflate.total_in(), deflate.total_out());
        let status = deflate.compress(rest, &mut buffer, DeflateFlush::Finish);
        // Both are within slices.
        rest = rest.get((deflate.total_in() - read) as usize..).unwrap_or_default();
        out.extend_from_slice(
            buffer
                .get(..(deflate.total_out() - written) as usize)
                .unwrap_or_default(),
        );
        // Deflate cannot fail in a state of its own making; whatever else it says ends the loop.
        if !matches!(status, Ok(Status::Ok | Status::BufError)) {
            break;
        }
    }
    out.extend_from_slice(&crc32(0, bytes).to_le_bytes());
    // The length modulo 2^32, as the format has it.
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out
}
