//! A pprof server that misbehaves in every way: each has its own reason, and costs nothing but itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use e2e::hostile::{self, asked};
use e2e::record::{is_complete, is_of, outcome};
use e2e::replica::{self, Replica};
use e2e::seen::decided_at;
use e2e::story::SampleApp;
use e2e::{IN_A_WHILE, Story, operator};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use testkit::wait_until;

/// How the heap of a server is wrong, and the reason that says so. The goroutines of the same server are fine.
const WRONG: [(&str, &str); 9] = [
    ("redirect-path", "redirected"),
    ("endless", "body-too-large"),
    ("stall-body", "stalled"),
    ("silent", "timed-out"),
    ("html", "not-a-profile"),
    ("gzip-bomb", "not-a-profile"),
    ("truncated", "truncated"),
    ("truncated-length", "truncated"),
    ("wrong-length", "truncated"),
];

/// Known failures 13 to 16, on real tunnels.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_16_each_way_to_misbehave_has_its_reason_and_costs_nothing_else() -> Result<()> {
    let story = Story::begin("hostile")?;
    // Nobody asked for this one's profiles: who comes here followed a redirect.
    let decoy = SampleApp {
        annotations: json!({}),
        ..hostile::app("decoy", "ok")
    };
    story.deploy(&decoy)?;
    let decoy = story.pod("decoy")?;
    let elsewhere = operator::address(&decoy, 6060).context("the decoy's address")?;
    let away = format!("heap=redirect-url:http://{elsewhere}/debug/pprof/heap");
    let mut apps = vec![hostile::app("redirect-away", &away)];
    apps.extend(WRONG.map(|(mode, _)| hostile::app(mode, &format!("heap={mode}"))));
    story.deploy_all(&apps)?;
    story.configure(
        "everything",
        &json!({
            "thresholds": { "enabled": false },
            "onDemand": { "enabled": true, "intervalSeconds": 15 },
            "profileTypes": ["heap", "goroutine"],
            // Small, so that the endless body ends soon.
            "capture": { "maxConcurrentPods": 16, "maxBytes": 1 << 20 },
        }),
    )?;
    for (mode, reason) in WRONG.into_iter().chain([("redirect-away", "redirected")]) {
        let pod = story.pod(mode)?;
        let name = pod["metadata"]["name"].as_str().context("a pod has a name")?;
        let complete = |record: &Value| is_of(record, name) && is_complete(record);
        let record = story
            .wait_for_records(&format!("the record of {mode}"), 1, IN_A_WHILE, complete)?
            .remove(0);
        ensure!(outcome(&record, "heap") == reason, "{mode}: {record:#}");
        ensure!(
            outcome(&record, "goroutine") == "stored",
            "{mode}, goroutines: {record:#}"
        );
    }
    for stored in story.profiles()? {
        ensure!(stored.kind == "goroutine", "{} was stored", stored.path.display());
    }
    let seen = story.seen("redirect-path")?;
    ensure!(
        asked(&seen, "/debug/pprof/heap") > 0 && asked(&seen, "/admin/secrets") == 0,
        "a redirect on the same server was followed: {seen}"
    );
    let seen = hostile::seen(&decoy)?;
    ensure!(
        seen["requests"] == json!({}),
        "a redirect to elsewhere was followed: {seen}"
    );
    for replica in replica::replicas(&story.cluster)? {
        let peak_mebibytes = replica.peak_mebibytes()?;
        ensure!(
            peak_mebibytes < 64.0,
            "the operator took {peak_mebibytes:.1} MiB at its peak"
        );
    }
    story.end()
}

