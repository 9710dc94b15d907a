//! Leader election by a Lease: compare-and-swap on its resource version, time on our own clock.
//!
//! No wall clock of another replica is ever believed. A follower takes a lease only after it saw the
//! same record for the lease's whole duration; a leader stops acting when its last successful renewal
//! is older than [`RENEW_DEADLINE_SECONDS`], measured from before that request was sent. As the second
//! span is shorter than the first, a leader that was stopped, cut off or starved has ceased to act
//! before anyone takes over. What a lease cannot exclude, an effect already under way, is harmless: ids
//! and keys are derived, and stores create only.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
/// How long a replica counts as taking part after its last good round: as long as a follower waits, the lease's
/// duration. Two rounds whose every call hung fit into it; after it this replica neither leads nor could take over.
const SILENCE_MILLIS_MAX: u64 = 15_000;

/// Takes part in the election until `stop`, then gives the lease up.
///
/// Tells the actor of each change; `lead` is the fact that effects check.
pub struct Election {
    /// Leases of the operator's own namespace.
    pub leases: Api<Lease>,
    /// The lease's name.
    pub name: String,
    /// Who we are: unique among running processes.
    pub identity: String,
    /// The clock that `lead` uses.
    pub clock: Clock,
    /// What this election decides.
    pub lead: Lead,
    /// The actor.
    pub events: mpsc::Sender<Event>,
    /// Where it is told how the election goes.
    pub standing: Standing,
}

/// How the election goes for this replica, as readiness and metrics tell it. Cheap to clone.
///
/// A replica that cannot take part never leads and writes nothing; nobody would learn of it from anything but its log.
#[derive(Clone, Debug)]
pub struct Standing {
    began: Mono,
    rounds: Arc<Mutex<Rounds>>,
}

/// What became of the rounds so far.
#[derive(Clone, Copy, Debug, Default)]
struct Rounds {
    /// The last one that ended with leading or following.
    good: Option<Mono>,
    /// What to do about the last one, if it failed.
    remedy: Option<&'static str>,
}

impl Standing {
    /// Of a candidate that begins now.
    pub fn begin(now: Mono) -> Self {
        Self {
            began: now,
            rounds: Arc::default(),
        }
    }

    /// A round ended with leading or following.
    pub fn succeeded(&self, now: Mono) {
        *self.rounds() = Rounds {
            good: Some(now),
            remedy: None,
        };
    }

    /// A round came to nothing; what to do about it.
    pub fn failed(&self, remedy: &'static str) {
        self.rounds().remedy = Some(remedy);
    }

    /// Seconds since the last good round; since the begin while there is none.
    pub fn age_seconds(&self, now: Mono) -> u64 {
        now.millis_since(self.rounds().good.unwrap_or(self.began)) / 1_000
    }

    /// Whether this replica takes part in the election; if it does not, why and what to do.
    pub fn verdict(&self, now: Mono) -> Result<(), String> {
        let Rounds { good, remedy } = *self.rounds();
        let since = match good {
            Some(at) if now.millis_since(at) < SILENCE_MILLIS_MAX => return Ok(()),
            Some(at) => format!("for {} s", now.millis_since(at) / 1_000),
            None => "yet".to_owned(),
        };
        let remedy = remedy.unwrap_or("one is under way");
        Err(format!("no round of the election has succeeded {since}: {remedy}"))
    }

    /// Every value of it is whole, whoever panicked while holding it.
    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("the api server did not answer in time")]
    Deadline,
    #[error("the api server refused")]
    Call { source: kube::Error },
}

