//! The memory map after the samples: `/proc/self/maps`, or a shorter form of other tools, with some history.

use std::borrow::Cow;

use hashbrown::HashMap;

use super::lines::{Lines, is_map_sentinel, trim};
use super::scan::{Scan, is_space};
use super::{Refused, numbers};
use crate::limits::{LimitExceeded, Limits, at_most};

/// A file in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct MapEntry {
    pub(super) start: u64,
    pub(super) limit: u64,
    pub(super) offset: u64,
    pub(super) file: Vec<u8>,
    pub(super) build_id: Vec<u8>,
}

/// Skips to the memory map and reads it: what may follow the samples of a text.
pub(super) fn after_sections(lines: &mut Lines<'_>, limits: &Limits) -> Result<Vec<MapEntry>, Refused> {
    while !is_map_sentinel(lines.line()) && lines.advance() {}
    lines.refuse_long()?;
    read(lines, limits)
}

/// Reads the entries of all further lines and puts the program's own first. Lines that are no entries are skipped.
pub(super) fn read(lines: &mut Lines<'_>, limits: &Limits) -> Result<Vec<MapEntry>, Refused> {
    let mut attributes = Attributes::new(lines.rest_bytes(), limits);
    let mut entries = Vec::new();
    while lines.advance() {
        let line = attributes.replace(without_log_prefix(lines.line()))?;
        match entry(&line) {
            Line::Entry(entry) => {
                at_most(entries.len() as u64 + 1, limits.mappings_max, "mappings")?;
                entries.push(entry);
            }
            Line::NotExecutable => {}
            Line::Other => {
                if let Some(at) = line.iter().position(|byte| *byte == b'=') {
                    let (name, value) = line.split_at_checked(at).unwrap_or_default();
                    attributes.set(trim(name), trim(value.get(1..).unwrap_or_default()))?;
                }
            }
        }
    }
    lines.refuse_long()?;
    let mut entries = joined(entries);
    if let Some(own) = entries.iter().position(is_program) {
        entries.swap(0, own);
    }
    Ok(entries)
}

enum Line {
    Entry(MapEntry),
    NotExecutable,
    Other,
}

fn entry(line: &[u8]) -> Line {
    let Some(words) = proc_words(line).or_else(|| brief_words(line)) else {
        return Line::Other;
    };
    let Words {
        start,
        limit,
        permissions,
        offset,
        file,
        build_id,
    } = words;
    if !permissions.is_empty() && !permissions.contains(&b'x') {
        return Line::NotExecutable;
    }
    let offset = if offset.is_empty() {
        Some(0)
    } else {
        numbers::hexadecimal(offset)
    };
    match (numbers::hexadecimal(start), numbers::hexadecimal(limit), offset) {
        (Some(start), Some(limit), Some(offset)) => Line::Entry(MapEntry {
            start,
            limit,
            offset,
            file: file.to_vec(),
            build_id: build_id.to_vec(),
        }),
        _ => Line::Other,
    }
}

/// An entry as it is written; what is not there is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Words<'l> {
    start: &'l [u8],
    limit: &'l [u8],
    permissions: &'l [u8],
    offset: &'l [u8],
    file: &'l [u8],
    build_id: &'l [u8],
}

/// `^\s*(?:0x)?([[:xdigit:]]+)[\s-]?\s*(?:0x)?([[:xdigit:]]+):?`: the two numbers, and what follows.
///
/// Where only one number stands, its last digit begins the second. `is_one` asks for that even if there are two, as the
/// expression comes to it when what follows the second is not what it wants.
fn range(line: &[u8], is_one: bool) -> Option<(Words<'_>, Scan<'_>)> {
    let mut scan = Scan::new(line);
    scan.run(is_space);
    let from = hexadecimal(&mut scan)?;
    let mut second = scan;
    second.one(|byte| byte == b'-' || is_space(byte));
    second.run(is_space);
    let limit = hexadecimal(&mut second).filter(|_| !is_one);
    let (start, limit, mut rest) = match limit {
        Some(limit) => (from, limit, second),
        None => {
            let (start, _) = from.split_at_checked(from.len() - 1)?;
            let last = line.get(line.len() - scan.rest().len() - 1..)?;
            let mut second = Scan::new(last);
            (start, hexadecimal(&mut second)?, second)
        }
    };
    rest.maybe(b":");
    let words = Words {
        start,
        limit,
        ..Words::default()
    };
    (!start.is_empty()).then_some((words, rest))
}

