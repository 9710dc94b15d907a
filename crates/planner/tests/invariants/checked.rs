//! A world whose every command is checked against a second, simpler account of what happened.

use std::collections::{BTreeMap, BTreeSet};

use planner::{
    CaptureId, CaptureJob, CaptureOutcome, Command, ConfigFacts, ConfigId, ContainerFacts, ContainerUsage, Event,
    LabelSelector, Mono, Now, OnDemandPolicy, PastCapture, PastOutcome, Phase, Policy, Port, ProfileType, Reason,
    Refusal, Relisted, SampleId, SampleScope, Scope, Settings, StorePolicy, StoredType, TargetFacts, TargetId,
    TargetUsage, ThresholdPolicy, Totals, Transport, Trigger, TypeOutcome, TypeSet, UsageSample, Wall, World,
};

/// The wall time of mono zero.
const WALL: i64 = 1_772_323_200_000;

/// A world and what is known of it from outside.
#[derive(Clone)]
pub(crate) struct Checked {
    pub(crate) world: World,
    pub(crate) settings: Settings,
    pub(crate) mono: u64,
    pub(crate) leader: bool,
    pub(crate) configs: BTreeMap<ConfigId, ConfigFacts>,
    pub(crate) targets: BTreeMap<TargetId, TargetFacts>,
    /// Lists that were asked for and not answered.
    pub(crate) lists: BTreeMap<SampleId, (SampleScope, u64)>,
    pub(crate) running: BTreeMap<CaptureId, CaptureJob>,
    pub(crate) cancelled: BTreeSet<CaptureId>,
    /// Configs whose past was asked for.
    pub(crate) restores: BTreeSet<ConfigId>,
    /// The store: what a restart can read.
    pub(crate) records: BTreeMap<CaptureId, (ConfigId, PastCapture)>,
    /// From when on each pair may be captured again by a threshold.
    pub(crate) last_stored: BTreeMap<(ConfigId, TargetId), u64>,
    pub(crate) last_on_demand: BTreeMap<(ConfigId, TargetId), u64>,
    /// Configs of a new process whose past did not come yet: they go on without it after a while.
    pub(crate) unrestored: BTreeSet<ConfigId>,
    pub(crate) starts: Vec<u64>,
    pub(crate) captured: BTreeMap<(ConfigId, TargetId), u64>,
}

