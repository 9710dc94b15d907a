//! The planner's two figures: time to decide one usage sample of 10,000 pods, and memory per tracked pod.
//!
//! `cargo run --release -p profiling-planner --example figures`

use std::time::Duration;

use planner::{
    Command, ConfigFacts, ConfigId, ContainerFacts, ContainerUsage, Event, LabelSelector, Mono, Now, Phase, Policy,
    Port, ProfileType, Relisted, SampleId, Scope, Settings, StorePolicy, TargetFacts, TargetId, TargetUsage,
    ThresholdPolicy, Totals, Transport, UsageSample, Wall, World,
};
use testkit::cost::own_cpu;

const SAMPLE_PODS: u32 = 10_000;
const SAMPLE_MILLIS_MAX: f64 = 5.0;
const TRACKED_PODS: u32 = 100_000;
const BYTES_PER_POD_MAX: u64 = 512;
const ROUNDS: u64 = 21;

#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
fn main() {
    // Each memory figure is taken in a process of its own: what another left in the allocator would hide some of it.
    match std::env::args().nth(1).as_deref() {
        Some("deployments") => println!("{}", bytes_per_pod(Kind::Deployment)),
        Some("stateful-sets") => println!("{}", bytes_per_pod(Kind::StatefulSet)),
        _ => table(),
    }
}

#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
fn table() {
    println!("| figure | measured | bound |");
    println!("|---|---|---|");
    for (name, hot) in [("none", 0), ("1 %", 100)] {
        let millis = decide(hot);
        println!(
            "| one sample of {SAMPLE_PODS} pods, {name} hot, CPU time, median | {millis:.2} ms | {SAMPLE_MILLIS_MAX} ms |"
        );
    }
    for (name, kind) in [
        ("Deployments of 20", "deployments"),
        ("StatefulSets of 20", "stateful-sets"),
    ] {
        let bytes = in_a_child(kind);
        println!("| memory per pod, {TRACKED_PODS} pods of {name} | {bytes} B | {BYTES_PER_POD_MAX} B |");
    }
}

fn in_a_child(kind: &str) -> String {
    let run = |path| std::process::Command::new(path).arg(kind).output();
    let output = std::env::current_exe().and_then(run);
    output
        .map(|one| String::from_utf8_lossy(&one.stdout).trim().into())
        .unwrap_or_else(|error| error.to_string())
}

/// How alike pods are.
#[derive(Clone, Copy)]
enum Kind {
    /// Replicas have the same labels.
    Deployment,
    /// Each has its own name and index among its labels.
    StatefulSet,
}

/// Median milliseconds from a sample to its commands.
fn decide(hot: u32) -> f64 {
    let mut world = World::new(Settings::default());
    let mut millis = 1_000_000;
    let now = |millis: u64| Now {
        mono: Mono(millis),
        wall: Wall(1_772_323_200_000 + i64::try_from(millis).unwrap_or(0)),
    };
    world.step(now(millis), Event::ConfigApplied(Box::new(config(ConfigId(1)))));
    fill(&mut world, now(millis), SAMPLE_PODS, Kind::Deployment);
    world.step(now(millis), Event::Leadership(true));
    let mut request = asked(&world.step(
        now(millis),
        Event::Restored {
            config: ConfigId(1),
            captures: Vec::new(),
        },
    ));
    let mut taken: Vec<Duration> = Vec::new();
    for _ in 0..ROUNDS {
        let sample = sample(request, now(millis).wall, hot);
        let before = own_cpu();
        let commands = world.step(now(millis), Event::Usage(sample));
        // CPU time: what else the machine does is not in it.
        taken.push(own_cpu() - before);
        assert_eq!(
            commands.is_empty(),
            hot == 0 || taken.len() > 1,
            "the first hot sample starts a capture"
        );
        millis += 30_000;
        request = asked(&world.step(now(millis), Event::Tick));
    }
    taken.sort();
    taken
        .get(taken.len() / 2)
        .map_or(0.0, |median| median.as_secs_f64() * 1_000.0)
}

fn asked(commands: &[Command]) -> SampleId {
    let mut ids = commands.iter().filter_map(|command| match command {
        Command::Sample(request) => Some(request.id),
        Command::Restore(_) | Command::Capture(_) | Command::Cancel { .. } | Command::Notify(_) => None,
    });
    ids.next_back().unwrap_or(SampleId(0))
}

