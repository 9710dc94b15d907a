//! Packed numbers: the ids of stacks and the values of samples, which most bytes of most profiles are.

use super::columns::Ids;
use crate::wire::{Cursor, Fault};

/// Appends the ids of a packed field as columns hold them.
///
/// Ids below 16,384 have one byte or two, and in what order is chance: a branch on each length is foreseen too seldom, and
/// one that is not costs as much as five ids. So they are read from words of eight bytes, without a branch; an id that has
/// more bytes is read on its own.
#[inline(never)]
pub(super) fn packed_ids(packed: &[u8], stacks: &mut Vec<u32>, ids: &mut Ids) -> Result<(), Fault> {
    stacks.reserve(packed.len());
    let mut rest = packed;
    while let Some(word) = rest.first_chunk() {
        let word = Word(u64::from_le_bytes(*word));
        if word.0 & CONTINUES == 0 {
            // Eight of one byte.
            stacks.extend_from_slice(&word.0.to_le_bytes().map(|id| u32::from(id).wrapping_sub(1)));
            let Some(next) = rest.get(8..) else { break };
            rest = next;
        } else if word.is_short() {
            word.push(0, stacks);
            let Some(next) = rest.get(word.len()..) else { break };
            rest = next;
        } else {
            let mut cursor = Cursor::new(rest);
            stacks.push(ids.narrow(cursor.varint()?));
            rest = cursor.rest();
        }
    }
    if let (Some(word), Some(0..0x80), 1..) = (packed.last_chunk(), rest.last(), rest.len()) {
        // The rest as a word: its bytes are the last of this one.
        let word = Word(u64::from_le_bytes(*word) >> (64 - 8 * rest.len()));
        if word.is_short() {
            word.push(0xff << rest.len(), stacks);
            return Ok(());
        }
    }
    let mut cursor = Cursor::new(rest);
    while !cursor.is_empty() {
        stacks.push(ids.narrow(cursor.varint()?));
    }
    Ok(())
}

#[inline(never)]
pub(super) fn packed_values(packed: &[u8], values: &mut Vec<i64>) -> Result<(), Fault> {
    let mut packed = Cursor::new(packed);
    while !packed.is_empty() {
        values.push(packed.varint()?.cast_signed());
    }
    Ok(())
}

/// Eight bytes of varints, the first of which begins with the lowest byte.
#[derive(Clone, Copy)]
struct Word(u64);

/// The bit that says of each byte that the varint goes on.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

impl Word {
    /// Whether no varint has more than two of these bytes.
    #[inline(always)]
    fn is_short(self) -> bool {
        let continues = self.0 & CONTINUES;
        continues & continues >> 8 == 0
    }

    /// How many bytes the varints have that end in this word.
    #[inline(always)]
    fn len(self) -> usize {
        // One bit is left.
        8 - (self.0 >> 63) as usize
    }

    /// Appends the ids of a word that is short, but for those that end in a byte whose bit is set in `without`.
    #[inline(always)]
    fn push(self, without: u32, stacks: &mut Vec<u32>) {
        // Every product of a bit of the one factor and a bit of the other is a place of its own, and those that end up in
        // the highest byte are the eight bits in their order.
        let continues = ((self.0 & CONTINUES).wrapping_mul(0x0002_0408_1020_4081) >> 56) as u32;
        let layout = &LAYOUTS[((continues | without) & 0xff) as usize];
        let lanes = (u128::from(self.lanes()) | u128::from(Self(self.0 >> 8).lanes()) << 64).to_le_bytes();
        let lanes = lanes.as_chunks().0;
        let end = stacks.len() + layout.count as usize;
        // Always eight, so that it is known how many; those that are too many are taken back.
        stacks.extend_from_slice(&layout.lanes.map(|lane| {
            let id = lanes.get((lane & 7) as usize).copied().unwrap_or_default();
            // As `Ids::narrow` does it: 0 becomes `NOTHING`, and none of these is wide.
            u32::from(u16::from_le_bytes(id)).wrapping_sub(1)
        }));
        stacks.truncate(end);
    }

    /// The varints of one or two bytes that begin with the bytes 0, 2, 4 and 6, in 16 bits each. Whether one does begin
    /// there is for the caller to know.
    #[inline(always)]
    fn lanes(self) -> u64 {
        const LOWEST: u64 = 0x0001_0001_0001_0001;
        let first = self.0 & (LOWEST * 0x7f);
        let has_second = (self.0 >> 7 & LOWEST) * 0x3f80;
        first | self.0 >> 1 & has_second
    }
}

/// Where in a word the varints are.
#[derive(Clone, Copy)]
struct Layout {
    /// The lane of each: those of even bytes come first, then those of odd bytes.
    lanes: [u8; 8],
    count: u8,
}

/// The layout for every choice of bytes that do not end a varint.
static LAYOUTS: [Layout; 256] = {
    let mut layouts = [Layout {
        lanes: [0; 8],
        count: 0,
    }; 256];
    let mut continues = 0;
    while continues < 256 {
        let layout = &mut layouts[continues];
        let (mut begin, mut at) = (0, 0);
        while at < 8 {
            if continues >> at & 1 == 0 {
                layout.lanes[layout.count as usize] = begin / 2 + begin % 2 * 4;
                layout.count += 1;
                begin = at + 1;
            }
            at += 1;
        }
        continues += 1;
    }
    layouts
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use testkit::soak;

    use super::*;

    fn one_by_one(packed: &[u8], stacks: &mut Vec<u32>, ids: &mut Ids) -> Result<(), Fault> {
        let mut cursor = Cursor::new(packed);
        while !cursor.is_empty() {
            stacks.push(ids.narrow(cursor.varint()?));
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(soak::cases(1024)))]

        #[test]
        fn ids_from_words_are_ids_one_by_one(
            // Mostly one byte and two, some that are longer, some too long; zeros too, and padded ones.
            varints in prop::collection::vec((prop_oneof![8 => 0_usize..2, 2 => 2_usize..5, 1 => 5_usize..12], any::<u32>()), 0..40),
            cut in prop_oneof![4 => Just(0_usize), 1 => 1_usize..4],
        ) {
            let mut packed = Vec::new();
            for (continuing, bits) in varints {
                packed.extend((0..continuing).map(|at| (bits >> (at % 4 * 8)) as u8 | 0x80));
                packed.push((bits >> 24) as u8 & 0x7f);
            }
            packed.truncate(packed.len().saturating_sub(cut));
            let (mut stacks, mut ids) = (vec![7], Ids::default());
            let (mut expected, mut expected_ids) = (vec![7], Ids::default());
            let read = packed_ids(&packed, &mut stacks, &mut ids);
            prop_assert_eq!(read, one_by_one(&packed, &mut expected, &mut expected_ids));
            prop_assert_eq!(stacks, expected);
            prop_assert_eq!(ids, expected_ids);
        }
    }
}
