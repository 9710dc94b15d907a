//! Who is captured next: requests first, then thresholds, then intervals, configs taking turns in each.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::command::{CaptureJob, Command, Trigger};
use crate::keys;
use crate::profile_type::{ProfileType, TypeSet};
use crate::reason::Reason;
use crate::rules::{self, Facts, Mode, Sample, Wait};
use crate::target::Resource;
use crate::time::{Mono, Now};
use crate::world::World;
use crate::world::captures::Running;
use crate::world::configs::{Config, Place, Restore, floored_millis};
use crate::world::queues::{Hot, Spot};
use crate::world::reading::threshold_permille;
use crate::world::targets::{Slot, Target};

/// A target that fired and could not be served is taken to be hot for two checks, or for two minutes: longer
/// without a sample that confirms it, and a capture would show something else.
const CONFIRMED_MILLIS_MIN: u64 = 120_000;

/// A sample can be that old and still be served; after it, every sample is a newer one, whatever the clock of the
/// server did.
const SAMPLE_USED_MILLIS: u64 = 600_000;

/// What a look at one config's queue came to.
enum Turn {
    /// A capture was started.
    Started,
    /// Nothing of it can start now.
    Nothing,
}

impl World {
    /// Starts what may start.
    pub(super) fn serve(&mut self, now: Now, out: &mut Vec<Command>) {
        self.retry_at = None;
        if !self.leader || self.shutting_down {
            return;
        }
        for mode in [Mode::Requested, Mode::Threshold, Mode::OnDemand] {
            let mut waiting: Vec<Place> = self
                .configs
                .iter()
                .filter(|(_, config)| has_waiting(config, mode, now.mono))
                .map(|(place, _)| place)
                .collect();
            // The one whose last turn is longest ago comes first. Each pass starts a capture or drops a config, so it
            // ends after at most `captures_max` plus the number of configs.
            while let Some(place) = self.next_turn(&waiting) {
                if self.captures.len() >= usize::from(self.settings.captures_max) {
                    return;
                }
                if self.captures.started(now.mono) >= usize::from(self.settings.starts_per_second_max) {
                    self.retry(self.captures.start_frees_at(now.mono));
                    return;
                }
                if matches!(self.serve_queue(now, place, mode, out), Turn::Nothing) {
                    waiting.retain(|one| *one != place);
                }
            }
        }
    }

    fn next_turn(&self, waiting: &[Place]) -> Option<Place> {
        waiting
            .iter()
            .copied()
            .filter_map(|place| {
                self.configs
                    .get(place)
                    .map(|config| ((config.turn, config.facts.id), place))
            })
            .min()
            .map(|(_, place)| place)
    }

    fn retry(&mut self, at: Option<Mono>) {
        self.retry_at = [self.retry_at, at].into_iter().flatten().min();
    }

    /// Goes through one queue of a config until something starts.
    fn serve_queue(&mut self, now: Now, place: Place, mode: Mode, out: &mut Vec<Command>) -> Turn {
        let mut behind = None;
        while let Some(spot) = self
            .configs
            .get(place)
            .and_then(|config| config.queues.first(mode, now.mono, behind))
        {
            behind = Some(spot);
            let hold = self
                .outdated(now.mono, place, spot)
                .or_else(|| self.hold(now, place, spot.slot(), mode, false));
            let Some(reason) = hold else {
                return self.start(now, place, spot, out);
            };
            match rules::wait(reason) {
                Some(Wait::OfTarget) => {}
                Some(Wait::OfConfig) => return Turn::Nothing,
                None => self.leave(now.mono, place, spot, reason, out),
            }
        }
        Turn::Nothing
    }

    /// Why what brought a target into its queue no longer counts.
    fn outdated(&self, now: Mono, place: Place, spot: Spot) -> Option<Reason> {
        let Spot::Hot((_, _, slot)) = spot else { return None };
        let config = self.configs.get(place)?;
        let confirmed = config.queues.hot.get(slot)?.confirmed;
        let two_checks = floored_millis(config.acting()?.threshold?.check_interval_seconds) * 2;
        (now.millis_since(confirmed) > CONFIRMED_MILLIS_MIN.max(two_checks)).then_some(Reason::SampleStale)
    }

