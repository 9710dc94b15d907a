//! The custom resource as users write it.
//!
//! The schema is strict, because the API server should refuse a mistake while its author looks on. The
//! Rust types are lenient (wide integers, words instead of enums), because an object that was stored under
//! another schema must still decode, so that [`crate::read()`] can say what is wrong with it.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResource, CustomResourceExt};
use planner::ProfileType;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::bounds;
use crate::status::ProfilingConfigStatus;

/// Which pods to profile, when, and where the profiles go.
#[derive(CustomResource, JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "profiling.io",
    version = "v1alpha1",
    kind = "ProfilingConfig",
    plural = "profilingconfigs",
    shortname = "pc",
    shortname = "profconf",
    category = "profiling",
    namespaced,
    status = "ProfilingConfigStatus",
    derive = "PartialEq",
    doc = "A flight recorder for pods: which pods to profile, when, and where the profiles go. Pods opt in with the annotation `profiling.io/enabled: \"true\"`.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Targets","type":"integer","jsonPath":".status.targets"}"#,
    printcolumn = r#"{"name":"Last Capture","type":"date","jsonPath":".status.lastCapture.time"}"#,
    printcolumn = r#"{"name":"Store","type":"string","jsonPath":".spec.s3Config.bucket"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ProfilingConfigSpec {
    /// Nothing is captured while this is true.
    #[serde(default)]
    pub suspend: bool,
    /// Which pods, of those that opt in.
    #[serde(default)]
    pub selector: Selector,
    /// Capture a pod when its usage crosses a threshold.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// Capture every pod at an interval.
    #[serde(default)]
    pub on_demand: OnDemand,
    /// Where profiles are stored.
    pub s3_config: S3Config,
    /// What is captured. `trace` and `goroutineleak` only when named here.
    #[serde(default = "default_profile_types")]
    #[schemars(schema_with = "profile_types_schema")]
    pub profile_types: Vec<String>,
    /// How it is captured.
    #[serde(default)]
    pub capture: Capture,
}

/// Which pods, of those that opt in. Every part must hold; an empty selector takes all of the namespace.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// The namespace of the pods: the config's own unless named. Another one, or "*" for all, works where the
    /// operator's settings allow it.
    #[schemars(extend("x-kubernetes-validations" = [rule(r"self == '*' || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')", "must be the name of a namespace, or \"*\" for all; leave it out for the config's own namespace")]))]
    #[schemars(with = "String", length(min = 1, max = bounds::LABEL_VALUE_CHARS_MAX))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels that the pod must have with exactly these values.
    #[schemars(schema_with = "labels_schema")]
    #[schemars(extend("x-kubernetes-validations" = [rule(&format!("self.all(name, size(name) <= 317 && {})", is_label_name("name")), LABEL_NAME_REMEDY)]))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub label_selector: BTreeMap<String, String>,
    /// Expressions over the pod's labels, as in Kubernetes.
    #[schemars(length(max = bounds::SELECTOR_LABELS_MAX))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<MatchExpression>,
}

