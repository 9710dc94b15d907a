//! Heap profiles as text: of tcmalloc, gperftools, Go with `debug=1`, and their kin for growth and fragmentation.

use super::code::Code;
use super::draft::{Draft, Measure};
use super::lines::{Lines, is_blank_or_comment, is_map_sentinel, trim};
use super::scan::{Counts, first_after, first_number};
use super::{Read, Refused, maps, numbers};
use crate::limits::Limits;
use crate::parse::Format;

/// What the header says.
struct Header {
    /// Bytes between two samples; 1 where all were taken.
    period: i64,
    /// Whether values are those of a sampler and stand for more.
    is_sampled: bool,
    /// Whether what was freed is counted, too.
    has_allocations: bool,
}

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Read {
    let mut lines = Lines::new(bytes);
    if !lines.advance() {
        return Err(lines.nothing());
    }
    let header = header(lines.line()).ok_or(Refused::Unrecognized)?;
    let mut draft = Draft::new(measure(&header), limits);
    while lines.advance() {
        let line = trim(lines.line());
        if is_blank_or_comment(line) {
            continue;
        }
        if is_map_sentinel(line) {
            break;
        }
        sample(line, &header, &lines, &mut draft)?;
    }
    lines.refuse_long()?;
    let mappings = maps::after_sections(&mut lines, limits)?;
    let code = Code::new(&draft, mappings, |index| draft.address(index))?;
    Ok((Format::Heap, draft.finish(&code)?))
}

fn header(line: &[u8]) -> Option<Header> {
    let Some(([count, size, all_count, all_size], [kind, period])) = words_of_header(line) else {
        return is_growth(line).then_some(Header {
            period: 1,
            is_sampled: false,
            has_allocations: false,
        });
    };
    let period = if period.is_empty() {
        0
    } else {
        numbers::decimal(period)?
    };
    let (is_sampled, period) = match kind {
        b"heapz_v2" | b"heap_v2" => (true, period),
        b"heapprofile" => (false, 1),
        // Go's, which writes twice the rate.
        b"heap" => (true, period / 2),
        _ => return None,
    };
    // By their digits, as google/pprof: "01" is not "1".
    let differ = |all: &[u8], now: &[u8]| all != now && all != b"0";
    Some(Header {
        period,
        is_sampled,
        has_allocations: differ(all_count, count) || differ(all_size, size),
    })
}

/// Counts, kind and rate of `heap profile: *(\d+): *(\d+) *\[ *(\d+): *(\d+) *\] *@ *(heap[_a-z0-9]*)/?(\d*)`, which
/// may stand anywhere in the line.
fn words_of_header(line: &[u8]) -> Option<(Counts<'_>, [&[u8]; 2])> {
    first_after(line, b"heap profile:", |mut scan| {
        let counts = scan.counts(false)?;
        scan.spaced(b"@")?;
        scan.run(|byte| byte == b' ');
        let kind = scan.run(|byte| matches!(byte, b'_' | b'a'..=b'z' | b'0'..=b'9'));
        scan.maybe(b"/");
        let period = scan.run(|byte| byte.is_ascii_digit());
        kind.starts_with(b"heap").then_some((counts, [kind, period]))
    })
}

/// Whether the line has `heap profile: *(\d+): *(\d+) *\[ *(\d+): *(\d+) *\] @ (growth|fragmentation)`.
fn is_growth(line: &[u8]) -> bool {
    let growth = first_after(line, b"heap profile:", |mut scan| {
        scan.counts(false)?;
        let kind = scan.rest().strip_prefix(b" @ ")?;
        (kind.starts_with(b"growth") || kind.starts_with(b"fragmentation")).then_some(())
    });
    growth.is_some()
}

/// Counts and stack of `(-?\d+): *(-?\d+) *\[ *(\d+): *(\d+) *\] @([ x0-9a-f]*)`, which may stand anywhere in the line.
fn words_of_sample(line: &[u8]) -> Option<(Counts<'_>, &[u8])> {
    first_number(line, |mut scan| {
        let counts = scan.counts(true)?;
        scan.text(b" @")?;
        Some((counts, scan.stack()))
    })
}

/// Allocations come first, so that what is in use is last and shown when nobody chose.
fn measure(header: &Header) -> Measure<'static> {
    let types: &[_] = if header.has_allocations {
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
        period: header.period,
        ..Measure::new(("space", "bytes"), types)
    }
}

fn sample(line: &[u8], header: &Header, lines: &Lines<'_>, draft: &mut Draft<'_>) -> Result<(), Refused> {
    let malformed = |what| lines.malformed(what);
    let ([count, size, all_count, all_size], stack) =
        words_of_sample(line).ok_or_else(|| malformed("it is no sample of a heap"))?;
    let mut values = Vec::with_capacity(4);
    let mut block_bytes = 0;
    let pairs = [(all_count, all_size), (count, size)];
    for (count, size) in pairs.into_iter().skip(usize::from(!header.has_allocations)) {
        let number = |digits| numbers::decimal(digits).ok_or_else(|| malformed("a number does not fit in 64 bits"));
        let (count, size) = (number(count)?, number(size)?);
        if count == 0 && size != 0 {
            return Err(malformed("there are bytes without objects"));
        }
        let (mut count, mut size) = (count, size);
        if count != 0 {
            block_bytes = size.wrapping_div(count);
            if header.is_sampled {
                (count, size) = numbers::unsampled(count, size, header.period);
            }
        }
        values.extend([count, size]);
    }
    let addresses = numbers::addresses(stack).collect::<Option<Vec<_>>>();
    let addresses = addresses.ok_or_else(|| malformed("an address does not fit in 64 bits"))?;
    // All are addresses of returns: they go back into the call.
    let calls = addresses.into_iter().map(|address| address.wrapping_sub(1));
    draft.push(calls, &values, Some(block_bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scan::tests::{groups, lines};
    use super::*;

    const PARTS: &[&str] = &[
        "1",
        "20",
        "-",
        ":",
        " ",
        "  ",
        "[",
        "]",
        " @",
        "@",
        "x",
        "0x1f",
        "heap profile:",
        "heap profile: ",
        "heap",
        "heap_v2",
        "/",
        "growth",
        "fragmentation",
        "1: 2 [3: 4]",
        ": 5 [6: 7] @",
        "G",
        "\t",
    ];

    proptest! {
        #[test]
        fn headers_and_samples_are_those_of_the_expressions(line in lines(PARTS)) {
            let header = words_of_header(&line).map(|(counts, words)| [&counts[..], &words].concat());
            let pattern = r"heap profile: *(\d+): *(\d+) *\[ *(\d+): *(\d+) *\] *@ *(heap[_a-z0-9]*)/?(\d*)";
            prop_assert_eq!(header, groups(pattern, &line));
            let pattern = r"heap profile: *(?:\d+): *(?:\d+) *\[ *(?:\d+): *(?:\d+) *\] @ (?:growth|fragmentation)z?";
            prop_assert_eq!(is_growth(&line), groups(pattern, &line).is_some());
            let sample = words_of_sample(&line).map(|(counts, stack)| [&counts[..], &[stack]].concat());
            let pattern = r"(-?\d+): *(-?\d+) *\[ *(\d+): *(\d+) *\] @([ x0-9a-f]*)";
            prop_assert_eq!(sample, groups(pattern, &line));
        }
    }
}
