//! What a profile says: `info` here, `top`, `peek` and `flame` in modules of their own.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use profile::Profile;
use profile::view::{printable, units};
use serde_json::json;

use crate::args::{InfoArgs, Output};
use crate::files;

mod flame;
mod report;

pub(crate) use flame::{flame, sheets};
pub(crate) use report::{peek, top};

/// The sample type that was asked for by name or index, or the profile's default.
pub(crate) fn sample_type(profile: &Profile<'_>, wanted: Option<&str>) -> Result<usize> {
    let types = &profile.header().sample_types;
    let Some(wanted) = wanted else {
        return profile
            .default_sample_index()
            .context("the profile has no sample types");
    };
    let strings = profile.strings();
    let named = types.iter().position(|of| strings.get(of.kind) == wanted.as_bytes());
    let index = named.or_else(|| wanted.parse().ok().filter(|index| *index < types.len()));
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
    files::with_profile(&args.file, |profile| {
        let shown = match args.output {
            Output::Json => format!("{:#}\n", info_object(&profile)),
            Output::Text => info_text(&profile)?,
        };
        files::write(None, shown.as_bytes())?;
        Ok(true)
    })
}

fn info_object(profile: &Profile<'_>) -> serde_json::Value {
    let (header, strings) = (profile.header(), profile.strings());
    let totals = profile.totals();
    let sample_type = |(of, total): (&profile::model::ValueType, i64)| json!({"type": strings.text(of.kind), "unit": strings.text(of.unit), "total": total});
    let types: Vec<_> = header.sample_types.iter().zip(totals).map(sample_type).collect();
    let comments: Vec<_> = header.comments.iter().map(|comment| strings.text(*comment)).collect();
    let binary = |mapping: &profile::model::Mapping| json!({"file": strings.text(mapping.file), "buildId": strings.text(mapping.build_id)});
    let binaries: Vec<_> = profile.mappings().iter().map(binary).collect();
    let period_type = header.period_type;
    json!({
        "sampleTypes": types, "samples": profile.sample_count(), "locations": profile.locations().len(),
        "functions": profile.functions().len(), "timeNanos": header.time_nanos, "time": time(header.time_nanos).map(|time| time.to_string()), "durationNanos": header.duration_nanos,
        "periodType": strings.text(period_type.kind), "periodUnit": strings.text(period_type.unit),
        "period": header.period, "comments": comments, "mappings": binaries,
    })
}

/// The time of a profile, if it has one; shown it is as RFC 3339 has it.
fn time(nanos: i64) -> Option<Timestamp> {
    (nanos != 0).then(|| Timestamp::from_nanosecond(nanos.into()).ok())?
}

fn info_text(profile: &Profile<'_>) -> Result<String> {
    let (header, strings) = (profile.header(), profile.strings());
    let text = |id| printable(&strings.text(id)).into_owned();
    let mut out = String::new();
    for (of, total) in header.sample_types.iter().zip(profile.totals()) {
        let unit = text(of.unit);
        writeln!(out, "{:<16} {} in {unit}", text(of.kind), units::value(total, &unit))?;
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
    for mapping in profile.mappings() {
        writeln!(
            out,
            "mapping          {} {}",
            text(mapping.file),
            text(mapping.build_id)
        )?;
    }
    for comment in &header.comments {
        writeln!(out, "comment          {}", text(*comment))?;
    }
    Ok(out)
}
