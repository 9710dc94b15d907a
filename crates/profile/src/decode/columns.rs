//! One pass over the wire: every message into its column, in the model's own form but for what only the end of the
//! profile tells: what ids mean, and whether strings are there.

use fearless_simd::{Level, Simd, dispatch};

use super::packed::{packed_ids, packed_values};
use super::refused;
use crate::buffers::Buffers;
use crate::check::CheckError;
use crate::limits::{LimitExceeded, Limits, at_most};
use crate::messages::{self, LOCATION, PROFILE, SAMPLE, ValueType};
use crate::model::{Function, Label, LabelValue, Line, Location, Mapping, Samples, StringId};
use crate::refusal::Refusal;
use crate::wire::{Cursor, Fault, Fields, Glance, Message, whole};

/// An id as a column holds it until ids are resolved.
///
/// Nearly all producers count from one, and then an id less one is the index that it will be in the end: nothing is left
/// to do but to see that none is too large. Ids are 64 bits wide and may be anything, so those that do not fit are kept
/// apart, and their place among those is what the column holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ids {
    wide: Vec<u64>,
}

/// From here on a column's number is a place among the wide ids. A wide id takes five bytes at least, of 4 GiB at most, so
/// places stay below the mark that is next.
const WIDE: u32 = 1 << 31;

/// The reserved id 0, which nothing has.
pub(super) const NOTHING: u32 = u32::MAX;

impl Ids {
    /// What stands for the id in a column.
    #[inline(always)]
    pub(super) fn narrow(&mut self, id: u64) -> u32 {
        let index = id.wrapping_sub(1);
        if index < u64::from(WIDE) {
            index as u32
        } else {
            self.keep(id)
        }
    }

    #[cold]
    fn keep(&mut self, id: u64) -> u32 {
        if id == 0 {
            return NOTHING;
        }
        self.wide.push(id);
        WIDE | (self.wide.len() - 1) as u32
    }

    /// The id that a number in a column stands for; `None` for 0.
    pub(super) fn id(&self, narrow: u32) -> Option<u64> {
        match narrow {
            NOTHING => None,
            WIDE.. => self.wide.get((narrow & !WIDE) as usize).copied(),
            index => Some(u64::from(index) + 1),
        }
    }
}

/// The most entries that a column has room for before there are any: those of a profile of sixteen megabytes at one in 64
/// bytes. Together that is 40 MiB, which nobody touches before there is something to put into them; what needs more grows,
/// and is copied and its new pages are faulted in each time.
const ROOM_MAX: usize = 256 << 10;

/// A whole profile as the wire has it. Places are 32 bits wide: the bytes of a profile are at most 4 GiB, and nothing in a
/// column takes less than one of them.
pub(super) struct Columns {
    pub(super) sample_types: Vec<ValueType>,
    /// Stacks, mappings of locations and functions of lines are narrow ids.
    pub(super) samples: Samples,
    pub(super) mappings: Vec<Mapping>,
    pub(super) locations: Vec<Location>,
    pub(super) lines: Vec<Line>,
    pub(super) functions: Vec<Function>,
    pub(super) ids: Ids,
    /// Whether locations, functions and mappings are numbered from one, so that narrow ids are indexes.
    pub(super) counted: Counted,
    /// The first mapping, location or function that has the reserved id 0. No such profile is valid, so what has it is not
    /// kept: two bytes of a file are not to take thirty times as many.
    pub(super) reserved: Option<&'static str>,
    /// How many values the first sample has, and whether all have as many. One that has none is not kept for the same
    /// reason.
    pub(super) values_each: Option<usize>,
    pub(super) values_differ: bool,
    /// Whether any sample has labels that must be put in order.
    pub(super) has_many_labels: bool,
    /// Where in the profile each string begins and how long it is.
    pub(super) strings: Vec<(u32, u32)>,
    /// The largest index of a string that anything refers to; a negative one is larger than every table.
    pub(super) string_index_max: u64,
    /// Drop and keep frames, default sample type, link.
    pub(super) singles: [u64; 4],
    pub(super) time_nanos: i64,
    pub(super) duration_nanos: i64,
    pub(super) period_type: ValueType,
    pub(super) period: i64,
    pub(super) comments: Vec<u64>,
}

/// Which tables have the ids 1, 2, 3 and so on.
pub(super) struct Counted {
    pub(super) mappings: bool,
    pub(super) locations: bool,
    pub(super) functions: bool,
}

