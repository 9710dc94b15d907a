//! What the planner wants done.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::id::{CaptureId, ConfigId, SampleId, TargetId};
use crate::policy::{Scope, StorePolicy, Transport};
use crate::profile_type::ProfileType;
use crate::reason::Reason;
use crate::target::{Basis, Resource};
use crate::time::Wall;

/// One thing to do. Each is idempotent by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Fetch usage samples; answered by `Usage` or `UsageFailed` with the same id.
    Sample(SampleRequest),
    /// Read what the store's records say of a config's past; answered by `Restored`, always, within
    /// a deadline that the worker sets: a store that does not answer delays nothing for long.
    Restore(RestoreRequest),
    /// Take a set of profiles; answered by `CaptureFinished`.
    Capture(Box<CaptureJob>),
    /// Stop a capture at once; it is still answered by `CaptureFinished`.
    Cancel {
        /// Which.
        capture: CaptureId,
        /// Why.
        reason: Reason,
    },
    /// Tell people, once per transition.
    Notify(Notice),
}

/// A request for the past of a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreRequest {
    /// Of which config.
    pub config: ConfigId,
    /// Where its records lie.
    pub store: StorePolicy,
    /// Of targets in which namespaces.
    pub scope: Scope,
    /// From when on; older captures decide nothing any more.
    pub since: Wall,
}

/// A request for usage samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleRequest {
    /// Comes back with the answer.
    pub id: SampleId,
    /// Of what.
    pub scope: SampleScope,
}

/// What one list of usage samples covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SampleScope {
    /// One namespace.
    Namespace(Box<str>),
    /// All of them.
    Cluster,
}

/// A capture with no choice left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureJob {
    /// Its id.
    pub id: CaptureId,
    /// The config that asked for it.
    pub config: ConfigId,
    /// Its namespace.
    pub config_namespace: Box<str>,
    /// Its name.
    pub config_name: Box<str>,
    /// Its generation.
    pub config_generation: i64,
    /// The target.
    pub target: TargetId,
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub pod: Box<str>,
    /// Its service, a segment of the keys.
    pub service: Box<str>,
    /// Its node.
    pub node: Box<str>,
    /// The container whose usage counted, empty when none was looked at.
    pub container: Box<str>,
    /// Its address, if known.
    pub address: Option<IpAddr>,
    /// Where profiles are served.
    pub port: u16,
    /// How to get there.
    pub transport: Transport,
    /// Why.
    pub trigger: Trigger,
    /// What, in the order in which to take it.
    pub types: Vec<ProfileType>,
    /// Window of the types that take time.
    pub cpu_seconds: u32,
    /// Largest body.
    pub body_bytes_max: u64,
    /// Where to.
    pub store: StorePolicy,
    /// When it was decided; keys and record carry its second.
    pub decided_at: Wall,
}

/// Why a capture is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Usage crossed a threshold.
    Threshold {
        /// Which resource.
        resource: Resource,
        /// What was used, in thousandths of the basis.
        value_permille: u64,
        /// The threshold, in thousandths of the basis.
        threshold_permille: u64,
        /// What both are parts of.
        basis: Basis,
        /// When the sample was taken.
        sampled_at: Wall,
    },
    /// Its interval was over.
    OnDemand,
    /// Somebody asked.
    Requested {
        /// Who.
        by: Box<str>,
    },
}

/// Something that people should learn of, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// About what.
    pub about: NoticeTarget,
    /// The code.
    pub reason: Reason,
    /// Whether somebody has to do something.
    pub warning: bool,
    /// In words; what it is about and what to do.
    pub message: Box<str>,
    /// The capture of which this is told once for all: a later process that finds the same in the bucket tells the
    /// same, and whoever passes it on can know it by this.
    pub once_of: Option<CaptureId>,
}

/// What a notice is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeTarget {
    /// A config.
    Config {
        /// Its identity.
        id: ConfigId,
        /// Its namespace.
        namespace: Box<str>,
        /// Its name.
        name: Box<str>,
    },
    /// A target.
    Target {
        /// Its identity.
        id: TargetId,
        /// Its namespace.
        namespace: Box<str>,
        /// Its name.
        name: Box<str>,
    },
}

impl Trigger {
    /// Its reason: `ThresholdExceeded`, `OnDemand` or `Requested`.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Threshold { .. } => Reason::ThresholdExceeded,
            Self::OnDemand => Reason::OnDemand,
            Self::Requested { .. } => Reason::Requested,
        }
    }
}
