//! The name of the service a pod belongs to, by the seed's order: labels, controlling owner, name.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::{SlimPod, label};

/// The labels that name a service, the recommended one first.
const LABELS: [&str; 3] = ["app.kubernetes.io/name", "app", "k8s-app"];

/// The label with the part of a ReplicaSet's name that a Deployment generated.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// Fewest digits that a CronJob appends to its Jobs' names: the minutes since 1970 have had eight since
/// 1989. A Job called `migrate-2` keeps its name.
const CRONJOB_DIGITS_MIN: usize = 8;

/// The service's name; empty only for a pod without a name.
pub(super) fn name(pod: &SlimPod) -> &str {
    let labelled = LABELS
        .into_iter()
        .find_map(|key| label(pod, key).filter(|value| !value.is_empty()));
    labelled.or_else(|| owner(pod)).unwrap_or_else(|| stem(pod))
}

/// The name of the controller, or of the controller's own.
fn owner(pod: &SlimPod) -> Option<&str> {
    let controller = controller(pod)?;
    let name = controller.name.as_str();
    let base = match controller.kind.as_str() {
        // The "owner" of a static pod, which has the name of a machine.
        "Node" => return None,
        "ReplicaSet" => without_template_hash(pod, name),
        "Job" => without_digits(name),
        _ => name,
    };
    Some(base).filter(|base| !base.is_empty())
}

fn controller(pod: &SlimPod) -> Option<&OwnerReference> {
    pod.metadata
        .owner_references
        .iter()
        .flatten()
        .find(|one| one.controller == Some(true))
}

/// The pod's name without the part that was generated, or that names the node of a static pod.
fn stem(pod: &SlimPod) -> &str {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let generate_name = pod
        .metadata
        .generate_name
        .as_deref()
        .filter(|prefix| !prefix.is_empty());
    let generated = generate_name.filter(|prefix| name.starts_with(prefix));
    let of_node = pod
        .spec
        .node_name
        .as_deref()
        .and_then(|node| name.strip_suffix(node))
        .filter(|rest| rest.ends_with('-'));
    let base = generated.or(of_node).unwrap_or(name).trim_end_matches('-');
    let base = without_template_hash(pod, base);
    if base.is_empty() { name } else { base }
}

fn without_template_hash<'p>(pod: &SlimPod, name: &'p str) -> &'p str {
    let stripped = label(pod, TEMPLATE_HASH).and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
    stripped.unwrap_or(name)
}

fn without_digits(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((base, digits))
            if digits.len() >= CRONJOB_DIGITS_MIN && digits.bytes().all(|one| one.is_ascii_digit()) =>
        {
            base
        }
        _ => name,
    }
}
