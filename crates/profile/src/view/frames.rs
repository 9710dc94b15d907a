//! Every stack as frames, one after the other.
//!
//! All that views do goes over all frames. A location is a few of them, and how many is hard to foresee, so it is looked up
//! once, here, and from then on stacks are plain runs of numbers.

use super::ViewError;
use super::nodes::Nodes;
use super::stacks::Span;
use crate::limits::at_most;
use crate::model::Profile;
use crate::prune::Prune;

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

/// So much room may be taken for frames that are not there.
const LEEWAY: u64 = 64 << 10;

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

/// The stacks of one sample type, without those that are worth nothing.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Outermost call first.
    frames: Vec<Frame>,
    spans: Vec<Span<i64>>,
}

impl Frames {
    pub(super) fn new(
        profile: &Profile<'_>,
        sample_type: usize,
        prune: &Prune,
        nodes: &Nodes<'_>,
    ) -> Result<Self, ViewError> {
        let samples = &profile.samples;
        let types = profile.header.sample_types.len();
        let values = samples.values.iter().skip(sample_type).step_by(types.max(1));
        let begins = std::iter::once(0).chain(samples.stack_ends.iter().copied());
        let stacks = begins.zip(&samples.stack_ends).zip(values);
        let expanded = FRAMES_PER_LOCATION_MAX.saturating_mul(samples.stacks.len() as u64);
        let frames_max = FRAMES_MAX.min(expanded.saturating_add(FRAMES_FREE));
        let mut frames = vec![Frame::NONE; samples.stacks.len() + WIDTH];
        let mut spans = Vec::with_capacity(samples.stack_ends.len());
        let mut filled = 0_usize;
        for ((begin, end), value) in stacks.filter(|(_, value)| **value != 0) {
            let stack = samples.stacks.get(begin as usize..*end as usize);
            let stack = prune.kept(stack.unwrap_or_default());
            let begin = filled;
            // The most that they can be is soon told. Where that is much, they are counted.
            let mut most = stack.len() as u64 * nodes.widest();
            if most > LEEWAY {
                most = stack
                    .iter()
                    .map(|location| nodes.place(*location).map_or(0, |place| u64::from(place.count)))
                    .sum();
            }
            at_most((filled as u64 + most).saturating_sub(LEEWAY), frames_max, NAME)?;
            let room = filled + most as usize + WIDTH;
            if frames.len() < room {
                frames.resize(room.max(frames.len() * 2), Frame::NONE);
            }
            filled += write(frames.get_mut(filled..).unwrap_or_default(), stack, nodes);
            at_most(filled as u64, frames_max, NAME)?;
            spans.push(Span {
                begin: begin as u32,
                end: filled as u32,
                value: *value,
            });
        }
        frames.truncate(filled);
        Ok(Self { frames, spans })
    }

    /// Those of all stacks, as the spans have them.
    pub(super) fn all(&self) -> &[Frame] {
        &self.frames
    }

    pub(super) fn spans(&self) -> &[Span<i64>] {
        &self.spans
    }

    /// Stacks, outermost call first, with their values; none is zero.
    pub(super) fn stacks(&self) -> impl Iterator<Item = (&[Frame], i64)> {
        self.spans.iter().map(|span| {
            let frames = self.frames.get(span.begin as usize..span.end as usize);
            (frames.unwrap_or_default(), span.value)
        })
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
        let count = place.count as usize;
        if count > WIDTH
            && let Some(room) = room.get_mut(filled..filled + count)
        {
            room.copy_from_slice(nodes.all(place));
        }
        filled += count;
    }
    filled
}
