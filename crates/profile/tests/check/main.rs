//! The streaming check against what Go serves, what networks break, and what attackers send.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file: its functions are tests or their parts"
)]

use std::path::{Path, PathBuf};

use profile::Limits;
use profile::check::{CheckError, Summary};
use proptest::prelude::*;
use testkit::soak;
use zlib_rs::crc32::crc32;

mod bodies;
mod cuts;
mod forms;
mod names;

use bodies::*;

#[test]
fn what_go_serves_passes_and_says_what_it_is() {
    let heap = [
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
    ];
    let contention = [("contentions", "count"), ("delay", "nanoseconds")];
    type Pairs<'a> = &'a [(&'a str, &'a str)];
    let expected: [(&str, Pairs<'_>, (&str, &str)); 8] = [
        ("allocs.pprof", &heap, ("space", "bytes")),
        ("block.pprof", &contention, ("contentions", "count")),
        (
            "cpu.pprof",
            &[("samples", "count"), ("cpu", "nanoseconds")],
            ("cpu", "nanoseconds"),
        ),
        ("goroutine.pprof", &[("goroutine", "count")], ("goroutine", "count")),
        ("heap.pprof", &heap, ("space", "bytes")),
        ("mutex.pprof", &contention, ("contentions", "count")),
        ("mutex-empty.pprof", &contention, ("contentions", "count")),
        (
            "threadcreate.pprof",
            &[("threadcreate", "count")],
            ("threadcreate", "count"),
        ),
    ];
    for (name, sample_types, period_type) in expected {
        let body = data(name);
        let summary = check(&body).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(summary.sample_types, named(sample_types), "{name}");
        assert_eq!(summary.period_type, named(&[period_type]).pop(), "{name}");
        assert_eq!(summary.samples == 0, name == "mutex-empty.pprof", "{name}");
        assert_eq!(
            summary.totals.iter().all(|total| *total == 0),
            summary.samples == 0,
            "{name}"
        );
        assert_eq!(summary.bytes, body.len() as u64, "{name}");
        assert_eq!(summary.gzip_members, 1, "{name}");
        assert_eq!(
            check(&gunzip(&body)),
            Ok(Summary {
                bytes: summary.uncompressed_bytes,
                gzip_members: 0,
                ..summary
            })
        );
    }
}

#[test]
fn the_summary_counts_and_adds() {
    let mut fields = small();
    fields.insert(2, message(2, &[number(1, 1), number(2, 1_u64.wrapping_neg())]));
    let body = fields.concat();
    let expected = Summary {
        samples: 2,
        sample_types: named(&[("cpu", "nanoseconds")]),
        totals: vec![6],
        period_type: named(&[("cpu", "nanoseconds")]).pop(),
        period: 10_000_000,
        time_nanos: 1_700_000_000_000_000_000,
        duration_nanos: 30_000_000_000,
        mappings: 1,
        locations: 1,
        functions: 1,
        strings: 6,
        labels: 1,
        bytes: body.len() as u64,
        uncompressed_bytes: body.len() as u64,
        gzip_members: 0,
    };
    assert_eq!(check(&body), Ok(expected.clone()));
    // The order of the fields means nothing but the order of what repeats.
    fields.reverse();
    let mut strings: Vec<_> = fields.extract_if(.., |field| field[0] == 0x32).collect();
    strings.reverse();
    assert_eq!(
        check(&[strings.clone(), fields.clone()].concat().concat()),
        Ok(expected.clone())
    );
    assert_eq!(check(&[fields, strings].concat().concat()), Ok(expected));
}

#[test]
fn failure_16_a_page_is_no_profile() {
    for (body, begins) in [
        (data("index.html"), "<html>"),
        (data("not-found.txt"), "Unknown profile"),
        (data("goroutine-debug-1.txt"), "goroutine profile: total"),
        (gzip(&data("index.html")), "<html>"),
        (b"404 page not found\n".to_vec(), "404 page not found"),
        (b"{\"error\":\"no\"}".to_vec(), "{\"error\":\"no\"}"),
        (b"hehehehe".to_vec(), "hehehehe"),
        (
            b"heap profile: 0: 0 [0: 0] @ heap/1048576\n".to_vec(),
            "heap profile: 0",
        ),
        ("Größe überschritten".as_bytes().to_vec(), "Gr....e"),
        (b"go 1.26 trace\0\0\0\x01\x02".to_vec(), "go 1.26 trace"),
        (vec![0; 64 << 10], "............"),
        (b"\x7fELF\x02\x01\x01".to_vec(), ".ELF"),
        // What compress(1) writes begins like gzip.
        (b"\x1f\x9d\x90\x01\x04".to_vec(), "....."),
    ] {
        for chunk in [1, body.len()] {
            let verdict = check_within(Limits::DEFAULT, body.chunks(chunk));
            assert!(
                verdict.as_ref().is_err_and(|error| !error.is_transient()),
                "asking again helps"
            );
            match verdict {
                Err(CheckError::NotAProfile { excerpt }) => {
                    assert!(excerpt.starts_with(begins), "{excerpt}");
                    assert!(excerpt.len() <= 64 && excerpt.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
                }
                other => panic!("{begins}: {other:?}"),
            }
        }
    }
    assert_eq!(check(b""), Err(CheckError::Empty));
    assert_eq!(check(&gzip(b"")), Err(CheckError::Empty));
}

#[test]
fn gzip_is_proved_to_its_last_byte() {
    let plain = small().concat();
    let whole = gzip(&plain);
    let error_of = |body: &[u8]| match check(body) {
        Err(CheckError::Gzip(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let with = |at: usize, flip: u8| {
        let mut body = whole.clone();
        body[at] ^= flip;
        body
    };
    assert!(error_of(&with(whole.len() - 8, 1)).starts_with("the checksum of the data is "));
    assert!(error_of(&with(whole.len() - 1, 1)).starts_with("the length of the data is "));
    assert_eq!(error_of(&with(2, 1)), "bad gzip header: the method is not deflate");
    assert_eq!(error_of(&with(10, 6)), "bad deflate data");
    for garbage in [&b"\0"[..], b"\n", b"\x1f\x00", b"</html>"] {
        let body = [&whole, garbage].concat();
        assert_eq!(error_of(&body), "bytes that are no gzip follow the gzip data");
    }
    // A second member that is cut is not garbage.
    let cut = [&whole, &whole[..5]].concat();
    assert!(matches!(check(&cut), Err(CheckError::Truncated { .. })));
    // Any flipped bit in the compressed data or the trailer is found, unless it is one of those that pad the last byte.
    let summary = check(&whole).unwrap();
    let unfound: Vec<_> = (10..whole.len())
        .flat_map(|at| (0..8).map(move |bit| (at, 1_u8 << bit)))
        .filter(|(at, flip)| check(&with(*at, *flip)).is_ok_and(|found| found == summary))
        .collect();
    assert!(unfound.iter().all(|(at, _)| *at == whole.len() - 9), "{unfound:?}");
}

#[test]
fn gzip_may_have_many_members_and_every_header_field() {
    let plain = small().concat();
    for at in [0, 1, plain.len() / 2, plain.len()] {
        let summary = check(&[gzip(&plain[..at]), gzip(b""), gzip(&plain[at..])].concat()).unwrap();
        assert_eq!(
            (summary.gzip_members, summary.uncompressed_bytes),
            (3, plain.len() as u64)
        );
    }
    let fixed = |flags| vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255];
    let strings = [&b"\x03\x00abc"[..], b"name\0", b"comment\0"].concat();
    let without_crc = [fixed(4 | 8 | 16), strings.clone()].concat();
    assert!(check(&gzip_with_header(&plain, &without_crc)).is_ok());
    let with_crc = [fixed(2 | 4 | 8 | 16), strings].concat();
    let crc = crc32(0, &with_crc).to_le_bytes();
    assert!(check(&gzip_with_header(&plain, &[&with_crc, &crc[..2]].concat())).is_ok());
    let wrong = gzip_with_header(&plain, &[&with_crc, &[!crc[0], crc[1]][..]].concat());
    assert!(matches!(check(&wrong), Err(CheckError::Gzip(_))));
    let empty_extra = [fixed(4), vec![0, 0]].concat();
    assert!(check(&gzip_with_header(&plain, &empty_extra)).is_ok());
    // Go allows names of 511 bytes.
    let long_name = |len| [fixed(8), vec![b'n'; len], vec![0]].concat();
    assert!(check(&gzip_with_header(&plain, &long_name(511))).is_ok());
    assert!(check(&gzip_with_header(&plain, &long_name(512))).is_err());
}

/// The small profile with one field replaced, or added when there are fewer.
fn small_with(at: usize, field: Vec<u8>) -> Vec<u8> {
    let mut fields = small();
    fields[at] = field;
    fields.concat()
}

#[test]
fn each_rule_of_the_format_is_kept() {
    let sample = |fields: &[Vec<u8>]| malformed(check(&small_with(1, message(2, fields))));
    assert_eq!(sample(&[number(1, 1)]), "a sample has no values");
    assert_eq!(
        sample(&[number(1, 1), number(2, 1), number(2, 2)]),
        "the samples do not have as many values as there are sample types"
    );
    assert_eq!(sample(&[bytes(1, &[0x80])]), "a packed field ends inside a number");
    assert_eq!(
        sample(&[bytes(2, &[0x80])]),
        "a field is longer than the message around it"
    );
    assert_eq!(
        sample(&[varint(1 << 3 | 5), vec![0; 4]]),
        "a number has the wrong wire type"
    );
    assert_eq!(sample(&[number(3, 1)]), "a message or string has the wrong wire type");
    assert_eq!(sample(&[vec![0x08]]), "a field is longer than the message around it");
    assert_eq!(sample(&[vec![0x0b]]), "a field has an unknown wire type");
    assert_eq!(sample(&[number(0, 1)]), "a field has the number 0");
    let beyond = "a string index points beyond the string table";
    let label = |fields: &[Vec<u8>]| check(&small_with(1, message(2, &[number(2, 1), message(3, fields)])));
    assert_eq!(malformed(label(&[number(1, 6)])), beyond);
    assert_eq!(malformed(label(&[number(1, 3), number(2, 6)])), beyond);
    assert_eq!(malformed(label(&[number(1, 3), number(3, 1), number(4, 6)])), beyond);
    assert_eq!(malformed(label(&[number(1, 3), number(4, 6)])), beyond);
    assert_eq!(malformed(label(&[number(1, u64::MAX)])), beyond);
    assert!(
        label(&[number(1, 3), number(2, 4), number(4, 6)]).is_ok(),
        "the unit of a text is not looked at"
    );
    assert_eq!(
        malformed(check(&small_with(2, message(3, &[number(5, 5)])))),
        "a mapping has the reserved id 0"
    );
    assert_eq!(
        malformed(check(&small_with(3, message(4, &[])))),
        "a location has the reserved id 0"
    );
    assert_eq!(
        malformed(check(&small_with(4, message(5, &[])))),
        "a function has the reserved id 0"
    );
    let line = message(4, &[number(1, 1), message(4, &[number(2, 3)])]);
    assert_eq!(malformed(check(&small_with(3, line))), "a line has no function");
    assert_eq!(
        malformed(check(&small_with(5, bytes(6, b"x")))),
        "the first string is not the empty one"
    );
    for field in [7, 8, 9, 10, 12, 14, 15] {
        let text = [small().concat(), bytes(field, b"x")].concat();
        assert_eq!(
            malformed(check(&text)),
            "a number has the wrong wire type",
            "field {field}"
        );
    }
    for (field, value) in [(7, 6), (8, 6), (13, 6), (14, 6), (15, 6)] {
        assert_eq!(
            malformed(check(&[small().concat(), number(field, value)].concat())),
            beyond,
            "field {field}"
        );
    }
    let concatenated = [small().concat(), small().concat()].concat();
    assert_eq!(malformed(check(&concatenated)), "two profiles are concatenated");
    let types_only = message(1, &[number(1, 0)]);
    assert_eq!(malformed(check(&types_only)), "there is no string table");
    assert_eq!(
        check(&[bytes(6, b""), number(12, 1)].concat()),
        Err(CheckError::NoSampleTypes)
    );
    let without_types = small()[1..].concat();
    assert_eq!(check(&without_types), Err(CheckError::NoSampleTypes));
    let uneven = [
        small()[..2].concat(),
        message(2, &[number(2, 1), number(2, 1)]),
        small()[2..].concat(),
    ]
    .concat();
    assert_eq!(
        malformed(check(&uneven)),
        "the samples do not have the same number of values"
    );
}

#[test]
fn what_nobody_knows_is_skipped_however_long_it_is() {
    let unknown = [
        bytes(99, &vec![0xff; 3 << 20]),
        number(16, 5),
        [varint(17 << 3 | 1), vec![9; 8]].concat(),
        [varint(18 << 3 | 5), vec![9; 4]].concat(),
    ]
    .concat();
    let body = [small()[..1].concat(), unknown, small()[1..].concat()].concat();
    for chunk in [97, 64 << 10, body.len()] {
        let summary = check_within(Limits::DEFAULT, body.chunks(chunk)).unwrap();
        assert_eq!((summary.samples, summary.uncompressed_bytes), (1, body.len() as u64));
    }
    let endless = [small().concat(), varint(99 << 3 | 2), varint(u64::MAX)].concat();
    assert!(matches!(check(&endless), Err(CheckError::Truncated { .. })));
}

#[test]
fn each_limit_is_named_when_it_is_exceeded_and_only_then() {
    let default = Limits::DEFAULT;
    let sample = |fields: &[Vec<u8>]| small_with(1, message(2, fields));
    let twice = |at: usize| [small().concat(), small()[at].clone()].concat();
    let label = || message(3, &[number(1, 3)]);
    let line = || message(4, &[number(1, 1)]);
    let long = b"nanoseconds".len() as u64;
    let whole = small().concat().len() as u64;
    type Case = (&'static str, Vec<u8>, u64, fn(Limits, u64) -> Limits);
    let cases: Vec<Case> = vec![
        ("uncompressed bytes", small().concat(), whole, |l, m| Limits {
            uncompressed_bytes_max: m,
            ..l
        }),
        ("bytes in one string", small().concat(), long, |l, m| Limits {
            string_bytes_max: m,
            ..l
        }),
        (
            "sample types",
            [small()[0].clone(), small().concat()].concat(),
            2,
            |l, m| Limits {
                sample_types_max: m,
                ..l
            },
        ),
        ("samples", twice(1), 2, |l, m| Limits { samples_max: m, ..l }),
        ("mappings", twice(2), 2, |l, m| Limits { mappings_max: m, ..l }),
        ("locations", twice(3), 2, |l, m| Limits { locations_max: m, ..l }),
        ("functions", twice(4), 2, |l, m| Limits { functions_max: m, ..l }),
        ("strings", small().concat(), 6, |l, m| Limits { strings_max: m, ..l }),
        (
            "comments",
            [small().concat(), bytes(13, &[1, 2, 3])].concat(),
            3,
            |l, m| Limits { comments_max: m, ..l },
        ),
        (
            "locations in one sample",
            sample(&[bytes(1, &[1, 1, 1]), number(1, 1), number(2, 1)]),
            4,
            |l, m| Limits {
                locations_per_sample_max: m,
                ..l
            },
        ),
        (
            "locations in one sample",
            // In an order that nobody writes.
            sample(&[label(), number(1, 1), number(1, 1), number(2, 1)]),
            2,
            |l, m| Limits {
                locations_per_sample_max: m,
                ..l
            },
        ),
        (
            "locations in all samples",
            sample(&[bytes(1, &[1, 1, 1]), number(1, 1), number(2, 1)]),
            4,
            |l, m| Limits {
                locations_in_samples_max: m,
                ..l
            },
        ),
        (
            "labels in one sample",
            sample(&[number(2, 1), label(), label()]),
            2,
            |l, m| Limits {
                labels_per_sample_max: m,
                ..l
            },
        ),
        (
            "values in one sample",
            sample(&[bytes(2, &[1, 2]), number(2, 3)]),
            3,
            |l, m| Limits {
                sample_types_max: m,
                ..l
            },
        ),
        (
            "lines at one location",
            small_with(3, message(4, &[number(1, 1), line(), line()])),
            2,
            |l, m| Limits {
                lines_per_location_max: m,
                ..l
            },
        ),
    ];
    for (name, body, exactly, limits) in cases {
        let within = check_within(limits(default, exactly), [&body]);
        assert!(!matches!(within, Err(CheckError::Limit(_))), "{name}: {within:?}");
        for chunk in [1, body.len()] {
            let beyond = check_within(limits(default, exactly - 1), body.chunks(chunk));
            assert_eq!(exceeded(beyond), (name, exactly - 1));
        }
    }
    let large = small().iter().map(Vec::len).max().unwrap() as u64;
    let message_max = |message_bytes_max| Limits {
        message_bytes_max,
        ..default
    };
    assert_eq!(
        exceeded(check_within(message_max(4), [&small().concat()])),
        ("bytes in one message", 4)
    );
    assert!(check_within(message_max(large), [&small().concat()]).is_ok());
}

#[test]
fn failure_15_a_bomb_is_refused_for_what_it_is() {
    let million = |unit: &[u8]| gzip(&unit.repeat(2 << 20));
    let after_types = |unit: &[u8]| gzip(&[small().concat(), unit.repeat(2 << 20)].concat());
    let labels = gzip(&[small().concat(), bytes(2, &[0x1a, 0].repeat(2 << 20))].concat());
    assert_eq!(exceeded(check(&labels)), ("bytes in one message", 1 << 20));
    let labels_in_limits = gzip(&[small().concat(), bytes(2, &[0x1a, 0].repeat(1 << 18))].concat());
    assert_eq!(exceeded(check(&labels_in_limits)), ("labels in one sample", 1 << 10));
    assert_eq!(malformed(check(&after_types(&[0x12, 0]))), "a sample has no values");
    assert_eq!(
        malformed(check(&after_types(&[0x22, 0]))),
        "a location has the reserved id 0"
    );
    assert_eq!(exceeded(check(&after_types(&[0x32, 0]))), ("strings", 1 << 20));
    assert_eq!(exceeded(check(&million(&[0x32, 0]))), ("strings", 1 << 20));
    for unit in [[0x12, 0], [0x22, 0], [0, 0]] {
        assert!(matches!(check(&million(&unit)), Err(CheckError::NotAProfile { .. })));
    }
}

/// Bodies of every kind: served ones, packed and not, whole and damaged.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let served = prop::sample::select(SERVED.to_vec()).prop_map(data);
    let other = prop::sample::select(vec!["index.html", "goroutine-debug-1.txt"]).prop_map(data);
    let source = prop_oneof![4 => served.clone(), 4 => served.prop_map(|body| gunzip(&body)), 1 => other];
    let flips = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (
        source,
        flips,
        any::<prop::sample::Index>(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(mut body, flips, end, cut, pack)| {
            for (at, byte) in flips {
                let at = at.index(body.len());
                body[at] = byte;
            }
            if cut {
                body.truncate(end.index(body.len()));
            }
            if pack { gzip(&body) } else { body }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(soak::cases(512)))]

    #[test]
    fn chunks_of_any_size_give_the_same_verdict(
        body in bodies(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let whole = check(&body);
        prop_assert_eq!(&check_within(Limits::DEFAULT, body.chunks(1)), &whole);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]);
        prop_assert_eq!(&check_within(Limits::DEFAULT, chunks), &whole);
    }

    #[test]
    fn bytes_of_any_kind_get_a_verdict(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let verdict = check(&body);
        prop_assert_eq!(check(&gzip(&body)).is_ok(), verdict.is_ok());
    }
}

/// One row of the manifest of a larger collection of profiles, which need not be there.
struct Listed {
    path: PathBuf,
    format: String,
    samples: u64,
    counts: [u64; 3],
    sample_types: String,
}

fn listed() -> Vec<Listed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/profiles");
    if !folder.join("MANIFEST.tsv").exists() {
        return Vec::new();
    }
    let manifest = String::from_utf8(read(folder.join("MANIFEST.tsv"))).unwrap();
    manifest
        .lines()
        .skip(1)
        .map(|row| {
            let columns: Vec<_> = row.split('\t').collect();
            let count = |column: usize| columns[column].parse().unwrap();
            Listed {
                path: folder.join(columns[0]),
                format: columns[8].to_owned(),
                samples: count(10),
                counts: [count(13), count(11), count(12)],
                sample_types: columns[9].to_owned(),
            }
        })
        .collect()
}

#[test]
fn the_verdict_on_listed_profiles_is_google_pprofs() {
    for Listed {
        path,
        format,
        samples,
        counts,
        sample_types,
    } in listed()
    {
        let verdict = check(&read(&path));
        match format.as_str() {
            "profile.proto" => {
                let summary = verdict.unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
                let types: Vec<_> = summary
                    .sample_types
                    .iter()
                    .map(|(kind, unit)| format!("{kind}/{unit}"))
                    .collect();
                assert_eq!(types.join(","), sample_types, "{}", path.display());
                assert_eq!(summary.samples, samples, "{}", path.display());
                assert_eq!(
                    [summary.mappings, summary.locations, summary.functions],
                    counts,
                    "{}",
                    path.display()
                );
            }
            // Legacy formats are a difference on purpose.
            _ => assert!(
                matches!(verdict, Err(CheckError::NotAProfile { .. } | CheckError::Empty)),
                "{}: {verdict:?}",
                path.display()
            ),
        }
    }
}
