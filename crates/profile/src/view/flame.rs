//! Flame graphs: all stacks as one tree.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::ViewError;
use super::stacks::{Change, Scale, Span, Stacks, Weight};

mod build;
mod json;

/// Stacks as a tree: whatever begins alike is one branch.
#[derive(Debug, Clone)]
pub struct FlameTree<'p, W = i64> {
    names: Vec<Cow<'p, str>>,
    /// Each comes before those below it, which follow at once; of those below one, the largest first.
    nodes: Vec<FlameNode<W>>,
    scale: Scale,
}

/// A function, where all stacks that begin alike have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlameNode<W = i64> {
    /// Index of its name: see [`FlameTree::name`].
    pub name: u32,
    /// The index after the last node below it.
    pub end: u32,
    /// What is worth ending here, and what was pruned below.
    pub own: W,
    /// Its value with all below.
    pub total: W,
}

/// All that leads to a function, and all that comes of it.
#[derive(Debug, Clone)]
pub struct Sandwich<'p, W = i64> {
    /// Its callers, the nearest first. The root is the function.
    pub callers: FlameTree<'p, W>,
    /// What it calls. The root is the function.
    pub callees: FlameTree<'p, W>,
}

/// A frame of two that are compared, as people tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is in both profiles, or in none.
    Both,
    /// It was not there before.
    New,
    /// It is not there any more.
    Gone,
}

impl Change {
    /// In which of the two profiles something is.
    pub fn presence(self) -> Presence {
        match (self.before, self.after) {
            (0, after) if after != 0 => Presence::New,
            (before, 0) if before != 0 => Presence::Gone,
            _ => Presence::Both,
        }
    }
}

impl<'p, W: Weight> Stacks<'p, W> {
    /// The tree from the outermost calls to the leaves.
    ///
    /// # Errors
    /// When values are negative or too large to be areas, or there are more branches than are allowed.
    pub fn tree(&self) -> Result<FlameTree<'p, W>, ViewError> {
        self.planted("all", &self.spans, build::Direction::Calls)
    }

    /// The tree from the leaves to their callers.
    ///
    /// # Errors
    /// As [`Stacks::tree`].
    pub fn inverted(&self) -> Result<FlameTree<'p, W>, ViewError> {
        self.planted("all", &self.spans, build::Direction::Callers)
    }

    /// A function with its callers and its callees; both trees have the function's total. Where it calls itself, its
    /// outermost call counts. `None` when it is in no stack.
    ///
    /// # Errors
    /// As [`Stacks::tree`].
    pub fn sandwich(&self, function: &str) -> Result<Option<Sandwich<'p, W>>, ViewError> {
        let Some(name) = self.names.iter().position(|name| name == function) else {
            return Ok(None);
        };
        let (mut above, mut below) = (Vec::new(), Vec::new());
        for span in &self.spans {
            let stack = self.stack(span);
            if let Some(at) = (0..)
                .zip(stack)
                .find_map(|(at, frame)| (*frame as usize == name).then_some(at))
            {
                let at: u32 = span.begin + at;
                above.push(Span { end: at, ..*span });
                below.push(Span { begin: at + 1, ..*span });
            }
        }
        if above.is_empty() {
            return Ok(None);
        }
        Ok(Some(Sandwich {
            callers: self.planted(function, &above, build::Direction::Callers)?,
            callees: self.planted(function, &below, build::Direction::Calls)?,
        }))
    }

    fn planted(
        &self,
        root: &str,
        spans: &[Span<W>],
        direction: build::Direction,
    ) -> Result<FlameTree<'p, W>, ViewError> {
        // Where the whole can be summed up, so can all parts.
        spans.iter().try_fold(W::default(), |sum, span| sum.sum(span.value))?;
        let mut names = self.names.clone();
        // No more names than nodes, which are below 2^32.
        let root_name = names.len() as u32;
        names.push(Cow::Owned(root.to_owned()));
        let nodes = build::nodes(self, spans, root_name, direction)?;
        Ok(FlameTree {
            names,
            nodes,
            scale: self.scale,
        })
    }
}

impl<W: Weight> FlameTree<'_, W> {
    /// The nodes. The first is the root; each comes before those below it, which follow at once.
    pub fn nodes(&self) -> &[FlameNode<W>] {
        &self.nodes
    }

    /// The name of a node; that of the root is "all", or the function that the tree is about.
    pub fn name(&self, node: &FlameNode<W>) -> &str {
        self.names
            .get(node.name as usize)
            .map(|name| &**name)
            .unwrap_or_default()
    }

    /// Indexes of the nodes right below one, the largest first.
    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> {
        let end_of = |index: usize| self.nodes.get(index).map_or(0, |node| node.end as usize);
        let end = end_of(index);
        let inside = move |child: &usize| *child < end;
        let first = Some(index + 1).filter(inside);
        std::iter::successors(first, move |child| Some(end_of(*child)).filter(inside))
    }

    /// How much room a value takes beside others in this tree.
    pub fn size(&self, value: W) -> u128 {
        value.size(self.scale)
    }

    /// Whether the two values of a change take room as parts of their wholes.
    pub fn is_normalized(&self) -> bool {
        self.scale != Scale::NONE
    }

    /// Keeps the root and the `nodes_max` largest others. What those left out are worth stays in the nodes above them, so
    /// that every sum is exact.
    ///
    /// A node is never larger than the one above it, and comes after it, so the largest, the earlier first, are a tree.
    pub fn prune(&mut self, nodes_max: usize) {
        if self.nodes.len() <= nodes_max.saturating_add(1) {
            return;
        }
        let size = |node: &FlameNode<W>| Reverse(node.total.size(self.scale));
        let mut by_size: Vec<_> = self.nodes.iter().map(size).zip(0_u32..).skip(1).collect();
        by_size.select_nth_unstable(nodes_max);
        let mut kept = vec![false; self.nodes.len()];
        for index in std::iter::once(0).chain(by_size.iter().take(nodes_max).map(|(_, index)| *index)) {
            if let Some(kept) = kept.get_mut(index as usize) {
                *kept = true;
            }
        }
        let mut left: Vec<FlameNode<W>> = Vec::with_capacity(nodes_max + 1);
        // Those above the node at hand: where they are now, and where they ended.
        let mut above: Vec<(usize, u32)> = Vec::new();
        let mut at = 0_usize;
        while let Some((node, is_kept)) = self.nodes.get(at).zip(kept.get(at)) {
            close(&mut left, &mut above, at);
            if *is_kept {
                above.push((left.len(), node.end));
                left.push(*node);
                at += 1;
            } else {
                if let Some(above) = above.last().and_then(|(index, _)| left.get_mut(*index)) {
                    above.own = above.own.plus(node.total);
                }
                at = (node.end as usize).max(at + 1);
            }
        }
        close(&mut left, &mut above, usize::MAX);
        self.nodes = left;
    }
}

/// Ends the nodes that ended before `at` where the nodes that are left end.
fn close<W>(left: &mut [FlameNode<W>], above: &mut Vec<(usize, u32)>, at: usize) {
    let end = left.len() as u32;
    while let Some((index, _)) = above.pop_if(|(_, end)| *end as usize <= at) {
        if let Some(node) = left.get_mut(index) {
            node.end = end;
        }
    }
}
