//! What the messages of a profile add up to, each of them checked by itself.

use super::names::Names;
use super::{CheckError, Summary};
use crate::limits::{LimitExceeded, Limits, at_most};
use crate::messages::{self, Function, Label, Line, Mapping, ValueType};
use crate::refusal::Refusal;
use crate::wire::{Cursor, Fault, Fields, Glance, Message, Value, whole};

/// Counters of a profile.
pub(super) struct Tally {
    limits: Limits,
    names: Names,
    sample_types: Vec<ValueType>,
    period_type: Option<ValueType>,
    samples: u64,
    /// In all samples.
    stacked: u64,
    totals: Vec<i64>,
    mappings: u64,
    locations: u64,
    functions: u64,
    labels: u64,
    comments: u64,
    period: i64,
    time_nanos: i64,
    duration_nanos: i64,
    /// The last value of each field that is one string index: drop and keep frames, default type and link.
    single_strings: [u64; 4],
    /// The largest string index in any message; a negative one is larger than every table.
    string_index_max: u64,
}

/// Sample types, samples and so on as [`Tally::take`] knows them.
pub(super) const SAMPLE_TYPE: u64 = 1;
pub(super) const SAMPLE: u64 = 2;
pub(super) const MAPPING: u64 = 3;
pub(super) const LOCATION: u64 = 4;
pub(super) const FUNCTION: u64 = 5;
pub(super) const STRING: u64 = 6;
pub(super) const PERIOD_TYPE: u64 = 11;
pub(super) const COMMENT: u64 = 13;
/// The fields of a profile are numbered up to here.
pub(super) const FIELD_MAX: u64 = 15;

impl Tally {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            names: Names::new(),
            sample_types: Vec::new(),
            period_type: None,
            samples: 0,
            stacked: 0,
            totals: Vec::new(),
            mappings: 0,
            locations: 0,
            functions: 0,
            labels: 0,
            comments: 0,
            period: 0,
            time_nanos: 0,
            duration_nanos: 0,
            single_strings: [0; 4],
            string_index_max: 0,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes what most of a profile is: the samples, locations, functions and strings that `bytes` have from `at` on, as far
    /// as they are whole. Steps over each.
    pub(super) fn take_messages(&mut self, bytes: &[u8], at: &mut usize) -> Result<(), Refusal> {
        let mut glance = Glance::new(bytes.get(*at..).unwrap_or_default().into());
        while let Some((tag, message)) = glance.tagged_message() {
            let len = message.len() as u64;
            if tag == 0x32 {
                at_most(len, self.limits.string_bytes_max, "bytes in one string")?;
                self.string(message.bytes())?;
            } else if [0x12, 0x22, 0x2a].contains(&tag) {
                at_most(len, self.limits.message_bytes_max, "bytes in one message")?;
                match tag {
                    0x12 => self.sample(message),
                    0x22 => self.location(message),
                    _ => self.function(message),
                }
                .map_err(Refusal::inside)?;
            } else {
                break;
            }
            *at = bytes.len() - glance.rest().len();
        }
        Ok(())
    }

