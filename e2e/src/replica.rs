//! Replicas of the operator: who leads, what each says of itself, and their processes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::process::{self, Running, Signal};
use testkit::{Cluster, wait_until};

use crate::{IN_A_WHILE, SOON, http, operator};

/// The name of the operator's Lease.
const LEASE: &str = "profiling-operator";

/// A replica whose process runs.
#[derive(Clone, Debug)]
pub struct Replica {
    /// Its pod's name, which is its identity in the election.
    pub name: String,
    /// Its pod, as it was when this was read.
    pub pod: Value,
    /// Its process.
    pub process: Running,
}

/// The Lease of the election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose it is; empty when it was given up.
    pub holder: String,
    /// How often it changed hands.
    pub transitions: u64,
}

/// The replicas that run, by name.
pub fn replicas(cluster: &Cluster) -> Result<Vec<Replica>> {
    let mut found = Vec::new();
    for pod in operator::pods(cluster)? {
        let name = pod["metadata"]["name"].as_str().context("a pod has a name")?.to_owned();
        if let Some(process) = process_of(&pod, "profiling-operator")? {
            found.push(Replica { name, pod, process });
        }
    }
    Ok(found)
}

/// Sets the number of replicas and waits until as many are ready and no other is left. The next story's installation sets
/// it back.
pub fn scale(cluster: &Cluster, count: usize) -> Result<Vec<Replica>> {
    cluster.kubectl([
        "scale",
        "deployment/profiling-operator",
        "--namespace",
        operator::NAMESPACE,
        &format!("--replicas={count}"),
    ])?;
    settled(cluster, count)
}

/// Waits until `count` replicas are ready and no other pod of the operator is left.
pub fn settled(cluster: &Cluster, count: usize) -> Result<Vec<Replica>> {
    wait_until(&format!("{count} ready replicas"), IN_A_WHILE, || {
        let all = cluster.get([
            "pods",
            "--namespace",
            operator::NAMESPACE,
            "--selector",
            "app=profiling-operator",
        ])?;
        let all = all["items"].as_array().map_or(0, Vec::len);
        let ready: Vec<Replica> = replicas(cluster)?.into_iter().filter(Replica::is_ready).collect();
        Ok((all == count && ready.len() == count).then_some(ready))
    })
}

/// The lease as it is now.
pub fn lease(cluster: &Cluster) -> Result<Lease> {
    let lease = cluster.get(["lease", LEASE, "--namespace", operator::NAMESPACE])?;
    Ok(Lease {
        holder: lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned(),
        transitions: lease["spec"]["leaseTransitions"].as_u64().unwrap_or_default(),
    })
}

/// The one replica that leads by its own word and by the lease; fails while two say so.
pub fn leader(cluster: &Cluster) -> Result<Replica> {
    leader_within(cluster, SOON)
}

/// As [`leader`], with a deadline of the caller's.
pub fn leader_within(cluster: &Cluster, deadline: Duration) -> Result<Replica> {
    wait_until("one replica that leads", deadline, || {
        let mut leading = Vec::new();
        for replica in replicas(cluster)? {
            if replica.leads()? {
                leading.push(replica);
            }
        }
        ensure!(leading.len() < 2, "two replicas lead: {leading:?}");
        let holder = lease(cluster)?.holder;
        Ok(leading.pop().filter(|replica| replica.name == holder))
    })
}

/// The process of a program in a pod, known by the pod's cgroup.
pub fn process_of(pod: &Value, program: &str) -> Result<Option<Running>> {
    let uid = pod["metadata"]["uid"].as_str().context("a pod has a uid")?;
    let ours = |pid: &i32| {
        let first = process::arguments(*pid).into_iter().next().unwrap_or_default();
        first.rsplit('/').next() == Some(program)
            && std::fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(uid))
    };
    Ok(process::pids()?.into_iter().find(ours).and_then(Running::of))
}

impl Replica {
    /// Kills its process and waits until nothing is left of it. One that ended before is an error: whatever a story then
    /// sees is not of this kill.
    pub fn kill(&self) -> Result<()> {
        ensure!(self.process.is_alive(), "{} ended before it was killed", self.name);
        self.end_at_once()
    }

    /// As [`kill`](Self::kill), for one that somebody else may be about to end as well.
    pub fn end_at_once(&self) -> Result<()> {
        self.process.signal(Signal::KILL)?;
        wait_until(&format!("the end of {}", self.name), SOON, || {
            Ok(self.process.is_gone().then_some(()))
        })
    }

    /// Whether it says that it leads.
    pub fn leads(&self) -> Result<bool> {
        Ok(self.metric("profiling_leader ")? >= 1.0)
    }

    /// The sum of the metrics whose lines start with `series`; absent counts as 0.
    pub fn metric(&self, series: &str) -> Result<f64> {
        let text = self.get(8080, "/metrics")?;
        let values = text
            .lines()
            .filter(|line| line.starts_with(series))
            .filter_map(|line| line.rsplit(' ').next());
        Ok(values.filter_map(|value| value.parse::<f64>().ok()).sum())
    }

    /// `/healthz`; an answer other than 200 is an error.
    pub fn health(&self) -> Result<String> {
        self.get(8081, "/healthz")
    }

    /// Its open files, sockets included.
    pub fn open_files(&self) -> Result<usize> {
        let path = format!("/proc/{}/fd", self.process.pid);
        Ok(std::fs::read_dir(&path)
            .with_context(|| format!("list {path}"))?
            .count())
    }

    /// Its resident memory in MiB.
    pub fn resident_mebibytes(&self) -> Result<f64> {
        Ok(self.metric("process_resident_memory_bytes ")? / f64::from(1 << 20))
    }

    /// The most resident memory that its process ever had, in MiB.
    pub fn peak_mebibytes(&self) -> Result<f64> {
        let path = format!("/proc/{}/status", self.process.pid);
        let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|text| text.trim().strip_suffix(" kB")).context("VmHWM")?;
        Ok(kibibytes.trim().parse::<f64>().context("VmHWM")? / 1024.0)
    }

    /// How often its container was started anew.
    pub fn restarts(&self, cluster: &Cluster) -> Result<u64> {
        let pod = cluster.get(["pod", &self.name, "--namespace", operator::NAMESPACE])?;
        pod["status"]["containerStatuses"][0]["restartCount"]
            .as_u64()
            .context("the container has a count of restarts")
    }

    /// What it logged so far.
    pub fn log(&self, cluster: &Cluster) -> Result<String> {
        let output = cluster.kubectl(["logs", &self.name, "--namespace", operator::NAMESPACE])?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn is_ready(&self) -> bool {
        self.pod["status"]["containerStatuses"][0]["ready"] == true
    }

    fn get(&self, port: u16, path: &str) -> Result<String> {
        let address = operator::address(&self.pod, port).context("a replica that runs has an address")?;
        http::get(address, path)
    }
}
