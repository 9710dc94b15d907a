//! What captures cost. A process of its own: it reads its own peak of resident memory.
//!
//! The sizes are a sixteenth of those that an operator must bear, because a build without optimisation
//! takes minutes for them; `CAPTURE_TEST_FULL_SIZE=1` takes the whole ones. The bounds are the same: what a
//! capture costs does not depend on the size of its body.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]
#![expect(unreachable_pub, reason = "a test has no public items")]
#![expect(dead_code, reason = "what the tests share is more than this one uses")]

use capture::Settings;
use futures::future::join_all;
use planner::ProfileType;

use crate::job::{job, steady, take};
use crate::pprof::large_heap_pieces;
use crate::server::{Server, Step, head};

#[path = "capture/job.rs"]
mod job;
#[path = "capture/pprof.rs"]
mod pprof;
#[path = "capture/server.rs"]
mod server;

const MIB: u64 = 1 << 20;

/// Captures at once, the operator's own bound.
const AT_ONCE: usize = 32;

/// What both sides, captures and the servers of this test, may use for 32 captures at once.
const PEAK_OF_ALL_BYTES: u64 = 64 * MIB;

/// The same for one.
const PEAK_OF_ONE_BYTES: u64 = 24 * MIB;

/// The peak of resident memory so far.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

async fn server(bytes: usize) -> Server {
    let (length, pieces) = large_heap_pieces(bytes);
    let steps = [
        Step::Send(head(&[&format!("Content-Length: {length}")])),
        Step::Pieces(pieces),
    ];
    Server::always(steps.to_vec()).await
}

#[tokio::test]
async fn failure_15_what_a_capture_costs_does_not_grow_with_its_body() {
    let share = if std::env::var_os("CAPTURE_TEST_FULL_SIZE").is_some() {
        1
    } else {
        16
    };
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        spool_folder: folder.path().to_owned(),
        ..Settings::default()
    };

    let large = server(256 * 1_024 * 1_024 / share).await;
    let before = peak_bytes();
    let mut one = job(large.port, &[ProfileType::Heap]);
    one.body_bytes_max = 300 * MIB;
    let results = take(&one, &steady(), &settings).await;
    assert!(results[0].1.is_ok(), "{:?}", results[0].1);
    let cost = peak_bytes() - before;
    assert!(cost <= PEAK_OF_ONE_BYTES, "one capture cost {} KiB", cost / 1_024);

    let many = server(62 * 1_024 * 1_024 / share).await;
    let mut each = job(many.port, &[ProfileType::Heap]);
    each.body_bytes_max = 64 * MIB;
    let access = steady();
    let all = join_all((0..AT_ONCE).map(|_| take(&each, &access, &settings))).await;
    assert!(all.iter().all(|results| results[0].1.is_ok()));
    let peak = peak_bytes();
    assert!(peak <= PEAK_OF_ALL_BYTES, "the process had {} KiB", peak / 1_024);
}
