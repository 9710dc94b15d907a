//! Random stories.

use planner::{
    Command, ConfigId, ContainerFacts, ContainerUsage, Event, Mono, Now, OnDemandPolicy, Phase, Port, ProfileType,
    Reason, SampleId, Scope, Settings, TargetId, TargetUsage, ThresholdPolicy, TypeSet, UsageSample, Wall, World,
};
use proptest::prelude::*;
use testkit::soak;

use crate::checked::{Checked, THRESHOLD, config, target};

const CONFIGS: u128 = 3;
const TARGETS: u128 = 6;

#[derive(Clone, Debug)]
enum Act {
    Pass(u64),
    Lead(bool),
    Restore,
    Answer(Vec<u64>),
    FailList,
    Finish(usize, u8),
    Config {
        number: u128,
        every: Option<u32>,
        cooldown: u32,
        check: u32,
        concurrent: u16,
        suspended: bool,
        off: bool,
    },
    RemoveConfig(u128),
    Target {
        number: u128,
        opted_in: bool,
        node: u8,
        terminating: bool,
        port: u16,
    },
    RemoveTarget(u128),
    Relist,
    Crash,
    Request {
        id: u64,
        config: u128,
        target: u128,
    },
    Duplicate,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (1u64..40_000).prop_map(Act::Pass),
        1 => any::<bool>().prop_map(Act::Lead),
        4 => Just(Act::Restore),
        8 => prop::collection::vec(0u64..120, TARGETS as usize).prop_map(Act::Answer),
        1 => Just(Act::FailList),
        8 => (0usize..4, any::<u8>()).prop_map(|(nth, stored)| Act::Finish(nth, stored)),
        2 => (1..=CONFIGS, prop::option::of(0u32..90), 0u32..200, 0u32..60, 0u16..4, prop::bool::weighted(0.1), prop::bool::weighted(0.1))
            .prop_map(|(number, every, cooldown, check, concurrent, suspended, off)| Act::Config {
                number, every, cooldown, check, concurrent, suspended, off,
            }),
        1 => (1..=CONFIGS).prop_map(Act::RemoveConfig),
        3 => (1..=TARGETS, prop::bool::weighted(0.8), 0u8..3, prop::bool::weighted(0.1), prop_oneof![9 => Just(6060u16), 1 => Just(10250u16)])
            .prop_map(|(number, opted_in, node, terminating, port)| Act::Target { number, opted_in, node, terminating, port }),
        1 => (1..=TARGETS).prop_map(Act::RemoveTarget),
        1 => Just(Act::Relist),
        1 => Just(Act::Crash),
        2 => (0u64..20, 1..=CONFIGS, 1..=TARGETS).prop_map(|(id, config, target)| Act::Request { id, config, target }),
        1 => Just(Act::Duplicate),
    ]
}

fn begin(hash_seed: u64) -> Checked {
    let settings = Settings {
        captures_max: 3,
        starts_per_second_max: 2,
        namespace_lists_max: 1,
        hash_seed,
        ..Settings::default()
    };
    let mut world = Checked::new(settings);
    for number in 1..=CONFIGS {
        world.apply_config(config(
            number,
            namespace(number),
            Some(THRESHOLD),
            (number == 2).then_some(35),
        ));
    }
    for number in 1..=TARGETS {
        world.apply_target(target(number, namespace(number), &format!("node-{}", number % 3)));
    }
    world.relist();
    world.lead(true);
    while !world.restores.is_empty() {
        world.restore();
    }
    world
}

fn namespace(number: u128) -> &'static str {
    if number.is_multiple_of(2) { "even" } else { "odd" }
}

