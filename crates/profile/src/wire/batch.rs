//! Varints by the batch: all that end within eight bytes, at once.
//!
//! In what order short and long varints come is chance. A branch on each length is foreseen too seldom, and one that is not
//! costs as much as twenty instructions; so here nothing branches on how long a varint of up to four bytes is.

use fearless_simd::prelude::*;
use fearless_simd::{i8x16, i16x8, i16x16, u8x16, u8x32, u16x16, u32x8, u64x2};

use super::{Cursor, Fault, Message};

/// What comes next of packed varints.
#[derive(Clone, Copy)]
pub(crate) enum Batch {
    /// Varints of at most [`BYTES_MAX`] bytes: the first `count` of the lanes.
    Short { lanes: [u32; 8], count: usize },
    /// One that is longer.
    Long(u64),
}

/// The most bytes of a varint in a lane, which holds 28 bits then.
const BYTES_MAX: u8 = 4;

impl Message<'_> {
    /// Reads the varints that are packed in it.
    #[inline(always)]
    pub(crate) fn batches<S: Simd>(self, simd: S, mut each: impl FnMut(Batch)) -> Result<(), Fault> {
        let mut onward = self.onward;
        while let Some(len) = onward.len().checked_sub(self.after).filter(|len| *len > 0) {
            let word = onward
                .first_chunk()
                .map_or_else(|| last_word(onward), |word| u64::from_le_bytes(*word));
            let word = bytes_of(simd, word);
            let layout = layout(word, len);
            let bytes = if layout.count == 0 {
                let mut cursor = Cursor::new(onward.get(..len).unwrap_or_default());
                each(Batch::Long(cursor.varint()?));
                len - cursor.rest().len()
            } else {
                each(Batch::Short {
                    lanes: lanes(simd, word, layout),
                    count: usize::from(layout.count),
                });
                usize::from(layout.bytes)
            };
            onward = onward.get(bytes..).ok_or(Fault::Short)?;
        }
        Ok(())
    }

    /// The numbers of a message that has these tags and no others: 0 where there is none. `None` unless they are in this
    /// order, short, and within two batches.
    #[inline(always)]
    pub(crate) fn short_numbers<S: Simd, const N: usize>(self, simd: S, tags: [u8; N]) -> Option<[u64; N]> {
        let len = self.len();
        // Tags are varints, too. The last place is after all that two batches have, so every tag may have a number.
        let mut found = [0; 17];
        let word = bytes_of(simd, u64::from_le_bytes(*self.onward.first_chunk()?));
        let first = layout(word, len);
        *found.first_chunk_mut()? = lanes(simd, word, first);
        let (mut count, mut bytes) = (usize::from(first.count), usize::from(first.bytes));
        if bytes < len {
            let word = bytes_of(simd, u64::from_le_bytes(*self.onward.get(bytes..)?.first_chunk()?));
            let second = layout(word, len - bytes);
            *found.get_mut(count..)?.first_chunk_mut()? = lanes(simd, word, second);
            count += usize::from(second.count);
            bytes += usize::from(second.bytes);
        }
        let (mut numbers, mut at) = ([0; N], 0);
        for (tag, number) in tags.into_iter().zip(&mut numbers) {
            if found.get(at) == Some(&u32::from(tag)) {
                *number = u64::from(*found.get(at + 1)?);
                at += 2;
            }
        }
        (at == count && bytes == len).then_some(numbers)
    }
}

/// A word of what is less than one.
#[cold]
fn last_word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The bytes of a word, and as many zeros after them.
#[inline(always)]
fn bytes_of<S: Simd>(simd: S, word: u64) -> u8x16<S> {
    u64x2::from_slice(simd, &[word, 0]).to_bytes()
}

/// Where in a word the varints are that begin with its lowest byte and end within its first `len` bytes, up to the first
/// that has more than [`BYTES_MAX`].
#[inline(always)]
fn layout<S: Simd>(bytes: u8x16<S>, len: usize) -> &'static Layout {
    let bytes: i8x16<S> = bytes.bitcast();
    let continues = bytes.simd_lt(0).to_bitmask();
    let within = !(u64::MAX << len.min(8));
    &LAYOUTS[(!continues & within & 0xff) as usize]
}

/// The varints of a word, from the lowest on.
#[inline(always)]
fn lanes<S: Simd>(simd: S, bytes: u8x16<S>, layout: &Layout) -> [u32; 8] {
    let bytes = u8x32::block_splat(bytes & 0x7f);
    let bytes = bytes.swizzle_dyn_within_blocks(u8x32::from_slice(simd, &layout.bytes_of_lanes));
    // Seven bits of each byte: two bytes become fourteen bits, and two of those the number.
    let sevens: u16x16<S> = bytes.bitcast();
    let fourteens: i16x16<S> = (sevens - ((sevens >> 1) & 0x3f80)).bitcast();
    let weights = i16x8::from_slice(simd, &[1, 1 << 14, 1, 1 << 14, 1, 1 << 14, 1, 1 << 14]);
    let numbers: u32x8<S> = fourteens.pairwise_dot_product(i16x16::block_splat(weights)).bitcast();
    numbers.into()
}

/// What becomes of the bytes of a word. In a line of the cache each: its place is a shift then.
#[repr(align(64))]
struct Layout {
    /// Of each byte of each lane, which byte of the word it is; [`NO_BYTE`] for none.
    bytes_of_lanes: [u8; 32],
    /// How many lanes there are, and how many bytes they have together.
    count: u8,
    bytes: u8,
}

/// The byte after the word, which is 0.
const NO_BYTE: u8 = 8;

/// The layout for every choice of bytes that end a varint.
static LAYOUTS: [Layout; 256] = {
    let mut layouts = [const {
        Layout {
            bytes_of_lanes: [NO_BYTE; 32],
            count: 0,
            bytes: 0,
        }
    }; 256];
    let mut ends = 0;
    while ends < 256 {
        let layout = &mut layouts[ends];
        let (mut begin, mut at) = (0, 0);
        while at < 8 && at - begin < BYTES_MAX {
            if ends >> at & 1 == 1 {
                let mut byte = begin;
                while byte <= at {
                    layout.bytes_of_lanes[(layout.count * BYTES_MAX + byte - begin) as usize] = byte;
                    byte += 1;
                }
                layout.count += 1;
                begin = at + 1;
                layout.bytes = begin;
            }
            at += 1;
        }
        ends += 1;
    }
    layouts
};

/// What processors can do, as far as this one can: each is code of its own.
#[cfg(test)]
pub(crate) fn levels() -> Vec<fearless_simd::Level> {
    let best = fearless_simd::Level::new();
    let mut levels = vec![best, fearless_simd::Level::baseline()];
    #[cfg(target_arch = "x86_64")]
    levels.extend(best.as_sse4_2().map(fearless_simd::Level::Sse4_2));
    levels
}
