//! Few packed bytes that unpack to many: read as files, they are refused, and take little memory.
#![expect(clippy::unwrap_used, reason = "a test file: its functions are tests or their parts")]

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::process::Command;
use std::{env, fs};

use profile::parse::ParseError;
use profile::{Limits, Profile, gzip};

/// Set for a process of its own, in which one bomb is read: a file.
const BOMB: &str = "PROFILE_BOMB";

/// A bomb is 4 MiB, unpacked into a buffer that grows by half, and the most strings there may be take 8 MiB.
const PEAK_BYTES_MAX: u64 = 16 << 20;

/// The most memory that this process has had since it last asked.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes << 10
}

/// How many bytes of memory it takes to read a file, and what comes of it.
fn cost_of(file: &OsStr) -> (u64, Result<usize, ParseError>) {
    let mut packed = Vec::new();
    File::open(file).unwrap().read_to_end(&mut packed).unwrap();
    let before = peak_bytes();
    let read = Profile::parse(&packed, &Limits::DEFAULT).map(|profile| profile.sample_count());
    (peak_bytes() - before, read)
}

#[test]
fn failure_15_a_bomb_takes_little_memory_when_it_is_read_as_a_file() {
    if let Some(file) = env::var_os(BOMB) {
        let (taken, read) = cost_of(&file);
        println!("{} KiB, {read:?}", taken >> 10);
        assert!(read.is_err() && taken <= PEAK_BYTES_MAX);
        return;
    }
    const MESSAGES: usize = 2 << 20;
    // A sample type cpu/nanoseconds and its strings.
    let types = b"\x0a\x04\x08\x01\x10\x02\x32\x00\x32\x03cpu\x32\x0bnanoseconds";
    let empty = |tag: u8| [tag, 0].repeat(MESSAGES);
    let after_types = |tag: u8| [&types[..], &empty(tag)].concat();
    let labels = [&b"\x12\x80\x80\x80\x02"[..], &empty(0x1a)].concat();
    let bombs = [
        ("labels", labels),
        ("samples", empty(0x12)),
        ("samples after types", after_types(0x12)),
        ("mappings", empty(0x1a)),
        ("locations", empty(0x22)),
        ("functions", empty(0x2a)),
        ("functions after types", after_types(0x2a)),
        ("strings", empty(0x32)),
        ("strings after types", after_types(0x32)),
        ("zeros", vec![0; 64 << 20]),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, bomb) in bombs {
        let file = folder.path().join(name);
        fs::write(&file, gzip(&bomb)).unwrap();
        let mut alone = Command::new(env::current_exe().unwrap());
        let ran = alone.arg("--nocapture").env(BOMB, &file).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        println!("{name}: {said}");
        assert!(
            ran.status.success(),
            "{name}: {said}{}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}
