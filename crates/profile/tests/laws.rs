//! What must hold for every profile: of the codec, of the algebra, and of the views.
#![expect(clippy::unwrap_used, reason = "a test file: its functions are tests or their parts")]

use profile::merge::Merger;
use profile::view::View;
use profile::view::stacks::Stacks;
use profile::{Limits, Profile, ScaleError};
use proptest::prelude::*;
use testkit::soak;

#[path = "laws/delta.rs"]
mod delta;
#[path = "laws/filters.rs"]
mod filters;
#[path = "laws/merges.rs"]
mod merges;
#[path = "laws/views.rs"]
mod views;

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(field: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(field << 3, &mut out);
    varint(value, &mut out);
    out
}

fn message(field: u64, fields: &[Vec<u8>]) -> Vec<u8> {
    let body = fields.concat();
    let mut out = Vec::new();
    varint(field << 3 | 2, &mut out);
    varint(body.len() as u64, &mut out);
    out.extend(body);
    out
}

const STRINGS: [&str; 12] = [
    "",
    "samples",
    "count",
    "cpu",
    "nanoseconds",
    "main",
    "work",
    "wait",
    "/bin/a",
    "key",
    "blue",
    "main",
];

/// A sample: its stack, two values, and a label or none.
type RawSample = (Vec<u64>, (i64, i64), Option<(bool, i64)>);

/// Bytes of small profiles of two sample types, with ids of any order, functions that are the same under two names of the
/// table, and code in two mappings.
fn profiles(values: std::ops::Range<i64>) -> impl Strategy<Value = Vec<u8>> {
    profiles_of(["samples", "count", "cpu", "nanoseconds"], values, 1..9)
}

/// The same with the kinds and units of two sample types, and times.
fn profiles_of(
    types: [&'static str; 4],
    values: std::ops::Range<i64>,
    times: std::ops::Range<u64>,
) -> impl Strategy<Value = Vec<u8>> {
    let ids = Just((1..=6_u64).collect::<Vec<_>>()).prop_shuffle();
    let function = (5..12_u64, 0..2_u64);
    let location = (0..3_u64, 0..3_u64, prop::collection::vec((0..4_usize, 0..2_u64), 0..3));
    let label = prop::option::of((any::<bool>(), 0..3_i64));
    let sample = (prop::collection::vec(0..6_u64, 0..5), (values.clone(), values), label);
    let functions = prop::collection::vec(function, 4);
    let locations = prop::collection::vec(location, 6);
    let samples = prop::collection::vec(sample, 0..12);
    (ids, functions, locations, samples, 0..3_u64, times).prop_map(
        move |(ids, functions, locations, samples, period, time)| {
            let mut out = vec![
                message(1, &[number(1, 1), number(2, 2)]),
                message(1, &[number(1, 3), number(2, 4)]),
            ];
            out.extend(samples.iter().map(|sample| sample_message(sample, &ids)));
            for id in 1..=2 {
                out.push(message(
                    3,
                    &[
                        number(1, id),
                        number(2, id << 16),
                        number(3, (id << 16) + 4096),
                        number(5, 8),
                    ],
                ));
            }
            for (id, (mapping, address, lines)) in ids.iter().zip(&locations) {
                let mut fields = vec![
                    number(1, *id),
                    number(2, *mapping),
                    number(3, (mapping << 16) + address),
                ];
                let line =
                    |(function, line): &(usize, u64)| message(4, &[number(1, 1 + *function as u64), number(2, *line)]);
                fields.extend(lines.iter().map(line));
                out.push(message(4, &fields));
            }
            for (id, (name, start)) in (1_u64..).zip(&functions) {
                out.push(message(5, &[number(1, id), number(2, *name), number(5, *start)]));
            }
            let strings = STRINGS.iter().take(1).chain(&types).chain(STRINGS.iter().skip(5));
            out.extend(strings.map(|string| message(6, &[string.as_bytes().to_vec()])));
            out.extend([number(9, time), number(12, period)]);
            out.concat()
        },
    )
}

fn sample_message((stack, (first, second), label): &RawSample, ids: &[u64]) -> Vec<u8> {
    let mut fields: Vec<_> = stack
        .iter()
        .map(|index| number(1, ids[usize::try_from(*index).unwrap()]))
        .collect();
    fields.extend([number(2, first.cast_unsigned()), number(2, second.cast_unsigned())]);
    if let Some((is_text, value)) = label {
        let what = if *is_text {
            number(2, 10)
        } else {
            number(3, value.cast_unsigned())
        };
        fields.push(message(3, &[number(1, 9), what]));
    }
    message(2, &fields)
}

fn decode(bytes: &[u8]) -> Profile<'_> {
    Profile::decode(bytes, &Limits::DEFAULT).unwrap()
}

