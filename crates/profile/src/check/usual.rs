//! The messages that profiles consist of, read in the form that they nearly always have.
//!
//! What costs most in a reader that looks at one byte after the other is that numbers are now longer and now shorter, which
//! no processor foresees. Here a tag and its number are read as one word of eight bytes, and where the number ends is
//! computed. That needs tags of one byte, and eight bytes from the beginning of each field on, be they of the message or of
//! what follows it.
//!
//! There are no errors and no limits here. A message in any other form is `None`, and the plain reader in
//! [`super::tally`] has the word on it. So this may only ever be as strict as that one or stricter.

use crate::wire::{Cursor, count_packed};

/// Values of a sample that are read here. 8: twice those of Go's heap. Samples with more are read plainly.
pub(super) const VALUES_MAX: usize = 8;

/// The bit of each byte of a word that says that a number goes on.
const GOES_ON: u64 = 0x8080_8080_8080_8080;

/// The word where the last field of a message ended. No tag is 0.
const END: u64 = 0;

/// What there is in a sample, its values apart.
#[derive(Default)]
pub(super) struct Sample {
    pub(super) locations: u64,
    pub(super) labels: u64,
    pub(super) string_index_max: u64,
}

/// A message or a string, and what comes after it.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    /// Begins with the message and goes on beyond it.
    bytes: &'a [u8],
    /// Bytes of the message.
    len: usize,
}

impl<'a> Field<'a> {
    /// The field that `bytes` begin with, and its tag, if it is a message or a string and is here as a whole.
    #[inline(always)]
    pub(super) fn first(bytes: &'a [u8]) -> Option<(u8, Self)> {
        let word = word(bytes)?;
        let (len, header) = index(word)?;
        Some((word as u8, Self::at(bytes, header, len)?))
    }

    #[inline(always)]
    fn at(bytes: &'a [u8], header: usize, len: u64) -> Option<Self> {
        let bytes = bytes.get(header..)?;
        // Below 2^28.
        let len = len as usize;
        (len <= bytes.len()).then_some(Self { bytes, len })
    }

    /// What comes after it.
    #[inline(always)]
    pub(super) fn rest(self) -> &'a [u8] {
        self.bytes.get(self.len..).unwrap_or_default()
    }

    /// Bytes in it.
    #[inline(always)]
    pub(super) fn len(self) -> u64 {
        self.len as u64
    }

    /// The bytes in it.
    #[inline(always)]
    pub(super) fn content(self) -> &'a [u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    #[inline(always)]
    fn fields(self) -> Option<Fields<'a>> {
        Fields {
            bytes: self.bytes,
            after: self.bytes.len() - self.len,
            word: END,
        }
        .after(0)
    }

    /// How many numbers are packed in it.
    #[inline(always)]
    fn count(self) -> Option<u64> {
        // So that no lane of the counter below overflows.
        const BYTES_MAX: usize = 255 * 8;
        let packed = self.content();
        if packed.len() > BYTES_MAX {
            return count_packed(packed).ok();
        }
        let (words, tail) = packed.as_chunks::<8>();
        let (mut counts, mut ended) = (0, GOES_ON);
        let mut add = |ends: u64, beyond: u64| {
            counts += ends >> 7;
            let ends = ends | beyond;
            let ends = ends | ends >> 16;
            ended &= ends | ends >> 8;
        };
        for word in words {
            add(!u64::from_le_bytes(*word) & GOES_ON, 0);
        }
        let beyond = u64::MAX << (8 * tail.len());
        add(!word(self.bytes.get(words.len() * 8..)?)? & GOES_ON & !beyond, beyond);
        // With an end in each half of each word, no number has more than seven bytes.
        let is_short = ended & 0x0000_0080_0000_0080 == 0x0000_0080_0000_0080;
        let is_ended = packed.last().is_none_or(|last| *last < 0x80);
        if is_short && is_ended {
            let pairs = (counts & 0x00ff_00ff_00ff_00ff) + (counts >> 8 & 0x00ff_00ff_00ff_00ff);
            Some(pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48)
        } else {
            count_packed(packed).ok()
        }
    }

    /// The numbers that are packed in it, if there is a place for each of them.
    #[inline(always)]
    fn numbers(self, places: &mut std::slice::IterMut<'_, u64>) -> Option<()> {
        let mut bytes = self.bytes;
        for place in places {
            let (number, len) = match number(bytes) {
                Some(read) => read,
                None => long_number(bytes)?,
            };
            *place = number;
            bytes = bytes.get(len..)?;
        }
        (self.bytes.len() - bytes.len() == self.len).then_some(())
    }
}

