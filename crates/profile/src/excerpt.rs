//! A glance at bytes that are not what they should be, fit for a log line.

/// How many bytes tell what a body is. 64: a doctype, an error sentence or a format's magic all show in it, and it
/// is shorter than any profile with a sample.
pub(crate) const HEAD_BYTES: usize = 64;

/// Whether bytes read as text: printable ASCII, white space and whole UTF-8 only.
///
/// No profile begins so: the first message field of one is followed within a few bytes by a tag below 0x20.
pub(crate) fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The head may end inside a character; anything else that is no UTF-8 is no text.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    // White space alone says nothing: a line feed is also the first tag of most profiles.
    !text.trim().is_empty() && text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'))
}

/// The head as one line of printable ASCII: what is not printable becomes a dot, runs of white space one space.
pub(crate) fn one_line(head: &[u8]) -> String {
    let mut line = String::with_capacity(head.len());
    for &byte in head {
        let shown = match byte {
            b'\t' | b'\n' | b'\r' | b' ' => ' ',
            0x21..=0x7e => char::from(byte),
            _ => '.',
        };
        if shown != ' ' || !line.ends_with(' ') {
            line.push(shown);
        }
    }
    line.trim().to_owned()
}
