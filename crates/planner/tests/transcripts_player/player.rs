//! Plays a transcript: parses its events, steps a world, and writes down what it did.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use planner::{
    CaptureId, CaptureJob, CaptureOutcome, Command, ConfigFacts, ConfigId, ContainerFacts, ContainerUsage, Event,
    LabelSelector, Mono, NoticeTarget, Now, OnDemandPolicy, PastCapture, PastOutcome, Phase, Policy, Port, ProfileType,
    Reason, Refusal, Relisted, Resource, SampleId, SampleRequest, SampleScope, Scope, Settings, StorePolicy,
    StoredType, TargetFacts, TargetId, TargetUsage, ThresholdPolicy, Transport, Trigger, TypeOutcome, TypeSet,
    UsageSample, Wall, World,
};

/// 2026-03-01, midnight UTC. The monotonic clock is the time of that day.
const DAY: i64 = 1_772_323_200_000;

/// Plays all events and returns the transcript as it should read.
pub(crate) fn play(written: &str) -> String {
    let mut player = Player::default();
    for line in written.lines() {
        if line.starts_with(' ') {
            continue;
        }
        if let Some(rest) = line.strip_prefix("at ") {
            let (time, words) = rest.split_once(' ').unwrap_or_else(|| panic!("no event: {line}"));
            player.pass_to(millis(time));
            player.played.push_str(line);
            player.played.push('\n');
            player.event(words);
        } else {
            if let Some(words) = line.strip_prefix("settings ") {
                player.settings(&Words::of(words));
            }
            player.played.push_str(line);
            player.played.push('\n');
        }
    }
    player.played
}

struct Player {
    world: World,
    settings: Settings,
    now: u64,
    wall_shift: i64,
    played: String,
    configs: BTreeMap<String, ConfigFacts>,
    pods: BTreeMap<String, TargetFacts>,
    /// Pods of whose name there is another one now.
    replaced: BTreeMap<String, TargetFacts>,
    lists: Vec<SampleRequest>,
    captures: Vec<CaptureJob>,
    /// Names of targets, for `cancel` lines after the target is gone.
    names: BTreeMap<CaptureId, String>,
    loads: BTreeMap<String, String>,
    /// Lists are answered at once from the loads.
    auto_usage: bool,
    /// Captures end well after so many seconds.
    auto_capture_seconds: Option<u64>,
    auto_ends: BTreeSet<(u64, CaptureId)>,
    ids: u128,
}

impl Default for Player {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            world: World::new(settings),
            settings,
            now: 0,
            wall_shift: 0,
            played: String::new(),
            configs: BTreeMap::new(),
            pods: BTreeMap::new(),
            replaced: BTreeMap::new(),
            lists: Vec::new(),
            captures: Vec::new(),
            names: BTreeMap::new(),
            loads: BTreeMap::new(),
            auto_usage: false,
            auto_capture_seconds: None,
            auto_ends: BTreeSet::new(),
            ids: 0,
        }
    }
}

/// `name key=value flag` split up.
struct Words<'l>(Vec<&'l str>);

impl<'l> Words<'l> {
    fn of(line: &'l str) -> Self {
        Self(line.split_whitespace().collect())
    }

    fn name(&self) -> &'l str {
        self.0.first().expect("a name")
    }

    fn get(&self, key: &str) -> Option<&'l str> {
        self.0.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key).map(|word| {
            word.trim_end_matches('%')
                .parse()
                .unwrap_or_else(|_| panic!("{key}={word}"))
        })
    }

    fn has(&self, flag: &str) -> bool {
        self.0.contains(&flag)
    }
}

impl Player {
    fn now(&self) -> Now {
        Now {
            mono: Mono(self.now),
            wall: Wall(DAY + i64::try_from(self.now).unwrap() + self.wall_shift),
        }
    }