fn play(world: &mut Checked, act: &Act) -> Vec<Command> {
    match act {
        Act::Pass(millis) => {
            // As the operator does: first at the moment the world asked for, then at the end.
            let end = world.mono + millis;
            let mut commands = Vec::new();
            for _ in 0..1_000 {
                let Some(wake) = world.world.next_wake().filter(|wake| wake.0 < end) else {
                    break;
                };
                world.mono = wake.0.max(world.mono);
                commands.extend(world.step(Event::Tick));
            }
            world.mono = end;
            commands.extend(world.step(Event::Tick));
            commands
        }
        Act::Lead(leader) => world.lead(*leader),
        Act::Restore => world.restore(),
        Act::Answer(percent) => world.answer(|target| {
            let percent = percent[usize::try_from(target.id.0 - 1).unwrap()];
            (percent != 0).then_some((percent, percent / 2))
        }),
        Act::FailList => world.fail_list(),
        Act::Finish(nth, stored) => world.finish(
            *nth,
            |one| stored & (1 << (one.letter() as u8 % 8)) != 0,
            Reason::ConnectionRefused,
        ),
        Act::Config {
            number,
            every,
            cooldown,
            check,
            concurrent,
            suspended,
            off,
        } => {
            let threshold = ThresholdPolicy {
                cooldown_seconds: *cooldown,
                check_interval_seconds: *check,
                ..THRESHOLD
            };
            let mut facts = config(*number, namespace(*number), (!off).then_some(threshold), *every);
            facts.generation = i64::try_from(world.mono).unwrap();
            if let Ok(policy) = &mut facts.policy {
                policy.suspended = *suspended;
                policy.concurrent_max = *concurrent;
                if *number == 3 {
                    policy.scope = Scope::All;
                }
            }
            world.apply_config(facts)
        }
        Act::RemoveConfig(number) => world.remove_config(ConfigId(*number)),
        Act::Target {
            number,
            opted_in,
            node,
            terminating,
            port,
        } => {
            let node = if *node == 0 {
                String::new()
            } else {
                format!("node-{node}")
            };
            let mut facts = target(*number, namespace(*number), &node);
            facts.opted_in = *opted_in;
            facts.terminating = *terminating;
            facts.port = Port::Number(*port);
            world.apply_target(facts)
        }
        Act::RemoveTarget(number) => world.remove_target(TargetId(*number)),
        Act::Relist => world.relist(),
        Act::Crash => {
            world.crash();
            Vec::new()
        }
        Act::Request { id, config, target } => world.step(Event::Requested {
            id: *id,
            by: "ada".into(),
            config: ConfigId(*config),
            target: TargetId(*target),
            types: TypeSet::EMPTY.with(ProfileType::Goroutine),
        }),
        Act::Duplicate => {
            // Answers to nothing: they do nothing.
            let outcome = planner::CaptureOutcome {
                capture: planner::CaptureId(42),
                types: Vec::new(),
            };
            let mut commands = world.step(Event::CaptureFinished(Box::new(outcome)));
            commands.extend(world.step(Event::Usage(UsageSample {
                request: SampleId(u64::MAX),
                targets: Vec::new(),
            })));
            commands.extend(world.step(Event::UsageFailed {
                request: SampleId(u64::MAX),
                message: "".into(),
            }));
            commands
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: soak::cases(96), failure_persistence: None, ..ProptestConfig::default() })]

    /// One capture per target, budgets, cooldowns, intervals, opt-in, leadership: see `Checked`.
    #[test]
    fn no_story_breaks_an_invariant(acts in prop::collection::vec(act(), 1..120)) {
        let mut world = begin(0);
        for act in &acts {
            play(&mut world, act);
        }
    }

    #[test]
    fn the_same_events_give_the_same_commands(acts in prop::collection::vec(act(), 1..60)) {
        let (mut first, mut second) = (begin(0), begin(7));
        // Another seed of the hash of names must not show.
        for act in &acts {
            prop_assert_eq!(play(&mut first, act), play(&mut second, act));
        }
    }

    /// What was decided does not depend on what was seen once more.
    #[test]
    fn a_resync_anywhere_changes_nothing(acts in prop::collection::vec((act(), any::<bool>(), any::<bool>()), 1..60)) {
        let (mut plain, mut resynced) = (begin(0), begin(0));
        for (act, resync, relist) in &acts {
            prop_assert_eq!(play(&mut plain, act), play(&mut resynced, act));
            if *resync {
                resynced.resync();
            }
            if *relist {
                prop_assert_eq!(resynced.relist(), Vec::new());
            }
        }
    }

    /// Until the moment it asked to be woken at, time alone does nothing.
    #[test]
    fn nothing_happens_before_the_next_wake(acts in prop::collection::vec(act(), 1..60)) {
        let mut world = begin(0);
        for act in &acts {
            play(&mut world, act);
            let before = world.world.next_wake().map_or(world.mono + 1_000_000, |wake| wake.0.saturating_sub(1));
            if before > world.mono {
                let mut early = world.clone();
                early.mono = before;
                prop_assert_eq!(early.step(Event::Tick), Vec::new());
            }
        }
    }

    /// Numbers that nobody sane would send.
    #[test]
    fn no_number_panics(
        events in prop::collection::vec((any::<u64>(), any::<i64>(), any::<[u64; 4]>(), any::<[u32; 5]>(), 0u8..5), 1..40),
    ) {
        let mut world = World::new(Settings { backoff_seconds_max: u32::MAX, backoff_seconds_min: u32::MAX, ..Settings::default() });
        let mut mono = 0u64;
        let mut jobs = Vec::new();
        for (passed, wall, numbers, small, kind) in events {
            mono = mono.saturating_add(passed % (1 << (small[0] % 64)));
            let now = Now { mono: Mono(mono), wall: Wall(wall) };
            for event in hostile(numbers, small, kind, &mut jobs) {
                for command in world.step(now, event) {
                    match command {
                        Command::Capture(job) => jobs.push(*job),
                        Command::Restore(request) => {
                            let restored = Event::Restored { config: request.config, captures: Vec::new() };
                            for command in world.step(now, restored) {
                                if let Command::Capture(job) = command {
                                    jobs.push(*job);
                                }
                            }
                        }
                        Command::Sample(_) | Command::Cancel { .. } | Command::Notify(_) => {}
                    }
                }
                let _wake = world.next_wake();
            }
            let _why = world.why(now, "odd", "pod-1");
            let _status = world.status(now, ConfigId(1));
        }
    }
}

