//! Notices against an API server on the loopback that keeps the names of events.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use operator::clock::Clock;
use operator::lead::Lead;
use operator::notices::notices;
use operator::telemetry::Telemetry;
use planner::{CaptureId, ConfigId, Notice, NoticeTarget, Reason};
use tokio::task::JoinSet;

/// Names of the events that were written, as the API server has them: none twice.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<BTreeSet<String>>>);

/// An API server that takes events of the namespace `shop` while the tasks live.
async fn api_server(events: &Events) -> (SocketAddr, JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new()
        .route("/apis/events.k8s.io/v1/namespaces/shop/events", post(create))
        .with_state(events.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    (address, tasks)
}

async fn create(State(events): State<Events>, body: String) -> impl IntoResponse {
    let event: serde_json::Value = serde_json::from_str(&body).unwrap();
    let name = event["metadata"]["name"].as_str().unwrap().to_owned();
    if events.0.lock().unwrap().insert(name) {
        (StatusCode::CREATED, body)
    } else {
        let exists = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"AlreadyExists","code":409}"#;
        (StatusCode::CONFLICT, exists.to_owned())
    }
}

/// A process that tells one notice and ends.
async fn tell(address: SocketAddr, lead: fn(Clock) -> Lead, once_of: Option<CaptureId>) {
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
        once_of,
    });
    drop(notices);
    writer.run().await;
}

#[tokio::test]
async fn a_replica_that_leads_writes_events() {
    let events = Events::default();
    let (address, _server) = api_server(&events).await;
    tell(address, Lead::alone, None).await;
    assert_eq!(events.0.lock().unwrap().len(), 1);
}

/// Seen on a real cluster: a leader that was stopped past its lease and went on wrote an event before it knew.
#[tokio::test]
async fn a_replica_whose_lead_is_over_writes_none() {
    let events = Events::default();
    let (address, _server) = api_server(&events).await;
    tell(address, Lead::none, None).await;
    assert!(events.0.lock().unwrap().is_empty());
}

/// Seen on a real cluster: every restart within ten minutes told again of a capture that a kill had interrupted.
#[tokio::test]
async fn what_is_told_once_for_all_is_one_event_whatever_process_tells_it() {
    let events = Events::default();
    let (address, _server) = api_server(&events).await;
    for capture in [7, 7, 8] {
        tell(address, Lead::alone, Some(CaptureId(capture))).await;
    }
    let names = events.0.lock().unwrap();
    assert_eq!(names.len(), 2, "{names:?}");
}
