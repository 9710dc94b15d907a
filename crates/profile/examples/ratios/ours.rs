//! Our side of each operation, and the goal for it.

use std::hint::black_box;
use std::path::PathBuf;

use libdeflater::Decompressor;
use profile::view::View;
use profile::view::stacks::Stacks;
use profile::view::top::TopOptions;
use profile::{Limits, Profile, gzip, libdeflate, unpack};
use testkit::cost::own_cpu;

use crate::corpus::{corpus, read};
use crate::peer::Peer;

/// A side repeats an operation until it took this much CPU time: a thousand times what the clock can tell.
pub(crate) const ENOUGH_NANOS: u64 = 15_000_000;

/// Profiles above 4 GiB are refused before they are unpacked.
const LIMITS: Limits = Limits::DEFAULT;

/// A real profile and another of the same program.
pub(crate) struct Case {
    pub(crate) path: PathBuf,
    /// As the file is.
    pub(crate) packed: Vec<u8>,
    pub(crate) raw: Vec<u8>,
    pub(crate) base_path: PathBuf,
    base_raw: Vec<u8>,
    pub(crate) samples: usize,
}

impl Case {
    /// Every profile that both sides take, each content once.
    pub(crate) fn all(peer: &mut Peer) -> Vec<Self> {
        let mut cases: Vec<Self> = Vec::new();
        for path in corpus() {
            let packed = read(&path);
            if cases.iter().any(|case| case.packed == packed) {
                continue;
            }
            let Ok(raw) = unpack(&packed, &LIMITS).map(std::borrow::Cow::into_owned) else {
                continue;
            };
            let samples = match Profile::decode(&raw, &LIMITS) {
                Ok(profile) if profile.sample_count() > 0 => profile.sample_count(),
                _ => continue,
            };
            let base_path = peer.folder.path().join(format!("base-{}", cases.len()));
            if peer.vary(1, &path, &base_path) {
                let base_raw = read(&base_path);
                cases.push(Self {
                    path,
                    packed,
                    raw,
                    base_path,
                    base_raw,
                    samples,
                });
            }
        }
        cases
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.packed == self.raw
    }

    fn profile(&self) -> Profile<'_> {
        decode(&self.raw)
    }

    fn base(&self) -> Profile<'_> {
        decode(&self.base_raw)
    }
}

/// What is compared, with the least that is wanted of the median.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// What the peer calls it.
    pub(crate) theirs: &'static str,
    /// CPU nanoseconds of one repetition, and bytes that came out.
    pub(crate) ours: fn(&Case) -> (u64, u64),
    pub(crate) goal: f64,
    /// Says nothing of a file that is not packed.
    pub(crate) only_packed: bool,
    /// What nobody can be faster than, in CPU nanoseconds.
    pub(crate) limit: Option<fn(&Case) -> u64>,
    /// The most bytes that may come out, as a part of the peer's.
    pub(crate) bytes_max: Option<f64>,
}

const OPERATION: Operation = Operation {
    name: "",
    theirs: "",
    ours: |_| (0, 0),
    goal: 0.0,
    only_packed: false,
    limit: None,
    bytes_max: None,
};

/// At most so many times the CPU time of the limit.
pub(crate) const LIMIT_GOAL: f64 = 1.75;

