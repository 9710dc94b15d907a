//! The one owner of the planner's state. Everyone else sends it an event.
//!
//! The loop reads: what happened, decide, act, report. An effect runs as a task of its own whose
//! result is an event again, so a capture of two minutes delays nothing, and no queue lies between an
//! effect's end and the planner that waits for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::future::BoxFuture;
use planner::{
    CaptureId, CaptureJob, CaptureOutcome, Command, ConfigId, Event, Mono, Notice, Reason, Refusal, RestoreRequest,
    SampleRequest, TypeOutcome, World,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{Id, JoinError, JoinSet};

use crate::clock::Clock;
use crate::lead::Lead;
use crate::telemetry::{Gauges, Telemetry};

/// How often the actor shows that it lives even when nothing happens. Liveness asks for 60 s.
const HEARTBEAT_MILLIS: u64 = 5_000;
/// Shortest time from one snapshot of the status to the next: the writer writes every 10 s at most.
const SNAPSHOT_MILLIS: u64 = 500;

/// How long captures may go on after the end was announced; then they are told to end, and store what they have. Most
/// take seconds. A CPU profile of the default length (30 s) is kept if it had run for 5 s before.
const LAST_CAPTURES_MILLIS: u64 = 25_000;
/// How long after the end was announced the actor waits for them to store it. A store that hangs holds nothing longer: of
/// the pod's grace period (60 s), 20 s are left for the last status and events (10 s) and for giving the lease back (two
/// calls of 2 s), with 6 s to spare. What is cut off here is a record that says `started`, which the next leader tells of.
const LAST_UPLOADS_MILLIS: u64 = 40_000;

/// What the planner's commands do in the world. Two worlds exist: a cluster and this machine.
pub trait Effects: Send + Sync + 'static {
    /// Fetches usage samples. Resolves to `Usage` or `UsageFailed` within its own deadline.
    fn sample(&self, request: SampleRequest) -> BoxFuture<'static, Event>;
    /// Takes and stores a set of profiles. Resolves to `CaptureFinished`, soon after `cancel` too.
    fn capture(&self, job: CaptureJob, cancel: oneshot::Receiver<Reason>) -> BoxFuture<'static, Event>;
    /// Reads a config's past. Resolves to `Restored` within its own deadline.
    fn restore(&self, request: RestoreRequest) -> BoxFuture<'static, Event>;
    /// Tells people. Never waits.
    fn notify(&self, notice: Notice);
}

/// A question to the planner's state.
pub enum Query {
    /// Why is this pod not captured?
    Why {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Where the answer goes.
        answer: oneshot::Sender<Vec<planner::Why>>,
    },
}

/// The status of every config, as of one moment.
pub type Snapshot = Arc<BTreeMap<ConfigId, planner::ConfigStatus>>;

/// The actor and its ends.
pub struct Actor<E> {
    /// The state.
    pub world: World,
    /// The clock.
    pub clock: Clock,
    /// Whether this process may act.
    pub lead: Lead,
    /// What happens outside.
    pub events: mpsc::Receiver<Event>,
    /// Questions.
    pub queries: mpsc::Receiver<Query>,
    /// What commands do.
    pub effects: E,
    /// Where status goes.
    pub status: watch::Sender<Snapshot>,
    /// Counts.
    pub telemetry: Telemetry,
}

