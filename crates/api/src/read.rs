//! From a config as written to a [`Policy`], or to the reason why there is none.
//!
//! A number outside its bounds is read as the nearest allowed one, and said so. What has no nearest allowed
//! value (a bucket's name, a selector's operator) makes the config unusable, itself and nothing else.

mod store;

use std::ops::RangeInclusive;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use planner::policy::LabelExpression;
use planner::{
    ConfigFacts, ConfigId, LabelSelector, OnDemandPolicy, Policy, ProfileType, Reason, Refusal, Scope, ThresholdPolicy,
    Totals, Transport, TypeSet,
};

use crate::resource::{
    Capture, MatchExpression, OnDemand, ProfilingConfig, ProfilingConfigSpec, Selector, Thresholds,
    default_profile_types,
};
use crate::status::ProfilingConfigStatus;
use crate::{bounds, identity};

/// What the operator's settings allow configs, beyond what every config may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The operator's own namespace: configs in it may select any namespace. Empty if there is none.
    pub operator_namespace: String,
    /// Other configs that may: a namespace for all configs in it, or `namespace/name` for one.
    pub cross_namespace: Vec<String>,
    /// Custom endpoints that configs may name, such as `https://minio.storage:9000`. There is no word for any of them: the
    /// operator sends its credentials there.
    pub endpoints: Vec<String>,
    /// Everything goes into a folder of this machine, so that no endpoint is ever asked and configs may name what they like.
    pub endpoints_unused: bool,
}

/// A config as the planner takes it, and what had to be adjusted for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The config.
    pub facts: ConfigFacts,
    /// One sentence for each value that was read as another one. Never more than [`ADJUSTMENTS_MAX`].
    pub adjustments: Vec<String>,
}

/// Most adjustments of one config: each field has at most one, and profile types share one.
pub const ADJUSTMENTS_MAX: usize = 16;

/// Longest text of a user's that is repeated in a message, in characters.
const QUOTE_CHARS_MAX: usize = 80;

/// Longest message of a decoder that is passed on, in characters.
const DECODE_ERROR_CHARS_MAX: usize = 400;

/// Reads a config. Pure: the same config and admission give the same answer.
pub fn read(config: &ProfilingConfig, admission: &Admission) -> Read {
    let mut notes = Notes::default();
    let place = Place::of(&config.metadata);
    let policy = policy(&config.spec, &place, admission, &mut notes);
    let totals = config.status.as_ref().map(ProfilingConfigStatus::totals);
    Read {
        facts: ConfigFacts {
            totals: totals.unwrap_or_default(),
            ..place.facts(policy)
        },
        adjustments: notes.0,
    }
}

/// The facts of an object that does not decode, so that it is unusable by itself and stops nothing else.
/// `metadata` and `error` are those of kube's `InvalidObject`.
pub fn read_undecodable(metadata: &ObjectMeta, error: &str) -> ConfigFacts {
    let detail: String = error.chars().take(DECODE_ERROR_CHARS_MAX).collect();
    let message = format!("the stored object cannot be read ({detail}); correct the field and apply it again");
    Place::of(metadata).facts(Err(invalid(message)))
}

/// The same for an object that is at hand as JSON. None if it is so broken that it has no name.
pub fn read_undecodable_value(value: &serde_json::Value, error: &str) -> Option<ConfigFacts> {
    let metadata = value.get("metadata")?;
    let text = |field: &str| {
        metadata
            .get(field)
            .and_then(serde_json::Value::as_str)
            .map(str::to_owned)
    };
    let slim = ObjectMeta {
        name: Some(text("name")?),
        namespace: text("namespace"),
        uid: text("uid"),
        generation: metadata.get("generation").and_then(serde_json::Value::as_i64),
        ..ObjectMeta::default()
    };
    Some(read_undecodable(&slim, error))
}

/// The identity of a config: its UID, or its name where it has none, as in a file.
pub fn config_id(metadata: &ObjectMeta) -> ConfigId {
    Place::of(metadata).id
}

fn policy(
    spec: &ProfilingConfigSpec,
    place: &Place<'_>,
    admission: &Admission,
    notes: &mut Notes,
) -> Result<Policy, Refusal> {
    // In full, so that a new field does not compile before it is thought about.
    let ProfilingConfigSpec {
        suspend,
        selector,
        thresholds,
        on_demand,
        s3_config,
        profile_types,
        capture,
    } = spec;
    let on_demand = on_demand_policy(on_demand, notes);
    Ok(Policy {
        suspended: *suspend,
        scope: scope(selector, place, admission)?,
        selector: label_selector(selector)?,
        threshold: threshold_policy(thresholds, notes),
        on_demand,
        store: store::policy(s3_config, admission, notes)?,
        types: types(profile_types, notes)?,
        cpu_seconds: cpu_seconds(capture, on_demand, notes),
        transport: transport(capture, notes),
        concurrent_max: notes.clamp(
            "spec.capture.maxConcurrentPods",
            capture.max_concurrent_pods,
            &bounds::CONCURRENT_PODS,
        ),
        body_bytes_max: notes.clamp("spec.capture.maxBytes", capture.max_bytes, &bounds::BODY_BYTES),
    })
}

