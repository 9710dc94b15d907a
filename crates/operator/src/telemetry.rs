//! Metrics and logs. Labels come from closed sets: no object names, no error texts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use planner::{CaptureJob, Counters, Mono, ProfileType, Reason, Resource};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::clock::Clock;
use crate::lease::Standing;

/// Sets the format and the level of logs. `level` is a filter as `tracing` reads it: `info`, `debug`,
/// `operator=debug,kube=warn`; blank, as an empty variable of the environment is, it is `info`.
pub fn start_logs(level: &str, json: bool) -> anyhow::Result<()> {
    let filter = log_filter(level)?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = if json {
        logs.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        logs.with_target(false).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

/// A filter, whose every part is a level or gives one to a target. To `tracing`, a word alone that is no level is a target
/// of that name: `warning` would silence everything else.
fn log_filter(written: &str) -> anyhow::Result<EnvFilter> {
    let parts = written.split(',').map(str::trim).filter(|part| !part.is_empty());
    for part in parts.clone() {
        let no_level = part.parse::<LevelFilter>().is_err();
        if no_level && !part.contains('=') {
            bail!(
                "log level `{part}` is none of error, warn, info, debug, trace and off; for one part of the program, write \
                 for example {part}=debug"
            );
        }
    }
    let filter = parts.collect::<Vec<_>>().join(",");
    let filter = if filter.is_empty() { "info" } else { &filter };
    EnvFilter::try_new(filter).with_context(|| {
        format!("log filter `{filter}` cannot be read; write a level (error, warn, info, debug), or operator=debug,kube=warn")
    })
}

/// How a capture of one type ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CaptureLabels {
    reason: String,
    r#type: &'static str,
    outcome: String,
}

/// One label of a closed set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    stage: &'static str,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResourceLabel {
    resource: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabel {
    queue: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabel {
    watch: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: String,
}

/// Everything that is counted. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    clock: Clock,
    registry: Arc<Mutex<Registry>>,
    described: Arc<[Described]>,
    captures: Family<CaptureLabels, Counter>,
    uploads: Family<OutcomeLabel, Counter>,
    errors: Family<ErrorLabels, Counter>,
    violations: Family<ResourceLabel, Counter>,
    capture_seconds: Family<TypeLabel, Histogram>,
    profile_bytes: Family<TypeLabel, Histogram>,
    decision_to_request_seconds: Histogram,
    refused: Family<QueueLabel, Counter>,
    undecodable: Family<WatchLabel, Counter>,
    relists: Family<WatchLabel, Counter>,
    missed_slots: Counter,
    checks: Counter,
    held: Family<ReasonLabel, Counter>,
    targets: Gauge,
    configs: Gauge,
    running: Gauge,
    leader: Gauge,
    resident_bytes: Gauge,
    watch_age_seconds: Family<WatchLabel, Gauge>,
    /// When each watch last made progress, by name.
    watches: Arc<Mutex<Vec<Watched>>>,
    election_age_seconds: Gauge,
    /// How the election goes, where there is one.
    election: Arc<OnceLock<Standing>>,
    heartbeat: Arc<AtomicU64>,
}

/// What the actor reports after each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Tracked targets.
    pub targets: usize,
    /// Known configs.
    pub configs: usize,
    /// Captures in progress.
    pub running: usize,
    /// Whether this replica acts.
    pub leader: bool,
}

