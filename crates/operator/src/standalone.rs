//! The other way to run: the same recorder over processes of this machine.
//!
//! Only the source of events and the access differ: targets come from a file and `/proc` instead of
//! watches, usage from `/proc` instead of the metrics API, and a target is reached on the loopback.

mod file;
mod processes;
mod resources;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use capture::access::Local;
use futures::FutureExt;
use futures::future::BoxFuture;
use planner::{CaptureJob, Event, Notice, Reason, Relisted, RestoreRequest, SampleRequest, World};
use store::Stores;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

pub use self::file::{LocalTarget, Standalone};
pub use self::processes::Processes;

use crate::actor::{Actor, Effects, Snapshot};
use crate::clock::Clock;
use crate::cluster::{SpoolFolder, capture_settings, clear_spool, planner_settings, store_settings};
use crate::flags::{SharedFlags, StandaloneFlags};
use crate::http::{Readiness, serve_local};
use crate::lead::Lead;
use crate::notices;
use crate::restore::Turns;
use crate::telemetry::Telemetry;
use crate::worker::Worker;

/// Events on their way to the actor: a scan's worth of processes.
const EVENTS_QUEUE: usize = 256;
/// From one look at the processes to the next.
const SCAN: Duration = Duration::from_secs(1);

/// Who is told of what the recorder does, besides the log.
pub trait Audience: Send + Sync + 'static {
    /// A notice was given.
    fn notice(&self, notice: &Notice);
    /// A capture ended.
    fn captured(&self, job: &CaptureJob, outcome: &Event);
}

/// Where a recorder of this machine works, and for how long.
pub struct Place {
    /// Folder to store into; without it the configs' buckets are used.
    pub store: Option<PathBuf>,
    /// Where metrics, health and the api are served.
    pub listen: Option<SocketAddr>,
    /// When it ends by itself.
    pub run_for: Option<Duration>,
}

/// Runs `standalone` until it is told to end.
pub async fn run(flags: StandaloneFlags) -> anyhow::Result<()> {
    let text =
        std::fs::read_to_string(&flags.config).with_context(|| format!("cannot read {}", flags.config.display()))?;
    let endpoints = flags.store.is_none().then_some(&*flags.shared.allow_endpoint);
    let standalone =
        Standalone::parse(&text, endpoints).with_context(|| format!("cannot use {}", flags.config.display()))?;
    let place = Place {
        store: flags.store,
        listen: flags.listen,
        run_for: flags.run_for,
    };
    record(standalone, place, &flags.shared, Arc::new(Silent)).await
}

/// The log is audience enough.
struct Silent;

impl Audience for Silent {
    fn notice(&self, _: &Notice) {}
    fn captured(&self, _: &CaptureJob, _: &Event) {}
}

/// The recorder over processes of this machine.
pub async fn record(
    standalone: Standalone,
    place: Place,
    flags: &SharedFlags,
    audience: Arc<dyn Audience>,
) -> anyhow::Result<()> {
    let clock = Clock::start();
    let telemetry = Telemetry::new(clock);
    let readiness = Readiness::default();
    // Held to the end: the folder goes with it.
    let spool = SpoolFolder::choose(flags.spool.as_deref(), false)?;
    let spool = spool.folder();
    clear_spool(spool)?;

    let (events, inbox) = mpsc::channel(EVENTS_QUEUE);
    let (queries, questions) = mpsc::channel(1);
    let (status, _snapshots) = watch::channel(Snapshot::default());
    let processes = Arc::new(Processes::new(standalone.targets, clock));
    let effects = effects(
        &processes,
        place.store.as_deref(),
        spool,
        flags,
        &telemetry,
        clock,
        audience,
    );

    let mut sources = JoinSet::new();
    for config in standalone.configs {
        events
            .send(Event::ConfigApplied(Box::new(config)))
            .await
            .context("the actor ended before it began")?;
    }
    if let Some(listen) = place.listen {
        sources.spawn(serve_local(listen, telemetry.clone(), readiness.clone(), queries).await?);
    }
    sources.spawn(scan(processes, events.clone()));
    sources.spawn(end(events, readiness.clone(), place.run_for));
    readiness.synced();

    let actor = Actor {
        world: World::new(planner_settings(flags)),
        clock,
        lead: Lead::alone(clock),
        events: inbox,
        queries: questions,
        effects,
        status,
        telemetry,
    };
    actor.run().await;
    sources.abort_all();
    Ok(())
}

fn effects(
    processes: &Arc<Processes>,
    store: Option<&Path>,
    spool: &Path,
    flags: &SharedFlags,
    telemetry: &Telemetry,
    clock: Clock,
    audience: Arc<dyn Audience>,
) -> LocalEffects {
    let known = Arc::clone(processes);
    let mut store_settings = store_settings(flags);
    store_settings.folder_root = store.map(Path::to_path_buf);
    let worker = Worker {
        access: Arc::new(Local::new(move |job| known.identify(job))),
        stores: Arc::new(Stores::new(store_settings)),
        limits: Arc::new(capture_settings(spool, flags)),
        lead: Lead::alone(clock),
        turns: Turns::default(),
        telemetry: telemetry.clone(),
        clock,
    };
    LocalEffects {
        processes: Arc::clone(processes),
        worker,
        audience,
    }
}

struct LocalEffects {
    processes: Arc<Processes>,
    worker: Worker,
    audience: Arc<dyn Audience>,
}

impl Effects for LocalEffects {
    fn sample(&self, request: SampleRequest) -> BoxFuture<'static, Event> {
        std::future::ready(Event::Usage(self.processes.usage(&request))).boxed()
    }

    fn capture(&self, job: CaptureJob, cancel: oneshot::Receiver<Reason>) -> BoxFuture<'static, Event> {
        let (worker, audience) = (self.worker.clone(), Arc::clone(&self.audience));
        async move {
            let ended = worker.run(job.clone(), cancel).await;
            audience.captured(&job, &ended);
            ended
        }
        .boxed()
    }

    fn restore(&self, request: RestoreRequest) -> BoxFuture<'static, Event> {
        self.worker.clone().restore(request).boxed()
    }

    fn notify(&self, notice: Notice) {
        notices::log(&notice);
        self.audience.notice(&notice);
    }
}

/// Looks at the processes every second, and tells the actor what came and what went.
async fn scan(processes: Arc<Processes>, events: mpsc::Sender<Event>) {
    // The first look is a full list: what the records say of processes that are not in it is forgotten.
    let first = [Event::RelistStarted(Relisted::Targets)];
    let mut seen: Vec<Event> = first.into_iter().chain(processes.scan()).collect();
    seen.push(Event::RelistFinished(Relisted::Targets));
    loop {
        for event in seen {
            if events.send(event).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(SCAN).await;
        seen = processes.scan();
    }
}

async fn end(events: mpsc::Sender<Event>, readiness: Readiness, run_for: Option<Duration>) {
    let over = async {
        match run_for {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => {}
        () = crate::cluster::told_to_end() => {}
    }
    readiness.ending();
    if events.send(Event::ShuttingDown).await.is_err() {
        tracing::debug!("the actor has ended already");
    }
    // The queue stays open until the actor has seen the last capture end.
    std::future::pending::<()>().await;
}
