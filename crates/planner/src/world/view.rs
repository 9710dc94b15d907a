//! Status and reasons, read from the state by the rules that decide.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use crate::id::ConfigId;
use crate::reason::Reason;
use crate::rules::{self, Mode};
use crate::status::{Condition, ConfigStatus, PodHold, Truth, Why, WhyConfig};
use crate::time::Now;
use crate::world::World;
use crate::world::configs::{Config, Metrics, Place, Restore, Storage};
use crate::world::targets::{Slot, Target};

/// Targets of a config that its status looks at to find those worth naming. Beyond it, `why` answers for any.
const LOOKED_AT_MAX: usize = 1_000;

impl World {
    /// What can be said of a config; none if it is not known.
    pub fn status(&self, now: Now, id: ConfigId) -> Option<ConfigStatus> {
        let now = super::inner(now);
        let place = self.configs.place(id)?;
        let config = self.configs.get(place)?;
        let mut running_pods: Vec<Box<str>> = self
            .captures
            .iter()
            .filter(|(_, running)| running.config == id)
            .map(|(_, running)| format!("{}/{}", running.namespace, running.pod).into())
            .collect();
        running_pods.sort_unstable();
        let running = running_pods.len();
        running_pods.truncate(usize::from(self.settings.status_pods_max));
        let (metrics_available, storage_ready) = (metrics(config), storage(config));
        Some(ConfigStatus {
            id,
            namespace: config.facts.namespace.clone(),
            name: config.facts.name.clone(),
            generation: config.facts.generation,
            ready: self.ready(config, &metrics_available, &storage_ready),
            targets_found: targets_found(config),
            metrics_available,
            storage_ready,
            targets: config.targets.len(),
            running,
            running_pods,
            totals: config.facts.totals,
            last: config.last.clone(),
            held: self.held(now, place, config),
        })
    }

    /// Why nothing, or what, is captured of a target: one answer per config that selects it and mode that is on.
    pub fn why(&self, now: Now, namespace: &str, name: &str) -> Vec<Why> {
        let now = super::inner(now);
        let Some((slot, target)) = self
            .targets
            .named(namespace, name)
            .and_then(|slot| self.targets.get(slot).map(|target| (slot, target)))
        else {
            return alloc::vec![why(None, None, Mode::Threshold, Reason::NotOptedIn)];
        };
        let mut answers = Vec::new();
        for (place, config) in self.configs.iter().filter(|(_, config)| config.targets.contains(&slot)) {
            for mode in modes(config) {
                let reason = self.reason(now, place, slot, mode);
                answers.push(why(Some(config), Some(target), mode, reason));
            }
        }
        if answers.is_empty() {
            answers.push(why(None, Some(target), Mode::Threshold, Reason::NotSelected));
        }
        answers
    }

    /// What holds a capture back, or what it is made for.
    fn reason(&self, now: Now, place: Place, slot: Slot, mode: Mode) -> Reason {
        let made_for = match mode {
            Mode::Requested => Reason::Requested,
            Mode::Threshold => Reason::ThresholdExceeded,
            Mode::OnDemand => Reason::OnDemand,
        };
        let Some(mut facts) = self.facts(now, place, slot, mode, mode == Mode::Threshold) else {
            return made_for;
        };
        // Starts of the last second come and go faster than anybody reads; and the second in which a capture was
        // decided is over before anybody asks.
        facts.started = 0;
        facts.target_busy = self.captures.has_target(facts.target.id);
        // That a sample was used says only that the next one is waited for.
        if let Some(sample) = &mut facts.sample {
            sample.used = false;
        }
        // Its usage may have fallen since: what people want to know is that it is being captured.
        if facts.target_busy
            && rules::lasting_hold(&facts).is_none()
            && mode == Mode::Threshold
            && is_of(self, place, &facts)
        {
            return Reason::CaptureInProgress;
        }
        rules::first_hold(&facts).unwrap_or(made_for)
    }

    fn held(&self, now: Now, place: Place, config: &Config) -> Vec<PodHold> {
        let most = usize::from(self.settings.status_pods_max);
        let modes = modes(config);
        let mut urgent = Vec::new();
        let mut others = Vec::new();
        for slot in config.targets.iter().copied().take(LOOKED_AT_MAX) {
            let reasons = modes.iter().map(|mode| self.reason(now, place, slot, *mode));
            // The most telling of all modes; of two that are alike, that of the first.
            let Some(reason) = reasons.min_by_key(|reason| urgency(*reason)) else {
                continue;
            };
            match urgency(reason) {
                Urgency::Somebody if urgent.len() < most => urgent.push((slot, reason)),
                Urgency::Nobody if others.len() < most => others.push((slot, reason)),
                Urgency::Somebody | Urgency::Nobody | Urgency::NotHeld => {}
            }
            if urgent.len() >= most {
                break;
            }
        }
        urgent
            .into_iter()
            .chain(others)
            .take(most)
            .filter_map(|(slot, reason)| {
                let target = self.targets.get(slot)?;
                Some(PodHold {
                    namespace: (&*target.shape.namespace).into(),
                    pod: target.name.clone(),
                    reason,
                    message: message(config, reason),
                })
            })
            .collect()
    }

