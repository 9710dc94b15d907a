//! What must hold for every input of a decoder. The fuzzer looks for inputs that break one of these, and the tests run
//! them on all that it ever found, and on real files.

use std::borrow::Cow;

use profile::check::{CheckError, Checker, Summary};
use profile::import::Format;
use profile::merge::{MergeError, Merger};
use profile::model::{Label, LabelValue};
use profile::view::flame::FlameTree;
use profile::view::stacks::Stacks;
use profile::view::svg::Caption;
use profile::view::top::TopOptions;
use profile::view::{Order, View, ViewError};
#[cfg(feature = "libdeflate")]
use profile::{GzipError, import, libdeflate};
use profile::{Limits, Profile, gzip, unpack};

use crate::grown;

/// What must hold, by the name of the fuzz target that tries to break it.
pub(crate) type Property = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const PROPERTIES: &[Property] = &[
    ("check", chunks_give_one_verdict),
    ("unpack", packing_is_undone),
    #[cfg(feature = "libdeflate")]
    ("libdeflate", libdeflate_unpacks_what_the_stream_does),
    ("decode", writing_is_undone),
    ("parse", any_format_becomes_valid),
    ("agree", check_and_decoder_agree),
    ("merge", two_files_merge),
    ("view", views_add_up),
    ("algebra", laws_hold),
    ("import_collapsed", collapsed_becomes_valid),
    ("import_v8", v8_becomes_valid),
    ("import_jfr", jfr_becomes_valid),
];

/// The defaults, but for what a fuzzer's input of a few kilobytes could blow up to: an input must not take the memory that
/// the fuzzer is told to complain about.
const LIMITS: Limits = Limits {
    uncompressed_bytes_max: 16 << 20,
    ..Limits::DEFAULT
};

/// So low that inputs of a few hundred bytes run into them.
const TIGHT: Limits = Limits {
    uncompressed_bytes_max: 700,
    message_bytes_max: 60,
    string_bytes_max: 12,
    sample_types_max: 2,
    samples_max: 4,
    locations_per_sample_max: 4,
    locations_in_samples_max: 9,
    labels_per_sample_max: 2,
    mappings_max: 2,
    locations_max: 8,
    lines_per_location_max: 2,
    functions_max: 8,
    strings_max: 24,
    comments_max: 2,
};

/// Larger bodies are not packed by each run of the property: packing takes longer than all that is looked for.
const PACKED_BYTES_MAX: usize = 256;

/// Values up to here, of either sign, go through 64-bit floats and back unchanged.
const EXACT_MAX: u64 = 1 << 53;

fn verdict<'c>(limits: Limits, chunks: impl IntoIterator<Item = &'c [u8]>) -> Result<Summary, CheckError> {
    let mut checker = Checker::new(limits);
    for chunk in chunks {
        checker.feed(chunk)?;
    }
    checker.finish()
}

/// The first byte says how the rest is cut.
pub(crate) fn chunks_give_one_verdict(bytes: &[u8]) {
    let Some((cut, body)) = bytes.split_first() else {
        return;
    };
    let chunk_bytes = usize::from(*cut).max(1);
    for limits in [LIMITS, TIGHT] {
        let whole = verdict(limits, [body]);
        assert_eq!(verdict(limits, body.chunks(chunk_bytes)), whole);
        assert_eq!(
            verdict(limits, <[&[u8]; 2]>::from(body.split_at(body.len() / 2))),
            whole
        );
    }
    // What is no gzip has the same verdict inside of it; where it is gzip, that is one wrapping too many.
    if body.len() <= PACKED_BYTES_MAX && !body.starts_with(&[0x1f, 0x8b]) {
        let packed = gzip(body);
        let verdict_of = |chunk_bytes| verdict(TIGHT, packed.chunks(chunk_bytes));
        assert_eq!(verdict_of(1), verdict_of(packed.len()));
        assert_eq!(verdict_of(1).is_ok(), verdict(TIGHT, [body]).is_ok());
    }
}

