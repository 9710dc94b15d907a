//! The status writer against an API server on the loopback that holds one config.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, patch};
use operator::actor::Snapshot;
use operator::clock::Clock;
use operator::kinds::Adjustments;
use operator::lead::Lead;
use operator::status::StatusWriter;
use planner::{ConfigFacts, Event, Now, Reason, Refusal, Settings, Totals, World};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the API server holds, and how often its status was written.
#[derive(Clone)]
struct Server(Arc<Mutex<(Value, usize)>>);

impl Server {
    fn writes(&self) -> usize {
        self.0.lock().unwrap().1
    }

    async fn start(&self) -> (SocketAddr, JoinSet<()>) {
        let read = |State(server): State<Self>| async move { server.0.lock().unwrap().0.to_string() };
        let write = |State(server): State<Self>, body: String| async move {
            let written: Value = serde_json::from_str(&body).unwrap();
            let mut held = server.0.lock().unwrap();
            held.0["status"] = written["status"].clone();
            held.1 += 1;
            held.0.to_string()
        };
        let config = "/apis/profiling.io/v1alpha1/namespaces/shop/profilingconfigs/odd";
        let routes = Router::new()
            .route(config, get(read))
            .route(&format!("{config}/status"), patch(write))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (address, tasks)
    }
}

/// What a planner says of a config that did not decode.
fn snapshot(now: Now) -> Snapshot {
    let facts = ConfigFacts {
        id: planner::ConfigId(1),
        namespace: "shop".into(),
        name: "odd".into(),
        generation: 1,
        totals: Totals::default(),
        policy: Err(Refusal {
            reason: Reason::InvalidSpec,
            message: "spec.selector is a number".into(),
        }),
    };
    let mut world = World::new(Settings::default());
    drop(world.step(now, Event::ConfigApplied(Box::new(facts))));
    let status = world.status(now, planner::ConfigId(1)).unwrap();
    Arc::new(BTreeMap::from([(status.id, status)]))
}

/// The answer to a patch is the whole object, spec included.
#[tokio::test]
async fn the_status_of_a_config_that_does_not_decode_is_written_once() {
    let odd = json!({
        "apiVersion": "profiling.io/v1alpha1",
        "kind": "ProfilingConfig",
        "metadata": { "name": "odd", "namespace": "shop" },
        "spec": { "selector": 7, "s3Config": "none" },
    });
    let server = Server(Arc::new(Mutex::new((odd, 0))));
    let (address, _task) = server.start().await;
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    let client = kube::Client::try_from(config).unwrap();
    // Two processes, one after the other: the second reads what the first wrote.
    for process in ["first", "second"] {
        let clock = Clock::start();
        let (snapshots, receiver) = watch::channel(Snapshot::default());
        snapshots.send(snapshot(clock.now())).unwrap();
        let writer = StatusWriter {
            client: client.clone(),
            snapshots: receiver,
            lead: Lead::alone(clock),
            clock,
            adjustments: Adjustments::default(),
        };
        let mut task = JoinSet::new();
        task.spawn(writer.run());
        let written = async {
            while server.writes() == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), written).await.unwrap();
        // At the end, it writes once more whatever differs.
        drop(snapshots);
        task.join_next().await.unwrap().unwrap();
        assert_eq!(server.writes(), 1, "{process}");
    }
    let status = server.0.lock().unwrap().0["status"].clone();
    assert!(status.to_string().contains("spec.selector is a number"), "{status}");
}
