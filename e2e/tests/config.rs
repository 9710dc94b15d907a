//! What users write, and what the API server refuses of it.

use anyhow::{Result, ensure};
use e2e::Story;
use serde_json::{Value, json};

/// Known failure 14: a type is one of a closed list and never a path; what is wrong is said by the API server itself.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_14_an_invalid_config_is_refused_with_a_message_that_helps() -> Result<()> {
    let story = Story::begin("refused")?;
    let cases: [(&str, Value, &str); 8] = [
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
        (
            "a label's value that no label has",
            json!({ "selector": { "labelSelector": { "app": "a b" } } }),
            "must be the value of a label",
        ),
        (
            "a label's name that no label has",
            json!({ "selector": { "labelSelector": { "a b": "web" } } }),
            "must be the name of a label",
        ),
        (
            "the same in an expression",
            json!({ "selector": { "matchExpressions": [{ "key": "app/", "operator": "Exists" }] } }),
            "must be the name of a label",
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
