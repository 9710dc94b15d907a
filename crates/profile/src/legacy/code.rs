//! Locations in their order, each in the mapping that holds its address.

use hashbrown::HashMap;

use super::draft::Draft;
use super::maps::MapEntry;
use crate::limits::LimitExceeded;
use crate::merge::place;

/// A location in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    /// Its index in the draft.
    pub(super) index: u32,
    pub(super) address: u64,
    pub(super) mapping: Option<u32>,
}

/// The code behind the samples of a draft.
#[derive(Debug, Default)]
pub(super) struct Code<'a> {
    pub(super) mappings: Vec<MapEntry>,
    /// In the order in which samples reach them.
    pub(super) locations: Vec<Placed>,
    /// Names and files.
    pub(super) functions: Vec<(&'a [u8], &'a [u8])>,
    /// Function and line of each location of the draft; empty where nobody knows them.
    pub(super) names: Vec<Option<(u32, i64)>>,
}

/// Where google/pprof expects a program that is not position independent.
const PROGRAM_START: u64 = 0x40_0000;

impl<'a> Code<'a> {
    /// Puts every location that the samples reach by now into the first mapping that holds its address. `address_of`
    /// gives that of a location of the draft.
    pub(super) fn new(
        draft: &Draft<'_>,
        mut mappings: Vec<MapEntry>,
        address_of: impl Fn(u32) -> u64,
    ) -> Result<Self, LimitExceeded> {
        // Huge pages of the program's text that were remapped: the rest follows, and names the file.
        if let [first, second, ..] = mappings.as_slice()
            && first.file.starts_with(b"/anon_hugepage")
            && first.limit == second.start
        {
            mappings.remove(0);
        }
        if let Some(first) = mappings.first_mut()
            && first.start.wrapping_sub(first.offset) == PROGRAM_START
        {
            first.start = PROGRAM_START;
            first.offset = 0;
        }
        let mut locations: Vec<_> = draft
            .reached()
            .into_iter()
            .map(|index| Placed {
                index,
                address: address_of(index),
                mapping: None,
            })
            .collect();
        let mut addresses: Vec<_> = locations.iter().map(|location| location.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut finder = Finder::new(&addresses, &mappings)?;
        let mut nowhere = None;
        for location in locations.iter_mut().filter(|location| location.address != 0) {
            let found = finder.find(location.address, nowhere.is_none(), &mut mappings);
            location.mapping = Some(match found.or(nowhere) {
                Some(mapping) => mapping,
                None => *nowhere.insert(place(mappings.len())?),
            });
        }
        if nowhere.is_some() {
            // Holds all that nothing holds.
            mappings.push(MapEntry {
                limit: u64::MAX,
                ..MapEntry::default()
            });
        }
        Ok(Self {
            mappings,
            locations,
            ..Self::default()
        })
    }
}

/// Finds the first of many mappings, which may overlap, that holds an address: without looking at each of them, for a
/// hostile map has as many as there are locations.
///
/// A binary tree over the addresses in question. A mapping covers a run of them, which is a few whole branches.
struct Finder<'s> {
    addresses: &'s [u64],
    /// The first mapping that covers each branch; branch 1 is the root, and the leaves are the second half.
    covers: Vec<u32>,
    /// For each branch the mappings, the last one first, before whose start it lies by no more than their offset.
    before: HashMap<usize, Vec<u32>>,
}

const NONE: u32 = u32::MAX;

impl<'s> Finder<'s> {
    fn new(addresses: &'s [u64], mappings: &[MapEntry]) -> Result<Self, LimitExceeded> {
        let mut finder = Self {
            addresses,
            covers: vec![NONE; addresses.len() * 2],
            before: HashMap::new(),
        };
        for (index, mapping) in mappings.iter().enumerate().rev() {
            let index = place(index)?;
            finder.cover(mapping.start, mapping.limit, index);
            if mapping.offset != 0 {
                let branches = branches(addresses, mapping.start.wrapping_sub(mapping.offset), mapping.start);
                for branch in branches {
                    finder.before.entry(branch).or_default().push(index);
                }
            }
        }
        Ok(finder)
    }