impl Columns {
    /// Reads all fields of an uncompressed profile.
    pub(super) fn read(buffers: Buffers, bytes: &[u8], limits: &Limits) -> Result<Self, CheckError> {
        // Places in the profile are 32 bits wide.
        at_most(
            bytes.len() as u64,
            limits.uncompressed_bytes_max.min(u64::from(u32::MAX)),
            "uncompressed bytes",
        )?;
        // One entry in so many bytes is what many profiles have, so most columns of most never grow.
        let room = |bytes_each: usize| (bytes.len() / bytes_each).min(ROOM_MAX);
        let mut empty = buffers.profile;
        empty.samples.values.reserve(room(16));
        empty.samples.stacks.reserve(room(4));
        empty.samples.stack_ends.reserve(room(32));
        empty.samples.labels.reserve(room(32));
        empty.samples.label_ends.reserve(room(32));
        empty.locations.reserve(room(64));
        empty.lines.reserve(room(64));
        empty.functions.reserve(room(64));
        empty.strings.ranges.reserve(room(64));
        let mut columns = Self {
            sample_types: Vec::new(),
            samples: empty.samples,
            mappings: empty.mappings,
            locations: empty.locations,
            lines: empty.lines,
            functions: empty.functions,
            ids: Ids::default(),
            counted: Counted {
                mappings: true,
                locations: true,
                functions: true,
            },
            reserved: None,
            values_each: None,
            values_differ: false,
            has_many_labels: false,
            strings: empty.strings.ranges,
            string_index_max: 0,
            singles: [0; 4],
            time_nanos: 0,
            duration_nanos: 0,
            period_type: ValueType::default(),
            period: 0,
            comments: Vec::new(),
        };
        dispatch!(Level::new(), simd => columns.read_fields(simd, bytes, limits))?;
        Ok(columns)
    }

