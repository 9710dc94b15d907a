//! A legacy profile as far as it is read: stacks of addresses, before they are numbered and placed into mappings.

use hashbrown::HashMap;

use super::code::Code;
use super::{Refused, frames};
use crate::build::Builder;
use crate::limits::{Limits, at_most};
use crate::merge::place;
use crate::model::{Function, Label, LabelValue, Line, Mapping, Profile, Sample};

/// Kind and unit of a value. Bytes, as all strings of a profile.
pub(super) type ValueType<'a> = (&'a [u8], &'a [u8]);

/// What a profile says once.
#[derive(Debug, Clone, Default)]
pub(super) struct Measure<'a> {
    pub(super) sample_types: Vec<ValueType<'a>>,
    pub(super) period_type: ValueType<'a>,
    pub(super) period: i64,
    pub(super) duration_nanos: i64,
}

impl<'a> Measure<'a> {
    /// Of these sample types, one event at a time.
    pub(super) fn new(period_type: (&'a str, &'a str), sample_types: &[(&'a str, &'a str)]) -> Self {
        let bytes = |(kind, unit): (&'a str, &'a str)| (kind.as_bytes(), unit.as_bytes());
        Self {
            sample_types: sample_types.iter().copied().map(bytes).collect(),
            period_type: bytes(period_type),
            period: 1,
            duration_nanos: 0,
        }
    }
}

