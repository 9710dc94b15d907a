//! The status of the resource: what the operator last saw and did.
//!
//! It is written only when it differs, and everything in it is bounded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Capture sets of which at least one profile was stored, since the operator started.
    pub captures_total: i64,
    /// Capture sets of which nothing was stored, since the operator started.
    pub failed_total: i64,
    /// The last capture set that ended.
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
    #[serde(default)]
    #[schemars(schema_with = "moment_schema")]
    pub last_transition_time: String,
    /// The generation of the spec that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The last capture set that ended.
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
    /// How it ended.
    pub outcome: String,
    /// When it was decided.
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
