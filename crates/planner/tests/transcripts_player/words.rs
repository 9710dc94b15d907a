//! How a transcript is written: words, times, and the objects they stand for.

use planner::{
    ContainerFacts, LabelSelector, OnDemandPolicy, Policy, ProfileType, Reason, Scope, StorePolicy, ThresholdPolicy,
    Transport, TypeSet, Wall,
};

use super::DAY;

/// `name key=value flag` split up.
pub(super) struct Words<'l>(pub(super) Vec<&'l str>);

impl<'l> Words<'l> {
    pub(super) fn of(line: &'l str) -> Self {
        Self(line.split_whitespace().collect())
    }

    pub(super) fn name(&self) -> &'l str {
        self.0.first().expect("a name")
    }

    pub(super) fn get(&self, key: &str) -> Option<&'l str> {
        self.0.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.get(key).map(|word| {
            word.trim_end_matches('%')
                .parse()
                .unwrap_or_else(|_| panic!("{key}={word}"))
        })
    }

    pub(super) fn has(&self, flag: &str) -> bool {
        self.0.contains(&flag)
    }
}

pub(super) fn policy(words: &Words<'_>, namespace: &str) -> Policy {
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
        transport: if words.has("pod-ip") {
            Transport::PodIp
        } else {
            Transport::PortForward
        },
        concurrent_max: small("concurrent", 1),
        body_bytes_max: 64 << 20,
    }
}

/// `name:cpu:memory`, a limit of each, `r500` for a request, `-` for neither.
pub(super) fn container(text: &str) -> ContainerFacts {
    let [name, cpu, memory] = text.split(':').collect::<Vec<_>>().try_into().expect("name:cpu:memory");
    let mut facts = container_facts(name, cpu.parse().ok(), memory.parse().ok());
    facts.cpu_request_millis = cpu.strip_prefix('r').map(|one| one.parse().unwrap());
    facts.memory_request_bytes = memory.strip_prefix('r').map(|one| one.parse().unwrap());
    facts
}

pub(super) fn container_facts(name: &str, cpu: Option<u64>, memory: Option<u64>) -> ContainerFacts {
    ContainerFacts {
        name: name.into(),
        cpu_limit_millis: cpu,
        cpu_request_millis: None,
        memory_limit_bytes: memory,
        memory_request_bytes: None,
        declares_port: false,
    }
}

pub(super) fn types(list: &str) -> TypeSet {
    list.split(',')
        .map(|word| ProfileType::parse(word).unwrap_or_else(|| panic!("no type {word}")))
        .collect()
}

pub(super) fn reason_of(word: &str) -> Reason {
    Reason::ALL
        .iter()
        .copied()
        .find(|one| one.as_camel() == word)
        .unwrap_or_else(|| panic!("no reason {word}"))
}

pub(super) fn millis(time: &str) -> u64 {
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hours, minutes, seconds]: [u64; 3] = time
        .split(':')
        .map(|part| part.parse().expect("a number"))
        .collect::<Vec<_>>()
        .try_into()
        .expect("hh:mm:ss");
    ((hours * 60 + minutes) * 60 + seconds) * 1_000 + format!("{fraction:0<3}").parse::<u64>().expect("a fraction")
}

pub(super) fn clock(millis: u64) -> String {
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

pub(super) fn wall(at: Wall) -> String {
    clock(u64::try_from(at.0 - DAY).unwrap_or(0))
}
