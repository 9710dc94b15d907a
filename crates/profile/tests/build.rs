//! The builder: what it finds again, what it keeps apart, and what it refuses.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file: its functions are tests or their parts"
)]

use profile::build::{BuildError, Builder};
use profile::model::{Function, Label, LabelValue, Line, Mapping, Sample, StringId};
use profile::{Limits, Profile};

fn builder(limits: &Limits) -> Builder {
    Builder::new(&[("samples", "count"), ("cpu", "nanoseconds")], limits).unwrap()
}

fn function(builder: &mut Builder, name: &str) -> Result<u32, BuildError> {
    let name = builder.string(name.as_bytes())?;
    builder.function(Function {
        name,
        system_name: name,
        ..Function::default()
    })
}

/// A location of one line.
fn frame(builder: &mut Builder, name: &str, line: i64) -> Result<u32, BuildError> {
    let function = function(builder, name)?;
    builder.location(
        0,
        None,
        &[Line {
            function,
            line,
            column: 0,
        }],
    )
}

fn sample(stack: &[u32]) -> Sample<'_> {
    Sample {
        stack,
        values: &[1, 10],
        labels: &[],
    }
}

#[test]
fn what_was_found_is_one_and_what_was_pushed_is_many() {
    let mut builder = builder(&Limits::DEFAULT);
    let file = builder.string(b"/bin/a").unwrap();
    let mapping = Mapping {
        start: 0x1000,
        limit: 0x2000,
        file,
        ..Mapping::default()
    };
    let found = builder.mapping(mapping).unwrap();
    assert_eq!(builder.mapping(mapping).unwrap(), found);
    let pushed = builder.push_mapping(mapping).unwrap();
    assert_ne!(pushed, found);
    assert_eq!(builder.mapping(mapping).unwrap(), found);

    let by_address = builder.location(0x1001, Some(found), &[]).unwrap();
    assert_eq!(builder.location(0x1001, Some(found), &[]).unwrap(), by_address);
    assert_ne!(builder.location(0x1001, Some(pushed), &[]).unwrap(), by_address);
    assert_ne!(builder.push_location(0x1001, Some(found), &[]).unwrap(), by_address);
    let leaf = frame(&mut builder, "leaf", 3).unwrap();
    assert_eq!(frame(&mut builder, "leaf", 3).unwrap(), leaf);
    assert_ne!(frame(&mut builder, "leaf", 4).unwrap(), leaf);

    builder.add_sample(sample(&[leaf, by_address])).unwrap();
    builder.add_sample(sample(&[leaf, by_address])).unwrap();
    builder.add_sample(sample(&[by_address, leaf])).unwrap();
    builder.push_sample(sample(&[leaf, by_address])).unwrap();
    builder.add_sample(sample(&[leaf, by_address])).unwrap();
    let profile = builder.finish();
    let values: Vec<_> = profile.samples().map(|sample| sample.values.to_vec()).collect();
    assert_eq!(values, [[3, 30], [1, 10], [1, 10]]);
    assert_eq!(profile.functions().len(), 1);
    let ids = |ids: &mut dyn Iterator<Item = u64>| ids.collect::<Vec<_>>();
    assert_eq!(ids(&mut profile.mappings().iter().map(|mapping| mapping.id)), [1, 2]);
    assert_eq!(
        ids(&mut profile.locations().iter().map(|location| location.id)),
        [1, 2, 3, 4, 5]
    );
}

#[test]
fn growing_tables_find_all_again() {
    let mut builder = builder(&Limits::DEFAULT);
    let names: Vec<_> = (0..1000).map(|index| format!("f{index}")).collect();
    let mut build = || {
        let indexes = names.iter().map(|name| {
            let location = frame(&mut builder, name, 1).unwrap();
            let name = builder.string(name.as_bytes()).unwrap();
            let mapping = builder.mapping(Mapping {
                file: name,
                ..Mapping::default()
            });
            builder.add_sample(sample(&[location])).unwrap();
            (location, mapping.unwrap())
        });
        indexes.collect::<Vec<_>>()
    };
    assert_eq!(build(), build());
    let profile = builder.finish();
    assert_eq!((profile.sample_count(), profile.totals()), (1000, vec![2000, 20000]));
}

#[test]
fn what_was_built_is_valid_and_the_same_after_writing() {
    let mut builder = builder(&Limits::DEFAULT);
    builder.set_period("cpu", "nanoseconds", 10_000_000).unwrap();
    builder.set_time(1_700_000_000_000_000_000, 30_000_000_000);
    builder.set_frames(b"malloc|free", b"keep").unwrap();
    builder.set_default_sample_type("samples").unwrap();
    builder.add_comment(b"built").unwrap();
    let stack = [
        frame(&mut builder, "leaf", 3).unwrap(),
        frame(&mut builder, "main", 7).unwrap(),
    ];
    let [bytes, thread, name] = ["bytes", "thread", "worker"].map(|text| builder.string(text.as_bytes()).unwrap());
    let number = |number| Label {
        key: bytes,
        value: LabelValue::Number(number, None),
    };
    let text = Label {
        key: thread,
        value: LabelValue::Text(name),
    };
    // The order of labels makes no difference, but that of the numbers of one key.
    for labels in [
        [number(1), number(2), text],
        [text, number(1), number(2)],
        [text, number(2), number(1)],
    ] {
        let sample = Sample {
            labels: &labels,
            ..sample(&stack)
        };
        builder.add_sample(sample).unwrap();
    }
    let profile = builder.finish();
    assert_eq!(profile.sample_count(), 2);
    let encoded = profile.encode();
    let decoded = Profile::decode(&encoded, &Limits::DEFAULT).unwrap();
    assert_eq!(decoded.totals(), [3, 30]);
    assert_eq!(decoded.default_sample_index(), Some(0));
    assert!(decoded.encode() == encoded);
}

