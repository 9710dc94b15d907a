//! The messages of a profile: their tags, and what those say that hold numbers and nothing else, as they stand on the wire.
//! The check and the decoder read them here, so that they read the same.

use crate::wire::{Fault, Fields, Tags};

// The tags of each message: field numbers and wire types, numbers that repeat with both of theirs.

pub(crate) const PROFILE: Tags = Tags::new(&[
    0x0a, 0x12, 0x1a, 0x22, 0x2a, 0x32, 0x38, 0x40, 0x48, 0x50, 0x5a, 0x60, 0x68, 0x6a, 0x70, 0x78,
]);
const VALUE_TYPE: Tags = Tags::new(&[0x08, 0x10]);
pub(crate) const SAMPLE: Tags = Tags::new(&[0x08, 0x0a, 0x10, 0x12, 0x1a]);
const LABEL: Tags = Tags::new(&[0x08, 0x10, 0x18, 0x20]);
const MAPPING: Tags = Tags::new(&[0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50]);
pub(crate) const LOCATION: Tags = Tags::new(&[0x08, 0x10, 0x18, 0x22, 0x28]);
const LINE: Tags = Tags::new(&[0x08, 0x10, 0x18]);
const FUNCTION: Tags = Tags::new(&[0x08, 0x10, 0x18, 0x20, 0x28]);

// What is wrong with a profile, where the check and the decoder both say it.

pub(crate) const CONCATENATED: &str = "two profiles are concatenated";
pub(crate) const MAPPING_RESERVED: &str = "a mapping has the reserved id 0";
pub(crate) const LOCATION_RESERVED: &str = "a location has the reserved id 0";
pub(crate) const FUNCTION_RESERVED: &str = "a function has the reserved id 0";

/// Type and unit, as indexes of strings.
#[derive(Clone, Copy, Default)]
pub(crate) struct ValueType {
    pub(crate) kind: u64,
    pub(crate) unit: u64,
}

impl ValueType {
    #[inline]
    pub(crate) fn read(message: &[u8]) -> Result<Self, Fault> {
        let mut found = Self::default();
        let mut fields = Fields::new(message)?;
        while !fields.is_at_end() {
            if fields.is(0x08) {
                found.kind = fields.varint()?;
            }
            if fields.is(0x10) {
                found.unit = fields.varint()?;
            }
            fields.skip_unknown(VALUE_TYPE)?;
        }
        Ok(found)
    }
}

/// A label: indexes of strings, but for the number.
#[derive(Clone, Copy, Default)]
pub(crate) struct Label {
    pub(crate) key: u64,
    pub(crate) text: u64,
    pub(crate) number: u64,
    pub(crate) unit: u64,
}

impl Label {
    #[inline]
    pub(crate) fn read(message: &[u8]) -> Result<Self, Fault> {
        let mut found = Self::default();
        let mut fields = Fields::new(message)?;
        while !fields.is_at_end() {
            if fields.is(0x08) {
                found.key = fields.varint()?;
            }
            if fields.is(0x10) {
                found.text = fields.varint()?;
            }
            if fields.is(0x18) {
                found.number = fields.varint()?;
            }
            if fields.is(0x20) {
                found.unit = fields.varint()?;
            }
            fields.skip_unknown(LABEL)?;
        }
        Ok(found)
    }
}

impl Label {
    /// The largest index of a string in it, of those that google/pprof looks at: not the unit of a label that has a text.
    #[inline]
    pub(crate) fn string_index_max(&self) -> u64 {
        self.key.max(if self.text == 0 { self.unit } else { self.text })
    }
}

/// A mapping.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mapping {
    pub(crate) id: u64,
    pub(crate) start: u64,
    pub(crate) limit: u64,
    pub(crate) offset: u64,
    pub(crate) file: u64,
    pub(crate) build_id: u64,
    pub(crate) has_functions: u64,
    pub(crate) has_filenames: u64,
    pub(crate) has_line_numbers: u64,
    pub(crate) has_inline_frames: u64,
}

impl Mapping {
    #[inline]
    pub(crate) fn read(message: &[u8]) -> Result<Self, Fault> {
        let mut found = Self::default();
        let mut fields = Fields::new(message)?;
        while !fields.is_at_end() {
            if fields.is(0x08) {
                found.id = fields.varint()?;
            }
            if fields.is(0x10) {
                found.start = fields.varint()?;
            }
            if fields.is(0x18) {
                found.limit = fields.varint()?;
            }
            if fields.is(0x20) {
                found.offset = fields.varint()?;
            }
            if fields.is(0x28) {
                found.file = fields.varint()?;
            }
            if fields.is(0x30) {
                found.build_id = fields.varint()?;
            }
            if fields.is(0x38) {
                found.has_functions = fields.varint()?;
            }
            if fields.is(0x40) {
                found.has_filenames = fields.varint()?;
            }
            if fields.is(0x48) {
                found.has_line_numbers = fields.varint()?;
            }
            if fields.is(0x50) {
                found.has_inline_frames = fields.varint()?;
            }
            fields.skip_unknown(MAPPING)?;
        }
        Ok(found)
    }
}

/// A line of a location.
#[derive(Clone, Copy, Default)]
pub(crate) struct Line {
    pub(crate) function: u64,
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl Line {
    #[inline]
    pub(crate) fn read(message: &[u8]) -> Result<Self, Fault> {
        let mut found = Self::default();
        let mut fields = Fields::new(message)?;
        while !fields.is_at_end() {
            if fields.is(0x08) {
                found.function = fields.varint()?;
            }
            if fields.is(0x10) {
                found.line = fields.varint()?;
            }
            if fields.is(0x18) {
                found.column = fields.varint()?;
            }
            fields.skip_unknown(LINE)?;
        }
        Ok(found)
    }
}

/// A function.
#[derive(Clone, Copy, Default)]
pub(crate) struct Function {
    pub(crate) id: u64,
    pub(crate) name: u64,
    pub(crate) system_name: u64,
    pub(crate) file: u64,
    pub(crate) start_line: u64,
}

impl Function {
    #[inline]
    pub(crate) fn read(message: &[u8]) -> Result<Self, Fault> {
        let mut found = Self::default();
        let mut fields = Fields::new(message)?;
        while !fields.is_at_end() {
            if fields.is(0x08) {
                found.id = fields.varint()?;
            }
            if fields.is(0x10) {
                found.name = fields.varint()?;
            }
            if fields.is(0x18) {
                found.system_name = fields.varint()?;
            }
            if fields.is(0x20) {
                found.file = fields.varint()?;
            }
            if fields.is(0x28) {
                found.start_line = fields.varint()?;
            }
            fields.skip_unknown(FUNCTION)?;
        }
        Ok(found)
    }
}
