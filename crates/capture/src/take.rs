//! Taking the set of a job.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, join, select};
use http::{Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use planner::{CaptureId, CaptureJob, ProfileType, Reason, Transport};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::access::{Access, Identity};
use crate::artifact::Artifact;
use crate::body::{Bounds, Expected, read_text, receive};
use crate::drivers::go::{self, Question};
use crate::exchange::Exchange;
use crate::failure::{Failure, quote};
use crate::settings::Settings;

/// Times a program whose profiler is busy is asked. The other profiler may run for 30 s and more, so that
/// asking longer would hold up the set for little; three questions over seconds catch short ones.
const BUSY_TRIES: u32 = 3;

/// Connections in a row that may fail, with the lookup before them, until the rest of the set is given up:
/// what does not answer twice will not for the other seven types, and each tunnel costs the API server an
/// upgrade.
const FAILED_CONNECTS_MAX: u32 = 2;

/// How long after a question on a kept connection the news may come that it was closed before: a round trip
/// through API server and kubelet, generously.
const CLOSED_IDLE_WITHIN: Duration = Duration::from_secs(1);

/// Takes the types of the job in its order. The result of every type is sent as soon as it is there, each
/// type exactly once; nothing waits for the set, because the target may be dead in ten seconds.
///
/// Returns when all are sent. When `cancel` gives a reason first, the capture in progress is dropped with
/// its tunnel and its file, and the types that have no result yet get that reason. A receiver that was
/// dropped ends the set, too.
pub async fn take_set(
    job: &CaptureJob,
    access: &dyn Access,
    settings: &Settings,
    results: mpsc::Sender<(ProfileType, Result<Artifact, Failure>)>,
    cancel: impl Future<Output = Reason>,
) {
    let mut waiting: VecDeque<ProfileType> = job.types.iter().copied().collect();
    let canceled = {
        let set = pin!(Set::new(job, access, settings).take(&mut waiting, &results));
        match select(pin!(cancel), set).await {
            Either::Left((reason, _)) => Some(reason),
            Either::Right(((), _)) => None,
        }
    };
    let Some(reason) = canceled else { return };
    for profile_type in waiting {
        let failure = Failure::new(reason, format!("the capture was ended: {}", reason.meaning().trim()));
        if results.send((profile_type, Err(failure))).await.is_err() {
            return;
        }
    }
}

/// A connection that may serve several types.
struct Line {
    exchange: Exchange,
    /// Whether the target was found to be the right one after the connection was there.
    confirmed: bool,
}

/// A set in progress.
struct Set<'a> {
    job: &'a CaptureJob,
    access: &'a dyn Access,
    settings: &'a Settings,
    started: Instant,
    line: Option<Line>,
    /// Restarts of the target when the first connection was opened.
    restarts: Option<u32>,
    failed_connects: u32,
    /// Why nothing more can come of this target.
    over: Option<Failure>,
}

impl<'a> Set<'a> {
    fn new(job: &'a CaptureJob, access: &'a dyn Access, settings: &'a Settings) -> Self {
        let started = Instant::now();
        Self {
            job,
            access,
            settings,
            started,
            line: None,
            restarts: None,
            failed_connects: 0,
            over: None,
        }
    }

    async fn take(
        mut self,
        waiting: &mut VecDeque<ProfileType>,
        results: &mpsc::Sender<(ProfileType, Result<Artifact, Failure>)>,
    ) {
        while let Some(profile_type) = waiting.front().copied() {
            let result = match &self.over {
                Some(failure) => Err(failure.clone()),
                None => self.take_type(profile_type).await,
            };
            if let Err(failure) = &result {
                self.note(failure);
            }
            // Place first: between the sending and the removal nothing may be awaited, or a cancel there
            // would give the type two results.
            let Ok(place) = results.reserve().await else { return };
            place.send((profile_type, result));
            waiting.pop_front();
        }
    }

    /// What a failure means for the types that come after.
    fn note(&mut self, failure: &Failure) {
        if ends_set(failure.reason) || self.failed_connects >= FAILED_CONNECTS_MAX {
            self.over = Some(failure.clone());
        }
    }

