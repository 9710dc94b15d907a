//! What the operator serves: metrics, health that tells the truth, and the answer to "why?".
//!
//! Metrics and health run on a thread and a runtime of their own, so that work elsewhere can neither
//! starve a probe nor hide behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::extract::{Query as QueryString, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use planner::{Basis, Why};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::actor::Query;
use crate::clock::rfc3339;
use crate::listen::listen;
use crate::telemetry::Telemetry;

/// The actor shows that it lives every 5 s; twelve missed signs mean that it is dead.
const ACTOR_SILENCE_MILLIS_MAX: u64 = 60_000;
/// A question waits this long for the actor.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// What readiness depends on.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    synced: Arc<AtomicBool>,
    ending: Arc<AtomicBool>,
}

impl Readiness {
    /// Everything was listed once.
    pub fn synced(&self) {
        self.synced.store(true, Ordering::Release);
    }

    /// The process is about to end.
    pub fn ending(&self) {
        self.ending.store(true, Ordering::Release);
    }
}

/// Starts the thread that serves metrics and health. The addresses are bound before this returns.
pub fn serve_probes(
    metrics: SocketAddr,
    health: SocketAddr,
    telemetry: Telemetry,
    readiness: Readiness,
) -> anyhow::Result<()> {
    let metrics = bind(metrics, "metrics")?;
    let health = bind(health, "health")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime of probes")?;
    let serve = move || {
        runtime.block_on(async move {
            let metrics = serve(metrics, metrics_routes(telemetry.clone()));
            let health = serve(health, health_routes(telemetry, readiness));
            tokio::join!(metrics, health)
        });
    };
    std::thread::Builder::new()
        .name("probes".into())
        .spawn(serve)
        .context("cannot start the thread of probes")?;
    Ok(())
}

/// Serves `/api/v1/why` until the process ends. For the loopback of the operator's pod only: it has no
/// authentication, and `kubectl port-forward` to it asks the API server for permission.
pub async fn serve_why(listen: SocketAddr, queries: mpsc::Sender<Query>) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen} for the api"))?;
    axum::serve(listener, why_routes(queries))
        .await
        .context("the api ended")
}

/// The same for a recorder of this machine: everything at one address, in the caller's runtime.
pub async fn serve_local(
    listen: SocketAddr,
    telemetry: Telemetry,
    readiness: Readiness,
    queries: mpsc::Sender<Query>,
) -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}; name another address with --listen"))?;
    let routes = metrics_routes(telemetry.clone())
        .merge(health_routes(telemetry, readiness))
        .merge(why_routes(queries));
    Ok(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(error = %error, "the server ended");
        }
    })
}

fn bind(address: SocketAddr, what: &str) -> anyhow::Result<std::net::TcpListener> {
    let listener = listen(address).with_context(|| format!("cannot listen on {address} for {what}"))?;
    listener
        .set_nonblocking(true)
        .with_context(|| format!("cannot use {address} for {what}"))?;
    Ok(listener)
}

async fn serve(listener: std::net::TcpListener, routes: Router) {
    let served = match TcpListener::from_std(listener) {
        Ok(listener) => axum::serve(listener, routes).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(error = %error, "a server of probes ended");
    }
}

fn why_routes(queries: mpsc::Sender<Query>) -> Router {
    Router::new().route("/api/v1/why", get(why)).with_state(queries)
}

fn metrics_routes(telemetry: Telemetry) -> Router {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let page = move || async move { ([(header::CONTENT_TYPE, content_type)], telemetry.render()) };
    Router::new().route("/metrics", get(page))
}

fn health_routes(telemetry: Telemetry, readiness: Readiness) -> Router {
    let probed = telemetry.clone();
    let live = move || {
        let (code, text) = liveness_of(probed.actor_silent_millis());
        async move { (code, text) }
    };
    let ready = move || {
        let (code, text) = readiness_of(&telemetry, &readiness);
        async move { (code, text) }
    };
    Router::new().route("/healthz", get(live)).route("/readyz", get(ready))
}

