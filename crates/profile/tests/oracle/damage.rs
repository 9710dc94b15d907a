//! Damaged profiles: bits flipped, bytes and whole parts lost, doubled and moved, files cut and spliced. The verdict and the
//! bytes are google/pprof's, and the streaming check agrees with the decoder.
//!
//! A failure prints the seed and leaves the file that differs.

use std::fs;

use profile::parse::{Format, ParseError, Parsed, parse};
use profile::{Limits, unpack};
use testkit::soak;

use crate::corpus::{corpus, read};
use crate::harness::Oracle;
use crate::purpose::fields;
use crate::verdict::{check_agrees, compare_one};

/// Damaged files of each kind in a run of all tests: as many as take some seconds.
const PROFILES: usize = 3_000;

/// Damaged files at a time, so that a long run takes the memory of a short one.
const BATCH: usize = 1_000;

/// Bytes of the largest file that is damaged: most damage to a large one is like damage to a small one, and takes longer.
pub(crate) const SEED_BYTES_MAX: usize = 16 << 10;

/// A small generator of numbers that are the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    /// That of the environment, or of every run of the tests.
    pub(crate) fn new() -> Self {
        // The generator stays at 0 for ever.
        Self(soak::seed().max(1))
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap()
    }

    pub(crate) fn one_of<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[self.below(things.len())]
    }

    /// Small numbers hit ids, lengths and tags; any byte hits the rest.
    fn byte(&mut self) -> u8 {
        let end = if self.below(2) == 0 { 32 } else { 256 };
        u8::try_from(self.below(end)).unwrap()
    }

    /// A range of `bytes` of at most `len_max`.
    fn range(&mut self, bytes: &[u8], len_max: usize) -> std::ops::Range<usize> {
        let from = self.below(bytes.len());
        from..bytes.len().min(from + 1 + self.below(len_max))
    }

    /// Does one thing to the bytes that knows nothing of their form.
    pub(crate) fn hurt_bytes(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        if bytes.is_empty() {
            return bytes.push(self.byte());
        }
        let at = self.below(bytes.len());
        match self.below(10) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, self.byte()),
            2 | 3 => bytes[at] ^= 1 << self.below(8),
            4 | 5 => bytes[at] = self.byte(),
            6 => bytes.truncate(at),
            7 => drop(bytes.drain(self.range(bytes, 64))),
            8 => {
                let copy = bytes[self.range(bytes, 64)].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                let other = self.one_of(others).clone();
                bytes.truncate(at);
                bytes.extend_from_slice(&other[self.below(other.len())..]);
            }
        }
    }

    /// Does one thing to the fields of a profile.proto.
    fn hurt_fields(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        let parts = |bytes: &[u8]| {
            let mut rest = bytes;
            let lengths: Vec<_> = fields(bytes).map(|(_, _, len)| len).collect();
            let whole = lengths.into_iter().map(|len| {
                let (part, after) = rest.split_at(len);
                rest = after;
                part.to_vec()
            });
            whole.collect::<Vec<_>>()
        };
        let mut own = parts(bytes);
        if own.is_empty() {
            return;
        }
        let at = self.below(own.len());
        match self.below(5) {
            0 => drop(own.remove(at)),
            1 => own.insert(at, own[self.below(own.len())].clone()),
            2 => {
                let other = self.below(own.len());
                own.swap(at, other);
            }
            3 => {
                let other: &Vec<u8> = self.one_of(others);
                let others = parts(other);
                if !others.is_empty() {
                    own.insert(at, self.one_of(&others).clone());
                }
            }
            _ => {
                // A number within a field: an id, an index, a value.
                let place = self.below(own[at].len());
                own[at][place] = self.byte() & 0x7f;
            }
        }
        *bytes = own.concat();
    }
}

/// How many files to damage when `usual` are the usual number.
pub(crate) fn count(usual: usize) -> usize {
    usize::try_from(soak::cases(u32::try_from(usual).unwrap())).unwrap()
}

