//! Simulated nodes and pods: what kwok is told to do with them.

use std::net::SocketAddr;

use serde_json::{Value, json};

/// Marks a node as simulated, the annotation by which kwok knows it.
const NODE_ANNOTATION: (&str, &str) = ("kwok.x-k8s.io/node", "fake");
/// The annotation by which metrics-server finds a node's metrics elsewhere than at a kubelet's usual path.
const METRICS_PATH_ANNOTATION: &str = "metrics.k8s.io/resource-metrics-path";
/// The annotations of a pod that say what it uses.
const USAGE_ANNOTATIONS: [(&str, &str); 2] = [("cpu", "simulated/cpu"), ("memory", "simulated/memory")];
/// What a pod uses that says nothing.
const USAGE: [(&str, &str); 2] = [("cpu", "10m"), ("memory", "16Mi")];
/// How many nodes, and pods, are looked after at once.
const PARALLEL: u32 = 16;

/// Pods that are nothing but objects: they become ready as soon as they are on a simulated node, use what their
/// annotations say, and serve on every port what a real program serves.
#[derive(Clone, Copy, Debug)]
pub struct Simulation {
    /// The program behind every port of every pod.
    pub forwards_to: SocketAddr,
}

impl Simulation {
    /// A node for simulated pods. Nothing else is scheduled on it.
    pub fn node(name: &str) -> Value {
        let mut annotations = json!({ METRICS_PATH_ANNOTATION: format!("/metrics/nodes/{name}/metrics/resource") });
        annotations[NODE_ANNOTATION.0] = json!(NODE_ANNOTATION.1);
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": { "name": name, "annotations": annotations, "labels": { "type": "simulated" } },
            "spec": { "taints": [{ "key": "simulated", "value": "true", "effect": "NoSchedule" }] },
        })
    }

    /// The annotation by which a pod says how much it uses of `resource`, `cpu` or `memory`.
    pub fn usage_annotation(resource: &str) -> Option<&'static str> {
        let found = USAGE_ANNOTATIONS.iter().find(|(name, _)| *name == resource);
        found.map(|(_, annotation)| *annotation)
    }

    pub(super) fn configuration(&self) -> String {
        let documents = [
            json!({
                "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
                "kind": "KwokConfiguration",
                "options": {
                    "manageNodesWithAnnotationSelector": format!("{}={}", NODE_ANNOTATION.0, NODE_ANNOTATION.1),
                    // Told in full: what is left out here is zero.
                    "enableDebuggingHandlers": true,
                    "nodePlayStageParallelism": PARALLEL,
                    "podPlayStageParallelism": PARALLEL,
                    "podsOnNodeSyncParallelism": PARALLEL,
                    "enablePodsOnNodeSyncListPager": true,
                    "enablePodsOnNodeSyncStreamWatch": false,
                    "nodeLeaseDurationSeconds": 120,
                    "nodeLeaseParallelism": PARALLEL,
                },
            }),
            stage("Node", "ready", NODE_IS_NEW, json!({ "statusTemplate": NODE_STATUS })),
            stage("Pod", "ready", POD_IS_NEW, json!({ "statusTemplate": POD_STATUS })),
            stage("Pod", "gone", POD_IS_DELETED, json!({ "delete": true })),
            metrics(),
            object(
                "ClusterResourceUsage",
                "annotated",
                json!({ "usages": [{ "usage": usage() }] }),
            ),
            object("ClusterPortForward", "all", self.forwards()),
        ];
        // JSON is YAML.
        let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
        texts.join("\n---\n")
    }

    fn forwards(&self) -> Value {
        let target = json!({ "address": self.forwards_to.ip(), "port": self.forwards_to.port() });
        json!({ "forwards": [{ "target": target }] })
    }
}

const NODE_IS_NEW: &[(&str, &str, &[&str])] = &[(
    ".status.conditions.[] | select( .type == \"Ready\" ) | .status",
    "NotIn",
    &["True"],
)];

const POD_IS_NEW: &[(&str, &str, &[&str])] = &[
    (".metadata.deletionTimestamp", "DoesNotExist", &[]),
    (".status.phase", "In", &["Pending"]),
];

const POD_IS_DELETED: &[(&str, &str, &[&str])] = &[(".metadata.deletionTimestamp", "Exists", &[])];

