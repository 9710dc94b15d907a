//! What a config may not reach, and what it says of it.

use anyhow::{Context, Result, ensure};
use e2e::record::{is_complete, is_of};
use e2e::seen::is_operators;
use e2e::story::SampleApp;
use e2e::{IN_A_WHILE, SOON, Story};
use serde_json::{Value, json};
use testkit::cluster::S3_ENDPOINT;
use testkit::wait_until;

fn on_demand() -> Value {
    json!({
        "thresholds": { "enabled": false },
        "onDemand": { "enabled": true, "intervalSeconds": 15 },
        "profileTypes": ["heap", "goroutine"],
        "capture": { "maxConcurrentPods": 4 },
    })
}

/// Known failure 4: two tenants with configs and pods of the same names.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_04_two_namespaces_with_two_buckets_never_cross() -> Result<()> {
    let left = Story::begin("tenant-left")?;
    let right = left.beside("tenant-right")?;
    for story in [&left, &right] {
        story.deploy(&SampleApp::default())?;
        story.configure("everything", &on_demand())?;
    }
    for story in [&left, &right] {
        let records = story.wait_for_records("two captures", 2, IN_A_WHILE, is_complete)?;
        let pod = story.pod("sample-app")?;
        for record in &records {
            for part in ["config", "target"] {
                ensure!(
                    record[part]["namespace"] == story.name.as_str(),
                    "in bucket {}: {record:#}",
                    story.name
                );
            }
            ensure!(
                record["target"]["uid"] == pod["metadata"]["uid"],
                "of another pod: {record:#}"
            );
        }
        // Every object is one that a record of this very bucket names.
        let named: Vec<_> = story
            .records()?
            .iter()
            .flat_map(e2e::record::keys)
            .map(|key| story.bucket().join(key))
            .collect();
        for stored in story.profiles()? {
            let is_named = || {
                Ok(story
                    .records()?
                    .iter()
                    .flat_map(e2e::record::keys)
                    .any(|key| story.bucket().join(key) == stored.path)
                    .then_some(()))
            };
            // The record of a capture in progress names its objects when it is complete.
            if !named.contains(&stored.path) {
                wait_until(&format!("a record of {}", stored.path.display()), SOON, is_named)?;
            }
        }
    }
    right.end()?;
    left.end()
}

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_config_that_names_another_namespace_says_so_and_captures_nothing() -> Result<()> {
    let story = Story::begin("reaching")?;
    let other = story.beside("reached")?;
    other.deploy(&SampleApp::default())?;
    let victim = other.pod("sample-app")?["metadata"]["name"]
        .as_str()
        .context("a pod has a name")?
        .to_owned();
    story.deploy(&SampleApp::default())?;
    let mut audit = story.cluster.audit();
    audit.skip_to_end()?;
    for (name, namespace) in [("one", other.name.as_str()), ("all", "*")] {
        let mut spec = on_demand();
        spec["selector"] = json!({ "namespace": namespace });
        story.configure(name, &spec)?;
    }
    story.configure("own", &on_demand())?;
    for name in ["one", "all"] {
        let ready = story.wait_for_condition(name, "Ready", "False")?;
        ensure!(ready.reason == "NamespaceNotAllowed", "{name}: {ready:?}");
        ensure!(
            ready.message.contains("allow"),
            "the message says what to do: {ready:?}"
        );
    }
    // The third of its neighbour: the others had their chance more than once.
    let records = story.wait_for_records("three captures of the config's own pod", 3, IN_A_WHILE, is_complete)?;
    for record in &records {
        ensure!(
            record["config"]["name"] == "own" && record["target"]["namespace"] == story.name.as_str(),
            "{record:#}"
        );
    }
    ensure!(
        other.records()?.is_empty() && other.profiles()?.is_empty(),
        "something was stored"
    );
    let touched = audit.read(|event| is_operators(event) && event.name == victim)?;
    ensure!(
        touched.is_empty(),
        "the pod of the other namespace was asked: {touched:#?}"
    );
    other.end()?;
    story.end()
}

