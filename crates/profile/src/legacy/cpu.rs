//! gperftools' CPU profile: words of 32 or 64 bits of either byte order.
//!
//! A header of five words (0, 3, 0 for C++ or 1 for Java, the period in microseconds, 0), then for each stack its count,
//! its depth and its addresses, an end (0, 1, 0), and for C++ the memory map as text, for Java the names of locations.

use super::code::Code;
use super::draft::{Draft, Measure};
use super::lines::Lines;
use super::{Read, Refused, java, maps};
use crate::limits::{Limits, at_most};
use crate::parse::Format;

/// How the words of a file are written.
#[derive(Debug, Clone, Copy)]
enum Word {
    Little32,
    Big32,
    Little64,
    Big64,
}

/// Samples for each that may differ when a frame is said to be in all of them.
const SAMPLES_PER_EXCEPTION: usize = 32;

/// Frames that the handler of the signal may have added to each stack.
const HANDLER_FRAMES_MAX: usize = 2;

/// In google/pprof's order.
const WORDS: [Word; 4] = [Word::Little32, Word::Big32, Word::Little64, Word::Big64];

/// Whether bytes begin with a header, whatever follows.
pub(super) fn has_header(bytes: &[u8]) -> bool {
    WORDS.iter().any(|word| after_header(bytes, *word).is_some())
}

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Read {
    match WORDS.iter().find_map(|word| after_header(bytes, *word)) {
        Some((words, period, false)) => native(words, period, limits),
        Some((words, period, true)) => java_cpu(words, period, limits),
        None => Err(Refused::Unrecognized),
    }
}

/// What follows the header, and what it says: the period, and whether names follow, as from Java.
fn after_header(bytes: &[u8], word: Word) -> Option<(Words<'_>, u64, bool)> {
    let mut words = Words {
        rest: Some(bytes),
        word,
    };
    let header = [words.next(), words.next(), words.next(), words.next(), words.next()];
    words.rest?;
    match header {
        [0, 3, kind @ (0 | 1), period, 0] if period > 0 => Some((words, period, kind == 1)),
        _ => None,
    }
}

fn measure(period_micros: u64) -> Measure<'static> {
    Measure {
        period: period_micros.cast_signed().wrapping_mul(1000),
        ..Measure::new(("cpu", "nanoseconds"), &[("samples", "count"), ("cpu", "nanoseconds")])
    }
}

fn native(mut words: Words<'_>, period_micros: u64, limits: &Limits) -> Read {
    let mut draft = Draft::new(measure(period_micros), limits);
    // Addresses are those of returns, but the first, which is where the signal hit: all others go back into the call.
    samples(&mut words, 1, &mut draft)?;
    let margin = draft.sample_count() / SAMPLES_PER_EXCEPTION;
    for _ in 0..HANDLER_FRAMES_MAX {
        if let Some(common) = draft.common_second_address(margin) {
            draft.drop_second_frames(|_, second| second == common);
        }
    }
    let mappings = maps::read(&mut Lines::new(words.rest.unwrap_or_default()), limits)?;
    let code = Code::new(&draft, mappings, |index| draft.address(index))?;
    draft.drop_duplicate_leaves();
    Ok((Format::Cpu, draft.finish(&code)?))
}

fn java_cpu(mut words: Words<'_>, period_micros: u64, limits: &Limits) -> Read {
    let mut draft = Draft::new(measure(period_micros), limits);
    samples(&mut words, 0, &mut draft)?;
    let profile = java::named(words.rest.unwrap_or_default(), 0, draft, limits)?;
    Ok((Format::JavaCpu, profile))
}

/// Reads samples up to the end of them or of the bytes. Addresses of a stack lose `moved_back`, but the first.
fn samples(words: &mut Words<'_>, moved_back: u64, draft: &mut Draft<'_>) -> Result<(), Refused> {
    let period = draft.measure.period;
    let depth_max = draft.limits().locations_per_sample_max;
    let mut stack = Vec::new();
    while !words.rest.unwrap_or_default().is_empty() {
        let (count, depth) = (words.next(), words.next());
        // A word has at least four bytes. In a file of longer ones the last stack may be cut off: zeros stand for what
        // is missing, as in google/pprof.
        match words.rest {
            Some(rest) if depth <= rest.len() as u64 / 4 => {}
            _ => return Err(Refused::Unrecognized),
        }
        at_most(depth, depth_max, "locations in one sample")?;
        stack.clear();
        stack.extend((0..depth).map(|_| words.next()));
        if (count, stack.as_slice()) == (0, &[0]) {
            break;
        }
        for address in stack.iter_mut().skip(1) {
            *address = address.wrapping_sub(moved_back);
        }
        let count = count.cast_signed();
        draft.push(stack.iter().copied(), &[count, count.wrapping_mul(period)], None)?;
    }
    Ok(())
}

/// Words, one after the other. What is beyond the end is zero, and nothing comes after it.
struct Words<'a> {
    /// `None` from the first word on that is not whole.
    rest: Option<&'a [u8]>,
    word: Word,
}

impl Words<'_> {
    fn next(&mut self) -> u64 {
        let Some(rest) = self.rest else { return 0 };
        let split = match self.word {
            Word::Little32 => rest
                .split_first_chunk()
                .map(|(word, rest)| (u32::from_le_bytes(*word).into(), rest)),
            Word::Big32 => rest
                .split_first_chunk()
                .map(|(word, rest)| (u32::from_be_bytes(*word).into(), rest)),
            Word::Little64 => rest
                .split_first_chunk()
                .map(|(word, rest)| (u64::from_le_bytes(*word), rest)),
            Word::Big64 => rest
                .split_first_chunk()
                .map(|(word, rest)| (u64::from_be_bytes(*word), rest)),
        };
        let (word, rest) = split.unzip();
        self.rest = rest;
        word.unwrap_or(0)
    }
}