    #[inline(always)]
    fn read_fields<S: Simd>(&mut self, simd: S, bytes: &[u8], limits: &Limits) -> Result<(), CheckError> {
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            cursor =
                self.fields(simd, cursor, bytes.len(), limits)
                    .map_err(|Refused { refusal, field }| match refusal {
                        Refusal::Fault(fault) => refused(fault, bytes.len() - field.rest().len(), bytes),
                        Refusal::Limit(limit) => limit.into(),
                    })?;
        }
        Ok(())
    }

    /// Reads the next field, and those of its kind that follow it. Where the profile ends inside a field, more bytes may mend
    /// it; what is inside a message cannot be mended.
    #[inline(always)]
    fn fields<'a, S: Simd>(
        &mut self,
        simd: S,
        field: Cursor<'a>,
        end: usize,
        limits: &Limits,
    ) -> Result<Cursor<'a>, Refused<'a>> {
        let mut value = field;
        let tag = value.varint().map_err(|fault| Refused::at(field, fault))?;
        let first = (field, value);
        match tag {
            0x12 => in_a_row(
                0x12,
                first,
                #[inline(always)]
                |value| {
                    self.sample(simd, message(value, limits)?, limits)
                        .map_err(Refusal::inside)
                },
            ),
            0x22 => in_a_row(
                0x22,
                first,
                #[inline(always)]
                |value| {
                    self.location(simd, message(value, limits)?, limits)
                        .map_err(Refusal::inside)
                },
            ),
            0x2a => in_a_row(
                0x2a,
                first,
                #[inline(always)]
                |value| {
                    self.function(simd, message(value, limits)?, limits)
                        .map_err(Refusal::inside)
                },
            ),
            0x32 if !self.strings.is_empty() => in_a_row(
                0x32,
                first,
                #[inline(always)]
                |value| self.text(value, end, limits),
            ),
            other => self
                .single(other, value, end, limits)
                .map_err(|refusal| Refused::at(field, refusal)),
        }
    }

    /// Reads a string of the table.
    #[inline(always)]
    fn text(&mut self, profile: &mut Cursor<'_>, end: usize, limits: &Limits) -> Result<(), Refusal> {
        let string = profile.bytes()?;
        at_most(self.strings.len() as u64 + 1, limits.strings_max, "strings")?;
        at_most(string.len() as u64, limits.string_bytes_max, "bytes in one string")?;
        // Both are within the profile, which is below 4 GiB.
        let begin = end - profile.rest().len() - string.len();
        self.strings.push((begin as u32, string.len() as u32));
        Ok(())
    }

    /// A field that comes once, or a few times, or the first string.
    #[inline(never)]
    fn single<'a>(
        &mut self,
        tag: u64,
        mut profile: Cursor<'a>,
        end: usize,
        limits: &Limits,
    ) -> Result<Cursor<'a>, Refusal> {
        match tag {
            0x32 => {
                self.text(&mut profile, end, limits)?;
                if self.strings.first().is_some_and(|(_, len)| *len > 0) {
                    return Err(Fault::Bad("the first string is not the empty one").into());
                }
            }
            0x0a => {
                let limit = limits.sample_types_max;
                at_most(self.sample_types.len() as u64 + 1, limit, "sample types")?;
                self.sample_types
                    .push(ValueType::read(profile.bytes()?).map_err(whole)?);
            }
            0x1a => self
                .mapping(message(&mut profile, limits)?, limits)
                .map_err(Refusal::inside)?,
            0x38 => self.singles[0] = profile.varint()?,
            0x40 => self.singles[1] = profile.varint()?,
            0x48 => {
                let time_nanos = profile.varint()?.cast_signed();
                if self.time_nanos != 0 {
                    return Err(Fault::Bad(messages::CONCATENATED).into());
                }
                self.time_nanos = time_nanos;
            }
            0x50 => self.duration_nanos = profile.varint()?.cast_signed(),
            0x5a => self.period_type = ValueType::read(profile.bytes()?).map_err(whole)?,
            0x60 => self.period = profile.varint()?.cast_signed(),
            0x68 => self.comments.push(profile.varint()?),
            0x6a => {
                let mut packed = Cursor::new(message(&mut profile, limits)?.bytes());
                while !packed.is_empty() {
                    self.comments.push(packed.varint().map_err(whole)?);
                }
            }
            0x70 => self.singles[2] = profile.varint()?,
            0x78 => self.singles[3] = profile.varint()?,
            other => profile.skip(other, PROFILE)?,
        }
        at_most(self.comments.len() as u64, limits.comments_max, "comments")?;
        Ok(profile)
    }

    #[inline(always)]
    fn sample<S: Simd>(&mut self, simd: S, message: Message<'_>, limits: &Limits) -> Result<(), Refusal> {
        at_most(self.samples.len() as u64 + 1, limits.samples_max, "samples")?;
        let (stacks_before, values_before, labels_before) = (
            self.samples.stacks.len(),
            self.samples.values.len(),
            self.samples.labels.len(),
        );
        self.sample_fields(simd, message, limits)?;
        let samples = &mut self.samples;
        let (locations, values) = (
            samples.stacks.len() - stacks_before,
            samples.values.len() - values_before,
        );
        at_most(
            locations as u64,
            limits.locations_per_sample_max,
            "locations in one sample",
        )?;
        // One message is no longer than a megabyte, so they are counted in time.
        at_most(
            samples.stacks.len() as u64,
            limits.locations_in_samples_max,
            "locations in all samples",
        )?;
        if self.values_each != Some(values) {
            at_most(values as u64, limits.sample_types_max, "values in one sample")?;
            self.values_differ |= *self.values_each.get_or_insert(values) != values;
        }
        if values == 0 {
            samples.stacks.truncate(stacks_before);
            samples.labels.truncate(labels_before);
            return Ok(());
        }
        samples.stack_ends.push(samples.stacks.len() as u32);
        samples.label_ends.push(samples.labels.len() as u32);
        Ok(())
    }

    #[inline(always)]
    fn sample_fields<S: Simd>(&mut self, simd: S, message: Message<'_>, limits: &Limits) -> Result<(), Refusal> {
        let mut labels = 0;
        let mut glance = Glance::new(message);
        // Go's runtime writes the values first, others the stack.
        self.values(simd, &mut glance)?;
        if let Some(packed) = glance.message(0x0a) {
            packed_ids(simd, packed, &mut self.samples.stacks, &mut self.ids).map_err(|fault| glance.fault(fault))?;
        }
        while let Some(id) = glance.number(0x08) {
            self.samples.stacks.push(self.ids.narrow(id));
        }
        self.values(simd, &mut glance)?;
        while let Some(label) = glance.message(0x1a) {
            self.count_label(&mut labels, limits)?;
            self.label(label).map_err(|fault| glance.fault(fault))?;
        }
        if glance.is_at_end() {
            return Ok(());
        }
        simd.vectorize(
            #[inline(always)]
            || self.sample_plainly(simd, labels, glance.rest(), limits),
        )
    }

    /// Reads what is left of a sample that is written in another way, or has a fault; with its labels so far.
    #[inline(always)]
    fn sample_plainly<S: Simd>(
        &mut self,
        simd: S,
        mut labels: u64,
        rest: &[u8],
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let mut fields = Fields::new(rest)?;
        while !fields.is_at_end() {
            if fields.is(0x0a) {
                packed_ids(simd, fields.bytes()?.into(), &mut self.samples.stacks, &mut self.ids)?;
            }
            while fields.is(0x08) {
                self.samples.stacks.push(self.ids.narrow(fields.varint()?));
            }
            if fields.is(0x12) {
                packed_values(simd, fields.bytes()?.into(), &mut self.samples.values)?;
            }
            while fields.is(0x10) {
                self.samples.values.push(fields.varint()?.cast_signed());
            }
            while fields.is(0x1a) {
                self.count_label(&mut labels, limits)?;
                self.label(fields.bytes()?.into())?;
            }
            fields.skip_unknown(SAMPLE)?;
        }
        Ok(())
    }

    /// The values of a sample, if they come next.
    #[inline(always)]
    fn values<S: Simd>(&mut self, simd: S, sample: &mut Glance<'_>) -> Result<(), Fault> {
        if let Some(packed) = sample.message(0x12) {
            packed_values(simd, packed, &mut self.samples.values).map_err(|fault| sample.fault(fault))?;
        }
        while let Some(value) = sample.number(0x10) {
            self.samples.values.push(value.cast_signed());
        }
        Ok(())
    }

    /// Counts one more label of a sample.
    #[inline(always)]
    fn count_label(&mut self, labels: &mut u64, limits: &Limits) -> Result<(), LimitExceeded> {
        *labels += 1;
        self.has_many_labels |= *labels > 1;
        at_most(*labels, limits.labels_per_sample_max, "labels in one sample")
    }

    #[inline(always)]
    fn label(&mut self, message: Message<'_>) -> Result<(), Fault> {
        let found = messages::Label::read(message)?;
        self.string_index_max = self.string_index_max.max(found.string_index_max());
        if let Some(label) = label(&found) {
            self.samples.labels.push(label);
        }
        Ok(())
    }

    #[inline(never)]
    fn mapping(&mut self, message: Message<'_>, limits: &Limits) -> Result<(), Refusal> {
        at_most(self.mappings.len() as u64 + 1, limits.mappings_max, "mappings")?;
        let found = messages::Mapping::read(message)?;
        let mapping = Mapping {
            id: found.id,
            start: found.start,
            limit: found.limit,
            offset: found.offset,
            file: self.string(found.file),
            build_id: self.string(found.build_id),
            has_functions: found.has_functions != 0,
            has_filenames: found.has_filenames != 0,
            has_line_numbers: found.has_line_numbers != 0,
            has_inline_frames: found.has_inline_frames != 0,
        };
        if mapping.id == 0 {
            self.reserved.get_or_insert(messages::MAPPING_RESERVED);
            return Ok(());
        }
        self.mappings.push(mapping);
        self.counted.mappings &= mapping.id == self.mappings.len() as u64;
        Ok(())
    }

    #[inline(always)]
    fn location<S: Simd>(&mut self, simd: S, message: Message<'_>, limits: &Limits) -> Result<(), Refusal> {
        at_most(self.locations.len() as u64 + 1, limits.locations_max, "locations")?;
        let lines_begin = self.lines.len();
        let mut numbers = [0; 3];
        let mut glance = Glance::new(message);
        glance.numbers([0x08, 0x10, 0x18], &mut numbers);
        let [id, mut mapping, address] = numbers;
        while let Some(line) = glance.message(0x22) {
            self.line(simd, line).map_err(|fault| glance.fault(fault))?;
        }
        // Go's runtime writes the mapping last. After it, whether the location is folded.
        mapping = glance.number(0x10).unwrap_or(mapping);
        let is_folded = glance.number(0x28).unwrap_or_default();
        let mut numbers = [id, mapping, address, is_folded];
        if !glance.is_at_end() {
            numbers = self.location_plainly(numbers, glance.rest())?;
        }
        let [id, mapping, address, is_folded] = numbers;
        let lines = self.lines.len() - lines_begin;
        at_most(lines as u64, limits.lines_per_location_max, "lines at one location")?;
        if id == 0 {
            self.reserved.get_or_insert(messages::LOCATION_RESERVED);
            self.lines.truncate(lines_begin);
            return Ok(());
        }
        self.locations.push(Location {
            id,
            mapping: (mapping != 0).then(|| self.ids.narrow(mapping)),
            address,
            lines_begin: lines_begin as u32,
            lines_end: self.lines.len() as u32,
            is_folded: is_folded != 0,
        });
        self.counted.locations &= id == self.locations.len() as u64;
        Ok(())
    }

    /// Reads what is left of a location that is written in another way, or has a fault; with its id, mapping, address and
    /// whether it is folded, as far as they are known.
    #[inline(never)]
    fn location_plainly(&mut self, mut numbers: [u64; 4], rest: &[u8]) -> Result<[u64; 4], Fault> {
        let mut fields = Fields::new(rest)?;
        while !fields.is_at_end() {
            for (tag, number) in [0x08, 0x10, 0x18, 0x28].into_iter().zip(&mut numbers) {
                if fields.is(tag) {
                    *number = fields.varint()?;
                }
            }
            while fields.is(0x22) {
                self.add_line(&messages::Line::read(fields.bytes()?)?);
            }
            fields.skip_unknown(LOCATION)?;
        }
        Ok(numbers)
    }

    #[inline(always)]
    fn line<S: Simd>(&mut self, simd: S, message: Message<'_>) -> Result<(), Fault> {
        self.add_line(&messages::read_varied(simd, message)?);
        Ok(())
    }

    #[inline(always)]
    fn add_line(&mut self, found: &messages::Line) {
        self.lines.push(Line {
            function: self.ids.narrow(found.function),
            line: found.line.cast_signed(),
            column: found.column.cast_signed(),
        });
    }

    #[inline(always)]
    fn function<S: Simd>(&mut self, simd: S, message: Message<'_>, limits: &Limits) -> Result<(), Refusal> {
        at_most(self.functions.len() as u64 + 1, limits.functions_max, "functions")?;
        let found: messages::Function = messages::read_varied(simd, message)?;
        let function = Function {
            id: found.id,
            name: self.string(found.name),
            system_name: self.string(found.system_name),
            file: self.string(found.file),
            start_line: found.start_line.cast_signed(),
        };
        if function.id == 0 {
            self.reserved.get_or_insert(messages::FUNCTION_RESERVED);
            return Ok(());
        }
        self.functions.push(function);
        self.counted.functions &= function.id == self.functions.len() as u64;
        Ok(())
    }

    /// Notes that a string is referred to. What is cut off here is beyond every table, and found to be.
    #[inline(always)]
    fn string(&mut self, index: u64) -> StringId {
        self.string_index_max = self.string_index_max.max(index);
        StringId(index as u32)
    }
}

