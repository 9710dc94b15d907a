//! Go's count profiles as text: goroutine and threadcreate with `debug=1`.

use super::code::Code;
use super::draft::{Draft, Measure};
use super::lines::{Lines, is_blank_or_comment};
use super::scan::{Scan, is_space};
use super::{Read, Refused, maps, numbers};
use crate::limits::Limits;
use crate::parse::Format;

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Read {
    let mut lines = Lines::new(bytes);
    while lines.advance() && is_blank_or_comment(lines.line()) {}
    if lines.is_too_long() {
        return Err(lines.nothing());
    }
    let kind = kind_of(lines.line()).ok_or(Refused::Unrecognized)?;
    let counted = (kind, b"count".as_slice());
    let measure = Measure {
        sample_types: vec![counted],
        period_type: counted,
        period: 1,
        duration_nanos: 0,
    };
    let mut draft = Draft::new(measure, limits);
    while lines.advance() {
        let line = lines.line();
        if is_blank_or_comment(line) {
            continue;
        }
        if line.starts_with(b"---") {
            break;
        }
        let (count, stack) = words_of_sample(line).ok_or_else(|| lines.malformed("it is no count of a stack"))?;
        // With any base: a count that begins with 0 is octal.
        let count = numbers::any_base(count);
        let addresses = numbers::addresses(stack).collect::<Option<Vec<_>>>();
        let (count, addresses) = count
            .zip(addresses)
            .ok_or_else(|| lines.malformed("a number does not fit in 64 bits"))?;
        let calls = addresses.into_iter().map(|address| address.wrapping_sub(1));
        draft.push(calls, &[count], None)?;
    }
    lines.refuse_long()?;
    let mappings = maps::after_sections(&mut lines, limits)?;
    let code = Code::new(&draft, mappings, |index| draft.address(index))?;
    Ok((Format::GoCount, draft.finish(&code)?))
}

/// What `\A(\S+) profile: total \d+\z` counts.
fn kind_of(line: &[u8]) -> Option<&[u8]> {
    let mut scan = Scan::new(line);
    let kind = scan.some(|byte| !is_space(byte))?;
    scan.text(b" profile: total ")?;
    scan.some(|byte| byte.is_ascii_digit())?;
    scan.rest().is_empty().then_some(kind)
}

/// Count and stack of `\A(\d+) @(( 0x[0-9a-f]+)+)\z`.
fn words_of_sample(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut scan = Scan::new(line);
    let count = scan.some(|byte| byte.is_ascii_digit())?;
    scan.text(b" @")?;
    let stack = scan.rest();
    let mut addresses = stack.strip_prefix(b" ")?.split(|byte| *byte == b' ');
    let is_address = |word: &[u8]| {
        let digits = word.strip_prefix(b"0x").unwrap_or_default();
        !digits.is_empty() && digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    addresses.all(is_address).then_some((count, stack))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scan::tests::{groups, lines};
    use super::*;

    const PARTS: &[&str] = &[
        "1",
        "20",
        " @",
        " 0x1",
        " 0xabc",
        " ",
        "x",
        "G",
        "goroutine",
        " profile: total ",
        " profile: total 3",
        "/",
        "1 @ 0x2",
        "\t",
    ];

    proptest! {
        #[test]
        fn headers_and_samples_are_those_of_the_expressions(line in lines(PARTS)) {
            let kind = kind_of(&line).map(|kind| vec![kind]);
            prop_assert_eq!(kind, groups(r"\A([^\t\n\f\r ]+) profile: total \d+\z", &line));
            let sample = words_of_sample(&line).map(|(count, stack)| vec![count, stack]);
            prop_assert_eq!(sample, groups(r"\A(\d+) @((?: 0x[0-9a-f]+)+)\z", &line));
        }
    }
}
