//! Configs and targets come, change and go.

use alloc::vec::Vec;

use crate::command::Command;
use crate::event::{ConfigFacts, Refusal};
use crate::id::{ConfigId, TargetId};
use crate::policy::{Policy, Scope};
use crate::reason::Reason;
use crate::rules::Mode;
use crate::target::TargetFacts;
use crate::time::{Mono, Now};
use crate::world::World;
use crate::world::configs::{Config, Configs, Metrics, Place, Storage};
use crate::world::targets::{Applied, Slot, Target};

/// A first list of 10,000 pods is read in two seconds; one that takes this long may never end, and what is known by then is
/// checked.
const FIRST_LIST_MILLIS_MAX: u64 = 30_000;

impl World {
    pub(super) fn config_applied(&mut self, now: Now, mut facts: ConfigFacts, out: &mut Vec<Command>) {
        let relist = self.configs.relist;
        let Some(place) = self.configs.place(facts.id) else {
            let refusal = facts.policy.as_ref().err().cloned();
            let mut config = Config::new(facts, relist);
            // Captures of a config that went and came back under its identity still run.
            let running = self
                .captures
                .iter()
                .filter(|(_, running)| running.config == config.facts.id)
                .count();
            config.running = u16::try_from(running).unwrap_or(u16::MAX);
            let place = self.configs.insert(config);
            self.select_all(place);
            self.queue_all(now.mono, place);
            self.tell_refusal(place, refusal, out);
            return;
        };
        let Some(config) = self.configs.get_mut(place) else {
            return;
        };
        config.seen_in = relist;
        // A leader's own status comes back to it through the watch, later than what it has counted since.
        if self.leader {
            facts.totals = config.facts.totals;
        } else {
            config.facts.totals = facts.totals;
        }
        if config.facts == facts {
            return;
        }
        let before = core::mem::replace(&mut config.facts, facts);
        self.config_changed(now, place, &before, out);
    }

    /// A config's facts differ from what they were. A capture under way is not touched unless the config stops acting.
    fn config_changed(&mut self, now: Now, place: Place, before: &ConfigFacts, out: &mut Vec<Command>) {
        let Some(config) = self.configs.get_mut(place) else {
            return;
        };
        let (old, new) = (before.policy.as_ref().ok(), config.facts.policy.as_ref().ok());
        let reselect =
            old.map(|policy| (&policy.scope, &policy.selector)) != new.map(|policy| (&policy.scope, &policy.selector));
        let interval = |policy: Option<&Policy>| policy.and_then(|one| one.on_demand);
        let retime = interval(old) != interval(new);
        if old.map(|policy| &policy.store) != new.map(|policy| &policy.store) {
            config.storage = Storage::NotTried;
        }
        if old.and_then(|policy| policy.threshold).is_none() || new.and_then(|policy| policy.threshold).is_none() {
            config.metrics = Metrics::NotTried;
            config.queues.hot.clear();
        }
        let id = config.facts.id;
        let acting = config.acting().is_some();
        if !acting {
            config.queues.hot.clear();
            config.queues.requests.clear();
            config.active_since = None;
        }
        let refusal = config.facts.policy.as_ref().err().cloned();
        let told = before.policy.as_ref().err();
        if refusal.as_ref() != told {
            self.tell_refusal(place, refusal, out);
        }
        if !acting {
            self.cancel(Reason::ConfigRemoved, out, |running| running.config == id);
        }
        if reselect {
            self.select_all(place);
        }
        if retime && let Some(config) = self.configs.get_mut(place) {
            config.queues.due.clear();
        }
        self.queue_all(now.mono, place);
    }

    pub(super) fn config_removed(&mut self, id: ConfigId, out: &mut Vec<Command>) {
        let Some(place) = self.configs.place(id) else { return };
        self.cancel(Reason::ConfigRemoved, out, |running| running.config == id);
        self.lists.forget_config(id);
        let Some(config) = self.configs.remove(place) else {
            return;
        };
        for slot in config.targets {
            self.targets.select(slot, place, false);
        }
    }

    pub(super) fn target_applied(&mut self, now: Now, facts: &TargetFacts, out: &mut Vec<Command>) {
        if !facts.opted_in {
            self.target_removed(facts.id, Reason::OptedOut, out);
            return;
        }
        // A target never changes its name; what comes under another one is another target, whatever its id says.
        let renamed = self
            .targets
            .slot(facts.id)
            .and_then(|slot| self.targets.get(slot))
            .is_some_and(|target| *target.name != *facts.name || *target.shape.namespace != *facts.namespace);
        if renamed {
            self.target_removed(facts.id, Reason::PodReplaced, out);
        }
        match self.targets.apply(facts) {
            Applied::Same => {}
            Applied::New(slot) => {
                self.select(slot);
                self.queue_target(now.mono, slot);
                self.tell_past_of(slot, out);
            }
            Applied::Changed { slot, labels } => {
                if labels {
                    self.select(slot);
                }
                self.queue_target(now.mono, slot);
            }
        }
    }

    pub(super) fn target_removed(&mut self, id: TargetId, reason: Reason, out: &mut Vec<Command>) {
        self.cancel(reason, out, |running| running.target == id);
        let slot = self.targets.slot(id);
        for config in self.configs.iter_mut() {
            config.pairs.remove(&id);
            if let Some(slot) = slot {
                config.queues.requests.remove_of(slot);
                forget(config, slot);
            }
        }
        if let Some(slot) = slot {
            self.targets.remove(slot);
        }
    }

    pub(super) fn targets_relist_started(&mut self, now: Now) {
        self.targets.relist_started();
        if !self.targets.was_listed() {
            let until = now.mono.plus_millis(FIRST_LIST_MILLIS_MAX);
            self.first_list_until.get_or_insert(until);
        }
    }

