//! Bytes of messages in the making.

use std::mem::take;

use super::varint::{self, Varint};
use crate::wire::CONTINUES;

/// Wire bytes in the making.
pub(super) struct Writer {
    whole: Vec<u8>,
    /// What comes after those, as far as it is filled: a place that is not written for the first time each time.
    part: Vec<u8>,
    filled: usize,
}

/// Enough that it is rarely moved, and few enough to stay in the nearest cache.
const PART_BYTES: usize = 8 << 10;

/// The most bytes of a number with its tag, in a field whose number is below 16.
pub(super) const NUMBER_BYTES_MAX: usize = 11;

/// The most bytes of a message with its tag and length, beside what is in it.
pub(super) const MESSAGE_BYTES_MAX: usize = 11;

impl Writer {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            whole: Vec::with_capacity(bytes),
            part: vec![0; PART_BYTES],
            filled: 0,
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.make_room(0);
        self.whole
    }

    /// Writes at most `bytes_max` bytes.
    #[inline(always)]
    pub(super) fn write(&mut self, bytes_max: usize, write: impl FnOnce(&mut Span<'_>)) {
        let bytes = bytes_max + WORD_BYTES;
        if bytes > self.part.len() - self.filled {
            self.make_room(bytes);
        }
        let Some(rest) = self.part.get_mut(self.filled..) else {
            return;
        };
        let room = rest.len();
        let mut span = Span { rest };
        write(&mut span);
        let written = room - span.rest.len();
        debug_assert!(written <= bytes_max, "{written} of {bytes_max}");
        self.filled += written;
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
    pub(super) fn message(&mut self, field: u8, bytes_max: usize, write: impl FnOnce(&mut Span<'_>)) {
        self.write(bytes_max + MESSAGE_BYTES_MAX, |out| out.message(field, write));
    }

    /// Writes fields that are written already.
    pub(super) fn append(&mut self, fields: &[u8]) {
        if let Some(room) = self.part.get_mut(self.filled..self.filled + fields.len()) {
            room.copy_from_slice(fields);
            self.filled += fields.len();
        } else {
            self.make_room(0);
            self.whole.extend_from_slice(fields);
        }
    }

    pub(super) fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.write(MESSAGE_BYTES_MAX + bytes.len(), |out| out.bytes(field, bytes));
    }
}

/// What a word holds.
const WORD_BYTES: usize = 8;

/// A part of what is written, for which there is room, and for one word more: a number is written as a word, of which
/// those bytes that are not its own are written over by the next. So there is one comparison and hardly a branch for each,
/// whatever its length. That all is inlined and nobody else has a span keeps it in registers.
pub(super) struct Span<'w> {
    /// What was not written yet.
    rest: &'w mut [u8],
}

impl Span<'_> {
    /// Writes the lowest `bytes` of a word, at most all of them.
    #[inline(always)]
    fn word(&mut self, word: u64, bytes: usize) {
        let rest = take(&mut self.rest);
        debug_assert!(rest.len() >= WORD_BYTES);
        if let Some(chunk) = rest.first_chunk_mut() {
            *chunk = word.to_le_bytes();
            if let Some(rest) = rest.get_mut(bytes..) {
                self.rest = rest;
            }
        }
    }

    /// A number with its tag, unless it is zero.
    #[inline(always)]
    pub(super) fn number(&mut self, field: u8, number: impl Number) {
        if !number.is_zero() {
            self.number_or_zero(field, number);
        }
    }

    #[inline(always)]
    pub(super) fn number_or_zero(&mut self, field: u8, number: impl Number) {
        number.write_tagged(field << 3, self);
    }

    #[inline(always)]
    pub(super) fn repeated<N: Number>(&mut self, field: u8, numbers: impl ExactSizeIterator<Item = N>) {
        if numbers.len() > 2 {
            self.message(field, |out| numbers.for_each(|number| number.write(out)));
        } else {
            numbers.for_each(|number| self.number_or_zero(field, number));
        }
    }

    #[inline(always)]
    pub(super) fn bytes(&mut self, field: u8, bytes: &[u8]) {
        (bytes.len() as u64).write_tagged(field << 3 | 2, self);
        if let Some((place, rest)) = take(&mut self.rest).split_at_mut_checked(bytes.len()) {
            place.copy_from_slice(bytes);
            self.rest = rest;
        }
    }

    /// Writes a message, whose length is known only when it is written: most fit the one byte that is left for it.
    #[inline(always)]
    pub(super) fn message(&mut self, field: u8, write: impl FnOnce(&mut Span<'_>)) {
        self.word(u64::from(field << 3 | 2), 1);
        let whole = take(&mut self.rest);
        let room = whole.len();
        let mut inner = Span {
            rest: whole.get_mut(1..).unwrap_or_default(),
        };
        write(&mut inner);
        let end = room - inner.rest.len();
        let end = match whole.first_mut() {
            Some(byte) if end <= 0x80 => {
                *byte = (end - 1) as u8;
                end
            }
            _ => move_for_length(whole, end - 1),
        };
        if let Some(rest) = whole.get_mut(end..) {
            self.rest = rest;
        }
    }
}