/// One expression over a label.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[schemars(extend("x-kubernetes-validations" = [rule("self.operator in ['In', 'NotIn'] ? (has(self.values) && size(self.values) > 0) : true", "operator In and NotIn need at least one entry in values"), rule("self.operator in ['Exists', 'DoesNotExist'] ? (!has(self.values) || size(self.values) == 0) : true", "operator Exists and DoesNotExist take no values; remove them, or use In or NotIn")]))]
pub struct MatchExpression {
    /// The label's name.
    #[schemars(length(min = 1, max = bounds::LABEL_NAME_CHARS_MAX))]
    #[schemars(extend("x-kubernetes-validations" = [rule(&is_label_name("self"), LABEL_NAME_REMEDY)]))]
    pub key: String,
    /// How the label relates to the values.
    #[schemars(schema_with = "operator_schema")]
    pub operator: String,
    /// The values, for In and NotIn.
    #[schemars(schema_with = "values_schema")]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// Capture a pod when a container's usage crosses a percentage of its limit, or of its request where it has no limit.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Thresholds {
    /// False leaves only the on-demand mode.
    pub enabled: bool,
    /// Percent of the CPU limit above which a pod is captured.
    #[schemars(range(min = *bounds::THRESHOLD_PERCENT.start(), max = *bounds::THRESHOLD_PERCENT.end()))]
    #[serde(deserialize_with = "integer")]
    pub cpu_threshold_percent: i64,
    /// Percent of the memory limit above which a pod is captured.
    #[schemars(range(min = *bounds::THRESHOLD_PERCENT.start(), max = *bounds::THRESHOLD_PERCENT.end()))]
    #[serde(deserialize_with = "integer")]
    pub memory_threshold_percent: i64,
    /// Seconds from one check to the next.
    #[schemars(range(min = *bounds::CHECK_INTERVAL_SECONDS.start(), max = *bounds::CHECK_INTERVAL_SECONDS.end()))]
    #[serde(deserialize_with = "integer")]
    pub check_interval_seconds: i64,
    /// Seconds after a capture in which the pod does not trigger again.
    #[schemars(range(min = *bounds::COOLDOWN_SECONDS.start(), max = *bounds::COOLDOWN_SECONDS.end()))]
    #[serde(deserialize_with = "integer")]
    pub cooldown_seconds: i64,
}

/// Capture every selected pod at an interval, whatever its usage.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OnDemand {
    /// Turns the mode on.
    pub enabled: bool,
    /// Seconds from one capture of a pod to its next.
    #[schemars(range(min = *bounds::INTERVAL_SECONDS.start(), max = *bounds::INTERVAL_SECONDS.end()))]
    #[serde(deserialize_with = "integer")]
    pub interval_seconds: i64,
}

/// Where profiles are stored.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Config {
    /// The bucket.
    #[schemars(length(min = *bounds::BUCKET_CHARS.start(), max = *bounds::BUCKET_CHARS.end()))]
    #[schemars(extend("x-kubernetes-validations" = [rule(r"self.matches('^[a-z0-9][a-z0-9.-]*[a-z0-9]$') && !self.contains('..')", "must be the name of a bucket: 3 to 63 lower-case letters, digits, dots and dashes, beginning and ending with a letter or digit, without two dots in a row")]))]
    pub bucket: String,
    /// Prefix of every key.
    #[serde(default = "default_prefix")]
    #[schemars(length(max = bounds::PREFIX_CHARS_MAX))]
    #[schemars(extend("x-kubernetes-validations" = [rule("!self.startsWith('/')", "must not begin with a slash; write profiles/team-a, not /profiles/team-a"), rule(r"self.matches('^[A-Za-z0-9!_.*()=/-]*$') && !self.contains('//') && !self.matches('(^|/)[.][.]?(/|$)')", "may hold letters, digits and ! _ . * ( ) = / - only, and no empty, \".\" or \"..\" segment")]))]
    pub prefix: String,
    /// The bucket's region. Left out, it is that of the operator's environment.
    #[schemars(with = "String", length(min = 1, max = bounds::REGION_CHARS_MAX))]
    #[schemars(extend("x-kubernetes-validations" = [rule("self.matches('^[a-z0-9-]+$')", "must be the name of a region, such as eu-central-1")]))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The address of an S3-compatible store, which the operator's settings must allow. Left out, AWS is used.
    #[schemars(with = "String", length(min = 1, max = bounds::ENDPOINT_CHARS_MAX))]
    #[schemars(extend("x-kubernetes-validations" = [rule(r"self.matches('^https?://[A-Za-z0-9._:\\[\\]-]+/?$')", "must be http:// or https://, a host and optionally a port, such as https://minio.storage:9000")]))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// How profiles are captured.