    fn settings(&mut self, words: &Words<'_>) {
        let small = |key: &str, default: u16| words.number(key).map_or(default, |one| u16::try_from(one).unwrap());
        self.settings.captures_max = small("captures-max", self.settings.captures_max);
        self.settings.captures_per_node_max = small("per-node-max", self.settings.captures_per_node_max);
        self.settings.starts_per_second_max = small("starts-max", self.settings.starts_per_second_max);
        self.settings.namespace_lists_max = small("lists-max", self.settings.namespace_lists_max);
        self.world = World::new(self.settings);
    }

    /// Lets time pass as the operator does: wakes the world when it asked for it, and ends captures.
    fn pass_to(&mut self, until: u64) {
        for _ in 0..100_000 {
            let wake = self.world.next_wake().map(|wake| wake.0.max(self.now));
            let end = self.auto_ends.first().map(|(end, _)| *end);
            let Some(next) = wake.into_iter().chain(end).min().filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            let again = next == self.now;
            self.now = next;
            if end == Some(next) {
                if let Some((_, capture)) = self.auto_ends.pop_first() {
                    let job = self
                        .captures
                        .iter()
                        .find(|job| job.id == capture)
                        .cloned()
                        .expect("running");
                    writeln!(self.played, "    {} ends {}/{}", clock(next), job.namespace, job.pod).unwrap();
                    self.finish(&job, &Words::of("x ok"), true);
                }
            } else {
                let before = self.played.len();
                self.step(Event::Tick, true);
                assert!(
                    !again || self.played.len() > before,
                    "woken at {} for nothing, over and over",
                    clock(next)
                );
            }
        }
        panic!("time does not pass");
    }

    fn event(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words = Words::of(rest);
        match verb {
            "config" => self.config(&words),
            "config-gone" => {
                let facts = self.configs.remove(words.name()).expect("known config");
                self.step(Event::ConfigRemoved(facts.id), false);
            }
            "pod" => self.pod(&words),
            "replaced-gone" => {
                let facts = self.replaced.remove(words.name()).expect("a replaced pod");
                self.step(Event::TargetRemoved(facts.id), false);
            }
            "pod-gone" => {
                let facts = self.pods.remove(words.name()).expect("known pod");
                self.step(Event::TargetRemoved(facts.id), false);
            }
            "resync" => self.resync(),
            "relist" => self.relist(&words),
            "leader" => self.step(Event::Leadership(true), false),
            "follower" => {
                // Nobody waits for its answers any more.
                self.lists.clear();
                self.step(Event::Leadership(false), false);
            }
            "shutting-down" => self.step(Event::ShuttingDown, false),
            "restart" => self.restart(),
            "restart-empty" => self.restart_empty(),
            "restored" => self.restored(rest),
            "restored-all" => {
                for facts in self.configs.clone().into_values() {
                    self.step(
                        Event::Restored {
                            config: facts.id,
                            captures: Vec::new(),
                        },
                        false,
                    );
                }
            }
            "pods" => self.pods(rest),
            "tick" => self.step(Event::Tick, false),
            "load" => {
                self.loads.insert(words.name().into(), rest.into());
            }
            "no-load" => {
                self.loads.remove(words.name());
            }
            "auto-usage" => self.auto_usage = true,
            "auto-captures" => self.auto_capture_seconds = words.name().parse().ok(),
            "usage" => {
                assert!(!self.lists.is_empty(), "{line}: no list was asked for");
                let list = self.lists.remove(0);
                let usage = if rest.is_empty() {
                    Vec::new()
                } else {
                    rest.split(" + ").map(|one| self.usage(one)).collect()
                };
                self.step(
                    Event::Usage(UsageSample {
                        request: list.id,
                        targets: usage,
                    }),
                    false,
                );
            }
            "usage-fails" => {
                assert!(!self.lists.is_empty(), "{line}: no list was asked for");
                let list = self.lists.remove(0);
                self.step(
                    Event::UsageFailed {
                        request: list.id,
                        message: rest.into(),
                    },
                    false,
                );
            }
            "finish" => {
                let place = self
                    .captures
                    .iter()
                    .position(|job| format!("{}/{}", job.namespace, job.pod) == words.name())
                    .unwrap_or_else(|| panic!("no capture of {}", words.name()));
                let job = self.captures[place].clone();
                self.finish(&job, &words, false);
            }
            "finish-unknown" => {
                let outcome = CaptureOutcome {
                    capture: CaptureId(1),
                    types: Vec::new(),
                };
                self.step(Event::CaptureFinished(Box::new(outcome)), false);
            }
            "request" => {
                let config = self.configs[words.get("config").expect("config=")].id;
                let target = self.pods[words.name()].id;
                let id = words.number("id").expect("id=");
                let types = words.get("types").map(types).unwrap_or_default();
                self.step(
                    Event::Requested {
                        id,
                        by: words.get("by").unwrap_or("ada").into(),
                        config,
                        target,
                        types,
                    },
                    false,
                );
            }
            "clock" => self.wall_shift = words.name().parse::<i64>().unwrap() * 1_000,
            "status" => self.status(&words),
            "why" => self.why(&words),
            "count" => self.count(),
            _ => panic!("unknown event: {line}"),
        }
    }

