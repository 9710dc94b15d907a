//! `check`: is this a profile?

use std::path::Path;

use anyhow::Result;
use profile::check::{CheckError, Checker, Summary};
use profile::import::Format;
use profile::view::printable;
use profile::{Limits, Profile};
use serde_json::json;

use crate::args::{CheckArgs, Output};
use crate::files::{self, Source};

/// Whether all of them are valid.
pub(crate) fn run(args: &CheckArgs) -> Result<bool> {
    files::stdin_once(&args.files)?;
    let mut all_valid = true;
    let mut listed = Vec::new();
    for named in &args.files {
        // What is wrong with a folder is told like what is wrong with a file: there are others.
        let (paths, refused) = match files::expand(std::slice::from_ref(named), None) {
            Ok(paths) => (paths, None),
            Err(error) => (vec![named.clone()], Some(error)),
        };
        let mut refused = refused.map(Err);
        for path in paths {
            let verdict = refused
                .take()
                .unwrap_or_else(|| files::read(&path).and_then(|bytes| verdict(&bytes)));
            all_valid &= verdict.is_ok();
            match args.output {
                Output::Text => files::write(None, text(&path, &verdict).as_bytes())?,
                Output::Json => listed.push(object(&path, &verdict)),
            }
        }
    }
    if args.output == Output::Json {
        files::write(None, format!("{:#}\n", serde_json::Value::Array(listed)).as_bytes())?;
    }
    Ok(all_valid)
}

/// What a valid profile is.
struct Valid {
    source: Source,
    samples: u64,
    /// Kinds and units.
    sample_types: Vec<(String, String)>,
    bytes: u64,
    uncompressed_bytes: u64,
}

/// For pprof the streaming check, for what it counts and for what it says of a body that broke off, and the full one for
/// the ids. What is of another format is valid if it can be read.
fn verdict(bytes: &[u8]) -> Result<Valid> {
    let summary = match stream(bytes) {
        Ok(summary) => summary,
        Err(error) => return other(bytes, error),
    };
    let unpacked = files::unpack(bytes, &Limits::DEFAULT)?;
    Profile::decode(&unpacked, &Limits::DEFAULT)?;
    Ok(Valid {
        source: Source::Pprof,
        samples: summary.samples,
        sample_types: summary.sample_types,
        bytes: summary.bytes,
        uncompressed_bytes: summary.uncompressed_bytes,
    })
}

fn stream(bytes: &[u8]) -> Result<Summary, CheckError> {
    let mut checker = Checker::new(Limits::DEFAULT);
    checker.feed(bytes)?;
    checker.finish()
}

/// The verdict on what is no profile of pprof, for this reason.
fn other(bytes: &[u8], error: CheckError) -> Result<Valid> {
    // What cannot be unpacked, or is too much of something, was told better by the check.
    let unpacked = match files::unpack(bytes, &Limits::DEFAULT) {
        Ok(unpacked) if !matches!(error, CheckError::Limit(_)) => unpacked,
        _ => return Err(error.into()),
    };
    let (source, profile) = files::parse(&unpacked, Format::of(&unpacked))?;
    let strings = profile.strings();
    let types = profile.header().sample_types.iter();
    Ok(Valid {
        source,
        samples: profile.sample_count() as u64,
        sample_types: types
            .map(|of| (strings.text(of.kind).into_owned(), strings.text(of.unit).into_owned()))
            .collect(),
        bytes: bytes.len() as u64,
        uncompressed_bytes: unpacked.len() as u64,
    })
}

fn text(path: &Path, verdict: &Result<Valid>) -> String {
    let path = path.display().to_string();
    let path = printable(&path);
    match verdict {
        Ok(valid) => {
            let types: Vec<_> = valid
                .sample_types
                .iter()
                .map(|(kind, unit)| format!("{}/{}", printable(kind), printable(unit)))
                .collect();
            format!(
                "{path}: ok, {}, {} samples of {}\n",
                valid.source.word(),
                valid.samples,
                types.join(", ")
            )
        }
        Err(error) => format!("{path}: {}\n", printable(&format!("{error:#}"))),
    }
}

fn object(path: &Path, verdict: &Result<Valid>) -> serde_json::Value {
    let file = path.display().to_string();
    match verdict {
        Ok(valid) => {
            let types: Vec<_> = valid
                .sample_types
                .iter()
                .map(|(kind, unit)| json!({"type": kind, "unit": unit}))
                .collect();
            json!({
                "file": file, "valid": true, "format": valid.source.word(), "samples": valid.samples, "sampleTypes": types,
                "bytes": valid.bytes, "uncompressedBytes": valid.uncompressed_bytes,
            })
        }
        Err(error) => json!({"file": file, "valid": false, "error": format!("{error:#}")}),
    }
}
