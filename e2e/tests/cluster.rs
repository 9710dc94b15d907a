//! The test cluster itself: what a story relies on.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::cluster::leftovers::leftovers;
use testkit::cluster::{Component, default_dir};
use testkit::{Cluster, Options, wait_until};

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: memory-on-disk, namespace: default}
spec:
  containers:
  - name: app
    image: localhost/pause:1
    imagePullPolicy: Never
    volumeMounts: [{name: scratch, mountPath: /scratch}]
  volumes: [{name: scratch, emptyDir: {medium: Memory}}]
"#;

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_second_cluster_runs_beside_the_first_and_leaves_nothing_behind() -> Result<()> {
    let first = Cluster::from_environment()?;
    let name = format!("{}-2", first.name());
    let dir = default_dir(&name)?;
    testkit::cluster::tear_down(&dir)?;
    let second = Cluster::up(&dir, &Options::named(&name)?)?;
    second.apply(POD)?;
    second.kubectl([
        "wait",
        "--for=condition=Ready",
        "pod/memory-on-disk",
        "--timeout=60s",
        "--request-timeout=90s",
    ])?;
    ensure!(
        leftovers(&dir, &name)?.len() > 10,
        "a running cluster is seen: {:?}",
        leftovers(&dir, &name)?
    );

    // A component that is frozen is no obstacle.
    second.pause(Component::Kubelet)?;
    second.down()?;
    let left = leftovers(&dir, &name)?;
    ensure!(left.is_empty(), "left behind: {left:#?}");
    first.kubectl(["get", "--raw", "/readyz"])?;
    Ok(())
}

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_frozen_object_store_is_silent_and_a_stopped_one_refuses() -> Result<()> {
    let cluster = Cluster::from_environment()?;
    let store = "198.51.100.10:7070".parse()?;
    let deadline = Duration::from_secs(2);
    let connects = || std::net::TcpStream::connect_timeout(&store, deadline);

    cluster.stop(Component::S3)?;
    let refused = connects().map(drop).map_err(|error| error.kind());
    cluster.start(Component::S3)?;
    ensure!(
        refused == Err(std::io::ErrorKind::ConnectionRefused),
        "a stopped store: {refused:?}"
    );

    cluster.pause(Component::S3)?;
    // The kernel still accepts; nobody answers.
    let accepted = connects().is_ok();
    let answered = e2e::http::get(store, "/");
    cluster.resume(Component::S3)?;
    ensure!(
        accepted && answered.is_err(),
        "a frozen store: accepted {accepted}, answered {answered:?}"
    );
    wait_until("the store's answer", Duration::from_secs(30), || {
        // Without credentials it refuses, which is an answer.
        let said = e2e::http::get(store, "/").unwrap_or_else(|error| error.to_string());
        Ok(said.contains("40").then_some(()))
    })
}

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn the_audit_log_tells_who_asked_for_what() -> Result<()> {
    let cluster = Cluster::from_environment()?;
    let mut audit = cluster.audit();
    audit.skip_to_end()?;
    let denied = cluster.kubectl([
        "get",
        "secrets",
        "--as=system:serviceaccount:default:nobody",
        "--namespace=default",
    ]);
    ensure!(denied.is_err(), "nobody may read secrets");
    let mut seen = Vec::new();
    wait_until("the denial in the audit log", Duration::from_secs(30), || {
        seen.extend(audit.read(|event| event.resource == "secrets" && event.verb == "list")?);
        Ok(seen
            .iter()
            .any(|event| !event.allowed && event.code == 403)
            .then_some(()))
    })
}
