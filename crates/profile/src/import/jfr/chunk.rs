//! A chunk of a recording: a header, and events one after the other.

use super::classes::Classes;
use super::cursor::{Cursor, Integers};
use super::{MAGIC, VERSION};
use crate::import::Fault;
use crate::limits::Limits;

/// Bytes of a header: magic, version, five numbers of eight bytes about size and time, two more of ticks, and flags.
const HEADER_BYTES: usize = 68;

/// The flag of compressed numbers.
const IS_COMPRESSED: i64 = 1;

/// A chunk.
pub(super) struct Chunk<'a> {
    bytes: &'a [u8],
    integers: Integers,
    /// Start, in nanoseconds since the Unix epoch.
    pub(super) start_nanos: i64,
    /// How long it was recorded.
    pub(super) duration_nanos: i64,
    /// The clock of its durations.
    pub(super) ticks_per_second: i64,
    pub(super) classes: Classes<'a>,
}

impl<'a> Chunk<'a> {
    /// The chunk at the beginning of `bytes`, which are what is left of the recording, and what follows it.
    pub(super) fn read(bytes: &'a [u8], limits: &Limits) -> Result<(Self, &'a [u8]), Refusal> {
        let mut header = Cursor::new(bytes, 0, Integers::Plain);
        if header.take(MAGIC.len())? != MAGIC {
            return Err(Fault::Bad("a chunk does not begin where the one before ends").into());
        }
        let (major, _minor) = (header.number(2)?, header.number(2)?);
        if major != VERSION {
            return Err(Refusal::Version(u16::try_from(major & 0xffff).unwrap_or(0)));
        }
        let (size, _constants, classes) = (header.number(8)?, header.number(8)?, header.number(8)?);
        let (start_nanos, duration_nanos) = (header.number(8)?, header.number(8)?);
        let (_start_ticks, ticks_per_second) = (header.number(8)?, header.number(8)?);
        let integers = if header.number(4)? & IS_COMPRESSED == 0 {
            Integers::Plain
        } else {
            Integers::Compressed
        };
        let size = usize::try_from(size).ok().filter(|size| *size >= HEADER_BYTES);
        let size = size.ok_or(Fault::Bad("a chunk was never finished"))?;
        let (chunk, rest) = bytes.split_at_checked(size).ok_or(Fault::Short)?;
        let place = usize::try_from(classes).ok().filter(|place| *place >= HEADER_BYTES);
        let place = place.ok_or(Fault::Bad("a chunk does not describe its classes"))?;
        let classes = Classes::read(Cursor::new(chunk, place, integers), limits).map_err(within_chunk)?;
        let chunk = Self {
            bytes: chunk,
            integers,
            start_nanos,
            duration_nanos,
            ticks_per_second,
            classes,
        };
        Ok((chunk, rest))
    }

    /// Reads on at a place.
    pub(super) fn cursor(&self, place: usize) -> Cursor<'a> {
        Cursor::new(self.bytes, place, self.integers)
    }

    /// The events: the id of the class, and a cursor behind it that ends with the event.
    pub(super) fn events(&self) -> impl Iterator<Item = Result<(i64, Cursor<'a>), Fault>> {
        let mut place = HEADER_BYTES;
        std::iter::from_fn(move || {
            if place >= self.bytes.len() {
                return None;
            }
            let event = self.event(place);
            place = event.as_ref().map_or(self.bytes.len(), |(_, _, end)| *end);
            Some(event.map(|(class, cursor, _)| (class, cursor)))
        })
    }

    fn event(&self, place: usize) -> Result<(i64, Cursor<'a>, usize), Fault> {
        let size = usize::try_from(self.cursor(place).number(4)?).unwrap_or(0);
        let end = place.checked_add(size).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(Fault::Bad("an event is longer than its chunk"))?;
        let mut cursor = Cursor::new(self.bytes.get(..end).unwrap_or_default(), place, self.integers);
        let is_empty = || Fault::Bad("an event is too short");
        cursor.number(4).map_err(|_| is_empty())?;
        let class = cursor.number(8).map_err(|_| is_empty())?;
        Ok((class, cursor, end))
    }
}

/// What is too short for what it says, in a chunk that is all there: no further bytes would mend it.
pub(super) fn within_chunk(fault: Fault) -> Fault {
    if fault == Fault::Short {
        Fault::Bad("something is longer than its chunk")
    } else {
        fault
    }
}

/// Why a chunk is not read.
pub(super) enum Refusal {
    Fault(Fault),
    /// It has another version.
    Version(u16),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
