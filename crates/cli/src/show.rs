//! `info`, `top` and `flame`: what a profile says.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use profile::Profile;
use profile::view::flame::FlameTree;
use profile::view::{View, units};
use serde_json::json;

use crate::args::{FlameArgs, InfoArgs, Output, TopArgs};
use crate::files;

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
        "functions": profile.functions().len(), "timeNanos": header.time_nanos, "durationNanos": header.duration_nanos,
        "periodType": strings.text(period_type.kind), "periodUnit": strings.text(period_type.unit),
        "period": header.period, "comments": comments, "mappings": binaries,
    })
}

fn info_text(profile: &Profile<'_>) -> Result<String> {
    let (header, strings) = (profile.header(), profile.strings());
    let mut out = String::new();
    for (of, total) in header.sample_types.iter().zip(profile.totals()) {
        let unit = strings.text(of.unit);
        writeln!(
            out,
            "{:<16} {} in {unit}",
            strings.text(of.kind),
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
        let unit = strings.text(of.unit);
        writeln!(
            out,
            "period           {} of {}",
            units::value(header.period, &unit),
            strings.text(of.kind)
        )?;
    }
    writeln!(out, "time             {} ns since the epoch", header.time_nanos)?;
    writeln!(out, "duration         {}", units::value(header.duration_nanos, "ns"))?;
    for mapping in profile.mappings() {
        writeln!(
            out,
            "mapping          {} {}",
            strings.text(mapping.file),
            strings.text(mapping.build_id)
        )?;
    }
    for comment in &header.comments {
        writeln!(out, "comment          {}", strings.text(*comment))?;
    }
    Ok(printable(&out))
}

/// `top`.
pub(crate) fn top(args: &TopArgs) -> Result<bool> {
    files::with_profile(&args.file, |profile| {
        let index = sample_type(&profile, args.sample_type.as_deref())?;
        let (kind, unit) = type_and_unit(&profile, index);
        let view = View::new(&profile, index)?;
        let mut rows = view.top();
        let functions = rows.len();
        if args.count > 0 {
            rows.truncate(args.count);
        }
        let total = view.total();
        let shown = match args.output {
            Output::Json => {
                let row = |row: profile::view::TopRow| json!({"name": row.name, "flat": row.flat, "cum": row.cum});
                let rows: Vec<_> = rows.into_iter().map(row).collect();
                format!(
                    "{:#}\n",
                    json!({"type": kind, "unit": unit, "total": total, "functions": rows})
                )
            }
            Output::Text => {
                let mut out = String::new();
                writeln!(out, "{kind}: {} in {functions} functions", units::value(total, &unit))?;
                writeln!(
                    out,
                    "{:>10} {:>7} {:>7} {:>10} {:>7}",
                    "flat", "flat%", "sum%", "cum", "cum%"
                )?;
                let mut sum = 0_i64;
                for row in rows {
                    sum = sum.wrapping_add(row.flat);
                    let percent = |part: i64| {
                        if total == 0 {
                            0.0
                        } else {
                            part as f64 / total as f64 * 100.0
                        }
                    };
                    let (flat, cum) = (units::value(row.flat, &unit), units::value(row.cum, &unit));
                    write!(out, "{flat:>10} {:>6.2}% {:>6.2}% ", percent(row.flat), percent(sum))?;
                    writeln!(out, "{cum:>10} {:>6.2}%  {}", percent(row.cum), row.name)?;
                }
                printable(&out)
            }
        };
        files::write(None, shown.as_bytes())?;
        Ok(true)
    })
}

/// `flame`.
pub(crate) fn flame(args: &FlameArgs) -> Result<bool> {
    files::with_profile(&args.file, |profile| {
        let index = sample_type(&profile, args.sample_type.as_deref())?;
        let (kind, unit) = type_and_unit(&profile, index);
        let view = View::new(&profile, index)?;
        let shown = if args.folded {
            view.folded()
        } else {
            let title = format!("{kind}: {}", units::value(view.total(), &unit));
            FlameTree::new(&view, args.nodes_max)?.svg(&title, &unit)
        };
        files::write(args.out.as_deref(), shown.as_bytes())?;
        Ok(true)
    })
}

/// Text for a terminal: names come out of the profile and may hold what terminals obey.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c })
        .collect()
}
