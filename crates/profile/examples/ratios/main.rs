//! How much CPU time does google/pprof take for what we do? Prints ratios, on the same files in the same run.
//!
//! `cargo run --release --package profiling-profile --example ratios [-- PART-OF-A-PATH [OPERATION]]` measures every
//! real profile that the tests know, or those whose path has the part. The peer is a Go program over google/pprof's library and
//! driver; both sides repeat an operation until it took long enough, taking turns, and the best round of each counts.
//! CPU time is that of the whole process, Go's garbage collector included, so a busy machine changes ratios little.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "printing is what this program is for, and what cannot be measured ends it"
)]

use std::path::Path;

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

/// Rounds of each side. Three: the best of them is within a few percent of the best of ten.
const ROUNDS: usize = 3;

/// Files from this size on are what the medians are of: below it, fixed costs are what is measured.
const BYTES_MIN: usize = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [flag, list, out] if *flag == merges::FLAG => merges::ours(Path::new(list), Path::new(out)),
        [] => compare("", ""),
        [part] => compare(part, ""),
        [part, operation, ..] => compare(part, operation),
    }
}

fn compare(part: &str, operation: &str) {
    let mut peer = Peer::start();
    let mut cases = Case::all(&mut peer);
    println!("{} different profiles, {ROUNDS} rounds\n", cases.len());
    cases.retain(|case| case.path.to_string_lossy().contains(part));
    let (large, small): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| case.packed.len() >= BYTES_MIN);
    let mut rows = |cases: &[Case], rounds| {
        let row = |case: &Case| {
            let is_wanted = |of: &&Operation| operation.is_empty() || of.name == operation;
            let mut cell = |operation: &Operation| measure(operation, case, &mut peer, rounds);
            let cell = |of| Some(of).filter(is_wanted).and_then(&mut cell);
            let cells = OPERATIONS.iter().map(cell).collect();
            Row::new(case, cells)
        };
        cases.iter().map(row).collect::<Vec<_>>()
    };
    let (large, small) = (rows(&large, ROUNDS), rows(&small, 1));
    table::print("from 10 KB on", &large);
    table::print("smaller, one round each", &small);
    table::print_goals(&large);
    if part.is_empty() && operation.is_empty() {
        merges::compare(&mut peer);
    }
}

/// One operation on one file, both sides in turns. `None` where the operation says nothing of this file.
fn measure(operation: &Operation, case: &Case, peer: &mut Peer, rounds: usize) -> Option<Cell> {
    if operation.only_packed && case.is_plain() {
        return None;
    }
    let mut cell = Cell {
        ours_nanos: u64::MAX,
        theirs_nanos: u64::MAX,
        limit_nanos: u64::MAX,
        ours_bytes: 0,
        theirs_bytes: 0,
    };
    for _ in 0..rounds {
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
    Some(cell)
}
