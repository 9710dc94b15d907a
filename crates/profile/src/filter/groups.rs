//! What labels say, as frames: so that views show it like a function that called or was called.

use hashbrown::HashMap;

use crate::limits::{LimitExceeded, Limits, at_most};
use crate::merge::place;
use crate::model::{Function, LabelValue, Line, Location, Profile, Sample, StringId};
use crate::view::units;

/// Whether any sample had a label of the keys. Where no keys were given, none had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupsMatched {
    /// Of those at the root.
    pub root: bool,
    /// Of those at the leaf.
    pub leaf: bool,
}

impl Profile<'_> {
    /// Gives each stack a frame for each key, above its root or below its leaf. The first key is outermost in both. Its
    /// function is called by what the sample's labels of that key say, separated by commas, and by nothing where there are
    /// none; its file is the key. Numbers are shown in `unit`, which may be [`units::AUTO`].
    ///
    /// Sums stay as they are, for each sample has a frame of each key.
    ///
    /// # Errors
    /// When the profile would exceed a limit.
    pub fn group_by_label(
        &mut self,
        root: &[&[u8]],
        leaf: &[&[u8]],
        unit: &str,
        limits: &Limits,
    ) -> Result<GroupsMatched, LimitExceeded> {
        let added = root.len() + leaf.len();
        if added == 0 {
            return Ok(GroupsMatched::default());
        }
        let frames = self.samples.stacks.len() as u64 + self.samples.len() as u64 * added as u64;
        // The column's places are 32 bits wide.
        let frames_max = limits.locations_in_samples_max.min(u64::from(u32::MAX));
        at_most(frames, frames_max, "locations in all samples")?;
        let mut groups = Groups::new(self, limits)?;
        let mut matched = GroupsMatched::default();
        let mut stacks = Vec::with_capacity(self.samples.len() * added);
        let types = self.header.sample_types.len();
        for index in 0..self.samples.len() {
            let sample = self.samples.get(index, types);
            let depth = (sample.stack.len() + added) as u64;
            at_most(depth, limits.locations_per_sample_max, "locations in one sample")?;
            // Made in the order in which they are new: those at the root first.
            for key in root.iter().rev() {
                let (has_some, location) = groups.place(self, index, key, unit)?;
                matched.root |= has_some;
                stacks.push(location);
            }
            for key in leaf.iter().rev() {
                let (has_some, location) = groups.place(self, index, key, unit)?;
                matched.leaf |= has_some;
                stacks.push(location);
            }
        }
        let mut frames = stacks.chunks_exact(added);
        self.samples = self.samples.with_stacks(types, |sample, stack| {
            let (roots, leaves) = frames
                .next()
                .unwrap_or_default()
                .split_at_checked(root.len())
                .unwrap_or_default();
            stack.extend_from_slice(leaves);
            stack.extend_from_slice(sample.stack);
            stack.extend_from_slice(roots);
            true
        });
        Ok(matched)
    }
}

