//! What the API server is asked per check interval, counted by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::seen::is_operators;
use e2e::{IN_A_WHILE, Story, operator};
use serde_json::json;
use testkit::cluster::AuditEvent;
use testkit::wait::let_pass;
use testkit::{Cluster, wait_until};

use crate::say;
use crate::table::Table;

/// The shortest interval.
const INTERVAL_SECONDS: u32 = 10;
/// Intervals counted: what comes every two seconds, the lease, is counted to a thirtieth.
const INTERVALS: u32 = 6;
/// Pods of the small and of the large count.
const PODS: [u32; 2] = [3, 63];

/// Counts with few pods and with many.
pub(crate) fn take(_: &Cluster, table: &mut Table) -> Result<()> {
    let story = Story::begin_alone("requests")?;
    story.apply(&idle_pods())?;
    story.configure(
        "requests",
        &json!({ "thresholds": { "checkIntervalSeconds": INTERVAL_SECONDS } }),
    )?;
    let mut counts = Vec::new();
    for pods in PODS {
        scale(&story, pods)?;
        wait_until("every pod checked", IN_A_WHILE, || {
            let targets = operator::metric(&story.cluster, "profiling_targets ")?;
            Ok((targets >= f64::from(pods)).then_some(()))
        })?;
        wait_for_usage(&story, pods)?;
        let counted = count(&story)?;
        say(&format!("{pods} pods: {counted:?}"));
        counts.push(counted);
    }
    let [few, many] = counts.as_slice() else {
        anyhow::bail!("two counts");
    };
    let per_interval = |all: &BTreeMap<String, u32>| f64::from(all.values().sum::<u32>()) / f64::from(INTERVALS);
    let lists = |all: &BTreeMap<String, u32>| f64::from(*all.get(USAGE_LISTS).unwrap_or(&0)) / f64::from(INTERVALS);
    table.row(
        "requests to the API server per check interval of 10 s, lease and watches included",
        &format!(
            "{:.1} with {} pods, {:.1} with {}",
            per_interval(few),
            PODS[0],
            per_interval(many),
            PODS[1]
        ),
        "independent of the pods (± 1)",
        (per_interval(many) - per_interval(few)).abs() <= 1.0,
    );
    table.row(
        "lists of usage among them",
        &format!("{:.1} and {:.1}", lists(few), lists(many)),
        "1",
        [few, many].iter().all(|one| lists(one) < 1.2),
    );
    story.end()
}

/// As [`key`] writes it.
const USAGE_LISTS: &str = "list pods.metrics.k8s.io";

/// The operator's requests in a window, by verb and resource.
fn count(story: &Story) -> Result<BTreeMap<String, u32>> {
    let mut audit = story.cluster.audit();
    audit.skip_to_end()?;
    let_pass(Duration::from_secs(u64::from(INTERVAL_SECONDS * INTERVALS)));
    let mut counts = BTreeMap::new();
    // A watch has two lines: one when it begins, one when it ends. Everything else has the second only.
    for event in audit.read_of(operator::USER, |event| {
        is_operators(event) && (event.verb == "watch") == (event.stage == "ResponseStarted")
    })? {
        *counts.entry(key(&event)).or_insert(0) += 1;
    }
    Ok(counts)
}

fn key(event: &AuditEvent) -> String {
    let group = if event.group.is_empty() { "" } else { "." };
    format!("{} {}{group}{}", event.verb, event.resource, event.group)
}

fn scale(story: &Story, pods: u32) -> Result<()> {
    let replicas = format!("--replicas={pods}");
    let namespace = ["--namespace", &story.name];
    story
        .cluster
        .kubectl(["scale", "deployment/idle", &replicas].into_iter().chain(namespace))?;
    let wait = [
        "rollout",
        "status",
        "deployment/idle",
        "--timeout=120s",
        "--request-timeout=150s",
    ];
    story.cluster.kubectl(wait.into_iter().chain(namespace)).map(drop)
}

/// Waits until the metrics API knows every pod.
fn wait_for_usage(story: &Story, pods: u32) -> Result<()> {
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods", story.name);
    wait_until("usage of every pod", IN_A_WHILE, || {
        let output = story.cluster.kubectl(["get", "--raw", &path])?;
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).context("decode usage")?;
        let known = list["items"].as_array().map_or(0, Vec::len);
        Ok((known >= pods as usize).then_some(()))
    })
}

/// Pods that opted in and do nothing.
fn idle_pods() -> serde_json::Value {
    let labels = json!({ "app.kubernetes.io/name": "idle" });
    let limits = json!({ "cpu": "100m", "memory": "64Mi" });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "idle" },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels, "annotations": { "profiling.io/enabled": "true" } },
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "automountServiceAccountToken": false,
                    "containers": [{
                        "name": "idle",
                        "image": "localhost/pause:1",
                        "imagePullPolicy": "Never",
                        "resources": { "requests": { "cpu": "1m" }, "limits": limits },
                    }],
                },
            },
        },
    })
}
