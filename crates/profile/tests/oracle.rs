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
use std::process::Command;

use profile::merge::{MergeError, Merger};
use profile::parse::ParseError;
use profile::view::View;
use profile::{Limits, Profile};

#[path = "oracle/corpus.rs"]
mod corpus;
#[path = "oracle/damage.rs"]
mod damage;
#[path = "oracle/harness.rs"]
mod harness;
#[path = "oracle/legacy.rs"]
mod legacy;
#[path = "oracle/purpose.rs"]
mod purpose;

use corpus::{corpus, go, read, sources};
use harness::{Oracle, Request, compare};

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
    let Some(oracle) = Oracle::build() else {
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

/// Rows of `pprof -top` in the raw unit: name, flat, cum.
fn top_of(program: &Path, home: &Path, path: &Path, index: usize, unit: &str) -> Vec<(String, String, String)> {
    let ran = Command::new(program)
        .args(["-top", "-symbolize=none", "-nodecount=0", "-nodefraction=0"])
        .args([format!("-unit={unit}"), format!("-sample_index={index}")])
        .arg(path)
        .env("HOME", home)
        .env("PPROF_TMPDIR", home)
        .env("PPROF_BINARY_PATH", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success(),
        "{}: {}",
        path.display(),
        String::from_utf8_lossy(&ran.stderr)
    );
    let rows = said
        .lines()
        .skip_while(|line| line.split_whitespace().next() != Some("flat"))
        .skip(1);
    rows.map(|row| {
        let mut rest = row;
        let mut columns = [""; 5];
        for column in &mut columns {
            rest = rest.trim_start();
            let end = rest.find(' ').unwrap();
            (*column, rest) = rest.split_at(end);
        }
        // Two spaces before the name, and after it what inlining there was.
        let name = rest.strip_prefix("  ").unwrap_or(rest);
        let name = name.trim_end_matches(" (inline)").trim_end_matches(" (partial-inline)");
        let number = |column: &str| column.trim_end_matches(|c: char| !c.is_ascii_digit()).to_owned();
        (name.to_owned(), number(columns[0]), number(columns[3]))
    })
    .collect()
}

#[test]
fn top_has_the_rows_of_pprof() {
    let Some(oracle) = Oracle::build() else {
        return eprintln!("no go: nothing compared");
    };
    let program = oracle.folder.path().join("pprof");
    go(
        &sources(),
        &["build", "-o", program.to_str().unwrap(), "github.com/google/pprof"],
    );
    let mut rows = 0;
    for path in corpus() {
        let bytes = read(&path);
        let Ok(profile) = Profile::parse(&bytes, &Limits::DEFAULT) else {
            continue;
        };
        let last = profile.header().sample_types.len().checked_sub(1);
        for index in last.into_iter().filter(|_| profile.sample_count() > 0) {
            let unit = profile.strings().text(profile.header().sample_types[index].unit);
            let theirs = top_of(&program, oracle.folder.path(), &path, index, &unit);
            let ours = View::new(&profile, index).unwrap().top();
            let ours: Vec<_> = ours
                .into_iter()
                .map(|row| (row.name, row.flat.to_string(), row.cum.to_string()))
                .collect();
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours, theirs, "{}", path.display());
            }
            assert_eq!(ours.len(), theirs.len(), "{}", path.display());
            rows += ours.len();
        }
    }
    assert!(rows >= 1000, "only {rows} rows were compared");
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
