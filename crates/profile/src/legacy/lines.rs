//! Lines of a text, cut exactly as Go's `bufio.Scanner` cuts them.

use super::Refused;

/// Bytes of a line and its end that Go's scanner holds at most. google/pprof refuses a text with a longer line.
pub(super) const LINE_BYTES_MAX: usize = 64 << 10;

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// A line was too long. Asked again, the scanner gives what it holds of it, then nothing more.
    TooLong,
    Ended,
}

/// A place in a text: the line at hand, and what comes after it.
#[derive(Debug, Clone)]
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    line: &'a [u8],
    number: u64,
    state: State,
    is_too_long: bool,
}

impl<'a> Lines<'a> {
    /// Before the first line.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            rest: text,
            line: &[],
            number: 0,
            state: State::Reading,
            is_too_long: false,
        }
    }

    /// Goes to the next line. False at the end and at a line that is too long: the line at hand is empty then.
    pub(super) fn advance(&mut self) -> bool {
        self.line = &[];
        match self.state {
            State::Ended => return false,
            State::TooLong => {
                self.state = State::Ended;
                self.line = without_return(self.rest);
                self.rest = &[];
                return true;
            }
            State::Reading => {}
        }
        let held = self.rest.get(..LINE_BYTES_MAX).unwrap_or(self.rest);
        let (line, rest) = match held.iter().position(|byte| *byte == b'\n') {
            Some(end) => (held.get(..end), self.rest.get(end + 1..)),
            None if held.len() == LINE_BYTES_MAX => {
                self.state = State::TooLong;
                self.is_too_long = true;
                self.rest = held;
                return false;
            }
            None if held.is_empty() => {
                self.state = State::Ended;
                return false;
            }
            None => (Some(held), None),
        };
        self.line = without_return(line.unwrap_or_default());
        self.rest = rest.unwrap_or_default();
        self.number += 1;
        true
    }

    /// The line at hand, without its end.
    pub(super) fn line(&self) -> &'a [u8] {
        self.line
    }

    /// Whether a line was too long.
    pub(super) fn is_too_long(&self) -> bool {
        self.is_too_long
    }

    /// Errs when a line was too long.
    pub(super) fn refuse_long(&self) -> Result<(), Refused> {
        if self.is_too_long {
            Err(self.malformed("the next line is longer than 65,535 bytes"))
        } else {
            Ok(())
        }
    }

    /// The refusal of a text whose first line of content never came. Too long a one stops the search, as in google/pprof.
    pub(super) fn nothing(&self) -> Refused {
        if self.is_too_long {
            Refused::Nothing
        } else {
            Refused::Unrecognized
        }
    }

    /// The error of a text that is malformed at the line at hand.
    pub(super) fn malformed(&self, what: &'static str) -> Refused {
        Refused::Malformed {
            what,
            line: self.number,
        }
    }

    /// Bytes after the line at hand.
    pub(super) fn rest_bytes(&self) -> usize {
        self.rest.len()
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A text without the white space around it: all of Unicode's, as Go's `TrimSpace` has it.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    // What of Unicode's white space takes more than one byte.
    const WIDE: [&str; 19] = [
        "\u{85}", "\u{a0}", "\u{1680}", "\u{2000}", "\u{2001}", "\u{2002}", "\u{2003}", "\u{2004}", "\u{2005}",
        "\u{2006}", "\u{2007}", "\u{2008}", "\u{2009}", "\u{200a}", "\u{2028}", "\u{2029}", "\u{202f}", "\u{205f}",
        "\u{3000}",
    ];
    let is_narrow = |byte: &u8| matches!(byte, b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | b' ');
    loop {
        let wide = || WIDE.iter().find_map(|space| text.strip_prefix(space.as_bytes()));
        text = match text {
            [first, rest @ ..] if is_narrow(first) => rest,
            [0xc2 | 0xe1..=0xe3, ..] => match wide() {
                Some(rest) => rest,
                None => break,
            },
            _ => break,
        };
    }
    loop {
        let wide = || WIDE.iter().find_map(|space| text.strip_suffix(space.as_bytes()));
        text = match text {
            [rest @ .., last] if is_narrow(last) => rest,
            [.., 0x80..=0xbf] => match wide() {
                Some(rest) => rest,
                None => break,
            },
            _ => break,
        };
    }
    text
}

/// Whether a line says nothing.
pub(super) fn is_blank_or_comment(line: &[u8]) -> bool {
    matches!(trim(line), [] | [b'#', ..])
}

/// Whether a text holds another.
pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Whether a line announces the memory map.
pub(super) fn is_map_sentinel(line: &[u8]) -> bool {
    contains(line, b"--- Memory map: ---") || contains(line, b"MAPPED_LIBRARIES:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> (Vec<Vec<u8>>, bool) {
        let mut lines = Lines::new(text);
        let mut all = Vec::new();
        while lines.advance() {
            all.push(lines.line().to_vec());
        }
        (all, lines.is_too_long())
    }

    #[test]
    fn lines_end_as_gos_scanner_ends_them() {
        assert_eq!(all(b""), (vec![], false));
        assert_eq!(all(b"\n"), (vec![b"".to_vec()], false));
        assert_eq!(
            all(b"a\r\nb\n\nc\r"),
            (vec![b"a".to_vec(), b"b".to_vec(), b"".to_vec(), b"c".to_vec()], false)
        );
        let longest = vec![b'a'; LINE_BYTES_MAX - 1];
        assert_eq!(all(&longest), (vec![longest.clone()], false));
        let mut ended = longest.clone();
        ended.push(b'\n');
        assert_eq!(all(&ended), (vec![longest], false));
        // Full is too long, whatever would come next.
        let mut longer = vec![b'a'; LINE_BYTES_MAX];
        assert_eq!(all(&longer), (vec![], true));
        longer.extend(b"\nb\n");
        let mut lines = Lines::new(&longer);
        assert!(!lines.advance() && lines.is_too_long());
        // And once more what the scanner holds, as Go's.
        assert!(lines.advance());
        assert_eq!(lines.line().len(), LINE_BYTES_MAX);
        assert!(!lines.advance());
    }

    #[test]
    fn white_space_is_unicodes() {
        assert_eq!(
            trim("\u{85}\u{2003} a\u{3000}b \u{a0}\r".as_bytes()),
            "a\u{3000}b".as_bytes()
        );
        assert_eq!(trim(b"\xa0a\x85"), b"\xa0a\x85");
        assert_eq!(trim(b" \xe3\x80"), b"\xe3\x80");
        assert!(is_blank_or_comment("\u{2028}# a".as_bytes()));
        assert!(is_blank_or_comment(b""));
        assert!(!is_blank_or_comment(b"a #"));
    }
}
