//! Text for terminals.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A text that terminals only show: what they obey is written as Rust writes it in a string (`\n`, `\u{1b}`).
///
/// Names come out of profiles. A line end would make another row of a name, an escape colour it or move what is there,
/// and what turns the direction of writing show it as another.
pub fn printable(text: &str) -> Cow<'_, str> {
    // Most names are plain, and bytes tell that sooner than characters: all of them, for many are looked at at once.
    let is_plain = |byte| matches!(byte, b'\t' | b' '..=b'~');
    if text.bytes().fold(true, |are_plain, byte| are_plain & is_plain(byte)) || !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_obeyed(c) {
            // Writing to a string does not fail.
            let written = write!(shown, "{}", c.escape_default());
            debug_assert!(written.is_ok());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Controls, of both ranges, but for tabs, which the names of Linux have before a module's; ends of lines and paragraphs; marks, embeddings, overrides and isolates of direction.
fn is_obeyed(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(
            c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_terminals_obey_is_written_out() {
        for (text, shown) in [
            ("main.(*T[...]).run·f é 日本", "main.(*T[...]).run·f é 日本"),
            ("a\n  1s 99% b", "a\\n  1s 99% b"),
            ("nf_find\t[nf]\r\0", "nf_find\t[nf]\\r\\u{0}"),
            ("\u{1b}[31mred\u{9b}0m\u{7f}", "\\u{1b}[31mred\\u{9b}0m\\u{7f}"),
            ("\u{202e}nimda\u{2028}", "\\u{202e}nimda\\u{2028}"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }
}