    fn id(&mut self) -> u128 {
        self.ids += 1;
        self.ids
    }

    fn config(&mut self, words: &Words<'_>) {
        let (namespace, name) = words.name().split_once('/').expect("namespace/name");
        let id = match self.configs.get(words.name()) {
            Some(known) => known.id,
            None => ConfigId(self.id()),
        };
        let generation = self.configs.get(words.name()).map_or(1, |known| known.generation + 1);
        let policy = match words.get("invalid") {
            Some(reason) => Err(Refusal {
                reason: reason_of(reason),
                message: "says what to do".into(),
            }),
            None => Ok(policy(words, namespace)),
        };
        let facts = ConfigFacts {
            id,
            namespace: namespace.into(),
            name: name.into(),
            generation,
            policy,
        };
        self.configs.insert(words.name().into(), facts.clone());
        self.step(Event::ConfigApplied(Box::new(facts)), false);
    }

    fn pod(&mut self, words: &Words<'_>) {
        let (namespace, name) = words.name().split_once('/').expect("namespace/name");
        let id = match self.pods.get(words.name()) {
            Some(known) if !words.has("recreated") => known.id,
            Some(_) | None => TargetId(self.id()),
        };
        let mut containers: Vec<ContainerFacts> = words
            .get("containers")
            .unwrap_or("main:1000:1000")
            .split(',')
            .map(container)
            .collect();
        if let Some(port) = words.get("port-of") {
            for one in &mut containers {
                one.declares_port = &*one.name == port;
            }
        }
        let phase = match words.get("phase") {
            Some("pending") => Phase::Pending,
            Some("ended") => Phase::Ended,
            _ => Phase::Running,
        };
        let facts = TargetFacts {
            id,
            namespace: namespace.into(),
            name: name.into(),
            service: words.get("service").unwrap_or("web").into(),
            node: words.get("node").unwrap_or("node-1").into(),
            labels: vec![("app".into(), words.get("app").unwrap_or("web").into())],
            opted_in: !words.has("opted-out"),
            port: match words.get("port") {
                None => Port::Number(6060),
                Some(word) => word.parse().map_or(Port::Unresolved(word.into()), Port::Number),
            },
            address: None,
            containers,
            container: words.get("container").map(Into::into),
            host_network: words.has("host-network"),
            phase,
            terminating: words.has("terminating"),
            started_at: words
                .get("started")
                .map(|time| Wall(DAY + i64::try_from(millis(time)).unwrap())),
        };
        let before = self.pods.insert(words.name().into(), facts.clone());
        if let Some(before) = before.filter(|before| before.id != id) {
            self.replaced.insert(words.name().into(), before);
        }
        self.step(Event::TargetApplied(Box::new(facts)), false);
    }

