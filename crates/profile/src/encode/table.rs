//! The strings of a profile in the order in which they are written.

use std::hash::{BuildHasher as _, Hasher as _};

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::varint::Varint;
use crate::model::{LabelValue, Profile, StringId, Strings};

/// The string table to be written: each text once.
pub(super) struct Table {
    /// For each string of the profile its index in the table to come; the default if it has none.
    indexes: Vec<Varint>,
    /// The strings to be written.
    order: Vec<StringId>,
}

impl Table {
    pub(super) fn of(profile: &Profile<'_>) -> Self {
        let mut builder = TableBuilder {
            strings: &profile.strings,
            table: Self {
                indexes: vec![Varint::default(); profile.strings.len()],
                order: Vec::with_capacity(profile.strings.len()),
            },
            by_text: HashTable::with_capacity(profile.strings.len()),
            hasher: DefaultHashBuilder::default(),
        };
        let header = &profile.header;
        builder.add(StringId::EMPTY);
        for of in &header.sample_types {
            builder.add(of.kind);
            builder.add(of.unit);
        }
        for label in &profile.samples.labels {
            builder.add(label.key);
            match label.value {
                LabelValue::Text(text) => builder.add(text),
                LabelValue::Number(_, Some(unit)) => builder.add(unit),
                LabelValue::Number(_, None) => {}
            }
        }
        for mapping in &profile.mappings {
            builder.add(mapping.file);
            builder.add(mapping.build_id);
        }
        for function in &profile.functions {
            builder.add(function.name);
            builder.add(function.system_name);
            builder.add(function.file);
        }
        builder.add(header.drop_frames);
        builder.add(header.keep_frames);
        builder.add(header.period_type.kind);
        builder.add(header.period_type.unit);
        for comment in &header.comments {
            builder.add(*comment);
        }
        builder.add(header.default_sample_type);
        builder.add(header.doc_url);
        builder.table
    }

    #[inline]
    pub(super) fn index(&self, id: StringId) -> Varint {
        self.indexes.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// The strings to be written, by rows of those that follow each other in the profile they were read from: the first
    /// string, and the fields of the others as they stand there.
    ///
    /// Nearly all writers order their strings as they are ordered here, so that a row has hundreds.
    pub(super) fn rows<'s>(&self, strings: &'s Strings<'_>) -> impl Iterator<Item = (&'s [u8], &'s [u8])> {
        let range = |id: StringId| strings.ranges.get(id.0 as usize).copied().unwrap_or_default();
        let rows = self
            .order
            .chunk_by(move |before, id| follows(&strings.bytes, range(*before), range(*id)));
        rows.map(move |row| {
            let [first, last] = [row.first(), row.last()].map(|id| id.copied().unwrap_or_default());
            let others = strings.bytes.get(end(range(first))..end(range(last)));
            (strings.get(first), others.unwrap_or_default())
        })
    }
}

/// Where a string ends.
#[inline]
fn end((begin, len): (u32, u32)) -> usize {
    begin as usize + len as usize
}

/// Whether nothing is between two strings but the tag of the second and its length of one byte, as they would be written.
#[inline]
fn follows(bytes: &[u8], before: (u32, u32), (begin, len): (u32, u32)) -> bool {
    let end = end(before);
    len < 0x80 && begin as usize == end + 2 && bytes.get(end..end + 2) == Some(&[0x32, len as u8])
}

struct TableBuilder<'p> {
    strings: &'p Strings<'p>,
    table: Table,
    /// Indexes of the new table by the text behind them: the old one may have a text twice.
    by_text: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl TableBuilder<'_> {
    #[inline]
    fn add(&mut self, id: StringId) {
        if self.table.indexes.get(id.0 as usize) == Some(&Varint::default()) {
            self.add_new(id);
        }
    }

    fn add_new(&mut self, id: StringId) {
        let text = self.strings.get(id);
        let order = &mut self.table.order;
        let same = |index: &u32| {
            order
                .get(*index as usize)
                .is_some_and(|other| self.strings.get(*other) == text)
        };
        let hash_of_text = |text: &[u8]| {
            let mut hasher = self.hasher.build_hasher();
            hasher.write(text);
            hasher.finish()
        };
        let hash = hash_of_text(text);
        let hash_of = |index: &u32| {
            let id = order.get(*index as usize).copied().unwrap_or_default();
            hash_of_text(self.strings.get(id))
        };
        let index = match self.by_text.entry(hash, same, hash_of) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                // Not more than the old table had.
                let index = order.len() as u32;
                place.insert(index);
                order.push(id);
                index
            }
        };
        if let Some(known) = self.table.indexes.get_mut(id.0 as usize) {
            // 32 bits always fit.
            *known = Varint::new(index.into()).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use testkit::soak;

    use super::*;
    use crate::encode::writer::Writer;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(soak::cases(1024)))]

        #[test]
        fn strings_by_rows_are_strings_one_by_one(
            // Text that may be taken for a field, and texts that are fields and not.
            texts in prop::collection::vec(prop::collection::vec(prop_oneof![0_u8..4, Just(0x32)], 0..4), 1..12),
            long in 120_usize..140,
            are_fields in any::<bool>(),
            swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..3),
        ) {
            let mut texts = texts;
            texts.push(vec![7; long]);
            let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
            for text in &texts {
                if are_fields {
                    let mut header = Writer::new(0);
                    header.bytes(6, text);
                    let field = header.finish();
                    bytes.extend_from_slice(&field[..field.len() - text.len()]);
                }
                ranges.push((bytes.len() as u32, text.len() as u32));
                bytes.extend_from_slice(text);
            }
            let mut order: Vec<_> = (0..texts.len() as u32).map(StringId).collect();
            for (one, other) in swaps {
                order.swap(one.index(texts.len()), other.index(texts.len()));
            }
            let (mut expected, mut written) = (Writer::new(0), Writer::new(0));
            for id in &order {
                expected.bytes(6, &texts[id.0 as usize]);
            }
            let strings = Strings { bytes: bytes.into(), ranges };
            let table = Table { indexes: Vec::new(), order };
            let mut rows = 0;
            for (first, others) in table.rows(&strings) {
                rows += 1;
                written.bytes(6, first);
                written.append(others);
            }
            prop_assert_eq!(written.finish(), expected.finish());
            if are_fields && table.order.is_sorted() {
                prop_assert_eq!(rows, if long < 0x80 { 1 } else { 2 });
            }
        }
    }
}
