//! What V8 writes: CPU profiles and sampling heap profiles, both JSON.
//!
//! Neither says when it was taken: V8's clock does not count from 1970.

use std::borrow::Cow;

use super::json::Tokens;
use super::{Fault, Format, Frame, ImportError};
use crate::build::Builder;
use crate::limits::{Limits, at_most};
use crate::model::Profile;

mod cpu;
mod heap;

/// Which of the two a JSON object is, by its first key that only one of them has.
pub(super) fn kind(head: &[u8]) -> Option<Format> {
    let mut tokens = Tokens::new(head, KIND_DEPTH_MAX);
    tokens.object().ok()?;
    loop {
        match tokens.key_or_end().ok()??.as_ref() {
            b"nodes" | b"timeDeltas" => return Some(Format::V8Cpu),
            b"head" => return Some(Format::V8Heap),
            // A heap snapshot, which has nodes too.
            b"snapshot" => return None,
            // A heap profile may begin with its list of samples, which are flat; so may a CPU profile.
            _ => tokens.skip().ok()?,
        }
    }
}

/// Levels of what may stand before the key that decides: the lists of samples are two below the top.
const KIND_DEPTH_MAX: u64 = 4;

/// A CPU profile.
pub(super) fn import_cpu(bytes: &[u8], limits: &Limits) -> Result<Profile<'static>, ImportError> {
    let mut tokens = Tokens::new(bytes, cpu::DEPTH_MAX);
    let imported = cpu::import(&mut tokens, limits);
    imported.map_err(|fault| Format::V8Cpu.refuse(tokens.offset(), fault))
}

/// A heap profile.
pub(super) fn import_heap(bytes: &[u8], limits: &Limits) -> Result<Profile<'static>, ImportError> {
    let mut tokens = Tokens::new(bytes, heap::depth_max(limits));
    let imported = heap::import(&mut tokens, limits);
    imported.map_err(|fault| Format::V8Heap.refuse(tokens.offset(), fault))
}

/// A node of V8's call tree.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// What V8 says of its frame; `None` until that was read.
    frame: Option<CallFrame>,
    /// Index of the node that called it.
    parent: Option<u32>,
}

/// What V8 says of a frame.
#[derive(Debug, Clone, Copy)]
struct CallFrame {
    kind: Kind,
    /// Index of its function.
    function: u32,
    /// Index of the location at the first line of the function: V8 does not say at which line another was called.
    location: u32,
}

/// Frames that V8 makes up, and all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Above all others; stands for nothing.
    Root,
    /// The thread waited.
    Idle,
    Code,
}

impl CallFrame {
    fn read(tokens: &mut Tokens<'_>, builder: &mut Builder) -> Result<Self, Fault> {
        tokens.object()?;
        let (mut name, mut url, mut line) = (Cow::default(), Cow::default(), -1);
        while let Some(key) = tokens.key_or_end()? {
            match key.as_ref() {
                b"functionName" => name = tokens.text()?,
                b"url" => url = tokens.text()?,
                b"lineNumber" => line = tokens.number()?,
                _ => tokens.skip()?,
            }
        }
        // Lines count from 0, and -1 is none.
        let line = line.saturating_add(1).max(0);
        let frame = Frame {
            name: if name.is_empty() { b"(anonymous)" } else { name.as_ref() },
            file: url.strip_prefix(b"file://").unwrap_or(url.as_ref()),
            start_line: line,
            line,
            ..Frame::default()
        };
        Ok(Self {
            kind: match name.as_ref() {
                b"(root)" => Kind::Root,
                b"(idle)" => Kind::Idle,
                _ => Kind::Code,
            },
            function: frame.function(builder)?,
            location: frame.location(builder)?,
        })
    }
}

/// The stacks of nodes, leaf first.
struct Stacks<'n> {
    nodes: &'n [Node],
    stack: Vec<u32>,
    depth_max: u64,
    /// Frames passed in all. Nodes that look the same are one sample in the end, so the profile alone does not bound this.
    frames: u64,
    frames_max: u64,
}

impl<'n> Stacks<'n> {
    fn new(nodes: &'n [Node], limits: &Limits) -> Self {
        Self {
            nodes,
            stack: Vec::new(),
            depth_max: limits.locations_per_sample_max,
            frames: 0,
            frames_max: limits.uncompressed_bytes_max,
        }
    }

    /// The stack of a node, for so many samples. Nodes that call each other in a circle have one without end, which is deeper
    /// than allowed.
    fn of(&mut self, node: u32, samples: u64) -> Result<&mut [u32], Fault> {
        self.stack.clear();
        let mut next = Some(node);
        while let Some(node) = next.and_then(|index| self.nodes.get(index as usize)) {
            let frame = node.frame.ok_or(Fault::Bad("a node has no frame"))?;
            if frame.kind != Kind::Root {
                at_most(self.stack.len() as u64 + 1, self.depth_max, "frames in one stack")?;
                self.stack.push(frame.location);
            } else if node.parent.is_some() {
                return Err(Fault::Bad("the root has a caller"));
            }
            next = node.parent;
        }
        self.frames = self
            .frames
            .saturating_add((self.stack.len() as u64).saturating_mul(samples));
        at_most(self.frames, self.frames_max, "frames in all stacks")?;
        Ok(&mut self.stack)
    }
}
