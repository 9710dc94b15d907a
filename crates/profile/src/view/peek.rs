//! Who calls a function and whom it calls, with the entries of `pprof -peek`.

use std::borrow::Cow;

use hashbrown::HashMap;

use super::edges::Edge;
use super::nodes::Node;
use super::printable::printable;
use super::top::{common_unit, showing, smallest, write_numbers};
use super::{Order, View, ViewError, units};
use crate::limits::at_most;

/// What the columns before a name take.
const LINE_BYTES: u64 = 78;

/// Functions with their callers and callees.
#[derive(Debug, Clone, PartialEq)]
pub struct Peek<'v> {
    /// Those that were asked for.
    pub entries: Vec<PeekEntry<'v>>,
    /// What percentages are of.
    pub total: i64,
    /// What all functions cost in themselves, whether they were asked for or not, and the smallest of it.
    flat_total: i64,
    smallest: Option<i64>,
}

/// A function with its callers and callees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeekEntry<'v> {
    /// Its name; bytes that are no UTF-8 are replaced.
    pub name: Cow<'v, str>,
    /// In itself.
    pub flat: i64,
    /// With all that it called.
    pub cum: i64,
    /// Who calls it, the most expensive calls first.
    pub callers: Vec<Calls<'v>>,
    /// Whom it calls, the most expensive calls first.
    pub callees: Vec<Calls<'v>>,
}

/// The calls between a function and another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls<'v> {
    /// The other's name.
    pub name: Cow<'v, str>,
    /// What the calls cost.
    pub value: i64,
    /// Whether all of them were inlined.
    pub inlined: bool,
}

impl View<'_> {
    /// The functions whose names are `wanted`, each with its callers and callees. Names are bytes: producers cut them in
    /// the middle of a letter.
    ///
    /// # Errors
    /// When the report would be too long.
    pub fn peek(&self, order: Order, wanted: impl Fn(&[u8]) -> bool) -> Result<Peek<'_>, ViewError> {
        const NOT: usize = usize::MAX;
        let mut costs = self.costs();
        let flat_total = costs.iter().fold(0_i64, |sum, cost| sum.wrapping_add(cost.flat));
        let smallest = smallest(costs.iter().map(|cost| (cost.flat, cost.cum)));
        let node = |index: u32| self.nodes.nodes.get(index as usize);
        // Very many nodes may be called by the same binary.
        let mut of_binary: HashMap<u32, bool> = HashMap::new();
        let mut is_wanted = |node: &Node<'_>| match node.binary() {
            None => wanted(&node.name()),
            Some(binary) => *of_binary.entry(binary).or_insert_with(|| wanted(&node.name())),
        };
        costs.retain(|cost| node(cost.node).is_some_and(&mut is_wanted));
        self.sort(&mut costs, order);
        let mut entry_of = vec![NOT; self.nodes.nodes.len()];
        for (index, cost) in costs.iter().enumerate() {
            if let Some(entry) = entry_of.get_mut(cost.node as usize) {
                *entry = index;
            }
        }
        let entry_of = |node: u32| entry_of.get(node as usize).copied().unwrap_or(NOT);
        let edges = self.edges(
            |_| true,
            |_| true,
            |from, to| entry_of(from) != NOT || entry_of(to) != NOT,
        );
        let length = |index: u32| node(index).map_or(0, Node::name_bytes) + LINE_BYTES;
        let callers = edges
            .iter()
            .filter(|edge| entry_of(edge.to) != NOT)
            .map(|edge| edge.from);
        let callees = edges
            .iter()
            .filter(|edge| entry_of(edge.from) != NOT)
            .map(|edge| edge.to);
        let all = costs.iter().map(|cost| cost.node).chain(callers).chain(callees);
        at_most(all.map(length).sum(), super::TEXT_BYTES_MAX, "bytes of the report")?;
        let mut entries: Vec<_> = costs
            .iter()
            .map(|cost| PeekEntry {
                name: self.text(cost.node),
                flat: cost.flat,
                cum: cost.cum,
                callers: Vec::new(),
                callees: Vec::new(),
            })
            .collect();
        let calls = |edge: &Edge, other| Calls {
            name: self.text(other),
            value: edge.weight,
            inlined: edge.inline,
        };
        for edge in &edges {
            if let Some(entry) = entries.get_mut(entry_of(edge.from)) {
                entry.callees.push(calls(edge, edge.to));
            }
            if let Some(entry) = entries.get_mut(entry_of(edge.to)) {
                entry.callers.push(calls(edge, edge.from));
            }
        }
        for entry in &mut entries {
            for calls in [&mut entry.callers, &mut entry.callees] {
                calls.sort_by(|a, b| {
                    let by_value = b.value.wrapping_abs().cmp(&a.value.wrapping_abs());
                    by_value.then_with(|| a.name.cmp(&b.name))
                });
            }
        }
        Ok(Peek {
            entries,
            total: self.total,
            flat_total,
            smallest,
        })
    }
}

impl Peek<'_> {
    /// The unit that all values are shown in, given the sample type's.
    pub fn unit<'u>(&self, unit: &'u str) -> &'u str {
        common_unit(self.smallest, self.total, unit)
    }

    /// The report as pprof prints it, from the line that says how much is shown on; `unit` is the sample type's, and
    /// `shown_unit` that in which values are shown. Names are [`printable`].
    pub fn text(&self, unit: &str, shown_unit: &str) -> String {
        const LINE: &[u8] = b"----------------------------------------------------------+-------------\n";
        let (unit, shown_unit) = (&*printable(unit), &*printable(shown_unit));
        let scaler = units::Scaler::new(unit, shown_unit);
        let mut text = showing(self.flat_total, self.total, |value| scaler.label(value)).into_bytes();
        text.extend_from_slice(LINE);
        text.extend_from_slice(b"      flat  flat%   sum%        cum   cum%   calls calls% + context \t \t \n");
        let mut sum = 0_i64;
        for entry in &self.entries {
            sum = sum.wrapping_add(entry.flat);
            text.extend_from_slice(LINE);
            let calls = |text: &mut Vec<u8>, all: &[Calls<'_>]| {
                for Calls { name, value, inlined } in all {
                    scaler.write(text, *value, 50);
                    text.push(b' ');
                    units::write_percentage(text, *value, entry.cum);
                    for part in [" |   ", &printable(name), if *inlined { " (inline)" } else { "" }, "\n"] {
                        text.extend_from_slice(part.as_bytes());
                    }
                }
            };
            calls(&mut text, &entry.callers);
            write_numbers(&mut text, entry.flat, sum, entry.cum, self.total, &scaler);
            for part in ["                | ", &printable(&entry.name), "\n"] {
                text.extend_from_slice(part.as_bytes());
            }
            calls(&mut text, &entry.callees);
        }
        text.extend_from_slice(LINE);
        // Made of texts and digits.
        String::from_utf8(text).unwrap_or_default()
    }
}
