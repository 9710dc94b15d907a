//! Few packed bytes that unpack to many: read as files, they are refused, and take little memory.
#![expect(clippy::unwrap_used, reason = "a test file: its functions are tests or their parts")]

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use profile::build::Builder;
use profile::model::{Function, Line, Mapping, Sample};
use profile::parse::ParseError;
use profile::view::speedscope::Speedscope;
use profile::view::stacks::Stacks;
use profile::view::top::TopOptions;
use profile::view::{Order, View};
use profile::{Limits, Profile, gzip, unpack};

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
        alone("failure_15_a_bomb_takes_little_memory_when_it_is_read_as_a_file", &file);
    }
}

/// Runs one of the tests in a process of its own, for one bomb.
fn alone(test: &str, file: &Path) {
    let mut alone = Command::new(env::current_exe().unwrap());
    let ran = alone
        .args(["--nocapture", "--exact", test])
        .env(BOMB, file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "{}: {said}{}",
        file.display(),
        String::from_utf8_lossy(&ran.stderr)
    );
}

/// A profile of so many samples, each a stack of the same location, which has so many lines.
fn tower(samples: usize, depth: usize, lines: usize) -> Vec<u8> {
    let message = |tag: u8, body: &[u8]| {
        let mut length = body.len();
        let mut message = vec![tag];
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        [message, body.to_vec()].concat()
    };
    let types = b"\x0a\x04\x08\x01\x10\x02\x32\x00\x32\x03cpu\x32\x0bnanoseconds\x32\x01f\x2a\x04\x08\x01\x10\x03";
    let location = [&b"\x08\x01"[..], &b"\x22\x02\x08\x01".repeat(lines)].concat();
    let sample = [message(0x0a, &vec![1; depth]), b"\x10\x01".to_vec()].concat();
    [
        types.to_vec(),
        message(0x22, &location),
        message(0x12, &sample).repeat(samples),
    ]
    .concat()
}

/// A profile of very many functions without a name, in a binary whose path is as long as it may be.
fn nameless(functions: u32) -> Vec<u8> {
    let mut builder = Builder::new(&[("cpu", "nanoseconds")], &Limits::DEFAULT).unwrap();
    let file = builder.string(&vec![b'x'; 65_536]).unwrap();
    let mapping = builder
        .mapping(Mapping {
            file,
            ..Mapping::default()
        })
        .unwrap();
    for start_line in 1..=functions {
        let function = builder
            .function(Function {
                start_line: start_line.into(),
                ..Function::default()
            })
            .unwrap();
        let line = Line {
            function,
            ..Line::default()
        };
        let location = builder.location(0, Some(mapping), &[line]).unwrap();
        let sample = Sample {
            stack: &[location],
            values: &[1],
            labels: &[],
        };
        builder.push_sample(sample).unwrap();
    }
    builder.finish().encode()
}

/// Everything that is made of a profile's first sample type, or the limit that it runs into.
fn views(bytes: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let profile = Profile::decode(bytes, &Limits::DEFAULT)?;
    // As of many sample types, of which each has stacks of its own.
    let mut sheets = Speedscope::default();
    for _ in 0..6 {
        sheets.add("cpu", "ns", &Stacks::new(&View::new(&profile, 0)?))?;
    }
    assert!(!sheets.finish("bomb", 0).is_empty());
    let view = View::new(&profile, 0)?;
    let top = view.top(TopOptions::ALL);
    let peek = view.peek(Order::Flat, |_| true)?;
    assert!(!top.text("ns", "ns").is_empty() && !peek.text("ns", "ns").is_empty());
    let stacks = Stacks::new(&view);
    stacks.folded()?;
    stacks.tree()?;
    Ok(())
}

/// The most memory for each byte of a profile whose code is inlined as deeply as is allowed: a place in a column and nine frames
/// of four bytes, in a buffer that doubled; and as much again for stacks, text and branches.
const PEAK_PER_BYTE_MAX: u64 = 4 * (4 + 9 * 4);

#[test]
fn failure_15_a_bomb_of_frames_takes_little_memory_when_it_is_shown() {
    if let Some(file) = env::var_os(BOMB) {
        let mut packed = Vec::new();
        File::open(&file).unwrap().read_to_end(&mut packed).unwrap();
        let unpacked = unpack(&packed, &Limits::DEFAULT).unwrap();
        let before = peak_bytes();
        let shown = views(&unpacked).map_err(|error| match error.source() {
            Some(source) => source.to_string(),
            None => error.to_string(),
        });
        let taken = peak_bytes() - before;
        let said = format!("{} bytes, {} KiB, {shown:?}", unpacked.len(), taken >> 10);
        println!("{said}");
        let name = Path::new(&file).file_name().unwrap().to_string_lossy();
        let told = shown.err().map_or("shown".to_owned(), |limit| limit.replace(' ', "-"));
        assert!(told.ends_with(&*name), "{told}");
        assert!(
            taken <= PEAK_BYTES_MAX.max(unpacked.len() as u64 * PEAK_PER_BYTE_MAX),
            "{said}"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, bomb) in [
        // 80 KB unpacked, which would be 2^28 frames, a gigabyte of them and eight of text.
        ("frames-in-all-stacks", tower(1, 65_536, 4096)),
        // 64 MiB unpacked, 64 KiB packed.
        ("locations-in-all-samples", tower(1024, 65_536, 1)),
        // As much as is allowed for so many bytes.
        ("shown", tower(16, 65_536, 9)),
        // 700 KB unpacked, which would be 2 GB of names.
        ("bytes-of-the-report", nameless(32_768)),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, gzip(&bomb)).unwrap();
        alone(
            "failure_15_a_bomb_of_frames_takes_little_memory_when_it_is_shown",
            &file,
        );
    }
}