impl Telemetry {
    /// Registers every metric.
    pub fn new(clock: Clock) -> Self {
        let mut this = Self {
            clock,
            described: Arc::default(),
            registry: Arc::default(),
            captures: Family::default(),
            uploads: Family::default(),
            errors: Family::default(),
            violations: Family::default(),
            // From 10 ms to about 3 minutes: a heap of a small pod to a CPU profile of 120 s.
            capture_seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.01, 2.0, 15))),
            // From 1 KiB to 1 GiB, the largest body that a config may allow.
            profile_bytes: Family::new_with_constructor(|| Histogram::new(exponential_buckets(1024.0, 4.0, 11))),
            decision_to_request_seconds: Histogram::new(exponential_buckets(0.005, 2.0, 12)),
            refused: Family::default(),
            undecodable: Family::default(),
            relists: Family::default(),
            missed_slots: Counter::default(),
            checks: Counter::default(),
            held: Family::default(),
            targets: Gauge::default(),
            configs: Gauge::default(),
            running: Gauge::default(),
            leader: Gauge::default(),
            resident_bytes: Gauge::default(),
            watch_age_seconds: Family::default(),
            watches: Arc::default(),
            election_age_seconds: Gauge::default(),
            election: Arc::default(),
            heartbeat: Arc::new(AtomicU64::new(clock.mono().0)),
        };
        this.described = this.register().into();
        this.begin_at_zero();
        this
    }

    /// Series that people make alerts of are there before the first event: a rate does not see the step from nothing to
    /// one, and a page without a documented name looks broken.
    fn begin_at_zero(&self) {
        for reason in [Reason::ThresholdExceeded, Reason::OnDemand, Reason::Requested] {
            for profile_type in ProfileType::ALL {
                drop(self.captures.get_or_create(&CaptureLabels {
                    reason: reason.as_kebab(),
                    r#type: profile_type.as_str(),
                    outcome: Reason::ProfileCaptured.as_kebab(),
                }));
            }
        }
        for outcome in [Reason::StorageReady, Reason::StorageUnavailable] {
            drop(self.uploads.get_or_create(&OutcomeLabel {
                outcome: outcome.as_kebab(),
            }));
        }
        for (stage, reason) in [
            ("capture", Reason::TimedOut),
            ("event", Reason::TimedOut),
            ("record", Reason::StorageUnavailable),
            ("restore", Reason::StorageUnavailable),
            ("usage", Reason::MetricsUnavailable),
        ] {
            drop(self.errors.get_or_create(&ErrorLabels {
                stage,
                reason: reason.as_kebab(),
            }));
        }
        self.planner_counts(&Counters::default());
    }

    fn register(&self) -> Vec<Described> {
        let mut registry = lock(&self.registry);
        let mut catalogue = Catalogue {
            registry: &mut registry,
            described: Vec::new(),
        };
        catalogue.add(
            "profiling_captures",
            &["reason", "type", "outcome"],
            "Profiles asked of targets: why, which, and what came of it",
            self.captures.clone(),
        );
        catalogue.add(
            "profiling_uploads",
            &["outcome"],
            "Profiles given to the store",
            self.uploads.clone(),
        );
        catalogue.add(
            "profiling_errors",
            &["stage", "reason"],
            "Failures, by where they happened",
            self.errors.clone(),
        );
        catalogue.add(
            "profiling_threshold_violations",
            &["resource"],
            "Samples above a threshold of a config",
            self.violations.clone(),
        );
        catalogue.add(
            "profiling_capture_seconds",
            &["type"],
            "Duration of one type of a capture",
            self.capture_seconds.clone(),
        );
        catalogue.add(
            "profiling_profile_bytes",
            &["type"],
            "Size of stored profiles",
            self.profile_bytes.clone(),
        );
        catalogue.add(
            "profiling_decision_to_request_seconds",
            &[],
            "Time from a decision to the first byte asked of its target",
            self.decision_to_request_seconds.clone(),
        );
        catalogue.add(
            "profiling_queue_refused",
            &["queue"],
            "Items that a full queue refused",
            self.refused.clone(),
        );
        catalogue.add(
            "profiling_undecodable_objects",
            &["watch"],
            "Objects of a watch that did not decode",
            self.undecodable.clone(),
        );
        catalogue.add(
            "profiling_relists",
            &["watch"],
            "Full lists of a watch",
            self.relists.clone(),
        );
        catalogue.add(
            "profiling_missed_slots",
            &[],
            "On-demand slots that nothing was free for",
            self.missed_slots.clone(),
        );
        catalogue.add(
            "profiling_checks",
            &[],
            "Targets checked against the thresholds of a config",
            self.checks.clone(),
        );
        catalogue.add(
            "profiling_held_back",
            &["reason"],
            "Checks after which nothing was captured",
            self.held.clone(),
        );
        catalogue.add("profiling_targets", &[], "Targets that opted in", self.targets.clone());
        catalogue.add("profiling_configs", &[], "ProfilingConfigs", self.configs.clone());
        catalogue.add(
            "profiling_captures_running",
            &[],
            "Captures in progress",
            self.running.clone(),
        );
        catalogue.add(
            "profiling_leader",
            &[],
            "Whether this replica is the one that acts",
            self.leader.clone(),
        );
        catalogue.add(
            "process_resident_memory_bytes",
            &[],
            "Resident memory",
            self.resident_bytes.clone(),
        );
        catalogue.add(
            "profiling_watch_age_seconds",
            &["watch"],
            "Time since a watch last made progress",
            self.watch_age_seconds.clone(),
        );
        catalogue.add(
            "profiling_election_age_seconds",
            &[],
            "Time since a round of the leader election last succeeded, or since the start while none has; 0 without election",
            self.election_age_seconds.clone(),
        );
        catalogue.described
    }

    /// One type of a capture ended, in whatever way.
    pub fn type_ended(&self, job: &CaptureJob, profile_type: ProfileType, outcome: Reason, seconds: f64, bytes: u64) {
        let labels = CaptureLabels {
            reason: job.trigger.reason().as_kebab(),
            r#type: profile_type.as_str(),
            outcome: outcome.as_kebab(),
        };
        self.captures.get_or_create(&labels).inc();
        let label = TypeLabel {
            r#type: profile_type.as_str(),
        };
        if outcome == Reason::ProfileCaptured {
            self.capture_seconds.get_or_create(&label).observe(seconds);
            // Sizes up to 1 GiB are exact in a double.
            #[expect(clippy::cast_precision_loss, reason = "a histogram's bucket needs no exact byte")]
            self.profile_bytes.get_or_create(&label).observe(bytes as f64);
        }
    }

    /// A target was asked for its first profile this long after the decision.
    pub fn first_asked(&self, decided_before: Duration) {
        self.decision_to_request_seconds.observe(decided_before.as_secs_f64());
    }

    /// A profile was given to the store.
    pub fn upload_ended(&self, outcome: Reason) {
        self.uploads
            .get_or_create(&OutcomeLabel {
                outcome: outcome.as_kebab(),
            })
            .inc();
    }

    /// Something failed.
    pub fn failed(&self, stage: &'static str, reason: Reason) {
        self.errors
            .get_or_create(&ErrorLabels {
                stage,
                reason: reason.as_kebab(),
            })
            .inc();
    }

    /// The planner's own counts, which only grow.
    pub fn planner_counts(&self, counts: &Counters) {
        let raise = |counter: &Counter, total: u64| {
            counter.inc_by(total.saturating_sub(counter.get()));
        };
        for (resource, total) in [
            (Resource::Cpu, counts.cpu_violations_total),
            (Resource::Memory, counts.memory_violations_total),
        ] {
            raise(
                &self.violations.get_or_create(&ResourceLabel {
                    resource: resource.as_str(),
                }),
                total,
            );
        }
        for (reason, total) in counts.held() {
            raise(
                &self.held.get_or_create(&ReasonLabel {
                    reason: reason.as_kebab(),
                }),
                total,
            );
        }
        raise(&self.missed_slots, counts.missed_slots_total);
        raise(&self.checks, counts.checks_total);
    }

    /// A full queue refused something.
    pub fn refused(&self, queue: &'static str) {
        self.refused.get_or_create(&QueueLabel { queue }).inc();
    }

    /// An object of a watch did not decode.
    pub fn undecodable(&self, watch: &'static str) {
        self.undecodable.get_or_create(&WatchLabel { watch }).inc();
    }

    /// A watch begins a full list.
    pub fn relisted(&self, watch: &'static str) {
        self.relists.get_or_create(&WatchLabel { watch }).inc();
    }

    /// The handle by which a watch tells that it lives.
    pub fn watch(&self, name: &'static str) -> Progress {
        let at = Arc::new(AtomicU64::new(self.clock.mono().0));
        lock(&self.watches).push((name, Arc::clone(&at)));
        Progress { clock: self.clock, at }
    }

    /// The handle by which the election tells how it goes; from now on readiness asks for it.
    pub fn candidate(&self) -> Standing {
        self.election.get_or_init(|| Standing::begin(self.clock.mono())).clone()
    }

    /// Whether this replica takes part in the election, if there is one; if it does not, why and what to do.
    pub fn election_verdict(&self) -> Result<(), String> {
        self.election
            .get()
            .map_or(Ok(()), |standing| standing.verdict(self.clock.mono()))
    }

    /// Seconds since the last good round of the election; none without election.
    pub fn election_age_seconds(&self) -> Option<u64> {
        let standing = self.election.get()?;
        Some(standing.age_seconds(self.clock.mono()))
    }

    /// The state after a step of the actor, and a sign that it lives.
    pub fn stepped(&self, gauges: Gauges) {
        self.targets.set(i64::try_from(gauges.targets).unwrap_or(i64::MAX));
        self.configs.set(i64::try_from(gauges.configs).unwrap_or(i64::MAX));
        self.running.set(i64::try_from(gauges.running).unwrap_or(i64::MAX));
        self.leader.set(i64::from(gauges.leader));
        self.heartbeat.store(self.clock.mono().0, Ordering::Release);
    }

    /// Milliseconds since the actor last showed that it lives.
    pub fn actor_silent_millis(&self) -> u64 {
        self.clock
            .mono()
            .millis_since(Mono(self.heartbeat.load(Ordering::Acquire)))
    }

    /// Seconds since each watch made progress.
    pub fn watch_ages_seconds(&self) -> Vec<(&'static str, u64)> {
        let now = self.clock.mono();
        lock(&self.watches)
            .iter()
            .map(|(name, at)| (*name, now.millis_since(Mono(at.load(Ordering::Acquire))) / 1_000))
            .collect()
    }

    /// The reference page: every metric with its type and meaning.
    pub fn reference(&self) -> String {
        let row = |one: &Described| {
            let suffix = if matches!(one.kind, MetricType::Counter) {
                "_total"
            } else {
                ""
            };
            let labels: Vec<String> = one.labels.iter().map(|label| format!("`{label}`")).collect();
            format!(
                "| `{}{suffix}` | {} | {} | {} |\n",
                one.name,
                one.kind.as_str(),
                labels.join(", "),
                one.help
            )
        };
        let rows: String = self.described.iter().map(row).collect();
        format!(
            "# Metrics\n\nServed on port 8080 under `/metrics` in the OpenMetrics format. This page is written by the test \
             `the_reference_page_is_current`.\n\nValues of labels come from closed sets: `reason` and `outcome` are words of \
             [TROUBLESHOOTING.md](TROUBLESHOOTING.md) in kebab case, `type` is a profile type, `resource` is `cpu` or `memory`, \
             `watch` is what is watched. No label holds the name of an object.\n\n| name | type | labels | meaning |\n\
             |---|---|---|---|\n{rows}"
        )
    }

    /// The text of `/metrics`.
    pub fn render(&self) -> String {
        for (name, age) in self.watch_ages_seconds() {
            self.watch_age_seconds
                .get_or_create(&WatchLabel { watch: name })
                .set(i64::try_from(age).unwrap_or(i64::MAX));
        }
        let election_age = self.election_age_seconds().unwrap_or(0);
        self.election_age_seconds
            .set(i64::try_from(election_age).unwrap_or(i64::MAX));
        self.resident_bytes.set(resident_bytes().unwrap_or(0));
        let mut text = String::new();
        if encode(&mut text, &lock(&self.registry)).is_err() {
            // Writing into a string fails only out of memory; an empty page shows it at least.
            text.clear();
        }
        text
    }
}

