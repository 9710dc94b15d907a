//! A line, part by part: what the regular expressions of google/pprof find in it.
//!
//! They are expressions that rarely have a choice: after a number comes what is no digit. So each is a chain of steps
//! here, which takes no more time than the line is long, whatever is in it. The tests hold each chain to the expression
//! that it stands for.

/// Count and size, in use and allocated in all.
pub(super) type Counts<'a> = [&'a [u8]; 4];

/// A place in a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    /// At the beginning of a text.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// What follows.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// All bytes that are of a kind: none, perhaps.
    pub(super) fn run(&mut self, is: impl Fn(u8) -> bool) -> &'a [u8] {
        let len = self.rest.iter().take_while(|byte| is(**byte)).count();
        let (run, rest) = self.rest.split_at_checked(len).unwrap_or_default();
        self.rest = rest;
        run
    }

    /// One byte of a kind or more.
    pub(super) fn some(&mut self, is: impl Fn(u8) -> bool) -> Option<&'a [u8]> {
        Some(self.run(is)).filter(|run| !run.is_empty())
    }

    /// One byte of a kind, if it is there.
    pub(super) fn one(&mut self, is: impl Fn(u8) -> bool) {
        if let [first, rest @ ..] = self.rest
            && is(*first)
        {
            self.rest = rest;
        }
    }

    /// This text.
    pub(super) fn text(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// This text, if it is there.
    pub(super) fn maybe(&mut self, text: &[u8]) {
        self.rest = self.rest.strip_prefix(text).unwrap_or(self.rest);
    }

    /// Spaces, perhaps, and then this text.
    pub(super) fn spaced(&mut self, text: &[u8]) -> Option<()> {
        self.run(|byte| byte == b' ');
        self.text(text)
    }

    /// Spaces, perhaps, and then a number without a sign.
    pub(super) fn number(&mut self) -> Option<&'a [u8]> {
        self.run(|byte| byte == b' ');
        self.some(|byte| byte.is_ascii_digit())
    }

    /// Spaces, perhaps, and then a number, perhaps with a minus.
    pub(super) fn signed(&mut self) -> Option<&'a [u8]> {
        self.run(|byte| byte == b' ');
        let before = self.rest;
        self.maybe(b"-");
        self.some(|byte| byte.is_ascii_digit())?;
        before.get(..before.len() - self.rest.len())
    }

    /// "COUNT: SIZE [COUNT: SIZE]", as heaps have it; the first two may be negative where `is_signed`.
    pub(super) fn counts(&mut self, is_signed: bool) -> Option<Counts<'a>> {
        let count = if is_signed { self.signed() } else { self.number() }?;
        self.text(b":")?;
        let size = if is_signed { self.signed() } else { self.number() }?;
        self.spaced(b"[")?;
        let all_count = self.number()?;
        self.text(b":")?;
        let all_size = self.number()?;
        self.spaced(b"]")?;
        Some([count, size, all_count, all_size])
    }

    /// Addresses with what is between them.
    pub(super) fn stack(&mut self) -> &'a [u8] {
        self.run(|byte| matches!(byte, b' ' | b'x' | b'0'..=b'9' | b'a'..=b'f'))
    }
}

/// Space, as `\s` of Go's expressions.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

/// What `scan` makes of the text after the first `mark` after which it makes something.
pub(super) fn first_after<'a, T>(
    text: &'a [u8],
    mark: &[u8],
    mut scan: impl FnMut(Scan<'a>) -> Option<T>,
) -> Option<T> {
    let tails = (0..text.len()).filter_map(|at| text.get(at..)?.strip_prefix(mark));
    tails.into_iter().find_map(|tail| scan(Scan::new(tail)))
}

/// What `scan` makes of the text from the first number on from which it makes something. A minus is part of its number.
pub(super) fn first_number<'a, T>(text: &'a [u8], mut scan: impl FnMut(Scan<'a>) -> Option<T>) -> Option<T> {
    let mut place = Scan::new(text);
    loop {
        place.run(|byte| byte != b'-' && !byte.is_ascii_digit());
        if place.rest.is_empty() {
            return None;
        }
        if let Some(found) = scan(place) {
            return Some(found);
        }
        place.maybe(b"-");
        place.run(|byte| byte.is_ascii_digit());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use proptest::prelude::*;
    use regex::bytes::Regex;

    /// Lines of the alphabet of an expression, most of which it nearly matches.
    pub(in crate::legacy) fn lines(parts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(parts), 0..24).prop_map(|parts| parts.concat().into_bytes())
    }

    /// The groups of the first match of an expression; those that take no part are empty.
    pub(in crate::legacy) fn groups<'t>(pattern: &str, text: &'t [u8]) -> Option<Vec<&'t [u8]>> {
        // To make one takes longer than to ask it.
        static MADE: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
        let make = || Regex::new(&format!("(?-u){pattern}")).unwrap();
        let expression = MADE
            .lock()
            .unwrap()
            .entry(pattern.to_owned())
            .or_insert_with(make)
            .clone();
        let found = expression.captures(text)?;
        let groups = found.iter().skip(1);
        Some(
            groups
                .map(|group| group.map_or(&b""[..], |group| group.as_bytes()))
                .collect(),
        )
    }
}
