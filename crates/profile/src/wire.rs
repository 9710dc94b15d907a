//! The wire form of protocol buffers, as google/pprof reads it.
//!
//! Wire types 0, 1, 2 and 5; a varint has at most ten bytes and what does not fit in 64 bits of it is dropped;
//! unknown fields are skipped. One difference is on purpose: google/pprof skips a field numbered 0, which the
//! format forbids, and so takes a file of zeros for an empty profile; here it is an error.

mod batch;
mod glance;

pub(crate) use batch::Batch;
#[cfg(test)]
pub(crate) use batch::levels;
pub(crate) use glance::{Glance, Message};

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The bytes end inside a field. More of them may mend it.
    Short,
    /// No further bytes can mend it.
    Bad(&'static str),
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire types 1 and 5, which no field of a profile has.
    Fixed,
    /// Wire type 2.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The number of a field that holds one.
    #[inline]
    pub(crate) fn varint(self) -> Result<u64, Fault> {
        match self {
            Value::Varint(value) => Ok(value),
            Value::Fixed | Value::Bytes(_) => Err(Fault::Bad("a number has the wrong wire type")),
        }
    }

    /// The bytes of a field that holds a message or a string.
    #[inline]
    pub(crate) fn bytes(self) -> Result<&'a [u8], Fault> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Varint(_) | Value::Fixed => Err(Fault::Bad("a message or string has the wrong wire type")),
        }
    }
}

/// A place in a slice of wire bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the beginning of `bytes`.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all was read.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next varint.
    ///
    /// A branch for each length up to four bytes, at every place that reads one: a field has the same length nearly
    /// always, so processors foresee them.
    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, Fault> {
        let seven = |byte: u8| u64::from(byte & 0x7f);
        match self.rest {
            [first, rest @ ..] if *first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*first))
            }
            [first, second, rest @ ..] if *second < 0x80 => {
                self.rest = rest;
                Ok(seven(*first) | u64::from(*second) << 7)
            }
            [first, second, third, rest @ ..] if *third < 0x80 => {
                self.rest = rest;
                Ok(seven(*first) | seven(*second) << 7 | u64::from(*third) << 14)
            }
            [first, second, third, fourth, rest @ ..] if *fourth < 0x80 => {
                self.rest = rest;
                Ok(seven(*first) | seven(*second) << 7 | seven(*third) << 14 | u64::from(*fourth) << 21)
            }
            _ => {
                let (value, rest) = long_varint(self.rest)?;
                self.rest = rest;
                Ok(value)
            }
        }
    }

    /// The bytes that come next, after their length.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.varint()?;
        self.take(len)
    }

    /// The message that comes next, after its length.
    #[inline(always)]
    pub(crate) fn message(&mut self) -> Result<Message<'a>, Fault> {
        let len = self.varint()?;
        let message = Message::new(self.rest, len).ok_or(Fault::Short)?;
        self.rest = self.rest.get(message.len()..).ok_or(Fault::Short)?;
        Ok(message)
    }

    /// Steps over the value of a field that has none of these tags: one that the message does not know, or a mistake.
    pub(crate) fn skip(&mut self, tag: u64, known: Tags) -> Result<(), Fault> {
        if tag >> 3 == 0 {
            return Err(Fault::Bad("a field has the number 0"));
        }
        // Three bits fit.
        let value = self.value((tag & 7) as u8)?;
        match u8::try_from(tag & !7) {
            Ok(number @ 0..0x80) if known.has(number) => value.varint().map(drop),
            Ok(number @ 0..0x80) if known.has(number | 2) => value.bytes().map(drop),
            _ => Ok(()),
        }
    }

    /// The next `len` bytes.
    #[inline]
    pub(crate) fn take(&mut self, len: u64) -> Result<&'a [u8], Fault> {
        let len = usize::try_from(len).map_err(|_| Fault::Short)?;
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Fault::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next tag: field number and wire type.
    #[inline(always)]
    pub(crate) fn tag(&mut self) -> Result<(u64, u8), Fault> {
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Fault::Bad("a field has the number 0"));
        }
        // Three bits fit.
        Ok((number, (tag & 7) as u8))
    }

    #[inline(always)]
    fn value(&mut self, wire_type: u8) -> Result<Value<'a>, Fault> {
        Ok(match wire_type {
            0 => Value::Varint(self.varint()?),
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(len)?)
            }
            1 => self.take(8).map(|_| Value::Fixed)?,
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Fault::Bad("a field has an unknown wire type")),
        })
    }
}