/// The first two bytes say where the packed bytes are cut.
pub(crate) fn packing_is_undone(bytes: &[u8]) {
    let limits = Limits {
        uncompressed_bytes_max: 1 << 20,
        ..Limits::DEFAULT
    };
    if let Ok(unpacked) = unpack(bytes, &limits) {
        assert!(unpacked.len() as u64 <= limits.uncompressed_bytes_max);
        assert_eq!(matches!(unpacked, Cow::Owned(_)), bytes.starts_with(&[0x1f, 0x8b]));
    }
    let Some((cut, plain)) = bytes.split_first_chunk() else {
        return;
    };
    let packed = gzip(plain);
    let at = usize::from(u16::from_le_bytes(*cut));
    let (first, second) = plain.split_at(at.min(plain.len()));
    for packed in [&packed, &[gzip(first), gzip(second)].concat()] {
        assert_eq!(unpack(packed, &limits).as_deref(), Ok(plain));
    }
    let shorter = packed.get(..at.clamp(2, packed.len() - 1)).unwrap_or_default();
    assert!(matches!(unpack(shorter, &limits), Err(CheckError::Truncated { .. })));
}

/// As they are, and as deflate data within a member whose trailer is right.
#[cfg(feature = "libdeflate")]
pub(crate) fn libdeflate_unpacks_what_the_stream_does(bytes: &[u8]) {
    let limits = Limits {
        uncompressed_bytes_max: 1 << 20,
        ..Limits::DEFAULT
    };
    for packed in [bytes, &member(bytes, &limits)] {
        let (quick, streamed) = (libdeflate::unpack(packed, &limits), import::unpack(packed, &limits));
        match (&quick, &streamed) {
            // What differs on purpose: what it unpacks has the checksum and the length that the trailer states, and may be
            // followed by other bytes before it; and what may not begin anything is refused by its reader.
            (
                Ok(unpacked),
                Err(CheckError::Gzip(_) | CheckError::Truncated { .. } | CheckError::NotAProfile { .. }),
            ) => {
                assert_eq!(gzip(unpacked).last_chunk::<8>(), packed.last_chunk());
            }
            _ => assert_eq!(quick, streamed),
        }
    }
}

/// A gzip member of deflate data, with the trailer that the stream asks for.
#[cfg(feature = "libdeflate")]
fn member(deflated: &[u8], limits: &Limits) -> Vec<u8> {
    let mut member = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff], deflated, &[0; 8]].concat();
    let end = member.len();
    // Each may be wrong.
    for _ in 0..2 {
        let (begin, right) = match unpack(&member, limits) {
            Err(CheckError::Gzip(GzipError::Checksum { actual, .. })) => (end - 8, actual),
            Err(CheckError::Gzip(GzipError::Length { actual, .. })) => (end - 4, actual),
            Ok(_) | Err(_) => break,
        };
        member.splice(begin..begin + 4, right.to_le_bytes());
    }
    member
}

pub(crate) fn writing_is_undone(bytes: &[u8]) {
    for limits in [LIMITS, TIGHT] {
        if let Ok(profile) = Profile::decode(bytes, &limits) {
            assert_written(&profile);
        }
    }
}

/// Whatever format it is in, packed or not.
pub(crate) fn any_format_becomes_valid(bytes: &[u8]) {
    for limits in [LIMITS, TIGHT] {
        if let Ok(profile) = Profile::parse(bytes, &limits) {
            assert_written(&profile);
        }
    }
}

/// Writing a profile and reading it again gives the same, and then the same bytes.
fn assert_written(profile: &Profile<'_>) {
    let written = profile.encode();
    // A repeated field may be larger than it came; what is read is within the limits of counts all the same.
    let again = Profile::decode(&written, &Limits::DEFAULT).unwrap();
    assert_same(profile, &again);
    let loses_labels = profile.samples().any(|sample| sample.labels.iter().any(is_unreadable));
    assert!(
        again.encode() == written || loses_labels,
        "the canonical bytes are written differently"
    );
}

/// A number of 0 without a unit: a block of Java's heap that is smaller than a byte has it. It is written, and to whoever
/// reads it, google/pprof too, it is no label.
fn is_unreadable(label: &Label) -> bool {
    matches!(label.value, LabelValue::Number(0, None))
}

