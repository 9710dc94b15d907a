//! The simulated pods.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, anyhow};
use e2e::{SOON, Story, http};
use serde_json::{Value, json};
use testkit::cluster::Simulation;
use testkit::{Cluster, wait_until};

use super::wait_for;
use crate::beside::Beside;
use crate::say;

/// Requests at once to the API server: it answers one after the other from here on, on a machine with two processors.
const PARALLEL: usize = 8;
/// Pods of one service.
const SERVICE_PODS: usize = 100;
/// What a pod uses once it is hot, of the 256 MiB of its limit.
const HOT_MEMORY: &str = "250Mi";

/// Pods in the story's namespace, some of which are to become hot.
pub(super) struct Population<'s> {
    story: &'s Story,
    proxy: Proxy,
    names: Vec<String>,
    nodes: usize,
    hot: usize,
}

impl<'s> Population<'s> {
    /// Nothing is created yet but the nodes.
    pub(super) fn new(story: &'s Story, pods: usize, hot: usize, nodes: usize) -> Result<Self> {
        let all: Vec<Value> = (0..nodes).map(|number| Simulation::node(&node(number))).collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": all });
        story.cluster.apply(&list.to_string())?;
        Ok(Self {
            story,
            proxy: Proxy::start(&story.cluster)?,
            names: (0..pods).map(name).collect(),
            nodes,
            hot,
        })
    }

    /// The names of the pods that are to become hot: on every node as many.
    pub(super) fn hot(&self) -> impl Iterator<Item = &str> {
        let step = (self.names.len() / self.hot.max(1)).max(1);
        // A step of whole rounds over the nodes would take all of them from one node; the shift goes from node to node.
        (0..self.hot).filter_map(move |number| self.names.get(number * step + number % step).map(String::as_str))
    }

    /// The name of a pod that a line holds.
    pub(super) fn name_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        let start = text.find("sim-")?;
        text.get(start..start + name(0).len())
    }

    /// Creates the pods.
    pub(super) fn create(&self) -> Result<()> {
        let path = format!("/api/v1/namespaces/{}/pods", self.story.name);
        in_parallel(&self.names.iter().enumerate().collect::<Vec<_>>(), |(number, name)| {
            let pod = pod(*number, name, self.nodes).to_string();
            self.proxy.send("POST", &path, "application/json", &pod)
        })?;
        say(&format!("{} pods created", self.names.len()));
        Ok(())
    }

    /// Makes the hot pods hot, all within a second.
    pub(super) fn heat(&self) -> Result<()> {
        let annotation = Simulation::usage_annotation("memory").context("memory can be set")?;
        let patch = json!({ "metadata": { "annotations": { annotation: HOT_MEMORY } } }).to_string();
        in_parallel(&self.hot().collect::<Vec<_>>(), |name| {
            let path = format!("/api/v1/namespaces/{}/pods/{name}", self.story.name);
            self.proxy.send("PATCH", &path, "application/merge-patch+json", &patch)
        })
    }

    /// Waits until all run.
    pub(super) fn wait_until_running(&self) -> Result<()> {
        let path = format!(
            "/api/v1/namespaces/{}/pods?limit=1&fieldSelector=spec.nodeName!=node1,status.phase!=Running",
            self.story.name
        );
        wait_for("every pod running", || {
            let list = self.proxy.get(&path)?;
            Ok(list["items"].as_array().is_some_and(Vec::is_empty))
        })
    }

    /// Waits until metrics-server has usage of all.
    pub(super) fn wait_until_metered(&self) -> Result<()> {
        let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods", self.story.name);
        wait_for("usage of every pod", || {
            let list = self.proxy.get(&path)?;
            let known = list["items"].as_array().map_or(0, Vec::len);
            Ok(known >= self.names.len())
        })
    }

    /// Waits until metrics-server has just looked: its next look is most of its interval away.
    pub(super) fn wait_for_scrape(&self) -> Result<()> {
        let name = self.names.last().context("there are pods")?;
        let path = format!(
            "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods/{name}",
            self.story.name
        );
        let taken = || -> Result<Value> { Ok(self.proxy.get(&path)?["timestamp"].take()) };
        let before = taken()?;
        wait_for("the next look of metrics-server", || Ok(taken()? != before))
    }
}

fn node(number: usize) -> String {
    format!("simulated-{number:03}")
}

fn name(number: usize) -> String {
    format!("sim-{:03}-7d9c5b6f4d-{:05}", number / SERVICE_PODS, number)
}

/// A pod as a Deployment makes them, with what most have besides what matters here.
fn pod(number: usize, name: &str, nodes: usize) -> Value {
    let service = format!("service-{:03}", number / SERVICE_PODS);
    let environment: Vec<Value> = (0..8)
        .map(|number| json!({ "name": format!("SETTING_{number}"), "value": format!("value of setting {number}") }))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/name": service, "app.kubernetes.io/instance": service,
                "app.kubernetes.io/managed-by": "simulation", "pod-template-hash": "7d9c5b6f4d",
            },
            "annotations": { "profiling.io/enabled": "true" },
        },
        "spec": {
            "nodeName": node(number % nodes),
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "containers": [{
                "name": "app",
                "image": format!("registry.example/{service}:1.0.0"),
                "env": environment,
                "ports": [{ "name": "http", "containerPort": 8080 }, { "name": "pprof", "containerPort": 6060 }],
                "resources": {
                    "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "cpu": "500m", "memory": "256Mi" },
                },
            }],
        },
    })
}

/// Does something for every item, several at once; the first failure is the answer.
fn in_parallel<T: Sync>(items: &[T], one: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let share = items.len().div_ceil(PARALLEL).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = items
            .chunks(share)
            .map(|chunk| scope.spawn(|| chunk.iter().try_for_each(&one)))
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?)
    })
}

/// The API server without TLS, as `kubectl proxy` gives it: a program that is started 10,000 times would take an hour.
struct Proxy {
    _process: Beside,
    address: SocketAddr,
}

impl Proxy {
    fn start(cluster: &Cluster) -> Result<Self> {
        let address: SocketAddr = "127.0.0.1:28001".parse().context("address of the proxy")?;
        let mut command = cluster.command("kubectl");
        command.args(["proxy", "--address=127.0.0.1", "--port=28001"]);
        let process = Beside::start(cluster, &mut command, &cluster.dir().join("logs/proxy.log"))?;
        let proxy = Self {
            _process: process,
            address,
        };
        wait_until("the proxy's answer", SOON, || proxy.get("/version").map(Some))?;
        Ok(proxy)
    }

    fn get(&self, path: &str) -> Result<Value> {
        serde_json::from_str(&http::get(self.address, path)?).with_context(|| format!("decode {path}"))
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &str) -> Result<()> {
        http::send(self.address, method, path, Some((kind, body))).map(drop)
    }
}
