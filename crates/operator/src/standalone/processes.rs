//! Processes of this machine as targets: who they are, and what they use.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use capture::Identity;
use planner::{
    CaptureJob, ContainerFacts, ContainerUsage, Event, Mono, Phase, Port, SampleRequest, SampleScope, TargetFacts,
    TargetId, TargetUsage, UsageSample,
};

use super::file::LocalTarget;
use super::resources::{Limits, Process};
use crate::clock::Clock;

/// Most processes followed: a pattern that fits everything is a mistake, not a wish.
const PROCESSES_MAX: usize = 1_024;
/// CPU usage is an average over at least this long.
const WINDOW_MILLIS: u64 = 5_000;
/// The name of the only container a process has.
const CONTAINER: &str = "process";

/// The processes that targets name.
pub struct Processes {
    targets: Vec<LocalTarget>,
    clock: Clock,
    known: Mutex<BTreeMap<TargetId, Known>>,
}

struct Known {
    pid: u32,
    namespace: Box<str>,
    name: Box<str>,
    /// CPU time at the start of the window that is being measured.
    base: Reading,
    /// The last whole window.
    cpu_nanos_per_second: Option<u64>,
    window_millis: u64,
    last: Reading,
}

#[derive(Clone, Copy)]
struct Reading {
    at: Mono,
    cpu_nanos: u64,
    resident_bytes: u64,
}

impl Processes {
    /// Of these targets.
    pub fn new(targets: Vec<LocalTarget>, clock: Clock) -> Self {
        Self {
            targets,
            clock,
            known: Mutex::default(),
        }
    }

    /// Looks once; returns what came and what went.
    pub fn scan(&self) -> Vec<Event> {
        let found: BTreeMap<TargetId, (&LocalTarget, Process)> = self
            .targets
            .iter()
            .flat_map(|target| {
                find(target)
                    .into_iter()
                    .map(move |process| (identity(&process), (target, process)))
            })
            .take(PROCESSES_MAX)
            .collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events: Vec<Event> = known
            .keys()
            .filter(|id| !found.contains_key(id))
            .copied()
            .map(Event::TargetRemoved)
            .collect();
        known.retain(|id, _| found.contains_key(id));
        let now = self.clock.now();
        for (id, (target, process)) in &found {
            let reading = Reading {
                at: now.mono,
                cpu_nanos: process.cpu_nanos,
                resident_bytes: process.resident_bytes,
            };
            if let Some(one) = known.get_mut(id) {
                one.read(reading);
            } else {
                let facts = facts(*id, target, process);
                known.insert(*id, Known::new(&facts, process.pid, reading));
                events.push(Event::TargetApplied(Box::new(facts)));
            }
        }
        events
    }

    /// What they use, as of the last look.
    pub fn usage(&self, request: &SampleRequest) -> UsageSample {
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |one: &&Known| match &request.scope {
            SampleScope::Namespace(namespace) => one.namespace == *namespace,
            SampleScope::Cluster => true,
        };
        let usage = |one: &Known| {
            let age_millis = now.mono.millis_since(one.last.at);
            TargetUsage {
                namespace: one.namespace.clone(),
                name: one.name.clone(),
                taken_at: planner::Wall(now.wall.0.saturating_sub(i64::try_from(age_millis).unwrap_or(0))),
                age_millis,
                window_millis: one.window_millis,
                containers: vec![ContainerUsage {
                    name: CONTAINER.into(),
                    cpu_nanos: one.cpu_nanos_per_second,
                    memory_bytes: Some(one.last.resident_bytes),
                }],
            }
        };
        UsageSample {
            request: request.id,
            targets: known.values().filter(wanted).map(usage).collect(),
        }
    }

    /// Who answers for a job now: the same process, or none.
    pub fn identify(&self, job: &CaptureJob) -> Option<Identity> {
        let pid = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&job.target)?
            .pid;
        let process = Process::read(pid)?;
        Some(Identity {
            target: identity(&process),
            restarts: 0,
            terminating: false,
        })
    }
}

impl Known {
    fn new(facts: &TargetFacts, pid: u32, first: Reading) -> Self {
        Self {
            pid,
            namespace: facts.namespace.clone(),
            name: facts.name.clone(),
            base: first,
            cpu_nanos_per_second: None,
            window_millis: 0,
            last: first,
        }
    }

