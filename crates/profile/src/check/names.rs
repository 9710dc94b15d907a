//! The few strings that a summary names, out of a table that passes by once.

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
pub(super) struct Names {
    seen: u64,
    wanted: Vec<(u64, Kept)>,
    /// No string from here on is wanted, which spares most strings the search.
    wanted_end: u64,
    first: Vec<Kept>,
    /// A ring: the string with index i is at place i modulo its length.
    last: [Kept; LAST_MAX],
}

/// A string, without an allocation for it: long ones are kept as nothing.
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

    fn new(string: &[u8]) -> Self {
        let mut kept = Self::NOTHING;
        kept.set(string);
        kept
    }

    fn name(&self) -> Option<String> {
        self.bytes
            .get(..self.len)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

/// Where in the ring the string with this index is, or was.
fn place(index: u64) -> usize {
    // Smaller than the ring.
    (index % LAST_MAX as u64) as usize
}

impl Names {
    pub(super) fn new() -> Self {
        Self {
            seen: 0,
            wanted: Vec::new(),
            wanted_end: 0,
            first: Vec::new(),
            last: [Kept::NOTHING; LAST_MAX],
        }
    }

    /// Strings seen.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Asks for the string with this index, in case it comes later.
    pub(super) fn want(&mut self, index: u64) {
        if index >= self.seen && self.wanted.len() < WANTED_MAX {
            self.wanted.push((index, Kept::NOTHING));
            self.wanted_end = self.wanted_end.max(index.saturating_add(1));
        }
    }

    /// The next string of the table.
    pub(super) fn push(&mut self, string: &[u8]) {
        if self.first.len() < FIRST_MAX {
            self.first.push(Kept::new(string));
        }
        if self.seen < self.wanted_end {
            for (_, wanted) in self.wanted.iter_mut().filter(|(index, _)| *index == self.seen) {
                wanted.set(string);
            }
        }
        if let Some(kept) = self.last.get_mut(place(self.seen)) {
            kept.set(string);
        }
        self.seen += 1;
    }

    /// The string with this index, if it was kept.
    pub(super) fn get(&self, index: u64) -> Option<String> {
        if let Some(first) = usize::try_from(index).ok().and_then(|index| self.first.get(index)) {
            return first.name();
        }
        let wanted = self.wanted.iter().find(|(wanted, _)| *wanted == index);
        if let Some(name) = wanted.and_then(|(_, kept)| kept.name()) {
            return Some(name);
        }
        let is_kept = index < self.seen && self.seen - index <= LAST_MAX as u64;
        self.last.get(place(index)).filter(|_| is_kept).and_then(Kept::name)
    }
}