#[test]
fn what_refers_to_nothing_is_refused() {
    let mut builder = builder(&Limits::DEFAULT);
    let absent = |what, index| Some(BuildError::Absent { what, index });
    let mut other = Builder::new(&[], &Limits::DEFAULT).unwrap();
    let strings = (0..100_u32).map(|index| other.string(&index.to_le_bytes()).unwrap());
    let foreign = strings.max().unwrap();
    let key = Label {
        key: foreign,
        value: LabelValue::Text(StringId::EMPTY),
    };
    let labelled = Sample {
        labels: &[key],
        ..sample(&[])
    };
    assert!(matches!(
        builder.add_sample(labelled),
        Err(BuildError::Absent { what: "string", .. })
    ));
    assert_eq!(builder.push_sample(sample(&[7])).err(), absent("location", 7));
    assert_eq!(builder.location(1, Some(2), &[]).err(), absent("mapping", 2));
    let line = Line {
        function: 3,
        ..Line::default()
    };
    assert_eq!(builder.location(1, None, &[line]).err(), absent("function", 3));
    let function = Function {
        name: foreign,
        ..Function::default()
    };
    assert!(builder.function(function).is_err());
    let few = Sample {
        values: &[1],
        ..sample(&[])
    };
    let refused = Some(BuildError::Values { values: 1, types: 2 });
    assert_eq!(builder.push_sample(few).err(), refused);
    builder.add_sample(sample(&[])).unwrap();
    assert_eq!(builder.add_sample(few).err(), refused);
    assert_eq!(builder.finish().sample_count(), 1);
}

/// The name of the limit that `fill` runs into.
fn limit_of(limits: Limits, fill: impl Fn(&mut Builder, u32) -> Result<(), BuildError>) -> &'static str {
    let mut builder = builder(&limits);
    let error = (0..1000).find_map(|round| fill(&mut builder, round).err());
    let Some(BuildError::Limit(limit)) = error else {
        panic!("{error:?}");
    };
    limit.name
}

#[test]
fn every_limit_is_kept() {
    let limits = Limits::DEFAULT;
    let few = 20;
    let strings = Limits {
        strings_max: few,
        ..limits
    };
    assert_eq!(
        limit_of(strings, |b, round| b.string(&round.to_le_bytes()).map(drop)),
        "strings"
    );
    // What is known is never one too many.
    let mut full = builder(&strings);
    let known = full.string(b"known").unwrap();
    assert!((0..few).any(|round| full.string(&round.to_le_bytes()).is_err()));
    assert_eq!(full.string(b"known").ok(), Some(known));
    let long = Limits {
        string_bytes_max: few,
        ..limits
    };
    let text = |round: u32| vec![b'a'; round as usize];
    assert_eq!(
        limit_of(long, |b, round| b.string(&text(round)).map(drop)),
        "bytes in one string"
    );
    let bytes = Limits {
        uncompressed_bytes_max: 2000,
        ..limits
    };
    assert_eq!(
        limit_of(bytes, |b, round| b.string(&text(round)).map(drop)),
        "uncompressed bytes"
    );
    // The same deep stack again and again.
    let deep = |b: &mut Builder, _: u32| {
        let location = b.location(1, None, &[])?;
        b.push_sample(sample(&[location; 100]))
    };
    assert_eq!(limit_of(bytes, deep), "uncompressed bytes");
    let stack = Limits {
        locations_per_sample_max: 99,
        ..limits
    };
    assert_eq!(limit_of(stack, deep), "locations in one sample");
    let samples = Limits {
        samples_max: few,
        ..limits
    };
    assert_eq!(limit_of(samples, deep), "samples");
    let stacks = Limits {
        locations_in_samples_max: 3,
        ..limits
    };
    assert_eq!(limit_of(stacks, deep), "locations in all samples");
    let mappings = Limits {
        mappings_max: few,
        ..limits
    };
    assert_eq!(
        limit_of(mappings, |b, _| b.push_mapping(Mapping::default()).map(drop)),
        "mappings"
    );
    let locations = Limits {
        locations_max: few,
        ..limits
    };
    assert_eq!(
        limit_of(locations, |b, _| b.push_location(0, None, &[]).map(drop)),
        "locations"
    );
    let functions = Limits {
        functions_max: few,
        ..limits
    };
    let function = |start_line| Function {
        start_line,
        ..Function::default()
    };
    assert_eq!(
        limit_of(functions, |b, round| b.function(function(round.into())).map(drop)),
        "functions"
    );
    let lines = Limits {
        lines_per_location_max: few,
        ..limits
    };
    let inlined = |b: &mut Builder, round: u32| {
        let line = Line {
            function: b.function(Function::default())?,
            ..Line::default()
        };
        b.location(0, None, &vec![line; round as usize]).map(drop)
    };
    assert_eq!(limit_of(lines, inlined), "lines at one location");
    let labels = Limits {
        labels_per_sample_max: few,
        ..limits
    };
    let label = Label {
        key: StringId::EMPTY,
        value: LabelValue::Number(1, None),
    };
    let labelled = |b: &mut Builder, round: u32| {
        b.add_sample(Sample {
            labels: &vec![label; round as usize],
            ..sample(&[])
        })
    };
    assert_eq!(limit_of(labels, labelled), "labels in one sample");
    let comments = Limits {
        comments_max: few,
        ..limits
    };
    assert_eq!(limit_of(comments, |b, _| b.add_comment(b"again")), "comments");
    let types = Limits {
        sample_types_max: 1,
        ..limits
    };
    assert!(Builder::new(&[("a", "b"), ("c", "d")], &types).is_err());
}