impl Checked {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            world: World::new(settings),
            settings,
            mono: 1_000,
            leader: false,
            configs: BTreeMap::new(),
            targets: BTreeMap::new(),
            lists: BTreeMap::new(),
            running: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            restores: BTreeSet::new(),
            records: BTreeMap::new(),
            last_stored: BTreeMap::new(),
            last_on_demand: BTreeMap::new(),
            unrestored: BTreeSet::new(),
            starts: Vec::new(),
            captured: BTreeMap::new(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            mono: Mono(self.mono),
            wall: Wall(WALL + i64::try_from(self.mono).unwrap()),
        }
    }

    /// Steps the world and checks everything it wants.
    pub(crate) fn step(&mut self, event: Event) -> Vec<Command> {
        let commands = self.world.step(self.now(), event);
        for command in &commands {
            self.check(command);
        }
        let running: Vec<CaptureId> = self.world.running().map(|running| running.id).collect();
        assert_eq!(
            running,
            self.running.keys().copied().collect::<Vec<_>>(),
            "captures under way"
        );
        for config in self.world.configs() {
            let status = self
                .world
                .status(self.now(), config)
                .expect("a known config has a status");
            assert_eq!(
                Some(status),
                self.world.status(self.now(), config),
                "a status that changes by itself"
            );
        }
        commands
    }

    fn check(&mut self, command: &Command) {
        match command {
            Command::Sample(request) => {
                assert!(self.leader, "a follower asks for usage");
                let now = self.mono;
                let twice = self
                    .lists
                    .values()
                    .any(|(scope, at)| *scope == request.scope && now < at + 60_000);
                assert!(!twice, "the same list is on its way");
                assert!(
                    self.lists
                        .insert(request.id, (request.scope.clone(), self.mono))
                        .is_none(),
                    "a list number twice"
                );
            }
            Command::Restore(request) => {
                assert!(self.leader, "a follower asks for the past");
                self.restores.insert(request.config);
            }
            Command::Cancel { capture, .. } => {
                assert!(
                    self.running.contains_key(capture),
                    "a capture that does not run is cancelled"
                );
                assert!(self.cancelled.insert(*capture), "a capture is cancelled twice");
            }
            Command::Notify(_) => assert!(self.leader, "a follower speaks"),
            Command::Capture(job) => {
                self.check_capture(job);
                self.started(job);
            }
        }
    }

    fn check_capture(&self, job: &CaptureJob) {
        assert!(self.leader, "a follower captures");
        let target = self
            .targets
            .get(&job.target)
            .expect("a target that is not there is captured");
        assert!(target.opted_in, "a target that did not opt in is captured");
        assert!(!target.terminating && !target.host_network && target.phase == Phase::Running);
        assert_eq!(Port::Number(job.port), target.port);
        let config = self
            .configs
            .get(&job.config)
            .expect("a config that is not there captures");
        let policy = config.policy.as_ref().expect("a config that cannot be used captures");
        assert!(!policy.suspended, "a suspended config captures");
        match &policy.scope {
            Scope::All => {}
            Scope::Namespace(namespace) => assert_eq!(*namespace, target.namespace, "out of scope"),
        }
        assert_eq!(
            (&job.store, job.config_generation),
            (&policy.store, config.generation),
            "of another config"
        );
        assert!(!self.running.contains_key(&job.id), "a capture of the same id runs");
        assert!(
            !self.records.contains_key(&job.id) || self.unrestored.contains(&job.config),
            "the id of another capture, whose record it would overwrite"
        );
        assert!(
            self.running.values().all(|one| one.target != job.target),
            "the target is being captured"
        );
        let count = |of: &dyn Fn(&CaptureJob) -> bool| self.running.values().filter(|one| of(one)).count();
        assert!(
            count(&|_| true) < usize::from(self.settings.captures_max),
            "too many captures"
        );
        let node = count(&|one| one.node == job.node && !job.node.is_empty());
        assert!(
            node < usize::from(self.settings.captures_per_node_max),
            "too many captures on a node"
        );
        let of_config = count(&|one| one.config == job.config);
        assert!(
            of_config < usize::from(policy.concurrent_max.max(1)),
            "too many captures of a config"
        );
        let started = self.starts.iter().filter(|start| self.mono < **start + 1_000).count();
        assert!(
            started < usize::from(self.settings.starts_per_second_max),
            "too many starts in a second"
        );
        self.check_types(job, policy);
        self.check_intervals(job, policy);
    }

    fn check_types(&self, job: &CaptureJob, policy: &Policy) {
        assert!(!job.types.is_empty(), "a capture of nothing");
        let set: TypeSet = job.types.iter().copied().collect();
        assert_eq!(set.iter().count(), job.types.len(), "a type twice");
        if job.trigger.reason() != Reason::Requested {
            assert!(
                job.types.iter().all(|one| policy.types.contains(*one)),
                "a type nobody asked for"
            );
        }
        let first_slow = job
            .types
            .iter()
            .position(|one| one.takes_time())
            .unwrap_or(job.types.len());
        assert!(
            job.types[first_slow..].iter().all(|one| one.takes_time()),
            "a type that takes time before one that does not"
        );
    }

    fn check_intervals(&self, job: &CaptureJob, policy: &Policy) {
        let pair = (job.config, job.target);
        if self.unrestored.contains(&job.config) {
            return;
        }
        match &job.trigger {
            Trigger::Threshold {
                value_permille,
                threshold_permille,
                ..
            } => {
                assert!(value_permille > threshold_permille);
                let cooldown = u64::from(policy.threshold.expect("thresholds are off").cooldown_seconds) * 1_000;
                if let Some(last) = self.last_stored.get(&pair) {
                    assert!(self.mono >= last + cooldown, "within the cooldown");
                }
            }
            Trigger::OnDemand => {
                let interval = u64::from(policy.on_demand.expect("on-demand is off").interval_seconds.max(1)) * 1_000;
                if let Some(last) = self.last_on_demand.get(&pair) {
                    assert!(self.mono >= last + interval, "before its interval is over");
                }
            }
            Trigger::Requested { .. } => {}
        }
    }

    fn started(&mut self, job: &CaptureJob) {
        let pair = (job.config, job.target);
        if job.trigger == Trigger::OnDemand {
            self.last_on_demand.insert(pair, self.mono);
        }
        self.starts.push(self.mono);
        self.running.insert(job.id, job.clone());
        let past = PastCapture {
            capture: job.id,
            target: job.target,
            trigger: job.trigger.reason(),
            decided_at: job.decided_at,
            outcome: PastOutcome::Interrupted,
        };
        self.records.insert(job.id, (job.config, past));
    }

    pub(crate) fn apply_config(&mut self, facts: ConfigFacts) -> Vec<Command> {
        let before = self.configs.insert(facts.id, facts.clone());
        let interval = |facts: &ConfigFacts| facts.policy.as_ref().ok().and_then(|policy| policy.on_demand);
        // A changed interval starts over from the same captures; the older, longer one binds no more.
        if before.as_ref().map(interval) != Some(interval(&facts)) && interval(&facts).is_none() {
            self.last_on_demand.retain(|(config, _), _| *config != facts.id);
        }
        self.step(Event::ConfigApplied(Box::new(facts)))
    }

    pub(crate) fn remove_config(&mut self, id: ConfigId) -> Vec<Command> {
        self.configs.remove(&id);
        self.last_stored.retain(|(config, _), _| *config != id);
        self.last_on_demand.retain(|(config, _), _| *config != id);
        self.step(Event::ConfigRemoved(id))
    }

    pub(crate) fn apply_target(&mut self, facts: TargetFacts) -> Vec<Command> {
        if !facts.opted_in {
            self.forget_target(facts.id);
        }
        self.targets.insert(facts.id, facts.clone());
        self.step(Event::TargetApplied(Box::new(facts)))
    }

    pub(crate) fn remove_target(&mut self, id: TargetId) -> Vec<Command> {
        self.targets.remove(&id);
        self.forget_target(id);
        self.step(Event::TargetRemoved(id))
    }

    fn forget_target(&mut self, id: TargetId) {
        self.last_stored.retain(|(_, target), _| *target != id);
        self.last_on_demand.retain(|(_, target), _| *target != id);
    }

    pub(crate) fn lead(&mut self, leader: bool) -> Vec<Command> {
        // What is told in the step in which it ends is told by nobody.
        self.leader = leader;
        if !leader {
            self.lists.clear();
            self.restores.clear();
        }
        let commands = self.step(Event::Leadership(leader));
        if !leader {
            assert!(
                self.running.keys().all(|one| self.cancelled.contains(one)),
                "a follower lets captures run"
            );
        }
        commands
    }

    /// Everything once more as it is: to be without any effect.
    pub(crate) fn resync(&mut self) {
        for facts in self.configs.clone().into_values() {
            assert_eq!(
                self.step(Event::ConfigApplied(Box::new(facts))),
                [],
                "a resync does something"
            );
        }
        for facts in self.targets.clone().into_values() {
            assert_eq!(
                self.step(Event::TargetApplied(Box::new(facts))),
                [],
                "a resync does something"
            );
        }
    }

    /// A full list of all targets.
    pub(crate) fn relist(&mut self) -> Vec<Command> {
        let mut commands = self.step(Event::RelistStarted(Relisted::Targets));
        for facts in self.targets.clone().into_values() {
            commands.extend(self.step(Event::TargetApplied(Box::new(facts))));
        }
        commands.extend(self.step(Event::RelistFinished(Relisted::Targets)));
        commands
    }

    /// Answers the oldest list: every target that it covers uses so many percent of its limits.
    pub(crate) fn answer(&mut self, percent: impl Fn(&TargetFacts) -> Option<(u64, u64)>) -> Vec<Command> {
        let Some((id, (scope, _))) = self.lists.pop_first() else {
            return Vec::new();
        };
        let taken_at = self.now().wall;
        let targets = self
            .targets
            .values()
            .filter(|target| match &scope {
                SampleScope::Cluster => true,
                SampleScope::Namespace(namespace) => *namespace == target.namespace,
            })
            .filter_map(|target| percent(target).map(|(cpu, memory)| usage(target, taken_at, cpu, memory)))
            .collect();
        self.step(Event::Usage(UsageSample { request: id, targets }))
    }

    pub(crate) fn fail_list(&mut self) -> Vec<Command> {
        let Some((request, _)) = self.lists.pop_first() else {
            return Vec::new();
        };
        self.step(Event::UsageFailed {
            request,
            message: "no metrics".into(),
        })
    }

    /// Ends the `nth` capture under way. `stored` says which of its types were.
    pub(crate) fn finish(&mut self, nth: usize, stored: impl Fn(ProfileType) -> bool, reason: Reason) -> Vec<Command> {
        let Some(id) = self.running.keys().nth(nth).copied() else {
            return Vec::new();
        };
        let job = self.running.remove(&id).expect("it runs");
        self.cancelled.remove(&id);
        let pair = (job.config, job.target);
        let any = job.types.iter().any(|one| stored(*one));
        let known = self.configs.contains_key(&job.config)
            && self.targets.get(&job.target).is_some_and(|target| target.opted_in);
        if let Some((_, past)) = self.records.get_mut(&id) {
            past.outcome = if any {
                PastOutcome::Captured
            } else {
                PastOutcome::Failed
            };
        }
        if any && known && job.trigger != Trigger::OnDemand {
            let decided = u64::try_from(job.decided_at.0 - WALL).expect("after the start");
            let last = self.last_stored.entry(pair).or_insert(decided);
            *last = decided.max(*last);
        }
        if any && known {
            *self.captured.entry(pair).or_insert(0) += 1;
        }
        let types = job
            .types
            .iter()
            .map(|profile_type| TypeOutcome {
                profile_type: *profile_type,
                result: match stored(*profile_type) {
                    true => Ok(StoredType {
                        key: "key".into(),
                        bytes: 1,
                        samples: Some(1),
                    }),
                    false => Err(Refusal {
                        reason,
                        message: "failed".into(),
                    }),
                },
            })
            .collect();
        self.step(Event::CaptureFinished(Box::new(CaptureOutcome { capture: id, types })))
    }

    /// Answers a request for the past from the records.
    pub(crate) fn restore(&mut self) -> Vec<Command> {
        let Some(config) = self.restores.pop_first() else {
            return Vec::new();
        };
        self.unrestored.remove(&config);
        let captures = self
            .records
            .values()
            .filter(|(of, _)| *of == config)
            .map(|(_, past)| past.clone())
            .collect();
        self.step(Event::Restored { config, captures })
    }

    /// The process dies and another one starts with what the API server and the store have.
    pub(crate) fn crash(&mut self) {
        self.world = World::new(self.settings);
        self.lists.clear();
        self.restores.clear();
        // What was interrupted is made again.
        for job in self.running.values().filter(|job| job.trigger == Trigger::OnDemand) {
            self.last_on_demand.remove(&(job.config, job.target));
        }
        self.running.clear();
        self.cancelled.clear();
        self.unrestored = self.configs.keys().copied().collect();
        // The budget of starts is of the process.
        self.starts.clear();
        let leader = std::mem::take(&mut self.leader);
        for facts in self.configs.clone().into_values() {
            self.step(Event::ConfigApplied(Box::new(facts)));
        }
        self.relist();
        if leader {
            self.lead(true);
        }
    }
}

