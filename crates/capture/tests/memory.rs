//! What captures cost. A process of its own: it reads its own peak of resident memory.
//!
//! A build without optimisation takes minutes for the bodies that an operator must bear, so that they are
//! smaller here, and still larger than the bounds: a capture that held its body would break them.
//! `CAPTURE_TEST_FULL_SIZE=1` takes the whole ones; the bounds are the same.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says where"
)]
#![expect(clippy::panic, reason = "as above")]
#![expect(unreachable_pub, reason = "a test has no public items")]
#![expect(dead_code, reason = "what the tests share is more than this one uses")]

use std::time::Duration;

use capture::{Settings, Spool};
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
const AT_ONCE: u64 = 32;

/// What both sides, captures and the servers of this test, may use for 32 captures at once.
const PEAK_OF_ALL_BYTES: u64 = 64 * MIB;

/// What one capture may add.
const COST_OF_ONE_BYTES: u64 = 24 * MIB;

/// The peak of resident memory so far.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

async fn server(bytes: u64) -> Server {
    let (length, pieces) = large_heap_pieces(usize::try_from(bytes).unwrap());
    let announced = head(&[&format!("Content-Length: {length}")]);
    Server::always(vec![Step::Send(announced), Step::Pieces(pieces)]).await
}

#[tokio::test]
async fn failure_15_what_a_capture_costs_does_not_grow_with_its_body() {
    let is_full_size = std::env::var_os("CAPTURE_TEST_FULL_SIZE").is_some();
    let (one_mib, each_mib) = if is_full_size { (256, 62) } else { (32, 3) };
    assert!(one_mib * MIB > COST_OF_ONE_BYTES && each_mib * MIB * AT_ONCE > PEAK_OF_ALL_BYTES);
    let folder = tempfile::tempdir().unwrap();
    // The subject is memory: however slow the machine, no deadline is to end a capture.
    let ample = Duration::from_secs(3_600);
    let settings = Settings {
        spool: Spool::new(folder.path().to_owned(), 1 << 40),
        dial_deadline: ample,
        head_deadline: ample,
        stall_deadline: ample,
        instant_deadline: ample,
        ..Settings::default()
    };

    let large = server(one_mib * MIB).await;
    let before = peak_bytes();
    let mut one = job(large.port, &[ProfileType::Heap]);
    one.body_bytes_max = 300 * MIB;
    let results = take(&one, &steady(), &settings).await;
    assert!(results[0].1.is_ok(), "{:?}", results[0].1);
    let cost = peak_bytes() - before;
    println!(
        "a capture of {one_mib} MiB cost {} KiB over {} KiB",
        cost / 1_024,
        before / 1_024
    );
    assert!(cost <= COST_OF_ONE_BYTES);

    let many = server(each_mib * MIB).await;
    let mut each = job(many.port, &[ProfileType::Heap]);
    each.body_bytes_max = 64 * MIB;
    let access = steady();
    let all = join_all((0..AT_ONCE).map(|_| take(&each, &access, &settings))).await;
    for results in &all {
        assert!(results[0].1.is_ok(), "{:?}", results[0].1);
    }
    let peak = peak_bytes();
    println!(
        "with {AT_ONCE} of {each_mib} MiB at once the process had {} KiB",
        peak / 1_024
    );
    assert!(peak <= PEAK_OF_ALL_BYTES);
}
