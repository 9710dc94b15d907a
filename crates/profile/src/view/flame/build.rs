//! From stacks to nodes.
//!
//! Stacks are sorted by their first frame, then each run of the same frame by the second, and so on: a run is a node. No
//! table is needed to find a node again, and nodes come out in the order in which they are kept.

use super::FlameNode;
use crate::limits::at_most;
use crate::view::ViewError;
use crate::view::stacks::{Span, Stacks, Weight};

/// Nodes of one tree. 8 Mi: twenty times the largest natural one, and 320 MB at most.
const NODES_MAX: u64 = 8 << 20;

/// In which order the frames of a stack make a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the outermost call to the leaf.
    Calls,
    /// From the leaf to the outermost call.
    Callers,
}

/// A node that is to be made of a run of stacks that begin alike.
struct Run<W> {
    name: u32,
    /// How many frames they have in common.
    depth: u32,
    /// Where the run is in the order of stacks.
    begin: usize,
    end: usize,
    total: W,
}

pub(super) fn nodes<W: Weight>(
    stacks: &Stacks<'_, W>,
    spans: &[Span<W>],
    root_name: u32,
    direction: Direction,
) -> Result<Vec<FlameNode<W>>, ViewError> {
    let builder = Builder {
        stacks,
        spans,
        // No more stacks than a profile has samples.
        order: (0..spans.len() as u32).collect(),
        nodes: Vec::new(),
        open: Vec::new(),
        runs: Vec::new(),
        keys: Vec::new(),
    };
    match direction {
        Direction::Calls => builder.build::<false>(root_name),
        Direction::Callers => builder.build::<true>(root_name),
    }
}

struct Builder<'s, 'p, W> {
    stacks: &'s Stacks<'p, W>,
    spans: &'s [Span<W>],
    /// Indexes of spans; those of a run stand together.
    order: Vec<u32>,
    nodes: Vec<FlameNode<W>>,
    /// The nodes above the one at hand, whose ends are not known yet.
    open: Vec<usize>,
    /// What is still to be made, the next one last.
    runs: Vec<Run<W>>,
    /// The next frames of a run's stacks, above the indexes of their spans.
    keys: Vec<u64>,
}

impl<W: Weight> Builder<'_, '_, W> {
    fn build<const INVERTED: bool>(mut self, root_name: u32) -> Result<Vec<FlameNode<W>>, ViewError> {
        self.runs.push(Run {
            name: root_name,
            depth: 0,
            begin: 0,
            end: self.order.len(),
            total: self.spans.iter().fold(W::default(), |sum, span| sum.plus(span.value)),
        });
        while let Some(run) = self.runs.pop() {
            self.close(run.depth as usize);
            at_most(self.nodes.len() as u64 + 1, NODES_MAX, "branches of the flame graph")?;
            let index = self.nodes.len();
            self.nodes.push(FlameNode {
                name: run.name,
                end: 0,
                own: W::default(),
                total: run.total,
            });
            self.open.push(index);
            let own = match self.order.get(run.begin..run.end) {
                Some([alone]) => self.chain::<INVERTED>(*alone, run.depth)?,
                _ => self.split::<INVERTED>(&run),
            };
            if let Some(node) = self.nodes.get_mut(index) {
                node.own = own;
            }
        }
        self.close(0);
        Ok(self.nodes)
    }

    /// Ends the nodes at this depth and below.
    fn close(&mut self, depth: usize) {
        let end = self.nodes.len() as u32;
        for index in self.open.drain(depth.min(self.open.len())..) {
            if let Some(node) = self.nodes.get_mut(index) {
                node.end = end;
            }
        }
    }

    /// Makes nodes of what is left of a stack that no other goes along with; gives what the node above is worth itself.
    fn chain<const INVERTED: bool>(&mut self, span: u32, depth: u32) -> Result<W, ViewError> {
        let Some(span) = self.spans.get(span as usize) else {
            return Ok(W::default());
        };
        let stack = self.stacks.stack(span);
        let left = stack.len().saturating_sub(depth as usize);
        if left == 0 {
            return Ok(span.value);
        }
        let end = self.nodes.len() + left;
        at_most(end as u64, NODES_MAX, "branches of the flame graph")?;
        let node = |name: &u32| FlameNode {
            name: *name,
            // Below NODES_MAX.
            end: end as u32,
            own: W::default(),
            total: span.value,
        };
        if INVERTED {
            self.nodes.extend(stack.iter().rev().skip(depth as usize).map(node));
        } else {
            self.nodes.extend(stack.iter().skip(depth as usize).map(node));
        }
        if let Some(leaf) = self.nodes.last_mut() {
            leaf.own = span.value;
        }
        Ok(W::default())
    }

    /// Splits a run by the next frame of its stacks into runs to make nodes of; gives what the stacks that end here are
    /// worth.
    fn split<const INVERTED: bool>(&mut self, run: &Run<W>) -> W {
        let Self {
            stacks,
            spans,
            order,
            runs,
            keys,
            ..
        } = self;
        let value = |span: u32| spans.get(span as usize).map_or(W::default(), |span| span.value);
        let mut own = W::default();
        keys.clear();
        for index in order.get(run.begin..run.end).unwrap_or_default() {
            let Some(span) = spans.get(*index as usize) else {
                continue;
            };
            let len = span.end - span.begin;
            if len == run.depth {
                own = own.plus(span.value);
                continue;
            }
            let at = if INVERTED {
                span.end - 1 - run.depth
            } else {
                span.begin + run.depth
            };
            let frame = stacks.frames.get(at as usize).copied().unwrap_or_default();
            keys.push(u64::from(frame) << 32 | u64::from(*index));
        }
        let frame_of = |key: &u64| (key >> 32) as u32;
        let is_sorted = keys.first().map(frame_of) == keys.last().map(frame_of) && keys.is_sorted_by_key(frame_of);
        if !is_sorted {
            keys.sort_unstable();
        }
        for (index, key) in order.iter_mut().skip(run.begin).zip(keys.iter()) {
            *index = *key as u32;
        }
        let first = runs.len();
        let mut begin = run.begin;
        for keys in keys.chunk_by(|a, b| frame_of(a) == frame_of(b)) {
            let end = begin + keys.len();
            runs.push(Run {
                name: keys.first().map(frame_of).unwrap_or_default(),
                depth: run.depth + 1,
                begin,
                end,
                total: keys.iter().fold(W::default(), |sum, key| sum.plus(value(*key as u32))),
            });
            begin = end;
        }
        // The last comes next, so the smallest is first.
        if let Some(new) = runs.get_mut(first..)
            && new.len() > 1
        {
            let name = |run: &Run<W>| stacks.names.get(run.name as usize);
            new.sort_unstable_by(|a, b| {
                let by_size = a.total.size(stacks.scale).cmp(&b.total.size(stacks.scale));
                by_size.then_with(|| name(b).cmp(&name(a)))
            });
        }
        own
    }
}