    pub(super) fn targets_relisted(&mut self, out: &mut Vec<Command>) {
        let Some(gone) = self.targets.relist_finished() else {
            return;
        };
        self.first_list_until = None;
        for slot in gone {
            if let Some(id) = self.targets.get(slot).map(|target| target.id) {
                self.target_removed(id, Reason::PodReplaced, out);
            }
        }
        // What was remembered of targets that the list does not have is of targets that no longer exist.
        let targets = &self.targets;
        for config in self.configs.iter_mut() {
            config.pairs.retain(|id, _| targets.slot(*id).is_some());
        }
    }

    pub(super) fn configs_relisted(&mut self, out: &mut Vec<Command>) {
        for id in self.configs.relist_finished() {
            self.config_removed(id, out);
        }
    }

    /// Finds the configs that select a target.
    fn select(&mut self, slot: Slot) {
        let Some(target) = self.targets.get(slot) else {
            return;
        };
        let mut selected_by = Vec::new();
        for place in self.configs.places() {
            let Some(config) = self.configs.get_mut(place) else {
                continue;
            };
            if selects(config, target) {
                config.targets.insert(slot);
                selected_by.push(place);
            } else {
                forget(config, slot);
            }
        }
        selected_by.sort_unstable();
        self.targets.set_selected_by(slot, &selected_by);
    }

    /// Finds the targets that a config selects.
    fn select_all(&mut self, place: Place) {
        let Some(config) = self.configs.get(place) else { return };
        let targets: alloc::collections::BTreeSet<Slot> = self
            .targets
            .iter()
            .filter(|(_, target)| selects(config, target))
            .map(|(slot, _)| slot)
            .collect();
        let Some(config) = self.configs.get_mut(place) else {
            return;
        };
        let before = core::mem::replace(&mut config.targets, targets);
        for slot in before.difference(&config.targets).copied().collect::<Vec<_>>() {
            forget(config, slot);
            self.targets.select(slot, place, false);
        }
        for slot in config.targets.difference(&before) {
            self.targets.select(*slot, place, true);
        }
    }

    /// Says what the records told of a target before it was seen.
    fn tell_past_of(&mut self, slot: Slot, out: &mut Vec<Command>) {
        let Some((id, places)) = self
            .targets
            .get(slot)
            .map(|target| (target.id, target.selected_by.clone()))
        else {
            return;
        };
        for place in places.iter().copied() {
            self.tell_interrupted(place, id, out);
        }
    }

    /// Brings the on-demand queues of all configs that select a target up to date with it.
    fn queue_target(&mut self, now: Mono, slot: Slot) {
        let Some(places) = self.targets.get(slot).map(|target| target.selected_by.clone()) else {
            return;
        };
        for place in places.iter().copied() {
            self.queue(now, place, slot);
        }
    }

    /// Brings the on-demand queue of a config up to date.
    pub(super) fn queue_all(&mut self, now: Mono, place: Place) {
        let Some(config) = self.configs.get_mut(place) else {
            return;
        };
        if config
            .facts
            .policy
            .as_ref()
            .ok()
            .and_then(|policy| policy.on_demand)
            .is_none()
        {
            config.queues.due.clear();
            return;
        }
        for slot in config.targets.iter().copied().collect::<Vec<_>>() {
            self.queue(now, place, slot);
        }
    }

    /// Puts a target into a config's on-demand queue if it could be captured, and takes it out if it could not. One
    /// that was never captured is due at once; one that was, an interval after; one that is queued stays as it is.
    fn queue(&mut self, now: Mono, place: Place, slot: Slot) {
        let fit = self.lasting_hold(place, slot, Mode::OnDemand).is_none();
        let Some(id) = self.targets.get(slot).map(|target| target.id) else {
            return;
        };
        let Some(config) = self.configs.get_mut(place) else {
            return;
        };
        if !fit {
            config.queues.due.remove(slot);
            return;
        }
        if config.queues.due.get(slot).is_some() {
            return;
        }
        let Some(interval) = config.on_demand_millis() else {
            return;
        };
        let last = config.pairs.get(&id).and_then(|pair| pair.on_demand_last);
        config
            .queues
            .due
            .put(slot, last.map_or(now, |last| last.plus_millis(interval)));
    }

    fn tell_refusal(&self, place: Place, refusal: Option<Refusal>, out: &mut Vec<Command>) {
        if let (Some(refusal), Some(config)) = (refusal, self.configs.get(place)) {
            self.tell_config(config, refusal.reason, true, refusal.message, out);
        }
    }
}

impl Configs {
    /// A full list begins. A list that began before and did not end is void.
    pub(super) fn relist_started(&mut self) {
        self.relist = self.relist.wrapping_add(1);
        self.relisting = true;
    }

    /// A full list ended: those that it did not have. Nothing if no list was under way.
    fn relist_finished(&mut self) -> Vec<ConfigId> {
        if !core::mem::take(&mut self.relisting) {
            return Vec::new();
        }
        self.iter()
            .filter(|(_, config)| config.seen_in != self.relist)
            .map(|(_, config)| config.facts.id)
            .collect()
    }
}

fn selects(config: &Config, target: &Target) -> bool {
    config.facts.policy.as_ref().is_ok_and(|policy| {
        let in_scope = match &policy.scope {
            Scope::All => true,
            Scope::Namespace(namespace) => **namespace == *target.shape.namespace,
        };
        in_scope && policy.selector.matches(|name| target.label(name))
    })
}

/// Takes a target out of everything that a config is about to do.
fn forget(config: &mut Config, slot: Slot) {
    config.targets.remove(&slot);
    config.queues.hot.remove(slot);
    config.queues.due.remove(slot);
}