fn scope(selector: &Selector, place: &Place<'_>, admission: &Admission) -> Result<Scope, Refusal> {
    let own = || Scope::Namespace(place.namespace.into());
    let Some(wanted) = selector
        .namespace
        .as_deref()
        .filter(|one| !one.is_empty() && *one != place.namespace)
    else {
        return Ok(own());
    };
    if !place.may_cross(admission) {
        let name = format!("{}/{}", place.namespace, place.name);
        return Err(Refusal {
            reason: Reason::NamespaceNotAllowed,
            message: format!(
                "spec.selector.namespace is {}, and this config may select its own namespace {} only; create the config \
                 in the namespace of its pods, or have the operator started with --allow-cross-namespace {name}",
                quote(wanted),
                quote(place.namespace),
            )
            .into(),
        });
    }
    match wanted {
        "*" => Ok(Scope::All),
        name if is_namespace(name) => Ok(Scope::Namespace(name.into())),
        other => Err(invalid(format!(
            "spec.selector.namespace {} is not the name of a namespace",
            quote(other)
        ))),
    }
}

fn label_selector(selector: &Selector) -> Result<LabelSelector, Refusal> {
    let Selector {
        namespace: _,
        label_selector,
        match_expressions,
    } = selector;
    if label_selector.len() > bounds::SELECTOR_LABELS_MAX || match_expressions.len() > bounds::SELECTOR_LABELS_MAX {
        return Err(invalid(format!(
            "spec.selector has more than {} labels or expressions; use fewer",
            bounds::SELECTOR_LABELS_MAX
        )));
    }
    let equal = label_selector
        .iter()
        .map(|(name, value)| (boxed(name), boxed(value)))
        .collect();
    let expressions = match_expressions
        .iter()
        .map(label_expression)
        .collect::<Result<_, _>>()?;
    Ok(LabelSelector { equal, expressions })
}

fn label_expression(expression: &MatchExpression) -> Result<LabelExpression, Refusal> {
    let MatchExpression { key, operator, values } = expression;
    let refuse = |what: &str| {
        Err(invalid(format!(
            "the expression over {} in spec.selector.matchExpressions {what}",
            quote(key)
        )))
    };
    if key.is_empty() {
        return refuse("has no key; name the label");
    }
    if values.len() > bounds::EXPRESSION_VALUES_MAX {
        return refuse("has too many values; use at most 64");
    }
    let name = boxed(key);
    let values: Vec<Box<str>> = values.iter().map(|one| boxed(one)).collect();
    match (operator.as_str(), values.is_empty()) {
        ("In", false) => Ok(LabelExpression::In(name, values)),
        ("NotIn", false) => Ok(LabelExpression::NotIn(name, values)),
        ("Exists", true) => Ok(LabelExpression::Exists(name)),
        ("DoesNotExist", true) => Ok(LabelExpression::DoesNotExist(name)),
        ("In" | "NotIn", true) => refuse("needs at least one value"),
        ("Exists" | "DoesNotExist", false) => refuse("takes no values; use In or NotIn, or remove them"),
        (other, _) => refuse(&format!(
            "has the operator {}; use In, NotIn, Exists or DoesNotExist",
            quote(other)
        )),
    }
}

fn threshold_policy(thresholds: &Thresholds, notes: &mut Notes) -> Option<ThresholdPolicy> {
    let Thresholds {
        enabled,
        cpu_threshold_percent,
        memory_threshold_percent,
        check_interval_seconds,
        cooldown_seconds,
    } = thresholds;
    enabled.then(|| ThresholdPolicy {
        cpu_percent: notes.clamp(
            "spec.thresholds.cpuThresholdPercent",
            *cpu_threshold_percent,
            &bounds::THRESHOLD_PERCENT,
        ),
        memory_percent: notes.clamp(
            "spec.thresholds.memoryThresholdPercent",
            *memory_threshold_percent,
            &bounds::THRESHOLD_PERCENT,
        ),
        check_interval_seconds: notes.clamp(
            "spec.thresholds.checkIntervalSeconds",
            *check_interval_seconds,
            &bounds::CHECK_INTERVAL_SECONDS,
        ),
        cooldown_seconds: notes.clamp(
            "spec.thresholds.cooldownSeconds",
            *cooldown_seconds,
            &bounds::COOLDOWN_SECONDS,
        ),
    })
}

fn on_demand_policy(on_demand: &OnDemand, notes: &mut Notes) -> Option<OnDemandPolicy> {
    let OnDemand {
        enabled,
        interval_seconds,
    } = on_demand;
    enabled.then(|| OnDemandPolicy {
        interval_seconds: notes.clamp(
            "spec.onDemand.intervalSeconds",
            *interval_seconds,
            &bounds::INTERVAL_SECONDS,
        ),
    })
}