/// Errs where the strings that two ids stand for differ.
fn assert_same(one: &Profile<'_>, other: &Profile<'_>) {
    let (texts, other_texts) = (one.strings(), other.strings());
    let (head, other_head) = (one.header(), other.header());
    let types = head.sample_types.iter().chain([&head.period_type]);
    let other_types = other_head.sample_types.iter().chain([&other_head.period_type]);
    let of_type = |texts: &profile::model::Strings<'_>, of: &profile::model::ValueType| {
        (texts.get(of.kind).to_vec(), texts.get(of.unit).to_vec())
    };
    assert!(
        types
            .map(|of| of_type(texts, of))
            .eq(other_types.map(|of| of_type(other_texts, of)))
    );
    let numbers = |head: &profile::model::Header| (head.period, head.time_nanos, head.duration_nanos);
    assert_eq!(numbers(head), numbers(other_head));
    let named = |head: &profile::model::Header| {
        let named = [
            head.drop_frames,
            head.keep_frames,
            head.default_sample_type,
            head.doc_url,
        ];
        named.into_iter().chain(head.comments.clone())
    };
    assert!(
        named(head)
            .map(|id| texts.get(id))
            .eq(named(other_head).map(|id| other_texts.get(id)))
    );

    assert_eq!(one.sample_count(), other.sample_count());
    for (sample, again) in one.samples().zip(other.samples()) {
        assert_eq!((sample.stack, sample.values), (again.stack, again.values));
        let readable: Vec<&Label> = sample.labels.iter().filter(|label| !is_unreadable(label)).collect();
        assert_eq!(readable.len(), again.labels.len());
        for (label, again) in readable.into_iter().zip(again.labels) {
            let shown = |label: &Label, texts: &profile::model::Strings<'_>| match label.value {
                LabelValue::Text(text) => (texts.get(label.key).to_vec(), texts.get(text).to_vec(), None),
                LabelValue::Number(number, unit) => (
                    texts.get(label.key).to_vec(),
                    unit.map_or_else(Vec::new, |unit| texts.get(unit).to_vec()),
                    Some(number),
                ),
            };
            assert_eq!(shown(label, texts), shown(again, other_texts));
        }
    }
    let mapping = |of: &profile::model::Mapping| (of.id, of.start, of.limit, of.offset, of.has_functions);
    assert!(
        one.mappings()
            .iter()
            .map(mapping)
            .eq(other.mappings().iter().map(mapping))
    );
    let location = |of: &profile::model::Location| (of.id, of.mapping, of.address, of.lines_end, of.is_folded);
    assert!(
        one.locations()
            .iter()
            .map(location)
            .eq(other.locations().iter().map(location))
    );
    assert_eq!(one.lines(), other.lines());
    let function = |of: &profile::model::Function, texts: &profile::model::Strings<'_>| {
        let names = [of.name, of.system_name, of.file].map(|id| texts.get(id).to_vec());
        (of.id, of.start_line, names)
    };
    assert!(
        one.functions()
            .iter()
            .map(|of| function(of, texts))
            .eq(other.functions().iter().map(|of| function(of, other_texts)))
    );
}

/// The streaming check and the decoder differ in what is said at the head of the check, and in nothing else.
pub(crate) fn check_and_decoder_agree(bytes: &[u8]) {
    // What needs all ids at once.
    const IDS: [&str; 6] = [
        "two mappings have the same id",
        "two functions have the same id",
        "two locations have the same id",
        "a sample has a location that is not there",
        "a line has a function that is not there",
        "there are samples but no sample types",
    ];
    for limits in [LIMITS, TIGHT] {
        let checked = verdict(limits, [bytes]);
        let unpacked = unpack(bytes, &limits);
        let decoded = match &unpacked {
            Ok(unpacked) => Profile::decode(unpacked, &limits),
            Err(error) => Err(error.clone()),
        };
        let agree = match (&checked, &decoded) {
            (Ok(summary), Ok(profile)) => {
                let counts = [
                    (summary.samples, profile.sample_count()),
                    (summary.mappings, profile.mappings().len()),
                    (summary.locations, profile.locations().len()),
                    (summary.functions, profile.functions().len()),
                    (summary.strings, profile.strings().len()),
                ];
                let head = profile.header();
                summary.totals == profile.totals()
                    && (summary.period, summary.time_nanos, summary.duration_nanos)
                        == (head.period, head.time_nanos, head.duration_nanos)
                    && counts.iter().all(|(check, decoder)| *check == *decoder as u64)
            }
            (Ok(_), Err(CheckError::Malformed { what, .. })) => IDS.contains(what),
            (Err(CheckError::NoSampleTypes), Ok(profile)) => profile.header().sample_types.is_empty(),
            (Err(CheckError::Limit(exceeded)), Ok(profile)) => {
                exceeded.name == NAME_LIMIT && has_name_that_is_not_kept(profile)
            }
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
            (Err(_), Err(_)) => true,
        };
        let decoded = decoded.as_ref().map(Profile::sample_count);
        assert!(agree, "the check says {checked:?}, the decoder {decoded:?}");
    }
}

