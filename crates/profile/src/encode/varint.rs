//! Numbers as they are written: varints in the lowest bytes of words.

use crate::wire::CONTINUES;

/// A number below 2^49, ready to be written: its varint in seven bytes, and in the highest three bits how many it has.
///
/// The ids of locations and functions and the indexes of strings are written over and over, so they are made ready once. The
/// default has no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Varint(u64);

impl Varint {
    /// `None` for a number that does not fit.
    #[inline(always)]
    pub(super) fn new(number: u64) -> Option<Self> {
        of_seven(number).map(|(word, bytes)| Self(word | (bytes as u64) << 61))
    }

    /// Its bytes, with others after them, and how many they are.
    #[inline(always)]
    pub(super) fn word(self) -> (u64, usize) {
        (self.0, (self.0 >> 61) as usize)
    }
}

/// The ids of a table, ready to be written.
pub(super) struct Ids(Vec<Varint>);

impl Ids {
    /// `None` if one does not fit.
    pub(super) fn new(ids: impl Iterator<Item = u64>) -> Option<Self> {
        ids.map(Varint::new).collect::<Option<_>>().map(Self)
    }

    #[inline(always)]
    pub(super) fn get(&self, index: u32) -> Varint {
        self.0.get(index as usize).copied().unwrap_or_default()
    }
}

/// The varint of a number if it has seven bytes at most, and how many it has.
#[inline(always)]
pub(super) fn of_seven(number: u64) -> Option<(u64, usize)> {
    if number >> 14 == 0 {
        Some(of_two(number))
    } else if number >> 28 == 0 {
        Some(of_four(number as u32))
    } else if number >> 49 == 0 {
        Some(of_eight(number))
    } else {
        None
    }
}

/// The varint of a number below 2^14, and how many bytes it has.
#[inline(always)]
pub(super) fn of_two(number: u64) -> (u64, usize) {
    let is_long = number >= 0x80;
    // What is added moves the upper seven bits up by one.
    let of_7 = number + (number & 0x3f80);
    (of_7 | u64::from(is_long) << 7, 1 + usize::from(is_long))
}

/// The varint of a number below 2^28, and how many bytes it has.
#[inline(always)]
pub(super) fn of_four(number: u32) -> (u64, usize) {
    // What is added moves the upper half of each pair up.
    let of_14 = number + (number & 0x0fff_c000) * 3;
    let of_7 = of_14 + (of_14 & 0x3f80_3f80);
    let unused = (of_7 | 1).leading_zeros() / 8;
    let word = of_7 | 0x0080_8080 >> (8 * unused);
    (word.into(), 4 - unused as usize)
}

/// The varint of a number below 2^56, and how many bytes it has.
#[inline(always)]
pub(super) fn of_eight(number: u64) -> (u64, usize) {
    let of_28 = number & 0x0fff_ffff | (number & 0x00ff_ffff_f000_0000) << 4;
    let of_14 = of_28 + (of_28 & 0x0fff_c000_0fff_c000) * 3;
    let of_7 = of_14 + (of_14 & 0x3f80_3f80_3f80_3f80);
    let unused = (of_7 | 1).leading_zeros() / 8;
    // All bytes but the last go on.
    let word = of_7 | CONTINUES >> 8 >> (8 * unused);
    (word, 8 - unused as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::writer::Number as _;

    #[test]
    fn what_is_made_ready_is_what_would_be_computed() {
        for number in (0..49).flat_map(|shift| [(1 << shift) - 1, 1 << shift, (1 << shift) + 1]) {
            let (word, bytes) = of_eight(number);
            let ready = Varint::new(number).unwrap();
            assert_eq!(ready.word().1, bytes, "{number}");
            assert_eq!(
                ready.word().0.to_le_bytes()[..bytes],
                word.to_le_bytes()[..bytes],
                "{number}"
            );
            assert_eq!(ready.is_zero(), number == 0);
        }
        assert_eq!(Varint::new(1 << 49), None);
        assert!(Varint::default().is_zero());
    }
}