pub(crate) const OPERATIONS: [Operation; 10] = [
    Operation {
        name: "parse",
        theirs: "parse",
        ours: |case| {
            repeat(|| {
                let raw = unpack(&case.packed, &LIMITS).unwrap();
                black_box(decode(&raw));
                0
            })
        },
        goal: 9.0,
        only_packed: true,
        ..OPERATION
    },
    Operation {
        name: "parse-c",
        theirs: "parse",
        ours: |case| {
            repeat(|| {
                let raw = libdeflate::unpack(&case.packed, &LIMITS).unwrap();
                black_box(decode(&raw));
                0
            })
        },
        goal: 13.0,
        only_packed: true,
        limit: Some(limit),
        ..OPERATION
    },
    Operation {
        name: "raw",
        theirs: "parse-raw",
        ours: |case| {
            repeat(|| {
                black_box(case.profile());
                0
            })
        },
        goal: 18.0,
        ..OPERATION
    },
    Operation {
        name: "compact",
        theirs: "compact",
        ours: |case| {
            let profile = case.profile();
            repeat(|| profile.compact().unwrap().sample_count() as u64)
        },
        goal: 15.0,
        ..OPERATION
    },
    Operation {
        name: "diff",
        theirs: "diff",
        ours: |case| {
            let (profile, mut base) = (case.profile(), case.base());
            repeat(|| {
                let difference = profile.subtract(&mut base).unwrap();
                base.negate();
                difference.sample_count() as u64
            })
        },
        goal: 18.0,
        ..OPERATION
    },
    Operation {
        name: "write",
        theirs: "write",
        ours: |case| {
            let profile = case.profile();
            repeat(|| profile.encode().len() as u64)
        },
        goal: 12.0,
        ..OPERATION
    },
    Operation {
        name: "write-gz",
        theirs: "write-gz",
        ours: |case| {
            let profile = case.profile();
            repeat(|| libdeflate::gzip(&profile.encode()).len() as u64)
        },
        goal: 4.0,
        bytes_max: Some(1.0),
        ..OPERATION
    },
    Operation {
        name: "gz-rust",
        theirs: "write-gz",
        ours: |case| {
            let profile = case.profile();
            repeat(|| gzip(&profile.encode()).len() as u64)
        },
        goal: 4.0,
        bytes_max: Some(1.0),
        ..OPERATION
    },
    Operation {
        name: "top",
        theirs: "top",
        ours: top,
        goal: 28.0,
        ..OPERATION
    },
    Operation {
        name: "flame",
        theirs: "flame",
        ours: flame,
        goal: 20.0,
        bytes_max: Some(0.2),
        ..OPERATION
    },
];

fn decode(raw: &[u8]) -> Profile<'_> {
    Profile::decode(raw, &LIMITS).unwrap()
}

/// From the packed bytes to the text, with the rows that the peer prints too, as the command line does it.
fn top(case: &Case) -> (u64, u64) {
    repeat(|| {
        let raw = libdeflate::unpack(&case.packed, &LIMITS).unwrap();
        let profile = decode(&raw);
        let index = profile.default_sample_index().unwrap();
        let unit = profile.strings().text(profile.header().sample_types[index].unit);
        let view = View::new(&profile, index).unwrap();
        let top = view.top(TopOptions::PPROF);
        top.text(&unit, top.unit(&unit)).len() as u64
    })
}

/// From bytes that are not packed, as the peer's handler has them, to what a page needs to draw every node.
fn flame(case: &Case) -> (u64, u64) {
    repeat(|| {
        let profile = case.profile();
        let index = profile.default_sample_index().unwrap();
        let view = View::new(&profile, index).unwrap();
        Stacks::new(&view).tree().map_or(0, |tree| tree.json().len() as u64)
    })
}

/// The fastest unpacking there is, and one walk over the fields of the profile.
fn limit(case: &Case) -> u64 {
    let mut raw = vec![0; case.raw.len()];
    repeat(|| {
        Decompressor::new().gzip_decompress(&case.packed, &mut raw).unwrap();
        walk(&raw)
    })
    .0
}

/// Steps over the top-level fields; gives how many there are.
fn walk(raw: &[u8]) -> u64 {
    let varint = |at: &mut usize| {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = raw[*at];
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    };
    let (mut at, mut fields) = (0, 0);
    while at < raw.len() {
        let tag = varint(&mut at);
        let value = varint(&mut at);
        if tag & 7 == 2 {
            at += usize::try_from(value).unwrap();
        }
        fields += 1;
    }
    fields
}

/// CPU time of this process.
fn cpu_nanos() -> u64 {
    u64::try_from(own_cpu().as_nanos()).unwrap_or(u64::MAX)
}

/// Repeats an operation until it took long enough, as the peer does; gives the CPU time of one repetition.
fn repeat(mut once: impl FnMut() -> u64) -> (u64, u64) {
    let mut rounds = 1_u64;
    loop {
        let (begin, mut bytes) = (cpu_nanos(), 0);
        for _ in 0..rounds {
            bytes = black_box(once());
        }
        let spent = cpu_nanos() - begin;
        if spent >= ENOUGH_NANOS {
            return (spent / rounds, bytes);
        }
        rounds = (rounds * 2).max(rounds * ENOUGH_NANOS * 6 / 5 / spent.max(1));
    }
}