/// The fields of a message, one after the other.
#[derive(Clone, Copy)]
struct Fields<'a> {
    /// From the next field on.
    bytes: &'a [u8],
    /// How many of these come after the message.
    after: usize,
    /// What `bytes` begin with: the next tag and usually the whole number that follows it.
    word: u64,
}

impl<'a> Fields<'a> {
    /// What comes after the next `len` bytes.
    #[inline(always)]
    fn after(self, len: usize) -> Option<Self> {
        let word = word(self.bytes.get(len..len + 8)?)?;
        let bytes = self.bytes.get(len..)?;
        let word = if bytes.len() > self.after { word } else { END };
        Some(Self { bytes, word, ..self })
    }

    #[inline(always)]
    fn is(&self, tag: u8) -> bool {
        self.word as u8 == tag
    }

    #[inline(always)]
    fn is_at_end(&self) -> bool {
        self.is(END as u8)
    }

    /// That the last field ended where the message ends, and not beyond.
    #[inline(always)]
    fn ended(self) -> Option<()> {
        (self.bytes.len() == self.after).then_some(())
    }

    /// A number below 2^28, as indexes are.
    #[inline(always)]
    fn index(&mut self) -> Option<u64> {
        let (index, len) = index(self.word)?;
        *self = self.after(len)?;
        Some(index)
    }

    /// The index that a field with this tag has, 0 if this is another field.
    #[inline(always)]
    fn index_of(&mut self, tag: u8) -> Option<u64> {
        if self.is(tag) { self.index() } else { Some(0) }
    }

    /// A number of any size.
    #[inline(always)]
    fn number(&mut self) -> Option<u64> {
        let bytes = self.bytes.get(1..)?;
        let (number, len) = match number(bytes) {
            Some(read) => read,
            None => long_number(bytes)?,
        };
        *self = self.after(1 + len)?;
        Some(number)
    }

    /// Steps over a number. Whether it is another than 0.
    #[inline(always)]
    fn is_not_zero(&mut self) -> Option<bool> {
        let ends = !self.word & GOES_ON & !0xff;
        if ends == 0 {
            return self.number().map(|number| number != 0);
        }
        let number = self.word & (ends ^ (ends - 1)) & !GOES_ON & !0xff;
        *self = self.after(len_to(ends))?;
        Some(number != 0)
    }

    /// Steps over a number if this is a field with this tag.
    #[inline(always)]
    fn pass(&mut self, tag: u8) -> Option<()> {
        if self.is(tag) {
            self.is_not_zero()?;
        }
        Some(())
    }

    /// A message or packed numbers.
    #[inline(always)]
    fn field(&mut self) -> Option<Field<'a>> {
        let (len, header) = index(self.word)?;
        let field = Field::at(self.bytes, header, len)?;
        *self = self.after(header + field.len)?;
        Some(field)
    }
}

#[inline(always)]
fn word(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|word| u64::from_le_bytes(*word))
}

/// Bytes up to the first that ends a number, of whose uppermost bits at least one is set.
#[inline(always)]
fn len_to(ends: u64) -> usize {
    ends.trailing_zeros() as usize / 8 + 1
}

/// The number below 2^28 that follows a tag, and the length of both.
///
/// Lengths, and many indexes, are below 128 so often that it is foreseen.
#[inline(always)]
fn index(word: u64) -> Option<(u64, usize)> {
    let number = word >> 8 & 0xff;
    if number < 0x80 {
        return Some((number, 2));
    }
    let ends = !word & 0x80_8080_0000;
    if ends == 0 {
        return None;
    }
    // All bits up to the one that ends the number, of which those of lengths are taken out.
    let number = (word & (ends ^ (ends - 1)) & 0x7f_7f7f_7f00) >> 8;
    let number = number & 0x007f_007f | (number & 0x7f00_7f00) >> 1;
    let number = number & 0x0000_3fff | (number & 0x3fff_0000) >> 2;
    Some((number, len_to(ends)))
}

