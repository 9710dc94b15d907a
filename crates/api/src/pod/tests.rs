use kube::Resource;
use serde_json::{Value, json};

use super::*;

/// A pod of a Deployment as the API server lists it, with much of what is to be skipped.
fn web() -> Value {
    json!({
        "metadata": {
            "name": "web-5d8f7c9b6d-x2x9z",
            "generateName": "web-5d8f7c9b6d-",
            "namespace": "team-a",
            "uid": "1f0c9c6a-3a4b-4f4e-9a51-0123456789ab",
            "resourceVersion": "77",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": { "pod-template-hash": "5d8f7c9b6d", "tier": "front", "app": "web-app" },
            "annotations": {
                "profiling.io/enabled": "true",
                "kubectl.kubernetes.io/last-applied-configuration": "a whole manifest",
            },
            "ownerReferences": [
                { "apiVersion": "v1", "kind": "Other", "name": "guest", "uid": "o-2" },
                { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d8f7c9b6d", "uid": "o-1", "controller": true },
            ],
            "managedFields": [{ "manager": "kubelet", "fieldsV1": { "f:status": {} } }],
        },
        "spec": {
            "nodeName": "node-1",
            "volumes": [{ "name": "v", "emptyDir": {} }],
            "containers": [
                {
                    "name": "web",
                    "image": "web:1",
                    "ports": [{ "name": "http", "containerPort": 8080 }, { "name": "pprof", "containerPort": 6061, "protocol": "TCP" }],
                    "resources": { "limits": { "cpu": "500m", "memory": "256Mi" }, "requests": { "cpu": "100m" } },
                },
                { "name": "proxy", "resources": { "limits": { "cpu": "NaN", "example.com/gpu": "1" } } },
            ],
            "initContainers": [
                { "name": "migrate", "resources": { "limits": { "cpu": "4" } } },
                { "name": "logs", "restartPolicy": "Always", "resources": { "requests": { "memory": "16Mi" } } },
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": "198.18.0.7",
            "startTime": "2026-01-01T00:00:01Z",
            "containerStatuses": [
                { "name": "web", "ready": true, "restartCount": 1, "state": { "running": { "startedAt": "2026-01-01T00:05:00Z" } } },
                { "name": "proxy", "state": { "waiting": { "reason": "CrashLoopBackOff" } } },
            ],
        },
    })
}

fn facts(pod: Value) -> TargetFacts {
    target(&serde_json::from_value::<SlimPod>(pod).expect("a pod decodes"))
}

fn with(pointer: &str, value: Value) -> Value {
    let mut pod = web();
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    let parent = pod.pointer_mut(parent).expect("the parent");
    if let Some(object) = parent.as_object_mut() {
        object.insert(field.replace("~1", "/"), value);
    }
    pod
}

fn without(pointer: &str) -> Value {
    with(pointer, Value::Null)
}

fn annotated(key: &str, value: &str) -> Value {
    with(&format!("/metadata/annotations/profiling.io~1{key}"), json!(value))
}

#[test]
fn a_pod_becomes_a_target() {
    let container = |name: &str| ContainerFacts {
        name: name.into(),
        cpu_limit_millis: None,
        cpu_request_millis: None,
        memory_limit_bytes: None,
        memory_request_bytes: None,
        declares_port: false,
    };
    let expected = TargetFacts {
        id: TargetId(0x1f0c_9c6a_3a4b_4f4e_9a51_0123_4567_89ab),
        namespace: "team-a".into(),
        name: "web-5d8f7c9b6d-x2x9z".into(),
        service: "web-app".into(),
        node: "node-1".into(),
        labels: vec![
            ("app".into(), "web-app".into()),
            ("pod-template-hash".into(), "5d8f7c9b6d".into()),
            ("tier".into(), "front".into()),
        ],
        opted_in: true,
        port: Port::Number(6061),
        address: Some([198, 18, 0, 7].into()),
        containers: vec![
            ContainerFacts {
                cpu_limit_millis: Some(500),
                cpu_request_millis: Some(100),
                memory_limit_bytes: Some(256 << 20),
                declares_port: true,
                ..container("web")
            },
            container("proxy"),
            ContainerFacts {
                memory_request_bytes: Some(16 << 20),
                ..container("logs")
            },
        ],
        container: None,
        host_network: false,
        phase: Phase::Running,
        terminating: false,
        started_at: Some(Wall(1_767_225_900_000)),
    };
    assert_eq!(facts(annotated("port", "pprof")), expected);
}

#[test]
fn what_is_not_needed_is_not_kept() {
    let pod: SlimPod = serde_json::from_value(web()).expect("a pod decodes");
    assert_eq!(pod.metadata.managed_fields, None);
    assert_eq!(
        pod.metadata.annotations.as_ref().map(std::collections::BTreeMap::len),
        Some(1)
    );
    assert_eq!(pod.metadata.owner_references.as_ref().map(Vec::len), Some(1));
    assert_eq!(pod.meta().resource_version.as_deref(), Some("77"));
    assert_eq!(SlimPod::url_path(&(), Some("team-a")), "/api/v1/namespaces/team-a/pods");
}

#[test]
fn a_pod_opts_in_by_annotation_or_label_and_out_by_either() {
    let opted = |annotation: Option<&str>, label: Option<&str>| {
        let mut pod = web();
        pod["metadata"]["annotations"] = annotation.map_or(json!({}), |value| json!({ "profiling.io/enabled": value }));
        pod["metadata"]["labels"] = label.map_or(json!({}), |value| json!({ "profiling.io/enabled": value }));
        facts(pod).opted_in
    };
    assert!(opted(Some("true"), None));
    assert!(opted(None, Some("true")));
    assert!(opted(Some("true"), Some("true")));
    for (annotation, label) in [
        (None, None),
        (Some("false"), None),
        (Some("True"), None),
        (Some("1"), None),
        (Some("false"), Some("true")),
        (Some("true"), Some("false")),
    ] {
        assert!(!opted(annotation, label), "{annotation:?} {label:?}");
    }
}

#[test]
fn a_port_is_a_number_a_declared_name_or_unresolved() {
    let port = |text: &str| facts(annotated("port", text)).port;
    assert_eq!(facts(web()).port, Port::Number(6060));
    assert_eq!(port(""), Port::Number(6060));
    assert_eq!(port(" 7070 "), Port::Number(7070));
    assert_eq!(port("http"), Port::Number(8080));
    assert_eq!(port("10250"), Port::Number(10_250));
    for wrong in ["0", "65536", "-1", "nothing", "6060/debug", "6060 x"] {
        assert_eq!(port(wrong), Port::Unresolved(wrong.into()));
    }
    assert_eq!(port(&"é".repeat(200)), Port::Unresolved("é".repeat(63).into()));
    let mut udp = annotated("port", "pprof");
    udp["spec"]["containers"][0]["ports"][1]["protocol"] = json!("UDP");
    assert_eq!(facts(udp).port, Port::Unresolved("pprof".into()));
}

#[test]
fn a_port_name_is_looked_for_in_the_named_container_first() {
    let mut pod = annotated("port", "http");
    pod["spec"]["containers"][1]["ports"] = json!([{ "name": "http", "containerPort": 15_000 }]);
    assert_eq!(facts(pod.clone()).port, Port::Number(8080));
    pod["metadata"]["annotations"]["profiling.io/container"] = json!("proxy");
    let facts = facts(pod);
    assert_eq!(facts.port, Port::Number(15_000));
    assert_eq!(facts.container.as_deref(), Some("proxy"));
}

#[test]
fn failure_06_the_start_is_that_of_the_container_that_counts() {
    // Two containers and no declared port: the pod's own start.
    assert_eq!(facts(web()).started_at, Some(Wall(1_767_225_601_000)));
    assert_eq!(
        facts(annotated("container", "web")).started_at,
        Some(Wall(1_767_225_900_000))
    );
    // It waits to be started again.
    assert_eq!(
        facts(annotated("container", "proxy")).started_at,
        Some(Wall(1_767_225_601_000))
    );
    assert_eq!(facts(without("/status")).started_at, None);
}

#[test]
fn phase_deletion_and_host_network_are_read() {
    let phase = |word: &str| facts(with("/status/phase", json!(word))).phase;
    assert_eq!(phase("Pending"), Phase::Pending);
    assert_eq!(phase("Unknown"), Phase::Pending);
    assert_eq!(phase("Succeeded"), Phase::Ended);
    assert_eq!(phase("Failed"), Phase::Ended);
    assert!(facts(with("/metadata/deletionTimestamp", json!("2026-01-01T00:10:00Z"))).terminating);
    assert!(facts(with("/spec/hostNetwork", json!(true))).host_network);
}

#[test]
fn a_service_is_named_by_labels_then_owner_then_name() {
    let mut pod = web();
    let mut service = |change: &dyn Fn(&mut Value)| {
        change(&mut pod);
        facts(pod.clone()).service.into_string()
    };
    let label =
        |key: &'static str, value: &'static str| move |pod: &mut Value| pod["metadata"]["labels"][key] = json!(value);
    let owner = |kind: &'static str, name: &'static str| {
        move |pod: &mut Value| {
            pod["metadata"]["ownerReferences"] =
                json!([{ "apiVersion": "x/v1", "kind": kind, "name": name, "uid": "o", "controller": true }]);
        }
    };
    assert_eq!(service(&label("k8s-app", "third")), "web-app");
    assert_eq!(service(&label("app.kubernetes.io/name", "first")), "first");
    assert_eq!(
        service(&|pod| pod["metadata"]["labels"] = json!({ "k8s-app": "third", "app": "" })),
        "third"
    );
    assert_eq!(
        service(&|pod| pod["metadata"]["labels"] = json!({ "pod-template-hash": "5d8f7c9b6d" })),
        "web"
    );
    assert_eq!(service(&owner("ReplicaSet", "alone")), "alone");
    assert_eq!(service(&owner("StatefulSet", "db")), "db");
    assert_eq!(service(&owner("DaemonSet", "agent-2")), "agent-2");
    assert_eq!(service(&owner("Job", "report-29391234")), "report");
    assert_eq!(service(&owner("Job", "migrate-2")), "migrate-2");
    assert_eq!(service(&owner("Rollout", "canary")), "canary");
    // From here on there is no owner to go by.
    assert_eq!(service(&owner("Node", "node-1")), "web");
    assert_eq!(service(&|pod| pod["metadata"]["labels"] = json!({})), "web-5d8f7c9b6d");
    assert_eq!(
        service(&|pod| pod["metadata"]["generateName"] = json!("")),
        "web-5d8f7c9b6d-x2x9z"
    );
    assert_eq!(service(&|pod| pod["metadata"]["name"] = json!("etcd-node-1")), "etcd");
    assert_eq!(service(&|pod| pod["metadata"]["name"] = json!("node-1")), "node-1");
}

#[test]
fn a_pod_of_almost_nothing_is_a_target_that_nothing_is_done_with() {
    let nulls = json!({ "metadata": { "name": "x" }, "spec": { "containers": null }, "status": null });
    for pod in [
        json!({}),
        nulls,
        json!({ "metadata": { "name": "x", "namespace": "n" }, "spec": {}, "status": {} }),
    ] {
        let facts = facts(pod);
        assert!(!facts.opted_in);
        assert_eq!(facts.phase, Phase::Pending);
        assert_eq!(facts.containers, Vec::new());
    }
}