/// `(?:0x)?([[:xdigit:]]+)`. The prefix is one only before a digit; alone its zero is the number.
fn hexadecimal<'l>(scan: &mut Scan<'l>) -> Option<&'l [u8]> {
    let is_hex = |byte: u8| byte.is_ascii_hexdigit();
    let mut prefixed = *scan;
    prefixed.maybe(b"0x");
    if let Some(digits) = prefixed.some(is_hex) {
        *scan = prefixed;
        return Some(digits);
    }
    scan.some(is_hex)
}

/// Space and then bytes of a kind, if they are there.
fn word<'l>(scan: &mut Scan<'l>, is: impl Fn(u8) -> bool) -> Option<&'l [u8]> {
    let mut ahead = *scan;
    ahead.some(is_space)?;
    let word = ahead.some(is)?;
    *scan = ahead;
    Some(word)
}

fn is_permission(byte: u8) -> bool {
    matches!(byte, b'-' | b'r' | b'w' | b'x' | b'p')
}

/// An entry of /proc/self/maps: a range, then
/// `(?:\s+([-rwxp]+))?(?:\s+([[:xdigit:]]+))?\s+[[:xdigit:]]+:[[:xdigit:]]+\s+[[:digit:]]+(?:\s+(\S+))?`.
fn proc_words(line: &[u8]) -> Option<Words<'_>> {
    let after = |is_one| range(line, is_one).and_then(|(words, scan)| proc_words_after(words, scan));
    after(false).or_else(|| after(true))
}

fn proc_words_after<'l>(mut words: Words<'l>, mut scan: Scan<'l>) -> Option<Words<'l>> {
    let is_hex = |byte: u8| byte.is_ascii_hexdigit();
    words.permissions = word(&mut scan, is_permission).unwrap_or_default();
    let first = word(&mut scan, is_hex)?;
    // Before the colon it is the device already.
    if scan.rest().first() != Some(&b':') {
        words.offset = first;
        word(&mut scan, is_hex)?;
    }
    scan.text(b":")?;
    scan.some(is_hex)?;
    word(&mut scan, |byte| byte.is_ascii_digit())?;
    words.file = word(&mut scan, |byte| !is_space(byte)).unwrap_or_default();
    Some(words)
}

/// An entry of other tools: a range, then
/// `(?:\s+([-rwxp]+))?(?:\s+(\S+))?(?:\s+\(@([[:xdigit:]]+)\))?(?:\s+([[:xdigit:]]+))?`.
fn brief_words(line: &[u8]) -> Option<Words<'_>> {
    let (mut words, mut scan) = range(line, false)?;
    words.permissions = word(&mut scan, is_permission).unwrap_or_default();
    words.file = word(&mut scan, |byte| !is_space(byte)).unwrap_or_default();
    let mut ahead = scan;
    let mut offset = || {
        ahead.some(is_space)?;
        ahead.text(b"(@")?;
        let offset = ahead.some(|byte| byte.is_ascii_hexdigit())?;
        ahead.text(b")")?;
        Some(offset)
    };
    if let Some(offset) = offset() {
        words.offset = offset;
        scan = ahead;
    }
    words.build_id = word(&mut scan, |byte| byte.is_ascii_hexdigit()).unwrap_or_default();
    Some(words)
}

/// A line without what glog writes before it: "…:LINE] ".
fn without_log_prefix(line: &[u8]) -> &[u8] {
    let message = |line: &'_ [u8]| {
        let bracket = line.iter().position(|byte| matches!(byte, b'[' | b']'))?;
        let (before, after) = line.split_at_checked(bracket)?;
        let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let place = before.get(..before.len() - digits)?.strip_suffix(b":")?;
        let is_space = matches!(after, [b']', b'\t' | b'\n' | 0x0c | b'\r' | b' ', ..]);
        (digits > 0 && !place.is_empty() && is_space).then_some(bracket + 2)
    };
    message(line).and_then(|at| line.get(at..)).unwrap_or(line)
}

