//! One capture from job to outcome: take the set, store each profile as soon as it is there, and keep
//! the record true.

use std::sync::Arc;
use std::time::Duration;

use capture::access::Access;
use capture::{Artifact, Failure};
use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use planner::{
    CaptureJob, CaptureOutcome, Chain, Event, ProfileType, Reason, Refusal, RestoreRequest, StoredType, TypeOutcome,
    Wall,
};
use store::{ProfileBody, Record, RecordType, Store, StoreError, Stores};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::clock::{Clock, rfc3339};
use crate::lead::Lead;
use crate::restore::{Turns, restore};
use crate::telemetry::Telemetry;

/// Types of a set: the queue between taking and storing never fills, so a slow store delays no capture.
const SET_MAX: usize = ProfileType::ALL.len();
/// The record of a start is worth this long a wait of the task that writes it; the capture waits not at all.
const STARTED_RECORD_DEADLINE: Duration = Duration::from_secs(20);
/// The record of the end is what a restart reads; the profiles are stored already.
const FINAL_RECORD_DEADLINE: Duration = Duration::from_secs(60);
/// The same after a store took nothing for as long as uploads are tried: whether it is back shows in one attempt, and
/// until then the capture holds its place on the node, which captures for other stores wait for.
const FAILED_RECORD_DEADLINE: Duration = Duration::from_secs(5);

/// What every capture needs. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    /// How targets are reached.
    pub access: Arc<dyn Access>,
    /// Where profiles go.
    pub stores: Arc<Stores>,
    /// Bounds of a capture.
    pub limits: Arc<capture::Settings>,
    /// Checked before every effect.
    pub lead: Lead,
    /// Whose past may be read now.
    pub turns: Turns,
    /// Counts.
    pub telemetry: Telemetry,
    /// The clock.
    pub clock: Clock,
}

impl Worker {
    /// Runs a job to its end. Resolves to `CaptureFinished`.
    pub async fn run(self, job: CaptureJob, cancel: oneshot::Receiver<Reason>) -> Event {
        let began = self.clock.now();
        tracing::info!(
            capture = %job.id, config = %format_args!("{}/{}", job.config_namespace, job.config_name),
            pod = %format_args!("{}/{}", job.namespace, job.pod), reason = %job.trigger.reason().as_kebab(),
            types = job.types.len(), "capture started"
        );
        let types = match self.stores.open(&job.store) {
            Ok(store) => self.take_and_store(&job, began.wall, store, cancel).await,
            Err(error) => job
                .types
                .iter()
                .map(|one| failed(*one, error.reason(), Chain(&error).to_string()))
                .collect(),
        };
        self.report(&job, &types);
        Event::CaptureFinished(Box::new(CaptureOutcome { capture: job.id, types }))
    }

    /// Reads a config's past. Resolves to `Restored`, in time, whatever the store does.
    pub async fn restore(self, request: RestoreRequest) -> Event {
        restore(request, &self.stores, &self.turns, self.clock, &self.telemetry).await
    }

    async fn take_and_store(
        &self,
        job: &CaptureJob,
        began: Wall,
        store: Arc<Store>,
        cancel: oneshot::Receiver<Reason>,
    ) -> Vec<TypeOutcome> {
        let started = Record::started(job);
        let announce = self.put_record(&store, job, &started, STARTED_RECORD_DEADLINE);
        let (results, taken) = mpsc::channel(SET_MAX);
        let cancelled = self.cancelled(cancel);
        let take = capture::take_set(job, &*self.access, &self.limits, results, cancelled);
        // The three go on side by side in this one task: nothing waits for the set, and nothing waits
        // for the record.
        let ((), (), stored) = tokio::join!(announce, take, self.store_each(job, began, &store, taken));
        let record = stored
            .iter()
            .fold(started, |record, one| record.with_type(one.record.clone()))
            .complete();
        let deadline = record_deadline(stored.iter().map(|one| &one.outcome));
        self.put_record(&store, job, &record, deadline).await;
        stored.into_iter().map(|one| one.outcome).collect()
    }

