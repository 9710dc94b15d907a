//! Captures that somebody asks for.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::vec::Vec;

use crate::command::Command;
use crate::id::{ConfigId, TargetId};
use crate::profile_type::TypeSet;
use crate::reason::Reason;
use crate::rules::{self, Mode};
use crate::time::Now;
use crate::world::World;
use crate::world::queues::Request;
use crate::world::targets::Slot;

/// What is asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) by: Box<str>,
    pub(super) config: ConfigId,
    pub(super) target: TargetId,
    pub(super) types: TypeSet,
}

/// The requests that were taken in last, to know a repeated one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    ids: BTreeSet<u64>,
    order: VecDeque<u64>,
}

/// Requests come from people: a thousand of them last longer than any retry of a client.
const SEEN_MAX: usize = 1_024;

/// Requests of one config that wait: more than people ask for, and little enough to forget.
const WAITING_MAX: usize = 64;

/// Longest name of who asks, as the events say.
const BY_BYTES_MAX: usize = 253;

impl Seen {
    /// Remembers an id; false if it was known.
    fn first_time(&mut self, id: u64) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

impl World {
    pub(super) fn requested(&mut self, now: Now, asked: Asked, out: &mut Vec<Command>) {
        // A follower does not remember it either: asked of the leader, it is new there.
        if !self.leader {
            self.counters.requests_refused_total += 1;
            return;
        }
        if !self.seen.first_time(asked.id) {
            self.counters.requests_repeated_total += 1;
            return;
        }
        let found = self.configs.place(asked.config).zip(self.targets.slot(asked.target));
        let Some((place, slot)) = found else {
            self.counters.requests_refused_total += 1;
            return;
        };
        if let Some(reason) = self.hold(now, place, slot, Mode::Requested, false)
            && rules::wait(reason).is_none()
        {
            self.refuse(slot, reason, out);
            return;
        }
        let waiting = self.configs.get(place).map_or(0, |config| config.queues.requests.len());
        if waiting >= WAITING_MAX {
            self.refuse(slot, Reason::OperatorBusy, out);
            return;
        }
        if let Some(config) = self.configs.get_mut(place) {
            let by = cut(&asked.by);
            config.queues.requests.push(slot, Request { by, types: asked.types });
        }
    }

    /// Says on the target that a request comes to nothing.
    pub(super) fn refuse(&mut self, slot: Slot, reason: Reason, out: &mut Vec<Command>) {
        self.counters.requests_refused_total += 1;
        let meaning = reason.meaning_plain();
        let text = format!("the capture that was asked for is not made: {meaning}").into_boxed_str();
        if let Some(target) = self.targets.get(slot) {
            self.tell_target(
                target.id,
                &target.shape.namespace,
                &target.name,
                reason,
                true,
                text,
                out,
            );
        }
    }
}

fn cut(by: &str) -> Box<str> {
    by.get(..by.floor_char_boundary(BY_BYTES_MAX))
        .unwrap_or_default()
        .into()
}
