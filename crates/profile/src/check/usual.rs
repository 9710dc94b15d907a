//! Samples, locations and functions in the form that they nearly always have: the one that a [`Glance`] reads to its end.
//!
//! There are no errors and no limits here. A message in any other form is `None`, and the plain reader in
//! [`super::tally`] has the word on it. So this may only ever be as strict as that one or stricter.

use std::slice::IterMut;

use crate::messages::{Function, Label, Line};
use crate::wire::{Glance, Message};

/// Values of a sample that are read here. 8: twice those of Go's heap. Samples with more are read plainly.
pub(super) const VALUES_MAX: usize = 8;

/// What there is in a sample, its values apart.
#[derive(Default)]
pub(super) struct Sample {
    pub(super) locations: u64,
    pub(super) labels: u64,
    pub(super) string_index_max: u64,
}

/// A sample with as many values as there are places for them.
#[inline(always)]
pub(super) fn sample(message: Message<'_>, places: &mut [u64]) -> Option<Sample> {
    let mut found = Sample::default();
    let mut places = places.iter_mut();
    let mut glance = Glance::new(message);
    // Go's runtime writes the values first, others the stack.
    values(&mut glance, &mut places)?;
    if let Some(packed) = glance.message(0x0a) {
        found.locations = packed.count_varints()?;
    }
    while glance.number(0x08).is_some() {
        found.locations += 1;
    }
    values(&mut glance, &mut places)?;
    while let Some(message) = glance.message(0x1a) {
        let label = Label::read(message).ok()?;
        found.labels += 1;
        found.string_index_max = found.string_index_max.max(label.string_index_max());
    }
    (glance.is_at_end() && places.next().is_none()).then_some(found)
}

/// The values of a sample, if they come next.
#[inline(always)]
fn values(sample: &mut Glance<'_>, places: &mut IterMut<'_, u64>) -> Option<()> {
    if let Some(packed) = sample.message(0x12) {
        packed.varints(places)?;
    }
    while let Some(value) = sample.number(0x10) {
        *places.next()? = value;
    }
    Some(())
}

/// How many lines a location with an id has, each with a function.
#[inline(always)]
pub(super) fn location(message: Message<'_>) -> Option<u64> {
    let mut glance = Glance::new(message);
    let (mut numbers, mut lines) = ([0; 3], 0);
    glance.numbers([0x08, 0x10, 0x18], &mut numbers);
    while let Some(message) = glance.message(0x22) {
        let line = Line::read(message).ok()?;
        (line.function != 0).then_some(())?;
        lines += 1;
    }
    // Go's runtime writes the mapping last. After it, whether the location is folded.
    glance.numbers([0x10, 0x28], &mut [0; 2]);
    let [id, ..] = numbers;
    (glance.is_at_end() && id != 0).then_some(lines)
}

/// The largest index of a string in a function with an id.
#[inline(always)]
pub(super) fn function(message: Message<'_>) -> Option<u64> {
    let function = Function::read(message).ok()?;
    let string_index_max = function.name.max(function.system_name).max(function.file);
    (function.id != 0).then_some(string_index_max)
}
