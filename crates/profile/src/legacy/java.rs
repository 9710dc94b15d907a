//! Java's profiles: heap and contention as text, and the names of locations, which its CPU profile has as well.

use hashbrown::HashMap;

use super::code::Code;
use super::draft::{Draft, Measure};
use super::lines::{contains, trim};
use super::scan::{Scan, first_number, is_space};
use super::{Read, Refused, numbers};
use crate::limits::{Limits, at_most};
use crate::merge::place;
use crate::model::Profile;
use crate::parse::Format;

/// Bytes that the sampler of Java's heap lets pass between two samples.
const HEAP_RATE_BYTES: i64 = 512 << 10;

const NANOS_PER_MILLI: i64 = 1_000_000;

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Read {
    let mut rows = Rows {
        rest: bytes,
        number: 0,
        row_bytes_max: limits.message_bytes_max,
    };
    let first = rows.next(false)?.ok_or(Refused::Unrecognized)?;
    let format = match first {
        b"--- heapz 1 ---" => Format::JavaHeap,
        b"--- contentionz 1 ---" => Format::JavaContention,
        _ => return Err(Refused::Unrecognized),
    };
    let measure = attributes(format, &mut rows)?;
    let mut draft = Draft::new(measure, limits);
    samples(format, &mut rows, &mut draft)?;
    let profile = named(rows.rest, rows.number, draft, limits)?;
    Ok((format, profile))
}

/// Lines of any length that end, each without the white space around it.
struct Rows<'a> {
    rest: &'a [u8],
    number: u64,
    row_bytes_max: u64,
}

impl<'a> Rows<'a> {
    /// The next row; one without an end only if `may_be_open`.
    fn next(&mut self, may_be_open: bool) -> Result<Option<&'a [u8]>, Refused> {
        let (row, rest) = match self.rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => (self.rest.get(..end), self.rest.get(end + 1..)),
            None if may_be_open && !self.rest.is_empty() => (Some(self.rest), None),
            None => return Ok(None),
        };
        let row = row.unwrap_or_default();
        // Expressions take time for each byte that they look at; no row of a real file has a thousandth of this.
        at_most(row.len() as u64, self.row_bytes_max, "bytes in one line")?;
        self.rest = rest.unwrap_or_default();
        self.number += 1;
        Ok(Some(trim(row)))
    }

    fn malformed(&self, what: &'static str) -> Refused {
        Refused::Malformed {
            what,
            line: self.number,
        }
    }
}

/// Reads rows "name=value" up to the first other.
fn attributes<'a>(format: Format, rows: &mut Rows<'a>) -> Result<Measure<'a>, Refused> {
    let mut measure = Measure::default();
    loop {
        let before = (rows.rest, rows.number);
        let Some(row) = rows.next(false)? else { break };
        if row.is_empty() {
            continue;
        }
        let Some((name, value)) = words_of_attribute(row) else {
            (rows.rest, rows.number) = before;
            break;
        };
        let value = trim(value);
        let number = || numbers::any_base(value).ok_or_else(|| rows.malformed("an attribute is no number"));
        match (format, trim(name)) {
            (_, b"format") if value == b"java" => {}
            (Format::JavaHeap, b"resolution") => {
                measure.sample_types = vec![(b"inuse_objects", b"count"), (b"inuse_space", value)];
            }
            (Format::JavaContention, b"resolution") => {
                measure.sample_types = vec![(b"contentions", b"count"), (b"delay", value)];
            }
            (Format::JavaContention, b"sampling period") => {
                measure.period_type = (b"contentions", b"count");
                measure.period = number()?;
            }
            (Format::JavaContention, b"ms since reset") => {
                measure.duration_nanos = number()?.wrapping_mul(NANOS_PER_MILLI);
            }
            _ => return Err(Refused::Unrecognized),
        }
    }
    Ok(measure)
}