/// The window of the types that take time. It is shortened to leave the rest of the on-demand interval free.
fn cpu_seconds(capture: &Capture, on_demand: Option<OnDemandPolicy>, notes: &mut Notes) -> u32 {
    let asked: u32 = notes.clamp("spec.capture.cpuSeconds", capture.cpu_seconds, &bounds::CPU_SECONDS);
    let Some(OnDemandPolicy { interval_seconds }) = on_demand else {
        return asked;
    };
    // The bounds of the interval leave at least ten seconds here.
    let longest = interval_seconds
        .saturating_sub(bounds::INTERVAL_REST_SECONDS.unsigned_abs() as u32)
        .max(1);
    if asked > longest {
        notes.add(format!(
            "spec.capture.cpuSeconds {asked} is read as {longest}, to leave 5 s of spec.onDemand.intervalSeconds {interval_seconds}"
        ));
    }
    asked.min(longest)
}

fn types(words: &[String], notes: &mut Notes) -> Result<TypeSet, Refusal> {
    if words.is_empty() {
        notes.add(format!(
            "spec.profileTypes is empty and read as {}",
            default_profile_types().join(", ")
        ));
        return Ok(ProfileType::DEFAULT.into_iter().collect());
    }
    let known: TypeSet = words.iter().filter_map(|word| ProfileType::parse(word)).collect();
    let unknown: Vec<String> = words
        .iter()
        .filter(|word| ProfileType::parse(word).is_none())
        .take(3)
        .map(|word| quote(word))
        .collect();
    if known.is_empty() {
        let all: Vec<&str> = ProfileType::ALL.iter().map(|one| one.as_str()).collect();
        return Err(invalid(format!(
            "spec.profileTypes has {}, and none that is known; use one of {}",
            unknown.join(", "),
            all.join(", ")
        )));
    }
    if !unknown.is_empty() {
        notes.add(format!(
            "spec.profileTypes has {}, which are not known and left out",
            unknown.join(", ")
        ));
    }
    Ok(known)
}

fn transport(capture: &Capture, notes: &mut Notes) -> Transport {
    match capture.transport.as_str() {
        "PortForward" => Transport::PortForward,
        "PodIP" => Transport::PodIp,
        other => {
            notes.add(format!(
                "spec.capture.transport {} is not known and read as PortForward",
                quote(other)
            ));
            Transport::PortForward
        }
    }
}

/// Where a config stands, whatever is in it.
struct Place<'m> {
    id: ConfigId,
    namespace: &'m str,
    name: &'m str,
    generation: i64,
}

impl<'m> Place<'m> {
    fn of(metadata: &'m ObjectMeta) -> Self {
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        let name = metadata.name.as_deref().unwrap_or_default();
        let uid = metadata.uid.as_deref().filter(|uid| !uid.is_empty());
        let id = ConfigId(uid.map_or_else(|| identity::of_name(namespace, name), identity::of_uid));
        Self {
            id,
            namespace,
            name,
            generation: metadata.generation.unwrap_or_default(),
        }
    }

    fn facts(&self, policy: Result<Policy, Refusal>) -> ConfigFacts {
        ConfigFacts {
            id: self.id,
            namespace: self.namespace.into(),
            name: self.name.into(),
            generation: self.generation,
            totals: Totals::default(),
            policy,
        }
    }

    fn may_cross(&self, admission: &Admission) -> bool {
        let is_operators = !admission.operator_namespace.is_empty() && admission.operator_namespace == self.namespace;
        is_operators
            || admission
                .cross_namespace
                .iter()
                .any(|allowed| match allowed.split_once('/') {
                    Some((namespace, name)) => namespace == self.namespace && name == self.name,
                    None => allowed == self.namespace,
                })
    }
}

/// What was adjusted so far.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn add(&mut self, note: String) {
        if self.0.len() < ADJUSTMENTS_MAX {
            self.0.push(note);
        }
    }

    /// The nearest value within bounds, as the type that the policy holds it in.
    fn clamp<T: TryFrom<i64> + Default>(&mut self, field: &str, value: i64, allowed: &RangeInclusive<i64>) -> T {
        let nearest = value.clamp(*allowed.start(), *allowed.end());
        if nearest != value {
            self.add(format!(
                "{field} {value} is read as {nearest}; {} to {} is allowed",
                allowed.start(),
                allowed.end()
            ));
        }
        // Every bound fits its type, which `every_bound_fits_the_type_of_its_field` holds.
        T::try_from(nearest).unwrap_or_default()
    }
}

fn invalid(message: String) -> Refusal {
    Refusal {
        reason: Reason::InvalidSpec,
        message: message.into(),
    }
}

/// A text of a user's within a message: cut, and with nothing in it that could be taken for ours.
fn quote(text: &str) -> String {
    let cut: String = text.chars().take(QUOTE_CHARS_MAX).collect();
    format!("{cut:?}")
}

fn boxed(text: &str) -> Box<str> {
    text.into()
}

fn is_namespace(name: &str) -> bool {
    let inner = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit();
    name.len() <= bounds::LABEL_VALUE_CHARS_MAX
        && name.bytes().all(|one| inner(one) || one == b'-')
        && name.bytes().next().is_some_and(inner)
        && name.bytes().next_back().is_some_and(inner)
}

#[cfg(test)]
mod tests;