    async fn take_type(&mut self, profile_type: ProfileType) -> Result<Artifact, Failure> {
        let mut tries = 1;
        loop {
            match self.try_type(profile_type).await {
                Err(failure) if failure.reason == Reason::ProfilerBusy && tries < BUSY_TRIES => {
                    sleep(busy_wait(self.settings.busy_wait, self.job.id, tries)).await;
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    async fn try_type(&mut self, profile_type: ProfileType) -> Result<Artifact, Failure> {
        let question = go::question(profile_type, self.job.cpu_seconds);
        let (mut line, bounds, response) = self.ask(profile_type, &question).await?;
        if response.status() != StatusCode::OK {
            let (failure, is_whole) = refused(&mut line.exchange, response, &question, &bounds).await;
            self.keep(line, is_whole).await;
            return Err(failure);
        }
        let expected = Expected {
            profile_type,
            sample_types: question.sample_types,
        };
        let received = if profile_type.takes_time() {
            let received = receive(&mut line.exchange, response, &expected, &bounds).await;
            line.confirmed = self.confirm().await?;
            received?
        } else if line.confirmed {
            receive(&mut line.exchange, response, &expected, &bounds).await?
        } else {
            let receiving = receive(&mut line.exchange, response, &expected, &bounds);
            // Both at once: the API server's answer must not hold up what may be the last words of a program.
            let (received, confirmed) = join(receiving, confirm(self.access, self.job, self.settings)).await;
            line.confirmed = self.confirmed(confirmed)?;
            received?
        };
        let took = bounds.asked_at.elapsed();
        let started_after = bounds.asked_at.duration_since(self.started);
        self.keep(line, true).await;
        let crate::body::Received {
            file,
            bytes,
            sha256,
            summary,
        } = received;
        Ok(Artifact {
            profile_type,
            file,
            bytes,
            sha256,
            summary,
            started_after,
            took,
        })
    }

    /// Asks on the line that there is, else on a new one.
    async fn ask(
        &mut self,
        profile_type: ProfileType,
        question: &Question,
    ) -> Result<(Line, Bounds<'a>, Response<Incoming>), Failure> {
        if let Some(mut line) = self.line.take() {
            let bounds = self.bounds(profile_type);
            match ask_on(&mut line.exchange, self.job, question, &bounds).await {
                // The server may have closed the idle connection just as the question left. Later than that
                // the question has reached it, and asking again would profile the program twice.
                Err(failure)
                    if failure.reason == Reason::TunnelBroken && bounds.asked_at.elapsed() < CLOSED_IDLE_WITHIN => {}
                Err(failure) => return Err(failure),
                Ok(response) => return Ok((line, bounds, response)),
            }
        }
        let mut line = self.connect().await?;
        let bounds = self.bounds(profile_type);
        let response = ask_on(&mut line.exchange, self.job, question, &bounds).await?;
        Ok((line, bounds, response))
    }

    /// Keeps the line for the next type, if the server does.
    async fn keep(&mut self, mut line: Line, is_at_end: bool) {
        if is_at_end && line.exchange.is_reusable().await {
            self.line = Some(line);
        }
    }

    fn bounds(&self, profile_type: ProfileType) -> Bounds<'a> {
        let settings = self.settings;
        let window = if profile_type.takes_time() {
            Duration::from_secs(u64::from(self.job.cpu_seconds))
        } else {
            Duration::ZERO
        };
        let deadline = if profile_type.takes_time() {
            window + settings.window_slack
        } else {
            settings.instant_deadline
        };
        Bounds {
            settings,
            bytes_max: self.job.body_bytes_max,
            asked_at: Instant::now(),
            window,
            deadline,
        }
    }
}

/// Whether a failure says of the target, or of the operator, what holds for the other types as well. A spool without room
/// does not: a smaller profile may fit.
fn ends_set(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::PodReplaced
            | Reason::Terminating
            | Reason::HostNetworkRefused
            | Reason::PortRefused
            | Reason::InvalidSpec
            | Reason::Forbidden
    )
}

// Who the target is.
//
// The API knows a pod by its name, and so does the port-forward: the UID is what tells a pod from the one
// that had its name before. It is looked up just before a connection is opened and once more after the
// target has begun to answer on it. A UID never returns, so that if it was the job's both times, the
// connection is to the job's pod; and bytes that came whole on one connection are of one process.
//
// - Another UID before: nothing is asked. Another UID after: the connection may be to either, so what came
//   on it is dropped.
// - Nobody has the name any more: the pod was deleted after the connection was there. What came whole and
//   passed the check is its last word, and is kept.
// - The container restarted since: the same. The heap of a program that is killed for its memory a moment
//   later is what the whole thing is for.
// - The container had restarted when a further connection of the set is to be opened: a set is of one
//   process, so the rest is not taken.
// - The API server does not answer: what came is kept. The lookup before had matched, and a replacement
//   takes longer than the moment from there to the connection.
//
// A type that takes time is looked at after its last byte, however the connection was opened: in its
// window a target can be replaced behind something on the way that reconnects.
impl Set<'_> {
    async fn connect(&mut self) -> Result<Line, Failure> {
        let connected = self.try_to_connect().await;
        self.failed_connects = if connected.is_ok() { 0 } else { self.failed_connects + 1 };
        connected
    }

    async fn try_to_connect(&mut self) -> Result<Line, Failure> {
        // Before the lookup, which is to be just before the connection.
        self.settings.tunnels.turn().await;
        let identity = identify(self.access, self.job, self.settings).await?;
        self.look_at(identity)?;
        let dialled = timeout(self.settings.dial_deadline, self.access.dial(self.job)).await;
        let tunnel = dialled.unwrap_or_else(|_| Err(no_tunnel_in_time(self.job, self.settings.dial_deadline)))?;
        Ok(Line {
            exchange: Exchange::open(tunnel).await?,
            confirmed: false,
        })
    }

    fn look_at(&mut self, identity: Identity) -> Result<(), Failure> {
        let CaptureJob { namespace, pod, .. } = self.job;
        if identity.target != self.job.target {
            return Err(replaced(self.job));
        }
        if identity.terminating {
            return Err(Failure::new(
                Reason::Terminating,
                format!("{namespace}/{pod} is being deleted"),
            ));
        }
        if *self.restarts.get_or_insert(identity.restarts) != identity.restarts {
            let text = format!("a container of {namespace}/{pod} restarted during the capture");
            return Err(Failure::new(Reason::PodReplaced, text));
        }
        Ok(())
    }

    async fn confirm(&mut self) -> Result<bool, Failure> {
        let confirmed = confirm(self.access, self.job, self.settings).await;
        self.confirmed(confirmed)
    }

    /// Whether it is certain that the target is the right one; an error when it is not the right one.
    fn confirmed(&mut self, answer: Result<Identity, Failure>) -> Result<bool, Failure> {
        match answer {
            Ok(identity) if identity.target != self.job.target => Err(replaced(self.job)),
            Ok(_) => Ok(true),
            Err(failure) if failure.reason == Reason::PodReplaced => {
                self.over = Some(failure);
                Ok(false)
            }
            Err(failure) => {
                tracing::warn!(
                    capture = %self.job.id,
                    namespace = %self.job.namespace,
                    pod = %self.job.pod,
                    reason = failure.reason.as_camel(),
                    message = %failure.message,
                    "identity of a target not confirmed after connecting"
                );
                Ok(false)
            }
        }
    }
}

async fn confirm(access: &dyn Access, job: &CaptureJob, settings: &Settings) -> Result<Identity, Failure> {
    identify(access, job, settings).await
}

async fn identify(access: &dyn Access, job: &CaptureJob, settings: &Settings) -> Result<Identity, Failure> {
    let deadline = settings.identify_deadline;
    timeout(deadline, access.identify(job)).await.unwrap_or_else(|_| {
        let text = format!(
            "who is {}/{} could not be found out in {deadline:?}",
            job.namespace, job.pod
        );
        Err(Failure::new(Reason::TimedOut, text))
    })
}

fn replaced(job: &CaptureJob) -> Failure {
    let text = format!("another pod has the name {}/{} now", job.namespace, job.pod);
    Failure::new(Reason::PodReplaced, text)
}

fn no_tunnel_in_time(job: &CaptureJob, deadline: Duration) -> Failure {
    let CaptureJob {
        namespace, pod, port, ..
    } = job;
    match job.transport {
        Transport::PortForward => {
            let text = format!("no tunnel to {namespace}/{pod} port {port} in {deadline:?}: is its node reachable?");
            Failure::new(Reason::ForwardRefused, text)
        }
        Transport::PodIp => {
            let text = format!(
                "no connection to {namespace}/{pod} port {port} in {deadline:?}: allow it in the NetworkPolicy, or use \
                 transport PortForward"
            );
            Failure::new(Reason::TimedOut, text)
        }
    }
}

async fn ask_on(
    exchange: &mut Exchange,
    job: &CaptureJob,
    question: &Question,
    bounds: &Bounds<'_>,
) -> Result<Response<Incoming>, Failure> {
    let request = Request::get(question.target.as_str())
        .header(header::HOST, host(job))
        .header(header::ACCEPT_ENCODING, "identity")
        .header(
            header::USER_AGENT,
            concat!("profiling-operator/", env!("CARGO_PKG_VERSION")),
        )
        .body(Empty::<Bytes>::new())
        .map_err(|error| Failure::new(Reason::ProtocolError, format!("no request can be made: {error}")))?;
    let deadline = bounds.settings.head_deadline + bounds.window;
    timeout(deadline, exchange.ask(request)).await.unwrap_or_else(|_| {
        let text = format!("{} did not answer {} in {deadline:?}", job.pod, question.target);
        Err(Failure::new(Reason::TimedOut, text))
    })
}

/// Through a tunnel the target is its own localhost.
fn host(job: &CaptureJob) -> String {
    match (job.transport, job.address) {
        (Transport::PodIp, Some(address)) => std::net::SocketAddr::new(address, job.port).to_string(),
        _ => format!("localhost:{}", job.port),
    }
}

/// What a status other than 200 means, and whether the connection is at the end of the answer.
async fn refused(
    exchange: &mut Exchange,
    response: Response<Incoming>,
    question: &Question,
    bounds: &Bounds<'_>,
) -> (Failure, bool) {
    let status = response.status();
    let path = &question.target;
    let location = response.headers().get(header::LOCATION).map(|to| quote(to.as_bytes()));
    let (said, is_whole) = read_text(exchange, response, bounds).await;
    let failure = if status.is_redirection() {
        let to = location.unwrap_or_else(|| "nowhere".to_owned());
        let text =
            format!("{path} is redirected to {to}, which is never followed: serve the profiles at this port itself");
        Failure::new(Reason::Redirected, text)
    } else if status == StatusCode::NOT_FOUND {
        Failure::new(
            Reason::ProfileNotFound,
            format!("there is no {path} at this port: {}", question.remedy),
        )
    } else if status == StatusCode::INTERNAL_SERVER_ERROR && go::is_busy(&said) {
        let text = format!("another profiler of the program is running ({})", quote(&said));
        Failure::new(Reason::ProfilerBusy, text)
    } else {
        Failure::new(
            Reason::UnexpectedStatus,
            format!("{path} was answered with status {status} ({})", quote(&said)),
        )
    };
    (failure, is_whole)
}

/// How long to wait before the next question: in `[1, 2)` units the first time, `[2, 4)` the second. Spread
/// by the capture, so that captures that met once at a program do not meet again, and the same for the
/// same capture.
fn busy_wait(unit: Duration, capture: CaptureId, tries: u32) -> Duration {
    let mixed = (capture.0 ^ u64::from(tries)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let thousandths = u32::try_from((mixed >> 32) % 1_000).unwrap_or(0);
    unit * (1 << (tries - 1).min(1)) * (1_000 + thousandths) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_10_waits_for_a_busy_profiler_are_spread_and_bounded() {
        let unit = Duration::from_secs(1);
        let mut different = std::collections::BTreeSet::new();
        for capture in 0..1_000 {
            let first = busy_wait(unit, CaptureId(capture), 1);
            let second = busy_wait(unit, CaptureId(capture), 2);
            assert!(first >= unit && first < unit * 2, "{first:?}");
            assert!(second >= unit * 2 && second < unit * 4, "{second:?}");
            assert_eq!(first, busy_wait(unit, CaptureId(capture), 1));
            different.insert(first);
        }
        assert!(different.len() > 500);
    }
}
