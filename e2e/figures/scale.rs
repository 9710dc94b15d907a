//! 10,000 simulated pods: every one checked in every interval, one in a hundred captured at once.
//!
//! kwok plays nodes, kubelets and pods; metrics-server asks it as it asks kubelets. Behind every port of every pod is one
//! real Go program. Only the operator is measured: it starts when the pods are there, and the window begins with its
//! process.

mod population;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::record::{is_complete, keys, outcome};
use e2e::replica::{self, Replica};
use e2e::seen::{decided_at, received_at, wall_clock};
use e2e::story::SampleApp;
use e2e::{IN_A_WHILE, Story, operator};
use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::cluster::{AuditEvent, Simulation};
use testkit::wait::let_pass;
use testkit::{Cluster, cost, wait_until};

use crate::say;
use crate::table::{Table, largest, median};
use population::Population;

/// Pods, and how many of them become hot.
const PODS: usize = 10_000;
const HOT: usize = 100;
const NODES: usize = 100;
/// From the start of the operator's process.
const WINDOW: Duration = Duration::from_secs(180);
/// Intervals that pass before pods become hot.
const QUIET: Duration = Duration::from_secs(60);

const CREATION_MAX: Duration = Duration::from_secs(120);
const CAPTURED_MAX: Duration = Duration::from_secs(10);
const RESIDENT_MEBIBYTES_MAX: f64 = 48.0;
const CPU_SECONDS_MAX: f64 = 6.0;
const INTERVAL_SECONDS: f64 = 10.0;

/// Takes the operator through three minutes with 10,000 pods.
pub(crate) fn take(cluster: &Cluster, table: &mut Table) -> Result<()> {
    let story = Story::begin_alone("scale")?;
    replica::scale(cluster, 0)?;
    let population = populate(&story, table)?;
    story.configure(
        "scale",
        &json!({
            "thresholds": { "checkIntervalSeconds": 10, "cooldownSeconds": 300 },
            "capture": { "maxConcurrentPods": 16 },
            "profileTypes": ["heap", "goroutine"],
        }),
    )?;
    let mut audit = cluster.audit();
    audit.skip_to_end()?;
    let replica = replica::scale(cluster, 1)?.pop().context("a replica")?;
    let age = || cost::age(&replica.process);
    let_pass(QUIET.saturating_sub(age()?));
    population.wait_for_scrape()?;
    let heated = wall_clock()?;
    population.heat()?;
    say(&format!("{HOT} pods became hot"));
    let_pass(WINDOW.saturating_sub(age()?));
    let used = cost::cpu(&replica.process)?;
    let memory = cost::memory(&replica.process)?;
    let over = age()?;
    say(&format!("{memory:?}, CPU {used:?}, after {over:?}"));

    let requests = audit.read_of(operator::USER, |_| true)?;
    checks(&replica, &requests, table)?;
    captures(&story, &population, &requests, heated, table)?;
    table.at_most(
        "operator with 10,000 pods, 180 s from its start, 100 captures: resident at the peak",
        memory.peak_kib as f64 / 1_024.0,
        RESIDENT_MEBIBYTES_MAX,
        "MiB",
    );
    table.at_most("the same: CPU", used.as_secs_f64(), CPU_SECONDS_MAX, "s");
    logs(&replica.log(cluster)?, &population, table);
    steady_requests(&requests, heated, table)?;
    Ok(())
}

/// Nodes, pods, and what they use as metrics-server sees it.
fn populate<'s>(story: &'s Story, table: &mut Table) -> Result<Population<'s>> {
    let program = SampleApp {
        annotations: json!({}),
        ..SampleApp::default()
    };
    story.deploy(&program)?;
    let pod = story.pods("sample-app")?.pop().context("the program has a pod")?;
    story.cluster.simulate(&Simulation {
        forwards_to: operator::address(&pod, 6060).context("the program's pod has an address")?,
    })?;
    let population = Population::new(story, PODS, HOT, NODES)?;
    let begun = testkit::wait::now();
    population.create()?;
    population.wait_until_running()?;
    table.millis_at_most(
        &format!("{PODS} simulated pods on {NODES} nodes, created and running"),
        begun.elapsed(),
        CREATION_MAX,
    );
    population.wait_until_metered()?;
    say(&format!("metrics-server knows {PODS} pods"));
    Ok(population)
}

/// Every pod in every interval, from one list.
fn checks(replica: &Replica, requests: &[AuditEvent], table: &mut Table) -> Result<()> {
    let lists = usage_lists(requests)?;
    let (first, last) = (
        lists.first().context("no list of usage")?,
        lists.last().context("no list")?,
    );
    let seconds = last.duration_since(*first).as_secs_f64();
    let due = (seconds / INTERVAL_SECONDS).round() as usize + 1;
    let done = replica.metric("profiling_checks_total ")?;
    // The sum of no values is -0.
    let stale = replica
        .metric("profiling_held_back_total{reason=\"sample-stale\"} ")?
        .abs();
    table.row(
        "lists of usage in the intervals of 10 s",
        &format!("{} in {due} intervals", lists.len()),
        "one each",
        lists.len() == due,
    );
    let expected = (lists.len() * PODS) as f64;
    table.row(
        "checks of pods",
        &format!(
            "{done} from {} lists, {stale} of a sample that could not be used",
            lists.len()
        ),
        &format!("{PODS} from each"),
        done >= expected && stale == 0.0,
    );
    Ok(())
}

