//! Watches against an API server on the loopback that plays a script.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on says where"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt;
use operator::clock::Clock;
use operator::kinds::Pods;
use operator::telemetry::Telemetry;
use operator::watch::Watch;
use planner::{Event, Relisted};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

/// Longer than every wait of a watch in these stories.
const DEADLINE: Duration = Duration::from_secs(20);

/// One answer of the server.
enum Answer {
    /// A page of a list.
    List(Value),
    /// A stream of lines that then stays open, as a watch does.
    Stream(Vec<Value>),
    /// An error, with the code of its status.
    Error(u16),
}

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

/// A watch of pods against the script, and what it tells.
struct Story {
    events: mpsc::Receiver<Event>,
    telemetry: Telemetry,
    script: Script,
    _tasks: JoinSet<()>,
}

impl Story {
    async fn begin(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Script {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            ..Script::default()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new()
            .route("/api/v1/pods", get(answer))
            .with_state(script.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, routes).await.unwrap() });

        let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
        config.default_retry = false;
        let telemetry = Telemetry::new(Clock::start());
        let (sender, events) = mpsc::channel(64);
        let watch = Watch {
            client: kube::Client::try_from(config).unwrap(),
            path: "/api/v1/pods".into(),
            fields: "",
            kind: Pods,
            events: sender,
            telemetry: telemetry.clone(),
            synced: Arc::new(Notify::new()),
        };
        tasks.spawn(watch.run());
        Self {
            events,
            telemetry,
            script,
            _tasks: tasks,
        }
    }

    /// The next event, in words.
    async fn next(&mut self) -> String {
        let event = tokio::time::timeout(DEADLINE, self.events.recv())
            .await
            .expect("an event comes")
            .expect("the watch lives");
        match event {
            Event::RelistStarted(Relisted::Targets) => "list".into(),
            Event::RelistFinished(Relisted::Targets) => "listed".into(),
            Event::TargetApplied(facts) => format!("+{}", facts.name),
            Event::TargetRemoved(_) => "-".into(),
            other => panic!("not an event of a watch of pods: {other:?}"),
        }
    }

    async fn tells(&mut self, expected: &[&str]) {
        for one in expected {
            assert_eq!(self.next().await, *one);
        }
    }

    fn asked(&self) -> Vec<String> {
        self.script.asked.lock().unwrap().clone()
    }
}

async fn answer(State(script): State<Script>, RawQuery(query): RawQuery) -> Response {
    script.asked.lock().unwrap().push(query.unwrap_or_default());
    let next = script.answers.lock().unwrap().pop_front();
    match next {
        Some(Answer::List(page)) => page.to_string().into_response(),
        Some(Answer::Stream(lines)) => {
            let lines = lines
                .into_iter()
                .map(|line| Ok::<_, std::io::Error>(Bytes::from(format!("{line}\n"))));
            Body::from_stream(futures::stream::iter(lines).chain(futures::stream::pending())).into_response()
        }
        Some(Answer::Error(code)) => {
            let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "scripted", "reason": if code == 410 { "Expired" } else { "InternalError" }, "code": code });
            (StatusCode::from_u16(code).unwrap(), status.to_string()).into_response()
        }
        // The script is over: a watch that stays open and says nothing.
        None => Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()).into_response(),
    }
}

fn pod(name: &str, version: &str) -> Value {
    json!({ "metadata": { "name": name, "namespace": "shop", "uid": format!("00000000-0000-0000-0000-{:0>12}", name.len()), "resourceVersion": version } })
}

fn list(items: &[Value], version: &str, next: Option<&str>) -> Answer {
    Answer::List(
        json!({ "kind": "PodList", "apiVersion": "v1", "metadata": { "resourceVersion": version, "continue": next }, "items": items }),
    )
}

fn line(kind: &str, object: Value) -> Value {
    json!({ "type": kind, "object": object })
}

fn gone() -> Value {
    line(
        "ERROR",
        json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "too old", "reason": "Expired", "code": 410 }),
    )
}

#[tokio::test]
async fn a_list_comes_page_by_page_and_is_followed_by_what_changed() {
    let mut story = Story::begin([
        list(&[pod("a", "1")], "7", Some("more=")),
        list(&[pod("bb", "2")], "7", None),
        Answer::Stream(vec![line("ADDED", pod("ccc", "8")), line("DELETED", pod("a", "9"))]),
    ])
    .await;
    story.tells(&["list", "+a", "+bb", "listed", "+ccc", "-"]).await;
    let asked = story.asked();
    assert!(asked[1].contains("continue=more%3D"), "{asked:?}");
    assert!(
        asked[2].contains("watch=1") && asked[2].contains("resourceVersion=7"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_version_too_old_in_the_stream_leads_to_a_new_list() {
    let mut story = Story::begin([
        list(&[], "7", None),
        Answer::Stream(vec![gone()]),
        list(&[pod("a", "20")], "21", None),
    ])
    .await;
    story.tells(&["list", "listed", "list", "+a", "listed"]).await;
}

#[tokio::test]
async fn failure_28_gone_at_the_start_of_a_watch_leads_to_a_new_list() {
    let mut story = Story::begin([
        list(&[], "7", None),
        Answer::Error(410),
        list(&[pod("a", "20")], "21", None),
    ])
    .await;
    story.tells(&["list", "listed", "list", "+a", "listed"]).await;
}

#[tokio::test]
async fn failure_28_an_object_that_does_not_decode_stops_nothing() {
    let broken = json!({ "metadata": { "name": 5 } });
    let mut story = Story::begin([
        list(&[broken.clone(), pod("a", "1")], "7", None),
        Answer::Stream(vec![line("ADDED", broken), line("ADDED", pod("bb", "8"))]),
    ])
    .await;
    story.tells(&["list", "+a", "listed", "+bb"]).await;
    let metrics = story.telemetry.render();
    assert!(
        metrics.contains("profiling_undecodable_objects_total{watch=\"pods\"} 2"),
        "{metrics}"
    );
}

#[tokio::test]
async fn an_outage_is_waited_out_and_the_watch_goes_on_where_it_stood() {
    let mut story = Story::begin([
        list(&[pod("a", "1")], "7", None),
        Answer::Error(503),
        Answer::Error(500),
        Answer::Stream(vec![line("MODIFIED", pod("a", "8"))]),
    ])
    .await;
    story.tells(&["list", "+a", "listed", "+a"]).await;
    let asked = story.asked();
    assert_eq!(asked.len(), 4, "one list, and a watch for each try: {asked:?}");
    assert!(asked[3].contains("resourceVersion=7"), "{asked:?}");
}

#[tokio::test]
async fn a_bookmark_moves_the_place_from_which_a_watch_goes_on() {
    let bookmark = line(
        "BOOKMARK",
        json!({ "kind": "Pod", "apiVersion": "v1", "metadata": { "resourceVersion": "40" } }),
    );
    let mut story = Story::begin([
        list(&[], "7", None),
        Answer::Stream(vec![bookmark, line("ERROR", json!({ "kind": "Status", "status": "Failure", "message": "restarting", "reason": "InternalError", "code": 500 }))]),
        Answer::Stream(vec![line("ADDED", pod("a", "41"))]),
    ])
    .await;
    story.tells(&["list", "listed", "+a"]).await;
    let asked = story.asked();
    assert!(asked[2].contains("resourceVersion=40"), "{asked:?}");
}
