//! jemalloc's heap profile as text, which google/pprof does not read: `prof.dump` and `opt.prof_final` write it.
//!
//! ```text
//! heap_v2/524288                          bytes between two samples
//!   t*: 28106: 56637512 [0: 0]            all threads: objects, bytes [allocated so far: objects, bytes]
//! @ 0x5f86da8 0x5f5a1dc                   a stack, the address after the innermost call first
//!   t*: 13: 6688 [0: 0]
//!   t3: 12: 6496 [0: 0]                   the same of one thread, which `t*` holds already
//! MAPPED_LIBRARIES:                       /proc/self/maps
//! ```
//!
//! The profile is the one that google/pprof makes of tcmalloc's text: values are scaled up to what they stand for,
//! addresses go back into the call, and each sample says the size of its blocks. What was allocated so far is there when
//! the program counted it (`opt.prof_accum`).

use super::code::Code;
use super::draft::{Draft, Measure};
use super::lines::{Lines, is_map_sentinel, trim};
use super::scan::{Counts, Scan};
use super::{Read, Refused, maps, numbers};
use crate::limits::Limits;
use crate::parse::Format;

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Read {
    let mut lines = Lines::new(bytes);
    lines.advance();
    let rate = lines.line().strip_prefix(b"heap_v2/").ok_or(Refused::Unrecognized)?;
    let rate = numbers::decimal(rate).filter(|rate| *rate > 0);
    let rate = rate.ok_or_else(|| lines.malformed("the sampling rate is no number above 0"))?;
    // Without allocations so far until the header has some.
    let mut has_allocations = false;
    let mut draft = None;
    let mut stack = None;
    while lines.advance() {
        let line = trim(lines.line());
        if line.is_empty() {
            continue;
        }
        if is_map_sentinel(line) {
            break;
        }
        if let Some(addresses) = line.strip_prefix(b"@") {
            let addresses = numbers::addresses(addresses).collect::<Option<Vec<_>>>();
            stack = Some(addresses.ok_or_else(|| lines.malformed("an address does not fit in 64 bits"))?);
            continue;
        }
        let (is_all, words) =
            words_of_counts(line).ok_or_else(|| lines.malformed("it is neither a stack nor its counts"))?;
        if !is_all {
            continue;
        }
        let mut counts = [0; 4];
        for (count, digits) in counts.iter_mut().zip(words) {
            let number = numbers::decimal(digits);
            *count = number.ok_or_else(|| lines.malformed("a number does not fit in 64 bits"))?;
        }
        let Some(stack) = &stack else {
            has_allocations |= matches!(counts, [_, _, objects, bytes] if objects != 0 || bytes != 0);
            continue;
        };
        let draft = draft.get_or_insert_with(|| Draft::new(measure(rate, has_allocations), limits));
        let (values, block_bytes) = sample(counts, rate);
        let values = if has_allocations {
            &values[..]
        } else {
            values.get(2..).unwrap_or_default()
        };
        let calls = stack.iter().map(|address| address.wrapping_sub(1));
        draft.push(calls, values, Some(block_bytes))?;
    }
    lines.refuse_long()?;
    let draft = draft.unwrap_or_else(|| Draft::new(measure(rate, has_allocations), limits));
    let mappings = maps::after_sections(&mut lines, limits)?;
    let code = Code::new(&draft, mappings, |index| draft.address(index))?;
    Ok((Format::JemallocHeap, draft.finish(&code)?))
}

/// The counts of a line, and whether they are those of all threads. What follows them is the name of a thread.
fn words_of_counts(line: &[u8]) -> Option<(bool, Counts<'_>)> {
    let mut scan = Scan::new(line);
    scan.text(b"t")?;
    let is_all = scan.text(b"*").is_some();
    if !is_all {
        scan.some(|byte| byte.is_ascii_digit())?;
    }
    scan.text(b":")?;
    Some((is_all, scan.counts(false)?))
}

fn measure(rate: i64, has_allocations: bool) -> Measure<'static> {
    let types: &[_] = if has_allocations {
        &[
            ("alloc_objects", "count"),
            ("alloc_space", "bytes"),
            ("inuse_objects", "count"),
            ("inuse_space", "bytes"),
        ]
    } else {
        &[("objects", "count"), ("space", "bytes")]
    };
    Measure {
        period: rate,
        ..Measure::new(("space", "bytes"), types)
    }
}

/// Allocated objects and bytes, those in use, and the size of the blocks.
fn sample([objects, bytes, all_objects, all_bytes]: [i64; 4], rate: i64) -> ([i64; 4], i64) {
    let (scaled, scaled_bytes) = numbers::unsampled(objects, bytes, rate);
    let (all_scaled, all_scaled_bytes) = numbers::unsampled(all_objects, all_bytes, rate);
    let block_bytes = bytes.checked_div(objects).or(all_bytes.checked_div(all_objects));
    (
        [all_scaled, all_scaled_bytes, scaled, scaled_bytes],
        block_bytes.unwrap_or(0),
    )
}
