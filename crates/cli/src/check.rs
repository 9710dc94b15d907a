//! `check`: is this a profile?

use std::path::Path;

use anyhow::Result;
use profile::check::{CheckError, Checker, Summary};
use profile::{Limits, Profile, unpack};
use serde_json::json;

use crate::args::{CheckArgs, Output};
use crate::files;

/// Whether all of them are valid.
pub(crate) fn run(args: &CheckArgs) -> Result<bool> {
    let mut all_valid = true;
    let mut listed = Vec::new();
    for path in files::expand(&args.files)? {
        let verdict = files::read(&path).and_then(|bytes| Ok(verdict(&bytes)?));
        all_valid &= verdict.is_ok();
        match args.output {
            Output::Text => files::write(None, text(&path, &verdict).as_bytes())?,
            Output::Json => listed.push(object(&path, &verdict)),
        }
    }
    if args.output == Output::Json {
        files::write(None, format!("{:#}\n", serde_json::Value::Array(listed)).as_bytes())?;
    }
    Ok(all_valid)
}

/// The streaming check for what it counts, and the full one for the ids.
fn verdict(bytes: &[u8]) -> Result<Summary, CheckError> {
    let mut checker = Checker::new(Limits::DEFAULT);
    checker.feed(bytes)?;
    let summary = checker.finish()?;
    let unpacked = unpack(bytes, &Limits::DEFAULT)?;
    Profile::decode(&unpacked, &Limits::DEFAULT)?;
    Ok(summary)
}

fn text(path: &Path, verdict: &Result<Summary>) -> String {
    match verdict {
        Ok(summary) => {
            let types: Vec<_> = summary
                .sample_types
                .iter()
                .map(|(kind, unit)| format!("{kind}/{unit}"))
                .collect();
            format!(
                "{}: ok, {} samples of {}\n",
                path.display(),
                summary.samples,
                types.join(", ")
            )
        }
        Err(error) => format!("{}: {error:#}\n", path.display()),
    }
}

fn object(path: &Path, verdict: &Result<Summary>) -> serde_json::Value {
    let file = path.display().to_string();
    match verdict {
        Ok(summary) => {
            let types: Vec<_> = summary
                .sample_types
                .iter()
                .map(|(kind, unit)| json!({"type": kind, "unit": unit}))
                .collect();
            json!({
                "file": file, "valid": true, "samples": summary.samples, "sampleTypes": types,
                "bytes": summary.bytes, "uncompressedBytes": summary.uncompressed_bytes,
            })
        }
        Err(error) => json!({"file": file, "valid": false, "error": format!("{error:#}")}),
    }
}
