//! What google/pprof, the decoder and the streaming check make of one file, compared.

use profile::Limits;
use profile::check::{CheckError, Checker, Summary};
use profile::parse::{Format, ParseError, Parsed};

use crate::purpose::is_on_purpose;

/// Whether both read it; errs when they do not agree.
pub(crate) fn compare_one(
    operation: &str,
    file: &[u8],
    theirs: Result<&[u8], &str>,
    ours: Result<&Parsed<'_>, &ParseError>,
) -> Result<bool, String> {
    if let (Ok(theirs), Ok(ours)) = (theirs, ours) {
        let profile = &ours.profile;
        let bytes = if operation == "each-write" {
            profile.encode()
        } else {
            profile.compact().unwrap().encode()
        };
        if theirs == bytes {
            return Ok(true);
        }
    }
    if is_on_purpose(file, theirs, ours) {
        return Ok(false);
    }
    let theirs = theirs.map(<[u8]>::len);
    let ours = ours.map(|ours| ours.format);
    Err(format!("google/pprof {theirs:?}, ours {ours:?}"))
}

fn checked(file: &[u8]) -> Result<Summary, CheckError> {
    let mut checker = Checker::new(Limits::DEFAULT);
    checker.feed(file)?;
    checker.finish()
}

/// Errs when the streaming check and the decoder differ in more than is said of the check.
pub(crate) fn check_agrees(file: &[u8], parsed: &Result<Parsed<'_>, ParseError>) -> Result<(), String> {
    // What needs all ids at once.
    const IDS: [&str; 6] = [
        "two mappings have the same id",
        "two functions have the same id",
        "two locations have the same id",
        "a sample has a location that is not there",
        "a line has a function that is not there",
        "there are samples but no sample types",
    ];
    let checked = checked(file);
    let agrees = match (&checked, parsed) {
        (Ok(summary), Ok(parsed)) => {
            let profile = &parsed.profile;
            let counts = [
                (summary.samples, profile.sample_count()),
                (summary.mappings, profile.mappings().len()),
                (summary.locations, profile.locations().len()),
                (summary.functions, profile.functions().len()),
                (summary.strings, profile.strings().len()),
            ];
            parsed.format == Format::Proto
                && summary.totals == profile.totals()
                && counts
                    .iter()
                    .all(|(check, decode)| usize::try_from(*check) == Ok(*decode))
        }
        (Err(CheckError::NoSampleTypes), Ok(_)) => true,
        // Damage made a long string the name of a sample type.
        (Err(CheckError::Limit(limit)), Ok(_)) => limit.name.starts_with("bytes in the name of a sample type"),
        (Err(_), Ok(parsed)) => parsed.format != Format::Proto,
        (Ok(_), Err(ParseError::Check(CheckError::Malformed { what, .. }))) => IDS.contains(what),
        (Ok(_), Err(_)) => false,
        (Err(_), Err(_)) => true,
    };
    if agrees {
        Ok(())
    } else {
        let parsed = parsed.as_ref().map(|parsed| parsed.format);
        Err(format!("the check {checked:?}, the decoder {parsed:?}"))
    }
}
