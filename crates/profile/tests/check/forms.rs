//! Messages in the form that they usually have, and in every other: the check reads the former in another way, and says the same.

use profile::Limits;
use proptest::prelude::*;
use proptest::sample::Index;
use testkit::soak;

use crate::bodies::*;

/// Sample types, and so values of a sample.
const VALUES: usize = 2;

/// Numbers of every length: small ones mostly, and a few that are longer than they need to be, or than they may be.
fn numbers() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![6 => 0..4_u64, 6 => 0..300_u64, 2 => 0..1_u64 << 36, 1 => any::<u64>()];
    let padding = prop_oneof![30 => Just(0), 2 => 1..5_usize, 1 => 5..11_usize];
    (value, padding).prop_map(|(value, padding)| {
        let mut number = varint(value);
        let last = number.len() - 1;
        if padding > 0 {
            number[last] |= 0x80;
            number.extend(vec![0x80; padding - 1]);
            number.push(0);
        }
        number
    })
}

/// Fields that hold a number each, with some of these tags, and usually in their order.
fn fields(tags: &'static [u64]) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let tagged: Vec<_> = tags
        .iter()
        .map(|field| {
            let field = numbers().prop_map(|number| [varint(*field << 3), number].concat());
            prop_oneof![3 => field.prop_map(Some), 1 => Just(None)]
        })
        .collect();
    shuffled(tagged.prop_map(|fields| fields.into_iter().flatten().collect()))
}

/// Now and then in another order, with something that nobody knows among it, or with a field twice.
fn shuffled(fields: impl Strategy<Value = Vec<Vec<u8>>>) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let strange = prop_oneof![
        Just(number(99, 7)),
        Just(bytes(99, b"unknown")),
        Just(bytes(1, b"")),
        Just(vec![0x0d, 1, 2, 3, 4]),
        Just(vec![0]),
        Just(number(1, 0)),
    ];
    let changed = prop_oneof![8 => Just(None), 1 => (any::<Index>(), any::<Index>(), strange).prop_map(Some)];
    (fields, changed).prop_map(|(mut fields, changed)| {
        if let Some((from, to, strange)) = changed {
            fields.push(strange);
            let (from, to) = (from.index(fields.len()), to.index(fields.len()));
            fields.swap(from, to);
        }
        fields
    })
}

/// The numbers in one field, or each in its own.
fn repeated(field: u64, numbers: impl Strategy<Value = Vec<Vec<u8>>>) -> impl Strategy<Value = Vec<u8>> {
    (numbers, any::<bool>()).prop_map(move |(numbers, is_packed)| {
        if is_packed {
            bytes(field, &numbers.concat())
        } else {
            let fields = numbers.iter().map(|number| [&varint(field << 3)[..], number].concat());
            fields.collect::<Vec<_>>().concat()
        }
    })
}

fn samples() -> impl Strategy<Value = Vec<u8>> {
    let values =
        prop_oneof![20 => Just(VALUES), 1 => 0..4_usize].prop_flat_map(|count| prop::collection::vec(numbers(), count));
    let depth = prop_oneof![6 => 0..30_usize, 1 => 30..300_usize];
    let ids = depth.prop_flat_map(|depth| prop::collection::vec(numbers(), depth));
    let labels = prop::collection::vec(fields(&[1, 2, 3, 4]).prop_map(|label| message(3, &label)), 0..3);
    let parts = (repeated(1, ids), repeated(2, values), labels).prop_map(|(ids, values, labels)| {
        let mut parts = vec![ids, values];
        parts.extend(labels);
        parts
    });
    shuffled(parts).prop_map(|parts| message(2, &parts))
}

fn locations() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec(fields(&[1, 2, 3]).prop_map(|line| message(4, &line)), 0..4);
    let parts = (fields(&[1, 2, 3]), lines, fields(&[5])).prop_map(|parts| [parts.0, parts.1, parts.2].concat());
    shuffled(parts).prop_map(|parts| message(4, &parts))
}

