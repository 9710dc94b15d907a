//! What the operator costs when nothing happens, and how soon it is ready.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::replica::{self, Replica};
use e2e::seen::wall_clock;
use e2e::story::SampleApp;
use e2e::{IN_A_WHILE, Story, operator};
use jiff::Timestamp;
use testkit::wait::let_pass;
use testkit::{Cluster, cost, process, wait_until};

use crate::say;
use crate::table::{Table, largest, median};

/// The sample config, as it is shipped.
const SAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../config/samples/profiling_v1alpha1_profilingconfig.yaml"
);
/// Two intervals of the sample config pass before anything is measured.
const SETTLING: Duration = Duration::from_secs(60);
/// Four intervals of it.
const WINDOW: Duration = Duration::from_secs(120);
/// Starts observed.
const STARTS: usize = 5;

const RESIDENT_MEBIBYTES_MAX: f64 = 20.0;
const CORE_PERCENT_MAX: f64 = 1.0;
const READY_MAX: Duration = Duration::from_secs(1);

/// Measures starts, then an idle operator.
pub(crate) fn take(cluster: &Cluster, table: &mut Table) -> Result<()> {
    let story = Story::begin_alone("idle")?;
    story.deploy(&SampleApp::default())?;
    story.configure("sample", &sample_spec(cluster)?)?;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        replica::scale(cluster, 0)?;
        let started = replica::scale(cluster, 1)?;
        starts.push(start_to_ready(cluster, started.first().context("a replica")?)?);
    }
    say(&format!("starts: {starts:?}"));
    let replica = replica::leader(cluster)?;
    wait_until("the sample config's targets", IN_A_WHILE, || {
        Ok((operator::metric(cluster, "profiling_checks_total ")? > 0.0).then_some(()))
    })?;
    let_pass(SETTLING);
    cost::forget_peak(&replica.process)?;
    let before = cost::cpu(&replica.process)?;
    let_pass(WINDOW);
    let used = cost::cpu(&replica.process)?.saturating_sub(before);
    let memory = cost::memory(&replica.process)?;
    say(&format!("{memory:?}, CPU {used:?} in {WINDOW:?}"));

    let mebibytes = |kib: u64| kib as f64 / 1_024.0;
    table.at_most(
        "operator idle with the sample config: resident, most of two minutes",
        mebibytes(memory.peak_kib),
        RESIDENT_MEBIBYTES_MAX,
        "MiB",
    );
    table.note(
        "of it not the program's file",
        &format!("{:.1} MiB", mebibytes(memory.anonymous_kib)),
    );
    table.at_most(
        "the same: of a core",
        used.as_secs_f64() / WINDOW.as_secs_f64() * 100.0,
        CORE_PERCENT_MAX,
        "%",
    );
    table.millis_at_most(
        &format!("start of the process to ready, median of {STARTS}"),
        median(&starts),
        READY_MAX,
    );
    table.millis_at_most("the same, largest", largest(&starts), READY_MAX);
    story.end()
}

/// The spec of the sample config, with the story's bucket instead of the sample's.
fn sample_spec(cluster: &Cluster) -> Result<serde_json::Value> {
    let mut kubectl = cluster.kubectl_command();
    kubectl.args(["create", "--dry-run=client", "--output=json", "--filename", SAMPLE]);
    let mut object: serde_json::Value = serde_json::from_str(&process::text(&mut kubectl)?).context("the sample")?;
    let mut spec = object["spec"].take();
    let fields = spec.as_object_mut().context("the sample has a spec")?;
    fields.remove("s3Config");
    if let Some(selector) = fields.get_mut("selector").and_then(|one| one.as_object_mut()) {
        selector.remove("namespace");
    }
    Ok(spec)
}

/// From the start of the process, which the kernel noted, to the line that says that it is ready.
fn start_to_ready(cluster: &Cluster, replica: &Replica) -> Result<Duration> {
    let age = cost::age(&replica.process)?;
    let started = wall_clock()?.checked_sub(age).context("time of the start")?;
    let ready = replica.log(cluster)?.lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_ready = line["message"].as_str()?.starts_with("ready: ");
        is_ready.then(|| line["timestamp"].as_str()?.parse::<Timestamp>().ok())?
    });
    let ready = ready.context("the operator does not say that it is ready")?;
    Ok(ready.duration_since(started).unsigned_abs())
}