const NODE_STATUS: &str = "
{{ $now := Now }}
addresses: [{type: InternalIP, address: {{ NodeIP | Quote }}}]
daemonEndpoints: {kubeletEndpoint: {Port: {{ NodePort }}}}
allocatable: {cpu: \"64\", memory: 256Gi, pods: \"1000\"}
capacity: {cpu: \"64\", memory: 256Gi, pods: \"1000\"}
conditions:
- {type: Ready, status: \"True\", reason: Simulated, lastHeartbeatTime: {{ $now | Quote }}, lastTransitionTime: {{ $now | Quote }}}
";

const POD_STATUS: &str = "
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName false ( or .metadata.uid \"\" ) ( or .metadata.name \"\" ) ( or .metadata.namespace \"\" ) | Quote }}
conditions:
- {type: Initialized, status: \"True\", lastTransitionTime: {{ $now | Quote }}}
- {type: Ready, status: \"True\", lastTransitionTime: {{ $now | Quote }}}
- {type: ContainersReady, status: \"True\", lastTransitionTime: {{ $now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
";

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec })
}

fn stage(kind: &str, name: &str, when: &[(&str, &str, &[&str])], next: Value) -> Value {
    let expressions: Vec<Value> = when
        .iter()
        .map(|(key, operator, values)| {
            let mut one = json!({ "key": key, "operator": operator });
            if !values.is_empty() {
                one["values"] = json!(values);
            }
            one
        })
        .collect();
    object(
        "Stage",
        &format!("{}-{name}", kind.to_lowercase()),
        json!({
            "resourceRef": { "apiGroup": "v1", "kind": kind },
            "selector": { "matchExpressions": expressions },
            "next": next,
        }),
    )
}

/// The part of a kubelet's resource metrics that metrics-server reads. A node's own are there because it leaves out a
/// node without.
fn metrics() -> Value {
    let labels = json!([
        { "name": "container", "value": "container.name" },
        { "name": "namespace", "value": "pod.metadata.namespace" },
        { "name": "pod", "value": "pod.metadata.name" },
    ]);
    let of_container = |name: &str, kind: &str, value: &str| {
        json!({
            "name": name, "help": name, "dimension": "container", "kind": kind, "labels": labels, "value": value,
        })
    };
    let of_node = |name: &str, kind: &str, value: &str| json!({ "name": name, "help": name, "dimension": "node", "kind": kind, "value": value });
    object(
        "Metric",
        "resource",
        json!({
            "path": "/metrics/nodes/{nodeName}/metrics/resource",
            "metrics": [
                of_container("container_start_time_seconds", "gauge", "1.0"),
                of_container("container_cpu_usage_seconds_total", "counter", "pod.CumulativeUsage(\"cpu\", container.name)"),
                of_container("container_memory_working_set_bytes", "gauge", "pod.Usage(\"memory\", container.name)"),
                of_node("node_cpu_usage_seconds_total", "counter", "node.SinceSecond()"),
                of_node("node_memory_working_set_bytes", "gauge", "1000000000.0"),
            ],
        }),
    )
}

/// What a container uses, by its pod's annotations.
fn usage() -> Value {
    let mut usage = json!({});
    for ((resource, annotation), (_, otherwise)) in USAGE_ANNOTATIONS.iter().zip(USAGE) {
        let expression = format!(
            "\"{annotation}\" in pod.metadata.annotations \
             ? Quantity(pod.metadata.annotations[\"{annotation}\"]) : Quantity(\"{otherwise}\")"
        );
        usage[resource] = json!({ "expression": expression });
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_of_every_pod_leads_to_the_one_program() {
        let simulation = Simulation {
            forwards_to: "198.18.0.7:6060".parse().unwrap(),
        };
        let configuration = simulation.configuration();
        let documents: Vec<Value> = configuration
            .split("\n---\n")
            .map(|text| serde_json::from_str(text).unwrap())
            .collect();
        let forward = documents
            .iter()
            .find(|one| one["kind"] == "ClusterPortForward")
            .unwrap();
        let target = json!({ "address": "198.18.0.7", "port": 6060 });
        assert_eq!(forward["spec"]["forwards"], json!([{ "target": target }]));
    }

    #[test]
    fn a_pods_usage_is_read_from_its_annotations() {
        let annotation = Simulation::usage_annotation("memory").unwrap();
        assert!(usage()["memory"]["expression"].as_str().unwrap().contains(annotation));
        assert_eq!(Simulation::usage_annotation("disk"), None);
    }
}
