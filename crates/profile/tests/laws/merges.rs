//! What is the same in two profiles, and what becomes of their headers, one rule at a time.

use profile::Profile;

use super::{decode, merge, message, number};

/// Strings of every profile here, by their place in its table.
const TABLE: [&str; 12] = [
    "", "cpu", "ns", "main", "work", "/bin/a", "/bin/b", "build", "key", "blue", "red", "a.go",
];

/// A profile of one sample type with these fields.
fn profile(fields: &[Vec<u8>]) -> Vec<u8> {
    let strings = TABLE.map(|string| message(6, &[string.as_bytes().to_vec()])).concat();
    [message(1, &[number(1, 1), number(2, 2)]), fields.concat(), strings].concat()
}

/// A sample of value 1 at location 1.
fn sample(labels: &[u8]) -> Vec<u8> {
    message(2, &[number(1, 1), number(2, 1), labels.to_vec()])
}

fn of_both(first: &[Vec<u8>], second: &[Vec<u8>]) -> Profile<'static> {
    merge(&[&decode(&profile(first)), &decode(&profile(second))])
}

#[test]
fn a_mapping_is_the_same_by_pages_offset_and_build_id_else_file() {
    let mappings = |fields: [u64; 5], others: [u64; 5]| {
        let of = |[start, limit, offset, file, build]: [u64; 5]| {
            let numbers = [(2, start), (3, limit), (4, offset), (5, file), (6, build)];
            let numbers = numbers.map(|(field, value)| number(field, value)).concat();
            let mapping = message(3, &[number(1, 7), numbers]);
            let location = message(4, &[number(1, 1), number(2, 7), number(3, start + 0x123)]);
            vec![sample(&[]), mapping, location]
        };
        let both = of_both(&of(fields), &of(others));
        let ids: Vec<_> = both.mappings().iter().map(|mapping| mapping.id).collect();
        assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
        let is_first = |mapping: &profile::model::Mapping| {
            let strings = both.strings();
            let texts = [strings.text(mapping.file), strings.text(mapping.build_id)];
            (mapping.start, mapping.limit, mapping.offset) == (fields[0], fields[1], fields[2])
                && texts == [TABLE[fields[3] as usize], TABLE[fields[4] as usize]]
        };
        assert!(both.mappings().first().is_some_and(is_first));
        // Code at the same place in the same mapping is the same code, wherever it was loaded.
        assert_eq!(both.sample_count(), ids.len());
        assert_eq!(both.locations().len(), ids.len());
        assert_eq!(both.locations()[0].address, fields[0] + 0x123);
        ids.len()
    };
    let first = [0x40_0000, 0x40_2000, 0x1000, 5, 0];
    assert_eq!(mappings(first, first), 1);
    assert_eq!(
        mappings(first, [0x7f_0000, 0x7f_2000, 0x1000, 5, 0]),
        1,
        "loaded elsewhere"
    );
    assert_eq!(
        mappings(first, [0x30_0000, 0x30_1001, 0x1000, 5, 0]),
        1,
        "the rest of a page"
    );
    assert_eq!(mappings(first, [0x40_0000, 0x40_2001, 0x1000, 5, 0]), 2, "a page more");
    assert_eq!(mappings(first, [0x40_0000, 0x40_1000, 0x1000, 5, 0]), 2, "a page less");
    assert_eq!(
        mappings(first, [0x40_0000, 0x40_2000, 0x2000, 5, 0]),
        2,
        "another offset"
    );
    assert_eq!(mappings(first, [0x40_0000, 0x40_2000, 0x1000, 6, 0]), 2, "another file");
    assert_eq!(mappings(first, [0x40_0000, 0x40_2000, 0x1000, 5, 7]), 2, "a build id");
    let built = [0x40_0000, 0x40_2000, 0x1000, 5, 7];
    assert_eq!(
        mappings(built, [0x40_0000, 0x40_2000, 0x1000, 6, 7]),
        1,
        "a copy of the file"
    );
}