/// The number below 2^56 that `bytes` begin with, and its length.
#[inline(always)]
fn number(bytes: &[u8]) -> Option<(u64, usize)> {
    let word = word(bytes)?;
    if word & 0xff < 0x80 {
        return Some((word & 0xff, 1));
    }
    let ends = !word & GOES_ON;
    if ends == 0 {
        return None;
    }
    let number = word & (ends ^ (ends - 1)) & !GOES_ON;
    let number = number & 0x007f_007f_007f_007f | (number & 0x7f00_7f00_7f00_7f00) >> 1;
    let number = number & 0x0000_3fff_0000_3fff | (number & 0x3fff_0000_3fff_0000) >> 2;
    let number = number & 0x0000_0000_0fff_ffff | (number & 0x0fff_ffff_0000_0000) >> 4;
    Some((number, len_to(ends)))
}

/// The number that `bytes` begin with, whatever its length is, and its length.
#[cold]
fn long_number(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut cursor = Cursor::new(bytes);
    let number = cursor.varint().ok()?;
    Some((number, bytes.len() - cursor.rest().len()))
}

/// A sample with as many values as there are places for them.
#[inline(always)]
pub(super) fn sample(message: Field<'_>, values: &mut [u64]) -> Option<Sample> {
    let mut found = Sample::default();
    let mut places = values.iter_mut();
    let mut fields = message.fields()?;
    while !fields.is_at_end() {
        let begin = fields.bytes.len();
        if fields.is(0x0a) {
            found.locations += fields.field()?.count()?;
        }
        while fields.is(0x08) {
            fields.is_not_zero()?;
            found.locations += 1;
        }
        if fields.is(0x12) {
            fields.field()?.numbers(&mut places)?;
        }
        while fields.is(0x10) {
            *places.next()? = fields.number()?;
        }
        while fields.is(0x1a) {
            found.labels += 1;
            found.string_index_max = found.string_index_max.max(label(fields.field()?)?);
        }
        is_further(fields, begin)?;
    }
    fields.ended()?;
    places.next().is_none().then_some(found)
}

/// That a round over the fields of a message came further than `begin`, or there is one that it does not know.
#[inline(always)]
fn is_further(fields: Fields<'_>, begin: usize) -> Option<()> {
    (fields.bytes.len() < begin).then_some(())
}

/// The largest index of a string in a label.
#[inline(always)]
fn label(message: Field<'_>) -> Option<u64> {
    let mut fields = message.fields()?;
    let key = fields.index_of(0x08)?;
    let text = fields.index_of(0x10)?;
    fields.pass(0x18)?;
    let unit = fields.index_of(0x20)?;
    fields.ended()?;
    Some(key.max(if text == 0 { unit } else { text }))
}

/// How many lines a location with an id has, each with a function.
#[inline(always)]
pub(super) fn location(message: Field<'_>) -> Option<u64> {
    let (mut has_id, mut lines) = (false, 0);
    let mut fields = message.fields()?;
    while !fields.is_at_end() {
        let begin = fields.bytes.len();
        if fields.is(0x08) {
            has_id = fields.is_not_zero()?;
        }
        // Mapping and address.
        fields.pass(0x10)?;
        fields.pass(0x18)?;
        while fields.is(0x22) {
            lines += 1;
            line(fields.field()?)?;
        }
        // Whether it is folded.
        fields.pass(0x28)?;
        is_further(fields, begin)?;
    }
    fields.ended()?;
    has_id.then_some(lines)
}

#[inline(always)]
fn line(message: Field<'_>) -> Option<()> {
    let mut fields = message.fields()?;
    let has_function = fields.is(0x08) && fields.is_not_zero()?;
    // Line and column.
    fields.pass(0x10)?;
    fields.pass(0x18)?;
    fields.ended()?;
    has_function.then_some(())
}

/// The largest index of a string in a function with an id.
#[inline(always)]
pub(super) fn function(message: Field<'_>) -> Option<u64> {
    let mut fields = message.fields()?;
    let has_id = fields.is(0x08) && fields.is_not_zero()?;
    let name = fields.index_of(0x10)?;
    let system_name = fields.index_of(0x18)?;
    let file = fields.index_of(0x20)?;
    // The line where it begins.
    fields.pass(0x28)?;
    fields.ended()?;
    has_id.then_some(name.max(system_name).max(file))
}
