//! What reaches the planner.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::id::{CaptureId, ConfigId, SampleId, TargetId};
use crate::policy::Policy;
use crate::profile_type::{ProfileType, TypeSet};
use crate::reason::Reason;
use crate::status::Totals;
use crate::target::TargetFacts;
use crate::time::Wall;
use crate::usage::UsageSample;

/// Something that happened outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A config was seen: new, changed, or once more by a resync.
    ConfigApplied(Box<ConfigFacts>),
    /// A config is gone.
    ConfigRemoved(ConfigId),
    /// A target was seen: new, changed, or once more by a resync. One that no longer opts in comes so, too.
    TargetApplied(Box<TargetFacts>),
    /// A target is gone.
    TargetRemoved(TargetId),
    /// A full list of them begins: what is not applied before its end is gone.
    RelistStarted(Relisted),
    /// The full list ended.
    RelistFinished(Relisted),
    /// Usage was measured.
    Usage(UsageSample),
    /// A request for usage failed.
    UsageFailed {
        /// The request.
        request: SampleId,
        /// Why, for people.
        message: Box<str>,
    },
    /// What the store's records say of a config's past. Comes once for every config after it was first
    /// seen as leader, with or without an answer from the store: nothing is decided for it before.
    Restored {
        /// The config.
        config: ConfigId,
        /// Its captures of the last cooldown or interval, whichever is longer. Unknown targets among
        /// them are left out by the planner.
        captures: Vec<PastCapture>,
    },
    /// A capture ended, in whatever way. Comes exactly once for every [`crate::Command::Capture`].
    CaptureFinished(Box<CaptureOutcome>),
    /// Somebody asks for a capture now.
    Requested {
        /// The asker's id for it; the same id twice is one request.
        id: u64,
        /// Who asks, for the record; cut to 253 bytes.
        by: Box<str>,
        /// Of which config: its store and limits apply.
        config: ConfigId,
        /// Of what.
        target: TargetId,
        /// Which types; empty for the config's own.
        types: TypeSet,
    },
    /// This replica became the one that acts, or ceased to be.
    Leadership(bool),
    /// The process is about to end: start nothing more.
    ShuttingDown,
    /// Nothing but the passing of time.
    Tick,
}

/// Which full list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relisted {
    /// Of configs.
    Configs,
    /// Of targets.
    Targets,
}

/// A config as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFacts {
    /// Its identity.
    pub id: ConfigId,
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// The generation of its spec.
    pub generation: i64,
    /// What its status counts. Believed when the config is first seen and while another replica leads, who writes it.
    pub totals: Totals,
    /// What to do, or why nothing can be done.
    pub policy: Result<Policy, Refusal>,
}

/// Why a config cannot be used as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub reason: Reason,
    /// What is wrong and what to do about it, for people.
    pub message: Box<str>,
}

/// A capture of a former life of the process, read from its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastCapture {
    /// Its id, which proves config, target, container, reason and second together.
    pub capture: CaptureId,
    /// The target.
    pub target: TargetId,
    /// `ThresholdExceeded`, `OnDemand` or `Requested`.
    pub trigger: Reason,
    /// When it was decided.
    pub decided_at: Wall,
    /// What came of it.
    pub outcome: PastOutcome,
}

/// What came of a past capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastOutcome {
    /// At least one type was stored.
    Captured,
    /// Nothing was stored.
    Failed,
    /// Its record says that it started and nothing says that it ended.
    Interrupted,
}

/// How a capture ended, type by type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureOutcome {
    /// Which capture.
    pub capture: CaptureId,
    /// Every type that was asked, each once.
    pub types: Vec<TypeOutcome>,
}

/// What came of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeOutcome {
    /// The type.
    pub profile_type: ProfileType,
    /// What was stored, or why nothing was.
    pub result: Result<StoredType, Refusal>,
}

/// A stored profile, as far as deciding and status need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredType {
    /// Its key in the bucket.
    pub key: Box<str>,
    /// Its size.
    pub bytes: u64,
    /// How many samples it holds; none for a format that is not counted.
    pub samples: Option<u64>,
}
