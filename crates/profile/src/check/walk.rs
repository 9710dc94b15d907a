//! The top level of a profile, one field at a time as they become whole.

use super::tally::Tally;
use super::tally::{COMMENT, FIELD_MAX, FUNCTION, LOCATION, MAPPING, PERIOD_TYPE, SAMPLE, SAMPLE_TYPE, STRING};
use super::{CheckError, Summary, other_thing};
use crate::excerpt::{HEAD_BYTES, is_text};
use crate::limits::{LimitExceeded, Limits, at_most};
use crate::refusal::Refusal;
use crate::wire::{Cursor, Fault, Value};

/// The buffer at the beginning. 64 KiB: twice deflate's window, so that inflate copies little of it, and two hundred
/// captures at once take 13 MiB.
const BUFFER_BYTES: usize = 64 << 10;

/// Walks the fields of a profile in a buffer that its owner fills.
pub(super) struct Walker {
    tally: Tally,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are filled; they begin with the first field that is not walked yet.
    filled: usize,
    /// Bytes still to come of a field that nobody reads.
    skip: u64,
    /// Where in the uncompressed profile the buffer begins.
    offset: u64,
    /// Uncompressed bytes so far.
    total: u64,
    head: Vec<u8>,
}

/// Where the field at hand ends, and what is in it.
enum Field<'a> {
    Known { number: u64, value: Value<'a>, len: usize },
    Skipped { len: u64 },
    Incomplete,
}

impl Walker {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            tally: Tally::new(limits),
            buffer: vec![0; BUFFER_BYTES],
            filled: 0,
            skip: 0,
            offset: 0,
            total: 0,
            head: Vec::new(),
        }
    }

    /// Where the next uncompressed bytes go. Never empty.
    ///
    /// The buffer doubles only when a field that was found within the limits fills it.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// `written` more bytes are in the space.
    pub(super) fn walk_more(&mut self, written: usize) -> Result<(), CheckError> {
        if written == 0 {
            return Ok(());
        }
        let limit = self.tally.limits().uncompressed_bytes_max;
        let allowed = usize::try_from(limit - self.total).unwrap_or(usize::MAX);
        let taken = written.min(allowed);
        self.filled += taken;
        self.total += taken as u64;
        // The beginning decides between "broken" and "another thing", so it must be there when it is asked for.
        if self.total >= HEAD_BYTES as u64 {
            self.walk()?;
        }
        if taken < written {
            Err(LimitExceeded {
                name: "uncompressed bytes",
                limit,
            }
            .into())
        } else {
            Ok(())
        }
    }

    /// The error for a body that ends here.
    pub(super) fn truncated(&self) -> CheckError {
        CheckError::Truncated {
            uncompressed_bytes: self.total,
        }
    }

    pub(super) fn finish(mut self, bytes: u64, gzip_members: u64) -> Result<Summary, CheckError> {
        self.walk()?;
        if self.total == 0 {
            return Err(CheckError::Empty);
        }
        if self.filled > 0 || self.skip > 0 {
            return Err(if is_text(&self.head) {
                other_thing(&self.head)
            } else {
                self.truncated()
            });
        }
        self.tally.finish(self.total, bytes, gzip_members).map_err(|error| {
            if is_text(&self.head) {
                other_thing(&self.head)
            } else {
                error
            }
        })
    }

    /// Walks what is whole of the buffer and moves the rest to its front.
    fn walk(&mut self) -> Result<(), CheckError> {
        if self.head.is_empty() {
            let head = self.buffer.get(..self.filled.min(HEAD_BYTES)).unwrap_or_default();
            self.head.extend_from_slice(head);
        }
        let mut at = 0;
        let walked = loop {
            let skipped = self.skip.min((self.filled - at) as u64);
            self.skip -= skipped;
            at += skipped as usize;
            // Nearly all there is; what follows it here is one field of another kind, or one that is not whole.
            if self.skip == 0 {
                let filled = self.buffer.get(..self.filled).unwrap_or_default();
                if let Err(refusal) = self.tally.take_messages(filled, &mut at) {
                    break Err(refusal);
                }
            }
            let rest = self.buffer.get(at..self.filled).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match next_field(rest, self.tally.limits()) {
                Ok(Field::Incomplete) => break Ok(()),
                Ok(Field::Skipped { len }) => self.skip = len,
                Ok(Field::Known { number, value, len }) => match self.tally.take(number, value) {
                    Ok(()) => at += len,
                    Err(refusal) => break Err(refusal),
                },
                Err(refusal) => break Err(refusal),
            }
        };
        if let Err(refusal) = walked {
            return Err(self.refused(refusal, self.offset + at as u64));
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        self.offset += at as u64;
        Ok(())
    }

    fn refused(&self, refusal: Refusal, offset: u64) -> CheckError {
        match refusal {
            _ if is_text(&self.head) => other_thing(&self.head),
            Refusal::Limit(limit) => limit.into(),
            // Not even one field: whatever it is, it was never a profile.
            Refusal::Fault(Fault::Bad(_)) if offset == 0 => other_thing(&self.head),
            Refusal::Fault(Fault::Bad(what)) => CheckError::Malformed { what, offset },
            Refusal::Fault(Fault::Short) => self.truncated(),
        }
    }
}