/// Makes `count` files and compares what google/pprof and we make of each; gives how many of them both read.
pub(crate) fn compare_many(
    oracle: &Oracle,
    count: usize,
    mut make: impl FnMut() -> Vec<u8>,
    also: impl Fn(&[u8], &Result<Parsed<'_>, ParseError>) -> Result<(), String>,
) -> usize {
    let mut valid = 0;
    let mut left = count;
    while left > 0 {
        let files: Vec<_> = (0..left.min(BATCH)).map(|_| make()).collect();
        left -= files.len();
        for operation in ["each-write", "each-compact"] {
            for (file, theirs) in files.iter().zip(oracle.each(operation, &files)) {
                let parsed = parse(file, &Limits::DEFAULT);
                let theirs = theirs.as_ref().map(Vec::as_slice).map_err(String::as_str);
                let compared = compare_one(operation, file, theirs, parsed.as_ref()).and_then(|is_valid| {
                    valid += usize::from(is_valid);
                    also(file, &parsed)
                });
                if let Err(why) = compared {
                    let kept = std::env::temp_dir().join(format!("differs-{}.profile", std::process::id()));
                    fs::write(&kept, file).unwrap();
                    panic!("{operation} {}: {why}", kept.display());
                }
            }
        }
    }
    valid
}

/// Unpacked profiles of profile.proto that are small enough to damage.
fn seeds() -> Vec<Vec<u8>> {
    let small = corpus().into_iter().filter_map(|path| {
        let bytes = read(&path);
        let unpacked = unpack(&bytes, &Limits::DEFAULT).ok()?.into_owned();
        let is_proto = parse(&unpacked, &Limits::DEFAULT).ok()?.format == Format::Proto;
        (is_proto && unpacked.len() <= SEED_BYTES_MAX).then_some(unpacked)
    });
    small.collect()
}

fn compare_damaged(oracle: &Oracle, dice: &mut Dice, count: usize) -> usize {
    let seeds = seeds();
    assert!(seeds.len() >= 10, "only {} small profiles", seeds.len());
    let make = || {
        let mut file = dice.one_of(&seeds).clone();
        for _ in 0..=dice.below(3) {
            if dice.below(2) == 0 {
                dice.hurt_fields(&mut file, &seeds);
            } else {
                dice.hurt_bytes(&mut file, &seeds);
            }
        }
        file
    };
    compare_many(oracle, count, make, check_agrees)
}

/// Gzip of several members, damaged.
fn compare_damaged_gzip(oracle: &Oracle, dice: &mut Dice, count: usize) -> usize {
    let seeds = seeds();
    let packed: Vec<_> = seeds
        .iter()
        .filter(|seed| seed.len() <= SEED_BYTES_MAX / 4)
        .map(|seed| {
            let (first, second) = seed.split_at(seed.len() / 2);
            [profile::gzip(first), profile::gzip(second)].concat()
        })
        .collect();
    let make = || {
        let mut file = dice.one_of(&packed).clone();
        for _ in 0..=dice.below(2) {
            dice.hurt_bytes(&mut file, &packed);
        }
        file
    };
    compare_many(oracle, count, make, check_agrees)
}

#[test]
fn damaged_profiles_get_the_same_verdict_and_bytes() {
    let Some(oracle) = Oracle::build(".") else {
        return eprintln!("no go: nothing compared");
    };
    let mut dice = Dice::new();
    let valid = compare_damaged(&oracle, &mut dice, count(PROFILES));
    assert!(valid >= PROFILES / 10, "only {valid} damaged profiles were still valid");
    compare_damaged_gzip(&oracle, &mut dice, count(PROFILES / 3));
}

/// Bytes of the largest profile that is cut at each byte; a soak cuts all that are damaged.
const CUT_BYTES_MAX: usize = 1 << 10;

/// From one cut of a packed profile to the next: nearly all of them say the same.
const PACKED_CUT_STEP: usize = 5;

#[test]
fn cut_profiles_get_the_same_verdict_and_bytes() {
    let Some(oracle) = Oracle::build(".") else {
        return eprintln!("no go: nothing compared");
    };
    let mut small = seeds();
    small.retain(|seed| soak::is_on() || seed.len() <= CUT_BYTES_MAX);
    assert!(small.len() >= 5, "only {} small profiles", small.len());
    let cuts = |files: &[Vec<u8>], step| {
        let cuts = files
            .iter()
            .flat_map(|file| (0..file.len()).step_by(step).map(|end| file[..end].to_vec()));
        cuts.collect::<Vec<_>>()
    };
    let packed: Vec<_> = small.iter().map(|seed| profile::gzip(seed)).collect();
    for cuts in [cuts(&small, 1), cuts(&packed, soak::step(PACKED_CUT_STEP))] {
        let mut files = cuts.iter();
        compare_many(&oracle, cuts.len(), || files.next().unwrap().clone(), check_agrees);
    }
}