fn merge(profiles: &[&Profile<'_>]) -> Profile<'static> {
    let mut merger = Merger::new();
    for profile in profiles {
        merger.add(profile).unwrap();
    }
    merger.finish().unwrap()
}

fn folded<'p>(profile: &'p Profile<'p>, index: usize) -> String {
    Stacks::new(&View::new(profile, index).unwrap()).folded().unwrap()
}

/// One sum for each sample type.
fn added(first: &[i64], second: &[i64]) -> Vec<i64> {
    first.iter().zip(second).map(|(first, second)| first + second).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(soak::cases(256)))]

    #[test]
    fn writing_and_reading_again_changes_nothing(bytes in profiles(-9..9)) {
        let once = decode(&bytes).encode();
        prop_assert_eq!(decode(&once).encode(), once);
    }

    #[test]
    fn compacting_twice_is_compacting_once(bytes in profiles(-9..9)) {
        let profile = decode(&bytes);
        let once = profile.compact().unwrap();
        prop_assert_eq!(once.compact().unwrap().encode(), once.encode());
        prop_assert_eq!(once.totals(), profile.totals());
    }

    #[test]
    fn merging_adds_and_its_steps_do_not_matter(
        first in profiles(-9..9),
        second in profiles(-9..9),
        third in profiles(-9..9),
    ) {
        let (first, second, third) = (decode(&first), decode(&second), decode(&third));
        let both = merge(&[&first, &second]);
        prop_assert_eq!(both.totals(), added(&first.totals(), &second.totals()));
        let all = merge(&[&first, &second, &third]);
        prop_assert_eq!(all.totals(), added(&both.totals(), &third.totals()));
        // The order of what is new in the third may depend on what the others summed to zero, the sums may not.
        let stepwise = merge(&[&both, &third]);
        for index in 0..2 {
            prop_assert_eq!(folded(&all, index), folded(&stepwise, index));
            prop_assert_eq!(folded(&all, index), folded(&merge(&[&third, &second, &first]), index));
        }
    }

    #[test]
    fn a_profile_less_itself_is_nothing(bytes in profiles(-9..9)) {
        let difference = decode(&bytes).subtract(&mut decode(&bytes)).unwrap();
        prop_assert_eq!(difference.sample_count(), 0);
        prop_assert_eq!(difference.functions().len(), 0);
        // What is compared stays apart, and sums to nothing all the same.
        let compared = decode(&bytes).compare(&mut decode(&bytes)).unwrap();
        prop_assert_eq!(compared.totals(), vec![0, 0]);
    }

    #[test]
    fn adding_what_was_subtracted_gives_the_profile_back(first in profiles(-9..9), second in profiles(-9..9)) {
        let (first, second) = (decode(&first), decode(&second));
        let difference = first.subtract(&mut second.clone()).unwrap();
        let again = merge(&[&difference, &second]);
        for index in 0..2 {
            prop_assert_eq!(folded(&again, index), folded(&first, index));
        }
    }

    #[test]
    fn a_difference_is_compact(first in profiles(-9..9), second in profiles(-9..9)) {
        let (first, second) = (decode(&first), decode(&second));
        // Of all that only the second reached nothing is left.
        let difference = merge(&[&second, &first]).subtract(&mut second.clone()).unwrap();
        prop_assert_eq!(difference.compact().unwrap().encode(), difference.encode());
    }

    #[test]
    fn scaling_scales_every_sum(bytes in profiles(-9..9), factor in -5_i32..5) {
        let mut profile = decode(&bytes);
        let before = profile.totals();
        profile.scale(&[f64::from(factor), 1.0]).unwrap();
        prop_assert_eq!(profile.totals()[0], before[0] * i64::from(factor));
        let mut other = decode(&bytes);
        prop_assert!(other.scale(&[1.0]).is_err());
    }
}

