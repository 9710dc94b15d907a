//! Notices against an API server on the loopback that counts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use operator::clock::Clock;
use operator::lead::Lead;
use operator::notices::notices;
use operator::telemetry::Telemetry;
use planner::{ConfigId, Notice, NoticeTarget, Reason};
use tokio::task::JoinSet;

/// How many events a replica writes of one notice.
async fn events_of_one_notice(lead: fn(Clock) -> Lead) -> usize {
    let written = Arc::new(AtomicUsize::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new()
        .route("/apis/events.k8s.io/v1/namespaces/shop/events", post(count))
        .with_state(Arc::clone(&written));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, routes).await.unwrap() });

    let clock = Clock::start();
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    let client = kube::Client::try_from(config).unwrap();
    let (notices, writer) = notices(client, clock, "replica".into(), lead(clock), Telemetry::new(clock));
    notices.tell(Notice {
        about: NoticeTarget::Config {
            id: ConfigId(1),
            namespace: "shop".into(),
            name: "everything".into(),
        },
        reason: Reason::StorageReady,
        warning: false,
        message: "profiles are stored again".into(),
    });
    drop(notices);
    writer.run().await;
    written.load(Ordering::Relaxed)
}

async fn count(State(written): State<Arc<AtomicUsize>>, body: String) -> impl IntoResponse {
    written.fetch_add(1, Ordering::Relaxed);
    (StatusCode::CREATED, body)
}

#[tokio::test]
async fn a_replica_that_leads_writes_events() {
    assert_eq!(events_of_one_notice(Lead::alone).await, 1);
}

/// Seen on a real cluster: a leader that was stopped past its lease and went on wrote an event before it knew.
#[tokio::test]
async fn a_replica_whose_lead_is_over_writes_none() {
    assert_eq!(events_of_one_notice(Lead::none).await, 0);
}