/// The first field of `bytes`. Limits are looked at as soon as its length is known, before its bytes are waited for.
fn next_field<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Field<'a>, Refusal> {
    match read_field(bytes, limits) {
        Err(Refusal::Fault(Fault::Short)) => Ok(Field::Incomplete),
        read => read,
    }
}

fn read_field<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Field<'a>, Refusal> {
    let mut cursor = Cursor::new(bytes);
    let (number, wire_type) = cursor.tag()?;
    let value = match wire_type {
        0 => Value::Varint(cursor.varint()?),
        1 => cursor.take(8).map(|_| Value::Fixed)?,
        5 => cursor.take(4).map(|_| Value::Fixed)?,
        2 => {
            let len = cursor.varint()?;
            match number {
                STRING => at_most(len, limits.string_bytes_max, "bytes in one string")?,
                SAMPLE_TYPE | SAMPLE | MAPPING | LOCATION | FUNCTION | PERIOD_TYPE | COMMENT => {
                    at_most(len, limits.message_bytes_max, "bytes in one message")?;
                }
                1..=FIELD_MAX => return Err(Fault::Bad("a number has the wrong wire type").into()),
                _ => {
                    let header = bytes.len() - cursor.rest().len();
                    return Ok(Field::Skipped {
                        len: len.saturating_add(header as u64),
                    });
                }
            }
            Value::Bytes(cursor.take(len)?)
        }
        _ => return Err(Fault::Bad("a field has an unknown wire type").into()),
    };
    Ok(Field::Known {
        number,
        value,
        len: bytes.len() - cursor.rest().len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a message of which nothing but the header and zeros of padding (as an unknown field) ever come.
    fn buffer_bytes_after(len: u32) -> Result<usize, CheckError> {
        let mut walker = Walker::new(Limits::DEFAULT);
        let mut header = vec![0x12];
        let mut rest = len;
        while rest >= 0x80 {
            header.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        header.push(rest as u8);
        let mut left = len as usize + header.len() - 1;
        let mut written = Some(header);
        while left > 0 {
            let space = walker.space();
            let bytes = space.len().min(left);
            let space = &mut space[..bytes];
            space.fill(0x7f);
            if let Some(header) = written.take() {
                space[..header.len()].copy_from_slice(&header);
            }
            walker.walk_more(bytes)?;
            left -= bytes;
        }
        Ok(walker.buffer.len())
    }

    #[test]
    fn the_buffer_holds_the_largest_message_and_little_more() {
        let largest = Limits::DEFAULT.message_bytes_max as u32;
        assert_eq!(buffer_bytes_after(largest), Ok(2 << 20));
        assert_eq!(buffer_bytes_after(BUFFER_BYTES as u32 / 2), Ok(BUFFER_BYTES));
        let too_large = LimitExceeded {
            name: "bytes in one message",
            limit: u64::from(largest),
        };
        assert_eq!(buffer_bytes_after(largest + 1), Err(CheckError::Limit(too_large)));
    }
}
