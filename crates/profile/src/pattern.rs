//! Regular expressions of names, in Go's syntax and with Go's meaning.
//!
//! Profiles carry patterns (their drop and keep frames), and people bring those that they know from pprof. Both are written
//! for Go, whose syntax differs from that of the engine used here in what a brace, a bracket in a class, `\<`, `\d` and
//! others mean. So a pattern is translated, and what Go refuses is refused. Left out, with an error, are Unicode's
//! categories and scripts (`\pL`), for their tables are large and nobody names functions by them.
//!
//! Matching takes time in proportion to the text, whatever the pattern, and a compiled one has a limit.

use std::borrow::Cow;

use regex::bytes::{Regex, RegexBuilder};

mod translate;

use translate::translated;

/// Memory that a compiled pattern may take. 1 MiB: the longest in use, that of the C++ heap profiler, takes 150 KB.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Why a pattern is of no use.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// It is no UTF-8.
    #[error("a pattern must be UTF-8")]
    NotText,
    /// It is not what Go takes for a regular expression.
    #[error("{what} at byte {at} of the pattern")]
    Syntax {
        /// What is wrong.
        what: &'static str,
        /// Where in the pattern.
        at: usize,
    },
    /// It is too large or too deep.
    #[error("the pattern cannot be compiled")]
    Compile(#[from] regex::Error),
}

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern that may match anywhere in a text.
    ///
    /// # Errors
    /// When it is not what Go takes for a regular expression, or too large.
    pub fn new(pattern: &[u8]) -> Result<Self, PatternError> {
        let pattern = std::str::from_utf8(pattern).map_err(|_| PatternError::NotText)?;
        let regex = RegexBuilder::new(&translated(pattern)?)
            .size_limit(PATTERN_BYTES_MAX)
            .build()?;
        Ok(Self { regex })
    }

    /// Compiles a pattern that must match the whole of a text.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn whole(pattern: &[u8]) -> Result<Self, PatternError> {
        // Put together before it is read, as google/pprof does: a pattern with an unpaired parenthesis may be whole then.
        Self::new(&[b"^(".as_slice(), pattern, b")$"].concat())
    }

    /// Whether it matches a text, which need not be UTF-8.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(&as_go_reads(text))
    }
}

/// The text with U+FFFD for each byte that is no UTF-8: so Go sees it, one character a byte.
fn as_go_reads(text: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(text).is_ok() {
        return Cow::Borrowed(text);
    }
    let mut read = Vec::with_capacity(text.len() + 8);
    for chunk in text.utf8_chunks() {
        read.extend_from_slice(chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            read.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    Cow::Owned(read)
}

#[cfg(test)]
mod tests {
    use super::{Pattern, PatternError};

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        for (pattern, text, matches) in [
            ("map[string]", "maps", true),
            ("struct {}", "chan struct {}", true),
            (r"\<init\>", "A.<init>", true),
            (r"^\d$", "٣", false),
            (r"^[[:^digit:]\d[a]$", "[", true),
            (r"[a&&b]", "&", true),
            (r"^\Qa.b(\E+$", "a.b((", true),
            (r"(?i)MALLOC", "malloc", true),
            (r"\bé", "é", false),
            ("^.$", "\u{1f600}", true),
            ("a{,2}", "a{,2}", true),
            ("(?P<a>x)(?<b>y)", "xy", true),
        ] {
            assert_eq!(
                Pattern::new(pattern.as_bytes()).unwrap().is_match(text.as_bytes()),
                matches,
                "{pattern}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_a_character_each() {
        let two = Pattern::new(b"^..$").unwrap();
        assert!(two.is_match(b"\xff\xfe"));
        assert!(two.is_match(b"\xe2\x82"));
        assert!(!two.is_match(b"\xff"));
        assert_eq!(Pattern::new(b"\xff").unwrap_err(), PatternError::NotText);
    }

    #[test]
    fn what_go_refuses_is_refused_with_its_place() {
        for (pattern, at) in [
            ("a**", 2),
            ("*", 0),
            ("(a", 2),
            ("a)", 1),
            ("[a", 2),
            ("[b-a]", 1),
            ("[[:no:]]", 1),
            ("a{1001}", 1),
            ("(a{100}){11}", 8),
            (r"\q", 0),
            (r"\", 0),
            ("(?x)a", 0),
            ("(?P<a>x)(?P<a>y)", 8),
            (r"\pL", 0),
        ] {
            let error = Pattern::new(pattern.as_bytes()).unwrap_err();
            assert!(
                matches!(error, PatternError::Syntax { at: found, .. } if found == at),
                "{pattern}: {error}"
            );
        }
        let large = "(?:(?:a{10}){10}){10}".repeat(50);
        assert!(matches!(Pattern::new(large.as_bytes()), Err(PatternError::Compile(_))));
    }

    #[test]
    fn a_whole_pattern_matches_nothing_less() {
        let whole = Pattern::whole(b"a|b").unwrap();
        assert!(whole.is_match(b"a") && whole.is_match(b"b") && !whole.is_match(b"ab"));
        assert!(Pattern::whole(b"a)|(b").unwrap().is_match(b"ax"));
    }
}
