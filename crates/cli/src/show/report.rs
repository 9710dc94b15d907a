//! `top` and `peek`: pprof's reports, with its words before them.

use std::borrow::Cow;

use anyhow::{Result, ensure};
use profile::Profile;
use profile::view::peek::{Calls, PeekEntry};
use profile::view::top::{Inlined, TopOptions, TopRow};
use profile::view::{Order, printable, units};
use serde_json::json;

use super::{comments, sample_type, time, type_and_unit};
use crate::args::{Output, PeekArgs, TopArgs};
use crate::files;
use crate::select::Filters;

/// Bytes of a report. 128 MiB, as of those of [`profile::view`]: names may be as long as 64 KiB.
const REPORT_BYTES_MAX: u64 = 128 << 20;

/// What stands before a name.
const LINE_BYTES: u64 = 50;

/// `top`.
pub(crate) fn top(args: &TopArgs) -> Result<bool> {
    let filters = Filters::new(&args.filters);
    files::with_profile(&args.file, |profile| {
        let selected = filters.apply(profile)?;
        filters.warn(&[&selected]);
        let profile = &selected.profile;
        let index = sample_type(profile, args.sample_type.as_deref())?;
        let (kind, unit) = type_and_unit(profile, index);
        let view = selected.view(index)?;
        let top = view.top(TopOptions {
            order: order(args.cum),
            rows_max: args.count,
            fraction_min: args.node_fraction,
        });
        let bytes: u64 = top.rows.iter().map(|row| row.name.len() as u64 + LINE_BYTES).sum();
        ensure!(
            bytes <= REPORT_BYTES_MAX,
            "the report would have more than {REPORT_BYTES_MAX} bytes: ask for fewer functions with -n"
        );
        let shown = match args.output {
            Output::Json => {
                let row = |row: &TopRow<'_>| {
                    let inlined = match row.inlined {
                        Inlined::Never => "never",
                        Inlined::Partly => "partly",
                        Inlined::Always => "always",
                    };
                    json!({"name": row.name, "flat": row.flat, "cum": row.cum, "inlined": inlined})
                };
                let rows: Vec<_> = top.rows.iter().map(row).collect();
                let counts = json!({"shown": rows.len(), "of": top.functions, "dropped": top.dropped});
                object(&json!({"type": kind, "unit": unit, "total": top.total, "counts": counts, "functions": rows}))
            }
            Output::Text => {
                let shown_unit = top.unit(&unit);
                let legend = legend(profile, &kind, top.total, (&unit, shown_unit), &filters);
                legend + &top.text(&unit, shown_unit)
            }
        };
        files::write(None, shown.as_bytes())?;
        Ok(true)
    })
}

/// `peek`.
pub(crate) fn peek(args: &PeekArgs) -> Result<bool> {
    let filters = Filters::new(&args.filters);
    files::with_profile(&args.file, |profile| {
        let selected = filters.apply(profile)?;
        filters.warn(&[&selected]);
        let profile = &selected.profile;
        let index = sample_type(profile, args.sample_type.as_deref())?;
        let (kind, unit) = type_and_unit(profile, index);
        let view = selected.view(index)?;
        let peek = view.peek(order(args.cum), |name| args.regex.pattern.is_match(name))?;
        ensure!(!peek.entries.is_empty(), "no function matches {}", args.regex.text);
        let shown = match args.output {
            Output::Json => {
                let calls =
                    |calls: &Calls<'_>| json!({"name": calls.name, "value": calls.value, "inlined": calls.inlined});
                let all = |all: &[Calls<'_>]| all.iter().map(calls).collect::<Vec<_>>();
                let entry = |entry: &PeekEntry<'_>| {
                    json!({
                        "name": entry.name, "flat": entry.flat, "cum": entry.cum,
                        "callers": all(&entry.callers), "callees": all(&entry.callees),
                    })
                };
                let entries: Vec<_> = peek.entries.iter().map(entry).collect();
                object(&json!({"type": kind, "unit": unit, "total": peek.total, "functions": entries}))
            }
            Output::Text => {
                let shown_unit = peek.unit(&unit);
                let legend = legend(profile, &kind, peek.total, (&unit, shown_unit), &filters);
                legend + &peek.text(&unit, shown_unit)
            }
        };
        files::write(None, shown.as_bytes())?;
        Ok(true)
    })
}

fn order(is_cum: bool) -> Order {
    if is_cum { Order::Cum } else { Order::Flat }
}

fn object(object: &serde_json::Value) -> String {
    format!("{object:#}\n")
}

/// What pprof says of a profile before a report, with the time in UTC.
fn legend(
    profile: &Profile<'_>,
    kind: &str,
    total: i64,
    (unit, shown_unit): (&str, &str),
    filters: &Filters<'_>,
) -> String {
    let (header, strings) = (profile.header(), profile.strings());
    let mut lines = Vec::new();
    if let Some(program) = profile.mappings().first() {
        let (file, build_id) = (strings.text(program.file), strings.text(program.build_id));
        if !file.is_empty() {
            lines.push(format!("File: {}", base_name(&file)));
        }
        if !build_id.is_empty() {
            lines.push(format!("Build ID: {build_id}"));
        }
    }
    let (comments, comments_left) = comments(profile);
    let comments = comments.into_iter().map(Cow::into_owned);
    lines.extend(comments.filter(|comment| !comment.starts_with('#')));
    if comments_left > 0 {
        lines.push(format!("{comments_left} more comments"));
    }
    if !kind.is_empty() {
        lines.push(format!("Type: {kind}"));
    }
    let doc_url = strings.text(header.doc_url);
    if !doc_url.is_empty() {
        lines.push(format!("Doc: {doc_url}"));
    }
    if let Some(time) = time(header.time_nanos) {
        lines.push(format!("Time: {}", time.strftime("%Y-%m-%d %H:%M:%S UTC")));
    }
    if header.duration_nanos != 0 {
        let spent = units::nanoseconds(total, unit).filter(|spent| *spent != 0);
        let part = spent.map(|spent| format!("({})", units::percentage(spent, header.duration_nanos)));
        lines.push(format!(
            "Duration: {}, Total samples = {} {}",
            units::value(header.duration_nanos, "nanoseconds"),
            units::label(total, unit, shown_unit),
            part.unwrap_or_default()
        ));
    }
    lines.extend(filters.legend());
    lines.iter().map(|line| format!("{}\n", printable(line))).collect()
}

/// The last part of a path.
fn base_name(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => "/",
        path => path.rsplit('/').next().unwrap_or(path),
    }
}