fn hostile(numbers: [u64; 4], small: [u32; 5], kind: u8, jobs: &mut Vec<planner::CaptureJob>) -> Vec<Event> {
    let limits = |one: u64| (!one.is_multiple_of(3)).then_some(one);
    match kind {
        0 => {
            let threshold = ThresholdPolicy {
                cpu_percent: small[1] as u16,
                memory_percent: small[2] as u16,
                check_interval_seconds: small[3],
                cooldown_seconds: small[4],
            };
            let mut facts = config(1, "odd", Some(threshold), Some(small[0]));
            if let (Ok(policy), true) = (&mut facts.policy, small[0].is_multiple_of(2)) {
                policy.on_demand = Some(OnDemandPolicy { interval_seconds: 0 });
            }
            vec![Event::Leadership(true), Event::ConfigApplied(Box::new(facts))]
        }
        1 => {
            let mut facts = target(1, "odd", "node");
            facts.started_at = Some(Wall(numbers[0] as i64));
            facts.phase = Phase::Running;
            facts.containers = vec![ContainerFacts {
                name: "main".into(),
                cpu_limit_millis: limits(numbers[0]),
                cpu_request_millis: limits(numbers[1]),
                memory_limit_bytes: limits(numbers[2]),
                memory_request_bytes: limits(numbers[3]),
                declares_port: true,
            }];
            vec![Event::TargetApplied(Box::new(facts))]
        }
        2 => (1..4)
            .map(|request| {
                let usage = TargetUsage {
                    namespace: "odd".into(),
                    name: "pod-1".into(),
                    taken_at: Wall(numbers[0] as i64),
                    age_millis: numbers[1] % 10_000,
                    window_millis: numbers[1],
                    containers: vec![ContainerUsage {
                        name: "main".into(),
                        cpu_nanos: Some(numbers[2]),
                        memory_bytes: Some(numbers[3]),
                    }],
                };
                Event::Usage(UsageSample {
                    request: SampleId(request),
                    targets: vec![usage],
                })
            })
            .collect(),
        3 => jobs
            .drain(..)
            .map(|job| {
                Event::CaptureFinished(Box::new(planner::CaptureOutcome {
                    capture: job.id,
                    types: Vec::new(),
                }))
            })
            .collect(),
        _ => vec![Event::Tick],
    }
}
