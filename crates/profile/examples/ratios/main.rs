//! How much CPU time does google/pprof take for what we do? Prints ratios, on the same files in the same run.
//!
//! `cargo run --release --package profiling-profile --features libdeflate --example ratios [-- PART-OF-A-PATH
//! [OPERATION]]` measures every real profile that the tests know, or those whose path has the part. The peer is a Go
//! program over google/pprof's library and driver; both sides repeat an operation until it took long enough, taking turns,
//! and the best round of each counts. CPU time is that of the whole process, Go's garbage collector included, so a busy
//! machine changes ratios little.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "printing and looking at the clock is what this program is for, and what cannot be measured ends it"
)]

use std::time::{Duration, Instant};

#[path = "../../tests/oracle/corpus.rs"]
mod corpus;
mod merges;
mod ours;
mod peer;
mod table;

// That of the operator: the peer's allocator keeps freed memory for the next round, and glibc's gives it back to the
// kernel and faults every page in again, which is a third of the time for the largest file.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use ours::{Case, OPERATIONS, Operation};
use peer::Peer;
use table::{Cell, Row};

/// The most rounds of each side. Three: the best of them is within a few percent of the best of ten.
const ROUNDS: usize = 3;

/// No round begins later than this: a round is half a minute on a machine that is idle, and the merges are a minute, so
/// that all are over in less than four on one that is not.
const LAST_ROUND: Duration = Duration::from_secs(45);

/// Files from this size on are what the medians are of: below it, fixed costs are what is measured.
const BYTES_MIN: usize = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => compare("", ""),
        [part] => compare(part, ""),
        [part, operation, ..] => compare(part, operation),
    }
}

fn compare(part: &str, operation: &str) {
    let mut peer = Peer::start();
    let mut cases = Case::all(&mut peer);
    cases.retain(|case| case.path.to_string_lossy().contains(part));
    let (large, small): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| case.packed.len() >= BYTES_MIN);
    println!(
        "{} different profiles from 10 KB on, {} smaller",
        large.len(),
        small.len()
    );
    let operations: Vec<_> = OPERATIONS
        .iter()
        .filter(|of| operation.is_empty() || of.name == operation)
        .collect();
    let mut large: Vec<_> = large.iter().map(|case| Row::new(case, operations.len())).collect();
    let mut small: Vec<_> = small.iter().map(|case| Row::new(case, operations.len())).collect();
    let begin = Instant::now();
    let mut rounds = 0;
    while rounds < ROUNDS && begin.elapsed() < LAST_ROUND {
        for row in &mut large {
            measure(&operations, row, &mut peer);
        }
        rounds += 1;
        println!("round {rounds}: {:.0} s", begin.elapsed().as_secs_f64());
    }
    for row in &mut small {
        measure(&operations, row, &mut peer);
    }
    println!();
    table::print("from 10 KB on", &operations, &large);
    table::print("smaller, one round", &operations, &small);
    table::print_goals(&operations, &large);
    if part.is_empty() && operation.is_empty() {
        merges::compare(&mut peer);
    }
}

/// All operations on one file, both sides in turns, but for those that say nothing of it.
fn measure(operations: &[&Operation], row: &mut Row<'_>, peer: &mut Peer) {
    let case = row.case;
    for (operation, cell) in operations.iter().zip(&mut row.cells) {
        if operation.only_packed && case.is_plain() {
            continue;
        }
        let cell = cell.get_or_insert(Cell::UNMEASURED);
        let (nanos, bytes) = (operation.ours)(case);
        cell.ours_nanos = cell.ours_nanos.min(nanos);
        cell.ours_bytes = bytes;
        if let Some(limit) = operation.limit {
            cell.limit_nanos = cell.limit_nanos.min(limit(case));
        }
        let (nanos, bytes) = peer.measure(operation.theirs, &[&case.path, &case.base_path]);
        cell.theirs_nanos = cell.theirs_nanos.min(nanos);
        cell.theirs_bytes = bytes;
    }
}
