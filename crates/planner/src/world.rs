//! The state machine: events in, commands out.
//!
//! [`World`] owns all state of the operator. A step takes in one event, then lets time do its part: it gives up
//! on answers that never came, asks for the past of new configs, asks for usage where a check is due, and starts
//! what may start. The parts are in the modules below, in that order.

mod apply;
mod captures;
mod configs;
mod finish;
mod lists;
mod pool;
mod queues;
pub(crate) mod reading;
mod requests;
mod restore;
mod serve;
pub(crate) mod targets;
mod tell;
mod view;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::command::{Command, Trigger};
use crate::counters::Counters;
use crate::event::{Event, Relisted};
use crate::id::{CaptureId, ConfigId, TargetId};
use crate::reason::Reason;
use crate::settings::Settings;
use crate::time::{Mono, Now, Wall};
use crate::world::captures::Captures;
use crate::world::configs::Configs;
use crate::world::lists::Lists;
use crate::world::requests::Seen;
use crate::world::targets::Targets;

/// What is known, what runs, and what was decided.
#[derive(Clone, Debug)]
pub struct World {
    settings: Settings,
    leader: bool,
    shutting_down: bool,
    /// The time of the last step, on the inner clock.
    now: Now,
    targets: Targets,
    configs: Configs,
    captures: Captures,
    lists: Lists,
    seen: Seen,
    /// Turns given so far.
    turns: u64,
    /// When something that waits only for time may start.
    retry_at: Option<Mono>,
    /// Until when checks wait for the end of the first list of targets.
    first_list_until: Option<Mono>,
    counters: Counters,
}

/// A capture under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningCapture {
    /// Its id.
    pub id: CaptureId,
    /// The config that asked for it.
    pub config: ConfigId,
    /// The target.
    pub target: TargetId,
    /// Namespace of the target.
    pub namespace: Box<str>,
    /// Name of the target.
    pub pod: Box<str>,
    /// Why.
    pub trigger: Trigger,
    /// When it was decided.
    pub decided_at: Wall,
    /// Why it was told to stop, if it was.
    pub cancelled: Option<Reason>,
}

/// Added to every monotonic time that comes in, so that the moment of a capture of a former life can be told even
/// if the caller's clock started with the process: about 34 years, older than any record.
const INNER_CLOCK_OFFSET_MILLIS: u64 = 1 << 40;

impl World {
    /// Knows nothing, follows, and has nothing to do.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            leader: false,
            shutting_down: false,
            now: inner(Now {
                mono: Mono(0),
                wall: Wall(0),
            }),
            targets: Targets::new(settings.hash_seed),
            configs: Configs::default(),
            captures: Captures::default(),
            lists: Lists::default(),
            seen: Seen::default(),
            turns: 0,
            retry_at: None,
            first_list_until: None,
            counters: Counters::default(),
        }
    }

    /// Takes in one event and says what to do.
    ///
    /// `now.mono` must not run backwards; if it does, time stands still until it is made up for.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Command> {
        let now = inner(now);
        let now = Now {
            mono: now.mono.max(self.now.mono),
            wall: now.wall,
        };
        self.now = now;
        let mut out = Vec::new();
        match event {
            Event::ConfigApplied(facts) => self.config_applied(now, *facts, &mut out),
            Event::ConfigRemoved(id) => self.config_removed(id, &mut out),
            Event::TargetApplied(facts) => self.target_applied(now, &facts, &mut out),
            Event::TargetRemoved(id) => self.target_removed(id, Reason::PodReplaced, &mut out),
            Event::RelistStarted(Relisted::Targets) => self.targets_relist_started(now),
            Event::RelistStarted(Relisted::Configs) => self.configs.relist_started(),
            Event::RelistFinished(Relisted::Targets) => self.targets_relisted(&mut out),
            Event::RelistFinished(Relisted::Configs) => self.configs_relisted(&mut out),
            Event::Usage(sample) => self.usage(now, &sample, &mut out),
            Event::UsageFailed { request, message } => self.usage_failed(request, message, &mut out),
            Event::Restored { config, captures } => self.restored(now, config, &captures, &mut out),
            Event::CaptureFinished(outcome) => self.capture_finished(now, &outcome, &mut out),
            Event::Requested {
                id,
                by,
                config,
                target,
                types,
            } => {
                self.requested(
                    now,
                    requests::Asked {
                        id,
                        by,
                        config,
                        target,
                        types,
                    },
                    &mut out,
                );
            }
            Event::Leadership(leader) => self.leadership(leader, &mut out),
            Event::ShuttingDown => self.shutting_down = true,
            Event::Tick => {}
        }
        self.give_up_on_answers(now);
        self.restore(now, &mut out);
        self.check(now, &mut out);
        self.serve(now, &mut out);
        out
    }

    /// The earliest moment at which a [`Event::Tick`] would do something. None: only another event will.
    pub fn next_wake(&self) -> Option<Mono> {
        if !self.leader || self.shutting_down {
            return None;
        }
        let now = self.now.mono;
        let configs = self.configs.iter().flat_map(|(_, config)| {
            let due = config.acting().and_then(|_| config.queues.due.next(now));
            let check = config
                .next_check(now)
                .map(|next| self.first_list_until.map_or(next, |until| next.max(until)));
            [check, restore::deadline(config), due]
        });
        let wake = configs
            .chain([self.retry_at, self.lists.gives_up_at()])
            .flatten()
            .min()?;
        Some(Mono(wake.0.saturating_sub(INNER_CLOCK_OFFSET_MILLIS)))
    }

    /// The configs that are known, by ascending id.
    pub fn configs(&self) -> impl Iterator<Item = ConfigId> {
        self.configs.ids()
    }

    /// The captures that were decided and not answered yet, by ascending id.
    pub fn running(&self) -> impl Iterator<Item = RunningCapture> {
        self.captures.iter().map(|(id, running)| RunningCapture {
            id,
            config: running.config,
            target: running.target,
            namespace: (&*running.namespace).into(),
            pod: running.pod.clone(),
            trigger: running.trigger.clone(),
            decided_at: running.decided_at.wall,
            cancelled: running.cancelled,
        })
    }

    /// How many targets are known.
    pub fn target_count(&self) -> usize {
        self.targets.len()
    }

    /// Whether this replica is the one that acts.
    pub const fn is_leader(&self) -> bool {
        self.leader
    }

    /// What was counted.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// This replica became the one that acts, or ceased to be. What is known stays; what was about to be done does
    /// not: the other one decides now.
    fn leadership(&mut self, leader: bool, out: &mut Vec<Command>) {
        if self.leader == leader {
            return;
        }
        if !leader {
            self.cancel(Reason::LeadershipLost, out, |_| true);
        }
        self.leader = leader;
        self.lists.forget();
        for config in self.configs.iter_mut() {
            config.restore = configs::Restore::Needed;
            config.active_since = None;
            config.queues.hot.clear();
            config.queues.requests.clear();
        }
    }

    /// Stops the captures that `which` picks, each once.
    fn cancel(&mut self, reason: Reason, out: &mut Vec<Command>, which: impl Fn(&captures::Running) -> bool) {
        for (capture, running) in self.captures.iter_mut().filter(|(_, running)| which(running)) {
            if running.cancelled.is_none() {
                running.cancelled = Some(reason);
                out.push(Command::Cancel { capture, reason });
            }
        }
    }
}

/// A moment on the inner clock.
const fn inner(now: Now) -> Now {
    Now {
        mono: now.mono.plus_millis(INNER_CLOCK_OFFSET_MILLIS),
        wall: now.wall,
    }
}