    /// Stores what is taken, each on its own: a store that is slow with one delays no other.
    async fn store_each(
        &self,
        job: &CaptureJob,
        began: Wall,
        store: &Store,
        mut taken: mpsc::Receiver<Taken>,
    ) -> Vec<Stored> {
        let mut uploads = FuturesUnordered::new();
        let mut stored = Vec::new();
        let mut open = true;
        // Types are taken one after the other: what one came to is there when the next is asked for.
        let mut asked_at = self.clock.now();
        while open || !uploads.is_empty() {
            tokio::select! {
                next = taken.recv(), if open => match next {
                    Some((profile_type, Ok(artifact))) => {
                        // A set whose first type failed was asked earlier than its first profile says.
                        if uploads.is_empty() && stored.is_empty() {
                            self.telemetry.first_asked(waited(job.decided_at, began) + artifact.started_after);
                        }
                        uploads.push(self.store_one(job, began, store, profile_type, artifact).boxed());
                        asked_at = self.clock.now();
                    }
                    Some((profile_type, Err(failure))) => {
                        let now = self.clock.now();
                        let took_millis = now.mono.millis_since(asked_at.mono);
                        let Failure { reason, message } = failure;
                        stored.push(Stored::failed(profile_type, asked_at.wall, took_millis, reason, message));
                        asked_at = now;
                    }
                    None => open = false,
                },
                Some(one) = uploads.next() => stored.push(one),
            }
        }
        // In the order asked, whatever order they ended in; and a type that gave no answer says so.
        let missing = |asked| {
            Stored::failed(
                asked,
                began,
                0,
                Reason::Panicked,
                "no result came for this type; this is a bug in the operator".into(),
            )
        };
        job.types
            .iter()
            .map(
                |asked| match stored.iter().position(|one| one.outcome.profile_type == *asked) {
                    Some(at) => stored.swap_remove(at),
                    None => missing(*asked),
                },
            )
            .collect()
    }

    async fn store_one(
        &self,
        job: &CaptureJob,
        began: Wall,
        store: &Store,
        profile_type: ProfileType,
        artifact: Artifact,
    ) -> Stored {
        let took_millis = u64::try_from(artifact.took.as_millis()).unwrap_or(u64::MAX);
        let started_after_millis = i64::try_from(artifact.started_after.as_millis()).unwrap_or(0);
        let started = Wall(began.0.saturating_add(started_after_millis));
        if !self.lead.holds() {
            let message = "another replica leads now".into();
            return Stored::failed(profile_type, started, took_millis, Reason::LeadershipLost, message);
        }
        let samples = artifact.summary.as_ref().map(|summary| summary.samples);
        let sample_types: Vec<String> = artifact
            .summary
            .iter()
            .flat_map(|summary| &summary.sample_types)
            .map(|(kind, unit)| format!("{kind}/{unit}"))
            .collect();
        let body = ProfileBody {
            profile_type,
            path: &artifact.file,
            bytes: artifact.bytes,
            sha256: artifact.sha256,
            samples,
            sample_types: &sample_types,
            started,
        };
        let result = store.put_profile(job, body).await;
        self.telemetry.upload_ended(
            result
                .as_ref()
                .map_or_else(StoreError::reason, |_| Reason::StorageReady),
        );
        match result {
            Ok(stored) => {
                self.telemetry.type_ended(
                    job,
                    profile_type,
                    Reason::ProfileCaptured,
                    artifact.took.as_secs_f64(),
                    stored.bytes,
                );
                Stored {
                    record: RecordType::stored(&body, &stored, took_millis),
                    outcome: TypeOutcome {
                        profile_type,
                        result: Ok(StoredType {
                            key: stored.key.into(),
                            bytes: stored.bytes,
                            samples,
                        }),
                    },
                }
            }
            Err(error) => Stored::failed(
                profile_type,
                started,
                took_millis,
                error.reason(),
                Chain(&error).to_string(),
            ),
        }
    }

