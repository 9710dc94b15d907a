//! Pods as they are: bound to loopback, several at once, failing in part, and gone in the middle of a capture.

use anyhow::{Context, Result, ensure};
use e2e::hostile::{self, asked};
use e2e::record::{is_complete, is_of, keys, outcome};
use e2e::story::SampleApp;
use e2e::{IN_A_WHILE, SOON, Story};
use serde_json::{Value, json};
use testkit::wait_until;

/// Captures on demand as often as it can be, with a window long enough for something to happen in it: 5 s less than the
/// interval is the most.
fn on_demand(types: &[&str]) -> Value {
    json!({
        "thresholds": { "enabled": false },
        "onDemand": { "enabled": true, "intervalSeconds": 15 },
        "profileTypes": types,
        "capture": { "cpuSeconds": 10, "maxConcurrentPods": 4 },
    })
}

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_server_on_loopback_is_captured() -> Result<()> {
    let story = Story::begin("loopback")?;
    story.deploy(&SampleApp {
        arguments: vec!["--pprof-addr=127.0.0.1:6060".to_owned()],
        ..SampleApp::default()
    })?;
    story.configure("loopback", &on_demand(&["heap", "goroutine"]))?;
    for stored in story.wait_for_profiles(&["heap", "goroutine"], IN_A_WHILE)? {
        ensure!(stored.service == "sample-app", "stored under {}", stored.service);
    }
    story.end()
}

/// Known failure 19: their keys differ by nothing but the pod.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_19_two_replicas_hit_in_the_same_second_are_both_kept() -> Result<()> {
    let story = Story::begin("replicas")?;
    story.deploy(&SampleApp {
        replicas: 2,
        ..SampleApp::default()
    })?;
    // Both are due as soon as the config is there.
    story.configure("replicas", &on_demand(&["heap", "goroutine"]))?;
    let pair = wait_until("two captures decided in one second", IN_A_WHILE, || {
        let records = story.records_where(is_complete)?;
        let second = |record: &Value| record["decidedAt"].as_str().unwrap_or_default()[..19].to_owned();
        let pair = records
            .windows(2)
            .find(|pair| second(&pair[0]) == second(&pair[1]) && pair[0]["target"]["pod"] != pair[1]["target"]["pod"]);
        Ok(pair.map(<[Value]>::to_vec))
    })
    .with_context(|| story.describe())?;
    let mut stored: Vec<String> = pair.iter().flat_map(keys).collect();
    stored.sort();
    stored.dedup();
    ensure!(
        stored.len() == 4,
        "two types of two pods are four objects, not {stored:?}"
    );
    for key in &stored {
        ensure!(story.bucket().join(key).is_file(), "{key} is not in the bucket");
    }
    story.end()
}

/// Known failure 13: what was captured is stored, and what failed says why.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_13_one_type_that_fails_costs_no_other() -> Result<()> {
    let story = Story::begin("partial")?;
    story.deploy(&SampleApp {
        arguments: vec!["--fail-types=mutex".to_owned()],
        ..SampleApp::default()
    })?;
    let mut spec = on_demand(&["heap", "cpu", "goroutine", "mutex"]);
    spec["capture"]["cpuSeconds"] = json!(1);
    story.configure("partial", &spec)?;
    let record = story
        .wait_for_records("a complete record", 1, IN_A_WHILE, is_complete)?
        .remove(0);
    for kind in ["heap", "cpu", "goroutine"] {
        ensure!(outcome(&record, kind) == "stored", "{kind}: {record:#}");
    }
    ensure!(outcome(&record, "mutex") == "unexpected-status", "mutex: {record:#}");
    for key in keys(&record) {
        ensure!(story.bucket().join(&key).is_file(), "{key} is not in the bucket");
    }
    let told = wait_until("an event of the partial capture", SOON, || {
        Ok(story.events("CapturePartial")?.into_iter().next())
    })
    .with_context(|| story.describe())?;
    let text = told["message"].as_str().unwrap_or_default();
    ensure!(text.contains("mutex"), "the event names the type that failed: {text:?}");
    story.end()
}

/// A pod that loses its annotation is left alone at once, in the middle of a capture too.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_pod_that_opts_out_in_the_middle_of_a_capture_is_left_alone() -> Result<()> {
    let story = Story::begin("opt-out")?;
    story.deploy(&hostile::app("leaving", "ok"))?;
    story.deploy(&SampleApp {
        name: "staying".to_owned(),
        ..SampleApp::default()
    })?;
    story.configure("everything", &on_demand(&["goroutine", "cpu"]))?;
    let pod = story.pod("leaving")?;
    let name = name_of(&pod)?;
    wait_until("a CPU profile in progress", IN_A_WHILE, || {
        let seen = hostile::seen(&pod)?;
        Ok((asked(&seen, "/debug/pprof/profile") > 0 && seen["open"] != 0).then_some(()))
    })
    .with_context(|| story.describe())?;
    story.cluster.kubectl([
        "annotate",
        "pod",
        &name,
        "--namespace",
        &story.name,
        "profiling.io/enabled-",
    ])?;
    // Within a part of what the profile would have taken: it is cut off, not waited for.
    wait_until("the end of what is asked", SOON, || {
        Ok((hostile::seen(&pod)?["open"] == 0).then_some(()))
    })
    .with_context(|| story.describe())?;
    let before = hostile::seen(&pod)?["requests"].clone();
    let record = story
        .wait_for_records("the record of its last capture", 1, SOON, |record| {
            is_of(record, &name) && is_complete(record)
        })?
        .pop()
        .context("a record")?;
    ensure!(
        outcome(&record, "goroutine") == "stored" && outcome(&record, "cpu") == "opted-out",
        "the goroutines were there before, the CPU profile was not: {record:#}"
    );
    let captures = story.records_where(|record| is_of(record, &name))?.len();
    // Two more of its neighbour: it was twice its turn.
    let stays = |record: &Value| !is_of(record, &name) && is_complete(record);
    let more = story.records_where(stays)?.len() + 2;
    story.wait_for_records("two more captures of the other pod", more, IN_A_WHILE, stays)?;
    let after = hostile::seen(&pod)?["requests"].clone();
    ensure!(before == after, "asked after it opted out: {before} became {after}");
    ensure!(
        story.records_where(|record| is_of(record, &name))?.len() == captures,
        "a record of a capture after it opted out:\n{}",
        story.describe()
    );
    story.end()
}

