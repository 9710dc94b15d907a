//! What users write: what the API server refuses, and what a config says of itself.

use anyhow::{Result, ensure};
use e2e::story::SampleApp;
use e2e::{IN_A_WHILE, SOON, Story};
use serde_json::{Value, json};
use testkit::wait_until;

/// Known failure 14: a type is one of a closed list and never a path; what is wrong is said by the API server itself.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_14_an_invalid_config_is_refused_with_a_message_that_helps() -> Result<()> {
    let story = Story::begin("refused")?;
    let cases: [(&str, Value, &str); 5] = [
        (
            "a path as a type",
            json!({ "profileTypes": ["../../admin/secrets"] }),
            "supported values",
        ),
        (
            "an interval of zero",
            json!({ "thresholds": { "checkIntervalSeconds": 0 } }),
            "greater than or equal to 10",
        ),
        (
            "a prefix with dots",
            json!({ "s3Config": { "bucket": "b-1", "prefix": "a/../b" } }),
            "prefix",
        ),
        (
            "an endpoint that is none",
            json!({ "s3Config": { "bucket": "b-1", "endpoint": "file:///etc" } }),
            "must be http",
        ),
        (
            "a bucket that cannot be",
            json!({ "s3Config": { "bucket": "Not A Bucket" } }),
            "must be the name of a bucket",
        ),
    ];
    for (what, spec, said) in cases {
        let Err(error) = story.configure("refused", &spec) else {
            anyhow::bail!("{what} was accepted")
        };
        ensure!(format!("{error:#}").contains(said), "{what}: {error:#}");
    }
    story.end()
}

/// On-demand at its shortest interval, without any threshold.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_01_on_demand_fires_in_every_interval() -> Result<()> {
    let story = Story::begin("on-demand")?;
    story.deploy(&SampleApp::default())?;
    story.configure(
        "on-demand",
        &json!({
            "thresholds": { "enabled": false },
            "onDemand": { "enabled": true, "intervalSeconds": 15 },
            "profileTypes": ["heap", "goroutine"],
        }),
    )?;
    let heaps = wait_until("four captures on demand", IN_A_WHILE, || {
        let heaps: Vec<_> = story
            .profiles()?
            .into_iter()
            .filter(|profile| profile.kind == "heap")
            .collect();
        Ok((heaps.len() >= 4).then_some(heaps))
    })
    .map_err(|error| error.context(story.describe()))?;
    let mut times: Vec<&str> = heaps.iter().map(|heap| heap.decided.as_str()).collect();
    times.dedup();
    ensure!(times.len() == heaps.len(), "two captures in one second: {times:?}");
    story.end()
}

/// A bucket that is not there shows in a condition, for people who look at the config.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_bucket_that_is_missing_is_told_in_a_condition() -> Result<()> {
    let story = Story::begin("no-bucket")?;
    story.deploy(&SampleApp::default())?;
    story.configure(
        "no-bucket",
        &json!({
            "thresholds": { "enabled": false },
            "onDemand": { "enabled": true, "intervalSeconds": 15 },
            "profileTypes": ["goroutine"],
            "s3Config": { "bucket": "nobody-made-this", "region": "us-east-1", "endpoint": testkit::cluster::S3_ENDPOINT },
        }),
    )?;
    wait_until("condition StorageReady is False", SOON * 2, || {
        let config = story.get("profilingconfig", "no-bucket")?;
        let conditions = config["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let of_storage = conditions.into_iter().find(|one| one["type"] == "StorageReady");
        Ok(of_storage.filter(|one| one["status"] == "False"))
    })
    .map_err(|error| error.context(story.describe()))?;
    story.end()
}
