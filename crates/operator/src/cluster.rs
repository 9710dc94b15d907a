//! The Kubernetes way to run: `profiling-operator run`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use capture::access::Kube;
use futures::FutureExt;
use futures::future::BoxFuture;
use kube::{Api, Client, Config};
use planner::{CaptureJob, Event, Notice, Reason, RestoreRequest, SampleRequest, Settings, World};
use store::{Environment, StoreSettings, Stores};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::actor::{Actor, Effects, Query, Snapshot};
use crate::clock::Clock;
use crate::flags::{RunFlags, SharedFlags};
use crate::http::{Readiness, serve_probes, serve_why};
use crate::kinds::{Adjustments, Configs, Pods};
use crate::lead::Lead;
use crate::lease::Election;
use crate::meter::Meter;
use crate::notices::{Notices, notices};
use crate::restore::Turns;
use crate::status::StatusWriter;
use crate::telemetry::Telemetry;
use crate::watch::Watch;
use crate::worker::Worker;

/// Events on their way to the actor. Watches wait when it is full, which the API server buffers; the
/// actor handles an event in microseconds, so it is full only while it is starved.
const EVENTS_QUEUE: usize = 1_024;
/// Questions on their way to the actor; whoever asks waits.
const QUERIES_QUEUE: usize = 16;
/// Where the Deployment mounts a volume for profiles on their way.
const SPOOL: &str = "/var/spool/profiling";
/// Every container of a cluster has it from its kubelet; it is where clients look for the API server.
const IN_CLUSTER_SIGN: &str = "KUBERNETES_SERVICE_HOST";
/// How long a new connection to the API server may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long the last writes (status, events, lease) may take at the end.
const LAST_WRITES_DEADLINE: Duration = Duration::from_secs(10);

/// Runs the operator until it is told to end.
pub async fn run(flags: RunFlags) -> anyhow::Result<()> {
    let clock = Clock::start();
    let telemetry = Telemetry::new(clock);
    let readiness = Readiness::default();
    let standing = flags.leader_elect.then(|| telemetry.candidate());
    serve_probes(
        flags.metrics_listen,
        flags.health_listen,
        telemetry.clone(),
        readiness.clone(),
    )?;
    let in_cluster = std::env::var_os(IN_CLUSTER_SIGN).is_some();
    // Held to the end: a temporary folder goes with it.
    let spool = SpoolFolder::choose(flags.shared.spool.as_deref(), in_cluster)?;
    clear_spool(spool.folder())?;

    let client = connect().await?;
    let identity = identity(&flags);
    let stop = CancellationToken::new();
    let (events, inbox) = mpsc::channel(EVENTS_QUEUE);
    let (queries, questions) = mpsc::channel(QUERIES_QUEUE);
    let (status, snapshots) = watch::channel(Snapshot::default());
    let lead = if flags.leader_elect {
        Lead::none(clock)
    } else {
        Lead::alone(clock)
    };
    let (notices, notice_writer) = notices(client.clone(), clock, identity.clone(), lead.clone(), telemetry.clone());

    let adjustments = Adjustments::default();
    let mut writers = JoinSet::new();
    writers.spawn(notice_writer.run());
    writers.spawn(
        StatusWriter {
            client: client.clone(),
            snapshots,
            lead: lead.clone(),
            clock,
            adjustments: adjustments.clone(),
        }
        .run(),
    );
    let mut sources = JoinSet::new();
    watch_everything(
        &mut sources,
        &flags,
        &client,
        &events,
        &telemetry,
        &readiness,
        adjustments,
    );
    sources.spawn(answer_why(flags.api_listen, queries));
    sources.spawn(end_on_signal(events.clone(), readiness.clone()));

    let mut election = JoinSet::new();
    if let Some(standing) = standing {
        let leases = Api::namespaced(client.clone(), &flags.namespace);
        let candidate = Election {
            leases,
            name: flags.lease_name.clone(),
            identity,
            clock,
            lead: lead.clone(),
            events: events.clone(),
            standing,
        };
        // The lease is held until the last status is written: only then `stop` is cancelled.
        election.spawn(candidate.run(stop.clone()));
    }
    drop(events);

    let stores = Arc::new(Stores::new(store_settings(&flags.shared)));
    let worker = Worker {
        access: Arc::new(Kube::new(client.clone(), api::identity::target_id)),
        stores: Arc::clone(&stores),
        limits: Arc::new(capture_settings(spool.folder(), &flags.shared)),
        lead: lead.clone(),
        turns: Turns::default(),
        telemetry: telemetry.clone(),
        clock,
    };
    let effects = ClusterEffects {
        meter: Meter {
            client,
            clock,
            telemetry: telemetry.clone(),
        },
        worker,
        notices,
    };
    let actor = Actor {
        world: World::new(planner_settings(&flags.shared)),
        clock,
        lead,
        events: inbox,
        queries: questions,
        effects,
        status,
        telemetry,
    };
    actor.run().await;

    tracing::info!("captures have ended; writing what is left");
    sources.abort_all();
    let last_writes = async { while writers.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WRITES_DEADLINE, last_writes).await.is_err() {
        tracing::warn!("the last writes did not end in time");
    }
    stop.cancel();
    while election.join_next().await.is_some() {}
    Ok(())
}