    async fn put_record(&self, store: &Store, job: &CaptureJob, record: &Record, deadline: Duration) {
        if !self.lead.holds() {
            return;
        }
        match timeout(deadline, store.put_record(job, record)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.telemetry.failed("record", error.reason());
                tracing::warn!(capture = %job.id, error = %Chain(&error), "record not written");
            }
            Err(_) => {
                self.telemetry.failed("record", Reason::StorageUnavailable);
                tracing::warn!(capture = %job.id, "record not written in time");
            }
        }
    }

    /// Resolves when the capture has to stop: the planner says so, or the lead is over.
    async fn cancelled(&self, cancel: oneshot::Receiver<Reason>) -> Reason {
        let lead_over = async {
            loop {
                let until = self.lead.valid_until();
                if !self.lead.holds() {
                    return Reason::LeadershipLost;
                }
                // An hour is for ever here; a renewal moves the end, so look again then.
                let ahead = self
                    .clock
                    .instant(until)
                    .min(tokio::time::Instant::now() + Duration::from_secs(3_600));
                tokio::time::sleep_until(ahead).await;
            }
        };
        tokio::select! {
            reason = lead_over => reason,
            reason = cancel => match reason {
                Ok(reason) => reason,
                // The actor dropped the sender: it is gone, and so is everybody who could use the result.
                Err(_) => Reason::ShuttingDown,
            },
        }
    }

    fn report(&self, job: &CaptureJob, types: &[TypeOutcome]) {
        for one in types {
            if let Err(refusal) = &one.result {
                self.telemetry.type_ended(job, one.profile_type, refusal.reason, 0.0, 0);
                self.telemetry.failed("capture", refusal.reason);
                tracing::warn!(
                    capture = %job.id, pod = %format_args!("{}/{}", job.namespace, job.pod), r#type = one.profile_type.as_str(),
                    reason = %refusal.reason.as_kebab(), message = %refusal.message, "profile not captured"
                );
            }
        }
        let stored = types.iter().filter_map(|one| one.result.as_ref().ok());
        tracing::info!(
            capture = %job.id, pod = %format_args!("{}/{}", job.namespace, job.pod), decided_at = %rfc3339(job.decided_at),
            stored = stored.clone().count(), asked = types.len(), bytes = stored.map(|one| one.bytes).sum::<u64>(), "capture ended"
        );
    }
}

/// What taking one type came to.
type Taken = (ProfileType, Result<Artifact, Failure>);

/// What came of one type, for the planner and for the record.
struct Stored {
    outcome: TypeOutcome,
    record: RecordType,
}

impl Stored {
    /// A type that was asked for at `started` and came to nothing `took_millis` later.
    fn failed(profile_type: ProfileType, started: Wall, took_millis: u64, reason: Reason, message: String) -> Self {
        Self {
            record: RecordType::failed(profile_type, reason, &message, started, took_millis),
            outcome: failed(profile_type, reason, message),
        }
    }
}

/// From a decision to the start of its capture. Both are of this process's clock; it may have been set between them.
fn waited(decided_at: Wall, began: Wall) -> Duration {
    Duration::from_millis(began.0.saturating_sub(decided_at.0).max(0).unsigned_abs())
}

/// How long the record of the end is worth waiting for.
fn record_deadline<'a>(outcomes: impl IntoIterator<Item = &'a TypeOutcome>) -> Duration {
    let unavailable =
        |one: &TypeOutcome| matches!(&one.result, Err(refusal) if refusal.reason == Reason::StorageUnavailable);
    let mut outcomes = outcomes.into_iter().peekable();
    if outcomes.peek().is_some() && outcomes.all(unavailable) {
        FAILED_RECORD_DEADLINE
    } else {
        FINAL_RECORD_DEADLINE
    }
}

fn failed(profile_type: ProfileType, reason: Reason, message: String) -> TypeOutcome {
    TypeOutcome {
        profile_type,
        result: Err(Refusal {
            reason,
            message: message.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_took_nothing_does_not_hold_the_capture_for_its_record() {
        let unavailable = || failed(ProfileType::Heap, Reason::StorageUnavailable, String::new());
        let broken = failed(ProfileType::Cpu, Reason::TunnelBroken, String::new());
        let stored = TypeOutcome {
            profile_type: ProfileType::Cpu,
            result: Ok(StoredType {
                key: "key".into(),
                bytes: 1,
                samples: None,
            }),
        };
        assert_eq!(
            record_deadline([&unavailable(), &unavailable()]),
            FAILED_RECORD_DEADLINE
        );
        assert_eq!(record_deadline([&unavailable(), &stored]), FINAL_RECORD_DEADLINE);
        assert_eq!(record_deadline([&broken]), FINAL_RECORD_DEADLINE);
        assert_eq!(record_deadline([]), FINAL_RECORD_DEADLINE);
    }
}