/// When the answers with usage were sent.
fn usage_lists(requests: &[AuditEvent]) -> Result<Vec<Timestamp>> {
    let mut times = Vec::new();
    for event in requests {
        if event.group == "metrics.k8s.io" && event.stage == "ResponseComplete" && event.code == 200 {
            times.push(
                event
                    .reached
                    .parse()
                    .with_context(|| format!("time {}", event.reached))?,
            );
        }
    }
    Ok(times)
}

/// The hot pods: each once, both profiles, in time.
fn captures(
    story: &Story,
    population: &Population,
    requests: &[AuditEvent],
    heated: Timestamp,
    table: &mut Table,
) -> Result<()> {
    let records = story.records()?;
    let mut sets: BTreeMap<&str, usize> = BTreeMap::new();
    for record in &records {
        *sets
            .entry(record["target"]["pod"].as_str().unwrap_or_default())
            .or_default() += 1;
    }
    let whole = |record: &Value| {
        is_complete(record)
            && ["heap", "goroutine"]
                .iter()
                .all(|kind| outcome(record, kind) == "stored")
    };
    let captured: BTreeSet<&str> = records
        .iter()
        .filter(|record| whole(record))
        .filter_map(|record| record["target"]["pod"].as_str())
        .collect();
    let hot: BTreeSet<&str> = population.hot().collect();
    let twice = sets.values().filter(|count| **count > 1).count();
    table.row(
        "hot pods captured, heap and goroutine",
        &format!("{} of {}", captured.intersection(&hot).count(), hot.len()),
        &format!("{HOT}"),
        captured == hot,
    );
    table.row("pods captured twice in a cooldown", &twice.to_string(), "0", twice == 0);

    // All became hot between two looks of metrics-server, so that one list brought them all: the last before the first
    // decision.
    let mut decided = Vec::new();
    for record in &records {
        decided.push(decided_at(record)?);
    }
    let first = *decided.iter().min().context("nothing was decided")?;
    ensure!(first > heated, "something was captured before pods became hot");
    let lists = usage_lists(requests)?;
    // A record gives the millisecond in which the decision fell, the audit log gives microseconds.
    let first_at_latest = first
        .checked_add(Duration::from_millis(1))
        .context("a time after the decision")?;
    let list = *lists
        .iter()
        .rfind(|list| **list < first_at_latest)
        .context("no list before the first decision")?;
    let mut waits = Vec::new();
    for record in records.iter().filter(|record| whole(record)) {
        let mut stored = first;
        for key in keys(record) {
            let path = story.bucket().join(&key);
            let modified = path.metadata().and_then(|facts| facts.modified());
            let modified = modified.with_context(|| format!("time of {}", path.display()))?;
            stored = stored.max(Timestamp::try_from(modified).context("time of a profile")?);
        }
        waits.push(stored.duration_since(list).unsigned_abs());
    }
    table.millis_at_most(
        "from their sample (the end of its list) to both profiles in the bucket, the last of the hot pods",
        largest(&waits),
        CAPTURED_MAX,
    );
    table.note("the same, median", &format!("{:.1} s", median(&waits).as_secs_f64()));
    Ok(())
}

/// Lines of the log, and whether they name pods of which nothing is to be said.
fn logs(log: &str, population: &Population, table: &mut Table) {
    let hot: BTreeSet<&str> = population.hot().collect();
    let named = log
        .lines()
        .filter(|line| population.name_in(line).is_some_and(|name| !hot.contains(name)))
        .count();
    table.row(
        "lines of its log",
        &format!(
            "{}, of them {named} about pods that were not captured",
            log.lines().count()
        ),
        "none per pod",
        named == 0,
    );
}

/// Requests per interval between the start and the captures.
fn steady_requests(requests: &[AuditEvent], heated: Timestamp, table: &mut Table) -> Result<()> {
    let window = Duration::from_secs(40);
    let begin = heated.checked_sub(window).context("a time before the captures")?;
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for event in requests {
        let at = received_at(event)?;
        if at >= begin && at < heated && (event.verb == "watch") == (event.stage == "ResponseStarted") {
            *counts.entry(format!("{} {}", event.verb, event.resource)).or_default() += 1;
        }
    }
    say(&format!("requests in {window:?}: {counts:?}"));
    let per_interval = f64::from(counts.values().sum::<u32>()) / (window.as_secs_f64() / INTERVAL_SECONDS);
    table.note(
        "requests to the API server per check interval with 10,000 pods, captures apart",
        &format!("{per_interval:.1}"),
    );
    Ok(())
}

/// A look at what everybody waits for.
pub(crate) fn wait_for(what: &str, mut probe: impl FnMut() -> Result<bool>) -> Result<()> {
    wait_until(what, IN_A_WHILE, || Ok(probe()?.then_some(())))
}