/// What the check says of a sample type whose name it did not keep.
const NAME_LIMIT: &str = "bytes in the name of a sample type, or strings before it";

/// Whether a sample type has a name that is too long to be kept, or may stand where none is kept.
fn has_name_that_is_not_kept(profile: &Profile<'_>) -> bool {
    let (first, last) = (129, 16);
    let mut types = profile.header().sample_types.iter();
    let strings = profile.strings();
    strings.len() > first + last || types.any(|of| [of.kind, of.unit].iter().any(|name| strings.get(*name).len() > 128))
}

/// The first two bytes say where the second file begins.
pub(crate) fn two_files_merge(bytes: &[u8]) {
    let Some((length, files)) = bytes.split_first_chunk() else {
        return;
    };
    let at = usize::from(u16::from_le_bytes(*length));
    let (first, second) = files.split_at(at.min(files.len()));
    if let (Ok(first), Ok(second)) = (Profile::decode(first, &LIMITS), Profile::decode(second, &LIMITS)) {
        assert_laws(&first, &second);
    }
}

/// The bytes are dice that two valid profiles are thrown with.
pub(crate) fn laws_hold(bytes: &[u8]) {
    let (first, second) = grown::two(bytes);
    let first = Profile::decode(&first, &LIMITS).unwrap();
    let second = Profile::decode(&second, &LIMITS).unwrap();
    assert_written(&first);
    assert_laws(&first, &second);
    for index in 0..first.header().sample_types.len() {
        assert_view(&first, index);
    }
}

