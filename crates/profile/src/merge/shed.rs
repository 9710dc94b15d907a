//! Takes away the samples in which nothing is left, and what only they reached.
//!
//! google/pprof merges such a result once more for that. In a result all parts are different, so there is nothing to look up:
//! what is left is only numbered anew, in the order in which the samples that stay reach it.

use super::known::UNSEEN;
use crate::model::{Location, Profile};

/// Parts of one kind, numbered in the order in which they are reached.
struct Reached {
    /// The new index of each part.
    indexes: Vec<u32>,
    /// The old index of each part that is reached.
    parts: Vec<u32>,
}

impl Reached {
    /// None of so many parts.
    fn none_of(parts: usize) -> Self {
        Self {
            indexes: vec![UNSEEN; parts],
            parts: Vec::new(),
        }
    }

    /// The new index of a part, which is reached hereby.
    #[inline]
    fn reach(&mut self, part: u32) -> u32 {
        match self.indexes.get_mut(part as usize) {
            Some(index) if *index == UNSEEN => {
                // Not more than there are.
                *index = self.parts.len() as u32;
                self.parts.push(part);
                *index
            }
            Some(index) => *index,
            None => part,
        }
    }

    /// The parts that are reached, in their new order.
    fn pick<T: Copy>(&self, all: &[T]) -> Vec<T> {
        let picked = self.parts.iter().filter_map(|part| all.get(*part as usize));
        picked.copied().collect()
    }
}

impl Profile<'_> {
    /// Takes away the samples whose values are all zero, and what only they reached, of a profile whose parts are all
    /// different.
    pub(super) fn shed_zeros(&mut self) {
        let types = self.header.sample_types.len().max(1);
        let values = self.samples.values.chunks_exact(types);
        let kept: Vec<_> = values.map(|values| values.iter().any(|value| *value != 0)).collect();
        if kept.iter().all(|kept| *kept) {
            return;
        }
        self.keep_samples(&kept);
        let mut locations = Reached::none_of(self.locations.len());
        for location in &mut self.samples.stacks {
            *location = locations.reach(*location);
        }
        let mut mappings = Reached::none_of(self.mappings.len());
        if !self.mappings.is_empty() {
            // The program's own, which stays the first.
            mappings.reach(0);
        }
        let mut functions = Reached::none_of(self.functions.len());
        let mut lines = Vec::with_capacity(self.lines.len());
        let left = locations.pick(&self.locations).into_iter().zip(1..);
        let renumbered = left.map(|(location, id)| {
            // Not more than there were.
            let lines_begin = lines.len() as u32;
            let mapping = location.mapping.map(|mapping| mappings.reach(mapping));
            for line in self.lines_of(&location) {
                let mut line = *line;
                line.function = functions.reach(line.function);
                lines.push(line);
            }
            Location {
                id,
                mapping,
                lines_begin,
                lines_end: lines.len() as u32,
                ..location
            }
        });
        let renumbered = renumbered.collect();
        self.locations = renumbered;
        self.lines = lines;
        self.mappings = mappings.pick(&self.mappings);
        self.functions = functions.pick(&self.functions);
        for (mapping, id) in self.mappings.iter_mut().zip(1..) {
            mapping.id = id;
        }
        for (function, id) in self.functions.iter_mut().zip(1..) {
            function.id = id;
        }
    }
}