    fn cover(&mut self, start: u64, limit: u64, index: u32) {
        for branch in branches(self.addresses, start, limit) {
            if let Some(cover) = self.covers.get_mut(branch) {
                *cover = index.min(*cover);
            }
        }
    }

    /// The first mapping that holds `address`. If there is none and `may_grow`, the first one that would hold it if it
    /// began at the beginning of its file; from then on it does: some handlers lost the first part of a mapping that was
    /// split.
    fn find(&mut self, address: u64, may_grow: bool, mappings: &mut [MapEntry]) -> Option<u32> {
        let leaf = self.addresses.partition_point(|other| *other < address) + self.addresses.len();
        let up = || std::iter::successors(Some(leaf), |branch| (*branch > 1).then_some(branch / 2));
        let cover = up().filter_map(|branch| self.covers.get(branch)).min();
        if let Some(cover) = cover.copied().filter(|cover| *cover != NONE) {
            return Some(cover);
        }
        if !may_grow {
            return None;
        }
        let mut first = NONE;
        for branch in up() {
            let Some(candidates) = self.before.get_mut(&branch) else {
                continue;
            };
            // Those that have grown are out for good.
            while candidates
                .pop_if(|index| mappings.get(*index as usize).is_none_or(|mapping| mapping.offset == 0))
                .is_some()
            {}
            first = first.min(candidates.last().copied().unwrap_or(NONE));
        }
        let mapping = mappings.get_mut(first as usize)?;
        mapping.start = mapping.start.wrapping_sub(mapping.offset);
        mapping.offset = 0;
        let (start, limit) = (mapping.start, mapping.limit);
        self.cover(start, limit, first);
        Some(first)
    }
}

/// The branches that make up the addresses from `start` to before `limit`.
fn branches(addresses: &[u64], start: u64, limit: u64) -> impl Iterator<Item = usize> + use<> {
    let leaf = |bound| addresses.partition_point(|address| *address < bound) + addresses.len();
    let (mut low, mut high) = (leaf(start), leaf(limit));
    std::iter::from_fn(move || {
        while low < high {
            if low % 2 == 1 {
                low += 1;
                return Some(low - 1);
            }
            if high % 2 == 1 {
                high -= 1;
                return Some(high);
            }
            low /= 2;
            high /= 2;
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by looking at each mapping, as google/pprof does it.
    fn find_one_by_one(address: u64, may_grow: bool, mappings: &mut [MapEntry]) -> Option<u32> {
        let holds = |mapping: &MapEntry| mapping.start <= address && address < mapping.limit;
        let would = |mapping: &MapEntry| {
            mapping.offset != 0 && mapping.start.wrapping_sub(mapping.offset) <= address && address < mapping.start
        };
        if let Some(index) = mappings.iter().position(holds) {
            return u32::try_from(index).ok();
        }
        let index = mappings.iter().position(would).filter(|_| may_grow)?;
        let mapping = &mut mappings[index];
        mapping.start = mapping.start.wrapping_sub(mapping.offset);
        mapping.offset = 0;
        u32::try_from(index).ok()
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_looking_at_each_finds(
            addresses in prop::collection::vec(1_u64..60, 0..40),
            mappings in prop::collection::vec((0_u64..60, 0_u64..60, 0_u64..30), 0..12),
        ) {
            let mut mappings: Vec<_> = mappings
                .into_iter()
                .map(|(start, limit, offset)| MapEntry { start, limit, offset, ..MapEntry::default() })
                .collect();
            let mut others = mappings.clone();
            let mut sorted = addresses.clone();
            sorted.sort_unstable();
            sorted.dedup();
            let mut finder = Finder::new(&sorted, &mappings).unwrap();
            for address in addresses {
                let found = finder.find(address, true, &mut mappings);
                prop_assert_eq!(found, find_one_by_one(address, true, &mut others));
                prop_assert_eq!(&mappings, &others);
            }
        }
    }
}
