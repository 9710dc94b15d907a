//! Packed numbers: the ids of stacks and the values of samples, which most bytes of most profiles are.

use fearless_simd::Simd;

use super::columns::Ids;
use crate::wire::{Batch, Fault, Message};

/// Appends the ids of a packed field as columns hold them.
#[inline(always)]
pub(super) fn packed_ids<S: Simd>(
    simd: S,
    packed: Message<'_>,
    stacks: &mut Vec<u32>,
    ids: &mut Ids,
) -> Result<(), Fault> {
    stacks.reserve(packed.len());
    packed.batches(simd, |batch| match batch {
        // As `Ids::narrow` does it: 0 becomes `NOTHING`, and none of these is wide.
        Batch::Short { lanes, count } => append(lanes.map(|id| id.wrapping_sub(1)), count, stacks),
        Batch::Long(id) => stacks.push(ids.narrow(id)),
    })
}

/// Appends the values of a packed field.
#[inline(always)]
pub(super) fn packed_values<S: Simd>(simd: S, packed: Message<'_>, values: &mut Vec<i64>) -> Result<(), Fault> {
    packed.batches(simd, |batch| match batch {
        Batch::Short { lanes, count } => append(lanes.map(i64::from), count, values),
        Batch::Long(value) => values.push(value.cast_signed()),
    })
}

/// Appends the first `count` of the numbers.
#[inline(always)]
fn append<T: Copy>(numbers: [T; 8], count: usize, column: &mut Vec<T>) {
    let end = column.len() + count;
    // Always eight, so that it is known how many; those that are too many are taken back.
    column.extend_from_slice(&numbers);
    column.truncate(end);
}

#[cfg(test)]
mod tests {
    use fearless_simd::dispatch;
    use proptest::prelude::*;
    use testkit::soak;

    use super::*;
    use crate::wire::{Cursor, levels};

    /// The numbers up to the first that is none, and what is wrong with that one.
    fn one_by_one(packed: &[u8]) -> (Vec<u64>, Result<(), Fault>) {
        let (mut cursor, mut numbers) = (Cursor::new(packed), Vec::new());
        while !cursor.is_empty() {
            match cursor.varint() {
                Ok(number) => numbers.push(number),
                Err(fault) => return (numbers, Err(fault)),
            }
        }
        (numbers, Ok(()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(soak::cases(1024)))]

        #[test]
        fn numbers_by_the_batch_are_numbers_one_by_one(
            // Mostly one byte and two, some that are longer, some too long; zeros too, and padded ones.
            varints in prop::collection::vec((prop_oneof![8 => 0_usize..2, 2 => 2_usize..5, 1 => 5_usize..12], any::<u32>()), 0..40),
            cut in prop_oneof![4 => Just(0_usize), 1 => 1_usize..4],
            after in prop::collection::vec(any::<u8>(), 0..10),
        ) {
            let mut packed = Vec::new();
            for (continuing, bits) in varints {
                packed.extend((0..continuing).map(|at| (bits >> (at % 4 * 8)) as u8 | 0x80));
                packed.push((bits >> 24) as u8 & 0x7f);
            }
            packed.truncate(packed.len().saturating_sub(cut));
            let (numbers, expected) = one_by_one(&packed);
            let mut expected_ids = Ids::default();
            let narrow: Vec<_> = numbers.iter().map(|id| expected_ids.narrow(*id)).collect();
            let onward = [packed.clone(), after].concat();
            let message = Message::new(&onward, packed.len() as u64).unwrap();
            for level in levels() {
                let (mut stacks, mut ids, mut values) = (vec![7], Ids::default(), vec![7]);
                prop_assert_eq!(dispatch!(level, simd => packed_ids(simd, message, &mut stacks, &mut ids)), expected);
                prop_assert_eq!(&stacks[1..], &narrow);
                prop_assert_eq!(&ids, &expected_ids);
                prop_assert_eq!(dispatch!(level, simd => packed_values(simd, message, &mut values)), expected);
                prop_assert!(values[1..].iter().map(|value| value.cast_unsigned()).eq(numbers.iter().copied()));
            }
        }
    }
}