fn usage(target: &TargetFacts, taken_at: Wall, cpu: u64, memory: u64) -> TargetUsage {
    TargetUsage {
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        taken_at,
        age_millis: 0,
        window_millis: 15_000,
        containers: vec![ContainerUsage {
            name: "main".into(),
            cpu_nanos: Some(cpu * 10_000_000),
            memory_bytes: Some(memory * 10),
        }],
    }
}

/// A config with both modes as wanted.
pub(crate) fn config(
    number: u128,
    namespace: &str,
    threshold: Option<ThresholdPolicy>,
    every: Option<u32>,
) -> ConfigFacts {
    ConfigFacts {
        id: ConfigId(number),
        namespace: namespace.into(),
        name: format!("config-{number}").into(),
        generation: 1,
        totals: Totals::default(),
        policy: Ok(Policy {
            suspended: false,
            scope: Scope::Namespace(namespace.into()),
            selector: LabelSelector::default(),
            threshold,
            on_demand: every.map(|interval_seconds| OnDemandPolicy { interval_seconds }),
            store: StorePolicy {
                bucket: format!("bucket-{number}").into(),
                prefix: "".into(),
                region: None,
                endpoint: None,
            },
            types: [ProfileType::Heap, ProfileType::Cpu].into_iter().collect(),
            cpu_seconds: 30,
            transport: Transport::PortForward,
            concurrent_max: 1,
            body_bytes_max: 1 << 20,
        }),
    }
}

pub(crate) const THRESHOLD: ThresholdPolicy = ThresholdPolicy {
    cpu_percent: 80,
    memory_percent: 90,
    check_interval_seconds: 30,
    cooldown_seconds: 60,
};

/// A target that runs and opted in.
pub(crate) fn target(number: u128, namespace: &str, node: &str) -> TargetFacts {
    TargetFacts {
        id: TargetId(number),
        namespace: namespace.into(),
        name: format!("pod-{number}").into(),
        service: "web".into(),
        node: node.into(),
        labels: vec![("app".into(), "web".into())],
        opted_in: true,
        port: Port::Number(6060),
        address: None,
        containers: vec![ContainerFacts {
            name: "main".into(),
            cpu_limit_millis: Some(1_000),
            cpu_request_millis: None,
            memory_limit_bytes: Some(1_000),
            memory_request_bytes: None,
            declares_port: true,
        }],
        container: None,
        host_network: false,
        phase: Phase::Running,
        terminating: false,
        started_at: None,
    }
}
