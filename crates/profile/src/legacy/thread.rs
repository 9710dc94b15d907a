//! Thread profiles as text: the stack of each thread, as threadz writes them.

use super::code::Code;
use super::draft::{Draft, Measure};
use super::lines::{Lines, contains, is_blank_or_comment, is_map_sentinel, trim};
use super::scan::first_after;
use super::{Read, Refused, maps, numbers};
use crate::limits::{Limits, at_most};
use crate::parse::Format;

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Read {
    let mut lines = Lines::new(bytes);
    while lines.advance() && is_blank_or_comment(lines.line()) {}
    let mut line = lines.line();
    if is_header(line) {
        while lines.advance() {
            line = lines.line();
            if is_map_sentinel(line) || line.starts_with(b"-") {
                break;
            }
        }
    } else if !is_thread(line) {
        return Err(Refused::Unrecognized);
    }
    let mut draft = Draft::new(Measure::new(("thread", "count"), &[("thread", "count")]), limits);
    let mut stack = Vec::new();
    while !is_map_sentinel(line) {
        if line.starts_with(b"---- no stack trace for") {
            break;
        }
        if !is_thread(line) {
            return Err(Refused::Unrecognized);
        }
        line = read_stack(&mut lines, &mut stack, limits)?;
        if stack.is_empty() {
            // "same as previous thread", or a thread without a stack.
            draft.count_last_again();
            continue;
        }
        // The leaf is where the thread is; all others are where it will return to, and go back into the call.
        let calls = (0..).zip(&stack);
        let calls = calls.map(|(depth, address)| address.wrapping_sub(u64::from(depth > 0_u64)));
        draft.push(calls, &[1], None)?;
    }
    let mappings = maps::after_sections(&mut lines, limits)?;
    let code = Code::new(&draft, mappings, |index| draft.address(index))?;
    draft.drop_duplicate_leaves();
    Ok((Format::Thread, draft.finish(&code)?))
}

/// Reads the addresses of one thread, none if they are those of the thread before. Gives the first line after them.
fn read_stack<'a>(lines: &mut Lines<'a>, stack: &mut Vec<u64>, limits: &Limits) -> Result<&'a [u8], Refused> {
    stack.clear();
    let mut is_same = false;
    let mut line = &b""[..];
    while lines.advance() {
        line = trim(lines.line());
        if line.is_empty() {
            continue;
        }
        if line.starts_with(b"---") {
            break;
        }
        if contains(line, b"same as previous thread") {
            is_same = true;
            continue;
        }
        for address in numbers::addresses(line) {
            at_most(
                stack.len() as u64 + 1,
                limits.locations_per_sample_max,
                "locations in one sample",
            )?;
            stack.push(address.ok_or_else(|| lines.malformed("an address does not fit in 64 bits"))?);
        }
    }
    lines.refuse_long()?;
    if is_same {
        stack.clear();
    }
    Ok(line)
}

/// Whether the line has `--- threadz \d+ ---`.
fn is_header(line: &[u8]) -> bool {
    let header = first_after(line, b"--- threadz ", |mut scan| {
        scan.some(|byte| byte.is_ascii_digit())?;
        scan.text(b" ---")
    });
    header.is_some()
}

/// Whether the line has `--- Thread ([[:xdigit:]]+) \(name: (.*)/(\d+)\) stack: ---`.
fn is_thread(line: &[u8]) -> bool {
    let after_id = first_after(line, b"--- Thread ", |mut scan| {
        scan.some(|byte| byte.is_ascii_hexdigit())?;
        scan.text(b" (name: ")?;
        Some(scan.rest())
    });
    // The name ends with any slash that the right words follow.
    let named = after_id.and_then(|rest| {
        first_after(rest, b"/", |mut scan| {
            scan.some(|byte| byte.is_ascii_digit())?;
            scan.text(b") stack: ---")
        })
    });
    named.is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scan::tests::{groups, lines};
    use super::*;

    const PARTS: &[&str] = &[
        "---",
        " ",
        "--- threadz ",
        "--- Thread ",
        "1a",
        "F",
        "7",
        " (name: ",
        "/",
        "/12) stack: ---",
        ") stack: ---",
        "worker",
        "--- Thread 7f (name: a/3) stack",
        "x",
        " ---",
    ];

    proptest! {
        #[test]
        fn headers_are_those_of_the_expressions(line in lines(PARTS)) {
            prop_assert_eq!(is_header(&line), groups(r"--- threadz \d+ ---", &line).is_some());
            let pattern = r"--- Thread (?:[[:xdigit:]]+) \(name: (?:.*)/(?:\d+)\) stack: ---";
            prop_assert_eq!(is_thread(&line), groups(pattern, &line).is_some());
        }
    }
}