struct ClusterEffects {
    meter: Meter,
    worker: Worker,
    notices: Notices,
}

impl Effects for ClusterEffects {
    fn sample(&self, request: SampleRequest) -> BoxFuture<'static, Event> {
        self.meter.clone().sample(request).boxed()
    }

    fn capture(&self, job: CaptureJob, cancel: oneshot::Receiver<Reason>) -> BoxFuture<'static, Event> {
        self.worker.clone().run(job, cancel).boxed()
    }

    fn restore(&self, request: RestoreRequest) -> BoxFuture<'static, Event> {
        self.worker.clone().restore(request).boxed()
    }

    fn notify(&self, notice: Notice) {
        self.notices.tell(notice);
    }
}

/// A client without retries and waits of its own: every caller has its deadline and its back-off.
async fn connect() -> anyhow::Result<Client> {
    let mut config = Config::infer()
        .await
        .context("no cluster: neither in one nor with a kubeconfig")?;
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_DEADLINE);
    Client::try_from(config).context("cannot make a client of the cluster's configuration")
}

fn identity(flags: &RunFlags) -> String {
    // In a cluster the pod's name is unique and survives a restart of the container, which may then go
    // on leading at once. Elsewhere the process is what is unique.
    flags.pod().map_or_else(generated_identity, str::to_owned)
}

fn generated_identity() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{host}-{}", std::process::id())
}

fn watch_everything(
    sources: &mut JoinSet<()>,
    flags: &RunFlags,
    client: &Client,
    events: &mpsc::Sender<Event>,
    telemetry: &Telemetry,
    readiness: &Readiness,
    adjustments: Adjustments,
) {
    let (configs_synced, pods_synced) = (
        Arc::new(tokio::sync::Notify::new()),
        Arc::new(tokio::sync::Notify::new()),
    );
    let within = flags
        .watched()
        .map(|namespace| format!("/namespaces/{namespace}"))
        .unwrap_or_default();
    let configs = Watch {
        client: client.clone(),
        path: format!("/apis/profiling.io/v1alpha1{within}/profilingconfigs"),
        fields: "",
        kind: Configs {
            adjustments,
            admission: api::Admission {
                operator_namespace: flags.namespace.clone(),
                cross_namespace: flags.allow_cross_namespace.clone(),
                endpoints: flags.shared.allow_endpoint.clone(),
                endpoints_unused: false,
            },
        },
        events: events.clone(),
        telemetry: telemetry.clone(),
        synced: Arc::clone(&configs_synced),
    };
    let pods = Watch {
        client: client.clone(),
        path: format!("/api/v1{within}/pods"),
        // What has ended is never profiled: the server need not send it.
        fields: "status.phase!=Succeeded,status.phase!=Failed",
        kind: Pods,
        events: events.clone(),
        telemetry: telemetry.clone(),
        synced: Arc::clone(&pods_synced),
    };
    sources.spawn(configs.run());
    sources.spawn(pods.run());
    let readiness = readiness.clone();
    sources.spawn(async move {
        configs_synced.notified().await;
        pods_synced.notified().await;
        readiness.synced();
        tracing::info!("ready: configs and pods are listed");
    });
}

