//! Who waits for a capture of one config: whom somebody asked for, who fired, who is due.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Bound;

use crate::profile_type::TypeSet;
use crate::rules::Mode;
use crate::target::{Basis, Resource};
use crate::time::{Mono, Wall};
use crate::world::targets::Slot;

/// The queues of one config.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queues {
    pub(crate) requests: RequestQueue,
    pub(crate) hot: HotQueue,
    pub(crate) due: DueQueue,
}

/// A place in one of the queues. It stays where it is when others leave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spot {
    Request(RequestKey),
    Hot(HotKey),
    Due(DueKey),
}

type RequestKey = (u64, Slot);
type HotKey = (Mono, bool, Slot);
type DueKey = (Mono, Slot);

/// Captures that somebody asked for, in the order in which they were.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestQueue {
    by_arrival: BTreeMap<RequestKey, Request>,
}

/// Targets that fired, oldest first, memory before CPU among those of one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct HotQueue {
    order: BTreeSet<HotKey>,
    by_target: BTreeMap<Slot, Hot>,
}

/// Targets by the time at which their next on-demand capture is due. Holds those that could be captured, no others.
#[derive(Clone, Debug, Default)]
pub(crate) struct DueQueue {
    order: BTreeSet<DueKey>,
    by_target: BTreeMap<Slot, Mono>,
}

/// Somebody's request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) by: Box<str>,
    pub(crate) types: TypeSet,
}

/// A target that fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hot {
    /// When it fired first; its place in the queue.
    pub(crate) since: Mono,
    pub(crate) resource: Resource,
    pub(crate) permille: u32,
    pub(crate) basis: Basis,
    pub(crate) container: u16,
    pub(crate) sampled_at: Wall,
    /// When the sample that last confirmed it came.
    pub(crate) confirmed: Mono,
}

impl Spot {
    /// The target that waits there.
    pub(crate) const fn slot(self) -> Slot {
        match self {
            Self::Request((_, slot)) | Self::Hot((_, _, slot)) | Self::Due((_, slot)) => slot,
        }
    }
}

impl Queues {
    /// The first that waits at `now` in the queue of `mode`, of those behind a spot of the same queue.
    pub(crate) fn first(&self, mode: Mode, now: Mono, behind: Option<Spot>) -> Option<Spot> {
        match (mode, behind) {
            (Mode::Requested, Some(Spot::Request(key))) => self.requests.first(Bound::Excluded(key)),
            (Mode::Requested, _) => self.requests.first(Bound::Unbounded),
            (Mode::Threshold, Some(Spot::Hot(key))) => self.hot.first(Bound::Excluded(key)),
            (Mode::Threshold, _) => self.hot.first(Bound::Unbounded),
            (Mode::OnDemand, Some(Spot::Due(key))) => self.due.first(now, Bound::Excluded(key)),
            (Mode::OnDemand, _) => self.due.first(now, Bound::Unbounded),
        }
    }

    /// Lets go whoever waits at a spot.
    pub(crate) fn remove(&mut self, spot: Spot) {
        match spot {
            Spot::Request(key) => {
                self.requests.by_arrival.remove(&key);
            }
            Spot::Hot((_, _, slot)) => self.hot.remove(slot),
            Spot::Due((_, slot)) => self.due.remove(slot),
        }
    }
}

impl RequestQueue {
    pub(crate) fn get(&self, key: RequestKey) -> Option<&Request> {
        self.by_arrival.get(&key)
    }

    pub(crate) fn push(&mut self, slot: Slot, request: Request) {
        let arrival = self.by_arrival.last_key_value().map_or(0, |((last, _), _)| last + 1);
        self.by_arrival.insert((arrival, slot), request);
    }

    /// Those of a target that is gone.
    pub(crate) fn remove_of(&mut self, slot: Slot) {
        self.by_arrival.retain(|(_, of), _| *of != slot);
    }

    fn first(&self, from: Bound<RequestKey>) -> Option<Spot> {
        let (key, _) = self.by_arrival.range((from, Bound::Unbounded)).next()?;
        Some(Spot::Request(*key))
    }

    pub(crate) fn len(&self) -> usize {
        self.by_arrival.len()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl HotQueue {
    pub(crate) fn get(&self, slot: Slot) -> Option<&Hot> {
        self.by_target.get(&slot)
    }

    /// Adds a target, or renews what is known of it without moving it back in the queue.
    pub(crate) fn put(&mut self, slot: Slot, hot: Hot) {
        let since = self.by_target.get(&slot).map_or(hot.since, |before| before.since);
        let hot = Hot { since, ..hot };
        self.remove(slot);
        self.order.insert(hot.key(slot));
        self.by_target.insert(slot, hot);
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        if let Some(hot) = self.by_target.remove(&slot) {
            self.order.remove(&hot.key(slot));
        }
    }

    fn first(&self, from: Bound<HotKey>) -> Option<Spot> {
        self.order
            .range((from, Bound::Unbounded))
            .next()
            .copied()
            .map(Spot::Hot)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Hot {
    fn key(&self, slot: Slot) -> HotKey {
        (self.since, self.resource != Resource::Memory, slot)
    }
}

impl DueQueue {
    pub(crate) fn get(&self, slot: Slot) -> Option<Mono> {
        self.by_target.get(&slot).copied()
    }

    pub(crate) fn put(&mut self, slot: Slot, due: Mono) {
        self.remove(slot);
        self.order.insert((due, slot));
        self.by_target.insert(slot, due);
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        if let Some(due) = self.by_target.remove(&slot) {
            self.order.remove(&(due, slot));
        }
    }

    fn first(&self, now: Mono, from: Bound<DueKey>) -> Option<Spot> {
        self.order
            .range((from, Bound::Included((now, Slot::MAX))))
            .next()
            .copied()
            .map(Spot::Due)
    }

    /// When the first one that is not due at `now` will be.
    pub(crate) fn next(&self, now: Mono) -> Option<Mono> {
        self.order.range((now.plus_millis(1), 0)..).next().map(|(due, _)| *due)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
