//! What does merging many profiles cost? Merges the files that a list names, one path a line, writes the result, and prints
//! nanoseconds of CPU time and the peak of memory in bytes.
//!
//! `cargo run --release --features libdeflate --example merge_cost -- LIST OUT`. Allocator and gzip are those of the command
//! line.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "printing is what this program is for, and what cannot be measured ends it"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};

use profile::libdeflate::unpack_into;
use profile::merge::Merger;
use profile::{Buffers, Limits, Profile};
use testkit::cost::own_cpu;

fn read(path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    read_into(path, &mut bytes);
    bytes
}

fn read_into(path: &str, bytes: &mut Vec<u8>) {
    bytes.clear();
    File::open(path).unwrap().read_to_end(bytes).unwrap();
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list, out] = arguments.as_slice() else {
        return println!("usage: merge_cost LIST OUT");
    };
    let list = String::from_utf8(read(list)).unwrap();
    let mut merger = Merger::new();
    let (mut packed, mut raw) = (Vec::new(), Vec::new());
    let mut buffers = Buffers::default();
    for path in list.lines() {
        read_into(path, &mut packed);
        let raw = unpack_into(&packed, &mut raw, &Limits::DEFAULT).unwrap();
        let profile = Profile::decode_into(buffers, raw, &Limits::DEFAULT).unwrap();
        merger.add(&profile).unwrap();
        buffers = profile.into_buffers();
    }
    if let Ok(merged) = merger.finish() {
        File::create(out).unwrap().write_all(&merged.encode()).unwrap();
    }
    // All of it, the start of the process included.
    let nanos = own_cpu().as_nanos();
    let status = String::from_utf8(read("/proc/self/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{nanos} {}", kibibytes << 10);
}