    /// Takes out of its queue what is held back and does not wait.
    fn leave(&mut self, now: Mono, place: Place, spot: Spot, reason: Reason, out: &mut Vec<Command>) {
        let slot = spot.slot();
        let Some(config) = self.configs.get_mut(place) else {
            return;
        };
        config.queues.remove(spot);
        if let Spot::Request(_) = spot {
            self.refuse(slot, reason, out);
            return;
        }
        self.counters.hold(reason);
        let pair = self.targets.get(slot).and_then(|target| config.pairs.get(&target.id));
        // A target that backs off is due when that ends.
        if let (Spot::Due(_), Reason::BackingOff) = (spot, reason)
            && let Some(until) = pair.and_then(|pair| pair.back_off_until(now))
        {
            config.queues.due.put(slot, until);
        }
    }

    /// What is to be captured of whoever waits at a spot.
    fn plan(&self, place: Place, spot: Spot) -> Option<Plan> {
        let config = self.configs.get(place)?;
        let policy = config.acting()?;
        let plan = |trigger, types| Plan {
            trigger,
            types,
            first: None,
            container: None,
        };
        Some(match spot {
            Spot::Request(key) => {
                let request = config.queues.requests.get(key)?;
                let types = if request.types.is_empty() {
                    policy.types
                } else {
                    request.types
                };
                plan(Trigger::Requested { by: request.by.clone() }, types)
            }
            Spot::Hot((_, _, slot)) => {
                let hot = config.queues.hot.get(slot)?;
                let trigger = Trigger::Threshold {
                    resource: hot.resource,
                    value_permille: u64::from(hot.permille),
                    threshold_permille: u64::from(threshold_permille(&policy.threshold?, hot.resource)),
                    basis: hot.basis,
                    sampled_at: hot.sampled_at,
                };
                Plan {
                    // Memory puts the heap first. CPU puts nothing first: its profile takes half a minute, in which the
                    // target may die with everything else untaken.
                    first: (hot.resource == Resource::Memory).then_some(ProfileType::Heap),
                    container: self.container_name(slot, hot),
                    ..plan(trigger, policy.types)
                }
            }
            Spot::Due(_) => plan(Trigger::OnDemand, policy.types),
        })
    }

    fn container_name(&self, slot: Slot, hot: &Hot) -> Option<Box<str>> {
        let containers = &self.targets.get(slot)?.shape.containers;
        Some(containers.get(usize::from(hot.container))?.name.clone())
    }

    /// The first rule that holds a capture back. With `sample`, the target's last usage is judged, too.
    pub(super) fn hold(&mut self, now: Now, place: Place, slot: Slot, mode: Mode, sample: bool) -> Option<Reason> {
        let facts = self.facts(now, place, slot, mode, sample)?;
        let hold = rules::first_hold(&facts);
        if hold == Some(Reason::CaptureInProgress) && facts.target_busy && !self.captures.has_target(facts.target.id) {
            // It is held by the second alone, so time alone frees it.
            let rest = 1_000 - now.wall.0.rem_euclid(1_000).unsigned_abs();
            self.retry(Some(now.mono.plus_millis(rest)));
        }
        hold
    }

    /// The first rule that holds a capture back until an event about its config or target.
    pub(super) fn lasting_hold(&self, place: Place, slot: Slot, mode: Mode) -> Option<Reason> {
        rules::lasting_hold(&self.facts(self.now, place, slot, mode, false)?)
    }