fn functions() -> impl Strategy<Value = Vec<u8>> {
    fields(&[1, 2, 3, 4, 5]).prop_map(|function| message(5, &function))
}

/// A profile of which every message is in one form or another.
fn profiles() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![4 => samples(), 2 => locations(), 2 => functions(), 1 => Just(bytes(6, b"a string"))];
    // Few of them, or hardly one profile would be valid.
    let fields = prop::collection::vec(field, 0..8);
    // Enough strings for nearly all numbers that are no longer than two bytes, or for few.
    let strings = prop_oneof![4 => Just(300_usize), 1 => 4..300_usize];
    let damage = prop_oneof![8 => Just(None), 1 => (any::<Index>(), any::<u8>()).prop_map(Some)];
    (fields, strings, damage).prop_map(|(fields, strings, damage)| {
        let types = message(1, &[number(1, 1), number(2, 2)]).repeat(VALUES);
        let strings = [bytes(6, b""), bytes(6, b"name").repeat(strings)].concat();
        let mut body = [types, strings.clone(), fields.concat()].concat();
        if let Some((at, byte)) = damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body
    })
}

/// Limits of which each is either out of reach or near.
fn limits() -> impl Strategy<Value = Limits> {
    let near = |max: u64, far: u64| prop_oneof![9 => Just(far), 1 => 0..max];
    let all = Limits::DEFAULT;
    let of_all = (
        near(6, all.samples_max),
        near(90, all.locations_in_samples_max),
        near(4, all.locations_max),
    );
    let of_one = (
        near(40, all.locations_per_sample_max),
        near(3, all.labels_per_sample_max),
        near(4, all.lines_per_location_max),
        near(80, all.message_bytes_max),
    );
    let of_tables = (
        near(4, all.functions_max),
        near(303, all.strings_max),
        near(9, all.string_bytes_max),
    );
    (of_all, of_one, of_tables).prop_map(move |(of_all, of_one, of_tables)| Limits {
        samples_max: of_all.0,
        locations_in_samples_max: of_all.1,
        locations_max: of_all.2,
        locations_per_sample_max: of_one.0,
        labels_per_sample_max: of_one.1,
        lines_per_location_max: of_one.2,
        message_bytes_max: of_one.3,
        functions_max: of_tables.0,
        strings_max: of_tables.1,
        string_bytes_max: of_tables.2,
        ..all
    })
}

#[test]
fn stacks_of_any_depth_are_counted() {
    // Around what is counted by words, and far beyond it.
    for depth in [0, 1, 7, 8, 9, 255, 256, 2039, 2040, 2041, 2048, 5000] {
        for id in [1, 1 << 7, 1 << 27, 1 << 28, u64::MAX] {
            let ids = varint(id).repeat(depth);
            let sample = message(2, &[bytes(1, &ids), number(2, 1)]);
            let types = message(1, &[number(1, 1), number(2, 2)]);
            let strings = [&b""[..], b"cpu", b"nanoseconds"].map(|name| bytes(6, name)).concat();
            let body = [types, sample.repeat(3), strings].concat();
            for locations_in_samples_max in [3 * depth as u64, (3 * depth as u64).saturating_sub(1)] {
                let limits = Limits {
                    locations_in_samples_max,
                    ..Limits::DEFAULT
                };
                let whole = check_within(limits, [&body]);
                assert_eq!(
                    whole.is_ok(),
                    locations_in_samples_max == 3 * depth as u64,
                    "{depth} of {id}"
                );
                assert_eq!(whole, check_within(limits, body.chunks(1)), "{depth} of {id}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(soak::cases(2048)))]

    /// Who gets one byte at a time never has a message and what follows it, so all are read in the plain way.
    #[test]
    fn messages_in_any_form_are_judged_as_in_the_plain_way(body in profiles(), limits in limits()) {
        let plainly = check_within(limits, body.chunks(1));
        prop_assert_eq!(check_within(limits, [&body]), plainly);
        prop_assert_eq!(check_within(Limits::DEFAULT, [&body]), check_within(Limits::DEFAULT, body.chunks(1)));
    }
}
