//! What the operator asks of the API server, from the server's own audit log. By its name this file runs last, so that the
//! log holds every story before it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use e2e::story::SampleApp;
use e2e::{IN_A_WHILE, Story, operator, replica};
use serde_json::json;
use testkit::cluster::AuditEvent;
use testkit::{Cluster, wait_until};

/// Known failure 24: a role that lacks what the operator asks for. The other way round, nothing is granted for nothing.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_24_no_request_of_the_operator_was_ever_denied() -> Result<()> {
    let cluster = Cluster::from_environment()?;
    let mut asked: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let denied = cluster.audit().read_of(operator::USER, |event| {
        let key = (event.verb.clone(), event.group.clone(), event.resource.clone());
        *asked.entry(key).or_default() += 1;
        !event.allowed
    })?;
    ensure!(
        denied.is_empty(),
        "{} denied, the first {:#?}",
        denied.len(),
        denied.first()
    );
    // In any run at all it lists, watches and elects.
    for (verb, group, resource) in [
        ("list", "", "pods"),
        ("watch", "", "pods"),
        ("list", "profiling.io", "profilingconfigs"),
        ("watch", "profiling.io", "profilingconfigs"),
        ("update", "coordination.k8s.io", "leases"),
    ] {
        let key = (verb.to_owned(), group.to_owned(), resource.to_owned());
        ensure!(asked.contains_key(&key), "it never did {verb} {resource}: {asked:?}");
    }
    Ok(())
}

/// Known failure 18: one request per pod. A check is one list, whatever the number of pods, and nothing else.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_18_requests_per_check_do_not_grow_with_the_number_of_pods() -> Result<()> {
    let story = Story::begin_alone("requests")?;
    let cluster = &story.cluster;
    let mut app = SampleApp {
        replicas: 2,
        limits: ("100m".to_owned(), "100Mi".to_owned()),
        ..SampleApp::default()
    };
    story.configure(
        "requests",
        &json!({
            "thresholds": { "cpuThresholdPercent": 1000, "memoryThresholdPercent": 1000, "checkIntervalSeconds": 10 },
        }),
    )?;
    for replicas in [2, 20] {
        app.replicas = replicas;
        story.deploy(&app)?;
        wait_until(&format!("{replicas} targets"), IN_A_WHILE, || {
            let targets = replica::leader(cluster)?.metric("profiling_targets ")?;
            Ok((targets >= f64::from(replicas)).then_some(()))
        })?;
        wait_for_quiet_checks(&story).with_context(|| format!("with {replicas} pods"))?;
    }
    story.end()
}

/// Waits for two checks in a row with nothing between them: what changed, such as the status of a config that finds new
/// pods, is written once. A request per pod would be there in each.
fn wait_for_quiet_checks(story: &Story) -> Result<()> {
    let mut audit = story.cluster.audit();
    audit.skip_to_end()?;
    let mut events: Vec<AuditEvent> = Vec::new();
    let mut most = Vec::new();
    wait_until("two checks of one request each", IN_A_WHILE, || {
        // The lease is renewed, and watches are resumed, at their own pace.
        let at_own_pace = |event: &AuditEvent| event.resource == "leases" || event.verb == "watch";
        // A story that failed before this one leaves its namespace, and captures in it, for people to look at.
        let ours = |event: &AuditEvent| event.uri.contains(&format!("/namespaces/{}/", story.name));
        let is_check = |event: &AuditEvent| event.group == "metrics.k8s.io";
        let wanted = |event: &AuditEvent| !at_own_pace(event) && ours(event);
        events.extend(audit.read_of(operator::USER, wanted)?);
        let quiet = events.windows(2).any(|two| two.iter().all(is_check));
        most = events
            .iter()
            .map(|event| format!("{} {}", event.verb, event.uri))
            .collect();
        Ok(quiet.then_some(()))
    })
    .with_context(|| format!("asked: {most:#?}"))
}