/// Why a field is refused, and where it begins.
struct Refused<'a> {
    refusal: Refusal,
    field: Cursor<'a>,
}

impl<'a> Refused<'a> {
    fn at(field: Cursor<'a>, refusal: impl Into<Refusal>) -> Self {
        let refusal = refusal.into();
        Self { refusal, field }
    }
}

/// Reads the field that begins at the first of the two places, with its value at the second, and those with the same tag that
/// follow it. Writers write all of a kind in a row, so it is rarely asked which kind comes next.
#[inline(always)]
fn in_a_row<'a>(
    tag: u8,
    (mut field, mut value): (Cursor<'a>, Cursor<'a>),
    mut read: impl FnMut(&mut Cursor<'a>) -> Result<(), Refusal>,
) -> Result<Cursor<'a>, Refused<'a>> {
    loop {
        read(&mut value).map_err(|refusal| Refused::at(field, refusal))?;
        field = value;
        match field.rest() {
            [next, rest @ ..] if *next == tag => value = Cursor::new(rest),
            _ => return Ok(field),
        }
    }
}

/// The bytes of a message, which have a limit.
#[inline(always)]
fn message<'a>(profile: &mut Cursor<'a>, limits: &Limits) -> Result<Message<'a>, Refusal> {
    let message = profile.message()?;
    at_most(message.len() as u64, limits.message_bytes_max, "bytes in one message")?;
    Ok(message)
}

/// A label, as google/pprof reads it: `None` for one that says nothing, which it drops.
#[inline(always)]
fn label(found: &messages::Label) -> Option<Label> {
    // What is cut off here is beyond every table, and found to be.
    let string = |index: u64| StringId(index as u32);
    let value = if found.text != 0 {
        LabelValue::Text(string(found.text))
    } else if found.number != 0 || found.unit != 0 {
        let unit = (found.unit != 0).then(|| string(found.unit));
        LabelValue::Number(found.number.cast_signed(), unit)
    } else {
        return None;
    };
    Some(Label {
        key: string(found.key),
        value,
    })
}
