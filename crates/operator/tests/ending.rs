//! The actor's end, with a clock that the test moves.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use operator::actor::{Actor, Effects, Snapshot};
use operator::clock::Clock;
use operator::lead::Lead;
use operator::telemetry::Telemetry;
use planner::{CaptureJob, Event, Notice, Reason, RestoreRequest, SampleRequest, Settings, World};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// What captures were told, and when.
type Told = Arc<Mutex<Vec<(Instant, Reason)>>>;

/// A world in which captures are told to end and then hang, as with a store that accepts a connection and nothing else.
#[derive(Default)]
struct Hanging {
    began: Arc<tokio::sync::Notify>,
    told: Told,
}

impl Effects for Hanging {
    fn sample(&self, _: SampleRequest) -> BoxFuture<'static, Event> {
        futures::future::pending().boxed()
    }

    fn capture(&self, _: CaptureJob, cancel: oneshot::Receiver<Reason>) -> BoxFuture<'static, Event> {
        self.began.notify_one();
        let told = Arc::clone(&self.told);
        async move {
            let reason = cancel.await.unwrap();
            told.lock().unwrap().push((Instant::now(), reason));
            futures::future::pending().await
        }
        .boxed()
    }

    fn restore(&self, request: RestoreRequest) -> BoxFuture<'static, Event> {
        let captures = Vec::new();
        let config = request.config;
        std::future::ready(Event::Restored { config, captures }).boxed()
    }

    fn notify(&self, _: Notice) {}
}

/// A config and a pod of which a capture is due at once.
fn story() -> Vec<Event> {
    let pid = std::process::id();
    let text = format!(
        "apiVersion: profiling.io/v1alpha1
kind: ProfilingConfig
metadata: {{name: all}}
spec:
  thresholds: {{enabled: false}}
  onDemand: {{enabled: true, intervalSeconds: 15}}
  profileTypes: [heap]
  s3Config: {{bucket: profiles}}
---
kind: LocalTargets
targets:
- {{name: app, pid: {pid}, port: 6060, limits: {{cpu: '1', memory: 256Mi}}}}
"
    );
    let standalone = operator::standalone::Standalone::parse(&text, None).unwrap();
    let configs = standalone.configs.into_iter().map(Box::new).map(Event::ConfigApplied);
    let pods = operator::standalone::Processes::new(standalone.targets, Clock::start()).scan();
    configs.chain(pods).collect()
}

#[tokio::test(start_paused = true)]
async fn captures_that_do_not_end_do_not_hold_the_end() {
    let clock = Clock::start();
    let hanging = Hanging::default();
    let (began, told) = (Arc::clone(&hanging.began), Arc::clone(&hanging.told));
    let (events, inbox) = mpsc::channel(16);
    let (_queries, questions) = mpsc::channel(1);
    let (status, _snapshots) = watch::channel(Snapshot::default());
    let actor = Actor {
        world: World::new(Settings::default()),
        clock,
        lead: Lead::alone(clock),
        events: inbox,
        queries: questions,
        effects: hanging,
        status,
        telemetry: Telemetry::new(clock),
    };
    let mut task = tokio::task::JoinSet::new();
    task.spawn(actor.run());
    for event in story() {
        events.send(event).await.unwrap();
    }
    tokio::time::timeout(Duration::from_secs(600), began.notified())
        .await
        .unwrap();

    let announced = Instant::now();
    events.send(Event::ShuttingDown).await.unwrap();
    task.join_next().await.unwrap().unwrap();
    let ended_after = announced.elapsed();
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].1, Reason::ShuttingDown);
    let told_after = told[0].0 - announced;
    // The clock is the test's: these are what was waited for, not what the machine took.
    assert_eq!(told_after.as_secs(), 25);
    assert_eq!(ended_after.as_secs(), 40);
}