/// Neighbours that are one mapping in two parts become one again.
fn joined(entries: Vec<MapEntry>) -> Vec<MapEntry> {
    let mut joined: Vec<MapEntry> = Vec::with_capacity(entries.len());
    for entry in entries {
        match joined.last_mut() {
            Some(last) if is_continued(last, &entry) => {
                last.limit = entry.limit;
                if !entry.file.is_empty() {
                    last.file = entry.file;
                }
                if !entry.build_id.is_empty() {
                    last.build_id = entry.build_id;
                }
            }
            _ => joined.push(entry),
        }
    }
    joined
}

fn is_continued(first: &MapEntry, second: &MapEntry) -> bool {
    let may_be_same = |one: &[u8], other: &[u8]| one.is_empty() || other.is_empty() || one == other;
    let end = first.offset.wrapping_add(first.limit.wrapping_sub(first.start));
    may_be_same(&first.file, &second.file)
        && may_be_same(&first.build_id, &second.build_id)
        && first.limit == second.start
        && (first.offset == 0 || second.offset == 0 || end == second.offset)
}

/// Whether a mapping looks like the program itself: it has a file that is no library and no area of the kernel.
fn is_program(entry: &MapEntry) -> bool {
    let mut file = Vec::with_capacity(entry.file.len());
    let mut rest = entry.file.as_slice();
    while let [first, after @ ..] = rest {
        rest = rest.strip_prefix(b"(deleted)").unwrap_or_else(|| {
            file.push(*first);
            after
        });
    }
    let is_versioned = |part: &[u8]| matches!(part, [b'.', b's', b'o', b'.' | b'_', b'0'..=b'9']);
    match trim(&file) {
        [] | [b'[', ..] => false,
        name => !name.ends_with(b".so") && !name.windows(5).any(is_versioned),
    }
}

/// Values that were named in a line "name=value" and stand in later lines as "$name".
///
/// As in google/pprof the first value of a name stays, and where several names fit the one that came first is meant.
struct Attributes {
    values: Vec<(usize, Vec<u8>)>,
    /// Names by their bytes, from node 0: the next node for a node and a byte.
    nodes: HashMap<(u32, u8), u32>,
    /// For each node the value of the name that ends there.
    ends: Vec<Option<u32>>,
    /// Bytes of names and values that may still be kept, and how many there may be.
    kept_bytes: u64,
    kept_bytes_max: u64,
    /// Bytes that may still be compared with names and written for them. It keeps a map of names in names from
    /// taking more than its own size in time and memory.
    work_bytes: u64,
    work_bytes_max: u64,
}

/// Bytes of work for each byte of the map. 16: a line of 25 bytes, "40000000-50000000: $build", becomes one of 400.
const WORK_PER_BYTE: u64 = 16;

impl Attributes {
    fn new(map_bytes: usize, limits: &Limits) -> Self {
        // What one message may hold is enough for a map of any size in which each line has its name.
        let kept_bytes_max = limits.message_bytes_max;
        let work_bytes_max = kept_bytes_max.saturating_add((map_bytes as u64).saturating_mul(WORK_PER_BYTE));
        Self {
            values: Vec::new(),
            nodes: HashMap::new(),
            ends: vec![None],
            kept_bytes: kept_bytes_max,
            kept_bytes_max,
            work_bytes: work_bytes_max,
            work_bytes_max,
        }
    }

    fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refused> {
        let bytes = (name.len() + value.len()) as u64;
        self.kept_bytes = self.kept_bytes.checked_sub(bytes).ok_or(LimitExceeded {
            name: "bytes of attributes",
            limit: self.kept_bytes_max,
        })?;
        let mut node = 0;
        for byte in name {
            // Nodes are fewer than the bytes of names.
            let new = self.ends.len() as u32;
            node = *self.nodes.entry((node, *byte)).or_insert(new);
            if node == new {
                self.ends.push(None);
            }
        }
        if let Some(end @ None) = self.ends.get_mut(node as usize) {
            *end = Some(self.values.len() as u32);
            self.values.push((name.len(), value.to_vec()));
        }
        Ok(())
    }

    fn work(&mut self, bytes: usize) -> Result<(), Refused> {
        self.work_bytes = self.work_bytes.checked_sub(bytes as u64).ok_or(LimitExceeded {
            name: "bytes of expanded attributes",
            limit: self.work_bytes_max,
        })?;
        Ok(())
    }

