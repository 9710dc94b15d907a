//! jemalloc's heap text, which no other reader here knows: the expected values are computed by hand.
//!
//! A sample of blocks of S bytes stands for 1 / (1 - e^(-S/R)) as many, at a rate of one in R bytes.
#![expect(clippy::panic, reason = "a test file: its functions are tests or their parts")]

use profile::model::LabelValue;
use profile::parse::{Format, ParseError, parse};
use profile::{Limits, Profile};

/// As jemalloc 5.3 writes it, of a program with two threads.
const PLAIN: &str = "heap_v2/524288
  t*: 16: 9097152 [0: 0]
  t0: 4: 2097152 [0: 0]
  t1: 12: 7000000 [0: 0] worker
@ 0x7fbff9aa2630 0x55c8da705191 0x55c8da7050b1
  t*: 4: 2097152 [0: 0]
  t0: 4: 2097152 [0: 0]
@ 0x7fbff9aa2630 0x55c8da705230
  t*: 12: 6000000 [0: 0]
  t1: 12: 6000000 [0: 0] worker
@ 0x7fbff9aa2630
  t*: 0: 0 [0: 0]

MAPPED_LIBRARIES:
55c8da704000-55c8da705000 r--p 00000000 fe:00 1004                       /usr/bin/server
55c8da705000-55c8da706000 r-xp 00001000 fe:00 1004                       /usr/bin/server
7fbff9a00000-7fbff9b00000 r-xp 00010000 fe:00 1005                       /usr/lib/libjemalloc.so.2
";

fn types(profile: &Profile<'_>) -> Vec<(String, String)> {
    let text = |id| profile.strings().text(id).into_owned();
    let types = profile.header().sample_types.iter();
    types.map(|of| (text(of.kind), text(of.unit))).collect()
}

fn values(profile: &Profile<'_>) -> Vec<Vec<i64>> {
    profile.samples().map(|sample| sample.values.to_vec()).collect()
}

fn block_bytes(profile: &Profile<'_>) -> Vec<i64> {
    let block = |sample: profile::model::Sample<'_>| {
        let [
            profile::model::Label {
                value: LabelValue::Number(bytes, None),
                ..
            },
        ] = sample.labels
        else {
            panic!("{:?}", sample.labels);
        };
        *bytes
    };
    profile.samples().map(block).collect()
}

#[test]
fn what_is_in_use_is_scaled_to_what_it_stands_for() {
    let parsed = parse(PLAIN.as_bytes(), &Limits::DEFAULT).unwrap();
    assert_eq!(parsed.format, Format::JemallocHeap);
    let profile = parsed.profile;
    let pair = |kind: &str, unit: &str| (kind.to_owned(), unit.to_owned());
    assert_eq!(types(&profile), [pair("objects", "count"), pair("space", "bytes")]);
    assert_eq!(profile.header().period, 524_288);
    // S = R: 1.5819767…; S = 500,000: 1.6268696….
    assert_eq!(values(&profile), [[6, 3_317_645], [19, 9_761_218], [0, 0]]);
    assert_eq!(block_bytes(&profile), [524_288, 500_000, 0]);

    // Addresses are those of returns: they go back into the call, and into their file. The program comes first.
    let stacks: Vec<Vec<_>> = profile
        .samples()
        .map(|sample| {
            sample
                .stack
                .iter()
                .map(|index| profile.locations()[*index as usize])
                .collect()
        })
        .collect();
    let addresses: Vec<_> = stacks[0].iter().map(|location| location.address).collect();
    assert_eq!(addresses, [0x7fbf_f9aa_262f, 0x55c8_da70_5190, 0x55c8_da70_50b0]);
    let files = stacks[0].iter().map(|location| {
        let mapping = profile.mappings()[location.mapping.unwrap() as usize];
        profile.strings().text(mapping.file)
    });
    assert_eq!(
        files.collect::<Vec<_>>(),
        ["/usr/lib/libjemalloc.so.2", "/usr/bin/server", "/usr/bin/server"]
    );
    assert_eq!(profile.strings().text(profile.mappings()[0].file), "/usr/bin/server");
    assert!(
        profile
            .strings()
            .text(profile.header().drop_frames)
            .starts_with("calloc|")
    );
}

#[test]
fn what_was_allocated_so_far_comes_first() {
    let text = "heap_v2/524288\r\n  t*: 3: 6688 [5: 14880]\r\n@ 0x10 0x20\r\n  t*: 3: 6688 [3: 6688]\r\n@ 0x30\r\n  \
                t*: 0: 0 [2: 8192]\r\n";
    let profile = Profile::parse(text.as_bytes(), &Limits::DEFAULT).unwrap();
    let kinds: Vec<_> = types(&profile).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"]);
    assert_eq!(
        values(&profile),
        [[707, 1_576_210, 707, 1_576_210], [257, 1_052_677, 0, 0]]
    );
    assert_eq!(block_bytes(&profile), [2229, 4096]);
}

#[test]
fn packed_and_empty_dumps_are_profiles() {
    let packed = profile::gzip(PLAIN.as_bytes());
    let profile = Profile::parse(&packed, &Limits::DEFAULT).unwrap();
    assert_eq!(profile.sample_count(), 3);
    // The strings live in their own buffer, not in what was unpacked.
    let again = Profile::parse(PLAIN.as_bytes(), &Limits::DEFAULT).unwrap();
    assert!(profile.encode() == again.encode());
    let empty = Profile::parse(b"heap_v2/1\n  t*: 0: 0 [0: 0]\n", &Limits::DEFAULT).unwrap();
    assert_eq!((empty.sample_count(), empty.header().sample_types.len()), (0, 2));
}

#[test]
fn what_is_broken_says_where() {
    for (text, at, why) in [
        ("heap_v2/\n", 1, "rate"),
        ("heap_v2/0\n", 1, "rate"),
        ("heap_v2/x\n", 1, "rate"),
        ("heap_v2/1\n  t*: 1: 2 [0: 0]\n@ 0x1\n  t*: 1: 2 [0: \n", 4, "neither"),
        ("heap_v2/1\n@ 0x1\nhello\n", 3, "neither"),
        ("heap_v2/1\n@ 0x1\n  t*: 9223372036854775808: 2 [0: 0]\n", 3, "64 bits"),
        ("heap_v2/1\n@ 0x10000000000000000\n", 2, "64 bits"),
    ] {
        let error = parse(text.as_bytes(), &Limits::DEFAULT).unwrap_err();
        let ParseError::Legacy { what, line, .. } = &error else {
            panic!("{text:?}: {error:?}");
        };
        assert!(*line == at && what.contains(why), "{text:?}: {error:?}");
        assert!(!error.is_transient());
    }
}
