//! The Helm chart and the manifests, as helm and make render them: no cluster is needed to see what they would apply.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot look has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testkit::process;
use testkit::tools::{Tool, ensure};

/// The objects of a release with these values; none where helm cannot be built, which on a build server is a failure.
fn objects(release: &str, values: &Value) -> Option<Vec<Value>> {
    let helm = match ensure(Tool::Helm) {
        Ok(bin) => bin.join("helm"),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "helm is needed here: {error:#}");
            return None;
        }
    };
    let mut command = Command::new(helm);
    command.args([
        "template",
        release,
        "helm/profiling-operator",
        "--namespace",
        "operators",
    ]);
    command.args(["--values", "-"]).current_dir(root());
    let rendered = process::run_with_input(&mut command, &values.to_string()).unwrap();
    Some(documents(&String::from_utf8(rendered.stdout).unwrap()))
}

fn documents(text: &str) -> Vec<Value> {
    let text = format!("\n{text}");
    let documents = text
        .split("\n---\n")
        .map(|one| serde_norway::from_str::<Value>(one).unwrap());
    documents.filter(Value::is_object).collect()
}

fn of_kind<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|one| one["kind"] == kind).collect()
}

fn only<'o>(objects: &'o [Value], kind: &str) -> &'o Value {
    let [one] = of_kind(objects, kind)[..] else {
        panic!("not one {kind}: {objects:#?}");
    };
    one
}

#[test]
fn make_helm_install_installs_the_image_that_was_pushed() {
    for (image, repository, tag) in [
        (
            "localhost/profiling-operator:dev",
            "localhost/profiling-operator",
            "dev",
        ),
        (
            "registry.example.com:5000/a/b:1.2",
            "registry.example.com:5000/a/b",
            "1.2",
        ),
        (
            "registry.example.com:5000/a/b",
            "registry.example.com:5000/a/b",
            "latest",
        ),
    ] {
        let mut make = Command::new("make");
        make.args(["--dry-run", "helm-install", &format!("IMG={image}")]);
        let said = process::text(make.current_dir(root())).unwrap();
        let words: Vec<&str> = said.split_whitespace().collect();
        let repository = format!("image.repository={repository}");
        let tag = format!("image.tag={tag}");
        assert!(
            words.contains(&&*repository) && words.contains(&&*tag),
            "{image}: {said}"
        );
    }
}

#[test]
fn names_that_look_like_numbers_stay_names() {
    let values = json!({
        "fullnameOverride": "123",
        "namespace": { "name": "1e3", "create": true },
        "operator": { "watchNamespace": "0777" },
        "priorityClassName": "42",
        "networkPolicy": { "enabled": true },
        "defaultConfig": { "s3": { "bucket": "profiles" } },
    });
    let Some(objects) = objects("7", &values) else { return };
    assert!(objects.len() > 9, "{objects:#?}");
    for object in &objects {
        let metadata = object["metadata"].as_object().unwrap();
        for (field, value) in metadata
            .iter()
            .filter(|(field, _)| *field != "labels" && *field != "annotations")
        {
            assert!(value.is_string(), "metadata.{field} of {object:#}");
        }
        for (label, value) in metadata["labels"].as_object().unwrap() {
            assert!(value.is_string(), "label {label} of {object:#}");
        }
    }
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["priorityClassName"], "42");
    assert_eq!(pod["serviceAccountName"], "123");
}

#[test]
fn without_a_lease_no_rollout_has_two_operators() {
    for (elects, strategy) in [(true, Value::Null), (false, json!({ "type": "Recreate" }))] {
        let Some(objects) = objects("r", &json!({ "operator": { "leaderElect": elects } })) else {
            return;
        };
        assert_eq!(only(&objects, "Deployment")["spec"]["strategy"], strategy);
    }
}

#[test]
fn operators_of_one_namespace_each_can_have_one_name() {
    let values = json!({ "operator": { "watchNamespace": "team-a" }, "namespace": { "name": "team-a" } });
    let Some(objects) = objects("r", &values) else { return };
    let names: Vec<&Value> = of_kind(&objects, "ClusterRole")
        .iter()
        .map(|one| &one["metadata"]["name"])
        .collect();
    assert_eq!(
        names,
        ["r-profiling-operator-team-a-edit", "r-profiling-operator-team-a-view"]
    );
    assert!(of_kind(&objects, "ClusterRoleBinding").is_empty());
}

#[test]
fn certificates_of_a_private_authority_can_be_given() {
    let values = json!({
        "extraEnv": [{ "name": "SSL_CERT_DIR", "value": "/etc/ssl/certs:/etc/ssl/private-ca" }],
        "extraVolumes": [{ "name": "private-ca", "configMap": { "name": "private-ca" } }],
        "extraVolumeMounts": [{ "name": "private-ca", "mountPath": "/etc/ssl/private-ca", "readOnly": true }],
    });
    let Some(objects) = objects("r", &values) else { return };
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    let has = |list: &Value, one: &Value| list.as_array().unwrap().contains(one);
    assert!(has(&pod["containers"][0]["env"], &values["extraEnv"][0]), "{pod:#}");
    assert!(
        has(&pod["containers"][0]["volumeMounts"], &values["extraVolumeMounts"][0]),
        "{pod:#}"
    );
    assert!(has(&pod["volumes"], &values["extraVolumes"][0]), "{pod:#}");
}

#[test]
fn the_network_policy_is_the_manifests_and_covers_the_ports_of_the_pod() {
    let Some(without) = objects("r", &json!({})) else {
        return;
    };
    assert!(of_kind(&without, "NetworkPolicy").is_empty());

    let values = json!({ "networkPolicy": { "enabled": true } });
    let objects = objects("r", &values).unwrap();
    let (policy, deployment) = (only(&objects, "NetworkPolicy"), only(&objects, "Deployment"));
    let manifest = documents(&read("config/network-policy/network_policy.yaml"));
    for part in ["policyTypes", "ingress", "egress"] {
        assert_eq!(policy["spec"][part], manifest[0]["spec"][part], "{part}");
    }
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    for (label, value) in policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&labels[label], value, "{label}");
    }
    let ports = |list: &Value, port: &str| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|one| one[port].clone()).collect()
    };
    let open: Vec<Value> = policy["spec"]["ingress"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| ports(&rule["ports"], "port"))
        .collect();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(open, ports(&container["ports"], "containerPort"));
}

#[test]
fn a_network_policy_names_the_pods_of_transport_pod_ip() {
    let of = |watched: &str| {
        let values = json!({
            "operator": { "watchNamespace": watched },
            "networkPolicy": {
                "enabled": true,
                "podIPPorts": [6060],
                "storePorts": [9000],
                "storeTo": [{ "ipBlock": { "cidr": "192.0.2.7/32" } }],
            },
        });
        objects("r", &values).map(|objects| only(&objects, "NetworkPolicy")["spec"]["egress"].clone())
    };
    let (Some(all), Some(one)) = (of(""), of("team-a")) else {
        return;
    };
    let rule = |selector: Value| json!({ "ports": [{ "port": 6060 }], "to": [{ "namespaceSelector": selector }] });
    assert!(all.as_array().unwrap().contains(&rule(json!({}))), "{all:#}");
    let labels = json!({ "matchLabels": { "kubernetes.io/metadata.name": "team-a" } });
    assert!(one.as_array().unwrap().contains(&rule(labels)), "{one:#}");
    let store = json!({ "ports": [{ "port": 9000 }], "to": [{ "ipBlock": { "cidr": "192.0.2.7/32" } }] });
    assert!(one.as_array().unwrap().contains(&store), "{one:#}");
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
