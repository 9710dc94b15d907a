//! Why a profile could not be taken.

use planner::Reason;

/// Why a type failed: a code for machines, and what happened, to which target and what to do, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The code.
    pub reason: Reason,
    /// At most [`MESSAGE_BYTES_MAX`] bytes, one line, without control characters.
    pub message: String,
}

/// Longest message: an Event's note holds 1,024 bytes, and the operator puts the type before it.
pub const MESSAGE_BYTES_MAX: usize = 900;

/// How much of what a target said is repeated in a message: enough for the sentence that Go's handlers
/// write, too little to carry a page of somebody's data into an event.
pub(crate) const QUOTE_CHARS_MAX: usize = 200;

impl Failure {
    /// A failure; the message is cut to its limit and stripped of control characters.
    pub fn new(reason: Reason, message: impl AsRef<str>) -> Self {
        Self {
            reason,
            message: printable(message.as_ref(), MESSAGE_BYTES_MAX, usize::MAX),
        }
    }
}

/// Foreign bytes as something that may stand in an event or a log line: valid UTF-8, one line, short.
pub(crate) fn quote(foreign: &[u8]) -> String {
    // Four bytes per character is the most that UTF-8 takes, so no more than that need be looked at.
    let head = &foreign[..foreign.len().min(QUOTE_CHARS_MAX * 4)];
    printable(String::from_utf8_lossy(head).trim(), usize::MAX, QUOTE_CHARS_MAX)
}

fn printable(text: &str, bytes_max: usize, chars_max: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(bytes_max).min(MESSAGE_BYTES_MAX));
    for letter in text.chars().take(chars_max) {
        if clean.len() + letter.len_utf8() > bytes_max {
            break;
        }
        clean.push(if is_plain(letter) { letter } else { ' ' });
    }
    clean
}

/// Control characters, and those that reorder text on a terminal, are not plain.
fn is_plain(letter: char) -> bool {
    let reorders = matches!(letter, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !letter.is_control() && !reorders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_short_line() {
        let failure = Failure::new(
            Reason::UnexpectedStatus,
            format!("a\n\u{1b}[31m\u{202e}{}", "ü".repeat(2_000)),
        );
        assert!(failure.message.len() <= MESSAGE_BYTES_MAX);
        assert!(failure.message.starts_with("a  [31m ü"));
    }

    #[test]
    fn a_quote_is_cut_and_never_invalid() {
        let foreign = [b"\xff<html>\r\n".as_slice(), &vec![b'x'; 5_000]].concat();
        let quoted = quote(&foreign);
        assert_eq!(quoted.chars().count(), QUOTE_CHARS_MAX);
        assert!(quoted.starts_with("\u{fffd}<html>  xxx"));
    }
}
