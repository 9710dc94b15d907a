//! What a profile says: `info` here, `top`, `peek` and `flame` in modules of their own.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use profile::Profile;
use profile::model::{LabelValue, Mapping, StringId};
use profile::view::{printable, units};
use serde_json::json;

use crate::args::{InfoArgs, Output};
use crate::files::{self, Source};

mod flame;
mod report;

pub(crate) use flame::{flame, sheets};
pub(crate) use report::{peek, top};

/// The sample type that was asked for by index or name, or the profile's default. As in pprof a number is an index, and
/// "inuse_space" may be "space", as older formats call it.
pub(crate) fn sample_type(profile: &Profile<'_>, wanted: Option<&str>) -> Result<usize> {
    let types = &profile.header().sample_types;
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
        return profile
            .default_sample_index()
            .context("the profile has no sample types");
    };
    let strings = profile.strings();
    let older = wanted.strip_prefix("inuse_").unwrap_or(wanted);
    let is_meant = |kind: &[u8]| kind == wanted.as_bytes() || kind == older.as_bytes();
    let index = match wanted.parse::<i64>() {
        Ok(index) => usize::try_from(index).ok().filter(|index| *index < types.len()),
        Err(_) => types.iter().position(|of| is_meant(strings.get(of.kind))),
    };
    index.with_context(|| {
        let kinds: Vec<_> = types.iter().map(|of| strings.text(of.kind)).collect();
        format!("no sample type {wanted}; there are {}", kinds.join(", "))
    })
}

fn type_and_unit(profile: &Profile<'_>, index: usize) -> (String, String) {
    let of = profile.header().sample_types.get(index).copied().unwrap_or_default();
    (
        profile.strings().text(of.kind).into_owned(),
        profile.strings().text(of.unit).into_owned(),
    )
}

/// `info`.
pub(crate) fn info(args: &InfoArgs) -> Result<bool> {
    files::with_source(&args.file, |source, profile| {
        let shown = match args.output {
            Output::Json => format!("{:#}\n", info_object(source, &profile)),
            Output::Text => info_text(source, &profile)?,
        };
        files::write(None, shown.as_bytes())?;
        Ok(true)
    })
}

/// A key of labels, and in how many samples it stands with a text and with a number.
struct Key<'p> {
    key: Cow<'p, str>,
    texts: u64,
    numbers: u64,
}

/// The keys of labels, in the order in which they come.
fn keys<'p>(profile: &'p Profile<'_>) -> Vec<Key<'p>> {
    let mut keys: Vec<Key<'p>> = Vec::new();
    let mut places: HashMap<StringId, usize> = HashMap::new();
    for label in profile.samples().flat_map(|sample| sample.labels) {
        let place = *places.entry(label.key).or_insert(keys.len());
        if place == keys.len() {
            keys.push(Key {
                key: profile.strings().text(label.key),
                texts: 0,
                numbers: 0,
            });
        }
        if let Some(key) = keys.get_mut(place) {
            match label.value {
                LabelValue::Text(_) => key.texts += 1,
                LabelValue::Number(..) => key.numbers += 1,
            }
        }
    }
    keys
}

/// Bytes of comments, and of mappings, that are shown. 1 MiB: natural profiles have a few lines of each. Profiles name strings
/// by number, so that a few bytes may mean a long one again and again.
const SHOWN_BYTES_MAX: usize = 1 << 20;

/// The first texts, as many as are shown, and how many are left.
fn shown<T>(texts: impl ExactSizeIterator<Item = T>, bytes: impl Fn(&T) -> usize) -> (Vec<T>, usize) {
    let count = texts.len();
    let mut left = SHOWN_BYTES_MAX;
    let fits = |text: &T| {
        let fitting = left.checked_sub(bytes(text) + 1);
        left = fitting.unwrap_or(0);
        fitting.is_some()
    };
    let shown: Vec<_> = texts.take_while(fits).collect();
    let left_out = count - shown.len();
    (shown, left_out)
}

/// Comments of a profile, as many as are shown, and how many are left.
pub(crate) fn comments<'p>(profile: &'p Profile<'_>) -> (Vec<Cow<'p, str>>, usize) {
    let comments = profile.header().comments.iter();
    shown(comments.map(|comment| profile.strings().text(*comment)), |text| {
        text.len()
    })
}

/// File and build id of each mapping, as many as are shown, and how many are left.
fn mappings<'p>(profile: &'p Profile<'_>) -> (Vec<[Cow<'p, str>; 2]>, usize) {
    let strings = profile.strings();
    let texts = |of: &Mapping| [strings.text(of.file), strings.text(of.build_id)];
    shown(profile.mappings().iter().map(texts), |[file, id]| file.len() + id.len())
}

