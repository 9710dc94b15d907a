//! The past of a config, read from its records after a start or a change of leader.

use alloc::vec::Vec;

use crate::command::{Command, Notice, NoticeTarget, RestoreRequest};
use crate::event::{PastCapture, PastOutcome};
use crate::id::{ConfigId, TargetId};
use crate::reason::Reason;
use crate::time::{Mono, Now, Wall};
use crate::world::World;
use crate::world::configs::{BackOff, Config, Interrupted, Place, Restore};

/// How far back records are read at least: a capture takes up to some minutes from decision to its end, and one that
/// was interrupted is told of even where cooldown and interval are short.
const PAST_SECONDS_MIN: u32 = 600;

/// A worker always answers, within a deadline below this. Without an answer, a cooldown may be forgotten: better a
/// capture too many than none for ever.
const RESTORE_MILLIS_MAX: u64 = 30_000;

/// Both clocks are read one after the other and cut to milliseconds, then and now: a distance measured on one and counted
/// on the other is off by up to so much. Seen on a real cluster: 39.999 s of a cooldown of 40 s.
const CLOCKS_APART_MILLIS: u64 = 2;

/// When a config stops waiting for its past.
pub(super) fn deadline(config: &Config) -> Option<Mono> {
    config.acting()?;
    match config.restore {
        Restore::Waiting { until } => Some(until),
        Restore::Needed | Restore::Done => None,
    }
}

impl World {
    /// Asks for the past of configs that need it, and goes on without where it did not come.
    pub(super) fn restore(&mut self, now: Now, out: &mut Vec<Command>) {
        if !self.leader || self.shutting_down {
            return;
        }
        for place in self.configs.places() {
            let Some(config) = self.configs.get_mut(place) else {
                continue;
            };
            let Some(policy) = config.acting() else { continue };
            match config.restore {
                Restore::Needed => {
                    let cooldown = policy.threshold.map_or(0, |threshold| threshold.cooldown_seconds);
                    let interval = policy.on_demand.map_or(0, |on_demand| on_demand.interval_seconds);
                    let past = i64::from(cooldown.max(interval).max(PAST_SECONDS_MIN)) * 1_000;
                    let request = RestoreRequest {
                        config: config.facts.id,
                        store: policy.store.clone(),
                        scope: policy.scope.clone(),
                        since: Wall(now.wall.0.saturating_sub(past)),
                    };
                    config.restore = Restore::Waiting {
                        until: now.mono.plus_millis(RESTORE_MILLIS_MAX),
                    };
                    out.push(Command::Restore(request));
                }
                Restore::Waiting { until } if until <= now.mono => self.begin(now, place),
                Restore::Waiting { .. } => {}
                Restore::Done => {
                    config.active_since.get_or_insert(now.mono);
                }
            }
        }
    }

    /// A config's past is known as far as it will be: it acts from now on.
    fn begin(&mut self, now: Now, place: Place) {
        let Some(config) = self.configs.get_mut(place) else {
            return;
        };
        config.restore = Restore::Done;
        config.active_since = Some(now.mono);
        config.queues.due.clear();
        self.queue_all(now.mono, place);
    }

    pub(super) fn restored(&mut self, now: Now, id: ConfigId, captures: &[PastCapture], out: &mut Vec<Command>) {
        let Some(place) = self.configs.place(id) else { return };
        self.captures.forget_seconds(now.wall);
        for capture in captures {
            self.captures
                .decided_before(now.wall, id, capture.target, capture.decided_at);
            self.remember(now, place, capture, out);
        }
        if self.leader
            && self
                .configs
                .get(place)
                .is_some_and(|config| matches!(config.restore, Restore::Waiting { .. }))
        {
            self.begin(now, place);
        }
    }

    fn remember(&mut self, now: Now, place: Place, past: &PastCapture, out: &mut Vec<Command>) {
        let known = self.targets.slot(past.target);
        // While the first list is not complete, a target that is not known may still come.
        if self.captures.has(past.capture) || (known.is_none() && self.targets.is_whole()) {
            return;
        }
        let wait_millis_min = u64::from(self.settings.backoff_seconds_min) * 1_000;
        let Some(config) = self.configs.get_mut(place) else {
            return;
        };
        let types = config
            .facts
            .policy
            .as_ref()
            .map(|policy| policy.types)
            .unwrap_or_default();
        let pair = config.pairs.entry(past.target).or_default();
        let decided = moment(now, past.decided_at);
        if past.trigger == Reason::OnDemand && past.outcome != PastOutcome::Interrupted {
            pair.on_demand_last = pair.on_demand_last.max(Some(decided));
        }
        match past.outcome {
            PastOutcome::Captured if past.trigger != Reason::OnDemand => {
                pair.cooldown_from = pair.cooldown_from.max(Some(decided));
            }
            PastOutcome::Captured => {}
            PastOutcome::Failed => {
                for profile_type in types.iter() {
                    let until = decided.plus_millis(wait_millis_min);
                    if until > now.mono && !pair.back_offs.iter().any(|one| one.profile_type == profile_type) {
                        pair.back_offs.push(BackOff {
                            profile_type,
                            failures: 1,
                            until,
                        });
                    }
                }
            }
            PastOutcome::Interrupted => {
                if pair.interrupted.is_none_or(|one| one.capture != past.capture) {
                    let capture = past.capture;
                    pair.interrupted = Some(Interrupted { capture, told: false });
                }
                self.tell_interrupted(place, past.target, out);
            }
        }
    }

    /// Tells once of a capture of this target that was interrupted, as soon as the target is known.
    pub(super) fn tell_interrupted(&mut self, place: Place, target: TargetId, out: &mut Vec<Command>) {
        let Some(target) = self.targets.slot(target).and_then(|slot| self.targets.get(slot)) else {
            return;
        };
        let pair = self
            .configs
            .get_mut(place)
            .and_then(|config| config.pairs.get_mut(&target.id));
        let Some(interrupted) = pair.and_then(|pair| pair.interrupted.as_mut()).filter(|one| !one.told) else {
            return;
        };
        interrupted.told = true;
        let capture = interrupted.capture;
        let text = alloc::format!(
            "capture {capture} was interrupted by the end of the operator's process; it is made again when its reason holds again",
        );
        let notice = Notice {
            about: NoticeTarget::Target {
                id: target.id,
                namespace: (&*target.shape.namespace).into(),
                name: target.name.clone(),
            },
            reason: Reason::Interrupted,
            warning: true,
            message: text.into(),
            once_of: Some(capture),
        };
        self.tell(notice, out);
    }
}

/// A wall time on the monotonic clock, by its distance from now, rather too late than too early: what is counted from it is
/// a time in which nothing is to happen. Never in the future, whatever the clocks say.
fn moment(now: Now, at: Wall) -> Mono {
    let ago = now.wall.0.saturating_sub(at.0).max(0).unsigned_abs();
    Mono(now.mono.0.saturating_sub(ago.saturating_sub(CLOCKS_APART_MILLIS)))
}