/// Resident bytes per pod: the growth of this process over a filled world, against one with a thousandth of the pods.
fn bytes_per_pod(kind: Kind) -> u64 {
    let mut world = World::new(Settings::default());
    let now = Now {
        mono: Mono(1_000_000),
        wall: Wall(1_772_323_200_000),
    };
    world.step(now, Event::ConfigApplied(Box::new(config(ConfigId(1)))));
    // What the allocator takes in once is not the pods'.
    fill(&mut world, now, TRACKED_PODS / 1_000, kind);
    let before = resident_bytes();
    fill(&mut world, now, TRACKED_PODS, kind);
    let after = resident_bytes();
    assert_eq!(world.target_count(), TRACKED_PODS as usize);
    (after - before) / u64::from(TRACKED_PODS)
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0);
    pages * 4_096
}

fn fill(world: &mut World, now: Now, pods: u32, kind: Kind) {
    world.step(now, Event::RelistStarted(Relisted::Targets));
    for number in 0..pods {
        world.step(now, Event::TargetApplied(Box::new(pod(number, kind))));
    }
    world.step(now, Event::RelistFinished(Relisted::Targets));
}

fn name(number: u32) -> Box<str> {
    format!("service-{}-7d9c5b6f4d-{:05}", number / 20, number % 20).into()
}

fn pod(number: u32, kind: Kind) -> TargetFacts {
    let service = format!("service-{}", number / 20);
    let mut labels: Vec<(Box<str>, Box<str>)> = vec![
        ("app.kubernetes.io/instance".into(), service.as_str().into()),
        ("app.kubernetes.io/managed-by".into(), "helm".into()),
        ("app.kubernetes.io/name".into(), service.as_str().into()),
        ("pod-template-hash".into(), "7d9c5b6f4d".into()),
        ("team".into(), format!("team-{}", number / 500).into()),
    ];
    if matches!(kind, Kind::StatefulSet) {
        labels.push(("apps.kubernetes.io/pod-index".into(), format!("{}", number % 20).into()));
        labels.push(("statefulset.kubernetes.io/pod-name".into(), name(number)));
    }
    labels.sort();
    TargetFacts {
        // Uids are random: spread over all of them, as the tree of identities will see them.
        id: TargetId(u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
        namespace: "team".into(),
        name: name(number),
        service: service.into(),
        node: format!("ip-10-0-{}-{}.compute.internal", number / 30 / 256, number / 30 % 256).into(),
        labels,
        opted_in: true,
        port: Port::Number(6060),
        address: Some(std::net::Ipv4Addr::from(number).into()),
        containers: vec![
            ContainerFacts {
                name: "main".into(),
                cpu_limit_millis: Some(1_000),
                cpu_request_millis: Some(500),
                memory_limit_bytes: Some(1 << 30),
                memory_request_bytes: Some(1 << 29),
                declares_port: true,
            },
            ContainerFacts {
                name: "proxy".into(),
                cpu_limit_millis: Some(100),
                cpu_request_millis: Some(50),
                memory_limit_bytes: Some(1 << 28),
                memory_request_bytes: Some(1 << 27),
                declares_port: false,
            },
        ],
        container: None,
        host_network: false,
        phase: Phase::Running,
        terminating: false,
        started_at: Some(Wall(1_772_000_000_000)),
    }
}

fn sample(request: SampleId, at: Wall, hot: u32) -> UsageSample {
    let targets = (0..SAMPLE_PODS)
        .map(|number| TargetUsage {
            namespace: "team".into(),
            name: name(number),
            taken_at: at,
            age_millis: 5_000,
            window_millis: 15_000,
            containers: vec![
                ContainerUsage {
                    name: "main".into(),
                    cpu_nanos: Some(if number < hot { 950_000_000 } else { 50_000_000 }),
                    memory_bytes: Some(1 << 28),
                },
                ContainerUsage {
                    name: "proxy".into(),
                    cpu_nanos: Some(1_000_000),
                    memory_bytes: Some(1 << 20),
                },
            ],
        })
        .collect();
    UsageSample { request, targets }
}

fn config(id: ConfigId) -> ConfigFacts {
    ConfigFacts {
        id,
        namespace: "team".into(),
        name: "all".into(),
        generation: 1,
        totals: Totals::default(),
        policy: Ok(Policy {
            suspended: false,
            scope: Scope::Namespace("team".into()),
            selector: LabelSelector::default(),
            threshold: Some(ThresholdPolicy {
                cpu_percent: 80,
                memory_percent: 90,
                check_interval_seconds: 30,
                cooldown_seconds: 300,
            }),
            on_demand: None,
            store: StorePolicy {
                bucket: "bucket".into(),
                prefix: "profiles".into(),
                region: None,
                endpoint: None,
            },
            types: ProfileType::DEFAULT.into_iter().collect(),
            cpu_seconds: 30,
            transport: Transport::PortForward,
            concurrent_max: 16,
            body_bytes_max: 1 << 26,
        }),
    }
}