/// The name of a watch, and when it last made progress.
type Watched = (&'static str, Arc<AtomicU64>);

/// A registered metric, for the reference page.
#[derive(Clone, Copy, Debug)]
struct Described {
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    kind: MetricType,
}

/// Registers metrics and remembers what was said of them.
struct Catalogue<'a> {
    registry: &'a mut Registry,
    described: Vec<Described>,
}

impl Catalogue<'_> {
    fn add(&mut self, name: &'static str, labels: &'static [&'static str], help: &'static str, metric: impl Metric) {
        self.described.push(Described {
            name,
            labels,
            help,
            kind: metric.metric_type(),
        });
        self.registry.register(name, help, metric);
    }
}

/// A watch's sign of life.
#[derive(Clone, Debug)]
pub struct Progress {
    clock: Clock,
    at: Arc<AtomicU64>,
}

impl Progress {
    /// Something came, if only a bookmark.
    pub fn made(&self) {
        self.at.store(self.clock.mono().0, Ordering::Release);
    }
}

fn resident_bytes() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(i64::try_from(rustix::param::page_size()).ok()?)
}

/// A poisoned lock of counters still holds counters.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_DOCS=1 cargo test -p profiling-operator` writes the page.
    #[test]
    fn the_reference_page_is_current() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/METRICS.md");
        let wanted = Telemetry::new(Clock::start()).reference();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&page, &wanted).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&page).unwrap(),
            wanted,
            "UPDATE_DOCS=1 writes it anew"
        );
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_as_a_log_filter() {
        for good in [
            "info",
            "WARN",
            "off",
            "operator=debug,kube=warn",
            " debug, kube=off,",
            "",
            " ",
        ] {
            assert!(log_filter(good).is_ok(), "{good}");
        }
        assert_eq!(log_filter("").unwrap().to_string(), "info");
        for bad in ["warning", "verbose", "info,operator", "operator=loud"] {
            assert!(log_filter(bad).is_err(), "{bad}");
        }
        let said = log_filter("warning").unwrap_err().to_string();
        assert!(
            said.starts_with("log level `warning` is none of error, warn, info"),
            "{said}"
        );
    }

    #[test]
    fn what_is_counted_is_shown() {
        let telemetry = Telemetry::new(Clock::start());
        telemetry.failed("capture", Reason::ProfilerBusy);
        telemetry.refused("notices");
        let text = telemetry.render();
        assert!(
            text.contains("profiling_errors_total{stage=\"capture\",reason=\"profiler-busy\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("profiling_queue_refused_total{queue=\"notices\"} 1"),
            "{text}"
        );
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
    }

    /// The page says of each metric the labels that its series have.
    #[test]
    fn labels_are_those_that_are_written() {
        let telemetry = Telemetry::new(Clock::start());
        telemetry.refused("notices");
        telemetry.undecodable("pods");
        telemetry.relisted("pods");
        let _progress = telemetry.watch("pods");
        let held = ReasonLabel {
            reason: Reason::NotDue.as_kebab(),
        };
        telemetry.held.get_or_create(&held).inc();
        let heap = TypeLabel { r#type: "heap" };
        telemetry.capture_seconds.get_or_create(&heap).observe(1.0);
        telemetry.profile_bytes.get_or_create(&heap).observe(1.0);
        let text = telemetry.render();
        for one in &*telemetry.described {
            let suffix = if matches!(one.kind, MetricType::Counter) {
                "_total"
            } else if matches!(one.kind, MetricType::Histogram) {
                "_sum"
            } else {
                ""
            };
            let name = format!("{}{suffix}", one.name);
            let series = text
                .lines()
                .find_map(|line| line.strip_prefix(&name).filter(|rest| rest.starts_with(['{', ' '])))
                .unwrap_or_else(|| panic!("no series of {name}: {text}"));
            let labels: Vec<&str> = match series.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
                Some((labels, _)) => labels.split(',').filter_map(|one| one.split('=').next()).collect(),
                None => Vec::new(),
            };
            assert_eq!(labels, one.labels, "{name}");
        }
    }
}