    /// Everything once more, as it is.
    fn resync(&mut self) {
        for facts in self.configs.clone().into_values() {
            self.step(Event::ConfigApplied(Box::new(facts)), false);
        }
        for facts in self.pods.clone().into_values() {
            self.step(Event::TargetApplied(Box::new(facts)), false);
        }
    }

    /// A full list of the targets without those that are named.
    fn relist(&mut self, without: &Words<'_>) {
        self.step(Event::RelistStarted(Relisted::Targets), false);
        self.pods.retain(|name, _| !without.has(name));
        for facts in self.pods.clone().into_values() {
            self.step(Event::TargetApplied(Box::new(facts)), false);
        }
        self.step(Event::RelistFinished(Relisted::Targets), false);
    }

    /// Another process that has read the configs and no pod yet.
    fn restart_empty(&mut self) {
        self.world = World::new(self.settings);
        for facts in self.configs.clone().into_values() {
            self.step(Event::ConfigApplied(Box::new(facts)), false);
        }
    }

    /// `team-a/web 1000`: so many idle pods.
    fn pods(&mut self, rest: &str) {
        let (stem, count) = rest.split_once(' ').expect("a stem and a count");
        for number in 0..count.parse::<u32>().expect("a number") {
            let name = format!("{stem}-{number}");
            self.pod(&Words::of(&name));
            self.loads.insert(name.clone(), format!("{name} cpu=5% memory=20%"));
        }
    }

    /// Another process with the same objects. Nothing of the old one is answered.
    fn restart(&mut self) {
        self.world = World::new(self.settings);
        self.lists.clear();
        self.captures.clear();
        self.auto_ends.clear();
        self.resync();
        self.step(Event::RelistStarted(Relisted::Targets), false);
        for facts in self.pods.clone().into_values() {
            self.step(Event::TargetApplied(Box::new(facts)), false);
        }
        self.step(Event::RelistFinished(Relisted::Targets), false);
    }

    /// `config pod:outcome:trigger:time ...`
    fn restored(&mut self, rest: &str) {
        let mut words = rest.split_whitespace();
        let config = self.configs[words.next().expect("a config")].id;
        let captures = words
            .map(|word| {
                let [pod, outcome, trigger, time] =
                    word.splitn(4, '@').collect::<Vec<_>>().try_into().expect("a@b@c@d");
                let decided_at = Wall(DAY + i64::try_from(millis(time)).unwrap());
                let target = self.pods.get(pod).map_or(TargetId(999), |facts| facts.id);
                PastCapture {
                    capture: planner::keys::capture_id(config, target, "", reason_of(trigger), decided_at),
                    target,
                    trigger: reason_of(trigger),
                    decided_at,
                    outcome: match outcome {
                        "captured" => PastOutcome::Captured,
                        "failed" => PastOutcome::Failed,
                        _ => PastOutcome::Interrupted,
                    },
                }
            })
            .collect();
        self.step(Event::Restored { config, captures }, false);
    }

    /// `team-a/web-1 cpu=91% memory=10% [of=container] [age=5] [window=15]`, several containers with `of=a:50:50,b:1:1`.
    fn usage(&self, line: &str) -> TargetUsage {
        let words = Words::of(line);
        let (namespace, name) = words.name().split_once('/').expect("namespace/name");
        let facts = self.pods.get(words.name());
        let whole =
            |container: &str| facts.and_then(|pod| pod.containers.iter().find(|one| &*one.name == container).cloned());
        let measured = |container: &str, cpu: Option<u64>, memory: Option<u64>| {
            let of = whole(container).unwrap_or_else(|| container_facts(container, Some(1_000), Some(1_000)));
            let cpu_whole = of.cpu_limit_millis.or(of.cpu_request_millis).unwrap_or(1_000);
            let memory_whole = of.memory_limit_bytes.or(of.memory_request_bytes).unwrap_or(1_000);
            ContainerUsage {
                name: container.into(),
                cpu_nanos: cpu.map(|percent| percent * cpu_whole * 10_000),
                memory_bytes: memory.map(|percent| percent * memory_whole / 100),
            }
        };
        let containers = match words.get("of") {
            None => vec![measured("main", words.number("cpu"), words.number("memory"))],
            Some(list) => list
                .split(',')
                .map(|one| {
                    let [name, cpu, memory] = one.split(':').collect::<Vec<_>>().try_into().expect("name:cpu:memory");
                    measured(name, cpu.parse().ok(), memory.parse().ok())
                })
                .collect(),
        };
        let age = words.number("age").unwrap_or(5) * 1_000;
        TargetUsage {
            namespace: namespace.into(),
            name: name.into(),
            taken_at: Wall(self.now().wall.0 - i64::try_from(age).unwrap()),
            age_millis: age,
            window_millis: words.number("window").unwrap_or(15) * 1_000,
            containers,
        }
    }

