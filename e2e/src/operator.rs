//! The operator, installed as `make deploy` does and seen as its users see it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::{Cluster, wait_until};

use crate::{IN_A_WHILE, http};

/// Where it is installed.
pub const NAMESPACE: &str = "profiling-system";

/// The user whose requests the audit log shows.
pub const USER: &str = "system:serviceaccount:profiling-system:profiling-operator";

/// Stories of one program run at the same time, and each asks for the operator.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Installs the operator, unless it is there as wanted, and waits until a replica is ready.
pub fn install(cluster: &Cluster) -> Result<()> {
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("operator");
    // As the documentation says it: twice, because a resource can be used only once its definition is known.
    wait_until("the operator's manifests applied", IN_A_WHILE, || {
        cluster
            .kubectl([
                "apply",
                "--server-side",
                "--force-conflicts",
                "-k",
                &overlay.display().to_string(),
            ])
            .map(Some)
    })?;
    cluster
        .kubectl_command()
        .args([
            "rollout",
            "status",
            "deployment/profiling-operator",
            "--namespace",
            NAMESPACE,
            "--timeout=120s",
        ])
        .args(["--request-timeout=0"])
        .output()
        .context("start kubectl")
        .and_then(|output| {
            anyhow::ensure!(
                output.status.success(),
                "the operator does not become ready: {}",
                describe(cluster)
            );
            Ok(())
        })
}

/// The operator's pods that run and are not ending, by name.
pub fn pods(cluster: &Cluster) -> Result<Vec<Value>> {
    let list = cluster.get(["pods", "--namespace", NAMESPACE, "--selector", "app=profiling-operator"])?;
    let pods = list["items"].as_array().cloned().unwrap_or_default();
    Ok(pods
        .into_iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .collect())
}

/// The value of a metric whose line starts with `series`, summed over all replicas; absent counts as 0.
pub fn metric(cluster: &Cluster, series: &str) -> Result<f64> {
    let mut sum = 0.0;
    for pod in pods(cluster)? {
        let Some(address) = address(&pod, 8080) else { continue };
        let text = http::get(address, "/metrics")?;
        let values = text
            .lines()
            .filter(|line| line.starts_with(series))
            .filter_map(|line| line.rsplit(' ').next());
        sum += values.filter_map(|value| value.parse::<f64>().ok()).sum::<f64>();
    }
    Ok(sum)
}

/// The log of all replicas.
pub fn log(cluster: &Cluster) -> Result<String> {
    let output = cluster.kubectl([
        "logs",
        "--namespace",
        NAMESPACE,
        "--selector",
        "app=profiling-operator",
        "--tail=-1",
    ])?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The address of a port of a pod that has one.
pub fn address(pod: &Value, port: u16) -> Option<SocketAddr> {
    let address = pod["status"]["podIP"].as_str()?.parse().ok()?;
    Some(SocketAddr::new(address, port))
}

/// What there is to see of an operator that does not start.
fn describe(cluster: &Cluster) -> String {
    let said = |arguments: &[&str]| match cluster.kubectl(arguments) {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => format!("{error:#}\n"),
    };
    let pods = said(&["get", "pods", "--namespace", NAMESPACE, "-o", "wide"]);
    let events = said(&["get", "events", "--namespace", NAMESPACE]);
    let log = said(&[
        "logs",
        "--namespace",
        NAMESPACE,
        "--selector",
        "app=profiling-operator",
        "--tail=20",
    ]);
    format!("\n{pods}{events}{log}")
}