    /// The line with values in place of their names.
    fn replace<'l>(&mut self, line: &'l [u8]) -> Result<Cow<'l, [u8]>, Refused> {
        if self.values.is_empty() || !line.contains(&b'$') {
            return Ok(Cow::Borrowed(line));
        }
        let mut replaced = Vec::new();
        let mut rest = line;
        while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
            let (before, from) = rest.split_at_checked(at).unwrap_or_default();
            replaced.extend_from_slice(before);
            let after = from.get(1..).unwrap_or_default();
            let (first, steps) = self.first_name(after);
            self.work(steps)?;
            rest = match first.and_then(|index| self.values.get(index as usize)) {
                Some((name_bytes, value)) => {
                    replaced.extend_from_slice(value);
                    after.get(*name_bytes..).unwrap_or_default()
                }
                None => {
                    replaced.push(b'$');
                    after
                }
            };
            // What was written for this name, counted when the next is found or the line ends.
            at_most(replaced.len() as u64, self.kept_bytes_max, "bytes in one line")?;
        }
        replaced.extend_from_slice(rest);
        self.work(replaced.len())?;
        Ok(Cow::Owned(replaced))
    }

    /// Of the names that `text` begins with the one that was set first, and how many bytes were compared.
    fn first_name(&self, text: &[u8]) -> (Option<u32>, usize) {
        let mut node = 0;
        let mut first = self.ends.first().copied().flatten();
        for (steps, byte) in text.iter().enumerate() {
            match self.nodes.get(&(node, *byte)) {
                Some(next) => node = *next,
                None => return (first, steps + 1),
            }
            let end = self.ends.get(node as usize).copied().flatten();
            first = match (first, end) {
                (Some(first), Some(end)) => Some(first.min(end)),
                (first, end) => first.or(end),
            };
        }
        (first, text.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scan::tests::{groups, lines};
    use super::*;

    const PARTS: &[&str] = &[
        "0",
        "0x",
        "1f",
        "400000",
        "-",
        " ",
        "\t",
        ":",
        "r-xp",
        "x",
        "p",
        "/bin/a",
        "(@",
        ")",
        "(@10)",
        "fd:01",
        " 12",
        " fd:01 12",
        "G",
        "\u{b}",
        "a",
        "]",
        "[",
        ":7] ",
    ];

    const RANGE: &str = r"\A[\t\n\f\r ]*(?:0x)?([[:xdigit:]]+)[\t\n\f\r -]?[\t\n\f\r ]*(?:0x)?([[:xdigit:]]+):?";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn entries_are_those_of_the_expressions(line in lines(PARTS)) {
            let proc = proc_words(&line).map(|words| {
                vec![words.start, words.limit, words.permissions, words.offset, words.file]
            });
            let pattern = format!(
                "{RANGE}{}{}",
                r"(?:[\t\n\f\r ]+([-rwxp]+))?(?:[\t\n\f\r ]+([[:xdigit:]]+))?[\t\n\f\r ]+[[:xdigit:]]+:[[:xdigit:]]+",
                r"[\t\n\f\r ]+[[:digit:]]+(?:[\t\n\f\r ]+([^\t\n\f\r ]+))?",
            );
            prop_assert_eq!(proc, groups(&pattern, &line));
            let brief = brief_words(&line).map(|words| {
                vec![words.start, words.limit, words.permissions, words.file, words.offset, words.build_id]
            });
            let pattern = format!(
                "{RANGE}{}{}",
                r"(?:[\t\n\f\r ]+([-rwxp]+))?(?:[\t\n\f\r ]+([^\t\n\f\r ]+))?",
                r"(?:[\t\n\f\r ]+\(@([[:xdigit:]]+)\))?(?:[\t\n\f\r ]+([[:xdigit:]]+))?",
            );
            prop_assert_eq!(brief, groups(&pattern, &line));
            let prefix = groups(r"\A([^\[\]]+:[0-9]+\][\t\n\f\r ])", &line).map_or(0, |groups| groups[0].len());
            prop_assert_eq!(without_log_prefix(&line), &line[prefix..]);
        }
    }
}