/// The operator in 64 MiB, as many captures as it allows at once, and each of them 64 MiB.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_15_thirty_two_captures_of_64_mebibytes_fit_into_an_operator_of_64() -> Result<()> {
    let story = Story::begin_alone("big-bodies")?;
    let begun = limited_to(&story, "64Mi")?;
    story.deploy(&SampleApp {
        replicas: CAPTURES,
        limits: ("2".to_owned(), "128Mi".to_owned()),
        ..hostile::app("big", "big:64")
    })?;
    wait_until("usage of every pod", IN_A_WHILE, || {
        let list = story.cluster.get(["podmetrics", "--namespace", &story.name])?;
        Ok((list["items"].as_array().map_or(0, Vec::len) == CAPTURES as usize).then_some(()))
    })?;
    story.configure(
        "everything",
        &json!({
            // All are above it in one and the same list, and below a cooldown that outlasts the story once stored: what a
            // busy machine cannot take in time is asked again, and nothing is stored twice.
            "thresholds": {
                "cpuThresholdPercent": 1000,
                "memoryThresholdPercent": 1,
                "checkIntervalSeconds": 10,
                "cooldownSeconds": 86400,
            },
            "profileTypes": ["heap"],
            "capture": { "maxConcurrentPods": CAPTURES, "maxBytes": 72 << 20 },
        }),
    )?;
    let is_stored = |record: &Value| is_complete(record) && outcome(record, "heap") == "stored";
    let deadline = IN_A_WHILE * 2;
    let stored = story.wait_for_records("a profile of every pod", CAPTURES as usize, deadline, is_stored)?;
    ensure_all_began_before_the_first_ended(&story)?;
    ensure_as_sent(&story, &stored)?;
    let objects = story.profiles()?;
    ensure!(objects.len() == CAPTURES as usize, "one object of each: {objects:#?}");
    let after = replica::settled(&story.cluster, 1)?.pop().context("one replica")?;
    ensure!(
        after.name == begun.name && after.restarts(&story.cluster)? == 0,
        "the operator was started again:\n{}",
        story.describe()
    );
    operator::install(&story.cluster)?;
    story.end()
}

/// As many as the operator allows at once, over all nodes.
const CAPTURES: u32 = 32;

/// Gives the operator less memory and waits until the one that has it leads. The next installation undoes it.
fn limited_to(story: &Story, memory: &str) -> Result<Replica> {
    let patch = json!([
        { "op": "replace", "path": "/spec/template/spec/containers/0/resources/limits/memory", "value": memory },
        { "op": "replace", "path": "/spec/template/spec/containers/0/resources/requests/memory", "value": memory },
    ]);
    story.cluster.kubectl([
        "patch",
        "deployment",
        "profiling-operator",
        "--namespace",
        operator::NAMESPACE,
        "--type=json",
        "--patch",
        &patch.to_string(),
    ])?;
    wait_until("the operator with less memory", IN_A_WHILE, || {
        let limited =
            |replica: &Replica| replica.pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == memory;
        let replicas = replica::settled(&story.cluster, 1)?;
        Ok(replicas.iter().any(limited).then_some(()))
    })
    .with_context(|| story.describe())?;
    replica::leader(&story.cluster)
}

/// By its record, a capture lasts from its decision to the end of what it stored.
fn ensure_all_began_before_the_first_ended(story: &Story) -> Result<()> {
    let records = story.records()?;
    let mut first_decision_by_pod = BTreeMap::new();
    let mut first_end = Timestamp::MAX;
    for record in &records {
        let decided = decided_at(record)?;
        let first = first_decision_by_pod
            .entry(record["target"]["pod"].to_string())
            .or_insert(decided);
        *first = decided.min(*first);
        let heap = &record["types"][0];
        if let (Some(started), Some(took)) = (heap["started"].as_str(), heap["tookMillis"].as_i64())
            && heap["outcome"] == "stored"
        {
            let started: Timestamp = started.parse().context("the start of a type")?;
            first_end = first_end.min(started + SignedDuration::from_millis(took));
        }
    }
    let at_once = first_decision_by_pod
        .values()
        .filter(|decided| **decided < first_end)
        .count();
    ensure!(
        at_once == CAPTURES as usize,
        "{at_once} captures began before the first had ended"
    );
    Ok(())
}

/// Every server knows the hash of what it sent.
fn ensure_as_sent(story: &Story, records: &[Value]) -> Result<()> {
    for pod in story.pods("big")? {
        let name = pod["metadata"]["name"].as_str().context("a pod has a name")?;
        let seen = hostile::seen(&pod)?;
        let sent = &seen["bodies"]["/debug/pprof/heap"];
        let record = records
            .iter()
            .find(|record| is_of(record, name))
            .with_context(|| format!("no record of {name}"))?;
        let taken = &record["types"][0];
        ensure!(
            taken["sha256"] == sent["sha256"] && taken["bytes"] == sent["bytes"],
            "{name} sent {sent}, its record says {record:#}"
        );
        ensure!(
            taken["bytes"].as_u64().is_some_and(|bytes| bytes >= 64 << 20),
            "{taken}"
        );
    }
    Ok(())
}