async fn answer_why(listen: std::net::SocketAddr, queries: mpsc::Sender<Query>) {
    if let Err(error) = serve_why(listen, queries).await {
        tracing::error!(error = format!("{error:#}"), "the api is not served");
    }
}

/// Waits for the signal to end, then lets captures end.
async fn end_on_signal(events: mpsc::Sender<Event>, readiness: Readiness) {
    told_to_end().await;
    tracing::info!("told to end: no new captures");
    readiness.ending();
    if events.send(Event::ShuttingDown).await.is_err() {
        tracing::debug!("the actor has ended already");
    }
}

/// Resolves when the process is asked to end.
pub(crate) async fn told_to_end() {
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
        tracing::error!("signals cannot be received; only a kill ends the process");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// The folder for profiles on their way.
pub(crate) enum SpoolFolder {
    /// One that stays.
    Lasting(PathBuf),
    /// One that is gone when this is.
    Temporary(tempfile::TempDir),
}

impl SpoolFolder {
    /// The one that was asked for; else, in a cluster, where the Deployment mounts a volume; else a temporary one, which
    /// anybody may make.
    pub(crate) fn choose(asked: Option<&Path>, in_cluster: bool) -> anyhow::Result<Self> {
        match asked {
            Some(folder) => Ok(Self::Lasting(folder.to_path_buf())),
            None if in_cluster => Ok(Self::Lasting(SPOOL.into())),
            None => tempfile::tempdir()
                .map(Self::Temporary)
                .context("cannot make a folder for captures on their way; name one that can be written with --spool"),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::Lasting(folder) => folder,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// Makes the spool, and removes from it what a former life of the process left: captures that nobody
/// waits for any more. Only files of our own naming are touched.
pub(crate) fn clear_spool(spool: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(spool).with_context(|| {
        format!(
            "cannot make the spool {}; name a folder that can be written with --spool",
            spool.display()
        )
    })?;
    for entry in std::fs::read_dir(spool).with_context(|| format!("cannot list the spool {}", spool.display()))? {
        let entry = entry.with_context(|| format!("cannot list the spool {}", spool.display()))?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(capture::SPOOL_FILE_PREFIX)
        {
            std::fs::remove_file(entry.path()).with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

pub(crate) fn capture_settings(spool: &Path, flags: &SharedFlags) -> capture::Settings {
    capture::Settings {
        spool: capture::Spool::new(spool.to_path_buf(), flags.spool_size),
        tunnels: capture::Pace::new(flags.starts_per_second_max),
        ..capture::Settings::default()
    }
}

pub(crate) fn store_settings(flags: &SharedFlags) -> StoreSettings {
    StoreSettings {
        allowed_endpoints: flags.allow_endpoint.clone(),
        // What is named is allowed as it is named, and plain HTTP is never guessed.
        allow_http: flags
            .allow_endpoint
            .iter()
            .any(|endpoint| endpoint.starts_with("http://")),
        allow_instance_identity: flags.allow_instance_identity,
        environment: Environment::of_process(),
        ..StoreSettings::default()
    }
}

pub(crate) fn planner_settings(flags: &SharedFlags) -> Settings {
    Settings {
        captures_max: flags.captures_max,
        captures_per_node_max: flags.captures_per_node_max,
        starts_per_second_max: flags.starts_per_second_max,
        hash_seed: hash_seed(),
        ..Settings::default()
    }
}

/// A seed that tenants cannot guess, from the standard library's own random state.
fn hash_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `make run` is for people who are not root.
    #[test]
    fn outside_of_a_cluster_the_spool_is_a_temporary_folder() {
        let spool = SpoolFolder::choose(None, false).unwrap();
        let folder = spool.folder().to_path_buf();
        clear_spool(&folder).unwrap();
        assert!(folder.starts_with(std::env::temp_dir()), "{}", folder.display());
        drop(spool);
        assert!(!folder.exists());
        assert_eq!(SpoolFolder::choose(None, true).unwrap().folder(), Path::new(SPOOL));
        let asked = Path::new("/asked/for");
        for in_cluster in [false, true] {
            assert_eq!(SpoolFolder::choose(Some(asked), in_cluster).unwrap().folder(), asked);
        }
    }
}
