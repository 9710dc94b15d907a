//! Byte for byte what google/pprof's library does, on the profiles of pinned public modules and on damaged ones.
//!
//! The oracle is the Go program in `tests/oracle`. Without Go there is nothing to compare with: the tests then pass with
//! a note, except under CI, where they fail.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file: its functions are tests or their parts"
)]

use std::fs;
use std::path::{Path, PathBuf};

use profile::merge::{MergeError, Merger};
use profile::parse::ParseError;
use profile::{Limits, Profile};

#[path = "oracle/built.rs"]
mod built;
#[path = "oracle/corpus.rs"]
mod corpus;
#[path = "oracle/damage.rs"]
mod damage;
#[path = "oracle/driver.rs"]
mod driver;
#[path = "oracle/filters.rs"]
mod filters;
#[path = "oracle/harness.rs"]
mod harness;
#[path = "oracle/legacy.rs"]
mod legacy;
#[path = "oracle/purpose.rs"]
mod purpose;
#[path = "oracle/verdict.rs"]
mod verdict;

use corpus::{corpus, read};
use damage::compare_many;
use harness::{Oracle, Request, compare};
use verdict::check_agrees;

fn ours(request: &Request) -> Result<Vec<u8>, String> {
    let files: Vec<_> = request.sources.iter().map(|path| read(path)).collect();
    let said = |error: ParseError| format!("{error:?}");
    let profiles = files
        .iter()
        .map(|bytes| Profile::parse(bytes, &Limits::DEFAULT).map_err(said));
    let mut profiles = profiles.collect::<Result<Vec<_>, _>>()?;
    let failed = |error: MergeError| format!("{error:?}");
    match (request.operation.as_str(), profiles.as_mut_slice()) {
        ("write", [one]) => Ok(one.encode()),
        ("compact", [one]) => Ok(one.compact().map_err(failed)?.encode()),
        ("base", [one, base]) => Ok(one.subtract(base).map_err(failed)?.encode()),
        ("diff_base", [one, base]) => Ok(one.compare(base).map_err(failed)?.encode()),
        ("normalize", [one, base]) => {
            one.normalize(base).map_err(|error| format!("{error:?}"))?;
            Ok(one.subtract(base).map_err(failed)?.encode())
        }
        ("merge", many) => {
            let mut merger = Merger::new();
            for one in many {
                merger.add(one).map_err(failed)?;
            }
            Ok(merger.finish().map_err(failed)?.encode())
        }
        (operation, _) => panic!("{operation}"),
    }
}

#[test]
fn every_profile_and_pair_gives_the_same_bytes() {
    let Some(oracle) = Oracle::build(".") else {
        return eprintln!("no go: nothing compared");
    };
    let corpus = corpus();
    let one = |operation: &str, path: &PathBuf| Request {
        operation: operation.to_owned(),
        sources: vec![path.clone()],
    };
    let alone: Vec<_> = corpus
        .iter()
        .flat_map(|path| [one("write", path), one("compact", path)])
        .collect();
    let compared = compare(&oracle, &alone, ours);
    // Of the pinned modules, Go and this crate alone.
    assert!(compared >= 40, "only {compared} profiles were compared");

    // Compatible files are neighbours when sorted by their types.
    let mut valid: Vec<_> = corpus.iter().filter_map(|path| Some((types(path)?, path))).collect();
    valid.sort();
    let operations = ["merge", "base", "diff_base", "normalize"];
    let mut pairs = Vec::new();
    for (at, (own, path)) in valid.iter().enumerate() {
        let next = valid
            .get(at + 1)
            .filter(|(types, _)| types == own)
            .map_or(path, |(_, next)| next);
        // A debug build takes seconds for each large one, so these get one pair; the groups below have them all again.
        let is_large = fs::metadata(path).unwrap().len() > 50_000;
        let orders = [(path, next), (next, path), (path, path)];
        for operation in operations
            .iter()
            .skip(if is_large { 2 } else { 0 })
            .take(if is_large { 1 } else { 4 })
        {
            for (first, second) in orders.into_iter().take(if is_large { 1 } else { 3 }) {
                pairs.push(Request {
                    operation: (*operation).to_owned(),
                    sources: vec![first.to_path_buf(), second.to_path_buf()],
                });
            }
        }
    }
    for group in valid.chunk_by(|(types, _), (others, _)| types == others) {
        let sources = group.iter().map(|(_, path)| path.to_path_buf()).collect();
        pairs.push(Request {
            operation: "merge".to_owned(),
            sources,
        });
    }
    let compared = compare(&oracle, &pairs, ours);
    assert!(compared >= 200, "only {compared} pairs were compared");
    println!("{} files, {compared} pairs and groups", valid.len());
}

/// The fuzzer asks the oracle too. Whatever it found, against whichever property, is a file that both may read.
#[test]
fn what_fuzzing_found_is_read_as_google_pprof_reads_it() {
    let Some(oracle) = Oracle::build(".") else {
        return eprintln!("no go: nothing compared");
    };
    let findings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/findings");
    let folders = fs::read_dir(findings).unwrap().map(|entry| entry.unwrap().path());
    let paths = folders
        .filter(|path| path.is_dir())
        .flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let found: Vec<_> = paths.map(|path| read(&path)).collect();
    let mut files = found.iter();
    compare_many(&oracle, found.len(), || files.next().unwrap().clone(), check_agrees);
}

fn types(path: &Path) -> Option<String> {
    let bytes = read(path);
    let profile = Profile::parse(&bytes, &Limits::DEFAULT).ok()?;
    let header = profile.header();
    let types = header.sample_types.iter().chain([&header.period_type]);
    Some(
        types
            .map(|of| profile.strings().text(of.kind).into_owned() + &profile.strings().text(of.unit))
            .collect(),
    )
}
