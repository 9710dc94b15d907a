//! Fields as nearly every writer writes them, from words of eight bytes.

use super::{CONTINUES, Fault, Fields, count_packed};

/// A message among other bytes, those of the profile that come after it.
///
/// Whoever may look past the end need not ask at every byte whether it is the last.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(super) onward: &'a [u8],
    /// How many bytes come after the message.
    pub(super) after: usize,
}

impl<'a> Message<'a> {
    /// The first `len` bytes, if there are as many.
    #[inline(always)]
    pub(crate) fn new(onward: &'a [u8], len: u64) -> Option<Self> {
        let after = (onward.len() as u64).checked_sub(len)?;
        Some(Self {
            onward,
            after: after as usize,
        })
    }

    #[inline(always)]
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.onward.get(..self.onward.len() - self.after).unwrap_or_default()
    }

    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.onward.len() - self.after
    }

    /// How many varints are packed in it.
    #[inline(always)]
    pub(crate) fn count_varints(self) -> Result<u64, Fault> {
        self.count_short_varints()
            .map_or_else(|| count_packed(self.bytes()), Ok)
    }

    /// The same where all are short.
    #[inline(always)]
    fn count_short_varints(self) -> Option<u64> {
        // So that no lane of the counter below overflows.
        const BYTES_MAX: usize = 255 * 8;
        let packed = self.bytes();
        if packed.len() > BYTES_MAX {
            return None;
        }
        let (words, tail) = packed.as_chunks::<8>();
        let (mut counts, mut ended) = (0, CONTINUES);
        let mut add = |ends: u64, beyond: u64| {
            counts += ends >> 7;
            let ends = ends | beyond;
            let ends = ends | ends >> 16;
            ended &= ends | ends >> 8;
        };
        for word in words {
            add(!u64::from_le_bytes(*word) & CONTINUES, 0);
        }
        let beyond = u64::MAX << (8 * tail.len());
        let last = self.onward.get(words.len() * 8..)?.first_chunk()?;
        add(!u64::from_le_bytes(*last) & CONTINUES & !beyond, beyond);
        // With an end in each half of each word, no varint has more than seven bytes.
        let is_short = ended & 0x0000_0080_0000_0080 == 0x0000_0080_0000_0080;
        (is_short && packed.last().is_none_or(|last| *last < 0x80)).then(|| {
            let pairs = (counts & 0x00ff_00ff_00ff_00ff) + (counts >> 8 & 0x00ff_00ff_00ff_00ff);
            pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48
        })
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    #[inline(always)]
    fn from(bytes: &'a [u8]) -> Self {
        Self {
            onward: bytes,
            after: 0,
        }
    }
}

/// Reads fields for as long as they are the ones expected, and short. It stops before the first that is not and does not
/// ask why: [`Fields`] goes on from there.
#[derive(Clone, Copy)]
pub(crate) struct Glance<'a> {
    rest: Message<'a>,
}

impl<'a> Glance<'a> {
    #[inline(always)]
    pub(crate) fn new(message: Message<'a>) -> Self {
        Self { rest: message }
    }

    /// The bytes of the message that were not read.
    #[inline(always)]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest.bytes()
    }

    /// Whether all of the message was read.
    #[inline(always)]
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.len() == 0
    }

    /// What to say of an error in the field that was read last. [`Fields`] read the tag after a field before anybody looks at
    /// the field, so a fault of the tag comes first.
    #[cold]
    pub(crate) fn fault<E: From<Fault>>(self, error: E) -> E {
        Fields::new(self.rest()).err().map_or(error, E::from)
    }

    /// Reads those of the numbers with these tags that come next, in this order.
    #[inline(always)]
    pub(crate) fn numbers<const N: usize>(&mut self, tags: [u8; N], numbers: &mut [u64; N]) {
        for (tag, number) in tags.into_iter().zip(numbers) {
            if let Some(found) = self.number(tag) {
                *number = found;
            }
        }
    }

    /// The number of the next field, if it has this tag.
    #[inline(always)]
    pub(crate) fn number(&mut self, tag: u8) -> Option<u64> {
        let (number, len) = varint(self.word(tag)?)?;
        self.advance(len)?;
        Some(number)
    }

    /// The message of the next field, if it has this tag.
    #[inline(always)]
    pub(crate) fn message(&mut self, tag: u8) -> Option<Message<'a>> {
        let (len, header) = short_varint(self.word(tag)?)?;
        let message = Message::new(self.rest.onward.get(header..)?, len)?;
        // What comes after it begins with the rest of the message that it is in.
        if message.after < self.rest.after {
            return None;
        }
        self.rest.onward = message.onward.get(message.len()..)?;
        Some(message)
    }

    /// The tag and the message of the next field, if it is one.
    #[inline(always)]
    pub(crate) fn tagged_message(&mut self) -> Option<(u8, Message<'a>)> {
        let word = u64::from_le_bytes(*self.rest.onward.first_chunk()?);
        let tag = word as u8;
        // One byte, with the wire type of a message.
        (tag & 0x87 == 2).then_some(())?;
        Some((tag, self.message(tag)?))
    }

    /// The next eight bytes, if they begin with this tag.
    #[inline(always)]
    fn word(&self, tag: u8) -> Option<u64> {
        let word = u64::from_le_bytes(*self.rest.onward.first_chunk()?);
        (word as u8 == tag).then_some(word)
    }

    /// Steps over bytes, if the message has as many.
    #[inline(always)]
    fn advance(&mut self, bytes: usize) -> Option<()> {
        let onward = self.rest.onward.get(bytes..)?;
        if onward.len() < self.rest.after {
            return None;
        }
        self.rest.onward = onward;
        Some(())
    }
}

/// The varint after a tag, and how many bytes both have; `None` for more than these eight.
#[inline(always)]
fn varint(word: u64) -> Option<(u64, usize)> {
    short_varint(word).or_else(|| long_varint(word))
}

/// A varint of one or two bytes.
///
/// A branch for each length: a field has the same one nearly always, so processors foresee it.
#[inline(always)]
fn short_varint(word: u64) -> Option<(u64, usize)> {
    if word & 0x8000 == 0 {
        Some((word >> 8 & 0x7f, 2))
    } else if word & 0x80_0000 == 0 {
        Some((word >> 8 & 0x7f | word >> 9 & 0x3f80, 3))
    } else {
        None
    }
}

/// A varint of any length up to seven bytes.
#[inline(always)]
fn long_varint(word: u64) -> Option<(u64, usize)> {
    let ends = !word & 0x8080_8080_8080_8000;
    // One less takes the lowest bit away and sets all below it.
    let sevens = word & (ends ^ ends.checked_sub(1)?) & 0x7f7f_7f7f_7f7f_7f00;
    let fourteens = (sevens & 0x7f00_7f00_7f00_7f00) >> 1 | sevens & 0x007f_007f_007f_007f;
    let twenty_eights = (fourteens & 0x3fff_0000_3fff_0000) >> 2 | fourteens & 0x0000_3fff_0000_3fff;
    let number = (twenty_eights & 0x0fff_ffff_0000_0000) >> 4 | twenty_eights & 0x0fff_ffff;
    // Of the tag's byte seven bits are left, none of them set.
    Some((number >> 7, ends.trailing_zeros() as usize / 8 + 1))
}
