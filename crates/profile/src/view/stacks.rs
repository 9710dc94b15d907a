//! Stacks by function name, of one view or of two that are compared.

use std::borrow::Cow;
use std::fmt::{Debug, Display, Formatter};

use hashbrown::{HashMap, HashSet};

use super::frames::{self, FRAMES_MAX, Frame, Frames};
use super::nodes::Node;
use super::printable::printable;
use super::{View, ViewError};
use crate::limits::at_most;

/// What two numbers of 64 bits take in a line at most, with what stands around them.
const NUMBERS_BYTES: u64 = 44;

/// What a stack is worth: one value, or one before and one after.
///
/// Shown it is the number, or the two with a space between them.
pub trait Weight: Copy + Default + PartialEq + Debug + Display {
    /// The sum of two; wraps as google/pprof's.
    #[must_use]
    fn plus(self, other: Self) -> Self;

    /// The sum of two, unless a part is negative or more than 63 bits: then its parts are no shares of it.
    ///
    /// # Errors
    /// [`ViewError::Negative`], [`ViewError::Overflow`].
    fn sum(self, other: Self) -> Result<Self, ViewError>;

    /// How much room it takes beside others. The size of a sum is the sum of the sizes.
    fn size(self, scale: Scale) -> u128;
}

/// By what the two values of a change are multiplied before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    pub(super) before: u64,
    pub(super) after: u64,
}

impl Scale {
    pub(super) const NONE: Self = Self { before: 1, after: 1 };
}

impl Weight for i64 {
    #[inline]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    fn sum(self, other: Self) -> Result<Self, ViewError> {
        if self < 0 || other < 0 {
            return Err(ViewError::Negative);
        }
        self.checked_add(other).ok_or(ViewError::Overflow)
    }

    #[inline]
    fn size(self, _: Scale) -> u128 {
        u128::from(self.unsigned_abs())
    }
}

/// A value in two profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// In the one that is compared with.
    pub before: i64,
    /// In the other.
    pub after: i64,
}

impl Display for Change {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.before, self.after)
    }
}

impl Weight for Change {
    #[inline]
    fn plus(self, other: Self) -> Self {
        Self {
            before: self.before.plus(other.before),
            after: self.after.plus(other.after),
        }
    }

    fn sum(self, other: Self) -> Result<Self, ViewError> {
        Ok(Self {
            before: self.before.sum(other.before)?,
            after: self.after.sum(other.after)?,
        })
    }

    #[inline]
    fn size(self, scale: Scale) -> u128 {
        // Each factor is below 2^64 and each value at most 2^63.
        let scaled = |value: i64, factor: u64| u128::from(value.unsigned_abs()) * u128::from(factor);
        scaled(self.before, scale.before).saturating_add(scaled(self.after, scale.after))
    }
}

/// Stacks by function name, each with what it is worth.
#[derive(Debug)]
pub struct Stacks<'p, W = i64> {
    /// No two are the same.
    pub(super) names: Vec<Cow<'p, str>>,
    /// Outermost call first, in names.
    pub(super) frames: Vec<u32>,
    pub(super) spans: Vec<Span<W>>,
    pub(super) scale: Scale,
}

/// Where in the frames of all stacks one is, and what it is worth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<W> {
    pub(super) begin: u32,
    pub(super) end: u32,
    pub(super) value: W,
}

impl<'p> Stacks<'p> {
    /// The stacks of a view.
    pub fn new(view: &View<'p>) -> Self {
        let mut stacks = Self::empty();
        stacks.add(view, |value| value);
        stacks
    }
}

impl<'p> Stacks<'p, Change> {
    /// The stacks of two views of the same sample type, to compare `after` with `before`.
    ///
    /// # Errors
    /// When both together are larger than is allowed.
    pub fn compare(before: &View<'p>, after: &View<'p>) -> Result<Self, ViewError> {
        at_most(frames::count(before) + frames::count(after), FRAMES_MAX, frames::NAME)?;
        let mut stacks = Self::empty();
        stacks.add(before, |before| Change { before, after: 0 });
        stacks.add(after, |after| Change { before: 0, after });
        Ok(stacks)
    }

    /// Makes room be shared as if both profiles had the same total, so that a change is one of the part of its whole: for
    /// profiles that were taken over different times. No value changes.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        let total = self
            .spans
            .iter()
            .fold(Change::default(), |sum, span| sum.plus(span.value));
        self.scale = Scale {
            before: total.after.unsigned_abs().max(1),
            after: total.before.unsigned_abs().max(1),
        };
        self
    }
}