/// A varint of any length, and what follows it.
///
/// What is not inlined takes a place by value and gives the next one back: where a pointer to a [`Cursor`] is handed over,
/// it lives in memory instead of registers, which was a tenth more instructions over the whole decoder.
#[inline(never)]
fn long_varint(bytes: &[u8]) -> Result<(u64, &[u8]), Fault> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(*byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Ok((value, bytes.get(index + 1..).unwrap_or_default()));
        }
    }
    if bytes.len() >= 10 {
        Err(Fault::Bad("a varint is longer than ten bytes"))
    } else {
        Err(Fault::Short)
    }
}

/// The fields of a message that is here as a whole, for one who expects them in their order.
///
/// Writers number their fields upwards, so a reader that asks for one after the other and then begins again finds them all
/// in one round, without a jump that depends on what was read.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    cursor: Cursor<'a>,
    /// Of the field whose value comes next; [`END`] after the last.
    tag: u8,
}

/// A tag that no field has: its number would be 0.
const END: u8 = 0;

/// The tags that a message knows, all below 128: no message of a profile knows a field above 15.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tags(u128);

impl Tags {
    pub(crate) const fn new(tags: &[u8]) -> Self {
        let (mut bits, mut index) = (1 << END, 0);
        while index < tags.len() {
            bits |= 1 << tags[index];
            index += 1;
        }
        Self(bits)
    }

    const fn has(self, tag: u8) -> bool {
        self.0 >> tag & 1 == 1
    }
}

impl<'a> Fields<'a> {
    #[inline(always)]
    pub(crate) fn new(message: &'a [u8]) -> Result<Self, Fault> {
        let mut fields = Self {
            cursor: Cursor::new(message),
            tag: END,
        };
        fields.advance()?;
        Ok(fields)
    }

    /// Whether this is the tag of the next field, whose value the caller then takes.
    #[inline(always)]
    pub(crate) fn is(&self, tag: u8) -> bool {
        self.tag == tag
    }

    /// Whether there was a last field.
    #[inline(always)]
    pub(crate) fn is_at_end(&self) -> bool {
        self.tag == END
    }

    /// The value of a field that is a number.
    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, Fault> {
        let value = self.cursor.varint()?;
        self.advance()?;
        Ok(value)
    }

    /// The value of a field that is a message, a string or packed numbers.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let bytes = self.cursor.bytes()?;
        self.advance()?;
        Ok(bytes)
    }

    /// Steps over a field that has none of these tags: one that the message does not know, or a mistake.
    #[inline(always)]
    pub(crate) fn skip_unknown(&mut self, known: Tags) -> Result<(), Fault> {
        if known.has(self.tag) {
            return Ok(());
        }
        *self = self.skip(known)?;
        Ok(())
    }

    #[inline(never)]
    fn skip(mut self, known: Tags) -> Result<Self, Fault> {
        self.cursor.skip(self.tag.into(), known)?;
        self.advance()?;
        Ok(self)
    }

    #[inline(always)]
    fn advance(&mut self) -> Result<(), Fault> {
        match self.cursor.rest {
            [] => self.tag = END,
            [tag, rest @ ..] if (1 << 3..0x80).contains(tag) => {
                self.cursor.rest = rest;
                self.tag = *tag;
            }
            _ => *self = self.advance_far()?,
        }
        Ok(())
    }

    /// To the next tag that is below 128, however it is written.
    #[cold]
    fn advance_far(mut self) -> Result<Self, Fault> {
        while !self.cursor.is_empty() {
            let (number, wire_type) = self.cursor.tag()?;
            if let Ok(number @ 0..0x10) = u8::try_from(number) {
                self.tag = number << 3 | wire_type;
                return Ok(self);
            }
            self.cursor.value(wire_type)?;
        }
        self.tag = END;
        Ok(self)
    }
}

