//! The wire form of protocol buffers, as google/pprof reads it.
//!
//! Wire types 0, 1, 2 and 5; a varint has at most ten bytes and what does not fit in 64 bits of it is dropped;
//! unknown fields are skipped. One difference is on purpose: google/pprof skips a field numbered 0, which the
//! format forbids, and so takes a file of zeros for an empty profile; here it is an error.

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
    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, Fault> {
        match self.rest {
            [first, rest @ ..] if *first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*first))
            }
            [first, second, rest @ ..] if *second < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*first & 0x7f) | u64::from(*second) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(*byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        if self.rest.len() >= 10 {
            Err(Fault::Bad("a varint is longer than ten bytes"))
        } else {
            Err(Fault::Short)
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

    /// The next field of a message that is here as a whole.
    #[inline(always)]
    pub(crate) fn field(&mut self) -> Result<(u64, Value<'a>), Fault> {
        let (number, wire_type) = self.tag()?;
        let value = match wire_type {
            0 => Value::Varint(self.varint()?),
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(len)?)
            }
            1 => self.take(8).map(|_| Value::Fixed)?,
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Fault::Bad("a field has an unknown wire type")),
        };
        Ok((number, value))
    }
}

/// Runs `visit` on each field of a message that is here as a whole: a short one is a bad one.
#[inline]
pub(crate) fn each_field<'a>(
    message: &'a [u8],
    mut visit: impl FnMut(u64, Value<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut cursor = Cursor::new(message);
    while !cursor.is_empty() {
        let (number, value) = cursor.field().map_err(whole)?;
        visit(number, value)?;
    }
    Ok(())
}

/// Inside a whole message, bytes that are missing are missing for ever.
pub(crate) fn whole(fault: Fault) -> Fault {
    match fault {
        Fault::Short => Fault::Bad("a field is longer than the message around it"),
        Fault::Bad(what) => Fault::Bad(what),
    }
}

/// Counts the varints of a packed field without decoding them.
///
/// Eight bytes at a time: a varint ends at each byte below 0x80, so counting is counting those, and a varint is too
/// long where ten bytes in a row continue, which two neighbouring words tell by their ends.
pub(crate) fn count_packed(packed: &[u8]) -> Result<u64, Fault> {
    const CONTINUES: u64 = 0x8080_8080_8080_8080;
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

    use super::*;

    fn count_one_by_one(packed: &[u8]) -> Option<u64> {
        let mut cursor = Cursor::new(packed);
        let mut count = 0;
        while !cursor.is_empty() {
            cursor.varint().ok()?;
            count += 1;
        }
        Some(count)
    }

    proptest! {
        #[test]
        fn counting_by_words_is_counting_one_by_one(
            // Runs of continuing bytes of every length around ten, at every alignment.
            runs in prop::collection::vec((0_usize..13, any::<u8>()), 0..12),
            cut in 0_usize..4,
        ) {
            let mut packed = Vec::new();
            for (continuing, end) in runs {
                packed.extend(std::iter::repeat_n(end | 0x80, continuing));
                packed.push(end & 0x7f);
            }
            packed.truncate(packed.len().saturating_sub(cut));
            prop_assert_eq!(count_packed(&packed).ok(), count_one_by_one(&packed));
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