/// Reads samples up to the first row that is none.
fn samples(format: Format, rows: &mut Rows<'_>, draft: &mut Draft<'_>) -> Result<(), Refused> {
    let period = draft.measure.period;
    loop {
        let before = (rows.rest, rows.number);
        let Some(row) = rows.next(false)? else { break };
        if row.is_empty() {
            continue;
        }
        // The size comes before the count.
        let Some([size, count, stack]) = words_of_sample(row) else {
            (rows.rest, rows.number) = before;
            break;
        };
        if draft.measure.sample_types.is_empty() {
            return Err(rows.malformed("there are samples but no resolution"));
        }
        let number = |digits| {
            let number = numbers::any_base(digits);
            number.ok_or_else(|| rows.malformed("a number is not octal or does not fit in 64 bits"))
        };
        let (count, size) = (number(count)?, number(size)?);
        let (values, block_bytes) = if format == Format::JavaHeap {
            if count == 0 {
                return Err(rows.malformed("there are bytes without objects"));
            }
            let (objects, bytes) = numbers::unsampled(count, size, HEAP_RATE_BYTES);
            ([objects, bytes], Some(size.wrapping_div(count)))
        } else {
            let factor = if period == 0 { 1 } else { period };
            ([count.wrapping_mul(factor), size.wrapping_mul(factor)], None)
        };
        let addresses = numbers::addresses(stack).collect::<Option<Vec<_>>>();
        let addresses = addresses.ok_or_else(|| rows.malformed("an address does not fit in 64 bits"))?;
        draft.push(addresses.into_iter(), &values, block_bytes)?;
    }
    Ok(())
}

/// The profile of a draft whose locations have names after the samples, one in a row: "0xADDRESS FUNCTION (FILE:LINE)".
/// What has a name needs no address.
pub(super) fn named(
    names: &[u8],
    rows_before: u64,
    draft: Draft<'_>,
    limits: &Limits,
) -> Result<Profile<'static>, Refused> {
    let mut rows = Rows {
        rest: names,
        number: rows_before,
        row_bytes_max: limits.message_bytes_max,
    };
    let mut functions: Vec<(&[u8], &[u8])> = Vec::new();
    let mut by_name: HashMap<&[u8], u32> = HashMap::new();
    let mut names = vec![None; draft.addresses().len()];
    while let Some(row) = rows.next(true)? {
        let Some((address, frame)) = words_of_location(row) else {
            continue;
        };
        let address = numbers::hexadecimal(address);
        let address = address.ok_or_else(|| rows.malformed("an address does not fit in 64 bits"))?;
        let Some(name) = draft.find(address).and_then(|index| names.get_mut(index as usize)) else {
            continue;
        };
        let (function, file, line) = frame_of(frame);
        // A function is known by its name alone; its file is the first that was seen.
        let new = place(functions.len())?;
        let index = *by_name.entry(function).or_insert(new);
        if index == new {
            at_most(u64::from(new) + 1, limits.functions_max, "functions")?;
            functions.push((function, file));
        }
        *name = Some((index, line));
    }
    let is_named = |index: u32| names.get(index as usize).copied().flatten().is_some();
    let address_of = |index| if is_named(index) { 0 } else { draft.address(index) };
    let mut code = Code::new(&draft, Vec::new(), address_of)?;
    for location in &mut code.locations {
        // Without names addresses mean nothing in another run either.
        location.address = 0;
    }
    code.functions = functions;
    code.names = names;
    draft.finish(&code)
}

/// Function, file and line of what follows an address.
fn frame_of(frame: &[u8]) -> (&[u8], &[u8], i64) {
    if let Some([function, file, line]) = file_and_line(frame) {
        let line = numbers::decimal(line).filter(|line| *line > 0);
        (function, file, line.unwrap_or(0))
    } else if let Some([function, path]) = path(frame) {
        // A library: which one is enough.
        (function, base(path), 0)
    } else if contains(frame, b"generated stub/JIT") {
        (b"STUB", b"", 0)
    } else {
        // A state of the machine: "GC", "VM".
        (frame, b"", 0)
    }
}

/// Name and value of `([\w ]+)=([\w ]+)`, which may stand anywhere in the row.
fn words_of_attribute(row: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b' ');
    let mut scan = Scan::new(row);
    while !scan.rest().is_empty() {
        let name = scan.run(is_word);
        let has_value = scan.text(b"=").is_some();
        if let Some(value) = Some(scan)
            .filter(|_| has_value && !name.is_empty())
            .and_then(|mut scan| scan.some(is_word))
        {
            return Some((name, value));
        }
        scan.run(|byte| !is_word(byte) && byte != b'=');
    }
    None
}

/// Size, count and stack of ` *(\d+) +(\d+) +@ +([ x0-9a-f]*)`, which may stand anywhere in the row.
fn words_of_sample(row: &[u8]) -> Option<[&[u8]; 3]> {
    first_number(row, |mut scan| {
        scan.maybe(b"-");
        let size = scan.some(|byte| byte.is_ascii_digit())?;
        scan.some(|byte| byte == b' ')?;
        let count = scan.some(|byte| byte.is_ascii_digit())?;
        scan.some(|byte| byte == b' ')?;
        scan.text(b"@")?;
        scan.some(|byte| byte == b' ')?;
        Some([size, count, scan.stack()])
    })
}

