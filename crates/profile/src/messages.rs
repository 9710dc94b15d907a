//! The messages of a profile: their tags, and what those say that hold numbers and nothing else, as they stand on the wire.
//! The check and the decoder read them here, so that they read the same.

use fearless_simd::Simd;

use crate::wire::{Fault, Fields, Glance, Message, Tags};

// The tags of messages that hold more than numbers: field numbers and wire types, numbers that repeat with both of theirs.

pub(crate) const PROFILE: Tags = Tags::new(&[
    0x0a, 0x12, 0x1a, 0x22, 0x2a, 0x32, 0x38, 0x40, 0x48, 0x50, 0x5a, 0x60, 0x68, 0x6a, 0x70, 0x78,
]);
pub(crate) const SAMPLE: Tags = Tags::new(&[0x08, 0x0a, 0x10, 0x12, 0x1a]);
pub(crate) const LOCATION: Tags = Tags::new(&[0x08, 0x10, 0x18, 0x22, 0x28]);

// What is wrong with a profile, where the check and the decoder both say it.

pub(crate) const CONCATENATED: &str = "two profiles are concatenated";
pub(crate) const MAPPING_RESERVED: &str = "a mapping has the reserved id 0";
pub(crate) const LOCATION_RESERVED: &str = "a location has the reserved id 0";
pub(crate) const FUNCTION_RESERVED: &str = "a function has the reserved id 0";

/// The numbers of a message that has these tags and no others: 0 where there is none, the last where there are several.
#[inline(always)]
fn read<const N: usize>(message: Message<'_>, tags: [u8; N]) -> Result<[u64; N], Fault> {
    let mut numbers = [0; N];
    let mut glance = Glance::new(message);
    glance.numbers(tags, &mut numbers);
    match glance.rest() {
        [] => Ok(numbers),
        rest => read_plainly(rest, tags, numbers),
    }
}

/// The same of what is left of a message that is written in another way, or has a fault; with the numbers so far.
#[inline(never)]
fn read_plainly<const N: usize>(message: &[u8], tags: [u8; N], mut numbers: [u64; N]) -> Result<[u64; N], Fault> {
    let known = Tags::new(&tags);
    let mut fields = Fields::new(message)?;
    while !fields.is_at_end() {
        for (tag, number) in tags.into_iter().zip(&mut numbers) {
            if fields.is(tag) {
                *number = fields.varint()?;
            }
        }
        fields.skip_unknown(known)?;
    }
    Ok(numbers)
}

/// A message that is made of numbers.
pub(crate) trait Numbers<const N: usize>: Sized {
    const TAGS: [u8; N];

    fn of(numbers: [u64; N]) -> Self;
}

/// Reads a message of a kind that differs from one to the next in how long its numbers are, as lines and functions do.
#[inline(always)]
pub(crate) fn read_varied<S: Simd, M: Numbers<N>, const N: usize>(simd: S, message: Message<'_>) -> Result<M, Fault> {
    match message.short_numbers(simd, M::TAGS) {
        Some(numbers) => Ok(M::of(numbers)),
        None => read(message, M::TAGS).map(M::of),
    }
}

/// A message of numbers: what each of them is called, and its tag.
macro_rules! numbers {
    ($(#[$about:meta])* $name:ident { $($field:ident = $tag:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Default)]
        pub(crate) struct $name {
            $(pub(crate) $field: u64,)+
        }

        impl Numbers<{ [$($tag),+].len() }> for $name {
            const TAGS: [u8; [$($tag),+].len()] = [$($tag),+];

            #[inline(always)]
            fn of([$($field),+]: [u64; [$($tag),+].len()]) -> Self {
                Self { $($field),+ }
            }
        }

        impl $name {
            #[inline(always)]
            pub(crate) fn read<'a>(message: impl Into<Message<'a>>) -> Result<Self, Fault> {
                read(message.into(), Self::TAGS).map(Self::of)
            }
        }
    };
}

numbers! {
    /// Type and unit, as indexes of strings.
    ValueType { kind = 0x08, unit = 0x10 }
}

numbers! {
    /// A label: indexes of strings, but for the number.
    Label { key = 0x08, text = 0x10, number = 0x18, unit = 0x20 }
}

impl Label {
    /// The largest index of a string in it, of those that google/pprof looks at: not the unit of a label that has a text.
    #[inline]
    pub(crate) fn string_index_max(&self) -> u64 {
        self.key.max(if self.text == 0 { self.unit } else { self.text })
    }
}

numbers! {
    /// A mapping.
    Mapping {
        id = 0x08,
        start = 0x10,
        limit = 0x18,
        offset = 0x20,
        file = 0x28,
        build_id = 0x30,
        has_functions = 0x38,
        has_filenames = 0x40,
        has_line_numbers = 0x48,
        has_inline_frames = 0x50,
    }
}

numbers! {
    /// A line of a location.
    Line { function = 0x08, line = 0x10, column = 0x18 }
}

numbers! {
    /// A function.
    Function { id = 0x08, name = 0x10, system_name = 0x18, file = 0x20, start_line = 0x28 }
}

#[cfg(test)]
mod tests {
    use fearless_simd::dispatch;
    use proptest::prelude::*;
    use testkit::soak;

    use super::*;
    use crate::wire::levels;

    numbers! {
        /// Any message.
        Four { a = 0x08, b = 0x10, c = 0x18, d = 0x20 }
    }

    /// Fields with these tags in any order, ones that are unknown, written at length, or mistaken; and bytes of no meaning.
    fn field() -> impl Strategy<Value = Vec<u8>> {
        let tags = prop::sample::select(vec![0x08, 0x08, 0x10, 0x10, 0x18, 0x20, 0x28, 0x0a, 0x00, 0x3d]);
        let number = prop_oneof![4 => 0_usize..2, 2 => 2_usize..9, 1 => 9_usize..12];
        prop_oneof![
            12 => (tags, number, any::<u64>()).prop_map(|(tag, continuing, bits)| {
                let bytes = bits.to_le_bytes();
                let more = (0..continuing).map(|at| bytes[at % 8] | 0x80);
                [tag].into_iter().chain(more).chain([bytes[7] & 0x7f]).collect()
            }),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(soak::cases(2048)))]

        #[test]
        fn what_comes_after_a_message_is_no_part_of_it(
            mut fields in prop::collection::vec(field(), 0..6),
            is_sorted in any::<bool>(),
            after in prop::collection::vec(field(), 0..4),
            cut in prop_oneof![4 => Just(0_usize), 1 => 1_usize..4],
        ) {
            if is_sorted {
                fields.sort();
            }
            let mut message = fields.concat();
            message.truncate(message.len().saturating_sub(cut));
            let expected = read_plainly(&message, Four::TAGS, [0; 4]);
            let onward = [message.clone(), after.concat()].concat();
            let within = Message::new(&onward, message.len() as u64).unwrap();
            let numbers = |four: Four| [four.a, four.b, four.c, four.d];
            for message in [message[..].into(), within] {
                prop_assert_eq!(Four::read(message).map(numbers), expected);
                for level in levels() {
                    prop_assert_eq!(dispatch!(level, simd => read_varied(simd, message)).map(numbers), expected);
                }
            }
        }
    }
}