    /// `pod ok`, or `pod heap=TimedOut cpu=empty`: types that are not named were stored.
    fn finish(&mut self, job: &CaptureJob, words: &Words<'_>, timed: bool) {
        self.captures.retain(|one| one.id != job.id);
        self.auto_ends.retain(|(_, one)| *one != job.id);
        let types = job
            .types
            .iter()
            .map(|profile_type| {
                let samples = |count| {
                    Ok(StoredType {
                        key: "key".into(),
                        bytes: 10,
                        samples: Some(count),
                    })
                };
                let failed = |reason| {
                    Err(Refusal {
                        reason,
                        message: "in words".into(),
                    })
                };
                let result = match words.get(profile_type.as_str()).or(words.get("all")) {
                    None | Some("ok") => samples(7),
                    Some("empty") => samples(0),
                    Some(reason) => failed(reason_of(reason)),
                };
                TypeOutcome {
                    profile_type: *profile_type,
                    result,
                }
            })
            .collect();
        self.step(
            Event::CaptureFinished(Box::new(CaptureOutcome { capture: job.id, types })),
            timed,
        );
    }

    fn status(&mut self, words: &Words<'_>) {
        let id = self.configs[words.name()].id;
        let status = self.world.status(self.now(), id).expect("known");
        let mut text = String::new();
        for (name, condition) in [
            ("Ready", &status.ready),
            ("TargetsFound", &status.targets_found),
            ("MetricsAvailable", &status.metrics_available),
            ("StorageReady", &status.storage_ready),
        ] {
            writeln!(
                text,
                "    {name} {} {:?}: {}",
                condition.status.as_str(),
                condition.reason,
                condition.message
            )
            .unwrap();
        }
        let (captured, failed) = (status.captured_total, status.failed_total);
        writeln!(
            text,
            "    targets {}, running {} {:?}, captured {captured}, failed {failed}",
            status.targets, status.running, status.running_pods
        )
        .unwrap();
        if let Some(last) = &status.last {
            let types: Vec<&str> = last.types.iter().map(ProfileType::as_str).collect();
            writeln!(
                text,
                "    last {}/{} {:?} at {}: {}",
                last.namespace,
                last.pod,
                last.reason,
                wall(last.at),
                types.join(" ")
            )
            .unwrap();
        }
        for held in &status.held {
            writeln!(
                text,
                "    held {}/{} {:?}: {}",
                held.namespace, held.pod, held.reason, held.message
            )
            .unwrap();
        }
        self.played.push_str(&text);
    }

    fn why(&mut self, words: &Words<'_>) {
        let (namespace, name) = words.name().split_once('/').expect("namespace/name");
        for why in self.world.why(self.now(), namespace, name) {
            let config = why
                .config
                .map_or("-".into(), |config| format!("{}/{}", config.namespace, config.name));
            writeln!(
                self.played,
                "    {config} {:?} {:?}: {}",
                why.mode, why.reason, why.message
            )
            .unwrap();
        }
    }

