//! Pods, in the slim form in which they are watched, and as the planner's targets.
//!
//! A whole pod of the Kubernetes types takes about 58 KB of memory; this one holds what is decided on
//! and skips the rest while it decodes.

mod service;
mod slim;

use planner::{ContainerFacts, Phase, Port, TargetFacts, TargetId, Wall};

pub use slim::SlimPod;

use crate::{identity, quantity};
use slim::{Container, ContainerStatus};

/// Annotation, or label, with which a pod opts in.
pub const ENABLED: &str = "profiling.io/enabled";
/// Annotation that says where profiles are served: a number, or the name of a declared port.
pub const PORT: &str = "profiling.io/port";
/// Annotation that names the container whose usage counts.
pub const CONTAINER: &str = "profiling.io/container";
/// Where profiles are served unless the annotation says otherwise: the port of Go's own examples.
pub const PORT_DEFAULT: u16 = 6060;

/// Longest name of a port that is passed on, in characters; Kubernetes allows 15.
const PORT_NAME_CHARS_MAX: usize = 63;

/// A pod as a target.
///
/// A pod that says `"false"` in one of annotation and label is out, whatever the other says: of two
/// answers to the question whether a pod may be profiled, the careful one counts.
pub fn target(pod: &SlimPod) -> TargetFacts {
    let metadata = &pod.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let uid = metadata.uid.as_deref().filter(|uid| !uid.is_empty());
    let port = port(pod);
    let containers: Vec<ContainerFacts> = pod.spec.usage_containers().map(|one| container(one, &port)).collect();
    let named_container = annotation(pod, CONTAINER).filter(|one| !one.is_empty());
    let counted = counted_container(named_container, &containers);
    TargetFacts {
        id: TargetId(uid.map_or_else(|| identity::of_name(namespace, name), identity::of_uid)),
        namespace: namespace.into(),
        name: name.into(),
        service: service::name(pod).into(),
        node: pod.spec.node_name.as_deref().unwrap_or_default().into(),
        labels: labels(pod),
        opted_in: opted_in(pod),
        address: pod.status.pod_ip.as_deref().and_then(|address| address.parse().ok()),
        container: named_container.map(Into::into),
        host_network: pod.spec.host_network,
        phase: phase(pod),
        terminating: metadata.deletion_timestamp.is_some(),
        started_at: started_at(pod, counted),
        port,
        containers,
    }
}

/// Whether a pod asks to be profiled.
pub fn opted_in(pod: &SlimPod) -> bool {
    let answers = [annotation(pod, ENABLED), label(pod, ENABLED)];
    answers.contains(&Some("true")) && answers.iter().flatten().all(|one| *one == "true")
}

fn annotation<'p>(pod: &'p SlimPod, key: &str) -> Option<&'p str> {
    pod.metadata.annotations.as_ref()?.get(key).map(|value| value.trim())
}

fn label<'p>(pod: &'p SlimPod, key: &str) -> Option<&'p str> {
    pod.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// The labels, which a `BTreeMap` holds sorted and each once.
fn labels(pod: &SlimPod) -> Vec<(Box<str>, Box<str>)> {
    let labels = pod.metadata.labels.iter().flatten();
    labels
        .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
        .collect()
}

/// The port of the annotation. A name is looked for in the named container first, then in all.
fn port(pod: &SlimPod) -> Port {
    let Some(text) = annotation(pod, PORT).filter(|text| !text.is_empty()) else {
        return Port::Number(PORT_DEFAULT);
    };
    if let Some(number) = text.parse().ok().filter(|number| *number > 0) {
        return Port::Number(number);
    }
    let preferred = annotation(pod, CONTAINER);
    let in_named = pod
        .spec
        .usage_containers()
        .filter(|one| Some(one.name.as_str()) == preferred);
    let declared = in_named.chain(pod.spec.usage_containers()).flat_map(|one| &one.ports);
    let number = declared
        .filter(|one| one.is_tcp() && one.name.as_deref() == Some(text))
        .find_map(|one| one.number());
    number.map_or_else(
        || Port::Unresolved(text.chars().take(PORT_NAME_CHARS_MAX).collect()),
        Port::Number,
    )
}

fn container(container: &Container, port: &Port) -> ContainerFacts {
    let resources = &container.resources;
    let amount =
        |list: &slim::Amounts, name: &str, read: fn(&str) -> Option<u64>| list.get(name).and_then(|text| read(text));
    let declares = |number: u16| {
        container
            .ports
            .iter()
            .any(|one| one.is_tcp() && one.number() == Some(number))
    };
    ContainerFacts {
        name: container.name.as_str().into(),
        cpu_limit_millis: amount(&resources.limits, "cpu", quantity::cpu_millis),
        cpu_request_millis: amount(&resources.requests, "cpu", quantity::cpu_millis),
        memory_limit_bytes: amount(&resources.limits, "memory", quantity::bytes),
        memory_request_bytes: amount(&resources.requests, "memory", quantity::bytes),
        declares_port: match port {
            Port::Number(number) => declares(*number),
            Port::Unresolved(_) => false,
        },
    }
}

/// The container whose usage counts, as far as it is known without a sample.
fn counted_container<'f>(named: Option<&'f str>, containers: &'f [ContainerFacts]) -> Option<&'f str> {
    named.or_else(|| match containers {
        [only] => Some(&*only.name),
        several => several.iter().find(|one| one.declares_port).map(|one| &*one.name),
    })
}

fn phase(pod: &SlimPod) -> Phase {
    match pod.status.phase.as_deref() {
        Some("Running") => Phase::Running,
        Some("Succeeded" | "Failed") => Phase::Ended,
        _ => Phase::Pending,
    }
}

/// When the counted container started, else the pod: a sample from before then is of another life.
fn started_at(pod: &SlimPod, counted: Option<&str>) -> Option<Wall> {
    let statuses = pod
        .status
        .container_statuses
        .iter()
        .chain(&pod.status.init_container_statuses);
    let of_container = statuses
        .filter(|one| Some(one.name.as_str()) == counted)
        .find_map(ContainerStatus::started_at);
    let text = of_container.or(pod.status.start_time.as_deref())?;
    Some(Wall(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()))
}

#[cfg(test)]
mod tests;