#[derive(JsonSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capture {
    /// Seconds that a CPU profile or trace records. On demand it is shortened to leave 5 s of the interval.
    #[schemars(range(min = *bounds::CPU_SECONDS.start(), max = *bounds::CPU_SECONDS.end()))]
    #[serde(deserialize_with = "integer")]
    pub cpu_seconds: i64,
    /// PortForward goes through the API server and reaches a server on 127.0.0.1; PodIP goes straight to the pod's address.
    #[schemars(schema_with = "transport_schema")]
    pub transport: String,
    /// Pods of this config that are captured at once.
    #[schemars(range(min = *bounds::CONCURRENT_PODS.start(), max = *bounds::CONCURRENT_PODS.end()))]
    #[serde(deserialize_with = "integer")]
    pub max_concurrent_pods: i64,
    /// Largest body of one profile in bytes; a larger one is not stored.
    #[schemars(range(min = *bounds::BODY_BYTES.start(), max = *bounds::BODY_BYTES.end()))]
    #[serde(deserialize_with = "integer")]
    pub max_bytes: i64,
}

/// The definition of the resource, as it is applied to a cluster.
pub fn definition() -> CustomResourceDefinition {
    ProfilingConfig::crd()
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            enabled: true,
            cpu_threshold_percent: 80,
            memory_threshold_percent: 90,
            check_interval_seconds: 30,
            cooldown_seconds: 300,
        }
    }
}

impl Default for OnDemand {
    fn default() -> Self {
        Self {
            enabled: false,
            interval_seconds: 35,
        }
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            cpu_seconds: 30,
            transport: "PortForward".into(),
            max_concurrent_pods: 1,
            max_bytes: 64 << 20,
        }
    }
}

/// A rule in CEL that the API server evaluates, and what it answers to the author where it does not hold.
fn rule(rule: &str, message: &str) -> serde_json::Value {
    serde_json::json!({ "rule": rule, "message": message })
}

fn default_prefix() -> String {
    "profiles".into()
}

/// The seed's set.
pub(crate) fn default_profile_types() -> Vec<String> {
    ProfileType::DEFAULT.iter().map(|one| one.as_str().into()).collect()
}

/// Any JSON number as the nearest `i64`: a value that no schema of ours would take must still reach the
/// clamp, which knows what to do with it.
fn integer<'de, D: Deserializer<'de>>(source: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(source)?;
    let unsigned = number.as_u64().map(|value| i64::try_from(value).unwrap_or(i64::MAX));
    // A float converts saturating, and NaN cannot be written in JSON.
    Ok(number
        .as_i64()
        .or(unsigned)
        .unwrap_or_else(|| number.as_f64().unwrap_or_default() as i64))
}

fn profile_types_schema(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<&str> = ProfileType::ALL.iter().map(|one| one.as_str()).collect();
    json_schema!({
        "type": "array",
        "items": { "type": "string", "enum": words },
        "minItems": 1,
        "maxItems": words.len(),
        "x-kubernetes-list-type": "set",
    })
}

/// What a label's name is not, and what to write.
const LABEL_NAME_REMEDY: &str = "must be the name of a label, such as app or app.kubernetes.io/name: at most 63 letters, digits, - _ and . \
     that begin and end with a letter or digit, after a DNS name and a slash if there is one";

/// Whether `text`, a variable of CEL, is the name of a label.
fn is_label_name(text: &str) -> String {
    format!("{text}.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$')")
}

/// The value of a label. One that no label can have would select nothing for ever, without a word.
fn label_value_schema() -> serde_json::Value {
    serde_json::json!({
        "type": "string",
        "maxLength": bounds::LABEL_VALUE_CHARS_MAX,
        "x-kubernetes-validations": [rule(
            "self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",
            "must be the value of a label: empty, or letters, digits, - _ and . that begin and end with a letter or digit",
        )],
    })
}

fn labels_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": label_value_schema(),
        "maxProperties": bounds::SELECTOR_LABELS_MAX,
    })
}

fn values_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": label_value_schema(),
        "maxItems": bounds::EXPRESSION_VALUES_MAX,
    })
}

fn operator_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"] })
}

fn transport_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["PortForward", "PodIP"] })
}

#[cfg(test)]
mod tests;
