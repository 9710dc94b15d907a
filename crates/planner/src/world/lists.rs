//! Checks: when usage is asked for, and what its answer comes to.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use crate::command::{Command, SampleRequest, SampleScope};
use crate::id::{ConfigId, SampleId};
use crate::policy::Scope;
use crate::reason::Reason;
use crate::rules::{self, Mode};
use crate::target::Resource;
use crate::time::{Mono, Now};
use crate::usage::{TargetUsage, UsageSample};
use crate::world::World;
use crate::world::configs::{Metrics, Place, floored_millis};
use crate::world::queues::Hot;
use crate::world::reading::{Level, Reading};
use crate::world::targets::Slot;

/// Lists of usage that were asked for, and which ones came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    asked_total: u64,
    open: BTreeMap<SampleId, Open>,
    /// The last list that came, of each namespace and of the cluster.
    last_of_namespace: BTreeMap<Box<str>, u64>,
    last_of_cluster: u64,
}

/// A list that was asked for and has not come.
#[derive(Clone, Debug)]
struct Open {
    scope: SampleScope,
    configs: BTreeSet<ConfigId>,
    gives_up_at: Mono,
}

/// A worker always answers, within a deadline far below this; without the answer, its scope would never be asked
/// for again.
const ANSWER_MILLIS_MAX: u64 = 60_000;

impl Lists {
    /// When the first open request is given up.
    pub(crate) fn gives_up_at(&self) -> Option<Mono> {
        self.open.values().map(|open| open.gives_up_at).min()
    }

    /// The number of the last list that should have had targets of a namespace; zero before any.
    pub(crate) fn last(&self, namespace: &str) -> u64 {
        self.last_of_namespace
            .get(namespace)
            .copied()
            .unwrap_or(0)
            .max(self.last_of_cluster)
    }

    /// Answers that are under way are of no use any more.
    pub(crate) fn forget(&mut self) {
        self.open.clear();
    }

    pub(crate) fn forget_config(&mut self, id: ConfigId) {
        for open in self.open.values_mut() {
            open.configs.remove(&id);
        }
    }

    /// Forgets when namespaces that nobody watches any more were listed last.
    pub(crate) fn forget_namespaces(&mut self, watched: &BTreeSet<Box<str>>) {
        self.last_of_namespace
            .retain(|namespace, _| watched.contains(namespace));
    }

    fn came(&mut self, id: SampleId, scope: SampleScope) {
        match scope {
            SampleScope::Cluster => {
                self.last_of_cluster = id.0;
                // Whatever was older is older than this one, too.
                self.last_of_namespace.retain(|_, last| *last > id.0);
            }
            SampleScope::Namespace(namespace) => {
                self.last_of_namespace.insert(namespace, id.0);
            }
        }
    }
}

impl World {
    pub(super) fn give_up_on_answers(&mut self, now: Now) {
        let before = self.lists.open.len();
        self.lists.open.retain(|_, open| now.mono < open.gives_up_at);
        self.counters.answers_lost_total += (before - self.lists.open.len()) as u64;
    }

    /// Asks for usage where a check is due: one list per namespace, or one for the cluster.
    pub(super) fn check(&mut self, now: Now, out: &mut Vec<Command>) {
        if !self.leader || self.shutting_down {
            return;
        }
        // Asked now, the usage of what is not read yet would be lost, and its next check be an interval away.
        if self.first_list_until.is_some_and(|until| now.mono < until) {
            return;
        }
        let due = self.take_due(now.mono);
        if due.is_empty() {
            return;
        }
        let watched = self.watched();
        self.lists.forget_namespaces(&watched);
        let many = watched.len() > usize::from(self.settings.namespace_lists_max);
        let cluster = many || due.iter().any(|(_, scope)| *scope == Scope::All);
        let mut by_scope: BTreeMap<Option<Box<str>>, BTreeSet<ConfigId>> = BTreeMap::new();
        for (id, scope) in due {
            let namespace = match scope {
                Scope::Namespace(namespace) if !cluster => Some(namespace),
                Scope::Namespace(_) | Scope::All => None,
            };
            by_scope.entry(namespace).or_default().insert(id);
        }
        for (namespace, configs) in by_scope {
            self.ask(
                now.mono,
                namespace.map_or(SampleScope::Cluster, SampleScope::Namespace),
                configs,
                out,
            );
        }
    }

    /// The namespaces that configs with thresholds look into by name.
    fn watched(&self) -> BTreeSet<Box<str>> {
        let policies = self.configs.iter().filter_map(|(_, config)| config.acting());
        policies
            .filter(|policy| policy.threshold.is_some())
            .filter_map(|policy| match &policy.scope {
                Scope::Namespace(namespace) => Some(namespace.clone()),
                Scope::All => None,
            })
            .collect()
    }

    /// The configs whose check is due, each moved on to its next one. Checks that were missed are skipped, not made
    /// up for, and the next one keeps to the rhythm of the first.
    fn take_due(&mut self, now: Mono) -> Vec<(ConfigId, Scope)> {
        let mut due = Vec::new();
        for config in self.configs.iter_mut() {
            let Some(threshold) = config.acting().and_then(|policy| policy.threshold) else {
                continue;
            };
            if config.next_check(now).is_none_or(|next| now < next) {
                continue;
            }
            let interval = floored_millis(threshold.check_interval_seconds);
            config.last_check = Some(config.last_check.map_or(now, |last| {
                let passed = now.millis_since(last) / interval;
                last.plus_millis(passed * interval)
            }));
            if let Some(policy) = config.acting() {
                due.push((config.facts.id, policy.scope.clone()));
            }
        }
        due
    }