#[test]
fn profiles_that_measure_other_things_are_not_merged() {
    let strings = ["", "cpu", "nanoseconds", "count"]
        .map(|string| message(6, &[string.as_bytes().to_vec()]))
        .concat();
    let of = |unit, period| {
        [
            message(1, &[number(1, 1), number(2, unit)]),
            strings.clone(),
            message(11, &[number(1, period)]),
        ]
        .concat()
    };
    let (nanoseconds, count, other_period) = (of(2, 1), of(3, 1), of(2, 3));
    let mut merger = Merger::new();
    merger.add(&decode(&nanoseconds)).unwrap();
    let said = |bytes: &[u8], merger: &mut Merger| {
        let error = merger.add(&decode(bytes)).unwrap_err();
        std::error::Error::source(&error).unwrap().to_string()
    };
    assert_eq!(
        said(&count, &mut merger),
        "the sample types differ: cpu/nanoseconds and cpu/count"
    );
    assert_eq!(
        said(&other_period, &mut merger),
        "the period types differ: cpu/ and count/"
    );
    assert!(merger.add(&decode(&nanoseconds)).is_ok());
    assert!(Merger::new().finish().is_err());
    // Nor are they made to sum to the same.
    for other in [&count, &other_period] {
        let normalized = decode(&nanoseconds).normalize(&decode(other));
        assert!(matches!(normalized, Err(ScaleError::Incompatible(_))));
    }
    assert_eq!(decode(&nanoseconds).normalize(&decode(&nanoseconds)), Ok(()));
}

#[test]
fn frames_that_the_profile_drops_are_cut_off_the_leaves() {
    let strings = [
        "",
        "cpu",
        "ns",
        "main",
        "alloc(int)",
        "malloc",
        "alloc|mal.*",
        "malloc",
        "(",
    ];
    let table = strings.map(|string| message(6, &[string.as_bytes().to_vec()])).concat();
    let code = |id: u64, name| {
        let location = message(4, &[number(1, id), message(4, &[number(1, id)])]);
        [location, message(5, &[number(1, id), number(2, name)])].concat()
    };
    let sample = |stack: &[u64]| {
        let mut fields: Vec<_> = stack.iter().map(|id| number(1, *id)).collect();
        fields.push(number(2, 1));
        message(2, &fields)
    };
    let body = [
        message(1, &[number(1, 1), number(2, 2)]),
        sample(&[3, 2, 1]),
        sample(&[3, 2]),
        sample(&[3, 1]),
        code(1, 3),
        code(2, 4),
        code(3, 5),
        table,
        number(7, 6),
    ]
    .concat();
    let folded = |body: &[u8]| folded(&decode(body), 0);
    // Where nothing else is left, the stack stays.
    assert_eq!(folded(&body), "alloc(int);malloc 1\nmain 2\n");
    let keeping = [body.clone(), number(8, 7)].concat();
    assert_eq!(folded(&keeping), "alloc(int);malloc 1\nmain 1\nmain;malloc 1\n");
    // What is of no use is not used, and whoever asks is told.
    let unusable = [body, number(7, 8)].concat();
    let mut profile = decode(&unusable);
    assert_eq!(
        folded(&unusable),
        "alloc(int);malloc 1\nmain;alloc(int);malloc 1\nmain;malloc 1\n"
    );
    let error = View::new(&profile, 0).unwrap().unusable().unwrap().to_string();
    assert_eq!(error, "the profile's pattern of frames to drop is not usable");
    assert_eq!(profile.remove_uninteresting().unwrap_err().to_string(), error);
    assert_eq!(View::new(&profile, 0).unwrap().unusable(), None, "it is told once");
}