    fn count(&mut self) {
        let counters = self.world.counters();
        let held: Vec<String> = counters
            .held()
            .map(|(reason, count)| format!("{reason:?} {count}"))
            .collect();
        let text = format!(
            "    decided {}, checks {}, violations cpu {} memory {}, missed slots {}, unknown outcomes {}, held: {}\n",
            counters.captures_decided_total,
            counters.checks_total,
            counters.cpu_violations_total,
            counters.memory_violations_total,
            counters.missed_slots_total,
            counters.outcomes_unknown_total,
            held.join(", ")
        );
        self.played.push_str(&text);
    }

    fn step(&mut self, event: Event, timed: bool) {
        let now = self.now();
        let commands = self.world.step(now, event);
        for command in commands {
            self.command(&command, timed);
        }
    }

    fn command(&mut self, command: &Command, timed: bool) {
        let time = if timed {
            format!("{} ", clock(self.now))
        } else {
            String::new()
        };
        let text = self.render(command);
        writeln!(self.played, "    {time}{text}").unwrap();
        match command {
            Command::Sample(request) => {
                self.lists.push(request.clone());
                if self.auto_usage {
                    self.answer(request);
                }
            }
            Command::Capture(job) => {
                self.names.insert(job.id, format!("{}/{}", job.namespace, job.pod));
                self.captures.push((**job).clone());
                if let Some(seconds) = self.auto_capture_seconds {
                    self.auto_ends.insert((self.now + seconds * 1_000, job.id));
                }
            }
            Command::Restore(_) | Command::Cancel { .. } | Command::Notify(_) => {}
        }
    }

    fn answer(&mut self, request: &SampleRequest) {
        self.lists.retain(|one| one.id != request.id);
        let targets = self
            .loads
            .values()
            .filter(|line| match &request.scope {
                SampleScope::Cluster => true,
                SampleScope::Namespace(namespace) => line.starts_with(&format!("{namespace}/")),
            })
            .map(|line| self.usage(line))
            .collect();
        self.step(
            Event::Usage(UsageSample {
                request: request.id,
                targets,
            }),
            true,
        );
    }

    fn render(&self, command: &Command) -> String {
        let config = |id: ConfigId| {
            self.configs
                .iter()
                .find(|(_, facts)| facts.id == id)
                .map_or("?".into(), |(name, _)| name.clone())
        };
        match command {
            Command::Sample(SampleRequest {
                id: SampleId(id),
                scope,
            }) => match scope {
                SampleScope::Namespace(namespace) => format!("list {id} of {namespace}"),
                SampleScope::Cluster => format!("list {id} of the cluster"),
            },
            Command::Restore(request) => format!("restore {} since {}", config(request.config), wall(request.since)),
            Command::Cancel { capture, reason } => format!("cancel {}: {reason:?}", self.names[capture]),
            Command::Notify(notice) => {
                let about = match &notice.about {
                    NoticeTarget::Config { namespace, name, .. } => format!("config {namespace}/{name}"),
                    NoticeTarget::Target { namespace, name, .. } => format!("pod {namespace}/{name}"),
                };
                let tell = if notice.warning { "warn" } else { "tell" };
                format!("{tell} {about} {:?}: {}", notice.reason, notice.message)
            }
            Command::Capture(job) => {
                let types: Vec<&str> = job.types.iter().map(|one| one.as_str()).collect();
                let bucket = &job.store.bucket;
                let because = match &job.trigger {
                    Trigger::Threshold {
                        resource,
                        value_permille,
                        threshold_permille,
                        basis,
                        ..
                    } => {
                        let container = &job.container;
                        let resource = match resource {
                            Resource::Cpu => "cpu",
                            Resource::Memory => "memory",
                        };
                        format!(
                            "{resource} {value_permille} > {threshold_permille} of {} of {container}",
                            basis.as_str()
                        )
                    }
                    Trigger::OnDemand => "on-demand".into(),
                    Trigger::Requested { by } => format!("requested by {by}"),
                };
                format!(
                    "capture {}/{} into {bucket}, {because}: {}",
                    job.namespace,
                    job.pod,
                    types.join(" ")
                )
            }
        }
    }
}