#[test]
fn the_first_mapping_stays_first_though_no_sample_reaches_it() {
    let mapping = |id: u64, file| message(3, &[number(1, id), number(3, 0x1000 * id), number(5, file)]);
    let location = message(4, &[number(1, 1), number(2, 2), number(3, 0x1001)]);
    let used = [sample(&[]), mapping(1, 5), mapping(2, 6), mapping(3, 7), location];
    let files = |profile: &Profile<'_>| {
        let mappings = profile.mappings().iter();
        mappings
            .map(|mapping| profile.strings().text(mapping.file).into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(files(&decode(&profile(&used)).compact().unwrap()), ["/bin/a", "/bin/b"]);
    // Of a profile without any, the next one's.
    assert_eq!(files(&of_both(&[], &used)), ["/bin/a", "/bin/b"]);
    // And of no other.
    let other = [mapping(1, 7)];
    assert_eq!(files(&of_both(&used, &other)), ["/bin/a", "/bin/b"]);
    // Nor is it lost when what reached it adds up to nothing, as others are.
    let code = |id, mapping| {
        let sample = message(2, &[number(1, id), number(2, 1)]);
        let location = message(4, &[number(1, id), number(2, mapping), number(3, 0x10)]);
        [sample, location].concat()
    };
    let gone = [code(2, 1), code(3, 3)].concat();
    let whole = profile(&[gone.clone(), used.concat()]);
    let base = profile(&[gone, mapping(1, 5), mapping(3, 7)]);
    let difference = decode(&whole).subtract(&mut decode(&base)).unwrap();
    assert_eq!(files(&difference), ["/bin/a", "/bin/b"]);
    let locations = difference.locations().iter();
    assert_eq!(
        locations.map(|location| location.mapping).collect::<Vec<_>>(),
        [Some(1)]
    );
}

#[test]
fn code_is_the_same_by_all_that_is_said_of_it() {
    let code = |name, system_name, file, start, line, column, is_folded| {
        let function = [(1, 1), (2, name), (3, system_name), (4, file), (5, start)];
        let line = message(4, &[number(1, 1), number(2, line), number(3, column)]);
        vec![
            sample(&[]),
            message(4, &[number(1, 1), number(3, 0x10), line, number(5, is_folded)]),
            message(5, &function.map(|(field, value)| number(field, value))),
        ]
    };
    let first = || code(3, 4, 11, 7, 9, 2, 0);
    let both = of_both(&first(), &first());
    let function = both.functions()[0];
    let texts = [function.name, function.system_name, function.file].map(|id| both.strings().text(id));
    assert_eq!((both.functions().len(), function.id, function.start_line), (1, 1, 7));
    assert_eq!(texts, ["main", "work", "a.go"]);
    assert_eq!((both.locations().len(), both.locations()[0].id), (1, 1));
    assert_eq!(
        (both.lines().len(), both.lines()[0].line, both.lines()[0].column),
        (1, 9, 2)
    );
    assert_eq!(both.totals(), [2]);
    // Functions and locations of both; a location of another function is another.
    for (other, functions) in [
        (code(4, 4, 11, 7, 9, 2, 0), 2),
        (code(3, 3, 11, 7, 9, 2, 0), 2),
        (code(3, 4, 5, 7, 9, 2, 0), 2),
        (code(3, 4, 11, 8, 9, 2, 0), 2),
        (code(3, 4, 11, 7, 8, 2, 0), 1),
        (code(3, 4, 11, 7, 9, 3, 0), 1),
        (code(3, 4, 11, 7, 9, 2, 1), 1),
    ] {
        let both = of_both(&first(), &other);
        let ids: Vec<_> = both.functions().iter().map(|function| function.id).collect();
        assert_eq!(ids, (1..=functions).collect::<Vec<_>>());
        let ids: Vec<_> = both.locations().iter().map(|location| location.id).collect();
        assert_eq!(ids, [1, 2]);
        assert_eq!((both.sample_count(), both.lines().len()), (2, 2));
    }
}

/// Locations with a function each, the last of which is as it is said: mapping, address, line, column, folded; name, system
/// name, file, start. When its turn comes, both mappings are known.
fn last_location(location: [u64; 5], function: [u64; 4]) -> Vec<Vec<u8>> {
    let code = |id, [mapping, address, line, column, is_folded]: [u64; 5], function: [u64; 4]| {
        let line = message(4, &[number(1, id), number(2, line), number(3, column)]);
        let location = [number(1, id), number(2, mapping), number(3, address), line];
        let function = (2..).zip(function).map(|(field, value)| number(field, value));
        [
            message(2, &[number(1, id), number(2, 1)]),
            message(4, &[location.concat(), number(5, is_folded)]),
            message(5, &[number(1, id), function.collect::<Vec<_>>().concat()]),
        ]
        .concat()
    };
    let mapping = |id| message(3, &[number(1, id), number(3, id << 12)]);
    vec![
        mapping(1),
        mapping(2),
        code(3, [2, 8, 1, 0, 0], [5, 5, 11, 0]),
        code(1, [1, 8, 1, 0, 0], [3, 3, 11, 0]),
        code(2, location, function),
    ]
}

#[test]
fn what_comes_after_the_same_is_the_same_only_if_all_of_it_is() {
    let (location, function) = ([1, 0x10, 9, 2, 0], [4, 4, 11, 7]);
    let with = |location, function| {
        let first = last_location([1, 0x10, 9, 2, 0], [4, 4, 11, 7]);
        let both = of_both(&first, &last_location(location, function));
        (both.sample_count(), both.locations().len(), both.functions().len())
    };
    assert_eq!(with(location, function), (3, 3, 3));
    for location in [
        [0, 0x10, 9, 2, 0],
        [2, 0x10, 9, 2, 0],
        [1, 0x11, 9, 2, 0],
        [1, 0x10, 8, 2, 0],
        [1, 0x10, 9, 3, 0],
        [1, 0x10, 9, 2, 1],
    ] {
        assert_eq!(with(location, function), (4, 4, 3), "{location:?}");
    }
    for function in [[3, 4, 11, 7], [4, 3, 11, 7], [4, 4, 5, 7], [4, 4, 11, 8]] {
        assert_eq!(with(location, function), (4, 4, 4), "{function:?}");
    }
    // A line more, and a line less.
    let first = last_location(location, function);
    let bare = [
        message(2, &[number(1, 2), number(2, 1)]),
        message(4, &[number(1, 2), number(2, 1), number(3, 0x10)]),
    ];
    let bare = [&first[..4], &bare].concat();
    for (first, second) in [(&first, &bare), (&bare, &first)] {
        let both = of_both(first, second);
        assert_eq!((both.sample_count(), both.locations().len()), (4, 4));
    }
}

#[test]
fn the_empty_string_is_one_wherever_it_stands() {
    let nameless = |name| last_location([1, 0x10, 9, 2, 0], [name, name, 11, 7]);
    // One place beyond the table, after the file that both functions are in.
    let other = [profile(&nameless(TABLE.len() as u64)), message(6, &[Vec::new()])].concat();
    let both = merge(&[&decode(&profile(&nameless(0))), &decode(&other)]);
    assert_eq!((both.sample_count(), both.functions().len()), (3, 3));
}

#[test]
fn samples_are_the_same_by_stack_and_labels() {
    let location = message(4, &[number(1, 1), number(3, 0x10)]);
    let label = |fields: &[(u64, u64)]| {
        let fields: Vec<_> = fields.iter().map(|(field, value)| number(*field, *value)).collect();
        message(3, &fields)
    };
    // All strings, for a source of which they are known when its next sample comes.
    let strings = [1, 2, 8, 9, 10, 11].map(|string| label(&[(1, string), (2, string)]));
    let known = sample(&strings.concat());
    let samples = |labels: &[u8], others: &[u8]| {
        let of = |labels| [sample(labels), location.clone()];
        let both = of_both(&of(labels), &of(others));
        assert_eq!(both.totals(), [2]);
        let of = |labels| [known.clone(), sample(labels), location.clone()];
        let guessed = of_both(&of(labels), &of(others));
        assert_eq!(guessed.totals(), [4]);
        assert_eq!(guessed.sample_count(), 1 + both.sample_count());
        both.sample_count()
    };
    let blue = label(&[(1, 8), (2, 9)]);
    let number = label(&[(1, 8), (3, 5), (4, 2)]);
    let both = [blue.clone(), number.clone()].concat();
    let turned = [number.clone(), blue.clone()].concat();
    assert_eq!(samples(&[], &[]), 1);
    assert_eq!(samples(&blue, &blue), 1);
    assert_eq!(samples(&both, &turned), 1);
    assert_eq!(samples(&blue, &[]), 2);
    assert_eq!(samples(&both, &blue), 2);
    assert_eq!(samples(&blue, &label(&[(1, 8), (2, 10)])), 2);
    assert_eq!(samples(&blue, &label(&[(1, 11), (2, 9)])), 2);
    assert_eq!(samples(&blue, &label(&[(1, 11), (2, 10)])), 2);
    assert_eq!(samples(&number, &label(&[(1, 8), (3, 6), (4, 2)])), 2);
    assert_eq!(samples(&number, &label(&[(1, 8), (3, 5), (4, 1)])), 2);
    assert_eq!(samples(&number, &label(&[(1, 8), (3, 5)])), 2);
    assert_eq!(samples(&label(&[(1, 8), (3, 5)]), &number), 2);
    assert_eq!(samples(&blue, &label(&[(1, 8), (3, 9)])), 2);
    assert_eq!(samples(&blue, &both), 2);
}

/// As many samples as make some of the hashes that the merger keeps the same: of 32 bits, ten pairs are to be expected.
const SAMPLES: u64 = 300_000;

#[test]
fn samples_stay_apart_though_their_hashes_meet() {
    // Pairs of locations, which are more than the samples.
    const LOCATIONS: u64 = 600;
    let location = |id| message(4, &[number(1, id), number(3, id)]);
    let locations: Vec<_> = (1..=LOCATIONS).map(location).collect();
    let by_stack = |index| {
        let stack = [number(1, 1 + index % LOCATIONS), number(1, 1 + index / LOCATIONS)];
        message(2, &[stack.concat(), number(2, 1)])
    };
    let by_label = |index| sample(&message(3, &[number(1, 8), number(3, 1 + index)]));
    for samples in [
        (0..SAMPLES).map(by_stack).collect::<Vec<_>>(),
        (0..SAMPLES).map(by_label).collect(),
    ] {
        let merged = of_both(&[locations.concat(), samples.concat()], &[]);
        assert_eq!(merged.sample_count() as u64, SAMPLES);
    }
}

/// Of time, duration and period; in this order.
fn times(headers: &[[u64; 3]]) -> [i64; 3] {
    let profiles: Vec<_> = headers
        .iter()
        .map(|[time, duration, period]| profile(&[number(9, *time), number(10, *duration), number(12, *period)]))
        .collect();
    let decoded: Vec<_> = profiles.iter().map(|bytes| decode(bytes)).collect();
    let merged = merge(&decoded.iter().collect::<Vec<_>>());
    let header = merged.header();
    [header.time_nanos, header.duration_nanos, header.period]
}

#[test]
fn a_merge_begins_with_the_first_and_lasts_as_long_as_all() {
    assert_eq!(times(&[[50, 3, 10], [40, 4, 10], [60, 5, 10]]), [40, 12, 10]);
    assert_eq!(times(&[[40, 0, 7], [40, 0, 9], [50, 0, 8]]), [40, 0, 9]);
    assert_eq!(times(&[[0, 1, 0], [50, 1, 0], [60, 1, 4]]), [50, 3, 4]);
    // As google/pprof: a later one that knows no time makes the merge begin at none, and the next begins anew.
    assert_eq!(times(&[[50, 1, 4], [0, 1, 0]]), [0, 2, 4]);
    assert_eq!(times(&[[50, 1, 4], [0, 1, 0], [60, 1, 3]]), [60, 3, 4]);
    // A period below none is one where there is none.
    assert_eq!(times(&[[1, 1, 0], [1, 1, u64::MAX]])[2], -1);
    assert_eq!(times(&[[1, u64::MAX >> 1, 1], [1, 1, 1]])[1], i64::MIN);
}

#[test]
fn names_in_the_header_are_those_of_the_first_that_has_them() {
    // Drop and keep frames, default sample type and link.
    let of = |drop, keep, default, link, comments: &[u64]| {
        let numbers = [(7, drop), (8, keep), (14, default), (15, link)].map(|(field, value)| number(field, value));
        let comments: Vec<_> = comments.iter().map(|comment| number(13, *comment)).collect();
        vec![numbers.concat(), comments.concat()]
    };
    let names = |first: &[Vec<u8>], second: &[Vec<u8>]| {
        let both = of_both(first, second);
        let header = both.header();
        let text = |id| both.strings().text(id).into_owned();
        let singles = [
            header.drop_frames,
            header.keep_frames,
            header.default_sample_type,
            header.doc_url,
        ];
        let comments: Vec<_> = header.comments.iter().map(|comment| text(*comment)).collect();
        (singles.map(text), comments)
    };
    let (singles, comments) = names(&of(3, 4, 1, 5, &[8, 9, 8]), &of(4, 3, 2, 6, &[10, 9]));
    assert_eq!(singles, ["main", "work", "cpu", "/bin/a"]);
    assert_eq!(comments, ["key", "blue", "red"]);
    // What frames to leave out is the first profile's to say, if it says nothing, too.
    let (singles, comments) = names(&of(0, 0, 0, 0, &[]), &of(4, 3, 2, 6, &[10]));
    assert_eq!(singles, ["", "", "ns", "/bin/b"]);
    assert_eq!(comments, ["red"]);
}