/// Known failure 6: a name is not a pod.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_06_a_pod_recreated_under_its_name_gets_nothing_of_the_old_one() -> Result<()> {
    let story = Story::begin("recreated")?;
    story.apply(&bare_pod("solo"))?;
    story.wait_until_ready("solo")?;
    story.configure("everything", &on_demand(&["goroutine", "cpu"]))?;
    let first = story.get("pod", "solo")?;
    wait_until("a CPU profile in progress", IN_A_WHILE, || {
        let seen = hostile::seen(&first)?;
        Ok((asked(&seen, "/debug/pprof/profile") > 0 && seen["open"] != 0).then_some(()))
    })
    .with_context(|| story.describe())?;
    story
        .cluster
        .kubectl(["delete", "pod", "solo", "--namespace", &story.name, "--grace-period=1"])?;
    story.apply(&bare_pod("solo"))?;
    story.wait_until_ready("solo")?;
    let second = story.get("pod", "solo")?;
    ensure!(
        first["metadata"]["uid"] != second["metadata"]["uid"],
        "the pod is another"
    );

    let of = |pod: &Value| {
        let uid = pod["metadata"]["uid"].clone();
        move |record: &Value| record["target"]["uid"] == uid && is_complete(record)
    };
    let old = story.wait_for_records("the record of the first pod", 1, SOON, of(&first))?;
    let new = story.wait_for_records("a capture of the second pod", 1, IN_A_WHILE, of(&second))?;
    ensure!(
        outcome(&old[0], "goroutine") == "stored",
        "what came before the end: {:#}",
        old[0]
    );
    ensure!(
        ["pod-replaced", "terminating", "tunnel-broken"].contains(&outcome(&old[0], "cpu")),
        "the first pod's CPU profile cannot be whole: {:#}",
        old[0]
    );
    // It begins without the back-off and without the cooldown of the one that had its name.
    for kind in ["goroutine", "cpu"] {
        ensure!(
            outcome(&new[0], kind) == "stored",
            "{kind} of the second pod: {:#}",
            new[0]
        );
    }
    // The server counts for itself: exactly what its records say was asked of it.
    let seen = hostile::seen(&second)?;
    ensure!(
        asked(&seen, "/debug/pprof/goroutine") >= 1 && asked(&seen, "/debug/pprof/profile") >= 1,
        "the second pod was asked itself: {seen}"
    );
    story.end()
}

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_container_that_restarts_in_the_middle_of_a_capture_is_captured_again() -> Result<()> {
    let story = Story::begin("restarted")?;
    story.deploy(&SampleApp {
        limits: ("500m".to_owned(), "64Mi".to_owned()),
        ..SampleApp::default()
    })?;
    story.configure("everything", &on_demand(&["goroutine", "cpu"]))?;
    // The goroutines are stored as soon as they are there; the CPU profile has just begun.
    story.wait_for_profiles(&["goroutine"], IN_A_WHILE)?;
    story.ask("sample-app", "/leak?megabytes=200&rate=1024")?;
    let first = story
        .wait_for_records("the record of the first capture", 1, IN_A_WHILE, is_complete)?
        .remove(0);
    ensure!(
        outcome(&first, "goroutine") == "stored"
            && ["pod-replaced", "tunnel-broken", "truncated"].contains(&outcome(&first, "cpu")),
        "a program that was killed has no CPU profile: {first:#}"
    );
    let whole = story
        .wait_for_records("a whole capture after the restart", 1, IN_A_WHILE, |record| {
            is_complete(record) && outcome(record, "cpu") == "stored"
        })?
        .remove(0);
    ensure!(
        whole["target"]["uid"] == first["target"]["uid"],
        "it is the same pod: {whole:#}"
    );
    let pod = story.pod("sample-app")?;
    let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
    ensure!(*restarts == 1, "the container restarted once, not {restarts} times");
    story.end()
}

/// A pod without anything that would bring it back.
fn bare_pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": { "app.kubernetes.io/name": name },
            "annotations": { "profiling.io/enabled": "true" },
        },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "app",
                "image": "localhost/hostile:e2e",
                "imagePullPolicy": "Never",
                "args": ["--mode=ok"],
                "ports": [{ "name": "pprof", "containerPort": 6060 }],
                "readinessProbe": { "httpGet": { "path": "/healthz", "port": 8080 }, "periodSeconds": 1 },
            }],
        },
    })
}

fn name_of(pod: &Value) -> Result<String> {
    Ok(pod["metadata"]["name"].as_str().context("a pod has a name")?.to_owned())
}
