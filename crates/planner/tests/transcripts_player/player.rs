//! Plays a transcript: parses its events, steps a world, and writes down what it did.

#[path = "told.rs"]
mod told;
#[path = "words.rs"]
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use planner::{
    CaptureId, CaptureJob, CaptureOutcome, Command, ConfigFacts, ConfigId, ContainerFacts, ContainerUsage, Event, Mono,
    Now, PastCapture, PastOutcome, Phase, Port, Refusal, Relisted, SampleRequest, SampleScope, Settings, StoredType,
    TargetFacts, TargetId, TargetUsage, Totals, TypeOutcome, UsageSample, Wall, World,
};

use words::{Words, clock, container, container_facts, millis, policy, reason_of, types};

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
            "list-begins" => self.step(Event::RelistStarted(Relisted::Targets), false),
            "list-ends" => self.step(Event::RelistFinished(Relisted::Targets), false),
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
            totals: Totals {
                captured: words.number("captured").unwrap_or(0),
                failed: words.number("failed").unwrap_or(0),
            },
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
            address: words.get("address").map(|address| address.parse().expect("an address")),
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
}
