//! Hostile files of legacy formats: every limit is kept. `legacy_memory.rs` measures.
#![expect(clippy::panic, reason = "a test file: its functions are tests or their parts")]

use profile::check::CheckError;
use profile::parse::{ParseError, parse};
use profile::{Limits, Profile};

/// The name of the limit that a file runs into.
fn limit_of(file: &[u8], limits: &Limits) -> &'static str {
    match parse(file, limits) {
        Err(ParseError::Check(CheckError::Limit(limit))) => limit.name,
        Err(error) => panic!("{error:?}"),
        Ok(parsed) => panic!("a {} profile", parsed.format),
    }
}

fn heap(lines: &str) -> Vec<u8> {
    format!("heap profile: 1: 1 [1: 1] @ heapprofile\n{lines}").into_bytes()
}

fn cpu(words: &[u32]) -> Vec<u8> {
    let header = [0, 3, 0, 100, 0];
    header.iter().chain(words).flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn every_limit_is_kept() {
    let limits = Limits::DEFAULT;
    let samples = Limits {
        samples_max: 9,
        ..limits
    };
    assert_eq!(limit_of(&heap(&"1: 1 [1: 1] @ 0x1\n".repeat(10)), &samples), "samples");
    let stacks = Limits {
        locations_in_samples_max: 9,
        ..limits
    };
    assert_eq!(
        limit_of(&heap(&"1: 1 [1: 1] @ 0x1 0x2\n".repeat(5)), &stacks),
        "locations in all samples"
    );
    assert_eq!(limit_of(&cpu(&[1, 0].repeat(10)), &samples), "samples");
    assert_eq!(
        limit_of(
            format!("a profile: total 1\n{}", "1 @ 0x1\n".repeat(10)).as_bytes(),
            &samples
        ),
        "samples"
    );

    let deep = Limits {
        locations_per_sample_max: 9,
        ..limits
    };
    let stack = " 0x1".repeat(10);
    assert_eq!(
        limit_of(&heap(&format!("1: 1 [1: 1] @{stack}\n")), &deep),
        "locations in one sample"
    );
    assert_eq!(
        limit_of(&cpu(&[&[1, 10], [7_u32; 10].as_slice()].concat()), &deep),
        "locations in one sample"
    );
    let thread = format!("--- Thread 1 (name: a/1) stack: ---\n{}", "0x1\n".repeat(10));
    assert_eq!(limit_of(thread.as_bytes(), &deep), "locations in one sample");
    let java = format!("--- heapz 1 ---\nformat=java\nresolution=bytes\n1 1 @{stack}\n");
    assert_eq!(limit_of(java.as_bytes(), &deep), "locations in one sample");
    assert_eq!(
        limit_of(format!("heap_v2/1\n@{stack}\nt*: 1: 1 [0: 0]\n").as_bytes(), &deep),
        "locations in one sample"
    );

    let places = Limits {
        locations_max: 9,
        ..limits
    };
    let many: String = (1..=10)
        .map(|address| format!("1: 1 [1: 1] @ {address:#x}\n"))
        .collect();
    assert_eq!(limit_of(&heap(&many), &places), "locations");

    let mapped = Limits {
        mappings_max: 9,
        ..limits
    };
    let map = format!("MAPPED_LIBRARIES:\n{}", "1000-2000 r-xp 0 0:0 0 /a\n".repeat(10));
    assert_eq!(limit_of(&heap(&map), &mapped), "mappings");

    let named = Limits {
        functions_max: 1,
        ..limits
    };
    let java = "--- heapz 1 ---\nformat=java\nresolution=bytes\n1 1 @ 0x1 0x2\n0x1 f (F.java:1)\n0x2 g (F.java:2)\n";
    assert_eq!(limit_of(java.as_bytes(), &named), "functions");

    let short = Limits {
        message_bytes_max: 99,
        ..limits
    };
    let java = format!(
        "--- heapz 1 ---\nformat=java\nresolution=bytes\n1 1 @ 0x1\n0x1 {}\n",
        "f".repeat(100)
    );
    assert_eq!(limit_of(java.as_bytes(), &short), "bytes in one line");
    let long = Limits {
        string_bytes_max: 2_000,
        ..limits
    };
    let java = format!(
        "--- heapz 1 ---\nformat=java\nresolution=bytes\n1 1 @ 0x1\n0x1 {}\n",
        "f".repeat(2_001)
    );
    assert_eq!(limit_of(java.as_bytes(), &long), "bytes in one string");

    let small = Limits {
        uncompressed_bytes_max: 999,
        ..limits
    };
    assert_eq!(limit_of(&heap(&" ".repeat(1_000)), &small), "uncompressed bytes");
}

#[test]
fn attributes_that_grow_are_stopped() {
    // Each is twice the one before.
    let mut doubling = String::from("MAPPED_LIBRARIES:\nn00=/some/file\n");
    for round in 1..40 {
        doubling += &format!("n{round:02}=$n{before:02}$n{before:02}\n", before = round - 1);
    }
    assert_eq!(
        limit_of(&heap(&doubling), &Limits::DEFAULT),
        "bytes of expanded attributes"
    );
    let many: String = (0..40)
        .map(|round| format!("n{round:02}={}\n", "x".repeat(30_000)))
        .collect();
    let many = heap(&format!("MAPPED_LIBRARIES:\n{many}"));
    assert_eq!(limit_of(&many, &Limits::DEFAULT), "bytes of attributes");

    // Each line becomes a hundred thousand times as long.
    let growing = format!(
        "MAPPED_LIBRARIES:\na={}\n{}",
        "x".repeat(60_000),
        "$a$a$a$a\n".repeat(500)
    );
    assert_eq!(
        limit_of(&heap(&growing), &Limits::DEFAULT),
        "bytes of expanded attributes"
    );

    // Each dollar may be the beginning of a long name, and none is.
    let dollars = "$".repeat(60_000);
    let comparing = format!("MAPPED_LIBRARIES:\n{dollars}x=1\n{dollars}\n{dollars}\n");
    assert_eq!(
        limit_of(&heap(&comparing), &Limits::DEFAULT),
        "bytes of expanded attributes"
    );

    // What real maps do stays far below.
    let natural = format!(
        "1: 1 [1: 1] @ 0x1234\nMAPPED_LIBRARIES:\nbuild=/{}\n{}",
        "deep/".repeat(200),
        (0..1_000)
            .map(|at| format!("{:x}-{:x}: $build/lib{at}.so\n", at * 0x1000, (at + 1) * 0x1000))
            .collect::<String>()
    );
    let natural = heap(&natural);
    let profile = Profile::parse(&natural, &Limits::DEFAULT).unwrap();
    assert_eq!(profile.mappings().len(), 1_000);
    assert!(
        profile
            .strings()
            .text(profile.mappings()[1].file)
            .ends_with("deep//lib1.so")
    );
}

#[test]
fn a_line_without_end_is_refused() {
    let endless = "1".repeat(70_000);
    for file in [
        heap(&endless),
        format!("a profile: total 1\n{endless}").into_bytes(),
        format!("--- Thread 1 (name: a/1) stack: ---\n{endless}").into_bytes(),
        format!("--- mutex:\n{endless}").into_bytes(),
        format!("heap_v2/1\n{endless}").into_bytes(),
    ] {
        let error = parse(&file, &Limits::DEFAULT).unwrap_err();
        assert!(
            matches!(error, ParseError::Legacy { what, line: 1, .. } if what.contains("longer")),
            "{error:?}"
        );
    }
    // Of a first line nobody says what it is.
    let error = parse(endless.as_bytes(), &Limits::DEFAULT).unwrap_err();
    assert!(
        matches!(error, ParseError::Check(CheckError::NotAProfile { .. })),
        "{error:?}"
    );
}
