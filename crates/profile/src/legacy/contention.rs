//! Contention profiles as text: of C++ programs, and of Go's mutexes and blocks with `debug=1`.

use super::code::Code;
use super::draft::{Draft, Measure};
use super::lines::{Lines, is_blank_or_comment, trim};
use super::scan::first_number;
use super::{Read, Refused, maps, numbers};
use crate::limits::Limits;
use crate::parse::Format;
use crate::scale::to_integer;

/// What a profile of contention may begin with.
const BEGINNINGS: [&[u8]; 3] = [b"--- contentionz ", b"--- mutex:", b"--- contention:"];

const NANOS_PER_MILLI: i64 = 1_000_000;

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Read {
    let mut lines = Lines::new(bytes);
    if !lines.advance() {
        return Err(lines.nothing());
    }
    if !BEGINNINGS.iter().any(|beginning| lines.line().starts_with(beginning)) {
        return Err(Refused::Unrecognized);
    }
    let types = [("contentions", "count"), ("delay", "nanoseconds")];
    let mut measure = Measure::new(("contentions", "count"), &types);
    let cycles_per_second = attributes(&mut lines, &mut measure)?;
    let period = measure.period;
    let mut draft = Draft::new(measure, limits);
    // The line at hand is the first that is no attribute.
    loop {
        let line = trim(lines.line());
        if line.starts_with(b"---") {
            break;
        }
        if !is_blank_or_comment(line) {
            let (values, addresses) = sample(line, period, cycles_per_second, &lines)?;
            let calls = addresses.into_iter().map(|address| address.wrapping_sub(1));
            draft.push(calls, &values, None)?;
        }
        if !lines.advance() {
            break;
        }
    }
    lines.refuse_long()?;
    let mappings = maps::after_sections(&mut lines, limits)?;
    let code = Code::new(&draft, mappings, |index| draft.address(index))?;
    Ok((Format::Contention, draft.finish(&code)?))
}

/// Reads lines "name = value" up to the first other. Gives the cycles per second, 0 where unknown.
fn attributes(lines: &mut Lines<'_>, measure: &mut Measure<'_>) -> Result<i64, Refused> {
    let mut cycles_per_second = 0;
    while lines.advance() {
        let line = trim(lines.line());
        if is_blank_or_comment(line) {
            continue;
        }
        let is_end = line.starts_with(b"---");
        let Some(at) = line.iter().position(|byte| *byte == b'=').filter(|_| !is_end) else {
            break;
        };
        let (name, value) = line.split_at_checked(at).unwrap_or_default();
        let value = trim(value.get(1..).unwrap_or_default());
        let number = || numbers::any_base(value).ok_or(Refused::Unrecognized);
        match trim(name) {
            b"cycles/second" => cycles_per_second = number()?,
            b"sampling period" => measure.period = number()?,
            b"ms since reset" => measure.duration_nanos = number()?.wrapping_mul(NANOS_PER_MILLI),
            b"discarded samples" => {}
            // "format" and "resolution" are Java's.
            _ => return Err(Refused::Unrecognized),
        }
    }
    lines.refuse_long()?;
    Ok(cycles_per_second)
}

/// How often and how long (in nanoseconds), for what is not sampled, and the addresses.
fn sample(
    line: &[u8],
    period: i64,
    cycles_per_second: i64,
    lines: &Lines<'_>,
) -> Result<([i64; 2], Vec<u64>), Refused> {
    let [delay, count, stack] = words_of_sample(line).ok_or(Refused::Unrecognized)?;
    let number = |digits| numbers::decimal(digits).ok_or_else(|| lines.malformed("a number does not fit in 64 bits"));
    let (mut delay, mut count) = (number(delay)?, number(count)?);
    if period > 0 {
        if cycles_per_second > 0 {
            let cycles_per_nano = cycles_per_second as f64 / 1e9;
            delay = to_integer(delay as f64 * period as f64 / cycles_per_nano);
        }
        count = count.wrapping_mul(period);
    }
    let addresses = numbers::addresses(stack).collect::<Option<Vec<_>>>();
    let addresses = addresses.ok_or_else(|| lines.malformed("an address does not fit in 64 bits"))?;
    Ok(([count, delay], addresses))
}

/// Delay, count and stack of `(\d+) *(\d+) @([ x0-9a-f]*)`, which may stand anywhere in the line.
fn words_of_sample(line: &[u8]) -> Option<[&[u8]; 3]> {
    first_number(line, |mut scan| {
        scan.maybe(b"-");
        let first = scan.some(|byte| byte.is_ascii_digit())?;
        let mut second = scan;
        if let Some(count) = second.number()
            && second.text(b" @").is_some()
        {
            return Some([first, count, second.stack()]);
        }
        // No space between the two is needed: then the last digit is the second number.
        let (delay, count) = first.split_at_checked(first.len() - 1)?;
        scan.text(b" @")?;
        (!delay.is_empty()).then_some([delay, count, scan.stack()])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scan::tests::{groups, lines};
    use super::*;

    const PARTS: &[&str] = &["1", "20", "-", " ", "  ", " @", "@", " 0x1f", "x", "G", "3 4 @", "\t"];

    proptest! {
        #[test]
        fn samples_are_those_of_the_expression(line in lines(PARTS)) {
            let sample = words_of_sample(&line).map(Vec::from);
            prop_assert_eq!(sample, groups(r"(\d+) *(\d+) @([ x0-9a-f]*)", &line));
        }
    }
}
