//! Who calls whom, and how much of a function's cost comes along that way.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

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
    /// The sample that was counted last: a call counts once in each.
    sample: usize,
}

impl View<'_> {
    /// The calls between nodes that are `kept`, as far as they are `wanted`, in no order. Nodes that are not kept are
    /// passed over, as if their callers had made their calls; a call of a function by itself is none.
    pub(super) fn edges(&self, kept: impl Fn(u32) -> bool, wanted: impl Fn(u32, u32) -> bool) -> Vec<Edge> {
        let mut edges: HashMap<u64, Edge> = HashMap::new();
        // The frames of a stack that are kept: written one over the other until one is, so that nothing has to be foreseen.
        let mut left = Vec::new();
        for (sample, (stack, value)) in self.frames.stacks().enumerate() {
            left.resize(left.len().max(stack.len() + 1), Frame::NONE);
            let mut count = 0;
            for frame in stack {
                if let Some(place) = left.get_mut(count) {
                    *place = *frame;
                }
                count += usize::from(kept(frame.node()));
            }
            let left = left.get(..count).unwrap_or_default();
            for (from, to) in left.iter().zip(left.iter().skip(1)) {
                if from.node() != to.node() && wanted(from.node(), to.node()) {
                    let edge = Edge {
                        from: from.node(),
                        to: to.node(),
                        weight: value,
                        inline: to.is_inlined(),
                        sample,
                    };
                    add(&mut edges, edge);
                }
            }
        }
        edges.into_values().collect()
    }
}

fn add(edges: &mut HashMap<u64, Edge>, edge: Edge) {
    match edges.entry(u64::from(edge.from) << 32 | u64::from(edge.to)) {
        Entry::Vacant(vacant) => {
            vacant.insert(edge);
        }
        Entry::Occupied(mut known) => {
            let known = known.get_mut();
            if known.sample != edge.sample {
                known.sample = edge.sample;
                known.weight = known.weight.wrapping_add(edge.weight);
                known.inline &= edge.inline;
            }
        }
    }
}
