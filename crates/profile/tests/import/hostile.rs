//! Files that no tool writes.

use profile::Limits;
use profile::import::{Format, ImportError};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use testkit::soak;

use crate::recording::{
    BOOLEAN, Bytes, CLASS, CLASSES, Class, FRAME, Form, INT, LONG, METHOD, SAMPLE, SYMBOL, TRACE, checkpoint, chunk,
    constants, event, metadata, recording,
};
use crate::{AUSTIN, CPU, HEAP, import};

fn all() -> [(Format, Vec<u8>); 4] {
    [
        (Format::V8Cpu, CPU.as_bytes().to_vec()),
        (Format::V8Heap, HEAP.as_bytes().to_vec()),
        (Format::Jfr, recording()),
        (Format::Collapsed, AUSTIN.as_bytes().to_vec()),
    ]
}

fn said(result: Result<profile::Profile<'static>, ImportError>) -> String {
    let error = result.unwrap_err();
    if let ImportError::Limit { source, .. } = &error {
        format!("{error}: {source}")
    } else {
        error.to_string()
    }
}

#[test]
fn what_is_cut_off_anywhere_is_no_shorter_profile() {
    for (format, bytes) in all() {
        let whole = bytes.trim_ascii_end().len();
        for end in 0..whole {
            let imported = import(format, &bytes[..end]);
            // A text of lines may end after each of them, and in the middle of a number.
            if format != Format::Collapsed {
                assert!(
                    matches!(imported, Err(ImportError::Truncated { .. })) || (format == Format::Jfr && end == 0),
                    "{format} cut at {end}: {imported:?}"
                );
            }
        }
    }
    // Two chunks, the second cut in its header.
    let twice = [recording(), recording()[..40].to_vec()].concat();
    assert!(
        matches!(import(Format::Jfr, &twice), Err(ImportError::Truncated { offset, .. }) if offset == twice.len() as u64)
    );
}

#[test]
fn limits_hold_whatever_the_format() {
    let of = |change: fn(&mut Limits)| {
        let mut limits = Limits::DEFAULT;
        change(&mut limits);
        limits
    };
    let tight = [
        of(|limits| limits.samples_max = 1),
        of(|limits| limits.locations_per_sample_max = 1),
        of(|limits| limits.string_bytes_max = 4),
        of(|limits| limits.strings_max = 3),
        of(|limits| limits.functions_max = 1),
        of(|limits| limits.uncompressed_bytes_max = 100),
    ];
    for (format, bytes) in all() {
        for limits in &tight {
            let imported = format.import(&bytes, limits);
            assert!(
                matches!(imported, Err(ImportError::Limit { .. })),
                "{format} {limits:?}: {imported:?}"
            );
        }
    }
}

