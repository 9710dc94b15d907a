//! The strings of a profile in the order in which they are written.

use std::hash::BuildHasher as _;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::varint::Varint;
use crate::model::{LabelValue, Profile, StringId, Strings};

/// The string table to be written: each text once.
pub(super) struct Table {
    /// For each string of the profile its index in the table to come; the default if it has none.
    indexes: Vec<Varint>,
    /// The strings to be written.
    pub(super) order: Vec<StringId>,
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
        let hash = self.hasher.hash_one(text);
        let hash_of = |index: &u32| {
            let id = order.get(*index as usize).copied().unwrap_or_default();
            self.hasher.hash_one(self.strings.get(id))
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