impl LeaseError {
    /// What to do about it.
    fn remedy(&self) -> &'static str {
        let Self::Call { source } = self else {
            return "the API server does not answer in time";
        };
        let kube::Error::Api(status) = source else {
            return "the API server cannot be reached; the log says why";
        };
        match status.code {
            403 => {
                "the operator's role does not allow `get`, `create` and `update` of leases.coordination.k8s.io in its own \
                 namespace; apply config/rbac, and check that --namespace is where the operator runs"
            }
            404 => "the operator's own namespace does not exist; check --namespace",
            401 => "the API server does not accept the operator's token; check its service account",
            _ => "the API server refuses the lease; the log says why",
        }
    }
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
                Ok(leads) => {
                    let until = began.plus_seconds(RENEW_DEADLINE_SECONDS);
                    self.lead.set_valid_until(if leads { until } else { Mono(0) });
                    self.standing.succeeded(self.clock.mono());
                }
                Err(error) => {
                    let remedy = error.remedy();
                    tracing::warn!(error = %Chain(&error), remedy, "lease not renewed");
                    self.standing.failed(remedy);
                }
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
        let lease = answered(self.leases.get_opt(&self.name)).await?;
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
            Step::Renew | Step::Take => answered(self.leases.replace(&self.name, &create, &self.desired(lease))).await,
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
                name: Some(self.name.clone()),
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
            let Some(lease) = answered(self.leases.get_opt(&self.name)).await? else {
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
            answered(self.leases.replace(&self.name, &update, &freed))
                .await
                .map(drop)
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
    use axum::Router;
    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::routing::{get, post};

    use super::*;
    use crate::http::{Readiness, readiness_of};
    use crate::telemetry::Telemetry;

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

    /// What the API server of a test says about leases: refuses them, or holds one.
    #[derive(Clone, Default)]
    struct Leases(Arc<Mutex<Held>>);

    #[derive(Default)]
    struct Held {
        refused: Option<(u16, &'static str)>,
        lease: Option<String>,
    }

    impl Leases {
        fn refuse(&self, with: Option<(u16, &'static str)>) {
            self.0.lock().unwrap().refused = with;
        }

        fn answer(&self, written: Option<String>) -> (StatusCode, String) {
            let mut held = self.0.lock().unwrap();
            let (code, reason) = match (held.refused, written) {
                (Some(refused), _) => refused,
                (None, Some(lease)) => {
                    held.lease = Some(lease.clone());
                    return (StatusCode::OK, lease);
                }
                (None, None) => match held.lease.clone() {
                    Some(lease) => return (StatusCode::OK, lease),
                    None => (404, "NotFound"),
                },
            };
            let status = format!(
                r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"{reason}","code":{code}}}"#
            );
            (StatusCode::from_u16(code).unwrap(), status)
        }
    }

    /// An API server that answers for leases while the tasks live, and a client of it.
    async fn api_server(leases: &Leases) -> (kube::Client, tokio::task::JoinSet<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let read = |State(leases): State<Leases>| async move { leases.answer(None) };
        let write = |State(leases): State<Leases>, body: String| async move { leases.answer(Some(body)) };
        let routes = Router::new()
            .route("/apis/coordination.k8s.io/v1/namespaces/here/leases", post(write))
            .route(
                "/apis/coordination.k8s.io/v1/namespaces/here/leases/{name}",
                get(read).put(write),
            )
            .with_state(leases.clone());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        (kube::Client::try_from(config).unwrap(), tasks)
    }

    /// What `/readyz` says when it says what is expected.
    async fn ready_when(telemetry: &Telemetry, readiness: &Readiness, expected: impl Fn(bool, &str) -> bool) -> String {
        let looks = async {
            loop {
                let (code, text) = readiness_of(telemetry, readiness);
                if expected(code == StatusCode::OK, &text) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let said = timeout(Duration::from_secs(30), looks).await;
        said.unwrap_or_else(|_| panic!("{:?}", readiness_of(telemetry, readiness)))
    }

    #[tokio::test]
    async fn failure_24_a_replica_that_may_not_take_part_in_the_election_is_not_ready() {
        let leases = Leases::default();
        leases.refuse(Some((403, "Forbidden")));
        let (client, _server) = api_server(&leases).await;
        let clock = Clock::start();
        let (telemetry, readiness) = (Telemetry::new(clock), Readiness::default());
        let standing = telemetry.candidate();
        let (events, _inbox) = mpsc::channel(16);
        let (lead, stop) = (Lead::none(clock), CancellationToken::new());
        let election = Election {
            leases: Api::namespaced(client, "here"),
            name: "profiling-operator".into(),
            identity: "me".into(),
            clock,
            lead: lead.clone(),
            events,
            standing,
        };
        let mut candidate = tokio::task::JoinSet::new();
        candidate.spawn(election.run(stop.clone()));
        readiness.synced();

        let said = ready_when(&telemetry, &readiness, |ready, text| !ready && text.contains("role")).await;
        assert!(said.contains("apply config/rbac"), "{said}");
        assert!(said.contains("--namespace"), "{said}");
        assert!(!lead.holds());

        leases.refuse(None);
        ready_when(&telemetry, &readiness, |ready, _| ready).await;
        assert!(lead.holds());
        stop.cancel();
        candidate.join_next().await.unwrap().unwrap();
    }

    #[test]
    fn failure_24_a_replica_that_fell_out_of_the_election_is_not_ready() {
        let standing = Standing::begin(Mono(1_000));
        assert!(standing.verdict(Mono(1_000)).is_err(), "no round yet");
        standing.succeeded(Mono(2_000));
        standing.failed("do this");
        assert_eq!(standing.verdict(Mono(16_999)), Ok(()), "as long as a follower waits");
        let said = standing.verdict(Mono(17_000)).unwrap_err();
        assert_eq!(said, "no round of the election has succeeded for 15 s: do this");
        assert_eq!(standing.age_seconds(Mono(17_000)), 15);
        standing.succeeded(Mono(18_000));
        assert_eq!(standing.verdict(Mono(18_000)), Ok(()));
    }

    #[test]
    fn a_leader_has_ceased_to_act_before_another_may_take_over() {
        assert!(i64::try_from(RENEW_DEADLINE_SECONDS).unwrap() < i64::from(DURATION_SECONDS));
        assert_eq!(
            i64::try_from(SILENCE_MILLIS_MAX).unwrap(),
            i64::from(DURATION_SECONDS) * 1_000
        );
    }
}