    fn read(&mut self, reading: Reading) {
        self.last = reading;
        let window_millis = reading.at.millis_since(self.base.at);
        if window_millis >= WINDOW_MILLIS {
            let used = reading.cpu_nanos.saturating_sub(self.base.cpu_nanos);
            self.cpu_nanos_per_second = Some(used.saturating_mul(1_000) / window_millis);
            self.window_millis = window_millis;
            self.base = reading;
        }
    }
}

/// A process is itself by its id and start time: ids are used again.
fn identity(process: &Process) -> TargetId {
    TargetId(u128::from(process.started_ticks) << 32 | u128::from(process.pid))
}

fn find(target: &LocalTarget) -> Vec<Process> {
    if let Some(pid) = target.pid {
        return Process::read(pid).into_iter().collect();
    }
    let Some(executable) = target.executable.as_deref() else {
        return Vec::new();
    };
    Process::all()
        .filter(|process| runs(process, executable))
        .take(PROCESSES_MAX)
        .collect()
}

fn runs(process: &Process, executable: &str) -> bool {
    let Some(path) = &process.executable else { return false };
    if executable.contains('/') {
        path == Path::new(executable)
    } else {
        path.file_name().is_some_and(|name| name == executable)
    }
}

fn facts(id: TargetId, target: &LocalTarget, process: &Process) -> TargetFacts {
    let limits = Limits::of(target, process);
    TargetFacts {
        id,
        namespace: target.namespace.as_str().into(),
        // A name of its own for each of several processes of one program.
        name: if target.pid.is_some() {
            target.name.as_str().into()
        } else {
            format!("{}-{}", target.name, process.pid).into()
        },
        service: target.name.as_str().into(),
        node: "local".into(),
        labels: target
            .labels
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect(),
        opted_in: true,
        port: Port::Number(target.port),
        address: Some(std::net::Ipv4Addr::LOCALHOST.into()),
        containers: vec![ContainerFacts {
            name: CONTAINER.into(),
            cpu_limit_millis: Some(limits.cpu_millis),
            cpu_request_millis: None,
            memory_limit_bytes: Some(limits.memory_bytes),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standalone::Standalone;
    use planner::SampleId;

    /// This test's own process, under a name.
    fn this_process() -> Vec<LocalTarget> {
        let text = format!(
            "kind: ProfilingConfig\nmetadata: {{name: all}}\nspec: {{s3Config: {{bucket: profiles}}}}\n---\nkind: LocalTargets\ntargets:\n- {{name: self, pid: {}, limits: {{cpu: 250m, memory: 1Gi}}}}\n",
            std::process::id()
        );
        Standalone::parse(&text, None).unwrap().targets
    }

    #[test]
    fn a_process_comes_once_and_has_its_limits() {
        let processes = Processes::new(this_process(), Clock::start());
        let [Event::TargetApplied(facts)] = &processes.scan()[..] else {
            panic!("one target comes")
        };
        assert_eq!(facts.containers[0].cpu_limit_millis, Some(250));
        assert_eq!(facts.containers[0].memory_limit_bytes, Some(1 << 30));
        assert_eq!(processes.scan(), Vec::new());
        let usage = processes.usage(&SampleRequest {
            id: SampleId(1),
            scope: SampleScope::Cluster,
        });
        assert!(usage.targets[0].containers[0].memory_bytes.unwrap() > 0);
        let elsewhere = SampleRequest {
            id: SampleId(2),
            scope: SampleScope::Namespace("other".into()),
        };
        assert!(processes.usage(&elsewhere).targets.is_empty());
    }

    #[test]
    fn cpu_is_an_average_over_a_window() {
        let facts = facts(
            TargetId(1),
            &this_process()[0],
            &Process::read(std::process::id()).unwrap(),
        );
        let at = |seconds: u64, cpu_nanos| Reading {
            at: Mono(seconds * 1_000),
            cpu_nanos,
            resident_bytes: 1,
        };
        let mut known = Known::new(&facts, 1, at(0, 0));
        known.read(at(1, 900_000_000));
        assert_eq!(known.cpu_nanos_per_second, None, "one second is too short a window");
        known.read(at(5, 2_500_000_000));
        assert_eq!(known.cpu_nanos_per_second, Some(500_000_000));
        known.read(at(10, 2_500_000_000));
        assert_eq!(known.cpu_nanos_per_second, Some(0));
    }
}
