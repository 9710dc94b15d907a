//! Every stack as frames, one after the other.
//!
//! What goes over all frames more than once does so here. A location is a few of them, and how many is hard to foresee, so it
//! is looked up once, and from then on stacks are plain runs of numbers.

use super::View;
use super::nodes::{Nodes, Place};
use super::stacks::Span;
use crate::limits::{LimitExceeded, at_most};

/// Frames of all stacks, each inlined call counted where it stands. 64 Mi, 256 MiB in memory: two for each location that the
/// samples of a profile may have by default, and 128 times those of the largest natural one.
pub(super) const FRAMES_MAX: u64 = 64 << 20;

/// Frames for each location in a stack, in the mean. 8: natural profiles have up to 1.4, compilers inline to depths of tens
/// only here and there. Without it a location of thousands of lines that stands everywhere is a bomb of a few bytes.
const FRAMES_PER_LOCATION_MAX: u64 = 8;

/// Frames that any profile may have, 4 MiB in memory: a small one may well be of deeply inlined code only.
const FRAMES_FREE: u64 = 1 << 20;

/// What there are too many of.
pub(super) const NAME: &str = "frames in all stacks";

/// A function where it stands in a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame(u32);

impl Frame {
    /// What stands where there is no frame.
    pub(super) const NONE: Self = Self(0);

    /// Nodes are below 2^31: each comes of a line or a location, which takes two bytes of a profile below 4 GiB.
    pub(super) fn new(node: u32, is_inlined: bool) -> Self {
        Self(node << 1 | u32::from(is_inlined))
    }

    /// Index of its node.
    #[inline]
    pub(super) fn node(self) -> u32 {
        self.0 >> 1
    }

    /// Whether the call was inlined here.
    #[inline]
    pub(super) fn is_inlined(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Whether the stacks of a view have so few frames that they may be shown.
///
/// # Errors
/// When they do not.
pub(super) fn are_within_limit(view: &View<'_>) -> Result<(), LimitExceeded> {
    let locations = view.locations.len() as u64;
    let expanded = FRAMES_PER_LOCATION_MAX.saturating_mul(locations);
    let frames_max = FRAMES_MAX.min(expanded.saturating_add(FRAMES_FREE));
    // The most that they can be is soon told. Where that is too much, they are counted.
    if locations.saturating_mul(view.nodes.widest()) <= frames_max {
        return Ok(());
    }
    at_most(count(view), frames_max, NAME)
}

/// How many frames all stacks of a view have.
pub(super) fn count(view: &View<'_>) -> u64 {
    // Where nothing was inlined, each location is one.
    if view.nodes.widest() <= 1 {
        return view.stacks().map(|(stack, _)| stack.len() as u64).sum();
    }
    let frames = |location: &u32| view.nodes.place(*location).map_or(0, Place::count);
    let of_stack = |(stack, _): (&[u32], i64)| stack.iter().map(frames).sum::<usize>() as u64;
    view.stacks().map(of_stack).sum()
}

/// The stacks of a view as runs of frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Outermost call first.
    pub(super) frames: Vec<Frame>,
    pub(super) spans: Vec<Span<i64>>,
}

impl Frames {
    pub(super) fn new(view: &View<'_>) -> Self {
        // At most FRAMES_MAX: the view has seen to that.
        let mut frames = vec![Frame::NONE; count(view) as usize + WIDTH];
        let mut spans = Vec::with_capacity(view.spans.len());
        let mut filled = 0_usize;
        for (stack, value) in view.stacks() {
            let begin = filled;
            filled += write(frames.get_mut(filled..).unwrap_or_default(), stack, &view.nodes);
            spans.push(Span {
                begin: begin as u32,
                end: filled as u32,
                value,
            });
        }
        frames.truncate(filled);
        Self { frames, spans }
    }
}

/// Frames that are copied at once, however many a location has: most have no more, and then nothing has to be foreseen.
pub(super) const WIDTH: usize = 4;

/// Writes the frames of a stack, for which there is room, and for [`WIDTH`] more; gives how many they are. On its own, for
/// the compiler to keep everything about it in registers.
#[inline(never)]
fn write(room: &mut [Frame], stack: &[u32], nodes: &Nodes<'_>) -> usize {
    let mut filled = 0;
    for location in stack.iter().rev() {
        let Some(place) = nodes.place(*location) else {
            continue;
        };
        if let Some(room) = room.get_mut(filled..).and_then(|rest| rest.first_chunk_mut()) {
            *room = place.first;
        }
        let count = place.count();
        if count > WIDTH
            && let Some(room) = room.get_mut(filled..filled + count)
        {
            room.copy_from_slice(nodes.all(place));
        }
        filled += count;
    }
    filled
}
