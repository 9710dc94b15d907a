//! The numbers and strings of a recording.

use std::borrow::Cow;

use crate::import::Fault;

/// How the numbers of a chunk are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Integers {
    /// Seven bits a byte, the lowest first, at most nine bytes, the ninth of which has eight.
    Compressed,
    /// In their full width, the highest byte first.
    Plain,
}

/// A string of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text<'a> {
    /// Its bytes in UTF-8; a string that is not there is empty.
    Here(Cow<'a, [u8]>),
    /// The index of a constant.
    Constant(i64),
}

/// A place in a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    integers: Integers,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize, integers: Integers) -> Self {
        Self { bytes, at, integers }
    }

    /// Where it stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left: no list has more elements than that.
    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The next bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(count).ok_or(Fault::Short)?;
        let taken = self.bytes.get(self.at..end).ok_or(Fault::Short)?;
        self.at = end;
        Ok(taken)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.bytes.get(self.at).ok_or(Fault::Short)?;
        self.at += 1;
        Ok(byte)
    }

    /// The next number, which has this many bytes where numbers are plain.
    pub(super) fn number(&mut self, width: usize) -> Result<i64, Fault> {
        if self.integers == Integers::Plain {
            let bytes = self.take(width)?;
            // The sign is that of the highest byte.
            let sign = bytes.first().map_or(0, |byte| i64::from(byte.cast_signed() >> 7));
            return Ok(bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte)));
        }
        let mut number = 0_u64;
        for index in 0..9 {
            let byte = u64::from(self.byte()?);
            if index == 8 {
                number |= byte << 56;
                break;
            }
            number |= (byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                break;
            }
        }
        Ok(number.cast_signed())
    }

    /// The next number of four bytes that counts something, each of which takes at least a byte.
    pub(super) fn count(&mut self) -> Result<usize, Fault> {
        let count = self.number(4)?;
        let count = usize::try_from(count).map_err(|_| Fault::Bad("a count is negative"))?;
        if count > self.left() {
            Err(Fault::Short)
        } else {
            Ok(count)
        }
    }

    /// The next string.
    pub(super) fn text(&mut self) -> Result<Text<'a>, Fault> {
        let here = match self.byte()? {
            0 | 1 => Cow::default(),
            2 => return Ok(Text::Constant(self.number(8)?)),
            3 => {
                let count = self.count()?;
                Cow::Borrowed(self.take(count)?)
            }
            4 => {
                let count = self.count()?;
                let units = (0..count).map(|_| self.number(2).map(|unit| unit as u16));
                let units = units.collect::<Result<Vec<_>, _>>()?;
                Cow::Owned(String::from_utf16_lossy(&units).into_bytes())
            }
            5 => {
                let count = self.count()?;
                let latin = self.take(count)?;
                if latin.is_ascii() {
                    Cow::Borrowed(latin)
                } else {
                    let text: String = latin.iter().map(|byte| char::from(*byte)).collect();
                    Cow::Owned(text.into_bytes())
                }
            }
            _ => return Err(Fault::Bad("a string has an encoding that is not known")),
        };
        Ok(Text::Here(here))
    }

    /// Passes over a string.
    pub(super) fn skip_text(&mut self) -> Result<(), Fault> {
        match self.byte()? {
            0 | 1 => {}
            2 => drop(self.number(8)?),
            3 | 5 => {
                let count = self.count()?;
                self.take(count)?;
            }
            4 => {
                for _ in 0..self.count()? {
                    self.number(2)?;
                }
            }
            _ => return Err(Fault::Bad("a string has an encoding that is not known")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_both_kinds_are_read() {
        let read = |bytes: &[u8], integers, width| Cursor::new(bytes, 0, integers).number(width);
        for (bytes, number) in [
            (&[0x05][..], 5),
            (&[0x85, 0xb0, 0x03], 55301),
            (&[0xff; 9], -1),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80], i64::MIN),
        ] {
            assert_eq!(read(bytes, Integers::Compressed, 8), Ok(number));
        }
        assert_eq!(read(&[0x85], Integers::Compressed, 8), Err(Fault::Short));
        assert_eq!(read(&[0xff, 0xfe], Integers::Plain, 2), Ok(-2));
        assert_eq!(read(&[0, 0, 1, 0], Integers::Plain, 4), Ok(256));
        assert_eq!(read(&[0, 0, 1], Integers::Plain, 4), Err(Fault::Short));
    }

    #[test]
    fn strings_of_all_encodings_are_read() {
        for (bytes, text) in [
            (&[0][..], ""),
            (&[1], ""),
            (&[3, 2, 0xc3, 0xa4], "ä"),
            (&[4, 2, 0xe4, 0x01, b'b'], "äb"),
            (&[5, 2, 0xe4, b'b'], "äb"),
            (&[5, 1, b'b'], "b"),
        ] {
            let mut cursor = Cursor::new(bytes, 0, Integers::Compressed);
            assert_eq!(cursor.text(), Ok(Text::Here(Cow::Borrowed(text.as_bytes()))));
            let mut cursor = Cursor::new(bytes, 0, Integers::Compressed);
            assert_eq!((cursor.skip_text(), cursor.left()), (Ok(()), 0));
        }
        let read = |bytes| Cursor::new(bytes, 0, Integers::Compressed).text();
        assert_eq!(read(&[2, 7]), Ok(Text::Constant(7)));
        assert_eq!(read(&[3, 200, 1, b'a']), Err(Fault::Short));
        // A length that says -1.
        let negative = [3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(read(&negative), Err(Fault::Bad("a count is negative")));
        assert!(matches!(read(&[6]), Err(Fault::Bad(_))));
    }
}
