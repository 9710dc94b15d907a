//! Where we differ from google/pprof on purpose, in one place.

use profile::parse::{Format, ParseError, Parsed};

/// The differences on purpose between what google/pprof and we make of the same bytes, each with its reason. Nothing else
/// may differ.
pub(crate) fn is_on_purpose(bytes: &[u8], theirs: Result<&[u8], &str>, ours: Result<&Parsed<'_>, &ParseError>) -> bool {
    match (theirs, ours) {
        // A field has no number 0. google/pprof skips it, and so takes a page of zeros for an empty profile.
        (Ok(_), Err(_)) => has_field_zero(bytes),
        // For the same reason it may take a binary CPU profile of gperftools for an empty or senseless profile.proto; it
        // refuses one that then looks like two.
        (Ok(_), Ok(ours)) => ours.format != Format::Proto && has_field_zero(bytes),
        // jemalloc's heap is no format of google/pprof's.
        (Err(_), Ok(ours)) => {
            ours.format == Format::JemallocHeap || (ours.format == Format::Cpu && has_field_zero(bytes))
        }
        (Err(_), Err(_)) => true,
    }
}

/// A message of profile.proto, as far as messages are in it.
#[derive(Clone, Copy)]
enum Message {
    Profile,
    Sample,
    Location,
    Flat,
}

/// Whether bytes that google/pprof takes for a profile.proto have a field numbered 0, in any message.
pub(crate) fn has_field_zero(bytes: &[u8]) -> bool {
    let mut messages = vec![(Message::Profile, bytes)];
    while let Some((message, bytes)) = messages.pop() {
        for (number, value, _) in fields(bytes) {
            let inner = match (message, number) {
                (_, 0) => return true,
                (Message::Profile, 2) => Message::Sample,
                (Message::Profile, 4) => Message::Location,
                (Message::Profile, 1 | 3 | 5 | 11) | (Message::Sample, 3) | (Message::Location, 4) => Message::Flat,
                _ => continue,
            };
            messages.push((inner, value));
        }
    }
    false
}

/// The fields of a message up to the first that is broken: number, bytes if it has any, and length with its tag.
pub(crate) fn fields(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8], usize)> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let before = rest.len();
        let (tag, after) = varint(rest)?;
        let (value, after) = match tag & 7 {
            0 => varint(after).map(|(_, after)| (&b""[..], after)),
            1 => after.split_at_checked(8).map(|(_, after)| (&b""[..], after)),
            2 => varint(after).and_then(|(len, after)| after.split_at_checked(usize::try_from(len).ok()?)),
            5 => after.split_at_checked(4).map(|(_, after)| (&b""[..], after)),
            _ => None,
        }?;
        rest = after;
        Some((tag >> 3, value, before - rest.len()))
    })
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let len = 1 + bytes.iter().take(10).position(|byte| *byte < 0x80)?;
    let (varint, rest) = bytes.split_at_checked(len)?;
    let number = (0..).zip(varint).fold(0, |number, (place, byte)| {
        number | u64::from(byte & 0x7f) << (7 * place)
    });
    Some((number, rest))
}