/// Never whether the API server answers: its outage must not become our restart.
fn liveness_of(silent_millis: u64) -> (StatusCode, String) {
    if silent_millis < ACTOR_SILENCE_MILLIS_MAX {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        let text = format!("the actor has been silent for {silent_millis} ms\n");
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

/// A replica that cannot take part in the election will never act, and is not ready, however well it watches.
pub(crate) fn readiness_of(telemetry: &Telemetry, readiness: &Readiness) -> (StatusCode, String) {
    let watches = telemetry.watch_ages_seconds();
    let watches = watches
        .iter()
        .map(|(name, age)| format!("watch {name}: progress {age} s ago"));
    let election = telemetry.election_age_seconds();
    let election = election.map(|age| format!("election: last good round, or start, {age} s ago"));
    let ages: Vec<String> = watches.chain(election).collect();
    let verdict = if readiness.ending.load(Ordering::Acquire) {
        Err("the operator is ending".to_owned())
    } else if !readiness.synced.load(Ordering::Acquire) {
        Err("the first full lists are not complete".to_owned())
    } else if telemetry.actor_silent_millis() >= ACTOR_SILENCE_MILLIS_MAX {
        Err("the actor is silent".to_owned())
    } else {
        telemetry.election_verdict()
    };
    match verdict {
        Ok(()) => (StatusCode::OK, format!("ok\n{}\n", ages.join("\n"))),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n{}\n", ages.join("\n"))),
    }
}

#[derive(Deserialize)]
struct WhyParameters {
    namespace: String,
    pod: String,
}

#[derive(Serialize)]
struct WhyAnswer {
    namespace: String,
    pod: String,
    answers: Vec<WhyLine>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WhyLine {
    config: Option<String>,
    mode: String,
    reason: &'static str,
    message: String,
    /// Of the last sample, whatever it was worth; none where there was none.
    cpu: Option<WhyUsage>,
    memory: Option<WhyUsage>,
    sampled_at: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct WhyUsage {
    /// To a tenth, as thousandths are.
    percent: f64,
    of: &'static str,
}

impl WhyUsage {
    fn of((permille, basis): (u32, Basis)) -> Self {
        Self {
            percent: f64::from(permille) / 10.0,
            of: basis.as_str(),
        }
    }
}

impl WhyLine {
    fn of(one: Why) -> Self {
        Self {
            config: one.config.map(|config| format!("{}/{}", config.namespace, config.name)),
            mode: format!("{:?}", one.mode),
            reason: one.reason.as_camel(),
            message: one.message.into(),
            cpu: one.cpu.map(WhyUsage::of),
            memory: one.memory.map(WhyUsage::of),
            sampled_at: one.sampled_at.map(rfc3339),
        }
    }
}

async fn why(
    State(queries): State<mpsc::Sender<Query>>,
    QueryString(asked): QueryString<WhyParameters>,
) -> impl IntoResponse {
    let (answer, answered) = oneshot::channel();
    let query = Query::Why {
        namespace: asked.namespace.clone(),
        name: asked.pod.clone(),
        answer,
    };
    let asking = async {
        if queries.send(query).await.is_ok() {
            answered.await.ok()
        } else {
            None
        }
    };
    match timeout(ANSWER_DEADLINE, asking).await {
        Ok(Some(lines)) => {
            let answers = lines.into_iter().map(WhyLine::of).collect();
            Json(WhyAnswer {
                namespace: asked.namespace,
                pod: asked.pod,
                answers,
            })
            .into_response()
        }
        Ok(None) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the operator does not answer\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn failure_25_health_says_what_is_true() {
        let (telemetry, readiness) = (Telemetry::new(Clock::start()), Readiness::default());
        let is_ready = || readiness_of(&telemetry, &readiness).0 == StatusCode::OK;
        assert!(!is_ready(), "nothing is listed yet");
        readiness.synced();
        assert!(is_ready());
        readiness.ending();
        assert!(!is_ready(), "told to end");

        let (telemetry, readiness) = (Telemetry::new(Clock::start()), Readiness::default());
        readiness.synced();
        telemetry.candidate().failed("the remedy");
        let (code, text) = readiness_of(&telemetry, &readiness);
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        assert!(text.contains("the remedy"), "{text}");
        assert_eq!(
            liveness_of(telemetry.actor_silent_millis()).0,
            StatusCode::OK,
            "and alive"
        );

        assert_eq!(liveness_of(ACTOR_SILENCE_MILLIS_MAX - 1).0, StatusCode::OK);
        assert_eq!(liveness_of(ACTOR_SILENCE_MILLIS_MAX).0, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn why_tells_the_usage_that_was_judged() {
        let line = WhyLine::of(Why {
            config: None,
            mode: planner::Mode::Threshold,
            reason: planner::Reason::BelowThreshold,
            message: "Usage is below every threshold".into(),
            cpu: Some((793, Basis::Limit)),
            memory: None,
            sampled_at: Some(planner::Wall(1_795_449_601_000)),
        });
        let said = serde_json::to_value(&line).unwrap();
        assert_eq!(said["cpu"], serde_json::json!({ "percent": 79.3, "of": "limit" }));
        assert!(said["memory"].is_null());
        assert_eq!(said["sampledAt"], "2026-11-23T16:00:01Z");
    }

    #[test]
    fn failure_25_the_documented_metrics_are_served_from_the_start() {
        let page = Telemetry::new(Clock::start()).render();
        for name in [
            "profiling_captures",
            "profiling_uploads",
            "profiling_errors",
            "profiling_threshold_violations",
        ] {
            assert!(page.contains(&format!("# TYPE {name} counter")), "{name} in\n{page}");
        }
        assert!(page.contains("profiling_election_age_seconds 0"), "{page}");
    }
}
