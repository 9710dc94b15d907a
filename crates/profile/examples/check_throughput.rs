//! How fast is the streaming check? Prints megabytes per second of CPU time for each profile given.
//!
//! `cargo run --release --example check_throughput -- FILE...`
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use std::fs::File;
use std::io::Read as _;

use profile::Limits;
use profile::check::Checker;

/// Chunks as a network hands them over.
const CHUNK_BYTES: usize = 16 << 10;

/// Each file is checked until this much CPU time is spent on it.
const ENOUGH_NANOS: u64 = 500_000_000;

/// CPU time of this process' one thread.
fn cpu_nanos() -> std::io::Result<u64> {
    let mut stat = String::new();
    File::open("/proc/self/schedstat")?.read_to_string(&mut stat)?;
    stat.split_ascii_whitespace()
        .next()
        .and_then(|nanos| nanos.parse().ok())
        .ok_or_else(|| std::io::Error::other("no schedstat"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "{:>10} {:>10} {:>8} {:>9} {:>9}  file",
        "bytes", "raw", "samples", "MB/s", "raw MB/s"
    );
    for path in std::env::args().skip(1) {
        let mut body = Vec::new();
        File::open(&path)?.read_to_end(&mut body)?;
        let begin = cpu_nanos()?;
        let (mut rounds, mut spent, mut last) = (0_u64, 0, None);
        while spent < ENOUGH_NANOS {
            let mut checker = Checker::new(Limits::DEFAULT);
            for chunk in body.chunks(CHUNK_BYTES) {
                checker.feed(chunk)?;
            }
            last = Some(checker.finish()?);
            rounds += 1;
            spent = cpu_nanos()? - begin;
        }
        if let Some(summary) = last {
            let rate = |bytes: u64| bytes as f64 * rounds as f64 * 1e3 / spent as f64;
            let (bytes, raw) = (summary.bytes, summary.uncompressed_bytes);
            println!(
                "{bytes:>10} {raw:>10} {:>8} {:>9.1} {:>9.1}  {path}",
                summary.samples,
                rate(bytes),
                rate(raw)
            );
        }
    }
    Ok(())
}
