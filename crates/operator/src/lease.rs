//! Leader election by a Lease: compare-and-swap on its resource version, time on our own clock.
//!
//! No wall clock of another replica is ever believed. A follower takes a lease only after it saw the
//! same record for the lease's whole duration; a leader stops acting when its last successful renewal
//! is older than [`RENEW_DEADLINE_SECONDS`], measured from before that request was sent. As the second
//! span is shorter than the first, a leader that was stopped, cut off or starved has ceased to act
//! before anyone takes over. What a lease cannot exclude, an effect already under way, is harmless: ids
//! and keys are derived, and stores create only.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;
use planner::{Chain, Event, Mono};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::lead::Lead;

/// How long others wait without seeing a change: client-go's default.
const DURATION_SECONDS: i32 = 15;
/// How long a leader acts on one renewal: client-go's default; the 5 s to the duration are the margin.
const RENEW_DEADLINE_SECONDS: u64 = 10;
/// From one try to the next: five tries fit into the renew deadline.
const RETRY: Duration = Duration::from_secs(2);
/// One call to the API server. A call that hangs, the wait after it, and the two calls of the next round
/// fit into the renew deadline: one lost answer does not end a lead.
const CALL_DEADLINE: Duration = Duration::from_secs(2);
const NAME: &str = "profiling-operator";

/// Takes part in the election until `stop`, then gives the lease up.
///
/// Tells the actor of each change; `lead` is the fact that effects check.
pub struct Election {
    /// Leases of the operator's own namespace.
    pub leases: Api<Lease>,
    /// Who we are: unique among running processes.
    pub identity: String,
    /// The clock that `lead` uses.
    pub clock: Clock,
    /// What this election decides.
    pub lead: Lead,
    /// The actor.
    pub events: mpsc::Sender<Event>,
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("the api server did not answer in time")]
    Deadline,
    #[error("the api server refused")]
    Call { source: kube::Error },
}

/// A call with its deadline.
async fn answered<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, LeaseError> {
    let answer = timeout(CALL_DEADLINE, call).await.map_err(|_| LeaseError::Deadline)?;
    answer.map_err(|source| LeaseError::Call { source })
}

/// What was last seen of the lease, and since when it has not changed.
struct Observed {
    version: Option<String>,
    since: Mono,
}

/// What to do about a lease that was read. Decided without I/O.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Create,
    Renew,
    Take,
    Follow,
}

impl Election {
    /// Runs the election.
    pub async fn run(self, stop: CancellationToken) {
        let mut observed = Observed {
            version: None,
            since: self.clock.mono(),
        };
        let mut led = false;
        while !stop.is_cancelled() {
            let began = self.clock.mono();
            match self.round(&mut observed).await {
                Ok(true) => self.lead.set_valid_until(began.plus_seconds(RENEW_DEADLINE_SECONDS)),
                Ok(false) => self.lead.set_valid_until(Mono(0)),
                Err(error) => tracing::warn!(error = %Chain(&error), "lease not renewed"),
            }
            led = self.announce(led).await;
            // While leading, wake in time to announce the end of the lead even if no call answers.
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = stop.cancelled() => {}
            }
        }
        self.lead.set_valid_until(Mono(0));
        self.announce(led).await;
        if led {
            self.release().await;
        }
    }

    async fn announce(&self, led: bool) -> bool {
        let leads = self.lead.holds();
        if leads != led {
            tracing::info!(leads, identity = %self.identity, "leadership changed");
            if self.events.send(Event::Leadership(leads)).await.is_err() {
                tracing::debug!("the actor has ended");
            }
        }
        leads
    }

    /// One look at the lease and at most one write to it. True when it is ours after that.
    async fn round(&self, observed: &mut Observed) -> Result<bool, LeaseError> {
        let lease = answered(self.leases.get_opt(NAME)).await?;
        let version = lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        if version != observed.version {
            *observed = Observed {
                version,
                since: self.clock.mono(),
            };
        }
        let unchanged_millis = self.clock.mono().millis_since(observed.since);
        let spec = lease.as_ref().and_then(|lease| lease.spec.as_ref());
        let create = PostParams::default();
        let written = match decide(spec, &self.identity, unchanged_millis, lease.is_some()) {
            Step::Follow => return Ok(false),
            Step::Create => answered(self.leases.create(&create, &self.desired(None))).await,
            Step::Renew | Step::Take => answered(self.leases.replace(NAME, &create, &self.desired(lease))).await,
        };
        match written {
            Ok(_) => Ok(true),
            // Somebody else was first. We may still be within an earlier renewal's time, but the record
            // is not ours to count on any more.
            Err(LeaseError::Call {
                source: kube::Error::Api(status),
            }) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The lease as we want it; with the version that was read, so that the write is a compare-and-swap.
    fn desired(&self, read: Option<Lease>) -> Lease {
        let now = MicroTime(
            jiff::Timestamp::from_millisecond(self.clock.now().wall.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH),
        );
        let old = read.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let ours = old.holder_identity.as_deref() == Some(&self.identity);
        Lease {
            metadata: ObjectMeta {
                name: Some(NAME.into()),
                resource_version: read.and_then(|lease| lease.metadata.resource_version),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(DURATION_SECONDS),
                acquire_time: if ours { old.acquire_time } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(old.lease_transitions.unwrap_or(0).saturating_add(i32::from(!ours))),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Gives the lease up, so that the next leader need not wait for its end.
    async fn release(&self) {
        let released = async {
            let Some(lease) = answered(self.leases.get_opt(NAME)).await? else {
                return Ok(());
            };
            if lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) != Some(&self.identity) {
                return Ok(());
            }
            let mut freed = self.desired(Some(lease));
            if let Some(spec) = &mut freed.spec {
                spec.holder_identity = None;
                spec.lease_duration_seconds = Some(1);
            }
            let update = PostParams::default();
            answered(self.leases.replace(NAME, &update, &freed)).await.map(drop)
        }
        .await;
        match released {
            Ok(()) => tracing::info!("lease given up"),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "lease not given up; the next leader waits for its end");
            }
        }
    }
}

fn decide(spec: Option<&LeaseSpec>, identity: &str, unchanged_millis: u64, exists: bool) -> Step {
    if !exists {
        return Step::Create;
    }
    // A lease without holder or duration is free: others' tools write such ones.
    let holder = spec
        .and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default();
    let duration_seconds = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
    if holder == identity {
        Step::Renew
    } else if holder.is_empty()
        || unchanged_millis >= u64::try_from(duration_seconds).unwrap_or(0).saturating_mul(1_000)
    {
        Step::Take
    } else {
        Step::Follow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(holder: &str) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_of_another_is_taken_only_after_its_whole_duration_without_change() {
        assert_eq!(decide(Some(&spec("other")), "me", 14_999, true), Step::Follow);
        assert_eq!(decide(Some(&spec("other")), "me", 15_000, true), Step::Take);
        assert_eq!(decide(Some(&spec("me")), "me", 0, true), Step::Renew);
        assert_eq!(decide(Some(&spec("")), "me", 0, true), Step::Take);
        assert_eq!(decide(None, "me", 0, true), Step::Take);
        assert_eq!(decide(None, "me", 0, false), Step::Create);
    }

    #[test]
    fn a_leader_has_ceased_to_act_before_another_may_take_over() {
        assert!(i64::try_from(RENEW_DEADLINE_SECONDS).unwrap() < i64::from(DURATION_SECONDS));
    }
}