/// The kubelet's port, by the same annotation that everybody may write.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_pod_that_names_a_port_of_the_cluster_is_never_contacted() -> Result<()> {
    let story = Story::begin("ports")?;
    story.deploy(&SampleApp {
        name: "kubelets".to_owned(),
        annotations: json!({ "profiling.io/enabled": "true", "profiling.io/port": "10250" }),
        ..SampleApp::default()
    })?;
    story.deploy(&SampleApp::default())?;
    let refused = story.pod("kubelets")?["metadata"]["name"]
        .as_str()
        .context("a pod has a name")?
        .to_owned();
    let mut audit = story.cluster.audit();
    audit.skip_to_end()?;
    story.configure("everything", &on_demand())?;
    wait_until("the reason in the config's status", IN_A_WHILE, || {
        let config = story.get("profilingconfig", "everything")?;
        let held = config["status"]["heldBack"].as_array().cloned().unwrap_or_default();
        let told = held.into_iter().find(|one| {
            one["pod"].as_str().is_some_and(|pod| pod.ends_with(&refused)) && one["reason"] == "PortRefused"
        });
        Ok(told)
    })
    .with_context(|| story.describe())?;
    let others = |record: &Value| !is_of(record, &refused) && is_complete(record);
    story.wait_for_records("two captures of the other pod", 2, IN_A_WHILE, others)?;
    ensure!(
        story.records_where(|record| is_of(record, &refused))?.is_empty(),
        "a record of it:\n{}",
        story.describe()
    );
    let tunnels = audit.read(|event| is_operators(event) && event.resource == "pods/portforward")?;
    ensure!(!tunnels.is_empty(), "the other pod was asked through tunnels");
    ensure!(
        tunnels.iter().all(|event| event.name != refused),
        "it was contacted: {tunnels:#?}"
    );
    story.end()
}

/// Later than the API server can see: the config is fine, its bucket is not there. And no longer than that.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_missing_bucket_shows_in_a_condition_and_an_event_until_it_is_there() -> Result<()> {
    let story = Story::begin("bucket-missing")?;
    story.deploy(&SampleApp::default())?;
    let bucket = "bucket-of-nobody";
    let folder = story.cluster.s3_root().join(bucket);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("remove the bucket")?;
    }
    let mut spec = on_demand();
    spec["profileTypes"] = json!(["goroutine"]);
    spec["s3Config"] = json!({ "bucket": bucket, "region": "us-east-1", "endpoint": S3_ENDPOINT });
    story.configure("failing", &spec)?;
    let condition = story.wait_for_condition("failing", "StorageReady", "False")?;
    ensure!(condition.reason == "BucketNotFound", "{condition:?}");
    ensure!(
        condition.message.contains(bucket),
        "the message names it: {condition:?}"
    );
    let ready = story.wait_for_condition("failing", "Ready", "False")?;
    ensure!(ready.reason == "BucketNotFound", "{ready:?}");
    let about_config = |reason: &'static str| {
        let story = &story;
        move || {
            let events = story.events(reason)?;
            Ok(events
                .into_iter()
                .find(|event| event["involvedObject"]["kind"] == "ProfilingConfig"))
        }
    };
    wait_until("an event on the config", SOON, about_config("BucketNotFound")).with_context(|| story.describe())?;

    story.cluster.create_bucket(bucket)?;
    story.wait_for_condition("failing", "StorageReady", "True")?;
    story.wait_for_condition("failing", "Ready", "True")?;
    wait_until("an event that it is well again", SOON, about_config("StorageReady"))
        .with_context(|| story.describe())?;
    // One of each transition, not one of each try.
    let told = story.events("BucketNotFound")?;
    let on_config = told
        .iter()
        .filter(|event| event["involvedObject"]["kind"] == "ProfilingConfig");
    ensure!(on_config.count() == 1, "told more than once: {told:#?}");
    story.end()
}