fn policy(words: &Words<'_>, namespace: &str) -> Policy {
    let number = |key: &str, default: u64| words.number(key).unwrap_or(default);
    let small = |key: &str, default: u64| u16::try_from(number(key, default)).unwrap();
    let seconds = |key: &str, default: u64| u32::try_from(number(key, default)).unwrap();
    Policy {
        suspended: words.has("suspended"),
        scope: match words.get("scope") {
            None => Scope::Namespace(namespace.into()),
            Some("all") => Scope::All,
            Some(other) => Scope::Namespace(other.into()),
        },
        selector: LabelSelector {
            equal: words
                .get("app")
                .map(|app| ("app".into(), app.into()))
                .into_iter()
                .collect(),
            expressions: Vec::new(),
        },
        threshold: (!words.has("no-thresholds")).then(|| ThresholdPolicy {
            cpu_percent: small("cpu", 80),
            memory_percent: small("memory", 90),
            check_interval_seconds: seconds("check", 30),
            cooldown_seconds: seconds("cooldown", 300),
        }),
        on_demand: words.get("every").map(|_| OnDemandPolicy {
            interval_seconds: seconds("every", 35),
        }),
        store: StorePolicy {
            bucket: words.get("bucket").unwrap_or("bucket").into(),
            prefix: "profiles".into(),
            region: None,
            endpoint: None,
        },
        types: words
            .get("types")
            .map_or_else(|| ProfileType::DEFAULT.into_iter().collect(), types),
        cpu_seconds: 30,
        transport: Transport::PortForward,
        concurrent_max: small("concurrent", 1),
        body_bytes_max: 64 << 20,
    }
}

/// `name:cpu:memory`, a limit of each, `r500` for a request, `-` for neither.
fn container(text: &str) -> ContainerFacts {
    let [name, cpu, memory] = text.split(':').collect::<Vec<_>>().try_into().expect("name:cpu:memory");
    let mut facts = container_facts(name, cpu.parse().ok(), memory.parse().ok());
    facts.cpu_request_millis = cpu.strip_prefix('r').map(|one| one.parse().unwrap());
    facts.memory_request_bytes = memory.strip_prefix('r').map(|one| one.parse().unwrap());
    facts
}

fn container_facts(name: &str, cpu: Option<u64>, memory: Option<u64>) -> ContainerFacts {
    ContainerFacts {
        name: name.into(),
        cpu_limit_millis: cpu,
        cpu_request_millis: None,
        memory_limit_bytes: memory,
        memory_request_bytes: None,
        declares_port: false,
    }
}

fn types(list: &str) -> TypeSet {
    list.split(',')
        .map(|word| ProfileType::parse(word).unwrap_or_else(|| panic!("no type {word}")))
        .collect()
}

fn reason_of(word: &str) -> Reason {
    Reason::ALL
        .iter()
        .copied()
        .find(|one| one.as_camel() == word)
        .unwrap_or_else(|| panic!("no reason {word}"))
}

fn millis(time: &str) -> u64 {
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hours, minutes, seconds]: [u64; 3] = time
        .split(':')
        .map(|part| part.parse().expect("a number"))
        .collect::<Vec<_>>()
        .try_into()
        .expect("hh:mm:ss");
    ((hours * 60 + minutes) * 60 + seconds) * 1_000 + format!("{fraction:0<3}").parse::<u64>().expect("a fraction")
}

fn clock(millis: u64) -> String {
    let seconds = millis / 1_000;
    let fraction = if millis.is_multiple_of(1_000) {
        String::new()
    } else {
        format!(".{:03}", millis % 1_000)
    };
    format!(
        "{:02}:{:02}:{:02}{fraction}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn wall(at: Wall) -> String {
    clock(u64::try_from(at.0 - DAY).unwrap_or(0))
}
