//! What the fuzz targets try to break: the properties of the crate's own tests, which replay on stable Rust what was found,
//! and its verdict, which is google/pprof's.

#![forbid(unsafe_code)]

use std::sync::{Mutex, OnceLock, PoisonError};

use profile::check::CheckError;
use profile::parse::{ParseError, parse};
use profile::{Limits, unpack};

use google::Google;

mod google;
#[path = "../../crates/profile/tests/replay/grown.rs"]
mod grown;
#[path = "../../crates/profile/tests/replay/properties.rs"]
mod properties;
#[path = "../../crates/profile/tests/oracle/purpose.rs"]
mod purpose;
#[path = "../../crates/profile/tests/oracle/verdict.rs"]
mod verdict;

/// What google/pprof unpacks, it takes a hundred times the memory of.
const UNPACKED_BYTES_MAX: u64 = 1 << 20;

/// Panics when the property does not hold for an input.
pub fn hold(property: &str, input: &[u8]) {
    let known = properties::PROPERTIES.iter().find(|(name, _)| *name == property);
    let (_, holds) = known.expect("a target is named after its property");
    holds(input);
}

/// Panics when google/pprof and we make different things of an input, but for what differs on purpose.
pub fn agree_with_google(input: &[u8]) {
    static GOOGLE: OnceLock<Mutex<Google>> = OnceLock::new();
    let limits = Limits {
        uncompressed_bytes_max: UNPACKED_BYTES_MAX,
        ..Limits::DEFAULT
    };
    let is_limit = |error: &CheckError| matches!(error, CheckError::Limit(_));
    if unpack(input, &limits).is_err_and(|error| is_limit(&error)) {
        return;
    }
    let ours = parse(input, &Limits::DEFAULT);
    if matches!(&ours, Err(ParseError::Check(error)) if is_limit(error)) {
        return;
    }
    let google = GOOGLE.get_or_init(|| Mutex::new(Google::start()));
    let answers = google.lock().unwrap_or_else(PoisonError::into_inner).ask(input);
    for (operation, theirs) in ["each-write", "each-compact"].into_iter().zip(&answers) {
        let theirs = theirs.as_ref().map(Vec::as_slice).map_err(String::as_str);
        let agreed = verdict::compare_one(operation, input, theirs, ours.as_ref());
        if let Err(why) = agreed.and_then(|_| verdict::check_agrees(input, &ours)) {
            panic!("{operation}: {why}");
        }
    }
}
