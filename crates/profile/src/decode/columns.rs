//! One pass over the wire: every message into its column, strings and ids as they are.

use super::refused;
use crate::check::CheckError;
use crate::limits::{Limits, at_most};
use crate::refusal::Refusal;
use crate::wire::{Cursor, Fault, Value, each_field, whole};

/// A label as the wire has it: indexes of strings that were not looked at yet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RawLabel {
    pub(super) key: u64,
    pub(super) text: u64,
    pub(super) number: u64,
    pub(super) unit: u64,
}

/// A mapping as the wire has it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RawMapping {
    pub(super) id: u64,
    pub(super) start: u64,
    pub(super) limit: u64,
    pub(super) offset: u64,
    pub(super) file: u64,
    pub(super) build_id: u64,
    /// Functions, file names, line numbers, inlined frames.
    pub(super) has: [bool; 4],
}

/// A location as the wire has it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RawLocation {
    pub(super) id: u64,
    pub(super) mapping: u64,
    pub(super) address: u64,
    pub(super) lines_begin: u32,
    pub(super) lines_end: u32,
    pub(super) is_folded: bool,
}

/// A line as the wire has it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RawLine {
    pub(super) function: u64,
    pub(super) line: u64,
    pub(super) column: u64,
}

/// A function as the wire has it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RawFunction {
    pub(super) id: u64,
    pub(super) name: u64,
    pub(super) system_name: u64,
    pub(super) file: u64,
    pub(super) start_line: u64,
}

/// A whole profile as the wire has it. Ends are 32 bits wide: the bytes of a profile are at most 4 GiB, and nothing
/// in a column takes less than one of them.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) sample_types: Vec<(u64, u64)>,
    pub(super) values: Vec<i64>,
    pub(super) value_ends: Vec<u32>,
    pub(super) stacks: Vec<u64>,
    pub(super) stack_ends: Vec<u32>,
    pub(super) labels: Vec<RawLabel>,
    pub(super) label_ends: Vec<u32>,
    pub(super) mappings: Vec<RawMapping>,
    pub(super) locations: Vec<RawLocation>,
    pub(super) lines: Vec<RawLine>,
    pub(super) functions: Vec<RawFunction>,
    /// Where in the profile each string begins and how long it is.
    pub(super) strings: Vec<(u32, u32)>,
    /// Drop and keep frames, default sample type, link.
    pub(super) singles: [u64; 4],
    pub(super) time_nanos: i64,
    pub(super) duration_nanos: i64,
    pub(super) period_type: (u64, u64),
    pub(super) period: i64,
    pub(super) comments: Vec<u64>,
}

