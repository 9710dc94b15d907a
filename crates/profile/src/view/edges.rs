//! Who calls whom, and how much of a function's cost comes along that way.

use std::ops::Range;

use hashbrown::HashMap;

use super::View;
use super::frames::Frame;

/// All calls from one function to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    /// The value of all samples in which the call stands.
    pub(super) weight: i64,
    /// Whether the call was inlined wherever it stands.
    pub(super) inline: bool,
    /// The number of the sample that was counted last, from one: a call counts once in each.
    sample: u32,
}

/// A call in a location.
#[derive(Debug, Clone, Copy)]
enum Call {
    /// Of one of its frames by another: the same edge wherever the location stands.
    Within(u32),
    /// Of its outermost frame that is kept, by whatever stands above.
    FromAbove(Frame),
}

/// The calls in all locations: what is inlined stands so wherever its location does, and is looked at once.
#[derive(Debug, Default)]
struct Calls {
    calls: Vec<Call>,
    of_location: Vec<Range<u32>>,
}

/// Edges in the making.
#[derive(Debug, Default)]
struct Edges {
    edges: Vec<Edge>,
    by_nodes: HashMap<u64, u32>,
}

impl View<'_> {
    /// The calls of nodes that are `called` by others, as far as they are `wanted`, in no order. Nodes that are not `kept`
    /// are passed over, as if their callers had made their calls; a call of a function by itself is none.
    pub(super) fn edges(
        &self,
        kept: impl Fn(u32) -> bool,
        called: impl Fn(u32) -> bool,
        wanted: impl Fn(u32, u32) -> bool,
    ) -> Vec<Edge> {
        let is_kept = |frame: &&Frame| kept(frame.node());
        let is_call = |from: u32, to: u32| from != to && wanted(from, to);
        let mut edges = Edges::default();
        let mut calls = Calls::default();
        for location in 0..self.nodes.locations() {
            let mut above = None;
            calls.add(self.nodes.frames(location).iter().filter(is_kept).filter_map(|frame| {
                let to = frame.node();
                match above.replace(to) {
                    _ if !called(to) => None,
                    None => Some(Call::FromAbove(*frame)),
                    Some(from) => is_call(from, to).then(|| Call::Within(edges.between(from, to))),
                }
            }));
        }
        for (sample, (stack, value)) in (1..).zip(self.stacks()) {
            // Outermost first: of a call that stands twice in a stack, that one tells whether it is inlined.
            let mut left = stack;
            while let Some(at) = left.iter().rposition(|location| calls.any(*location)) {
                let (inner, outer) = stack.split_at_checked(at).unwrap_or_default();
                left = inner;
                let mut outer = outer.iter();
                for call in outer.next().map(|location| calls.of(*location)).unwrap_or_default() {
                    match *call {
                        Call::Within(edge) => edges.count(edge, sample, value, true),
                        Call::FromAbove(to) => {
                            let mut above = outer.clone();
                            let from = above.find_map(|location| self.nodes.frames(*location).iter().rfind(is_kept));
                            if let Some(from) = from.filter(|from| is_call(from.node(), to.node())) {
                                let edge = edges.between(from.node(), to.node());
                                edges.count(edge, sample, value, to.is_inlined());
                            }
                        }
                    }
                }
            }
        }
        edges.edges.retain(|edge| edge.sample > 0);
        edges.edges
    }
}

impl Calls {
    /// Adds those of the next location.
    fn add(&mut self, calls: impl Iterator<Item = Call>) {
        // Not more than there are lines and locations, which are below 2^32.
        let begin = self.calls.len() as u32;
        self.calls.extend(calls);
        self.of_location.push(begin..self.calls.len() as u32);
    }

    /// Whether there are any in a location.
    #[inline]
    fn any(&self, location: u32) -> bool {
        let calls = self.of_location.get(location as usize);
        calls.is_some_and(|calls| !calls.is_empty())
    }

    /// Those of a location.
    fn of(&self, location: u32) -> &[Call] {
        let calls = self.of_location.get(location as usize);
        calls
            .and_then(|calls| self.calls.get(calls.start as usize..calls.end as usize))
            .unwrap_or_default()
    }
}

impl Edges {
    /// The index of the edge between two nodes.
    fn between(&mut self, from: u32, to: u32) -> u32 {
        let Self { edges, by_nodes } = self;
        *by_nodes
            .entry(u64::from(from) << 32 | u64::from(to))
            .or_insert_with(|| {
                edges.push(Edge {
                    from,
                    to,
                    weight: 0,
                    inline: true,
                    sample: 0,
                });
                // Not more than there are frames in all stacks and lines in all locations, which are below 2^32.
                edges.len() as u32 - 1
            })
    }

    /// Counts a call in a sample.
    fn count(&mut self, edge: u32, sample: u32, value: i64, inline: bool) {
        if let Some(edge) = self.edges.get_mut(edge as usize)
            && edge.sample != sample
        {
            edge.sample = sample;
            edge.weight = edge.weight.wrapping_add(value);
            edge.inline &= inline;
        }
    }
}
