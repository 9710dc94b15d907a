//! The answer of the metrics API, decoded as it streams.
//!
//! One list covers a namespace or the cluster, so it can hold 100,000 pods: it is never whole in memory.
//! One item that cannot be read is skipped and counted; it costs no other pod its sample.

use std::fmt;
use std::io::{BufReader, Read, Take};

use planner::{ContainerUsage, TargetUsage, Wall};
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::quantity;

/// Most bytes of one answer: 100,000 pods of eight containers take about 130 MB.
pub const BODY_BYTES_MAX: u64 = 256 << 20;

/// A list of usage samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usages {
    /// The pods, in the order of the list.
    pub targets: Vec<TargetUsage>,
    /// Items that could not be read.
    pub skipped: u64,
}

/// Why a list could not be read.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The body broke off, or is no list in JSON.
    #[error("the answer of the metrics API is not a list of pod metrics")]
    NotAList(#[source] serde_json::Error),
    /// The body is larger than [`BODY_BYTES_MAX`].
    #[error("the answer of the metrics API is larger than {BODY_BYTES_MAX} bytes")]
    TooLarge,
}

/// Reads a `PodMetricsList` of `metrics.k8s.io/v1beta1`. `served_at` is the server's time of the answer
/// (its `Date` header), from which the age of each sample follows without our own clock.
pub fn read(body: impl Read, served_at: Wall) -> Result<Usages, UsageError> {
    read_limited(body.take(BODY_BYTES_MAX), served_at)
}

fn read_limited(mut limited: Take<impl Read>, served_at: Wall) -> Result<Usages, UsageError> {
    let mut source = serde_json::Deserializer::from_reader(BufReader::new(&mut limited));
    let decoded = source
        .deserialize_map(ListVisitor { served_at })
        .and_then(|usages| source.end().map(|()| usages));
    drop(source);
    decoded.map_err(|error| {
        if limited.limit() == 0 {
            UsageError::TooLarge
        } else {
            UsageError::NotAList(error)
        }
    })
}

struct ListVisitor {
    served_at: Wall,
}

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Usages;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list with items")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Usages, A::Error> {
        let mut usages = None;
        while let Some(field) = fields.next_key::<String>()? {
            if field == "items" {
                usages = Some(fields.next_value_seed(Items {
                    served_at: self.served_at,
                })?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        // An answer of another kind, such as a Status, must not pass for an empty list.
        usages.ok_or_else(|| serde::de::Error::missing_field("items"))
    }
}

struct Items {
    served_at: Wall,
}

impl<'de> DeserializeSeed<'de> for Items {
    type Value = Usages;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Usages, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = Usages;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of pod metrics, or null")
    }

    /// An empty list of a Go server may be `null`.
    fn visit_unit<E>(self) -> Result<Usages, E> {
        Ok(Usages::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Usages, A::Error> {
        let mut usages = Usages::default();
        // Set apart first, so that an item of another shape ends itself and not the list.
        while let Some(item) = items.next_element::<Box<RawValue>>()? {
            let read = serde_json::from_str::<Item>(item.get()).ok();
            match read.and_then(|item| item.into_usage(self.served_at)) {
                Some(usage) => usages.targets.push(usage),
                None => usages.skipped += 1,
            }
        }
        Ok(usages)
    }
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    timestamp: String,
    window: String,
    #[serde(default)]
    containers: Option<Vec<Container>>,
}

#[derive(Deserialize)]
struct Metadata {
    namespace: Box<str>,
    name: Box<str>,
}

#[derive(Deserialize)]
struct Container {
    name: Box<str>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Usage {
    cpu: Option<String>,
    memory: Option<String>,
}

impl Item {
    fn into_usage(self, served_at: Wall) -> Option<TargetUsage> {
        let Self {
            metadata,
            timestamp,
            window,
            containers,
        } = self;
        let taken_at = Wall(timestamp.parse::<jiff::Timestamp>().ok()?.as_millisecond());
        // A sample from the future is one from another clock of the same cluster: as fresh as can be.
        let age_millis = u64::try_from(served_at.0.saturating_sub(taken_at.0)).unwrap_or_default();
        let containers = containers
            .unwrap_or_default()
            .into_iter()
            .map(Container::into_usage)
            .collect();
        let Metadata { namespace, name } = metadata;
        Some(TargetUsage {
            namespace,
            name,
            taken_at,
            age_millis,
            window_millis: duration_millis(&window)?,
            containers,
        })
    }
}

impl Container {
    fn into_usage(self) -> ContainerUsage {
        let Self {
            name,
            usage: Usage { cpu, memory },
        } = self;
        ContainerUsage {
            name,
            cpu_nanos: cpu.as_deref().and_then(quantity::cpu_nanos),
            memory_bytes: memory.as_deref().and_then(quantity::bytes),
        }
    }
}

/// A duration as Go writes it (`14.5s`, `1m0.2s`, `0s`) in milliseconds, rounded down. None if it is none.
fn duration_millis(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut nanos = 0_u64;
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    // Each round takes at least one character off.
    while !rest.is_empty() {
        let number_ends = rest.find(|one: char| !one.is_ascii_digit() && one != '.')?;
        let (number, tail) = rest.split_at_checked(number_ends)?;
        let unit_ends = tail
            .find(|one: char| one.is_ascii_digit() || one == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_ends)?;
        let unit_nanos: u64 = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "µs" | "μs" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        // Billionths of the number, exact down to a nanosecond of every unit below a second.
        let billionths = u128::from(quantity::cpu_nanos(number)?);
        let part = billionths.checked_mul(u128::from(unit_nanos))? / 1_000_000_000;
        nanos = nanos.checked_add(u64::try_from(part).ok()?)?;
        rest = tail;
    }
    Some(nanos / 1_000_000)
}

#[cfg(test)]
mod tests;
