//! From a usage sample to percentages that every config can compare with its thresholds.

use crate::policy::ThresholdPolicy;
use crate::reason::Reason;
use crate::target::{Basis, ContainerFacts, Resource};
use crate::time::{Mono, Wall};
use crate::usage::{ContainerUsage, TargetUsage};
use crate::world::targets::Target;

/// The last usage of a target. It says nothing of any config: percentages are of the target's own limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The list that brought it; a later list without the target leaves this one behind.
    pub(crate) list: u64,
    pub(crate) taken_at: Wall,
    pub(crate) read_at: Mono,
    /// Whether it was young enough, and of this target, when it came.
    pub(crate) fresh: bool,
    pub(crate) cpu: Result<Level, Reason>,
    pub(crate) memory: Result<Level, Reason>,
}

/// How full a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) permille: u32,
    pub(crate) basis: Basis,
    /// Place of the container among the target's.
    pub(crate) container: u16,
}

/// A sample older than this decides nothing, even if its window is short: metrics-server scrapes every 15 to
/// 60 s and keeps a sample for as long, so two minutes are two scrapes lost.
const AGE_MILLIS_MAX_MIN: u64 = 120_000;

impl Reading {
    /// Reads a sample of `target`.
    pub(crate) fn of(target: &Target, usage: &TargetUsage, list: u64, read_at: Mono) -> Self {
        let window = i64::try_from(usage.window_millis).unwrap_or(i64::MAX);
        let young = usage.age_millis <= AGE_MILLIS_MAX_MIN.max(usage.window_millis.saturating_mul(2));
        let own = target
            .started_at
            .is_none_or(|started| usage.taken_at.0.saturating_sub(window) >= started.0);
        Self {
            list,
            taken_at: usage.taken_at,
            read_at,
            fresh: young && own,
            cpu: fullest(target, usage, Resource::Cpu),
            memory: fullest(target, usage, Resource::Memory),
        }
    }

    /// The level of a resource.
    pub(crate) const fn level(&self, resource: Resource) -> Result<Level, Reason> {
        match resource {
            Resource::Cpu => self.cpu,
            Resource::Memory => self.memory,
        }
    }

    /// What fires, memory before CPU: a process that is out of memory is gone first. Otherwise why nothing does.
    ///
    /// A threshold fires when usage is strictly above it, in whole thousandths of the basis.
    pub(crate) fn firing(&self, policy: &ThresholdPolicy) -> Result<(Resource, Level), Reason> {
        for resource in [Resource::Memory, Resource::Cpu] {
            if let Ok(level) = self.level(resource)
                && level.permille > threshold_permille(policy, resource)
            {
                return Ok((resource, level));
            }
        }
        Err(match (self.cpu, self.memory) {
            (Ok(_), _) | (_, Ok(_)) => Reason::BelowThreshold,
            (Err(Reason::SampleUnusable), _) | (_, Err(Reason::SampleUnusable)) => Reason::SampleUnusable,
            (Err(reason), Err(_)) => reason,
        })
    }
}

/// The threshold of a resource, in thousandths.
pub(crate) const fn threshold_permille(policy: &ThresholdPolicy, resource: Resource) -> u32 {
    let percent = match resource {
        Resource::Cpu => policy.cpu_percent,
        Resource::Memory => policy.memory_percent,
    };
    percent as u32 * 10
}

/// The level that counts: of the container the target names, else the one that declares the port, else the
/// fullest of all. Never the sum: an idle sidecar with a large limit would hide the hot one.
fn fullest(target: &Target, usage: &TargetUsage, resource: Resource) -> Result<Level, Reason> {
    let shape = &target.shape;
    let declared = shape
        .containers
        .iter()
        .find(|one| one.declares_port)
        .map(|one| &one.name);
    let only = shape.container.as_ref().or(declared);
    let mut best: Option<Level> = None;
    let mut unmeasured = true;
    for measured in usage
        .containers
        .iter()
        .filter(|one| only.is_none_or(|name| one.name == *name))
    {
        let Some(place) = shape.containers.iter().position(|one| one.name == measured.name) else {
            continue;
        };
        let (Ok(container), Some(facts)) = (u16::try_from(place), shape.containers.get(place)) else {
            continue;
        };
        let Some(value) = value(measured, resource) else {
            continue;
        };
        unmeasured = false;
        if let Some((permille, basis)) = permille(facts, resource, value)
            && best.is_none_or(|level| permille > level.permille)
        {
            best = Some(Level {
                permille,
                basis,
                container,
            });
        }
    }
    best.ok_or(if unmeasured {
        Reason::SampleUnusable
    } else {
        Reason::NoLimitOrRequest
    })
}

const fn value(usage: &ContainerUsage, resource: Resource) -> Option<u64> {
    match resource {
        Resource::Cpu => usage.cpu_nanos,
        Resource::Memory => usage.memory_bytes,
    }
}

/// A value as thousandths of the limit, else of the request. A basis of zero is none.
fn permille(facts: &ContainerFacts, resource: Resource, value: u64) -> Option<(u32, Basis)> {
    // CPU comes in billionths of a core and its bases in thousandths.
    let (limit, request, unit) = match resource {
        Resource::Cpu => (facts.cpu_limit_millis, facts.cpu_request_millis, 1_000_000),
        Resource::Memory => (facts.memory_limit_bytes, facts.memory_request_bytes, 1),
    };
    let usable = |basis: Option<u64>| basis.filter(|one| *one > 0);
    let (whole, basis) = usable(limit)
        .map(|one| (one, Basis::Limit))
        .or_else(|| usable(request).map(|one| (one, Basis::Request)))?;
    // Nearly all values fit into 64 bits, where a division is several times faster.
    let permille = match (value.checked_mul(1_000), whole.checked_mul(unit)) {
        (Some(value), Some(whole)) => u128::from(value / whole),
        (_, _) => u128::from(value) * 1_000 / (u128::from(whole) * u128::from(unit)),
    };
    Some((u32::try_from(permille).unwrap_or(u32::MAX), basis))
}
