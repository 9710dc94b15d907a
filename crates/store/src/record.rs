//! The capture record: one small JSON object per capture set, the truth about what was captured and why.

use planner::{
    Basis, CaptureId, CaptureJob, ConfigId, PastCapture, PastOutcome, ProfileType, Reason, Resource, TargetId, Trigger,
    Wall,
};
use serde::{Deserialize, Serialize};

use crate::stores::{ProfileBody, StoredKey};

mod text;

/// The version that is written. Readers know fields by name and pass over others, so it changes only when a field
/// changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// What a capture set was, from its decision to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The capture.
    #[serde(with = "text::capture_id")]
    pub capture_id: CaptureId,
    /// How far it came.
    pub state: RecordState,
    /// The config that asked for it.
    pub config: RecordConfig,
    /// What was captured.
    pub target: RecordTarget,
    /// Why.
    pub trigger: RecordTrigger,
    /// When it was decided.
    #[serde(with = "text::wall")]
    pub decided_at: Wall,
    /// Every type that was asked, in the order of the capture.
    pub types: Vec<RecordType>,
}

/// How far a capture came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordState {
    /// It runs, or its process was killed.
    Started,
    /// It ended; its types say how.
    Complete,
    /// It was ended before its time.
    Interrupted,
}

/// A config, as far as a record names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordConfig {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    #[serde(with = "text::config_id")]
    pub uid: ConfigId,
    /// The generation that was in force.
    pub generation: i64,
}

/// A target, as far as a record names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordTarget {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// Its UID.
    #[serde(with = "text::target_id")]
    pub uid: TargetId,
    /// Its service.
    pub service: String,
    /// Its node.
    pub node: String,
    /// The container whose usage counted; empty when none was looked at.
    pub container: String,
}

/// Why a capture was made. Only a threshold has the middle five, only a request has `by`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordTrigger {
    /// `threshold-exceeded`, `on-demand` or `requested`.
    #[serde(with = "text::reason")]
    pub reason: Reason,
    /// `cpu` or `memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What was used, in thousandths of the basis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_permille: Option<u64>,
    /// The threshold, in thousandths of the basis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold_permille: Option<u64>,
    /// `limit` or `request`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// When the sample was taken.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::wall_option")]
    pub sampled_at: Option<Wall>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What came of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordType {
    /// The type's word.
    #[serde(rename = "type")]
    pub profile_type: String,
    /// When its capture started.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::wall_option")]
    pub started: Option<Wall>,
    /// How long it took, upload included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_millis: Option<u64>,
    /// What came of it.
    #[serde(flatten)]
    pub result: TypeResult,
}

/// The outcome of a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum TypeResult {
    /// Asked, and not there yet.
    Pending,
    /// It lies in the store.
    Stored {
        /// Its key.
        key: String,
        /// Its size.
        bytes: u64,
        /// Its SHA-256, in hex.
        sha256: String,
        /// The names of its sample types.
        #[serde(default)]
        sample_types: Vec<String>,
        /// How many samples it has; none for a format that is not counted.
        #[serde(default)]
        samples: Option<u64>,
    },
    /// Nothing was stored.
    Failed {
        /// The code, in kebab case.
        reason: String,
        /// For people.
        message: String,
    },
}

/// Longest message of a failed type: a record stays a few KiB whatever a server answers.
const MESSAGE_BYTES_MAX: usize = 512;

impl Record {
    /// The record of a capture that starts now.
    pub fn started(job: &CaptureJob) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            capture_id: job.id,
            state: RecordState::Started,
            config: RecordConfig {
                namespace: job.config_namespace.to_string(),
                name: job.config_name.to_string(),
                uid: job.config,
                generation: job.config_generation,
            },
            target: RecordTarget {
                namespace: job.namespace.to_string(),
                pod: job.pod.to_string(),
                uid: job.target,
                service: job.service.to_string(),
                node: job.node.to_string(),
                container: job.container.to_string(),
            },
            trigger: RecordTrigger::of(&job.trigger),
            decided_at: job.decided_at,
            types: job.types.iter().copied().map(RecordType::pending).collect(),
        }
    }

    /// This record with the outcome of one type, in the place of what it said of it before.
    #[must_use]
    pub fn with_type(mut self, outcome: RecordType) -> Self {
        match self
            .types
            .iter_mut()
            .find(|one| one.profile_type == outcome.profile_type)
        {
            Some(place) => *place = outcome,
            None => self.types.push(outcome),
        }
        self
    }

    /// This record of a capture that ended.
    #[must_use]
    pub fn complete(self) -> Self {
        Self {
            state: RecordState::Complete,
            ..self
        }
    }

    /// This record of a capture that was ended before its time.
    #[must_use]
    pub fn interrupted(self) -> Self {
        Self {
            state: RecordState::Interrupted,
            ..self
        }
    }

    /// What the planner wants to know of it after a restart.
    pub fn to_past_capture(&self) -> PastCapture {
        let stored = self
            .types
            .iter()
            .any(|one| matches!(one.result, TypeResult::Stored { .. }));
        PastCapture {
            capture: self.capture_id,
            target: self.target.uid,
            trigger: self.trigger.reason,
            decided_at: self.decided_at,
            outcome: match (stored, self.state) {
                (true, _) => PastOutcome::Captured,
                (false, RecordState::Complete) => PastOutcome::Failed,
                (false, RecordState::Started | RecordState::Interrupted) => PastOutcome::Interrupted,
            },
        }
    }
}

impl RecordTrigger {
    fn of(trigger: &Trigger) -> Self {
        let bare = Self {
            reason: trigger.reason(),
            resource: None,
            value_permille: None,
            threshold_permille: None,
            basis: None,
            sampled_at: None,
            by: None,
        };
        match trigger {
            Trigger::Threshold {
                resource,
                value_permille,
                threshold_permille,
                basis,
                sampled_at,
            } => Self {
                resource: Some(Resource::as_str(*resource).into()),
                value_permille: Some(*value_permille),
                threshold_permille: Some(*threshold_permille),
                basis: Some(Basis::as_str(*basis).into()),
                sampled_at: Some(*sampled_at),
                ..bare
            },
            Trigger::OnDemand => bare,
            Trigger::Requested { by } => Self {
                by: Some(by.to_string()),
                ..bare
            },
        }
    }
}

impl RecordType {
    /// A type that is asked.
    pub fn pending(profile_type: ProfileType) -> Self {
        Self {
            profile_type: profile_type.as_str().into(),
            started: None,
            took_millis: None,
            result: TypeResult::Pending,
        }
    }

    /// A type that lies in the store.
    pub fn stored(body: &ProfileBody<'_>, stored: &StoredKey, took_millis: u64) -> Self {
        Self {
            profile_type: body.profile_type.as_str().into(),
            started: Some(body.started),
            took_millis: Some(took_millis),
            result: TypeResult::Stored {
                key: stored.key.clone(),
                bytes: stored.bytes,
                sha256: text::hex(&stored.sha256),
                sample_types: body.sample_types.to_vec(),
                samples: body.samples,
            },
        }
    }

    /// A type of which nothing was stored.
    pub fn failed(profile_type: ProfileType, reason: Reason, message: &str, started: Wall, took_millis: u64) -> Self {
        Self {
            profile_type: profile_type.as_str().into(),
            started: Some(started),
            took_millis: Some(took_millis),
            result: TypeResult::Failed {
                reason: reason.as_kebab(),
                message: message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)].into(),
            },
        }
    }
}

pub(crate) use text::{date_time, digit, hex, parse_hex32, uuid};

#[cfg(test)]
mod tests;
