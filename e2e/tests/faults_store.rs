//! What becomes of captures when the object store refuses or is silent.

use anyhow::{Context, Result, ensure};
use e2e::fault::{Fault, SecondStore};
use e2e::ledger::Ledger;
use e2e::seen::{decided_at, wall_clock};
use e2e::story::SampleApp;
use e2e::{IN_A_WHILE, Story, profile};
use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::cluster::Component;
use testkit::wait_until;

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_store_that_refuses_is_said_and_touches_no_other() -> Result<()> {
    let story = Story::begin_alone("store-refuses")?;
    a_store_that_does_not_work(&story, Fault::stop)?;
    story.end()
}

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_store_that_is_silent_is_said_and_touches_no_other() -> Result<()> {
    let story = Story::begin_alone("store-silent")?;
    a_store_that_does_not_work(&story, Fault::freeze)?;
    story.end()
}

fn a_store_that_does_not_work<'a>(
    story: &'a Story,
    begin: impl Fn(&'a testkit::Cluster, Component) -> Result<Fault<'a>>,
) -> Result<()> {
    let cluster = &story.cluster;
    let second = SecondStore::start(cluster, "well")?;
    for name in ["ill", "well"] {
        story.deploy(&SampleApp {
            name: name.to_owned(),
            ..SampleApp::default()
        })?;
    }
    story.configure("ill", &captures_of("ill"))?;
    let mut spec = captures_of("well");
    spec["s3Config"] = json!({ "bucket": "well", "region": "us-east-1", "endpoint": SecondStore::ENDPOINT });
    story.configure("well", &spec)?;
    story.wait_for_captures(1)?;
    story.wait_for_condition("ill", "StorageReady", "True")?;
    let before = Ledger::check(story)?;

    let fault = begin(cluster, Component::S3)?;
    let broken_at = wall_clock()?;
    let said = story.wait_for_condition("ill", "StorageReady", "False")?;
    ensure!(
        said.reason == "StorageUnavailable",
        "a store that does not work: {said:?}"
    );
    let events = story.events("StorageUnavailable")?;
    ensure!(events.len() == 1, "said {} times: {events:#?}", events.len());
    wait_until("a capture into the other store", IN_A_WHILE, || {
        Ok((decided_after(&second.bucket("well"), broken_at)? >= 1).then_some(()))
    })
    .with_context(|| story.describe())?;
    let well = story.condition("well", "StorageReady")?;
    ensure!(
        well.as_ref().is_some_and(|one| one.status == "True"),
        "a store that works: {well:?}"
    );

    fault.end()?;
    let mended_at = wall_clock()?;
    story.wait_for_capture_after(mended_at)?;
    story.wait_for_condition("ill", "StorageReady", "True")?;
    before.ensure_kept_in(&Ledger::check(story)?)
}

fn captures_of(app: &str) -> Value {
    json!({
        "selector": { "labelSelector": { "app.kubernetes.io/name": app } },
        "thresholds": { "enabled": false },
        "onDemand": { "enabled": true, "intervalSeconds": 15 },
        "profileTypes": ["goroutine"],
    })
}

/// How many captures that are complete in a bucket were decided after a moment.
fn decided_after(bucket: &std::path::Path, moment: Timestamp) -> Result<usize> {
    let mut count = 0;
    for record in profile::records(bucket)? {
        count += usize::from(record["state"] == "complete" && decided_at(&record)? > moment);
    }
    Ok(count)
}
