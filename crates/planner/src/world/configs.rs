//! The configs and what is remembered for each.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::event::ConfigFacts;
use crate::id::{CaptureId, ConfigId, TargetId};
use crate::policy::Policy;
use crate::profile_type::{ProfileType, TypeSet};
use crate::reason::Reason;
use crate::status::LastCapture;
use crate::time::{Mono, Now, Wall};
use crate::world::queues::Queues;
use crate::world::targets::Slot;

/// Where a config lies: targets name those that select them by it. Used again after its config is gone.
pub(crate) type Place = u32;

/// A config and its state.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) facts: ConfigFacts,
    /// Targets it selects.
    pub(crate) targets: BTreeSet<Slot>,
    /// What is remembered of a target; also of one that was not seen yet after a restart.
    pub(crate) pairs: BTreeMap<TargetId, Pair>,
    /// Who waits for a capture.
    pub(crate) queues: Queues,
    /// The due time of the last check, from which the next one is counted.
    pub(crate) last_check: Option<Mono>,
    pub(crate) restore: Restore,
    /// Since when it acts: slots that passed before were not missed by this process.
    pub(crate) active_since: Option<Mono>,
    pub(crate) metrics: Metrics,
    pub(crate) storage: Storage,
    /// Captures it has running.
    pub(crate) running: u16,
    /// The number of the last turn it had, so that turns go round.
    pub(crate) turn: u64,
    pub(crate) last: Option<LastCapture>,
    /// The relist in which it was last seen.
    pub(crate) seen_in: u32,
}

/// Whether the config's past is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restore {
    /// Its records have to be read.
    Needed,
    /// They are being read; not waited for beyond this.
    Waiting { until: Mono },
    /// Nothing is missing.
    Done,
}

/// Whether samples come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Metrics {
    NotTried,
    Available,
    Unavailable { message: Box<str> },
}

/// Whether profiles are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    NotTried,
    Ready,
    /// The message is that of the first failure for this reason: later ones may name other keys.
    Failing {
        reason: Reason,
        message: Box<str>,
    },
}

/// What one config remembers of one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pair {
    /// When the capture was decided that the cooldown counts from.
    pub(crate) cooldown_from: Option<Mono>,
    /// When the last on-demand capture was decided.
    pub(crate) on_demand_last: Option<Mono>,
    /// The sample that led to the last capture, and when.
    pub(crate) sample_used: Option<(Wall, Mono)>,
    pub(crate) back_offs: Vec<BackOff>,
    /// The failures that were last told of.
    pub(crate) failures_told: Vec<(ProfileType, Reason)>,
    /// The last capture that the end of a former process interrupted.
    pub(crate) interrupted: Option<Interrupted>,
}

/// A capture that the end of a former process interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted {
    pub(crate) capture: CaptureId,
    /// Whether it was told of; not while its target was not seen yet.
    pub(crate) told: bool,
}

/// A wait after failures of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BackOff {
    pub(crate) profile_type: ProfileType,
    pub(crate) failures: u8,
    pub(crate) until: Mono,
}

/// All configs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Configs {
    places: Vec<Option<Config>>,
    free: Vec<Place>,
    by_id: BTreeMap<ConfigId, Place>,
    pub(crate) relist: u32,
    pub(crate) relisting: bool,
}

impl Config {
    pub(crate) fn new(facts: ConfigFacts, seen_in: u32) -> Self {
        Self {
            facts,
            targets: BTreeSet::new(),
            pairs: BTreeMap::new(),
            queues: Queues::default(),
            last_check: None,
            restore: Restore::Needed,
            active_since: None,
            metrics: Metrics::NotTried,
            storage: Storage::NotTried,
            running: 0,
            turn: 0,
            last: None,
            seen_in,
        }
    }

    /// Its policy, if it can be acted on.
    pub(crate) fn acting(&self) -> Option<&Policy> {
        self.facts.policy.as_ref().ok().filter(|policy| !policy.suspended)
    }

    /// When its next check is due: none without thresholds, `now` before the first.
    pub(crate) fn next_check(&self, now: Mono) -> Option<Mono> {
        let threshold = self.acting()?.threshold?;
        (self.restore == Restore::Done).then_some(())?;
        Some(self.last_check.map_or(now, |last| {
            last.plus_millis(floored_millis(threshold.check_interval_seconds))
        }))
    }

    /// The on-demand interval in milliseconds.
    pub(crate) fn on_demand_millis(&self) -> Option<u64> {
        Some(floored_millis(self.acting()?.on_demand?.interval_seconds))
    }

    /// Whether a target still cools down at `now`.
    pub(crate) fn is_cooling(&self, pair: Option<&Pair>, now: Now) -> bool {
        let Some(threshold) = self.acting().and_then(|policy| policy.threshold) else {
            return false;
        };
        pair.and_then(|one| one.cooldown_from)
            .is_some_and(|from| now.mono < from.plus_seconds(u64::from(threshold.cooldown_seconds)))
    }
}

/// An interval in milliseconds. A stored object can hold anything: an interval of zero would be a loop without
/// an end, so the shortest is a second.
pub(crate) fn floored_millis(seconds: u32) -> u64 {
    u64::from(seconds.max(1)) * 1_000
}

impl Pair {
    /// Types of `asked` that do not back off at `now`.
    pub(crate) fn types_left(&self, asked: TypeSet, now: Mono) -> TypeSet {
        self.back_offs
            .iter()
            .filter(|one| now < one.until)
            .fold(asked, |left, one| left.without(one.profile_type))
    }

    /// The first end of a back-off after `now`.
    pub(crate) fn back_off_until(&self, now: Mono) -> Option<Mono> {
        self.back_offs
            .iter()
            .map(|one| one.until)
            .filter(|until| *until > now)
            .min()
    }
}

impl Configs {
    pub(crate) fn get(&self, place: Place) -> Option<&Config> {
        self.places.get(place as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut Config> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    pub(crate) fn place(&self, id: ConfigId) -> Option<Place> {
        self.by_id.get(&id).copied()
    }

    /// Their ids, ascending.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ConfigId> {
        self.by_id.keys().copied()
    }

    /// Their places, by ascending id.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.by_id.values().copied().collect()
    }

    /// All, by ascending id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Place, &Config)> {
        self.by_id
            .values()
            .filter_map(|place| self.get(*place).map(|config| (*place, config)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Config> {
        self.places.iter_mut().flatten()
    }

    pub(crate) fn insert(&mut self, config: Config) -> Place {
        let id = config.facts.id;
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(free) = self.places.get_mut(place as usize) {
                    *free = Some(config);
                }
                place
            }
            None => {
                self.places.push(Some(config));
                (self.places.len() - 1) as Place
            }
        };
        self.by_id.insert(id, place);
        place
    }

    pub(crate) fn remove(&mut self, place: Place) -> Option<Config> {
        let config = self.places.get_mut(place as usize)?.take()?;
        self.by_id.remove(&config.facts.id);
        self.free.push(place);
        Some(config)
    }
}
