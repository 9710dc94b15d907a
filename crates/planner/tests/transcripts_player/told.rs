//! What a transcript says of commands, status and reasons.

use std::fmt::Write;

use planner::{
    Command, ConfigId, NoticeTarget, ProfileType, Resource, SampleId, SampleRequest, SampleScope, Totals, Trigger,
};

use super::Player;
use super::words::{Words, wall};

impl Player {
    pub(super) fn status(&mut self, words: &Words<'_>) {
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
        let Totals { captured, failed } = status.totals;
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

    pub(super) fn why(&mut self, words: &Words<'_>) {
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

    pub(super) fn count(&mut self) {
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

    pub(super) fn render(&self, command: &Command) -> String {
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