fn info_object(source: Source, profile: &Profile<'_>) -> serde_json::Value {
    let (header, strings) = (profile.header(), profile.strings());
    let totals = profile.totals();
    let sample_type = |(of, total): (&profile::model::ValueType, i64)| json!({"type": strings.text(of.kind), "unit": strings.text(of.unit), "total": total});
    let types: Vec<_> = header.sample_types.iter().zip(totals).map(sample_type).collect();
    let (comments, comments_left) = comments(profile);
    let (mappings, mappings_left) = mappings(profile);
    let binary = |[file, build_id]: &[Cow<'_, str>; 2]| json!({"file": file, "buildId": build_id});
    let binaries: Vec<_> = mappings.iter().map(binary).collect();
    let period_type = header.period_type;
    let key = |key: &Key<'_>| json!({"key": key.key, "texts": key.texts, "numbers": key.numbers});
    let labels: Vec<_> = keys(profile).iter().map(key).collect();
    let shown = profile
        .default_sample_index()
        .and_then(|index| header.sample_types.get(index));
    json!({
        "format": source.word(), "defaultSampleType": shown.map(|of| strings.text(of.kind)), "labels": labels,
        "dropFrames": strings.text(header.drop_frames), "keepFrames": strings.text(header.keep_frames), "docUrl": strings.text(header.doc_url),
        "sampleTypes": types, "samples": profile.sample_count(), "locations": profile.locations().len(),
        "functions": profile.functions().len(), "timeNanos": header.time_nanos, "time": time(header.time_nanos).map(|time| time.to_string()), "durationNanos": header.duration_nanos,
        "periodType": strings.text(period_type.kind), "periodUnit": strings.text(period_type.unit),
        "period": header.period, "comments": comments, "mappings": binaries,
        "leftOut": {"comments": comments_left, "mappings": mappings_left},
    })
}

/// The time of a profile, if it has one; shown it is as RFC 3339 has it.
fn time(nanos: i64) -> Option<Timestamp> {
    (nanos != 0).then(|| Timestamp::from_nanosecond(nanos.into()).ok())?
}

fn info_text(source: Source, profile: &Profile<'_>) -> Result<String> {
    let (header, strings) = (profile.header(), profile.strings());
    let text = |id| printable(&strings.text(id)).into_owned();
    let mut out = format!("format           {}\n", source.word());
    let shown = profile.default_sample_index();
    for (index, (of, total)) in header.sample_types.iter().zip(profile.totals()).enumerate() {
        let unit = text(of.unit);
        let default = if Some(index) == shown && header.sample_types.len() > 1 {
            ", shown when none is asked for"
        } else {
            ""
        };
        writeln!(
            out,
            "{:<16} {} in {unit}{default}",
            text(of.kind),
            units::value(total, &unit)
        )?;
    }
    let counts = (
        profile.sample_count(),
        profile.locations().len(),
        profile.functions().len(),
    );
    writeln!(
        out,
        "samples          {} at {} locations in {} functions",
        counts.0, counts.1, counts.2
    )?;
    let of = header.period_type;
    if header.period != 0 {
        let period = units::value(header.period, &text(of.unit));
        writeln!(out, "period           {period} of {}", text(of.kind))?;
    }
    if let Some(time) = time(header.time_nanos) {
        writeln!(out, "time             {time} ({} ns)", header.time_nanos)?;
    }
    writeln!(out, "duration         {}", units::value(header.duration_nanos, "ns"))?;
    for Key { key, texts, numbers } in keys(profile) {
        let key = printable(&key);
        let values = [(texts, "texts"), (numbers, "numbers")];
        let values: Vec<_> = values.into_iter().filter(|(count, _)| *count > 0).collect();
        let values: Vec<_> = values.iter().map(|(count, what)| format!("{count} {what}")).collect();
        writeln!(out, "label            {key}: {}", values.join(", "))?;
    }
    for (name, pattern) in [("drop frames", header.drop_frames), ("keep frames", header.keep_frames)] {
        if !strings.get(pattern).is_empty() {
            writeln!(out, "{name:<16} {}", text(pattern))?;
        }
    }
    if !strings.get(header.doc_url).is_empty() {
        writeln!(out, "doc              {}", text(header.doc_url))?;
    }
    let (mappings, mappings_left) = mappings(profile);
    for [file, build_id] in &mappings {
        writeln!(out, "mapping          {} {}", printable(file), printable(build_id))?;
    }
    let (comments, comments_left) = comments(profile);
    for comment in &comments {
        writeln!(out, "comment          {}", printable(comment))?;
    }
    for (left, what) in [(mappings_left, "mappings"), (comments_left, "comments")] {
        if left > 0 {
            writeln!(out, "left out         {left} more {what}")?;
        }
    }
    Ok(out)
}
