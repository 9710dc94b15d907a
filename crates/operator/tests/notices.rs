//! Notices against an API server on the loopback that keeps the names of events.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use operator::clock::Clock;
use operator::lead::Lead;
use operator::notices::{NoticeWriter, Notices, notices};
use operator::telemetry::Telemetry;
use planner::{CaptureId, ConfigId, Notice, NoticeTarget, Reason, TargetId};
use tokio::task::JoinSet;

/// Names of the events that were written, as the API server has them: none twice.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<BTreeSet<String>>>);

impl Events {
    /// How many were written about a reason.
    fn about(&self, reason: Reason) -> usize {
        let names = self.0.lock().unwrap();
        let ending = format!(".{}", reason.as_kebab());
        names.iter().filter(|name| name.ends_with(&ending)).count()
    }
}

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

/// The two ends of the queues of a process that writes to this API server.
fn process(address: SocketAddr, lead: fn(Clock) -> Lead) -> (Notices, NoticeWriter, Telemetry) {
    let clock = Clock::start();
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    let client = kube::Client::try_from(config).unwrap();
    let telemetry = Telemetry::new(clock);
    let (notices, writer) = notices(client, clock, "replica".into(), lead(clock), telemetry.clone());
    (notices, writer, telemetry)
}

fn about_config(reason: Reason, once_of: Option<CaptureId>) -> Notice {
    Notice {
        about: NoticeTarget::Config {
            id: ConfigId(1),
            namespace: "shop".into(),
            name: "everything".into(),
        },
        reason,
        warning: false,
        message: "profiles are stored again".into(),
        once_of,
    }
}

/// A notice about one of many pods.
fn about_pod(number: usize, reason: Reason, warning: bool) -> Notice {
    Notice {
        about: NoticeTarget::Target {
            id: TargetId(number as u128),
            namespace: "shop".into(),
            name: format!("web-{number}").into(),
        },
        reason,
        warning,
        message: "captured heap".into(),
        once_of: None,
    }
}

/// A process that tells one notice and ends.
async fn tell(address: SocketAddr, lead: fn(Clock) -> Lead, once_of: Option<CaptureId>) {
    let (notices, writer, _) = process(address, lead);
    notices.tell(about_config(Reason::StorageReady, once_of));
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

/// A thousand pods on demand, all well: an event each, of which most are dropped. What is told once comes through.
#[tokio::test]
async fn captures_without_end_crowd_out_no_warning() {
    let events = Events::default();
    let (address, _server) = api_server(&events).await;
    let (notices, writer, telemetry) = process(address, Lead::alone);
    for number in 0..1_000 {
        notices.tell(about_pod(number, Reason::ProfileCaptured, false));
        notices.tell(about_pod(number, Reason::EmptyProfile, true));
    }
    notices.tell(about_pod(7, Reason::CaptureFailed, true));
    notices.tell(about_config(Reason::StorageDenied, None));
    drop(notices);
    writer.run().await;
    assert_eq!(events.about(Reason::CaptureFailed), 1);
    assert_eq!(events.about(Reason::StorageDenied), 1);
    let routine = events.about(Reason::ProfileCaptured) + events.about(Reason::EmptyProfile);
    assert!((1..=60).contains(&routine), "{routine} of 2,000");
    assert!(
        telemetry
            .render()
            .contains("profiling_queue_refused_total{queue=\"events\"}"),
        "what was dropped is counted"
    );
}

/// Transitions are told once: one beyond what may be sent at once is sent later.
#[tokio::test]
async fn a_warning_waits_for_its_turn() {
    let events = Events::default();
    let (address, _server) = api_server(&events).await;
    let (notices, writer, _) = process(address, Lead::alone);
    let mut tasks = JoinSet::new();
    tasks.spawn(writer.run());
    for number in 0..26 {
        notices.tell(about_pod(number, Reason::CaptureFailed, true));
    }
    let all = async {
        while events.about(Reason::CaptureFailed) < 26 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
}

#[tokio::test]
async fn an_event_that_is_not_taken_is_counted() {
    let refusal = || async {
        let answer = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}"#;
        (StatusCode::FORBIDDEN, answer)
    };
    let routes = Router::new().fallback(refusal);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let count = |telemetry: &Telemetry, reason: &str| {
        let series = format!("profiling_errors_total{{stage=\"event\",reason=\"{reason}\"}} ");
        let page = telemetry.render();
        page.lines()
            .find_map(|line| line.strip_prefix(&series).map(str::to_owned))
    };

    let (notices, writer, telemetry) = process(address, Lead::alone);
    assert_eq!(count(&telemetry, "timed-out").as_deref(), Some("0"), "from the start");
    notices.tell(about_config(Reason::StorageReady, None));
    drop(notices);
    writer.run().await;
    assert_eq!(count(&telemetry, "forbidden").as_deref(), Some("1"));

    server.shutdown().await;
    let (notices, writer, telemetry) = process(address, Lead::alone);
    notices.tell(about_config(Reason::StorageReady, None));
    drop(notices);
    writer.run().await;
    assert_eq!(count(&telemetry, "connection-refused").as_deref(), Some("1"));
}