#[test]
fn a_circle_of_nodes_ends() {
    let node = |id: u32, children: &str| {
        format!(
            r#"{{"id":{id},"callFrame":{{"functionName":"f{id}","url":"","lineNumber":1}},"hitCount":1,"children":[{children}]}}"#
        )
    };
    let cpu = |nodes: &[String]| {
        import(
            Format::V8Cpu,
            format!(r#"{{"nodes":[{}],"endTime":9}}"#, nodes.join(",")).as_bytes(),
        )
    };
    assert_eq!(
        said(cpu(&[node(1, "2"), node(2, "1")])),
        "this V8 CPU profile is too large: more than 65536 frames in one stack"
    );
    assert!(said(cpu(&[node(1, "1")])).contains("frames in one stack"));
    assert!(said(cpu(&[node(1, "3"), node(2, "3"), node(3, "")])).ends_with("a node is called by two"));
    assert!(said(cpu(&[node(1, "7")])).ends_with("a node calls one that is not there"));
    assert!(said(cpu(&[node(1, ""), node(1, "")])).ends_with("two nodes have the same id"));
}

#[test]
fn few_bytes_that_name_a_deep_stack_again_and_again_are_refused() {
    let frame = r#""callFrame":{"functionName":"f"}"#;
    let (depth, leaves) = (60_000, 1_500);
    let deep = format!("{{{frame},\"children\":[").repeat(depth);
    let leaves = format!("{{{frame},\"selfSize\":1}},").repeat(leaves);
    let bytes = format!(
        "{{\"head\":{deep}{}{}}}",
        leaves.trim_end_matches(','),
        "]}".repeat(depth)
    );
    assert!(bytes.len() < 10 << 20);
    assert!(said(import(Format::V8Heap, bytes.as_bytes())).contains("more than"));
    let too_deep = "{\"head\":".to_owned() + &"{\"children\":[".repeat(200_000);
    assert!(said(import(Format::V8Heap, too_deep.as_bytes())).ends_with("more than 131136 levels of JSON"));
}

#[test]
fn few_bytes_that_make_one_sample_again_and_again_are_refused() {
    // The lines of one deep node, all the same.
    let (depth, ticks) = (20_000, 10_000);
    let node = |id: u32| {
        let next = id + 1;
        format!(r#"{{"id":{id},"callFrame":{{"functionName":"f"}},"children":[{next}]}}"#)
    };
    let nodes: Vec<_> = (1..depth).map(node).collect();
    let ticks = vec![r#"{"line":1,"ticks":1}"#; ticks].join(",");
    let leaf = format!(r#"{{"id":{depth},"callFrame":{{"functionName":"f"}},"hitCount":1,"positionTicks":[{ticks}]}}"#);
    let bytes = format!(r#"{{"nodes":[{},{leaf}],"endTime":9}}"#, nodes.join(","));
    assert!(bytes.len() < 2 << 20);
    let refused = said(import(Format::V8Cpu, bytes.as_bytes()));
    assert!(refused.ends_with("frames in all stacks"), "{refused}");

    // A deep stack of threads that are not there.
    let of = |index: i64| Bytes::default().number(index);
    let frames = (0..20_000).fold(of(9).byte(0).number(20_000), |trace, _| trace.numbers(&[1, 3]));
    let events = (0..10_000).map(|thread| event(SAMPLE, &of(0).numbers(&[thread, 9])));
    let events: Vec<_> = events.chain([checkpoint(&[(TRACE, vec![frames])])]).collect();
    let refused = said(import(Format::Jfr, &chunk(&metadata(CLASSES), &events)));
    assert!(refused.ends_with("bytes of constants and frames"), "{refused}");

    // Many methods of one class, which takes a while to read.
    let class = replaced((
        CLASS,
        "java.lang.Class",
        &[("name", SYMBOL, Form::Constant), ("junk", BOOLEAN, Form::List)],
    ));
    let junk = (0..40_000).fold(of(5).number(1).number(40_000), |class, _| class.byte(0));
    let methods = (0..10_000).map(|method| of(method).numbers(&[5, 1, 1])).collect();
    let frames = (0..10_000).fold(of(9).byte(0).number(10_000), |trace, method| {
        trace.numbers(&[method, 3])
    });
    let pools = [(CLASS, vec![junk]), (METHOD, methods), (TRACE, vec![frames])];
    let refused = said(with_classes(&class, &pools));
    assert!(refused.ends_with("bytes of constants and frames"), "{refused}");
}

/// A recording whose classes are others.
fn with_classes(classes: &[Class<'_>], pools: &[(i64, Vec<Bytes>)]) -> Result<profile::Profile<'static>, ImportError> {
    let events = [event(SAMPLE, &Bytes::default().numbers(&[0, 1, 9])), checkpoint(pools)];
    import(Format::Jfr, &chunk(&metadata(classes), &events))
}

fn replaced<'c>(class: Class<'c>) -> Vec<Class<'c>> {
    let others = CLASSES.iter().filter(|(id, ..)| *id != class.0).copied();
    others.chain([class]).collect()
}

#[test]
fn classes_that_contain_themselves_end() {
    let of = |index: i64| Bytes::default().number(index);
    let circle = replaced((TRACE, "jdk.types.StackTrace", &[("frames", TRACE, Form::Here)]));
    assert!(said(with_classes(&circle, &[(TRACE, vec![of(9)])])).ends_with("more than 16 levels of classes"));
    let circle = replaced((TRACE, "jdk.types.StackTrace", &[("frames", TRACE, Form::List)]));
    assert!(said(with_classes(&circle, &[(TRACE, vec![of(9).number(1)])])).ends_with("more than 16 levels of classes"));
    // Each level doubles, and none takes a byte.
    let names: Vec<String> = (0..14).map(|level| format!("level{level}")).collect();
    let fields: Vec<Vec<_>> = (0..14)
        .map(|level| {
            let below = if level < 13 { 201 + level } else { 300 };
            (0..8).map(|_| ("same", below, Form::Here)).collect()
        })
        .collect();
    let mut doubling = CLASSES.to_vec();
    doubling.push((300, "nothing", &[]));
    for (level, (name, fields)) in names.iter().zip(&fields).enumerate() {
        doubling.push((200 + level as i64, name, fields));
    }
    assert!(said(with_classes(&doubling, &[(200, vec![of(9)])])).ends_with("fields of classes in classes"));
}

#[test]
fn counts_that_no_bytes_stand_behind_are_refused_or_nothing() {
    let of = |index: i64| Bytes::default().number(index);
    let beyond = "something is longer than its chunk";
    for count in [1 << 20, i64::from(i32::MAX), i64::MAX] {
        assert!(said(with_classes(CLASSES, &[(TRACE, vec![of(9).byte(0).number(count)])])).ends_with(beyond));
    }
    let negative = said(with_classes(CLASSES, &[(TRACE, vec![of(9).byte(0).number(-1)])]));
    assert!(negative.ends_with("a count is negative"), "{negative}");
    let length = |length: i64| vec![(SYMBOL, vec![of(1).byte(3).number(length)])];
    assert!(said(with_classes(CLASSES, &length(1 << 30))).ends_with(beyond));
    assert!(said(with_classes(CLASSES, &length(-1))).ends_with("a count is negative"));
    // A list of things without a byte is as long as it likes to be.
    let mut empty = replaced((TRACE, "jdk.types.StackTrace", &[("frames", 300, Form::List)]));
    empty.push((300, "nothing", &[]));
    let profile = with_classes(&empty, &[(TRACE, vec![of(9).number(i64::MAX)])]).unwrap();
    assert_eq!(profile.totals(), [1, 10_000_000]);
}

#[test]
fn what_events_refer_to_may_be_absent() {
    let of = |index: i64| Bytes::default().number(index);
    let traces = [(TRACE, vec![of(9).byte(0).numbers(&[1, 77, 3])])];
    let profile = with_classes(CLASSES, &traces).unwrap();
    assert_eq!(crate::shown(&profile), ["[unknown method] :3 [1, 10000000]"]);
    let methods = [traces.to_vec(), vec![(METHOD, vec![of(77).numbers(&[5, 6, 7])])]].concat();
    let profile = with_classes(CLASSES, &methods).unwrap();
    assert_eq!(crate::shown(&profile), [" :3 [1, 10000000]"]);
}

#[test]
fn a_broken_chunk_says_what_is_broken() {
    let whole = recording();
    let with = |place: usize, bytes: &[u8]| {
        let mut broken = whole.clone();
        broken[place..place + bytes.len()].copy_from_slice(bytes);
        said(import(Format::Jfr, &broken))
    };
    assert_eq!(
        with(4, &[0, 1]),
        "this JFR recording has version 1, which is not supported"
    );
    assert!(with(8, &0_i64.to_be_bytes()).ends_with("a chunk was never finished"));
    assert!(with(8, &(-5_i64).to_be_bytes()).ends_with("a chunk was never finished"));
    assert!(with(24, &0_i64.to_be_bytes()).ends_with("a chunk does not describe its classes"));
    assert!(with(24, &i64::MAX.to_be_bytes()).ends_with("something is longer than its chunk"));
    assert!(with(68, &[0x80, 0x80, 0x80, 0]).ends_with("an event is too short"));
    assert!(with(68, &[0xff, 0xff, 0xff, 0x7f]).ends_with("an event is longer than its chunk"));
    let events = [event(LONG, &Bytes::default()), constants()];
    assert_eq!(
        said(import(Format::Jfr, &chunk(&metadata(CLASSES), &events))),
        "this JFR recording holds no execution samples, allocations or waits for locks"
    );
    let unknown: Vec<Class<'_>> = CLASSES
        .iter()
        .filter(|(id, ..)| ![INT, BOOLEAN, FRAME].contains(id))
        .copied()
        .collect();
    let events = [event(SAMPLE, &Bytes::default().numbers(&[0, 1, 9])), constants()];
    assert!(
        said(import(Format::Jfr, &chunk(&metadata(&unknown), &events)))
            .ends_with("a class is used that is not described")
    );
}

/// Whatever is done to a file, there is a valid profile or an error.
#[test]
fn damage_never_breaks_a_reader() {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    let cut = prop::option::of(any::<prop::sample::Index>());
    let files = all();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(soak::cases(2_000)));
    let ran = runner.run(&(0..files.len(), changes, cut), |(which, changes, cut)| {
        let (format, mut bytes) = files[which].clone();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        drop(import(format, &bytes));
        Format::of(&bytes);
        Ok(())
    });
    ran.unwrap();
}