    fn ready(&self, config: &Config, metrics: &Condition, storage: &Condition) -> Condition {
        let policy = match &config.facts.policy {
            Ok(policy) => policy,
            Err(refusal) => return Condition::new(Truth::False, refusal.reason, refusal.message.clone()),
        };
        if policy.suspended {
            return Condition::plain(Truth::False, Reason::Suspended);
        }
        if policy.threshold.is_none() && policy.on_demand.is_none() {
            return Condition::plain(Truth::False, Reason::NothingEnabled);
        }
        if !self.leader {
            return Condition::plain(Truth::Unknown, Reason::NotLeader);
        }
        if config.restore != Restore::Done {
            return Condition::plain(Truth::Unknown, Reason::Restoring);
        }
        for condition in [storage, metrics] {
            if condition.status == Truth::False {
                return condition.clone();
            }
        }
        Condition::plain(Truth::True, Reason::Ready)
    }
}

/// Whether somebody can do something about a reason; the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// The owner of the pod, the config or the cluster.
    Somebody,
    /// It is about to be captured, or being captured.
    NotHeld,
    /// All is as it should be.
    Nobody,
}

fn urgency(reason: Reason) -> Urgency {
    if matches!(
        reason,
        Reason::CaptureInProgress | Reason::ThresholdExceeded | Reason::OnDemand | Reason::Requested
    ) {
        Urgency::NotHeld
    } else if matches!(
        reason,
        Reason::BelowThreshold
            | Reason::NotDue
            | Reason::CoolingDown
            | Reason::NotLeader
            | Reason::Restoring
            | Reason::Suspended
    ) {
        Urgency::Nobody
    } else {
        Urgency::Somebody
    }
}

/// Whether the capture of a target that runs is of this config.
fn is_of(world: &World, place: Place, facts: &rules::Facts<'_>) -> bool {
    let id = world.configs.get(place).map(|config| config.facts.id);
    world
        .captures
        .iter()
        .any(|(_, running)| running.target == facts.target.id && Some(running.config) == id)
}

fn modes(config: &Config) -> Vec<Mode> {
    let Ok(policy) = &config.facts.policy else {
        return Vec::new();
    };
    let on_demand = policy.on_demand.map(|_| Mode::OnDemand);
    let threshold = policy.threshold.map(|_| Mode::Threshold);
    let modes: Vec<Mode> = threshold.into_iter().chain(on_demand).collect();
    // With both off, either says so.
    if modes.is_empty() {
        alloc::vec![Mode::Threshold]
    } else {
        modes
    }
}

fn why(config: Option<&Config>, target: Option<&Target>, mode: Mode, reason: Reason) -> Why {
    let reading = target.and_then(|one| one.reading.as_ref());
    let level = |of: fn(&super::reading::Reading) -> Option<super::reading::Level>| {
        reading.and_then(of).map(|level| (level.permille, level.basis))
    };
    Why {
        config: config.map(|one| WhyConfig {
            id: one.facts.id,
            namespace: one.facts.namespace.clone(),
            name: one.facts.name.clone(),
        }),
        mode,
        reason,
        message: config.map_or_else(|| reason.meaning_plain().into(), |config| message(config, reason)),
        cpu: level(|one| one.cpu.ok()),
        memory: level(|one| one.memory.ok()),
        sampled_at: reading.map(|one| one.taken_at),
    }
}

/// A reason in words, with the numbers of the config that it is about.
fn message(config: &Config, reason: Reason) -> Box<str> {
    let policy = match &config.facts.policy {
        Ok(policy) => policy,
        Err(refusal) => return refusal.message.clone(),
    };
    let meaning = reason.meaning_plain();
    match (reason, policy.threshold, policy.on_demand) {
        (Reason::BelowThreshold, Some(threshold), _) => format!(
            "{meaning} (cpu {} %, memory {} %)",
            threshold.cpu_percent, threshold.memory_percent
        )
        .into(),
        (Reason::CoolingDown, Some(threshold), _) => format!("{meaning} ({} s)", threshold.cooldown_seconds).into(),
        (Reason::NotDue, _, Some(on_demand)) => format!("{meaning} ({} s)", on_demand.interval_seconds).into(),
        _ => meaning.into(),
    }
}

fn targets_found(config: &Config) -> Condition {
    if let Err(refusal) = &config.facts.policy {
        return Condition::new(Truth::Unknown, refusal.reason, refusal.message.clone());
    }
    match config.targets.len() {
        0 => Condition::plain(Truth::False, Reason::NoTargets),
        _ => Condition::plain(Truth::True, Reason::TargetsFound),
    }
}

fn metrics(config: &Config) -> Condition {
    if config
        .facts
        .policy
        .as_ref()
        .is_ok_and(|policy| policy.threshold.is_none())
    {
        return Condition::plain(Truth::Unknown, Reason::MetricsNotNeeded);
    }
    match &config.metrics {
        Metrics::NotTried => Condition::plain(Truth::Unknown, Reason::NotTriedYet),
        Metrics::Available => Condition::plain(Truth::True, Reason::MetricsAvailable),
        Metrics::Unavailable { message } => Condition::new(Truth::False, Reason::MetricsUnavailable, message.clone()),
    }
}

fn storage(config: &Config) -> Condition {
    match &config.storage {
        Storage::NotTried => Condition::plain(Truth::Unknown, Reason::NotTriedYet),
        Storage::Ready => Condition::plain(Truth::True, Reason::StorageReady),
        Storage::Failing { reason, message } => Condition::new(Truth::False, *reason, message.clone()),
    }
}