/// Address and frame of `^\s*0x([[:xdigit:]]+)\s+(.*)\s*$`.
fn words_of_location(row: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut scan = Scan::new(row);
    scan.run(is_space);
    scan.text(b"0x")?;
    let address = scan.some(|byte| byte.is_ascii_hexdigit())?;
    scan.some(is_space)?;
    Some((address, scan.rest()))
}

/// Function, file and line of `^(.*)\s+\((.+):(-?[[:digit:]]+)\)$`.
fn file_and_line(frame: &[u8]) -> Option<[&[u8]; 3]> {
    let inner = frame.strip_suffix(b")")?;
    let colon = inner.iter().rposition(|byte| *byte == b':')?;
    let (before, line) = inner.split_at_checked(colon)?;
    let mut scan = Scan::new(line.get(1..)?);
    let line = scan.rest();
    scan.maybe(b"-");
    scan.some(|byte| byte.is_ascii_digit())?;
    // The file has one byte at least, which may be a bracket.
    let bracket = last_bracket(before.get(..before.len().checked_sub(1)?)?)?;
    let (function, file) = before.split_at_checked(bracket)?;
    scan.rest()
        .is_empty()
        .then_some([function.get(..function.len() - 1)?, file.get(1..)?, line])
}

/// Function and path of `^(.*)\s+\((.*)\)$`.
fn path(frame: &[u8]) -> Option<[&[u8]; 2]> {
    let inner = frame.strip_suffix(b")")?;
    let (function, path) = inner.split_at_checked(last_bracket(inner)?)?;
    Some([function.get(..function.len() - 1)?, path.get(1..)?])
}

/// Where the last "(" is that follows a space.
fn last_bracket(text: &[u8]) -> Option<usize> {
    let is_bracket = |pair: &[u8]| matches!(pair, [space, b'('] if is_space(*space));
    Some(text.windows(2).rposition(is_bracket)? + 1)
}

/// The last part of a path, as Go's `filepath.Base`.
fn base(path: &[u8]) -> &[u8] {
    if path.is_empty() {
        return b".";
    }
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    match path
        .get(..end)
        .and_then(|path| path.rsplit(|byte| *byte == b'/').next())
    {
        Some([]) | None => b"/",
        Some(base) => base,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scan::tests::{groups, lines};
    use super::*;

    const PARTS: &[&str] = &[
        "1", "20", "-", " ", "\t", " @ ", "@", "0x1f", "0x", "x", "G", "name", "=", "_", "(", ")", ":", "é", " (",
        "a.b", ":7)", "F.java", "\u{b}",
    ];

    proptest! {
        #[test]
        fn rows_are_those_of_the_expressions(row in lines(PARTS)) {
            let attribute = words_of_attribute(&row).map(|(name, value)| vec![name, value]);
            prop_assert_eq!(attribute, groups(r"([\w ]+)=([\w ]+)", &row));
            let sample = words_of_sample(&row).map(Vec::from);
            prop_assert_eq!(sample, groups(r" *(\d+) +(\d+) +@ +([ x0-9a-f]*)", &row));
            // Rows are without the space around them.
            let row = trim(&row);
            let location = words_of_location(row).map(|(address, frame)| vec![address, frame]);
            let pattern = r"\A[\t\n\f\r ]*0x([[:xdigit:]]+)[\t\n\f\r ]+(.*)[\t\n\f\r ]*\z";
            prop_assert_eq!(location, groups(pattern, row));
            let pattern = r"\A(.*)[\t\n\f\r ]+\((.+):(-?[[:digit:]]+)\)\z";
            prop_assert_eq!(file_and_line(row).map(Vec::from), groups(pattern, row));
            let pattern = r"\A(.*)[\t\n\f\r ]+\((.*)\)\z";
            prop_assert_eq!(path(row).map(Vec::from), groups(pattern, row));
        }
    }

    #[test]
    fn the_base_of_a_path_is_gos() {
        for (path, last) in [
            ("", "."),
            ("/", "/"),
            ("//", "/"),
            ("a/b//", "b"),
            ("/lib/x.so", "x.so"),
            ("x", "x"),
        ] {
            assert_eq!(base(path.as_bytes()), last.as_bytes(), "{path}");
        }
    }
}
