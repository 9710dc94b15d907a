//! The few strings of a table that the check keeps: from its beginning, from its end, and those that were asked for.

use profile::check::{CheckError, Summary};

use crate::bodies::*;

/// A table of so many strings, in which those of `at` have their places.
fn table(len: u64, at: &[(u64, &str)]) -> Vec<u8> {
    let text = |index| {
        at.iter()
            .find(|(place, _)| *place == index)
            .map_or("filler", |(_, name)| name)
    };
    let strings = (0..len).map(|index| bytes(6, if index == 0 { b"" } else { text(index).as_bytes() }));
    strings.collect::<Vec<_>>().concat()
}

fn types(field: u64, kind: u64, unit: u64) -> Vec<u8> {
    message(field, &[number(1, kind), number(2, unit)])
}

fn assert_not_kept(verdict: Result<Summary, CheckError>) {
    assert_eq!(
        exceeded(verdict),
        ("bytes in the name of a sample type, or strings before it", 128)
    );
}

#[test]
fn names_are_found_at_both_ends_of_a_long_table_and_where_they_were_announced() {
    let strings = table(
        5000,
        &[(2000, "cpu"), (2001, "nanoseconds"), (4998, "space"), (4999, "bytes")],
    );
    let announced = [types(1, 2000, 2001), strings.clone(), types(11, 4998, 4999)].concat();
    let summary = check(&announced).unwrap();
    assert_eq!(summary.sample_types, named(&[("cpu", "nanoseconds")]));
    assert_eq!(summary.period_type, named(&[("space", "bytes")]).pop());
    let forgotten = [types(1, 1, 2), strings.clone(), types(11, 2000, 2001)].concat();
    assert_eq!(check(&forgotten).unwrap().period_type, None);
    assert_not_kept(check(&[strings, types(1, 2000, 2001)].concat()));
}

#[test]
fn the_first_129_and_the_last_16_strings_are_kept() {
    let strings = table(
        1000,
        &[
            (128, "the last of the first"),
            (984, "the first of the last"),
            (999, "the last"),
        ],
    );
    let of = |kind| check(&[strings.clone(), types(1, kind, 0)].concat());
    for (kind, name) in [
        (127, "filler"),
        (128, "the last of the first"),
        (984, "the first of the last"),
        (985, "filler"),
        (999, "the last"),
    ] {
        assert_eq!(of(kind).unwrap().sample_types, named(&[(name, "")]), "{kind}");
    }
    for kind in [129, 500, 983] {
        assert_not_kept(of(kind));
    }
    assert_eq!(malformed(of(1000)), "a string index points beyond the string table");
}

#[test]
fn names_of_up_to_128_bytes_are_kept_wherever_they_are() {
    for (len, is_kept) in [(127, true), (128, true), (129, false)] {
        let long = "n".repeat(len);
        let wanted = [types(1, 500, 0), table(1000, &[(500, &long)])];
        let first = [table(1000, &[(1, &long)]), types(1, 1, 0)];
        let last = [table(1000, &[(999, &long)]), types(1, 999, 0)];
        for body in [wanted, first, last] {
            let verdict = check(&body.concat());
            if is_kept {
                assert_eq!(verdict.unwrap().sample_types, named(&[(&long, "")]));
            } else {
                assert_not_kept(verdict);
            }
        }
    }
}

#[test]
fn as_many_types_as_are_allowed_are_announced() {
    // Two strings each, after all that are kept from the beginning.
    let kinds: Vec<_> = (0..64).map(|index| 200 + 2 * index).collect();
    let announced: Vec<_> = kinds.iter().map(|kind| types(1, *kind, kind + 1)).collect();
    let names: Vec<_> = (0..1000).map(|index| format!("name {index}")).collect();
    let at: Vec<_> = (1..1000).zip(names.iter().skip(1).map(String::as_str)).collect();
    let body = [announced.concat(), types(11, 400, 401), table(1000, &at)].concat();
    let summary = check(&body).unwrap();
    let expected = kinds
        .iter()
        .map(|kind| (format!("name {kind}"), format!("name {}", kind + 1)));
    assert!(summary.sample_types.iter().cloned().eq(expected));
    assert_eq!(summary.period_type, named(&[("name 400", "name 401")]).pop());
}

#[test]
fn what_is_announced_has_its_end() {
    let strings = table(1000, &[(500, "cpu")]);
    // Two strings each, and the last is the one that counts.
    let after = |others| {
        let announced = [types(11, 300, 0).repeat(others), types(11, 500, 0)].concat();
        check(&[announced, strings.clone(), types(1, 1, 1)].concat())
            .unwrap()
            .period_type
    };
    assert_eq!(after(0), named(&[("cpu", "")]).pop());
    assert_eq!(after(64), named(&[("cpu", "")]).pop());
    assert_eq!(after(65), None);
}

#[test]
fn of_a_string_that_is_named_twice_the_last_counts() {
    let beyond = "a string index points beyond the string table";
    let singles = [7, 8, 14, 15];
    for field in singles {
        // The others, which are where they should be, hide nothing.
        let mut numbers = vec![number(field, 6)];
        numbers.extend(
            singles
                .iter()
                .filter(|other| **other != field)
                .map(|other| number(*other, 1)),
        );
        assert_eq!(
            malformed(check(&[small().concat(), numbers.concat()].concat())),
            beyond,
            "{field}"
        );
        let mended = [small().concat(), numbers.concat(), number(field, 5)].concat();
        assert!(check(&mended).is_ok(), "{field}");
    }
}
