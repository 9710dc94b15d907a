//! The program behind the samples: mappings, locations and functions of many profiles as one.

use std::hash::BuildHasher as _;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::known::{Known, UNSEEN};
use super::{Interner, place};
use crate::limits::LimitExceeded;
use crate::model::{Function, Header, Label, LabelValue, Line, Location, Mapping, Profile, Samples, StringId, Strings};

/// What the parts of one source profile became, by their index in it.
#[derive(Default)]
pub(super) struct Memo {
    strings: Known,
    functions: Known,
    pub(super) locations: Known,
    /// The merged mapping, and how far its start is from the source's.
    mappings: Vec<Option<(u32, u64)>>,
}

impl Memo {
    /// Begins a source, of which nothing is known.
    pub(super) fn begin(&mut self, profile: &Profile<'_>) {
        self.strings.begin(profile.strings.len());
        self.functions.begin(profile.functions.len());
        self.locations.begin(profile.locations.len());
        self.mappings.clear();
        self.mappings.resize(profile.mappings.len(), None);
    }

    /// Whether labels of the source became these, as far as is known of their strings.
    #[inline]
    pub(super) fn are_labels(&self, labels: &[Label], merged: &[Label]) -> bool {
        let is = |id: StringId, merged: StringId| self.strings.get(id.0) == merged.0;
        let same = |(label, merged): (&Label, &Label)| {
            is(label.key, merged.key)
                && match (label.value, merged.value) {
                    (LabelValue::Text(text), LabelValue::Text(merged)) => is(text, merged),
                    (LabelValue::Number(number, unit), LabelValue::Number(merged, merged_unit)) => {
                        number == merged
                            && match (unit, merged_unit) {
                                (Some(unit), Some(merged)) => is(unit, merged),
                                (unit, merged) => unit == merged,
                            }
                    }
                    _ => false,
                }
        };
        labels.len() == merged.len() && labels.iter().zip(merged).all(same)
    }

    #[inline]
    pub(super) fn string(
        &mut self,
        id: StringId,
        profile: &Profile<'_>,
        strings: &mut Interner,
    ) -> Result<StringId, LimitExceeded> {
        match self.strings.get(id.0) {
            UNSEEN => self.new_string(id, profile, strings),
            known => Ok(StringId(known)),
        }
    }

    #[inline(never)]
    fn new_string(
        &mut self,
        id: StringId,
        profile: &Profile<'_>,
        strings: &mut Interner,
    ) -> Result<StringId, LimitExceeded> {
        let merged = strings.intern(profile.strings.get(id))?;
        self.strings.set(id.0, merged.0, |index, merged| {
            strings.is(merged, profile.strings.get(StringId(index)))
        });
        Ok(merged)
    }
}

/// Two mappings with the same key are one.
#[derive(PartialEq, Eq, Hash)]
struct MappingKey {
    size: u64,
    offset: u64,
    build_id_or_file: StringId,
}

/// Mappings, locations and functions of the result, in the order in which they were first seen.
#[derive(Default)]
pub(super) struct Code {
    mappings: Vec<Mapping>,
    mapping_by_key: HashMap<MappingKey, u32>,
    functions: Vec<Function>,
    function_by_key: HashTable<u32>,
    locations: Vec<Location>,
    lines: Vec<Line>,
    location_by_key: HashTable<u32>,
    /// Lines of the location at hand.
    scratch: Vec<Line>,
    hasher: DefaultHashBuilder,
}

impl Code {
    /// The first mapping is the program's own, so the first one seen comes first even if no sample reaches it.
    pub(super) fn first_mapping(
        &mut self,
        profile: &Profile<'_>,
        memo: &mut Memo,
        strings: &mut Interner,
    ) -> Result<(), LimitExceeded> {
        if self.mappings.is_empty() && !profile.mappings.is_empty() {
            self.mapping(0, profile, memo, strings)?;
        }
        Ok(())
    }

    /// Makes the tables large enough for a profile, which is the first.
    pub(super) fn reserve(&mut self, profile: &Profile<'_>) {
        // There is nothing in them that would have to be hashed again.
        self.function_by_key.reserve(profile.functions.len(), |_| 0);
        self.location_by_key.reserve(profile.locations.len(), |_| 0);
        self.functions.reserve(profile.functions.len());
        self.locations.reserve(profile.locations.len());
        self.lines.reserve(profile.lines.len());
    }

    /// Index of the merged location that the source's `index` became.
    #[inline]
    pub(super) fn location(
        &mut self,
        index: u32,
        profile: &Profile<'_>,
        memo: &mut Memo,
        strings: &mut Interner,
    ) -> Result<u32, LimitExceeded> {
        match memo.locations.get(index) {
            UNSEEN => self.new_location(index, profile, memo, strings),
            known => Ok(known),
        }
    }

