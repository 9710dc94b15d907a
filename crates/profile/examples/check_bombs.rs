//! What does a compression bomb cost the streaming check, and the reader of files? Prints the verdict, CPU time and memory
//! of each.
//!
//! `cargo run --release --example check_bombs -- NAME` checks one of them, so that each has a process of its own, and
//! `NAME parse` reads it as a file; without a name it lists the names.
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use std::fs::File;
use std::io::Read as _;

use profile::check::Checker;
use profile::{Limits, Profile};
use testkit::cost::own_cpu;
use zlib_rs::crc32::crc32;
use zlib_rs::{Deflate, DeflateFlush};

/// Name, beginning, and what is repeated how often.
type Bomb = (&'static str, &'static [u8], &'static [u8], usize);

/// A sample type cpu/nanoseconds and its strings, to get past the first checks.
const TYPES: &[u8] = b"\x0a\x04\x08\x01\x10\x02\x32\x00\x32\x03cpu\x32\x0bnanoseconds";

const BOMBS: [Bomb; 7] = [
    // One sample of 4 MiB.
    (
        "labels",
        b"\x0a\x04\x08\x01\x10\x02\x12\x80\x80\x80\x02",
        b"\x1a\x00",
        2 << 20,
    ),
    ("samples", b"", b"\x12\x00", 2 << 20),
    ("samples-with-a-value", TYPES, b"\x12\x02\x10\x01", 64 << 20),
    ("locations", b"", b"\x22\x00", 2 << 20),
    ("strings", b"", b"\x32\x00", 2 << 20),
    ("strings-after-types", TYPES, b"\x32\x00", 2 << 20),
    ("zeros", b"", b"\x00", 64 << 20),
];

/// Each bomb is checked until this much CPU time is spent on it.
const ENOUGH_NANOS: u64 = 200_000_000;

/// Gzip of a bomb, made piece by piece: the memory that is measured is to be the check's.
fn gzip(beginning: &[u8], unit: &[u8], times: usize) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut deflate = Deflate::new(9, false, 15);
    let (mut crc, mut length) = (0, 0_usize);
    let mut output = vec![0; 4 << 10];
    let piece = unit.repeat(1024);
    let pieces = std::iter::once(beginning).chain(std::iter::repeat_n(&piece[..], times / 1024));
    let mut pack = |piece: &[u8], flush| {
        let mut piece = piece;
        loop {
            let (consumed, produced) = (deflate.total_in(), deflate.total_out());
            let status = deflate.compress(piece, &mut output, flush);
            let produced = (deflate.total_out() - produced) as usize;
            piece = piece
                .get((deflate.total_in() - consumed) as usize..)
                .unwrap_or_default();
            packed.extend_from_slice(output.get(..produced).unwrap_or_default());
            if status.is_err() || (piece.is_empty() && produced < output.len()) {
                break;
            }
        }
    };
    for piece in pieces {
        crc = crc32(crc, piece);
        length += piece.len();
        pack(piece, DeflateFlush::NoFlush);
    }
    pack(&[], DeflateFlush::Finish);
    packed.extend_from_slice(&crc.to_le_bytes());
    packed.extend_from_slice(&(length as u32).to_le_bytes());
    packed
}

fn status(file: &str) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(file)?.read_to_string(&mut text)?;
    Ok(text)
}

fn cpu_nanos() -> u64 {
    u64::try_from(own_cpu().as_nanos()).unwrap_or(u64::MAX)
}

/// How many samples the streaming check counts, or what it says.
fn check(body: &[u8]) -> Result<u64, String> {
    let mut checker = Checker::new(Limits::DEFAULT);
    let fed = body.chunks(16 << 10).try_for_each(|chunk| checker.feed(chunk));
    let summary = fed.and_then(|()| checker.finish());
    summary.map(|summary| summary.samples).map_err(|error| said(&error))
}

/// The same of the reader of files.
fn parse(body: &[u8]) -> Result<u64, String> {
    let parsed = Profile::parse(body, &Limits::DEFAULT);
    parsed
        .map(|profile| profile.sample_count() as u64)
        .map_err(|error| said(&error))
}

fn said(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn main() -> std::io::Result<()> {
    let is_parsed = std::env::args().nth(2).is_some_and(|how| how == "parse");
    let Some(wanted) = std::env::args().nth(1) else {
        for (name, ..) in BOMBS {
            println!("{name}");
        }
        return Ok(());
    };
    for (name, beginning, unit, times) in BOMBS.into_iter().filter(|(name, ..)| *name == wanted) {
        let body = gzip(beginning, unit, times);
        // Many rounds make an average.
        let begin = cpu_nanos();
        let (mut rounds, mut spent, mut verdict) = (0_u32, 0, Ok(0));
        while spent < ENOUGH_NANOS {
            verdict = if is_parsed { parse(&body) } else { check(&body) };
            rounds += 1;
            spent = cpu_nanos() - begin;
        }
        let millis = spent as f64 / f64::from(rounds) / 1e6;
        let memory = status("/proc/self/status")?;
        let peak = memory
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap_or_default();
        let verdict = match verdict {
            Ok(samples) => format!("passes with {samples} samples"),
            Err(said) => said,
        };
        println!("{name}: {} bytes, {millis:.3} ms, {peak}: {verdict}", body.len());
    }
    Ok(())
}
