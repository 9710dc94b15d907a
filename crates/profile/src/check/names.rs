//! The few strings that a summary names, out of a table that passes by once.

use std::collections::VecDeque;

/// Longest name that is kept. 128: the longest in use is "cpu_samples_of_wall_time" and the like.
pub(super) const NAME_BYTES_MAX: usize = 128;

/// Strings kept from the table's beginning. Producers intern the names of the sample types first, wherever in the
/// file they then write them: two for each of the 64 sample types that the default limits allow, and the empty one.
const FIRST_MAX: usize = 129;

/// Strings kept from the table's end. google/pprof writes the period's names after those of all functions and only the
/// comments, the default type and the link after them, in a field that follows the table.
const LAST_MAX: usize = 16;

/// Strings that are asked for before they come: as many as the sample types of the default limits have, and a period's.
const WANTED_MAX: usize = 130;

/// A table of strings of which the beginning, the end and what was asked for before are kept.
#[derive(Default)]
pub(super) struct Names {
    seen: u64,
    wanted: Vec<(u64, Option<String>)>,
    first: Vec<Option<String>>,
    last: VecDeque<Kept>,
}

/// A string of the table's end, without an allocation per string: long ones are kept as nothing.
#[derive(Clone, Copy)]
struct Kept {
    bytes: [u8; NAME_BYTES_MAX],
    len: usize,
}

impl Kept {
    const NOTHING: Self = Self {
        bytes: [0; NAME_BYTES_MAX],
        len: usize::MAX,
    };

    fn set(&mut self, string: &[u8]) {
        self.len = usize::MAX;
        if let Some(bytes) = self.bytes.get_mut(..string.len()) {
            bytes.copy_from_slice(string);
            self.len = string.len();
        }
    }

    fn name(&self) -> Option<String> {
        self.bytes
            .get(..self.len)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

fn name(string: &[u8]) -> Option<String> {
    (string.len() <= NAME_BYTES_MAX).then(|| String::from_utf8_lossy(string).into_owned())
}

impl Names {
    /// Strings seen.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Asks for the string with this index, in case it comes later.
    pub(super) fn want(&mut self, index: u64) {
        if index >= self.seen && self.wanted.len() < WANTED_MAX {
            self.wanted.push((index, None));
        }
    }

    /// The next string of the table.
    pub(super) fn push(&mut self, string: &[u8]) {
        if self.first.len() < FIRST_MAX {
            self.first.push(name(string));
        }
        for (index, wanted) in &mut self.wanted {
            if *index == self.seen {
                *wanted = name(string);
            }
        }
        let mut kept = if self.last.len() < LAST_MAX {
            None
        } else {
            self.last.pop_front()
        }
        .unwrap_or(Kept::NOTHING);
        kept.set(string);
        self.last.push_back(kept);
        self.seen += 1;
    }

    /// The string with this index, if it was kept.
    pub(super) fn get(&self, index: u64) -> Option<String> {
        if let Some(first) = usize::try_from(index).ok().and_then(|index| self.first.get(index)) {
            return first.clone();
        }
        if let Some((_, wanted)) = self
            .wanted
            .iter()
            .find(|(wanted, name)| *wanted == index && name.is_some())
        {
            return wanted.clone();
        }
        let from_end = self.seen.checked_sub(index)?;
        let place = (self.last.len() as u64).checked_sub(from_end)?;
        usize::try_from(place)
            .ok()
            .and_then(|place| self.last.get(place))
            .and_then(Kept::name)
    }
}