fn merged(profiles: &[&Profile<'_>]) -> Result<Profile<'static>, MergeError> {
    let mut merger = Merger::new();
    for profile in profiles {
        merger.add(profile)?;
    }
    merger.finish()
}

fn assert_laws(first: &Profile<'_>, second: &Profile<'_>) {
    for profile in [first, second] {
        let compact = profile.compact().unwrap();
        assert_eq!(compact.totals(), profile.totals());
        assert!(compact.sample_count() <= profile.sample_count());
        assert_written(&compact);
        let again = compact.compact().unwrap().encode();
        assert!(again == compact.encode(), "compacting twice is not compacting once");
        let is_exact = |value: &i64| value.unsigned_abs() <= EXACT_MAX;
        if profile.samples().all(|sample| sample.values.iter().all(is_exact)) {
            let nothing = profile.subtract(&mut profile.clone()).unwrap();
            assert_eq!(nothing.sample_count(), 0);
        }
    }
    match merged(&[first, second]) {
        Ok(both) => {
            let sums = first.totals().into_iter().zip(second.totals());
            assert!(sums.map(|(one, other)| one.wrapping_add(other)).eq(both.totals()));
            assert_written(&both);
            // The order of hashes differs from one merger to the next and must not show.
            let again = merged(&[first, second]).unwrap().encode();
            assert!(again == both.encode(), "merging again gives other bytes");
            let turned = merged(&[second, first]).unwrap();
            assert_eq!(turned.sample_count(), both.sample_count());
        }
        Err(MergeError::Incompatible(_)) => assert!(merged(&[second, first]).is_err()),
        Err(error) => assert!(first.sample_count() > 1 << 20, "{error}"),
    }
}

pub(crate) fn views_add_up(bytes: &[u8]) {
    let Ok(profile) = Profile::decode(bytes, &LIMITS) else {
        return;
    };
    let types = profile.header().sample_types.len();
    assert!(matches!(View::new(&profile, types), Err(ViewError::SampleType { .. })));
    for index in [profile.default_sample_index(), (types > 1).then_some(0)]
        .into_iter()
        .flatten()
    {
        assert_view(&profile, index);
    }
}

fn assert_view(profile: &Profile<'_>, index: usize) {
    let Ok(view) = View::new(profile, index) else {
        return;
    };
    let top = view.top(TopOptions::ALL);
    let Ok(peek) = view.peek(Order::Cum, |_| true) else {
        return;
    };
    assert_eq!(top.rows.len(), peek.entries.len());
    assert!(top.text("ns", top.unit("ns")).ends_with('\n') && peek.text("ns", peek.unit("ns")).ends_with('\n'));
    let stacks = Stacks::new(&view);
    let Ok(folded) = stacks.folded() else {
        return;
    };
    let values = profile.samples().filter_map(|sample| sample.values.get(index).copied());
    let values: Vec<i128> = values.map(i128::from).collect();
    let total: i128 = values.iter().sum();
    // Sums that wrap or cancel out say nothing.
    let adds_up = values.iter().all(|value| *value >= 0) && i64::try_from(total).is_ok();
    if adds_up {
        let lines = folded
            .lines()
            .filter_map(|line| line.rsplit(' ').next()?.parse::<i128>().ok());
        assert_eq!(lines.sum::<i128>(), total);
        assert!(
            top.rows
                .iter()
                .all(|row| row.flat <= row.cum && i128::from(row.cum) <= total)
        );
    }
    let (tree, inverted) = match (stacks.tree(), stacks.inverted()) {
        (Ok(tree), Ok(inverted)) => (tree, inverted),
        // More branches than are allowed are no mistake either.
        (tree, _) => {
            let is_limit = matches!(tree, Err(ViewError::Limit(_)) | Ok(_));
            assert!(is_limit || !adds_up, "only a difference has no areas");
            return;
        }
    };
    for nodes_max in [usize::MAX, 7, 0] {
        for mut tree in [tree.clone(), inverted.clone()] {
            tree.prune(nodes_max);
            assert_tree(&tree, nodes_max, total);
        }
    }
    let Some(function) = stacks.functions().first().copied() else {
        return;
    };
    if let Ok(Some(sandwich)) = stacks.sandwich(function) {
        assert_tree(
            &sandwich.callers,
            usize::MAX,
            i128::from(sandwich.callees.nodes()[0].total),
        );
    }
}

fn assert_tree(tree: &FlameTree<'_>, nodes_max: usize, total: i128) {
    let nodes = tree.nodes();
    assert!(nodes.len() - 1 <= nodes_max);
    assert_eq!(i128::from(nodes[0].total), total);
    let mut reached = 1;
    for (index, node) in nodes.iter().enumerate() {
        reached += tree.children(index).count();
        let below = tree.children(index).map(|child| nodes[child].total);
        assert_eq!(node.own + below.sum::<i64>(), node.total);
    }
    assert_eq!(reached, nodes.len());
    let caption = Caption {
        title: "all",
        unit: "count",
        whole: None,
    };
    let (json, picture) = (tree.json(), tree.svg(caption));
    assert!(json.starts_with('{') && json.ends_with('}'));
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
}

pub(crate) fn collapsed_becomes_valid(bytes: &[u8]) {
    assert_imported(Format::Collapsed, bytes);
}

pub(crate) fn v8_becomes_valid(bytes: &[u8]) {
    assert_imported(Format::V8Cpu, bytes);
    assert_imported(Format::V8Heap, bytes);
}

pub(crate) fn jfr_becomes_valid(bytes: &[u8]) {
    assert_imported(Format::Jfr, bytes);
}

fn assert_imported(format: Format, bytes: &[u8]) {
    // What is guessed need not be right, but must end.
    let _guess = Format::of(bytes);
    for limits in [LIMITS, TIGHT] {
        if let Ok(profile) = format.import(bytes, &limits) {
            assert!(profile.sample_count() <= bytes.len(), "more samples than bytes");
            assert_written(&profile);
        }
    }
}
