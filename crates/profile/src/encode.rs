//! A profile to bytes, in google/pprof's exact order.
//!
//! Fields by number; numbers that repeat are packed when there are more than two; what is zero is left out, except the
//! default sample type; the string table is in the order of first use, which is sample types, labels, mappings,
//! functions, drop and keep frames, period type, comments, default type, link.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use zlib_rs::crc32::crc32;
use zlib_rs::{Deflate, DeflateFlush, Status};

use crate::model::{LabelValue, Profile, StringId, Strings, ValueType};

impl Profile<'_> {
    /// The uncompressed wire form, byte for byte that of google/pprof's `WriteUncompressed`.
    pub fn encode(&self) -> Vec<u8> {
        let table = Table::of(self);
        let mut out = Writer::new(self.encoded_bytes());
        let header = &self.header;
        for of in &header.sample_types {
            out.message(1, 2 * NUMBER_BYTES_MAX, |out| out.value_type(*of, &table));
        }
        // Where ids count from one, they need not be fetched from all over the table for every frame.
        if self.locations.iter().zip(1..).all(|(location, id)| location.id == id) {
            self.encode_samples(&mut out, &table, |index| u64::from(index) + 1);
        } else {
            let id = |index| self.locations.get(index as usize).map_or(0, |location| location.id);
            self.encode_samples(&mut out, &table, id);
        }
        self.encode_mappings(&mut out, &table);
        if self.functions.iter().zip(1..).all(|(function, id)| function.id == id) {
            self.encode_locations(&mut out, |index| u64::from(index) + 1);
        } else {
            let id = |index| self.functions.get(index as usize).map_or(0, |function| function.id);
            self.encode_locations(&mut out, id);
        }
        for function in &self.functions {
            out.message(5, 5 * NUMBER_BYTES_MAX, |out| {
                out.number(1, function.id);
                out.number(2, table.index(function.name));
                out.number(3, table.index(function.system_name));
                out.number(4, table.index(function.file));
                out.number(5, function.start_line.cast_unsigned());
            });
        }
        for id in &table.order {
            out.bytes(6, self.strings.get(*id));
        }
        out.number(7, table.index(header.drop_frames));
        out.number(8, table.index(header.keep_frames));
        out.number(9, header.time_nanos.cast_unsigned());
        out.number(10, header.duration_nanos.cast_unsigned());
        if table.index(header.period_type.kind) != 0 || table.index(header.period_type.unit) != 0 {
            out.message(11, 2 * NUMBER_BYTES_MAX, |out| {
                out.value_type(header.period_type, &table);
            });
        }
        out.number(12, header.period.cast_unsigned());
        let comments = header.comments.iter().map(|comment| table.index(*comment));
        out.write(MESSAGE_BYTES_MAX + NUMBER_BYTES_MAX * comments.len(), |out| {
            out.repeated(13, comments);
        });
        out.write(NUMBER_BYTES_MAX, |out| {
            out.number_or_zero(14, table.index(header.default_sample_type));
        });
        out.number(15, table.index(header.doc_url));
        out.finish()
    }

    /// About as many bytes as it will be: room for a few too many costs nothing until it is written to.
    fn encoded_bytes(&self) -> usize {
        let strings = self.strings.ranges.iter().map(|(_, len)| 3 + *len as usize);
        let samples = &self.samples;
        let samples = 2 * samples.stacks.len() + 4 * (samples.values.len() + samples.len() + samples.labels.len());
        strings.sum::<usize>() + samples + 24 * self.locations.len() + 16 * self.functions.len()
    }

    #[inline(always)]
    fn encode_samples(&self, out: &mut Writer, table: &Table, location_id: impl Fn(u32) -> u64) {
        for sample in self.samples() {
            let bytes_max = NUMBER_BYTES_MAX * (sample.stack.len() + sample.values.len())
                + 2 * MESSAGE_BYTES_MAX
                + (MESSAGE_BYTES_MAX + 4 * NUMBER_BYTES_MAX) * sample.labels.len();
            out.message(2, bytes_max, |out| {
                out.stack(1, sample.stack, &location_id);
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
    }

    fn encode_mappings(&self, out: &mut Writer, table: &Table) {
        for mapping in &self.mappings {
            out.message(3, 10 * NUMBER_BYTES_MAX, |out| {
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
    }

    #[inline(always)]
    fn encode_locations(&self, out: &mut Writer, function_id: impl Fn(u32) -> u64) {
        for location in &self.locations {
            let lines = self.lines_of(location);
            let bytes_max = 4 * NUMBER_BYTES_MAX + (MESSAGE_BYTES_MAX + 3 * NUMBER_BYTES_MAX) * lines.len();
            let mapping = location.mapping.and_then(|index| self.mappings.get(index as usize));
            out.message(4, bytes_max, |out| {
                out.number(1, location.id);
                out.number(2, mapping.map_or(0, |mapping| mapping.id));
                out.number(3, location.address);
                for line in lines {
                    out.message(4, |out| {
                        out.number(1, function_id(line.function));
                        out.number(2, line.line.cast_unsigned());
                        out.number(3, line.column.cast_unsigned());
                    });
                }
                out.number(5, location.is_folded.into());
            });
        }
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
            by_text: HashTable::with_capacity(profile.strings.len()),
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
        let hash = self.hasher.hash_one(text);
        let found = self.by_text.find(hash, same).copied();
        let index = found.unwrap_or_else(|| {
            // Not more than the old table had.
            let index = order.len() as u32;
            order.push(id);
            self.by_text.insert_unique(hash, index, |index| {
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
    whole: Vec<u8>,
    /// What comes after those, as far as it is filled: a place that is not written for the first time each time.
    part: Vec<u8>,
    filled: usize,
}

/// Enough that it is rarely moved, and few enough to stay in the nearest cache.
const PART_BYTES: usize = 8 << 10;

/// The most bytes of a number with its tag, in a field whose number is below 16.
const NUMBER_BYTES_MAX: usize = 11;

/// The most bytes of a message with its tag and length, beside what is in it.
const MESSAGE_BYTES_MAX: usize = 11;

impl Writer {
    fn new(bytes: usize) -> Self {
        Self {
            whole: Vec::with_capacity(bytes),
            part: vec![0; PART_BYTES],
            filled: 0,
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.make_room(0);
        self.whole
    }

    /// Writes at most `bytes_max` bytes.
    #[inline(always)]
    fn write(&mut self, bytes_max: usize, write: impl FnOnce(&mut Span<'_>)) {
        let bytes = bytes_max + WORD_BYTES;
        if bytes > self.part.len() - self.filled {
            self.make_room(bytes);
        }
        let mut span = Span {
            bytes: self.part.get_mut(self.filled..).unwrap_or_default(),
            at: 0,
        };
        write(&mut span);
        debug_assert!(span.at <= bytes_max, "{} of {bytes_max}", span.at);
        self.filled += span.at;
    }

    #[inline(never)]
    fn make_room(&mut self, bytes: usize) {
        let filled = self.part.get(..self.filled).unwrap_or_default();
        self.whole.extend_from_slice(filled);
        self.filled = 0;
        if self.part.len() < bytes {
            self.part.resize(bytes, 0);
        }
    }

    /// Writes a message with at most `bytes_max` bytes in it.
    #[inline(always)]
    fn message(&mut self, field: u8, bytes_max: usize, write: impl FnOnce(&mut Span<'_>)) {
        self.write(bytes_max + MESSAGE_BYTES_MAX, |out| out.message(field, write));
    }

    #[inline(always)]
    fn number(&mut self, field: u8, value: u64) {
        self.write(NUMBER_BYTES_MAX, |out| out.number(field, value));
    }

    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.write(MESSAGE_BYTES_MAX + bytes.len(), |out| out.bytes(field, bytes));
    }
}

/// What a word holds.
const WORD_BYTES: usize = 8;

/// A part of what is written, for which there is room, and for one word more: a number is written as a word, of which
/// those bytes that are not its own are written over by the next. So there is one comparison and hardly a branch for each,
/// whatever its length. That all is inlined and nobody else has a span keeps its place in a register.
struct Span<'w> {
    bytes: &'w mut [u8],
    at: usize,
}

impl Span<'_> {
    #[inline(always)]
    fn word(&mut self, word: u64, bytes: usize) {
        let chunk = self.bytes.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut());
        debug_assert!(chunk.is_some());
        if let Some(chunk) = chunk {
            *chunk = word.to_le_bytes();
        }
        self.at += bytes;
    }

    /// A number that is below 2^14 nearly always, or nearly never.
    #[inline(always)]
    fn varint(&mut self, value: u64) {
        if value < 1 << 14 {
            let (word, bytes) = varint_of_two(value);
            self.word(word, bytes);
        } else {
            self.any_varint(value);
        }
    }

    /// A number of whose length nothing is known.
    #[inline(always)]
    fn any_varint(&mut self, value: u64) {
        if value >> 56 == 0 {
            let (word, bytes) = varint_of_eight(value);
            self.word(word, bytes);
        } else {
            // More than eight bytes, of which all but the last go on: negative numbers, and addresses of kernels.
            self.word(varint_of_eight(value & ((1 << 56) - 1)).0 | CONTINUES, 8);
            let (word, bytes) = varint_of_two(value >> 56);
            self.word(word, bytes);
        }
    }

    #[inline(always)]
    fn number_or_zero(&mut self, field: u8, value: u64) {
        self.word(u64::from(field << 3), 1);
        self.varint(value);
    }

    #[inline(always)]
    fn number(&mut self, field: u8, value: u64) {
        if value != 0 {
            self.number_or_zero(field, value);
        }
    }

    #[inline(always)]
    fn repeated(&mut self, field: u8, values: impl ExactSizeIterator<Item = u64>) {
        if values.len() > 2 {
            self.message(field, |out| values.for_each(|value| out.any_varint(value)));
        } else {
            values.for_each(|value| self.number_or_zero(field, value));
        }
    }

    /// The ids of a stack, of which nearly all are small: four of them fit into one word.
    #[inline(always)]
    fn stack(&mut self, field: u8, stack: &[u32], id: impl Fn(u32) -> u64) {
        if stack.len() <= 2 {
            return stack.iter().for_each(|index| self.number_or_zero(field, id(*index)));
        }
        self.message(field, |out| {
            let (fours, rest) = stack.as_chunks::<4>();
            for four in fours {
                let four = four.map(&id);
                if four.iter().fold(0, |all, id| all | id) >= 1 << 14 {
                    four.iter().for_each(|id| out.varint(*id));
                    continue;
                }
                let (mut word, mut bytes) = (0, 0);
                for id in four {
                    let (of_one, bytes_of_one) = varint_of_two(id);
                    word |= of_one << (8 * bytes);
                    bytes += bytes_of_one;
                }
                out.word(word, bytes);
            }
            rest.iter().for_each(|index| out.varint(id(*index)));
        });
    }

    #[inline(always)]
    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.word(u64::from(field << 3 | 2), 1);
        self.varint(bytes.len() as u64);
        let end = self.at + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.at..end) {
            place.copy_from_slice(bytes);
        }
        self.at = end;
    }

    /// Writes a message, whose length is known only when it is written: most fit the one byte that is left for it.
    #[inline(always)]
    fn message(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        self.word(u64::from(field << 3 | 2), 2);
        let begin = self.at;
        write(self);
        let len = self.at - begin;
        match self.bytes.get_mut(begin - 1) {
            Some(byte) if len < 0x80 => *byte = len as u8,
            _ => self.at = begin - 1 + move_for_length(self.bytes.get_mut(begin - 1..).unwrap_or_default(), len),
        }
    }

    #[inline(always)]
    fn value_type(&mut self, of: ValueType, table: &Table) {
        self.number(1, table.index(of.kind));
        self.number(2, table.index(of.unit));
    }
}

/// Writes the length of a message, for which one byte is left before it; gives the bytes of both.
#[inline(never)]
fn move_for_length(bytes: &mut [u8], len: usize) -> usize {
    let (word, length_bytes) = varint_of_eight(len as u64);
    // There is room for lengths of ten bytes.
    bytes.copy_within(1..=len, length_bytes);
    for (byte, of) in bytes.iter_mut().zip(word.to_le_bytes()).take(length_bytes) {
        *byte = of;
    }
    length_bytes + len
}

/// The highest bit of each byte: a varint goes on after it.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// The varint of a number below 2^14, in the lowest bytes of a word, and how many these are.
#[inline(always)]
fn varint_of_two(value: u64) -> (u64, usize) {
    let high = value >> 7;
    let is_long = u64::from(high != 0);
    (value & 0x7f | is_long << 7 | high << 8, 1 + is_long as usize)
}

/// The varint of a number below 2^56, in the lowest bytes of a word, and how many these are.
#[inline(always)]
fn varint_of_eight(value: u64) -> (u64, usize) {
    let of_28 = value & 0x0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
    let of_14 = of_28 & 0x0000_3fff_0000_3fff | (of_28 & 0x0fff_c000_0fff_c000) << 2;
    let of_7 = of_14 & 0x007f_007f_007f_007f | (of_14 & 0x3f80_3f80_3f80_3f80) << 1;
    let bits = 64 - (value | 1).leading_zeros();
    // Seven bits a byte: a multiplication in place of a division, right up to 64 bits.
    let bytes = (bits * 9 + 64) / 64;
    let before_last = (1 << (8 * (bytes - 1))) - 1;
    (of_7 | CONTINUES & before_last, bytes as usize)
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

#[cfg(test)]
mod tests {
    use super::{MESSAGE_BYTES_MAX, NUMBER_BYTES_MAX, Writer};

    #[test]
    fn numbers_of_every_length_are_varints() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1 << shift) - 1, u64::MAX << shift] {
                let mut expected = Vec::new();
                let mut rest = value;
                while rest >= 0x80 {
                    expected.push((rest & 0x7f) as u8 | 0x80);
                    rest >>= 7;
                }
                expected.push(rest as u8);
                let mut out = Writer::new(0);
                out.write(10, |out| out.varint(value));
                assert_eq!(out.finish(), expected);
                let mut out = Writer::new(0);
                out.write(NUMBER_BYTES_MAX, |out| out.number_or_zero(3, value));
                assert_eq!(out.finish(), [&[0x18], &expected[..]].concat());
            }
        }
    }

    #[test]
    fn messages_of_every_length_have_their_length() {
        for len in [0, 1, 127, 128, 129, 16_383, 16_384, 70_000] {
            let body = vec![7; len];
            let mut out = Writer::new(0);
            out.message(2, MESSAGE_BYTES_MAX + len, |out| {
                out.message(1, |out| {
                    out.bytes[out.at..out.at + len].copy_from_slice(&body);
                    out.at += len;
                });
            });
            let mut inner = Writer::new(0);
            inner.bytes(1, &body);
            let mut expected = Writer::new(0);
            expected.bytes(2, &inner.finish());
            assert_eq!(out.finish(), expected.finish());
        }
    }
}