    /// Takes one whole field of the profile.
    pub(super) fn take(&mut self, number: u64, value: Value<'_>) -> Result<(), Refusal> {
        match number {
            SAMPLE_TYPE => self.sample_type(value.bytes()?).map_err(Refusal::inside),
            SAMPLE => self.sample(value.bytes()?.into()).map_err(Refusal::inside),
            MAPPING => self.mapping(value.bytes()?).map_err(Refusal::inside),
            LOCATION => self.location(value.bytes()?.into()).map_err(Refusal::inside),
            FUNCTION => self.function(value.bytes()?.into()).map_err(Refusal::inside),
            STRING => self.string(value.bytes()?),
            COMMENT => self.comment(value),
            PERIOD_TYPE => {
                let period_type = ValueType::read(value.bytes()?).map_err(whole)?;
                self.names.want(period_type.kind);
                self.names.want(period_type.unit);
                // The last one counts, as with every single field that comes twice.
                self.period_type = Some(period_type);
                Ok(())
            }
            7 | 8 => self.single_string(number - 7, value),
            14 | 15 => self.single_string(number - 12, value),
            9 => {
                if self.time_nanos != 0 {
                    return Err(Fault::Bad(messages::CONCATENATED).into());
                }
                self.time_nanos = value.varint()?.cast_signed();
                Ok(())
            }
            10 => {
                self.duration_nanos = value.varint()?.cast_signed();
                Ok(())
            }
            12 => {
                self.period = value.varint()?.cast_signed();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn single_string(&mut self, place: u64, value: Value<'_>) -> Result<(), Refusal> {
        let index = value.varint()?;
        if let Some(single) = usize::try_from(place)
            .ok()
            .and_then(|place| self.single_strings.get_mut(place))
        {
            *single = index;
        }
        Ok(())
    }

    fn note_string(&mut self, index: u64) {
        self.string_index_max = self.string_index_max.max(index);
    }

    fn sample_type(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let limit = self.limits.sample_types_max;
        at_most(self.sample_types.len() as u64 + 1, limit, "sample types")?;
        let sample_type = ValueType::read(message)?;
        self.names.want(sample_type.kind);
        self.names.want(sample_type.unit);
        self.note_string(sample_type.kind);
        self.note_string(sample_type.unit);
        self.sample_types.push(sample_type);
        Ok(())
    }

    #[inline(always)]
    fn sample(&mut self, message: Message<'_>) -> Result<(), Refusal> {
        self.samples += 1;
        at_most(self.samples, self.limits.samples_max, "samples")?;
        let mut sample = Sample::default();
        let mut glance = Glance::new(message);
        // Go's runtime writes the values first, others the stack.
        self.sample_values(&mut sample, &mut glance)?;
        if let Some(packed) = glance.message(0x0a) {
            sample.locations += packed.count_varints().map_err(|fault| glance.fault(fault))?;
        }
        while glance.number(0x08).is_some() {
            sample.locations += 1;
        }
        self.sample_values(&mut sample, &mut glance)?;
        while let Some(label) = glance.message(0x1a) {
            self.sample_label(&mut sample, label)
                .map_err(|refusal| glance.fault(refusal))?;
        }
        if !glance.is_at_end() {
            sample = self.sample_plainly(sample, glance.rest())?;
        }
        at_most(
            sample.locations,
            self.limits.locations_per_sample_max,
            "locations in one sample",
        )?;
        self.stacked += sample.locations;
        at_most(
            self.stacked,
            self.limits.locations_in_samples_max,
            "locations in all samples",
        )?;
        if sample.values == 0 {
            return Err(Fault::Bad("a sample has no values").into());
        }
        if sample.values != self.totals.len() {
            return Err(VALUES_DIFFER.into());
        }
        self.labels += sample.labels;
        Ok(())
    }

    /// Reads what is left of a sample that is written in another way, or has a fault.
    #[inline(never)]
    fn sample_plainly(&mut self, mut sample: Sample, rest: &[u8]) -> Result<Sample, Refusal> {
        let mut fields = Fields::new(rest)?;
        while !fields.is_at_end() {
            if fields.is(0x0a) {
                sample.locations += Message::from(fields.bytes()?).count_varints()?;
            }
            while fields.is(0x08) {
                fields.varint()?;
                sample.locations += 1;
            }
            if fields.is(0x12) {
                self.packed_values(&mut sample, fields.bytes()?)?;
            }
            while fields.is(0x10) {
                self.sample_value(&mut sample, fields.varint()?)?;
            }
            while fields.is(0x1a) {
                self.sample_label(&mut sample, fields.bytes()?.into())?;
            }
            fields.skip_unknown(messages::SAMPLE)?;
        }
        Ok(sample)
    }

    /// The values of a sample, if they come next.
    #[inline(always)]
    fn sample_values(&mut self, sample: &mut Sample, glance: &mut Glance<'_>) -> Result<(), Refusal> {
        if let Some(packed) = glance.message(0x12) {
            self.packed_values(sample, packed.bytes())
                .map_err(|refusal| glance.fault(refusal))?;
        }
        while let Some(value) = glance.number(0x10) {
            self.sample_value(sample, value)
                .map_err(|refusal| glance.fault(refusal))?;
        }
        Ok(())
    }

    #[inline(always)]
    fn packed_values(&mut self, sample: &mut Sample, packed: &[u8]) -> Result<(), Refusal> {
        let mut packed = Cursor::new(packed);
        while !packed.is_empty() {
            self.sample_value(sample, packed.varint()?)?;
        }
        Ok(())
    }

    /// Adds one more value to the total of its type. The first sample says how many there are: the sample types may come
    /// later.
    #[inline(always)]
    fn sample_value(&mut self, sample: &mut Sample, value: u64) -> Result<(), Refusal> {
        match self.totals.get_mut(sample.values) {
            Some(total) => *total = total.wrapping_add(value.cast_signed()),
            None => self.first_value(value)?,
        }
        sample.values += 1;
        Ok(())
    }

    #[cold]
    fn first_value(&mut self, value: u64) -> Result<(), Refusal> {
        if self.samples > 1 {
            return Err(VALUES_DIFFER.into());
        }
        let values = self.totals.len() as u64 + 1;
        at_most(values, self.limits.sample_types_max, "values in one sample")?;
        self.totals.push(value.cast_signed());
        Ok(())
    }

    #[inline(always)]
    fn sample_label(&mut self, sample: &mut Sample, message: Message<'_>) -> Result<(), Refusal> {
        sample.labels += 1;
        at_most(sample.labels, self.limits.labels_per_sample_max, "labels in one sample")?;
        self.note_string(Label::read(message)?.string_index_max());
        Ok(())
    }

    fn mapping(&mut self, message: &[u8]) -> Result<(), Refusal> {
        self.mappings += 1;
        at_most(self.mappings, self.limits.mappings_max, "mappings")?;
        let mapping = Mapping::read(message)?;
        not_reserved(mapping.id, messages::MAPPING_RESERVED)?;
        self.note_string(mapping.file);
        self.note_string(mapping.build_id);
        Ok(())
    }

    #[inline(always)]
    fn location(&mut self, message: Message<'_>) -> Result<(), Refusal> {
        self.locations += 1;
        at_most(self.locations, self.limits.locations_max, "locations")?;
        let (mut numbers, mut lines) = ([0; 3], 0);
        let mut glance = Glance::new(message);
        glance.numbers([0x08, 0x10, 0x18], &mut numbers);
        let [mut id, ..] = numbers;
        while let Some(message) = glance.message(0x22) {
            line(&mut lines, message).map_err(|fault| glance.fault(fault))?;
        }
        // Go's runtime writes the mapping last. After it, whether the location is folded.
        glance.numbers([0x10, 0x28], &mut [0; 2]);
        if !glance.is_at_end() {
            (id, lines) = location_plainly(id, lines, glance.rest())?;
        }
        at_most(lines, self.limits.lines_per_location_max, "lines at one location")?;
        Ok(not_reserved(id, messages::LOCATION_RESERVED)?)
    }

    #[inline(always)]
    fn function(&mut self, message: Message<'_>) -> Result<(), Refusal> {
        self.functions += 1;
        at_most(self.functions, self.limits.functions_max, "functions")?;
        let function = Function::read(message)?;
        not_reserved(function.id, messages::FUNCTION_RESERVED)?;
        for index in [function.name, function.system_name, function.file] {
            self.note_string(index);
        }
        Ok(())
    }

    fn string(&mut self, string: &[u8]) -> Result<(), Refusal> {
        at_most(self.names.seen() + 1, self.limits.strings_max, "strings")?;
        if self.names.seen() == 0 && !string.is_empty() {
            return Err(Fault::Bad("the first string is not the empty one").into());
        }
        self.names.push(string);
        Ok(())
    }

    fn comment(&mut self, value: Value<'_>) -> Result<(), Refusal> {
        match value {
            Value::Bytes(packed) => {
                let mut packed = Cursor::new(packed);
                while !packed.is_empty() {
                    let index = packed.varint().map_err(whole)?;
                    self.one_comment(index)?;
                }
                Ok(())
            }
            Value::Varint(_) | Value::Fixed => self.one_comment(value.varint()?),
        }
    }

    fn one_comment(&mut self, index: u64) -> Result<(), Refusal> {
        self.comments += 1;
        at_most(self.comments, self.limits.comments_max, "comments")?;
        self.note_string(index);
        Ok(())
    }

    /// What it all came to. `offset` is the end of the profile.
    pub(super) fn finish(mut self, offset: u64, bytes: u64, gzip_members: u64) -> Result<Summary, CheckError> {
        let malformed = |what| Err(CheckError::Malformed { what, offset });
        for index in self.single_strings {
            self.note_string(index);
        }
        if let Some(ValueType { kind, unit }) = self.period_type {
            self.note_string(kind.max(unit));
        }
        let strings = self.names.seen();
        if strings == 0 {
            return malformed("there is no string table");
        }
        if self.string_index_max >= strings {
            return malformed("a string index points beyond the string table");
        }
        if self.sample_types.is_empty() {
            return Err(CheckError::NoSampleTypes);
        }
        if self.samples == 0 {
            self.totals = vec![0; self.sample_types.len()];
        }
        if self.totals.len() != self.sample_types.len() {
            return malformed("the samples do not have as many values as there are sample types");
        }
        let name = |index| self.names.get(index);
        let named = |of: &ValueType| Some((name(of.kind)?, name(of.unit)?));
        let sample_types = self
            .sample_types
            .iter()
            .map(named)
            .collect::<Option<Vec<_>>>()
            .ok_or(LimitExceeded {
                name: "bytes in the name of a sample type, or strings before it",
                limit: super::names::NAME_BYTES_MAX as u64,
            })?;
        Ok(Summary {
            samples: self.samples,
            sample_types,
            totals: self.totals,
            period_type: self.period_type.as_ref().and_then(named),
            period: self.period,
            time_nanos: self.time_nanos,
            duration_nanos: self.duration_nanos,
            mappings: self.mappings,
            locations: self.locations,
            functions: self.functions,
            strings,
            labels: self.labels,
            bytes,
            uncompressed_bytes: offset,
            gzip_members,
        })
    }
}

const VALUES_DIFFER: Fault = Fault::Bad("the samples do not have the same number of values");

/// What there is in one sample.
#[derive(Clone, Copy, Default)]
struct Sample {
    locations: u64,
    values: usize,
    labels: u64,
}

/// Reads what is left of a location that is written in another way, or has a fault; gives its id and how many lines it has.
#[inline(never)]
fn location_plainly(mut id: u64, mut lines: u64, rest: &[u8]) -> Result<(u64, u64), Fault> {
    let mut fields = Fields::new(rest)?;
    while !fields.is_at_end() {
        if fields.is(0x08) {
            id = fields.varint()?;
        }
        // Mapping and address.
        while fields.is(0x10) || fields.is(0x18) {
            fields.varint()?;
        }
        while fields.is(0x22) {
            line(&mut lines, fields.bytes()?.into())?;
        }
        if fields.is(0x28) {
            fields.varint()?;
        }
        fields.skip_unknown(messages::LOCATION)?;
    }
    Ok((id, lines))
}

/// Counts one more line of a location.
#[inline(always)]
fn line(lines: &mut u64, message: Message<'_>) -> Result<(), Fault> {
    *lines += 1;
    not_reserved(Line::read(message)?.function, "a line has no function")
}

fn not_reserved(id: u64, what: &'static str) -> Result<(), Fault> {
    if id == 0 { Err(Fault::Bad(what)) } else { Ok(()) }
}