impl Columns {
    /// Reads all fields of an uncompressed profile.
    pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Self, CheckError> {
        // Places in the profile are 32 bits wide.
        at_most(
            bytes.len() as u64,
            limits.uncompressed_bytes_max.min(u64::from(u32::MAX)),
            "uncompressed bytes",
        )?;
        let mut columns = Self::default();
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            let offset = bytes.len() - cursor.rest().len();
            let (number, value) = cursor.field().map_err(|fault| refused(fault, offset, bytes))?;
            let after = bytes.len() - cursor.rest().len();
            columns
                .take(number, value, after, limits)
                .map_err(|refusal| match refusal {
                    Refusal::Fault(fault) => refused(whole(fault), offset, bytes),
                    Refusal::Limit(limit) => limit.into(),
                })?;
        }
        Ok(columns)
    }

    fn take(&mut self, number: u64, value: Value<'_>, after: usize, limits: &Limits) -> Result<(), Refusal> {
        match number {
            1 => {
                let limit = limits.sample_types_max;
                at_most(self.sample_types.len() as u64 + 1, limit, "sample types")?;
                self.sample_types.push(value_type(value.bytes()?)?);
            }
            2 => self.sample(value.bytes()?, limits)?,
            3 => self.mapping(value.bytes()?, limits)?,
            4 => self.location(value.bytes()?, limits)?,
            5 => self.function(value.bytes()?, limits)?,
            6 => {
                let string = value.bytes()?;
                at_most(self.strings.len() as u64 + 1, limits.strings_max, "strings")?;
                at_most(string.len() as u64, limits.string_bytes_max, "bytes in one string")?;
                if self.strings.is_empty() && !string.is_empty() {
                    return Err(Fault::Bad("the first string is not the empty one").into());
                }
                // Both are within the profile, which is below 4 GiB.
                self.strings.push(((after - string.len()) as u32, string.len() as u32));
            }
            7 => self.singles[0] = value.varint()?,
            8 => self.singles[1] = value.varint()?,
            9 => {
                if self.time_nanos != 0 {
                    return Err(Fault::Bad("two profiles are concatenated").into());
                }
                self.time_nanos = value.varint()?.cast_signed();
            }
            10 => self.duration_nanos = value.varint()?.cast_signed(),
            11 => self.period_type = value_type(value.bytes()?)?,
            12 => self.period = value.varint()?.cast_signed(),
            13 => {
                if let Value::Bytes(packed) = value {
                    at_most(packed.len() as u64, limits.message_bytes_max, "bytes in one message")?;
                }
                repeated(value, |comment| self.comments.push(comment))?;
                at_most(self.comments.len() as u64, limits.comments_max, "comments")?;
            }
            14 => self.singles[2] = value.varint()?,
            15 => self.singles[3] = value.varint()?,
            _ => {}
        }
        Ok(())
    }

    fn sample(&mut self, message: &[u8], limits: &Limits) -> Result<(), Refusal> {
        at_most(self.stack_ends.len() as u64 + 1, limits.samples_max, "samples")?;
        at_most(message.len() as u64, limits.message_bytes_max, "bytes in one message")?;
        let (stacks_before, values_before, labels_before) = (self.stacks.len(), self.values.len(), self.labels.len());
        let mut fields = Cursor::new(message);
        while !fields.is_empty() {
            match fields.field().map_err(whole)? {
                (1, value) => repeated(value, |id| self.stacks.push(id))?,
                (2, value) => repeated(value, |value| self.values.push(value.cast_signed()))?,
                (3, value) => {
                    self.labels.push(label(value.bytes()?)?);
                    let labels = (self.labels.len() - labels_before) as u64;
                    at_most(labels, limits.labels_per_sample_max, "labels in one sample")?;
                }
                _ => {}
            }
        }
        let (locations, values) = (self.stacks.len() - stacks_before, self.values.len() - values_before);
        at_most(
            locations as u64,
            limits.locations_per_sample_max,
            "locations in one sample",
        )?;
        at_most(values as u64, limits.sample_types_max, "values in one sample")?;
        self.stack_ends.push(self.stacks.len() as u32);
        self.value_ends.push(self.values.len() as u32);
        self.label_ends.push(self.labels.len() as u32);
        Ok(())
    }

    fn mapping(&mut self, message: &[u8], limits: &Limits) -> Result<(), Refusal> {
        at_most(self.mappings.len() as u64 + 1, limits.mappings_max, "mappings")?;
        at_most(message.len() as u64, limits.message_bytes_max, "bytes in one message")?;
        let mut raw = RawMapping::default();
        each_field(message, |field, value| {
            match field {
                1 => raw.id = value.varint()?,
                2 => raw.start = value.varint()?,
                3 => raw.limit = value.varint()?,
                4 => raw.offset = value.varint()?,
                5 => raw.file = value.varint()?,
                6 => raw.build_id = value.varint()?,
                7 => raw.has[0] = value.varint()? != 0,
                8 => raw.has[1] = value.varint()? != 0,
                9 => raw.has[2] = value.varint()? != 0,
                10 => raw.has[3] = value.varint()? != 0,
                _ => {}
            }
            Ok(())
        })?;
        self.mappings.push(raw);
        Ok(())
    }

    fn location(&mut self, message: &[u8], limits: &Limits) -> Result<(), Refusal> {
        at_most(self.locations.len() as u64 + 1, limits.locations_max, "locations")?;
        at_most(message.len() as u64, limits.message_bytes_max, "bytes in one message")?;
        let mut raw = RawLocation {
            lines_begin: self.lines.len() as u32,
            ..RawLocation::default()
        };
        each_field(message, |field, value| {
            match field {
                1 => raw.id = value.varint()?,
                2 => raw.mapping = value.varint()?,
                3 => raw.address = value.varint()?,
                4 => self.lines.push(line(value.bytes()?)?),
                5 => raw.is_folded = value.varint()? != 0,
                _ => {}
            }
            Ok(())
        })?;
        raw.lines_end = self.lines.len() as u32;
        let lines = u64::from(raw.lines_end - raw.lines_begin);
        at_most(lines, limits.lines_per_location_max, "lines at one location")?;
        self.locations.push(raw);
        Ok(())
    }

    fn function(&mut self, message: &[u8], limits: &Limits) -> Result<(), Refusal> {
        at_most(self.functions.len() as u64 + 1, limits.functions_max, "functions")?;
        at_most(message.len() as u64, limits.message_bytes_max, "bytes in one message")?;
        let mut raw = RawFunction::default();
        each_field(message, |field, value| {
            match field {
                1 => raw.id = value.varint()?,
                2 => raw.name = value.varint()?,
                3 => raw.system_name = value.varint()?,
                4 => raw.file = value.varint()?,
                5 => raw.start_line = value.varint()?,
                _ => {}
            }
            Ok(())
        })?;
        self.functions.push(raw);
        Ok(())
    }
}

/// Runs `push` on each number of a field that repeats, packed or not. The message around it has a limit, so this has.
#[inline]
fn repeated(value: Value<'_>, mut push: impl FnMut(u64)) -> Result<(), Fault> {
    match value {
        Value::Bytes(packed) => {
            let mut packed = Cursor::new(packed);
            while !packed.is_empty() {
                push(packed.varint().map_err(whole)?);
            }
        }
        Value::Varint(_) | Value::Fixed => push(value.varint()?),
    }
    Ok(())
}

fn value_type(message: &[u8]) -> Result<(u64, u64), Fault> {
    let mut found = (0, 0);
    each_field(message, |field, value| {
        match field {
            1 => found.0 = value.varint()?,
            2 => found.1 = value.varint()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

fn label(message: &[u8]) -> Result<RawLabel, Fault> {
    let mut raw = RawLabel::default();
    each_field(message, |field, value| {
        match field {
            1 => raw.key = value.varint()?,
            2 => raw.text = value.varint()?,
            3 => raw.number = value.varint()?,
            4 => raw.unit = value.varint()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(raw)
}

fn line(message: &[u8]) -> Result<RawLine, Fault> {
    let mut raw = RawLine::default();
    each_field(message, |field, value| {
        match field {
            1 => raw.function = value.varint()?,
            2 => raw.line = value.varint()?,
            3 => raw.column = value.varint()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(raw)
}