/// The new locations, by what they are called.
struct Groups<'k> {
    by_name: HashMap<(&'k [u8], Vec<u8>), u32>,
    /// The same by the labels that say so: texts may be long, and stand at very many samples.
    by_labels: HashMap<(&'k [u8], Vec<LabelValue>), u32>,
    labels: Vec<LabelValue>,
    limits: Limits,
    next_location: u64,
    next_function: u64,
    /// What the new names take.
    bytes: u64,
    name: Vec<u8>,
}

impl<'k> Groups<'k> {
    fn new(profile: &Profile<'_>, limits: &Limits) -> Result<Self, LimitExceeded> {
        let after = |last: Option<u64>| {
            last.unwrap_or(0).checked_add(1).ok_or(LimitExceeded {
                name: "ids",
                limit: u64::MAX,
            })
        };
        Ok(Self {
            by_name: HashMap::new(),
            by_labels: HashMap::new(),
            labels: Vec::new(),
            limits: *limits,
            next_location: after(profile.locations.iter().map(|location| location.id).max())?,
            next_function: after(profile.functions.iter().map(|function| function.id).max())?,
            bytes: 0,
            name: Vec::new(),
        })
    }

    /// The location of a sample's labels of a key, and whether there are any.
    fn place(
        &mut self,
        profile: &mut Profile<'_>,
        sample: usize,
        key: &&'k [u8],
        unit: &str,
    ) -> Result<(bool, u32), LimitExceeded> {
        let types = profile.header.sample_types.len();
        let Sample { labels, .. } = profile.samples.get(sample, types);
        let of_key = labels.iter().filter(|label| profile.strings.get(label.key) == *key);
        self.labels.clear();
        self.labels.extend(of_key.map(|label| label.value));
        // As with the names below: what is looked for is not copied.
        let wanted = (*key, std::mem::take(&mut self.labels));
        let has_some = !wanted.1.is_empty();
        if let Some(known) = self.by_labels.get(&wanted) {
            self.labels = wanted.1;
            return Ok((has_some, *known));
        }
        self.name(profile, &wanted.1, unit)?;
        let location = self.location(profile, key)?;
        self.by_labels.insert(wanted, location);
        Ok((has_some, location))
    }

    /// Writes what labels say.
    fn name(&mut self, profile: &Profile<'_>, labels: &[LabelValue], unit: &str) -> Result<(), LimitExceeded> {
        self.name.clear();
        for (index, label) in labels.iter().enumerate() {
            if index > 0 {
                self.name.push(b',');
            }
            match *label {
                LabelValue::Text(text) => self.name.extend_from_slice(profile.strings.get(text)),
                LabelValue::Number(number, None) => {
                    self.name.extend_from_slice(units::label(number, "", "").as_bytes());
                }
                LabelValue::Number(number, Some(of)) => {
                    let of = profile.strings.text(of);
                    self.name.extend_from_slice(units::label(number, &of, unit).as_bytes());
                }
            }
            at_most(
                self.name.len() as u64,
                self.limits.string_bytes_max,
                "bytes in one string",
            )?;
        }
        Ok(())
    }

    /// The location that is called by the name at hand.
    fn location(&mut self, profile: &mut Profile<'_>, key: &&'k [u8]) -> Result<u32, LimitExceeded> {
        // A key that is looked for without being owned: the name goes in and comes back.
        let wanted = (*key, std::mem::take(&mut self.name));
        if let Some(known) = self.by_name.get(&wanted) {
            self.name = wanted.1;
            return Ok(*known);
        }
        // A tag, a length, and the string; a tag, a length and an id for location, line and function.
        self.bytes += wanted.1.len() as u64 + key.len() as u64 + 16;
        at_most(self.bytes, self.limits.uncompressed_bytes_max, "uncompressed bytes")?;
        let location = place(profile.locations.len())?;
        at_most(u64::from(location) + 1, self.limits.locations_max, "locations")?;
        let function = place(profile.functions.len())?;
        at_most(u64::from(function) + 1, self.limits.functions_max, "functions")?;
        let string = |profile: &mut Profile<'_>, text: &[u8]| match text {
            b"" => Ok(StringId::EMPTY),
            text => profile.strings.push(text),
        };
        let (name, file) = (string(profile, &wanted.1)?, string(profile, key)?);
        profile.functions.push(Function {
            id: self.next_function,
            name,
            file,
            ..Function::default()
        });
        let lines_begin = place(profile.lines.len())?;
        let lines_end = place(profile.lines.len() + 1)?;
        profile.lines.push(Line {
            function,
            ..Line::default()
        });
        profile.locations.push(Location {
            id: self.next_location,
            lines_begin,
            lines_end,
            ..Location::default()
        });
        // Ids run out only after as many steps as there are numbers.
        (self.next_function, self.next_location) = (
            self.next_function.saturating_add(1),
            self.next_location.saturating_add(1),
        );
        self.by_name.insert(wanted, location);
        Ok(location)
    }
}