    /// Gathers what the rules look at.
    pub(super) fn facts(&self, now: Now, place: Place, slot: Slot, mode: Mode, sample: bool) -> Option<Facts<'_>> {
        let (config, target) = (self.configs.get(place)?, self.targets.get(slot)?);
        let pair = config.pairs.get(&target.id);
        let asked = config
            .facts
            .policy
            .as_ref()
            .map_or(TypeSet::EMPTY, |policy| policy.types);
        let this_second = self.captures.decided_within(now.wall, config.facts.id, target.id);
        Some(Facts {
            mode,
            shutting_down: self.shutting_down,
            leader: self.leader,
            restoring: config.restore != Restore::Done,
            policy: config.facts.policy.as_ref(),
            target,
            selected: config.targets.contains(&slot),
            sample: sample.then(|| self.sample(now, config, target)),
            cooling: config.is_cooling(pair, now),
            types: pair.map_or(asked, |one| one.types_left(asked, now.mono)),
            due: mode != Mode::OnDemand || config.queues.due.get(slot).is_some_and(|due| due <= now.mono),
            target_busy: this_second || self.captures.has_target(target.id),
            config_running: config.running,
            node_running: self.captures.on_node(&target.node),
            running: self.captures.len(),
            started: self.captures.started(now.mono),
            settings: &self.settings,
        })
    }

    fn sample<'w>(&self, now: Now, config: &Config, target: &'w Target) -> Sample<'w> {
        let reading = target
            .reading
            .as_ref()
            .filter(|reading| reading.list >= self.lists.last(&target.shape.namespace));
        let used = config
            .pairs
            .get(&target.id)
            .and_then(|pair| pair.sample_used)
            .is_some_and(|(taken_at, at)| {
                now.mono.millis_since(at) < SAMPLE_USED_MILLIS && reading.is_some_and(|one| one.taken_at <= taken_at)
            });
        Sample {
            available: config.metrics == crate::world::configs::Metrics::Available,
            reading,
            used,
        }
    }

    /// Starts a capture that nothing holds back.
    fn start(&mut self, now: Now, place: Place, spot: Spot, out: &mut Vec<Command>) -> Turn {
        let slot = spot.slot();
        let job = self.plan(place, spot).and_then(|plan| self.job(now, place, slot, plan));
        let Some((id, job)) = job else {
            return Turn::Nothing;
        };
        let Some(target) = self.targets.get(slot) else {
            return Turn::Nothing;
        };
        let running = Running {
            config: job.config,
            target: job.target,
            namespace: Arc::clone(&target.shape.namespace),
            pod: job.pod.clone(),
            node: Arc::clone(&target.node),
            trigger: job.trigger.clone(),
            types: job.types.iter().copied().collect(),
            decided_at: now,
            cancelled: None,
        };
        self.captures.start(id, running);
        self.counters.captures_decided_total += 1;
        self.turns += 1;
        let turn = self.turns;
        let Some(config) = self.configs.get_mut(place) else {
            return Turn::Nothing;
        };
        config.running = config.running.saturating_add(1);
        config.turn = turn;
        let pair = config.pairs.entry(job.target).or_default();
        match job.trigger {
            Trigger::Threshold { sampled_at, .. } => {
                pair.sample_used = Some((sampled_at, now.mono));
                config.queues.remove(spot);
            }
            Trigger::OnDemand => {
                pair.on_demand_last = Some(now.mono);
                self.count_missed(now.mono, place, slot);
            }
            Trigger::Requested { .. } => config.queues.remove(spot),
        }
        out.push(Command::Capture(Box::new(job)));
        Turn::Started
    }

    /// Moves a served target on, and counts the whole intervals for which it was due and waited.
    fn count_missed(&mut self, now: Mono, place: Place, slot: Slot) {
        let Some(config) = self.configs.get_mut(place) else {
            return;
        };
        let Some(interval) = config.on_demand_millis() else {
            return;
        };
        if let Some(due) = config.queues.due.get(slot) {
            let waited = now.millis_since(config.active_since.map_or(due, |since| since.max(due)));
            self.counters.missed_slots_total += waited / interval;
        }
        config.queues.due.put(slot, now.plus_millis(interval));
    }

    fn job(&self, now: Now, place: Place, slot: Slot, plan: Plan) -> Option<(crate::id::CaptureId, CaptureJob)> {
        let (config, target) = (self.configs.get(place)?, self.targets.get(slot)?);
        let policy = config.acting()?;
        let port = rules::port_of(target)?;
        let backs_off = plan.trigger.reason() != Reason::Requested;
        let types = match config.pairs.get(&target.id) {
            Some(pair) if backs_off => pair.types_left(plan.types, now.mono),
            Some(_) | None => plan.types,
        };
        let container = plan.container.unwrap_or_default();
        let id = keys::capture_id(config.facts.id, target.id, &container, plan.trigger.reason(), now.wall);
        (!self.captures.has(id)).then_some(())?;
        let job = CaptureJob {
            id,
            config: config.facts.id,
            config_namespace: config.facts.namespace.clone(),
            config_name: config.facts.name.clone(),
            config_generation: config.facts.generation,
            target: target.id,
            namespace: (&*target.shape.namespace).into(),
            pod: target.name.clone(),
            service: (&*target.shape.service).into(),
            node: (&*target.node).into(),
            container,
            address: target.address,
            port,
            transport: policy.transport,
            trigger: plan.trigger,
            types: types.in_capture_order(plan.first),
            cpu_seconds: policy.cpu_seconds,
            body_bytes_max: policy.body_bytes_max,
            store: policy.store.clone(),
            decided_at: now.wall,
        };
        Some((id, job))
    }
}

/// What a capture is to be.
struct Plan {
    trigger: Trigger,
    types: TypeSet,
    first: Option<ProfileType>,
    container: Option<Box<str>>,
}

fn has_waiting(config: &Config, mode: Mode, now: Mono) -> bool {
    config.acting().is_some() && config.restore == Restore::Done && config.queues.first(mode, now, None).is_some()
}