    #[inline(never)]
    fn new_location(
        &mut self,
        index: u32,
        profile: &Profile<'_>,
        memo: &mut Memo,
        strings: &mut Interner,
    ) -> Result<u32, LimitExceeded> {
        let source = profile.locations.get(index as usize).copied().unwrap_or_default();
        let mapping = match source.mapping {
            Some(mapping) => self.mapping(mapping, profile, memo, strings)?,
            None => None,
        };
        let mut lines = std::mem::take(&mut self.scratch);
        lines.clear();
        for line in profile.lines_of(&source) {
            let function = self.function(line.function, profile, memo, strings)?;
            lines.push(Line { function, ..*line });
        }
        let (mapping, moved) = mapping.unzip();
        let location = Location {
            mapping,
            // Addresses wrap around, as Go's.
            address: source.address.wrapping_add(moved.unwrap_or(0)),
            ..source
        };
        let merged = self.merged_location(location, &lines)?;
        self.scratch = lines;
        let Memo {
            functions,
            locations,
            mappings,
            ..
        } = memo;
        locations.set(index, merged, |index, merged| {
            self.is_location(merged, index, profile, functions, mappings)
        });
        Ok(merged)
    }

    /// Whether a location of the source is one of the result, as far as is known of its mapping and its functions.
    #[inline]
    fn is_location(
        &self,
        merged: u32,
        index: u32,
        profile: &Profile<'_>,
        functions: &Known,
        mappings: &[Option<(u32, u64)>],
    ) -> bool {
        let (Some(merged), Some(source)) = (
            self.locations.get(merged as usize),
            profile.locations.get(index as usize),
        ) else {
            return false;
        };
        let moved = match (merged.mapping, source.mapping) {
            (None, None) => 0,
            (Some(merged), Some(source)) => match mappings.get(source as usize) {
                Some(Some((known, moved))) if *known == merged => *moved,
                _ => return false,
            },
            _ => return false,
        };
        let range = merged.lines_begin as usize..merged.lines_end as usize;
        let (lines, sources) = (self.lines.get(range).unwrap_or_default(), profile.lines_of(source));
        let same = |(line, source): (&Line, &Line)| {
            line.function == functions.get(source.function) && line.line == source.line && line.column == source.column
        };
        merged.address == source.address.wrapping_add(moved)
            && merged.is_folded == source.is_folded
            && lines.len() == sources.len()
            && lines.iter().zip(sources).all(same)
    }

    /// Finds a location with this key, or adds it.
    fn merged_location(&mut self, location: Location, lines: &[Line]) -> Result<u32, LimitExceeded> {
        let Self {
            mappings,
            locations,
            lines: all_lines,
            location_by_key,
            hasher,
            ..
        } = self;
        let key = |location: &Location| {
            let mapping = location.mapping.and_then(|index| mappings.get(index as usize));
            let start = mapping.map_or(0, |mapping| mapping.start);
            (
                location.address.wrapping_sub(start),
                location.mapping,
                location.is_folded,
            )
        };
        let lines_of = |all: &[Line], location: &Location| {
            let range = location.lines_begin as usize..location.lines_end as usize;
            hasher.hash_one((key(location), all.get(range).unwrap_or_default()))
        };
        let hash = hasher.hash_one((key(&location), lines));
        let same = |index: &u32| {
            locations.get(*index as usize).is_some_and(|other| {
                let range = other.lines_begin as usize..other.lines_end as usize;
                key(other) == key(&location) && all_lines.get(range).unwrap_or_default() == lines
            })
        };
        let rehash = |index: &u32| lines_of(all_lines, &locations.get(*index as usize).copied().unwrap_or_default());
        let none = match location_by_key.entry(hash, same, rehash) {
            Entry::Occupied(known) => return Ok(*known.get()),
            Entry::Vacant(none) => none,
        };
        let index = place(locations.len())?;
        let lines_begin = place(all_lines.len())?;
        all_lines.extend_from_slice(lines);
        let lines_end = place(all_lines.len())?;
        locations.push(Location {
            id: u64::from(index) + 1,
            lines_begin,
            lines_end,
            ..location
        });
        none.insert(index);
        Ok(index)
    }

