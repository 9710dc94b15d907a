//! `.heapprofile`: a call tree of nested nodes, each with the bytes that it allocated and that are still in use.

use super::{CallFrame, Kind, Node, Stacks};
use crate::build::Builder;
use crate::import::Fault;
use crate::import::json::Tokens;
use crate::limits::{Limits, at_most};
use crate::model::{Profile, Sample};

/// Levels of JSON: a node and its list of children for each frame of a stack, and what is passed over.
pub(super) fn depth_max(limits: &Limits) -> u64 {
    limits.locations_per_sample_max.saturating_mul(2).saturating_add(64)
}

/// The tree as it was read.
#[derive(Default)]
struct Read {
    nodes: Vec<Node>,
    /// Bytes of each node itself.
    bytes: Vec<i64>,
    /// Indexes of the nodes at hand, each in the children of the one before.
    open: Vec<u32>,
}

pub(super) fn import(tokens: &mut Tokens<'_>, limits: &Limits) -> Result<Profile<'static>, Fault> {
    let mut builder = Builder::new(&[("inuse_space", "bytes")], limits)?;
    let mut read = Read::default();
    tokens.object()?;
    while let Some(key) = tokens.key_or_end()? {
        match key.as_ref() {
            b"head" => read.tree(tokens, &mut builder, limits)?,
            _ => tokens.skip()?,
        }
    }
    tokens.end()?;
    let mut stacks = Stacks::new(&read.nodes, limits);
    for ((index, node), bytes) in (0..).zip(&read.nodes).zip(&read.bytes) {
        let is_root = node.frame.is_some_and(|frame| frame.kind == Kind::Root);
        if *bytes != 0 && !is_root {
            let stack = stacks.of(index, 1)?;
            let values = [*bytes];
            builder.add_sample(Sample {
                stack,
                values: &values,
                labels: &[],
            })?;
        }
    }
    builder.set_period("space", "bytes", 0)?;
    Ok(builder.finish())
}

impl Read {
    /// Reads the tree below a head. Whatever a node says after its children is still its own.
    fn tree(&mut self, tokens: &mut Tokens<'_>, builder: &mut Builder, limits: &Limits) -> Result<(), Fault> {
        tokens.object()?;
        self.begin(limits)?;
        while let Some(index) = self.open.last().copied() {
            match tokens.key_or_end()?.as_deref() {
                Some(b"callFrame") => {
                    let frame = CallFrame::read(tokens, builder)?;
                    if let Some(node) = self.nodes.get_mut(index as usize) {
                        node.frame = Some(frame);
                    }
                }
                Some(b"selfSize") => {
                    let size = tokens.number()?;
                    if let Some(bytes) = self.bytes.get_mut(index as usize) {
                        *bytes = size;
                    }
                }
                Some(b"children") => {
                    tokens.array()?;
                    self.next_child(tokens, limits)?;
                }
                Some(_) => tokens.skip()?,
                None => {
                    self.open.pop();
                    if !self.open.is_empty() {
                        self.next_child(tokens, limits)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Begins the next child of the node at hand, unless its list ends.
    fn next_child(&mut self, tokens: &mut Tokens<'_>, limits: &Limits) -> Result<(), Fault> {
        if tokens.object_or_end()? {
            self.begin(limits)
        } else {
            Ok(())
        }
    }

    fn begin(&mut self, limits: &Limits) -> Result<(), Fault> {
        at_most(self.nodes.len() as u64 + 1, limits.samples_max, "nodes")?;
        // Below the limit of samples, which is below 2^32.
        let index = self.nodes.len() as u32;
        self.nodes.push(Node {
            frame: None,
            parent: self.open.last().copied(),
        });
        self.bytes.push(0);
        self.open.push(index);
        Ok(())
    }
}