/// Inside a whole message, bytes that are missing are missing for ever.
pub(crate) fn whole(fault: Fault) -> Fault {
    match fault {
        Fault::Short => Fault::Bad("a field is longer than the message around it"),
        Fault::Bad(what) => Fault::Bad(what),
    }
}

/// The bit of each byte of a word that says that the varint goes on.
pub(crate) const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// Counts the varints of a packed field without decoding them.
///
/// Eight bytes at a time: a varint ends at each byte below 0x80, so counting is counting those, and a varint is too
/// long where ten bytes in a row continue, which two neighbouring words tell by their ends.
fn count_packed(packed: &[u8]) -> Result<u64, Fault> {
    const TOO_LONG: Fault = Fault::Bad("a varint is longer than ten bytes");
    let Some(last) = packed.last() else { return Ok(0) };
    if *last >= 0x80 {
        return Err(Fault::Bad("a packed field ends inside a number"));
    }
    let (words, tail) = packed.as_chunks::<8>();
    let mut count = 0_u64;
    // Bytes in a row, up to here, that continue a varint.
    let mut run = 0_u32;
    for word in words {
        let ends = !u64::from_le_bytes(*word) & CONTINUES;
        count += u64::from(ends.count_ones());
        // The lowest byte comes first; the lowest end bit is bit 7 of its byte.
        if run + ends.trailing_zeros() / 8 >= 10 {
            return Err(TOO_LONG);
        }
        run = if ends == 0 { run + 8 } else { ends.leading_zeros() / 8 };
    }
    for byte in tail {
        if *byte < 0x80 {
            count += 1;
            run = 0;
        } else {
            run += 1;
            if run >= 10 {
                return Err(TOO_LONG);
            }
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use testkit::soak;

    use super::*;

    fn one_by_one(packed: &[u8]) -> Option<Vec<u64>> {
        let mut cursor = Cursor::new(packed);
        let mut numbers = Vec::new();
        while !cursor.is_empty() {
            numbers.push(cursor.varint().ok()?);
        }
        Some(numbers)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(soak::cases(256)))]

        #[test]
        fn varints_by_words_are_varints_one_by_one(
            // Runs of continuing bytes of every length around ten, at every alignment.
            runs in prop::collection::vec((prop_oneof![3 => 0_usize..8, 1 => 8_usize..13], any::<u8>()), 0..12),
            cut in 0_usize..4,
            after in any::<[u8; 8]>(),
        ) {
            let mut packed = Vec::new();
            for (continuing, end) in runs {
                packed.extend(std::iter::repeat_n(end | 0x80, continuing));
                packed.push(end & 0x7f);
            }
            packed.truncate(packed.len().saturating_sub(cut));
            let numbers = one_by_one(&packed);
            let count = numbers.as_ref().map(|numbers| numbers.len() as u64);
            prop_assert_eq!(count_packed(&packed).ok(), count);
            let onward = [packed.as_slice(), &after].concat();
            let message = Message::new(&onward, packed.len() as u64).unwrap();
            prop_assert_eq!(message.count_varints().ok(), count);
        }
    }

    #[test]
    fn a_varint_has_ten_bytes_at_most_and_drops_what_does_not_fit() {
        let mut ten = [0xff; 10];
        ten[9] = 0x7f;
        assert_eq!(Cursor::new(&ten).varint(), Ok(u64::MAX));
        assert_eq!(
            Cursor::new(&[0x80; 10]).varint(),
            Err(Fault::Bad("a varint is longer than ten bytes"))
        );
        assert_eq!(Cursor::new(&[0x80; 9]).varint(), Err(Fault::Short));
        assert_eq!(Cursor::new(&[0xac, 0x02]).varint(), Ok(300));
    }
}
