//! The status of the resource: what the operator last saw and did.
//!
//! It is written only when it differs, and everything in it is bounded.

use planner::{Reason, Totals, Wall};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::read::ADJUSTMENTS_MAX;

/// Most pods that `activePods` and `heldBack` name; for any other, ask the operator.
pub const PODS_MAX: usize = 10;
/// Characters of a message; events are cut at the same length.
pub const MESSAGE_CHARS_MAX: usize = 1_024;

/// What the operator last saw and did for a config.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = without_defaults)]
pub struct ProfilingConfigStatus {
    /// The generation of the spec that this status is about.
    #[schemars(with = "i64")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, TargetsFound, MetricsAvailable and StorageReady.
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// How many pods match and opt in.
    pub targets: i64,
    /// Some of those that are being captured.
    #[schemars(length(max = 10))]
    pub active_pods: Vec<String>,
    /// Capture sets of which at least one profile was stored.
    pub captures_total: i64,
    /// Capture sets of which nothing was stored.
    pub failed_total: i64,
    /// The last capture set of which something was stored.
    #[schemars(with = "LastCapture")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_capture: Option<LastCapture>,
    /// Some of the pods of which nothing is captured, and why.
    #[schemars(length(max = 10))]
    pub held_back: Vec<HeldBack>,
    /// Values of the spec that were read as the nearest allowed ones.
    #[schemars(length(max = 16))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<String>,
}

/// One condition, as everywhere in Kubernetes.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = without_defaults)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub type_: String,
    /// True, False or Unknown.
    #[schemars(schema_with = "truth_schema")]
    pub status: String,
    /// Why, as one word of a closed set.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Why, for people, and what to do about it.
    #[serde(default)]
    #[schemars(length(max = 32768))]
    pub message: String,
    /// When its status last changed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "moment_schema")]
    pub last_transition_time: String,
    /// The generation of the spec that it is about.
    #[schemars(with = "i64")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The last capture set of which something was stored.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = without_defaults)]
pub struct LastCapture {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// Why it was captured.
    pub reason: String,
    /// When it was decided.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "moment_schema")]
    pub time: String,
    /// The types that were stored.
    #[schemars(length(max = 16))]
    pub types: Vec<String>,
}

/// A pod of which nothing is captured.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = without_defaults)]
pub struct HeldBack {
    /// Namespace and name.
    pub pod: String,
    /// The first rule that holds it back.
    pub reason: String,
    /// The same for people.
    pub message: String,
}

/// The resource's status from the planner's. `now` is the time of the write, as RFC 3339; a condition whose
/// status is that of `previous` keeps the time it has there, whatever became of its reason and message.
pub fn of(
    wanted: &planner::ConfigStatus,
    previous: Option<&ProfilingConfigStatus>,
    now: &str,
) -> ProfilingConfigStatus {
    // In full, so that a new field does not compile before it is thought about.
    let planner::ConfigStatus {
        id: _,
        namespace: _,
        name: _,
        generation,
        ready,
        targets_found,
        metrics_available,
        storage_ready,
        targets,
        running: _,
        running_pods,
        totals: Totals { captured, failed },
        last,
        held,
    } = wanted;
    let before = previous.map_or(&[][..], |status| &status.conditions);
    let named = [
        ("Ready", ready),
        ("TargetsFound", targets_found),
        ("MetricsAvailable", metrics_available),
        ("StorageReady", storage_ready),
    ];
    ProfilingConfigStatus {
        observed_generation: Some(*generation),
        conditions: named
            .map(|(type_, one)| condition(type_, one, *generation, before, now))
            .into(),
        targets: i64::try_from(*targets).unwrap_or(i64::MAX),
        active_pods: running_pods.iter().take(PODS_MAX).map(|pod| pod.to_string()).collect(),
        captures_total: i64::try_from(*captured).unwrap_or(i64::MAX),
        failed_total: i64::try_from(*failed).unwrap_or(i64::MAX),
        // After a restart nothing is known of the last capture; what the former process wrote of it is still true.
        last_capture: last
            .as_ref()
            .map(last_capture)
            .or_else(|| previous.and_then(|status| status.last_capture.clone())),
        held_back: held.iter().take(PODS_MAX).map(held_back).collect(),
        adjustments: Vec::new(),
    }
}

impl ProfilingConfigStatus {
    /// What it counts. It was written by us, but anybody with the right to may have changed it since.
    pub(crate) fn totals(&self) -> Totals {
        let count = |counted: i64| u64::try_from(counted).unwrap_or(0);
        Totals {
            captured: count(self.captures_total),
            failed: count(self.failed_total),
        }
    }

    /// This status, saying as well which values were read as others. A config that is ready stays so and
    /// has [`Reason::SpecAdjusted`] as its reason.
    #[must_use]
    pub fn with_adjustments(mut self, adjustments: &[String]) -> Self {
        self.adjustments = adjustments.iter().take(ADJUSTMENTS_MAX).map(|one| cut(one)).collect();
        let ready = self
            .conditions
            .iter_mut()
            .find(|one| one.type_ == "Ready" && one.status == "True");
        if let (Some(ready), [first, ..]) = (ready, &*self.adjustments) {
            ready.reason = Reason::SpecAdjusted.as_camel().into();
            ready.message = cut(&format!("{}; {first}", ready.message));
        }
        self
    }
}

fn condition(type_: &str, one: &planner::Condition, generation: i64, before: &[Condition], now: &str) -> Condition {
    let planner::Condition {
        status,
        reason,
        message,
    } = one;
    let unchanged = before
        .iter()
        .find(|before| before.type_ == type_ && before.status == status.as_str());
    let kept = unchanged
        .map(|before| &*before.last_transition_time)
        .filter(|time| !time.is_empty());
    Condition {
        type_: type_.into(),
        status: status.as_str().into(),
        reason: reason.as_camel().into(),
        message: cut(message),
        last_transition_time: kept.unwrap_or(now).into(),
        observed_generation: Some(generation),
    }
}

fn last_capture(last: &planner::LastCapture) -> LastCapture {
    let planner::LastCapture {
        namespace,
        pod,
        reason,
        at,
        types,
    } = last;
    LastCapture {
        namespace: namespace.as_ref().into(),
        pod: pod.as_ref().into(),
        reason: reason.as_camel().into(),
        time: moment(*at),
        types: types.iter().map(|one| one.as_str().into()).collect(),
    }
}

fn held_back(held: &planner::PodHold) -> HeldBack {
    let planner::PodHold {
        namespace,
        pod,
        reason,
        message,
    } = held;
    HeldBack {
        pod: format!("{namespace}/{pod}"),
        reason: reason.as_camel().into(),
        message: cut(message),
    }
}

/// A moment as the API server writes it: UTC, whole seconds.
fn moment(at: Wall) -> String {
    // A time outside jiff's years -9999 to 9999 is a broken clock, not a moment to name.
    jiff::Timestamp::from_second(at.seconds())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

fn cut(message: &str) -> String {
    message.chars().take(MESSAGE_CHARS_MAX).collect()
}

/// What the operator did not write, nobody should read: the API server is to fill in nothing.
fn without_defaults(schema: &mut schemars::Schema) {
    let fields = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut);
    for field in fields.into_iter().flat_map(serde_json::Map::values_mut) {
        field.as_object_mut().and_then(|field| field.remove("default"));
    }
}

fn truth_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "enum": ["True", "False", "Unknown"] })
}

fn moment_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "format": "date-time" })
}

#[cfg(test)]
mod tests;
