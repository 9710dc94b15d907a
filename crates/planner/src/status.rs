//! What can be said of a config or a target, as plain values.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::id::ConfigId;
use crate::profile_type::TypeSet;
use crate::reason::Reason;
use crate::rules::Mode;
use crate::target::Basis;
use crate::time::Wall;

/// The status of a config. It differs from an earlier one only if something happened: nothing in it is an age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigStatus {
    /// The config.
    pub id: ConfigId,
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// The generation of the spec that this is about.
    pub generation: i64,
    /// Whether everything it needs is there.
    pub ready: Condition,
    /// Whether targets match.
    pub targets_found: Condition,
    /// Whether usage samples come.
    pub metrics_available: Condition,
    /// Whether profiles are stored.
    pub storage_ready: Condition,
    /// How many targets match and opt in.
    pub targets: usize,
    /// How many captures run.
    pub running: usize,
    /// Names of targets being captured, `namespace/name`, sorted, at most `status_pods_max`.
    pub running_pods: Vec<Box<str>>,
    /// What became of its captures so far.
    pub totals: Totals,
    /// The last one that stored something.
    pub last: Option<LastCapture>,
    /// Why nothing is captured of some targets, at most `status_pods_max`, those first for which somebody can do
    /// something.
    pub held: Vec<PodHold>,
}

/// Captures of a config, since it was created.
///
/// They go on where the status of a former process left them. What that process had not written yet is missing: at
/// most the captures of the ten seconds before it was killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Those that stored something.
    pub captured: u64,
    /// Those that stored nothing; those that we stopped ourselves are left out.
    pub failed: u64,
}

/// A condition, as Kubernetes has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whether it holds.
    pub status: Truth,
    /// The code.
    pub reason: Reason,
    /// For people.
    pub message: Box<str>,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nothing is known.
    Unknown,
}

/// The last capture of a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastCapture {
    /// Namespace of the target.
    pub namespace: Box<str>,
    /// Name of the target.
    pub pod: Box<str>,
    /// `ThresholdExceeded`, `OnDemand` or `Requested`.
    pub reason: Reason,
    /// When it was decided.
    pub at: Wall,
    /// What was stored.
    pub types: TypeSet,
}

/// Why nothing is captured of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodHold {
    /// Namespace of the target.
    pub namespace: Box<str>,
    /// Name of the target.
    pub pod: Box<str>,
    /// The code.
    pub reason: Reason,
    /// For people.
    pub message: Box<str>,
}

/// Why nothing, or what, is captured of a target by one config in one mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The config; none if the answer is the same for all.
    pub config: Option<WhyConfig>,
    /// The mode.
    pub mode: Mode,
    /// The code: what holds a capture back, or what it is made for if nothing does.
    pub reason: Reason,
    /// For people.
    pub message: Box<str>,
    /// CPU of its last sample, in thousandths of the basis.
    pub cpu: Option<(u32, Basis)>,
    /// Memory of its last sample, in thousandths of the basis.
    pub memory: Option<(u32, Basis)>,
    /// When its last sample was taken.
    pub sampled_at: Option<Wall>,
}

/// The config of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyConfig {
    /// Its identity.
    pub id: ConfigId,
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

impl Truth {
    /// The form of Kubernetes: `True`, `False` or `Unknown`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl Condition {
    pub(crate) fn new(status: Truth, reason: Reason, message: impl Into<Box<str>>) -> Self {
        Self {
            status,
            reason,
            message: message.into(),
        }
    }

    /// A condition whose message is what its reason means.
    pub(crate) fn plain(status: Truth, reason: Reason) -> Self {
        Self::new(status, reason, reason.meaning_plain())
    }
}
