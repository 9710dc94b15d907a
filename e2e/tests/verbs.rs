//! What the operator asks of the API server, from the server's own audit log. By its name this file runs last, so that the
//! log holds every story before it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::story::SampleApp;
use e2e::{IN_A_WHILE, Story, operator, replica};
use serde_json::{Value, json};
use testkit::cluster::AuditEvent;
use testkit::{Cluster, wait_until};

/// What no request in the log can show. `create` on a port-forward is asked of the authorizer beside the `get` that opens
/// the tunnel, by newer API servers. The lease is created once, before the log of a cluster that was kept began.
const NOT_IN_THE_LOG: [(&str, &str, &str); 2] = [
    ("create", "", "pods/portforward"),
    ("create", "coordination.k8s.io", "leases"),
];

/// Known failure 24: a role that lacks what the operator asks for. The other way round, nothing is granted for nothing.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn failure_24_the_roles_hold_what_the_operator_asks_for_and_no_more() -> Result<()> {
    // By itself, this file has no story before it.
    let story = Story::begin("verbs")?;
    let cluster = &story.cluster;
    story.deploy(&SampleApp::default())?;
    story.configure(
        "verbs",
        &json!({ "onDemand": { "enabled": true, "intervalSeconds": 15 }, "profileTypes": ["goroutine"] }),
    )?;
    story.wait_for_captures(1)?;
    story.wait_for_condition("verbs", "MetricsAvailable", "True")?;

    let (granted, mut audit) = (granted(cluster)?, cluster.audit());
    let (mut asked, mut allowed) = (BTreeSet::new(), BTreeSet::new());
    let mut denied = Vec::new();
    let mut unused = Vec::new();
    wait_until("each verb that is granted, in the audit log", IN_A_WHILE, || {
        denied.extend(audit.read_of(operator::USER, |event| {
            let right = (event.verb.clone(), event.group.clone(), event.resource.clone());
            if event.allowed {
                allowed.insert((right.clone(), event.namespace.clone()));
            }
            asked.insert(right);
            !event.allowed
        })?);
        unused = granted
            .iter()
            .filter(|one| !asked.contains(one) && !is_hidden(one))
            .collect();
        Ok(unused.is_empty().then_some(()))
    })
    .with_context(|| format!("granted for nothing: {unused:?}; asked: {asked:#?}"))?;
    // An API server that has just started answers before it knows the roles: what the role lacks is never allowed.
    denied.retain(
        |AuditEvent {
             verb,
             group,
             resource,
             namespace,
             ..
         }| {
            let right = (verb.clone(), group.clone(), resource.clone());
            !allowed.contains(&(right, namespace.clone()))
        },
    );
    ensure!(
        denied.is_empty(),
        "{} denied, the first {:#?}",
        denied.len(),
        denied.first()
    );
    story.end()
}

/// A verb on a resource: `("list", "metrics.k8s.io", "pods")`.
type Right = (String, String, String);

fn is_hidden((verb, group, resource): &Right) -> bool {
    NOT_IN_THE_LOG.contains(&(verb, group, resource))
}

/// Every verb on every resource in the operator's two roles.
fn granted(cluster: &Cluster) -> Result<Vec<Right>> {
    let roles = [
        cluster.get(["clusterrole", "profiling-operator"])?,
        cluster.get([
            "role",
            "profiling-operator-leader-election",
            "--namespace",
            operator::NAMESPACE,
        ])?,
    ];
    let words = |list: &Value| -> Vec<String> {
        let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        words.map(str::to_owned).collect()
    };
    let mut granted = Vec::new();
    for rule in roles.iter().filter_map(|role| role["rules"].as_array()).flatten() {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                let verbs = words(&rule["verbs"]).into_iter();
                granted.extend(verbs.map(|verb| (verb, group.clone(), resource.clone())));
            }
        }
    }
    ensure!(granted.len() > 10, "the roles hold {granted:?} only");
    Ok(granted)
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
