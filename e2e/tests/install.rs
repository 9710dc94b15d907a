//! The Helm chart, as its users install and uninstall it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::story::SampleApp;
use e2e::{Story, replica};
use serde_json::json;
use testkit::cluster::{S3_CREDENTIALS, S3_ENDPOINT};
use testkit::process;
use testkit::tools::{Tool, ensure as ensure_tool};

const RELEASE: &str = "flight-recorder";

/// Known failures 26 and 27: a chart that does what its values say, and an uninstallation that leaves users what is theirs.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_27_the_chart_captures_with_its_default_config_and_leaves_others_behind() -> Result<()> {
    let story = Story::begin_alone("helm-install")?;
    let cluster = &story.cluster;
    // The operator of the other stories would see the same pods and configs.
    replica::scale(cluster, 0)?;
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../helm/profiling-operator");
    let values = json!({
        "image": { "repository": "localhost/profiling-operator", "tag": "e2e", "pullPolicy": "Never" },
        "extraEnv": [
            { "name": "AWS_ACCESS_KEY_ID", "value": S3_CREDENTIALS.0 },
            { "name": "AWS_SECRET_ACCESS_KEY", "value": S3_CREDENTIALS.1 },
        ],
        "defaultConfig": {
            "s3": { "bucket": story.name, "region": "us-east-1", "endpoint": S3_ENDPOINT },
            "selector": { "namespace": story.name },
            "thresholds": { "cpuThresholdPercent": 77 },
            "onDemand": { "enabled": true, "intervalSeconds": 15 },
            "profileTypes": ["goroutine"],
            "capture": { "cpuSeconds": 5 },
        },
    });
    let helm = |arguments: &[&str]| -> Result<std::process::Command> {
        let mut command = cluster.command(ensure_tool(Tool::Helm)?.join("helm"));
        command.args(arguments).args(["--namespace", &story.name]);
        // Its caches and settings: the cluster's folder goes with the cluster.
        command.env("HOME", cluster.dir()).env("HELM_DRIVER", "secret");
        Ok(command)
    };
    let install = ["install", RELEASE, &chart.display().to_string(), "--values", "-"];
    let mut install = helm(&install)?;
    process::run_with_input(install.args(["--wait", "--timeout", "120s"]), &values.to_string())?;

    story.deploy(&SampleApp::default())?;
    let config = story.get("profilingconfig", "default")?;
    ensure!(
        config["spec"]["thresholds"]["cpuThresholdPercent"] == 77,
        "the default config is not as the values say: {config}"
    );
    story.wait_for_condition("default", "Ready", "True")?;
    story.wait_for_captures(1)?;
    story.configure("of-a-user", &json!({ "suspend": true }))?;

    process::run(&mut helm(&["uninstall", RELEASE, "--wait", "--timeout", "120s"])?)?;
    story.get("profilingconfig", "of-a-user")?;
    ensure!(
        story.get("profilingconfig", "default").is_err(),
        "the default config was part of the release"
    );
    let left = cluster.get(["deployments,serviceaccounts,roles", "--namespace", &story.name])?;
    let left = left["items"].as_array().cloned().unwrap_or_default();
    let release = |object: &&serde_json::Value| object["metadata"]["labels"]["app.kubernetes.io/instance"] == RELEASE;
    ensure!(left.iter().find(release).is_none(), "left behind: {left:#?}");
    replica::scale(cluster, 1)?;
    story.end()
}

/// What the documentation has people apply, the API server takes as it lies in the repository. Nothing of it is kept.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn the_samples_and_manifests_are_taken_as_they_are() -> Result<()> {
    let story = Story::begin("samples")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (how, what) in [
        ("-k", "config/samples"),
        ("-f", "examples/target-app.yaml"),
        ("-k", "config/network-policy"),
    ] {
        let path = root.join(what).display().to_string();
        let apply = ["apply", "--server-side", "--dry-run=server", how, &path];
        story.cluster.kubectl(apply).with_context(|| what.to_owned())?;
    }
    story.end()
}