impl<E: Effects> Actor<E> {
    /// Runs until every sender of events is gone, or `ShuttingDown` was handled and nothing runs any
    /// more or what runs had its time; returns the state for a last report.
    pub async fn run(mut self) -> World {
        let mut work = Work::default();
        let mut ending: Option<Mono> = None;
        let mut published = Mono(0);
        loop {
            let wake = self.next_wake(ending);
            let event = tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => event,
                    None => break,
                },
                Some(event) = work.finished() => event,
                Some(query) = self.queries.recv() => { self.answer(query); continue }
                () = tokio::time::sleep_until(self.clock.instant(wake)) => Event::Tick,
            };
            if matches!(event, Event::ShuttingDown) {
                ending = ending.or(Some(self.clock.mono()));
            }
            for command in self.decide(event) {
                work.begin(&self.effects, command);
            }
            self.report(&mut published, ending.is_some());
            if let Some(since) = ending {
                if work.captures.is_empty() {
                    break;
                }
                let passed = self.clock.mono().millis_since(since);
                if passed >= LAST_UPLOADS_MILLIS {
                    tracing::warn!(
                        captures = work.captures.len(),
                        "captures did not end in time; they are left"
                    );
                    break;
                }
                if passed >= LAST_CAPTURES_MILLIS {
                    work.cancel_all(Reason::ShuttingDown);
                }
            }
        }
        self.report(&mut published, true);
        self.world
    }

    /// What is to be done about an event, by what is true of the lead at this moment: a process that was
    /// stopped past its lease and goes on decides nothing in the time until the election tells it.
    fn decide(&mut self, event: Event) -> Vec<Command> {
        let now = self.clock.now();
        let mut commands = Vec::new();
        let leads = self.lead.holds();
        if leads != self.world.is_leader() {
            commands = self.world.step(now, Event::Leadership(leads));
        }
        // What the election said may be over by now; its event only woke us.
        let event = if matches!(event, Event::Leadership(_)) {
            Event::Tick
        } else {
            event
        };
        commands.extend(self.world.step(now, event));
        commands
    }

    fn next_wake(&self, ending: Option<Mono>) -> Mono {
        let now = self.clock.mono();
        let ends = ending
            .into_iter()
            .flat_map(|since| [LAST_CAPTURES_MILLIS, LAST_UPLOADS_MILLIS].map(|millis| since.plus_millis(millis)))
            .filter(|end| *end > now);
        let heartbeat = now.plus_millis(HEARTBEAT_MILLIS);
        ends.chain(self.world.next_wake()).fold(heartbeat, Mono::min)
    }

    fn answer(&self, query: Query) {
        match query {
            Query::Why {
                namespace,
                name,
                answer,
            } => {
                if answer
                    .send(self.world.why(self.clock.now(), &namespace, &name))
                    .is_err()
                {
                    tracing::debug!("nobody waits for the answer any more");
                }
            }
        }
    }

    fn report(&self, published: &mut Mono, now_at_once: bool) {
        let now = self.clock.now();
        let configs: Vec<ConfigId> = self.world.configs().collect();
        let counters = self.world.counters();
        self.telemetry.planner_counts(counters);
        self.telemetry.stepped(Gauges {
            targets: self.world.target_count(),
            configs: configs.len(),
            running: self.world.running().count(),
            leader: self.world.is_leader(),
        });
        if !now_at_once && now.mono.millis_since(*published) < SNAPSHOT_MILLIS {
            return;
        }
        *published = now.mono;
        let snapshot: BTreeMap<_, _> = configs
            .into_iter()
            .filter_map(|id| Some((id, self.world.status(now, id)?)))
            .collect();
        self.status.send_if_modified(|last| {
            let differs = **last != snapshot;
            if differs {
                *last = Arc::new(snapshot);
            }
            differs
        });
    }
}

/// Effects under way.
#[derive(Default)]
struct Work {
    /// Bounded by the planner: one sample per scope, `captures_max` captures, one restore per config.
    tasks: JoinSet<Event>,
    captures: HashMap<Id, (CaptureId, Vec<planner::ProfileType>)>,
    cancels: HashMap<CaptureId, oneshot::Sender<Reason>>,
}

impl Work {
    fn begin(&mut self, effects: &impl Effects, command: Command) {
        match command {
            Command::Sample(request) => {
                self.tasks.spawn(effects.sample(request));
            }
            Command::Restore(request) => {
                self.tasks.spawn(effects.restore(request));
            }
            Command::Capture(job) => {
                let (cancel, cancelled) = oneshot::channel();
                let (id, types) = (job.id, job.types.clone());
                let task = self.tasks.spawn(effects.capture(*job, cancelled));
                self.captures.insert(task.id(), (id, types));
                self.cancels.insert(id, cancel);
            }
            Command::Cancel { capture, reason } => {
                if let Some(cancel) = self.cancels.remove(&capture)
                    && cancel.send(reason).is_err()
                {
                    tracing::debug!(capture = %capture, "capture ended before its cancellation");
                }
            }
            Command::Notify(notice) => effects.notify(notice),
        }
    }

    /// Ends every capture; each is still answered, with what it has stored so far.
    fn cancel_all(&mut self, reason: Reason) {
        for (capture, cancel) in self.cancels.drain() {
            if cancel.send(reason).is_err() {
                tracing::debug!(capture = %capture, "capture ended before its cancellation");
            }
        }
    }

    /// The event that the next effect to end came to; pends while there is none.
    async fn finished(&mut self) -> Option<Event> {
        match self.tasks.join_next_with_id().await? {
            Ok((task, event)) => {
                if let Some((capture, _)) = self.captures.remove(&task) {
                    self.cancels.remove(&capture);
                }
                Some(event)
            }
            Err(error) => Some(self.broken(&error)),
        }
    }

    /// A task that panicked: a bug here, and still exactly one answer for its capture.
    fn broken(&mut self, error: &JoinError) -> Event {
        tracing::error!(error = %error, "a task panicked");
        let Some((capture, types)) = self.captures.remove(&error.id()) else {
            return Event::Tick;
        };
        self.cancels.remove(&capture);
        let failure = |profile_type| TypeOutcome {
            profile_type,
            result: Err(Refusal {
                reason: Reason::Panicked,
                message: "the capture's task panicked; this is a bug in the operator".into(),
            }),
        };
        Event::CaptureFinished(Box::new(CaptureOutcome {
            capture,
            types: types.into_iter().map(failure).collect(),
        }))
    }
}
