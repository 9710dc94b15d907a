//! Jobs, settings and the call itself.

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use capture::access::Local;
use capture::{Access, Artifact, Failure, Identity, Pace, Settings, Spool, take_set};
use planner::{CaptureId, CaptureJob, ConfigId, ProfileType, Reason, StorePolicy, TargetId, Transport, Trigger, Wall};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What a set yields.
pub type Results = Vec<(ProfileType, Result<Artifact, Failure>)>;

/// The identity that the jobs are for.
pub const TARGET: TargetId = TargetId(7);

/// A job for a target at a port of loopback, with a window of one second.
pub fn job(port: u16, types: &[ProfileType]) -> CaptureJob {
    CaptureJob {
        id: CaptureId(0xfeed),
        config: ConfigId(1),
        config_namespace: "team".into(),
        config_name: "config".into(),
        config_generation: 1,
        target: TARGET,
        namespace: "team".into(),
        pod: "web-1".into(),
        service: "web".into(),
        node: "node".into(),
        container: "web".into(),
        address: None,
        port,
        transport: Transport::PortForward,
        trigger: Trigger::OnDemand,
        types: types.to_vec(),
        cpu_seconds: 1,
        body_bytes_max: 1 << 20,
        store: StorePolicy {
            bucket: "bucket".into(),
            prefix: "profiles".into(),
            region: None,
            endpoint: None,
        },
        decided_at: Wall(0),
    }
}

/// Deadlines that a loaded machine keeps, for tests that do not wait for one.
pub fn settings(folder: &Path) -> Settings {
    let ample = Duration::from_secs(60);
    Settings {
        spool: Spool::new(folder.to_owned(), 4 << 30),
        tunnels: Pace::new(1_000),
        identify_deadline: ample,
        dial_deadline: ample,
        head_deadline: ample,
        stall_deadline: ample,
        instant_deadline: ample,
        window_slack: ample,
        busy_wait: Duration::from_millis(1),
        ..Settings::default()
    }
}

/// Deadlines for tests that wait for one.
pub fn hurried(folder: &Path) -> Settings {
    Settings {
        identify_deadline: Duration::from_millis(500),
        dial_deadline: Duration::from_millis(500),
        head_deadline: Duration::from_millis(500),
        stall_deadline: Duration::from_millis(500),
        instant_deadline: Duration::from_secs(2),
        ..settings(folder)
    }
}

/// Waits until so many files are in a folder: one whose creation was on its way when a capture was ended is
/// deleted as soon as it is there.
pub async fn until_files_in(folder: &Path, count: usize) {
    let settled = async {
        while files_in(folder) != count {
            tokio::task::yield_now().await;
        }
    };
    let is_settled = timeout(Duration::from_secs(20), settled).await.is_ok();
    assert!(is_settled, "{} files are there, not {count}", files_in(folder));
}

/// An access whose target never changes.
pub fn steady() -> Local {
    Local::new(|_| Some(identity(TARGET)))
}

/// An identity without restarts.
pub const fn identity(target: TargetId) -> Identity {
    Identity {
        target,
        restarts: 0,
        terminating: false,
    }
}

/// Takes a set; every set ends, and this one within fifteen minutes or it never will.
pub async fn take(job: &CaptureJob, access: &dyn Access, settings: &Settings) -> Results {
    let (sender, mut receiver) = mpsc::channel(1);
    let mut results = Vec::new();
    let collect = async {
        while let Some(result) = receiver.recv().await {
            results.push(result);
        }
    };
    let set = async { tokio::join!(take_set(job, access, settings, sender, pending()), collect) };
    timeout(Duration::from_secs(900), set).await.expect("the set ends");
    let types: Vec<ProfileType> = results.iter().map(|(one, _)| *one).collect();
    assert_eq!(types, job.types, "every type has one result, in the job's order");
    results
}

/// Takes one type at a port; the folder of its file comes with it.
pub async fn take_one(port: u16, profile_type: ProfileType) -> Result<(Artifact, TempDir), Failure> {
    take_one_with(settings, port, profile_type).await
}

/// The same with other deadlines.
pub async fn take_one_with(
    settings: fn(&Path) -> Settings,
    port: u16,
    profile_type: ProfileType,
) -> Result<(Artifact, TempDir), Failure> {
    let folder = tempfile::tempdir().unwrap();
    let mut results = take(&job(port, &[profile_type]), &steady(), &settings(folder.path())).await;
    let (_, result) = results.remove(0);
    if result.is_err() {
        until_files_in(folder.path(), 0).await;
    }
    result.map(|artifact| (artifact, folder))
}

/// The reasons of a set's results, none for what was captured.
pub fn reasons(results: &Results) -> Vec<Option<Reason>> {
    results
        .iter()
        .map(|(_, result)| result.as_ref().err().map(|failure| failure.reason))
        .collect()
}

/// How many files are in a folder.
pub fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