    /// The merged mapping, and what to add to an address in the source's.
    fn mapping(
        &mut self,
        index: u32,
        profile: &Profile<'_>,
        memo: &mut Memo,
        strings: &mut Interner,
    ) -> Result<Option<(u32, u64)>, LimitExceeded> {
        let Some(source) = profile.mappings.get(index as usize) else {
            return Ok(None);
        };
        if let Some(Some(known)) = memo.mappings.get(index as usize) {
            return Ok(Some(*known));
        }
        let (file, build_id) = (
            memo.string(source.file, profile, strings)?,
            memo.string(source.build_id, profile, strings)?,
        );
        // Sizes differ by the rest of a page between kernels and loaders.
        const PAGE: u64 = 0x1000;
        let size = source.limit.wrapping_sub(source.start).wrapping_add(PAGE - 1);
        let key = MappingKey {
            size: size - size % PAGE,
            offset: source.offset,
            build_id_or_file: if build_id == StringId::EMPTY { file } else { build_id },
        };
        let merged = match self.mapping_by_key.get(&key) {
            Some(merged) => *merged,
            None => {
                let merged = place(self.mappings.len())?;
                self.mappings.push(Mapping {
                    id: u64::from(merged) + 1,
                    file,
                    build_id,
                    ..*source
                });
                self.mapping_by_key.insert(key, merged);
                merged
            }
        };
        let start = self.mappings.get(merged as usize).map_or(0, |mapping| mapping.start);
        let known = (merged, start.wrapping_sub(source.start));
        if let Some(memo) = memo.mappings.get_mut(index as usize) {
            *memo = Some(known);
        }
        Ok(Some(known))
    }

    fn function(
        &mut self,
        index: u32,
        profile: &Profile<'_>,
        memo: &mut Memo,
        strings: &mut Interner,
    ) -> Result<u32, LimitExceeded> {
        let known = memo.functions.get(index);
        if known != UNSEEN {
            return Ok(known);
        }
        let source = profile.functions.get(index as usize).copied().unwrap_or_default();
        let function = Function {
            id: 0,
            name: memo.string(source.name, profile, strings)?,
            system_name: memo.string(source.system_name, profile, strings)?,
            file: memo.string(source.file, profile, strings)?,
            start_line: source.start_line,
        };
        let key = |function: &Function| (function.start_line, function.name, function.system_name, function.file);
        let Self {
            functions,
            function_by_key,
            hasher,
            ..
        } = self;
        let hash = hasher.hash_one(key(&function));
        let same = |index: &u32| {
            functions
                .get(*index as usize)
                .is_some_and(|other| key(other) == key(&function))
        };
        let rehash = |index: &u32| hasher.hash_one(key(&functions.get(*index as usize).copied().unwrap_or_default()));
        let merged = match function_by_key.entry(hash, same, rehash) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(none) => {
                let merged = place(functions.len())?;
                functions.push(Function {
                    id: u64::from(merged) + 1,
                    ..function
                });
                none.insert(merged);
                merged
            }
        };
        let Memo { strings, functions, .. } = memo;
        functions.set(index, merged, |index, merged| {
            self.is_function(merged, index, profile, strings)
        });
        Ok(merged)
    }

    /// Whether a function of the source is one of the result, as far as is known of its names.
    #[inline]
    fn is_function(&self, merged: u32, index: u32, profile: &Profile<'_>, strings: &Known) -> bool {
        let (Some(merged), Some(source)) = (
            self.functions.get(merged as usize),
            profile.functions.get(index as usize),
        ) else {
            return false;
        };
        merged.name.0 == strings.get(source.name.0)
            && merged.system_name.0 == strings.get(source.system_name.0)
            && merged.file.0 == strings.get(source.file.0)
            && merged.start_line == source.start_line
    }

    pub(super) fn into_profile(self, header: Header, strings: Strings<'static>, samples: Samples) -> Profile<'static> {
        let Self {
            mappings,
            functions,
            locations,
            lines,
            ..
        } = self;
        Profile {
            header,
            strings,
            mappings,
            locations,
            lines,
            functions,
            samples,
            is_pruned: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interner_begins_with_the_empty_string() {
        let mut strings = Interner::default();
        assert_eq!(strings.intern(b""), Ok(StringId::EMPTY));
        let id = strings.intern(b"main").unwrap();
        assert_eq!(strings.intern(b"main"), Ok(id));
        assert_eq!(strings.intern(b"other"), Ok(StringId(2)));
    }

    #[test]
    fn an_id_that_is_not_given_yet_is_no_strings() {
        let mut strings = Interner::default();
        let id = strings.intern(b"main").unwrap();
        assert!(strings.is(0, b"") && strings.is(id.0, b"main"));
        assert!(!strings.is(id.0, b"") && !strings.is(id.0 + 1, b"") && !strings.is(UNSEEN, b""));
    }
}