impl<'p, W: Weight> Stacks<'p, W> {
    fn empty() -> Self {
        Self {
            names: Vec::new(),
            frames: Vec::new(),
            spans: Vec::new(),
            scale: Scale::NONE,
        }
    }

    fn add(&mut self, view: &View<'p>, weight: impl Fn(i64) -> W) {
        let name_of = self.add_names(view);
        let name = |frame: &Frame| match &name_of {
            None => frame.node(),
            Some(name_of) => name_of.get(frame.node() as usize).copied().unwrap_or_default(),
        };
        // The frames of a view, and of two, are at most FRAMES_MAX.
        let before = self.frames.len() as u32;
        let Frames { frames, spans } = Frames::new(view);
        self.frames.extend(frames.iter().map(name));
        self.spans.extend(spans.iter().map(|span| Span {
            begin: before + span.begin,
            end: before + span.end,
            value: weight(span.value),
        }));
    }

    /// Adds the names of a view's nodes; gives which name each node has, or `None` when they are the same in number.
    fn add_names(&mut self, view: &View<'p>) -> Option<Vec<u32>> {
        let nodes = &view.nodes.nodes;
        // What is called so in the profile itself is there once.
        if self.names.is_empty() && nodes.iter().all(|node| node.binary().is_none()) {
            let names: Vec<Cow<'p, str>> = nodes.iter().map(Node::text).collect();
            if names.iter().all(|name| matches!(name, Cow::Borrowed(_))) {
                self.names = names;
                return None;
            }
        }
        let mut known: HashMap<Cow<'p, str>, u32> = self.names.iter().cloned().zip(0..).collect();
        // Very many nodes may be called by the same binary, and its name be long.
        let mut of_binary: HashMap<u32, u32> = HashMap::new();
        let mut name_of = Vec::with_capacity(nodes.len());
        for node in nodes {
            if let Some(index) = node.binary().and_then(|binary| of_binary.get(&binary)) {
                name_of.push(*index);
                continue;
            }
            let name = node.text();
            // No more names than nodes, which are below 2^32.
            let next = self.names.len() as u32;
            let index = *known.entry(name.clone()).or_insert(next);
            if index == next {
                self.names.push(name);
            }
            if let Some(binary) = node.binary() {
                of_binary.insert(binary, index);
            }
            name_of.push(index);
        }
        Some(name_of)
    }

    /// Lines "root;…;leaf value", the same stack once, sorted. Semicolons and line ends in names become commas and spaces:
    /// the format has no escapes. What else terminals obey is [`printable`].
    ///
    /// # Errors
    /// When the lines are too long together.
    pub fn folded(&self) -> Result<String, ViewError> {
        let mut sums: HashMap<&[u32], W> = HashMap::new();
        for span in &self.spans {
            let sum = sums.entry(self.stack(span)).or_default();
            *sum = sum.plus(span.value);
        }
        let escaped = |name: &Cow<'_, str>| printable(&name.replace(';', ",").replace(['\n', '\r'], " ")).into_owned();
        let names: Vec<_> = self.names.iter().map(escaped).collect();
        let name = |index: &u32| names.get(*index as usize).map(String::as_str).unwrap_or_default();
        let bytes = sums.keys().map(|stack| {
            let names = stack.iter().map(|index| name(index).len() as u64 + 1);
            names.sum::<u64>() + NUMBERS_BYTES
        });
        at_most(bytes.sum(), super::TEXT_BYTES_MAX, "bytes of stacks")?;
        let line =
            |(stack, value): (&[u32], W)| format!("{} {value}\n", stack.iter().map(name).collect::<Vec<_>>().join(";"));
        let sums = sums.into_iter().filter(|(_, value)| *value != W::default());
        let mut lines: Vec<_> = sums.map(line).collect();
        lines.sort_unstable();
        Ok(lines.concat())
    }

    pub(super) fn stack(&self, span: &Span<W>) -> &[u32] {
        self.frames
            .get(span.begin as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// The names of all functions that stand in a stack, sorted.
    pub fn functions(&self) -> Vec<&str> {
        let found: HashSet<u32> = self.frames.iter().copied().collect();
        let mut names: Vec<_> = found
            .iter()
            .filter_map(|name| self.names.get(*name as usize))
            .map(|name| &**name)
            .collect();
        names.sort_unstable();
        names
    }
}
