//! What becomes of the operator when parts of the cluster that it asks go away.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::fault::Fault;
use e2e::ledger::Ledger;
use e2e::replica::{self, Replica};
use e2e::seen::{is_operators, wall_clock};
use e2e::story::SampleApp;
use e2e::{IN_A_WHILE, Story};
use jiff::Timestamp;
use serde_json::json;
use testkit::cluster::Component;
use testkit::{wait, wait_until};

/// A restart takes some seconds. The silence is longer than a leader acts on its last renewal, which is 10 s, and than
/// every call of the operator's has.
const SILENCE: Duration = Duration::from_secs(20);

/// Known failure 29: an outage of the API server is no flood of retries, of descriptors or of log lines, and no restart.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_29_an_api_server_that_restarts_or_is_silent_costs_nothing_but_time() -> Result<()> {
    let story = Story::begin_alone("api-server")?;
    let cluster = &story.cluster;
    let mut app = SampleApp::default();
    story.deploy(&app)?;
    story.configure(
        "api-server",
        &json!({
            "thresholds": { "enabled": false },
            "onDemand": { "enabled": true, "intervalSeconds": 15 },
            "profileTypes": ["goroutine"],
        }),
    )?;
    story.wait_for_captures(1)?;
    let operator = replica::leader(cluster)?;
    let (restarts, files) = (operator.restarts(cluster)?, operator.open_files()?);
    let lines = operator.log(cluster)?.lines().count();

    for is_silent in [false, true] {
        let fault = match is_silent {
            false => Fault::kill(cluster, Component::ApiServer)?,
            true => Fault::freeze(cluster, Component::ApiServer)?,
        };
        let files_most = sit_out(&operator, is_silent)?;
        fault.end()?;
        cluster.wait_until_ready()?;
        ensure!(
            files_most <= files + 20,
            "{files_most} open files in the outage, {files} before"
        );
        // A pod that nobody had seen before can come only from a watch that goes on.
        let back_at = wall_clock()?;
        app.replicas += 1;
        story.deploy(&app)?;
        wait_for_captures_of_all(&story, &app.name, back_at)?;
    }

    let now = replica::leader(cluster)?;
    ensure!(
        now.process == operator.process && now.restarts(cluster)? == restarts,
        "the operator was started anew"
    );
    let resident = operator.resident_mebibytes()?;
    ensure!(resident < 64.0, "{resident:.0} MiB resident after two outages");
    let files_after = operator.open_files()?;
    ensure!(files_after <= files + 20, "{files_after} open files, {files} before");
    // In each second of an outage: a lease that is not renewed every 2 s, two watches with back-off, a status.
    let lines_after = operator.log(cluster)?.lines().count();
    ensure!(lines_after - lines < 150, "{} lines of log", lines_after - lines);
    Ledger::check(&story)?;
    story.end()
}

/// Known failure 7: a failed query ends nothing; and what is missing is said once, not in every interval.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_07_metrics_that_are_gone_are_said_once_and_come_back() -> Result<()> {
    let story = Story::begin_alone("no-metrics")?;
    let cluster = &story.cluster;
    cluster.wait_for_metrics()?;
    story.deploy(&SampleApp::default())?;
    story.configure(
        "no-metrics",
        &json!({
            "thresholds": { "cpuThresholdPercent": 1000, "memoryThresholdPercent": 1000, "checkIntervalSeconds": 10 },
            "onDemand": { "enabled": true, "intervalSeconds": 15 },
            "profileTypes": ["goroutine"],
        }),
    )?;
    story.wait_for_condition("no-metrics", "MetricsAvailable", "True")?;

    let mut audit = cluster.audit();
    audit.skip_to_end()?;
    let fault = Fault::stop(cluster, Component::MetricsServer)?;
    let gone = story.wait_for_condition("no-metrics", "MetricsAvailable", "False")?;
    ensure!(gone.reason == "MetricsUnavailable", "{gone:?}");
    let gone_at = wall_clock()?;
    let mut failed = 0;
    wait_until("three checks without metrics", IN_A_WHILE, || {
        let refused =
            audit.read(|event| is_operators(event) && event.group == "metrics.k8s.io" && event.code >= 500)?;
        failed += refused.len();
        Ok((failed >= 3).then_some(()))
    })?;
    story.wait_for_capture_after(gone_at)?;
    fault.end()?;
    story.wait_for_condition("no-metrics", "MetricsAvailable", "True")?;
    let said = story.events("MetricsUnavailable")?;
    ensure!(
        said.len() == 1,
        "said {} times in {failed} checks: {said:#?}",
        said.len()
    );
    story.end()
}

/// Looks at the operator during the outage, during a silence until that has lasted. Gives the most files it had open; fails when
/// it was not alive by its own word.
fn sit_out(operator: &Replica, is_silent: bool) -> Result<usize> {
    let begun = wait::now();
    let mut files_most = 0;
    let mut unwell = Vec::new();
    wait_until("the end of the outage", IN_A_WHILE, || {
        if let Err(error) = operator.health() {
            unwell.push(error);
        }
        files_most = files_most.max(operator.open_files()?);
        Ok((!is_silent || begun.elapsed() >= SILENCE && !operator.leads()?).then_some(()))
    })?;
    ensure!(unwell.is_empty(), "not alive during the outage: {unwell:?}");
    Ok(files_most)
}

fn wait_for_captures_of_all(story: &Story, app: &str, since: Timestamp) -> Result<()> {
    wait_until("a capture of every pod", IN_A_WHILE, || {
        let pods = story.pods(app)?;
        let captured: BTreeSet<String> = story
            .captures()?
            .into_iter()
            .filter(|(decided, _)| *decided > since)
            .map(|(_, pod)| pod)
            .collect();
        let all = pods
            .iter()
            .all(|pod| captured.contains(pod["metadata"]["name"].as_str().unwrap_or_default()));
        Ok(all.then_some(()))
    })
    .with_context(|| story.describe())
}