/// Writes the length of a message, for which one byte is left before it; gives the bytes of both.
#[inline(never)]
fn move_for_length(bytes: &mut [u8], len: usize) -> usize {
    let (word, length_bytes) = varint::of_eight(len as u64);
    // There is room for lengths of ten bytes.
    bytes.copy_within(1..=len, length_bytes);
    for (byte, of) in bytes.iter_mut().zip(word.to_le_bytes()).take(length_bytes) {
        *byte = of;
    }
    length_bytes + len
}

/// What can be a number of a message.
pub(super) trait Number: Copy {
    fn is_zero(self) -> bool;

    /// Writes it as one of many that are packed.
    fn write(self, out: &mut Span<'_>);

    /// Writes it as a field, after its tag.
    fn write_tagged(self, tag: u8, out: &mut Span<'_>);
}

impl Number for Varint {
    #[inline(always)]
    fn is_zero(self) -> bool {
        // The only one whose first byte is 0, or which has no bytes.
        self.word().0 & 0xff == 0
    }

    #[inline(always)]
    fn write(self, out: &mut Span<'_>) {
        let (word, bytes) = self.word();
        out.word(word, bytes);
    }

    #[inline(always)]
    fn write_tagged(self, tag: u8, out: &mut Span<'_>) {
        let (word, bytes) = self.word();
        out.word(word << 8 | u64::from(tag), 1 + bytes);
    }
}

impl Number for u64 {
    #[inline(always)]
    fn is_zero(self) -> bool {
        self == 0
    }

    // Small and large numbers take turns among values, so whether they fit two bytes is not asked here.
    #[inline(always)]
    fn write(self, out: &mut Span<'_>) {
        if self >> 28 == 0 {
            let (word, bytes) = varint::of_four(self as u32);
            out.word(word, bytes);
        } else if self >> 56 == 0 {
            let (word, bytes) = varint::of_eight(self);
            out.word(word, bytes);
        } else {
            // More than eight bytes, of which all but the last go on: negative numbers, and addresses of kernels.
            out.word(varint::of_eight(self & ((1 << 56) - 1)).0 | CONTINUES, 8);
            let (word, bytes) = varint::of_two(self >> 56);
            out.word(word, bytes);
        }
    }

    #[inline(always)]
    fn write_tagged(self, tag: u8, out: &mut Span<'_>) {
        if let Some((word, bytes)) = varint::of_seven(self) {
            out.word(word << 8 | u64::from(tag), 1 + bytes);
        } else {
            out.word(tag.into(), 1);
            self.write(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                out.write(10, |out| value.write(out));
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
                    let (place, rest) = take(&mut out.rest).split_at_mut(len);
                    place.copy_from_slice(&body);
                    out.rest = rest;
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