/// A profile in the making.
pub(super) struct Draft<'a> {
    pub(super) measure: Measure<'a>,
    limits: Limits,
    /// Each address once, in the order of coming. Stacks are indexes of these.
    addresses: Vec<u64>,
    by_address: HashMap<u64, u32>,
    stacks: Vec<u32>,
    stack_ends: Vec<u32>,
    values: Vec<i64>,
    /// The size of the blocks of each sample of a heap; empty for what is no heap.
    block_bytes: Vec<i64>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(measure: Measure<'a>, limits: &Limits) -> Self {
        Self {
            measure,
            limits: *limits,
            addresses: Vec::new(),
            by_address: HashMap::new(),
            stacks: Vec::new(),
            stack_ends: Vec::new(),
            values: Vec::new(),
            block_bytes: Vec::new(),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Each address once: what locations are numbered by until they are put in order.
    pub(super) fn addresses(&self) -> &[u64] {
        &self.addresses
    }

    /// The place of an address among [`Draft::addresses`].
    pub(super) fn find(&self, address: u64) -> Option<u32> {
        self.by_address.get(&address).copied()
    }

    pub(super) fn sample_count(&self) -> usize {
        self.stack_ends.len()
    }

    /// Adds a sample: addresses (leaf first) and a value for each sample type.
    pub(super) fn push(
        &mut self,
        addresses: impl Iterator<Item = u64>,
        values: &[i64],
        block_bytes: Option<i64>,
    ) -> Result<(), Refused> {
        let samples = self.stack_ends.len() as u64 + 1;
        at_most(samples, self.limits.samples_max, "samples")?;
        for (depth, address) in (1..).zip(addresses) {
            at_most(depth, self.limits.locations_per_sample_max, "locations in one sample")?;
            let location = self.location(address)?;
            self.stacks.push(location);
            let limit = self.limits.locations_in_samples_max;
            at_most(self.stacks.len() as u64, limit, "locations in all samples")?;
        }
        self.stack_ends.push(place(self.stacks.len())?);
        self.values.extend_from_slice(values);
        self.block_bytes.extend(block_bytes);
        Ok(())
    }

    /// One more of the last sample, if there is one.
    pub(super) fn count_last_again(&mut self) {
        if let Some(value) = self.values.last_mut() {
            *value = value.wrapping_add(1);
        }
    }

    fn location(&mut self, address: u64) -> Result<u32, Refused> {
        if let Some(known) = self.by_address.get(&address) {
            return Ok(*known);
        }
        let index = place(self.addresses.len())?;
        at_most(u64::from(index) + 1, self.limits.locations_max, "locations")?;
        self.addresses.push(address);
        self.by_address.insert(address, index);
        Ok(index)
    }

    /// The addresses of each stack.
    pub(super) fn stacks(&self) -> impl Iterator<Item = &[u32]> {
        let begins = std::iter::once(0).chain(self.stack_ends.iter().copied());
        let range = |(begin, end): (u32, &u32)| self.stacks.get(begin as usize..*end as usize).unwrap_or_default();
        begins.zip(&self.stack_ends).map(range)
    }

    pub(super) fn address(&self, location: u32) -> u64 {
        self.addresses.get(location as usize).copied().unwrap_or(0)
    }

    /// Takes the second frame out of each stack of which `is_dropped` says so, when asked for the addresses of its first
    /// and second.
    pub(super) fn drop_second_frames(&mut self, is_dropped: impl Fn(u64, u64) -> bool) {
        let mut kept = 0;
        let mut begin = 0;
        for index in 0..self.stack_ends.len() {
            let end = self.stack_ends.get(index).map_or(begin, |end| *end as usize);
            let is_dropped = match self.stacks.get(begin..end) {
                Some([first, second, ..]) => is_dropped(self.address(*first), self.address(*second)),
                _ => false,
            };
            let from = if is_dropped {
                self.stacks.copy_within(begin..=begin, kept);
                kept += 1;
                begin + 2
            } else {
                begin
            };
            self.stacks.copy_within(from..end, kept);
            kept += end - from;
            if let Some(end) = self.stack_ends.get_mut(index) {
                // Not above what it was.
                *end = kept as u32;
            }
            begin = end;
        }
        self.stacks.truncate(kept);
    }

    /// The gperftools handler may have the leaf twice: from the signal's context, and unwound, where it was taken for a
    /// call and moved back by one.
    pub(super) fn drop_duplicate_leaves(&mut self) {
        self.drop_second_frames(|first, second| first == second.wrapping_add(1));
    }

    /// The locations that samples reach, in the order of reaching.
    pub(super) fn reached(&self) -> Vec<u32> {
        let mut seen = vec![false; self.addresses.len()];
        let mut reached = Vec::new();
        for location in &self.stacks {
            if let Some(seen) = seen.get_mut(*location as usize)
                && !*seen
            {
                *seen = true;
                reached.push(*location);
            }
        }
        reached
    }

    /// The profile, of the code that its locations were found to be.
    pub(super) fn finish(self, code: &Code<'_>) -> Result<Profile<'static>, Refused> {
        let types = &self.measure.sample_types;
        let mut builder = Builder::of(types, &self.limits)?;
        builder.set_period_type(self.measure.period_type, self.measure.period)?;
        builder.set_time(0, self.measure.duration_nanos);
        let kinds: Vec<_> = types.iter().map(|(kind, _)| *kind).collect();
        let (drop, keep) = frames::of(&kinds);
        builder.set_frames(drop.as_bytes(), keep.as_bytes())?;
        let locations = self.build_code(code, &mut builder)?;
        let key = builder.string(b"bytes")?;
        let mut stack = Vec::new();
        let mut values = self.values.chunks_exact(types.len().max(1));
        let mut blocks = self.block_bytes.iter();
        for locations_of in self.stacks() {
            stack.clear();
            stack.extend(locations_of.iter().filter_map(|index| locations.get(*index as usize)));
            let label = blocks.next().map(|bytes| Label {
                key,
                value: LabelValue::Number(*bytes, None),
            });
            builder.push_sample(Sample {
                stack: &stack,
                values: values.next().unwrap_or_default(),
                labels: label.as_slice(),
            })?;
        }
        Ok(builder.finish())
    }

    /// Mappings, locations and functions; gives the index of each location of the draft in the profile.
    fn build_code(&self, code: &Code<'_>, builder: &mut Builder) -> Result<Vec<u32>, Refused> {
        for mapping in &code.mappings {
            let mapping = Mapping {
                start: mapping.start,
                limit: mapping.limit,
                offset: mapping.offset,
                file: builder.string(&mapping.file)?,
                build_id: builder.string(&mapping.build_id)?,
                ..Mapping::default()
            };
            builder.push_mapping(mapping)?;
        }
        let mut indexes = vec![0; self.addresses.len()];
        for location in &code.locations {
            let named = code.names.get(location.index as usize).copied().flatten();
            let line = named.and_then(|(name, line)| Some((code.functions.get(name as usize)?, line)));
            let line = match line {
                Some(((name, file), line)) => {
                    let (name, file) = (builder.string(name)?, builder.string(file)?);
                    let function = builder.function(Function {
                        name,
                        system_name: name,
                        file,
                        ..Function::default()
                    })?;
                    Some(Line {
                        function,
                        line,
                        column: 0,
                    })
                }
                None => None,
            };
            let index = builder.push_location(location.address, location.mapping, line.as_slice())?;
            if let Some(place) = indexes.get_mut(location.index as usize) {
                *place = index;
            }
        }
        Ok(indexes)
    }

    /// The address of the frame that is second in all stacks but a few: an artefact of measuring.
    pub(super) fn common_second_address(&self, margin: usize) -> Option<u64> {
        let mut counts: HashMap<u64, usize> = HashMap::new();
        let seconds = self.stacks().filter_map(|stack| stack.get(1));
        for second in seconds {
            *counts.entry(self.address(*second)).or_default() += 1;
        }
        let enough = self.sample_count() - margin;
        counts
            .into_iter()
            .find(|(_, count)| *count >= enough)
            .map(|(address, _)| address)
    }
}
