//! How fast is the streaming check? Prints megabytes per second of CPU time for each profile given, and beside it how fast
//! zlib-rs inflates the same chunks and does nothing else, which no check can exceed.
//!
//! `cargo run --release --example check_throughput -- FILE...`
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use std::error::Error;
use std::fs::File;
use std::io::Read as _;

use profile::Limits;
use profile::check::{Checker, Summary};
use testkit::cost::own_cpu;
use zlib_rs::{Inflate, InflateFlush, Status};

/// Chunks as a network hands them over.
const CHUNK_BYTES: usize = 16 << 10;

/// Room for what is inflated of a chunk: as much as the check has.
const UNPACKED_BYTES: usize = 64 << 10;

/// Checking and inflating take turns of this much CPU time, so that both meet what else goes on.
const TURN_NANOS: u64 = 50_000_000;
const TURNS: u32 = 10;

fn cpu_nanos() -> u64 {
    u64::try_from(own_cpu().as_nanos()).unwrap_or(u64::MAX)
}

/// What was done in some CPU time.
#[derive(Default)]
struct Spent {
    rounds: u64,
    nanos: u64,
}

impl Spent {
    fn turn(&mut self, mut round: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
        let (begin, mut spent) = (cpu_nanos(), 0);
        while spent < TURN_NANOS {
            round()?;
            self.rounds += 1;
            spent = cpu_nanos() - begin;
        }
        self.nanos += spent;
        Ok(())
    }

    /// Megabytes per second where each round takes so many bytes.
    fn rate(&self, bytes: u64) -> f64 {
        bytes as f64 * self.rounds as f64 * 1e3 / self.nanos as f64
    }
}

fn check(body: &[u8]) -> Result<Summary, Box<dyn Error>> {
    let mut checker = Checker::new(Limits::DEFAULT);
    for chunk in body.chunks(CHUNK_BYTES) {
        checker.feed(chunk)?;
    }
    Ok(checker.finish()?)
}

/// The compressed bytes of a body of one gzip member, if its header has nothing optional: hardly one has.
fn deflated(body: &[u8], gzip_members: u64) -> Option<&[u8]> {
    let flags = *body.get(3)?;
    body.get(10..body.len() - 8).filter(|_| gzip_members == 1 && flags == 0)
}

fn inflate(deflated: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut inflate = Inflate::new(false, 15);
    let mut unpacked = vec![0; UNPACKED_BYTES];
    for chunk in deflated.chunks(CHUNK_BYTES) {
        let begin = inflate.total_in();
        loop {
            let (taken, before) = ((inflate.total_in() - begin) as usize, inflate.total_out());
            let rest = chunk.get(taken..).unwrap_or_default();
            let status = inflate
                .decompress(rest, &mut unpacked, InflateFlush::NoFlush)
                .map_err(|error| format!("{error:?}"))?;
            if status == Status::StreamEnd || inflate.total_out() - before < UNPACKED_BYTES as u64 {
                break;
            }
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{:>10} {:>10} {:>8} {:>9} {:>9} {:>9}  file",
        "bytes", "raw", "samples", "MB/s", "raw MB/s", "inflating"
    );
    for path in std::env::args().skip(1) {
        let mut body = Vec::new();
        File::open(&path)?.read_to_end(&mut body)?;
        let summary = match check(&body) {
            Ok(summary) => summary,
            Err(error) => {
                println!("{:>10} {error}  {path}", body.len());
                continue;
            }
        };
        let deflated = deflated(&body, summary.gzip_members);
        let (mut checking, mut inflating) = (Spent::default(), Spent::default());
        for _ in 0..TURNS {
            checking.turn(|| check(&body).map(drop))?;
            if let Some(deflated) = deflated {
                inflating.turn(|| inflate(deflated))?;
            }
        }
        let (bytes, raw, samples) = (summary.bytes, summary.uncompressed_bytes, summary.samples);
        let limit = deflated.map_or_else(|| "-".to_owned(), |_| format!("{:.1}", inflating.rate(bytes)));
        println!(
            "{bytes:>10} {raw:>10} {samples:>8} {:>9.1} {:>9.1} {limit:>9}  {path}",
            checking.rate(bytes),
            checking.rate(raw)
        );
    }
    Ok(())
}
