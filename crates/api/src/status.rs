//! The status of the resource: what the operator last saw and did.
//!
//! It is written only when it differs, and everything in it is bounded.

use planner::{Reason, Wall};
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
    /// Capture sets of which at least one profile was stored, since the operator started.
    pub captures_total: i64,
    /// Capture sets of which nothing was stored, since the operator started.
    pub failed_total: i64,
    /// The last capture set that ended.
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

/// What a condition can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows yet.
    Unknown,
}

impl Truth {
    /// The word in the resource.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl Condition {
    /// A condition without its time, which [`ProfilingConfigStatus::carried_from`] sets.
    pub fn new(type_: &str, status: Truth, reason: Reason, message: &str, generation: i64) -> Self {
        Self {
            type_: type_.into(),
            status: status.as_str().into(),
            reason: reason.as_camel().into(),
            message: cut(message),
            last_transition_time: String::new(),
            observed_generation: Some(generation),
        }
    }
}

impl ProfilingConfigStatus {
    /// This status with the times of the conditions set: that of `previous` where a condition said the
    /// same, `now` where it is new or changed. Reasons and messages may change without that.
    #[must_use]
    pub fn carried_from(mut self, previous: Option<&Self>, now: Wall) -> Self {
        let before = previous.map_or(&[][..], |status| &status.conditions);
        for condition in &mut self.conditions {
            let unchanged = before
                .iter()
                .find(|one| one.type_ == condition.type_ && one.status == condition.status);
            let kept = unchanged
                .map(|one| one.last_transition_time.clone())
                .filter(|time| !time.is_empty());
            condition.last_transition_time = kept.unwrap_or_else(|| moment(now));
        }
        self
    }
}

/// A moment as the API server writes it: UTC, whole seconds.
pub fn moment(at: Wall) -> String {
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
mod tests {
    use super::*;

    fn status(truth: Truth, reason: Reason) -> ProfilingConfigStatus {
        let conditions = vec![Condition::new("Ready", truth, reason, "…", 3)];
        ProfilingConfigStatus {
            conditions,
            ..ProfilingConfigStatus::default()
        }
    }

    #[test]
    fn a_condition_keeps_its_time_while_it_says_the_same() {
        let first = status(Truth::False, Reason::NoTargets).carried_from(None, Wall(1_000_999));
        assert_eq!(first.conditions[0].last_transition_time, "1970-01-01T00:16:40Z");

        let same = status(Truth::False, Reason::InvalidSpec).carried_from(Some(&first), Wall(9_000_000));
        assert_eq!(same.conditions[0].last_transition_time, "1970-01-01T00:16:40Z");
        assert_eq!(same.conditions[0].reason, "InvalidSpec");

        let changed = status(Truth::True, Reason::Ready).carried_from(Some(&same), Wall(9_000_000));
        assert_eq!(changed.conditions[0].last_transition_time, "1970-01-01T02:30:00Z");
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let condition = Condition::new("Ready", Truth::Unknown, Reason::NotTriedYet, &"é".repeat(5_000), 1);
        assert_eq!(condition.message.chars().count(), MESSAGE_CHARS_MAX);
    }

    #[test]
    fn a_status_of_another_version_still_decodes() {
        let old = serde_json::json!({ "conditions": [{ "type": "Ready", "status": "True", "reason": "Ready" }], "profilesCaptured": 7 });
        let status: ProfilingConfigStatus = serde_json::from_value(old).expect("lenient");
        assert_eq!(status.conditions[0].status, "True");
    }
}