    /// Asks for a list, unless the same is on its way: then its answer does for these configs, too.
    fn ask(&mut self, now: Mono, scope: SampleScope, configs: BTreeSet<ConfigId>, out: &mut Vec<Command>) {
        if let Some(open) = self.lists.open.values_mut().find(|open| open.scope == scope) {
            open.configs.extend(configs);
            return;
        }
        self.lists.asked_total += 1;
        let id = SampleId(self.lists.asked_total);
        let gives_up_at = now.plus_millis(ANSWER_MILLIS_MAX);
        self.lists.open.insert(
            id,
            Open {
                scope: scope.clone(),
                configs,
                gives_up_at,
            },
        );
        out.push(Command::Sample(SampleRequest { id, scope }));
    }

    pub(super) fn usage_failed(&mut self, request: SampleId, message: Box<str>, out: &mut Vec<Command>) {
        let Some(open) = self.lists.open.remove(&request) else {
            self.counters.answers_unknown_total += 1;
            return;
        };
        for place in self.places_of(&open.configs) {
            let Some(config) = self.configs.get_mut(place) else {
                continue;
            };
            // Told once; what is in the way may change, and with it what to do about it.
            let now = Metrics::Unavailable {
                message: message.clone(),
            };
            if matches!(
                core::mem::replace(&mut config.metrics, now),
                Metrics::Unavailable { .. }
            ) {
                continue;
            }
            let text = format!("no usage samples, so thresholds cannot fire: {message}").into_boxed_str();
            if let Some(config) = self.configs.get(place) {
                self.tell_config(config, Reason::MetricsUnavailable, true, text, out);
            }
        }
    }

    pub(super) fn usage(&mut self, now: Now, sample: &UsageSample, out: &mut Vec<Command>) {
        let Some(open) = self.lists.open.remove(&sample.request) else {
            self.counters.answers_unknown_total += 1;
            return;
        };
        self.lists.came(sample.request, open.scope);
        let mut places = self.places_of(&open.configs);
        places.sort_unstable();
        for place in &places {
            self.metrics_came(*place, out);
        }
        for usage in &sample.targets {
            self.judge(now, sample.request, usage, &places);
        }
    }

    fn places_of(&self, configs: &BTreeSet<ConfigId>) -> Vec<Place> {
        configs.iter().filter_map(|id| self.configs.place(*id)).collect()
    }

    fn metrics_came(&mut self, place: Place, out: &mut Vec<Command>) {
        let Some(config) = self.configs.get_mut(place) else {
            return;
        };
        let before = core::mem::replace(&mut config.metrics, Metrics::Available);
        if matches!(before, Metrics::Unavailable { .. })
            && let Some(config) = self.configs.get(place)
        {
            self.tell_config(
                config,
                Reason::MetricsAvailable,
                false,
                "usage samples come again".into(),
                out,
            );
        }
    }

    /// Takes in one target's usage and judges it for those of the configs that select the target.
    fn judge(&mut self, now: Now, list: SampleId, usage: &TargetUsage, places: &[Place]) {
        let Some(slot) = self.targets.named(&usage.namespace, &usage.name) else {
            return;
        };
        let Some(target) = self.targets.get_mut(slot) else {
            return;
        };
        let reading = Reading::of(target, usage, list.0, now.mono);
        target.reading = Some(reading);
        let mut selected = 0;
        while let Some(place) = self
            .targets
            .get(slot)
            .and_then(|target| target.selected_by.get(selected).copied())
        {
            selected += 1;
            if places.binary_search(&place).is_ok() {
                self.judge_for(now, slot, &reading, place);
            }
        }
    }

    fn judge_for(&mut self, now: Now, slot: Slot, reading: &Reading, place: Place) {
        self.counters.checks_total += 1;
        let Some(config) = self.configs.get(place) else { return };
        let Some(threshold) = config.acting().and_then(|policy| policy.threshold) else {
            return;
        };
        let firing = if reading.fresh {
            reading.firing(&threshold)
        } else {
            Err(Reason::SampleStale)
        };
        let (resource, level) = match firing {
            Ok(firing) => firing,
            // Nearly all targets nearly always: not worth gathering facts for.
            Err(reason) => {
                self.counters.hold(reason);
                // Only a usable sample can say that it is over.
                if matches!(reason, Reason::BelowThreshold | Reason::NoLimitOrRequest)
                    && let Some(config) = self.configs.get_mut(place)
                {
                    config.queues.hot.remove(slot);
                }
                return;
            }
        };
        self.counters.violation(resource);
        let hold = self.hold(now, place, slot, Mode::Threshold, true);
        if let Some(reason) = hold
            && rules::wait(reason).is_none()
        {
            self.counters.hold(reason);
            return;
        }
        if let Some(config) = self.configs.get_mut(place) {
            config.queues.hot.put(slot, hot(now.mono, reading, resource, level));
        }
    }
}

fn hot(now: Mono, reading: &Reading, resource: Resource, level: Level) -> Hot {
    Hot {
        since: now,
        resource,
        permille: level.permille,
        basis: level.basis,
        container: level.container,
        sampled_at: reading.taken_at,
        confirmed: now,
    }
}
