//! A config as the planner uses it: validated, defaults filled in, units in the names.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::profile_type::TypeSet;

/// A ready policy. Made by `api` from a `ProfilingConfigSpec`, and by nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Nothing is captured while it holds.
    pub suspended: bool,
    /// Whose targets it covers.
    pub scope: Scope,
    /// Which of them.
    pub selector: LabelSelector,
    /// The threshold mode, unless it is off.
    pub threshold: Option<ThresholdPolicy>,
    /// The on-demand mode, if it is on.
    pub on_demand: Option<OnDemandPolicy>,
    /// Where profiles go.
    pub store: StorePolicy,
    /// What is taken.
    pub types: TypeSet,
    /// Window of the types that take time; already short enough for the on-demand interval.
    pub cpu_seconds: u32,
    /// How targets are reached.
    pub transport: Transport,
    /// Captures of this config at once.
    pub concurrent_max: u16,
    /// Largest body of one profile.
    pub body_bytes_max: u64,
}

/// Namespaces a config may look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One namespace.
    Namespace(Box<str>),
    /// All of them.
    All,
}

/// Both parts must hold, as in Kubernetes. Empty selects everything in scope.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LabelSelector {
    /// Labels that must have exactly this value.
    pub equal: Vec<(Box<str>, Box<str>)>,
    /// Expressions that must all hold.
    pub expressions: Vec<LabelExpression>,
}

/// One expression over a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelExpression {
    /// The label has one of the values.
    In(Box<str>, Vec<Box<str>>),
    /// The label is missing or has none of the values.
    NotIn(Box<str>, Vec<Box<str>>),
    /// The label is there.
    Exists(Box<str>),
    /// The label is missing.
    DoesNotExist(Box<str>),
}

/// The threshold mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThresholdPolicy {
    /// Percent of limit (or request) above which CPU fires.
    pub cpu_percent: u16,
    /// Percent of limit (or request) above which memory fires.
    pub memory_percent: u16,
    /// Time from one check to the next.
    pub check_interval_seconds: u32,
    /// Time after a capture in which a target does not fire again.
    pub cooldown_seconds: u32,
}

/// The on-demand mode: a capture of every target every interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnDemandPolicy {
    /// Time from one capture of a target to its next.
    pub interval_seconds: u32,
}

/// Where profiles go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePolicy {
    /// Bucket, or the folder's own name for a local store.
    pub bucket: Box<str>,
    /// Prefix of every key, without slashes at its ends; may be empty.
    pub prefix: Box<str>,
    /// Region, where the provider wants one.
    pub region: Option<Box<str>>,
    /// Custom endpoint of an S3-compatible store.
    pub endpoint: Option<Box<str>>,
}

/// How a target's port is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Through the API server and the kubelet; reaches a server on 127.0.0.1.
    PortForward,
    /// Straight to the pod's address.
    PodIp,
}

impl LabelSelector {
    /// Whether labels, sorted by name, satisfy it.
    pub fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        self.equal.iter().all(|(name, value)| label(name) == Some(value))
            && self.expressions.iter().all(|one| one.matches(&label))
    }
}

impl LabelExpression {
    fn matches<'l>(&self, label: impl Fn(&str) -> Option<&'l str>) -> bool {
        let is_one_of =
            |name: &str, values: &[Box<str>]| label(name).is_some_and(|is| values.iter().any(|one| **one == *is));
        match self {
            Self::In(name, values) => is_one_of(name, values),
            Self::NotIn(name, values) => !is_one_of(name, values),
            Self::Exists(name) => label(name).is_some(),
            Self::DoesNotExist(name) => label(name).is_none(),
        }
    }
}
