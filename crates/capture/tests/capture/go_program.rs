//! Captures of a real Go program: the repository's sample app, built here.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use planner::{ProfileType, Reason};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::cluster::{Cluster, Reply};
use crate::job::{job, reasons, settings, steady, take};

/// A running sample app. It is killed when this is dropped, and ends by itself when the test does.
struct Program {
    port: u16,
    _child: Child,
    _folder: TempDir,
}

impl Program {
    /// None where there is no Go or no sample app, which on a build server is a failure.
    async fn start() -> Option<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/sample-app");
        let found = go(&source, &["version"]).await.is_ok_and(|status| status) && source.join("go.mod").exists();
        if !found {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "go and examples/sample-app are needed here"
            );
            #[expect(clippy::print_stderr, reason = "a test that was skipped says so")]
            {
                eprintln!("SKIPPED: no go or no examples/sample-app, so no real Go program was captured");
            }
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let binary: PathBuf = folder.path().join("sample-app");
        let built = go(&source, &["build", "-o", binary.to_str().unwrap(), "."]).await;
        assert!(built.unwrap(), "the sample app builds");
        let mut child = Command::new(&binary)
            .args(["--addr", "127.0.0.1:0", "--pprof-addr", "127.0.0.1:0", "--parent-watch"])
            .args(["--burn-cores", "0.5", "--leak-megabytes", "8", "--contend"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(Duration::from_secs(30), lines.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let announced: serde_json::Value = serde_json::from_str(&line).unwrap();
        let port = announced["pprof"]
            .as_str()
            .unwrap()
            .rsplit(':')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        Some(Self {
            port,
            _child: child,
            _folder: folder,
        })
    }
}

async fn go(folder: &Path, arguments: &[&str]) -> std::io::Result<bool> {
    let mut command = Command::new("go");
    command
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .kill_on_drop(true);
    Ok(timeout(Duration::from_secs(300), command.status()).await??.success())
}

#[tokio::test]
async fn a_real_go_program_is_captured_in_every_type() {
    let Some(program) = Program::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let cluster = Cluster::with_tunnel(Reply::Forward(program.port)).await;
    let mut job = job(program.port, &ProfileType::ALL);
    job.body_bytes_max = 64 << 20;
    for results in [
        take(&job, &steady(), &settings).await,
        take(&job, &cluster.access(), &settings).await,
    ] {
        for (profile_type, result) in &results {
            match (profile_type, result) {
                // Only Go versions that were built for it have this one.
                (ProfileType::Goroutineleak, Err(failure)) => assert_eq!(failure.reason, Reason::ProfileNotFound),
                (ProfileType::Trace, Ok(artifact)) => assert!(artifact.bytes > 0 && artifact.summary.is_none()),
                (ProfileType::Block, Ok(artifact)) => assert!(artifact.summary.is_some()),
                (_, Ok(artifact)) => {
                    let summary = artifact.summary.as_ref().unwrap();
                    assert!(summary.samples > 0, "{profile_type:?}: {summary:?}");
                }
                (_, Err(failure)) => panic!("{profile_type:?}: {failure:?}"),
            }
        }
    }
    cluster.no_tunnel_is_open().await;
}

#[tokio::test]
async fn failure_10_two_profilers_of_one_go_program_both_have_their_turn() {
    let Some(program) = Program::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.busy_wait = Duration::from_secs(1);
    let types = [ProfileType::Heap, ProfileType::Cpu];
    let (job, access) = (job(program.port, &types), steady());
    let (one, other) = tokio::join!(take(&job, &access, &settings), take(&job, &access, &settings));
    assert_eq!(reasons(&one), [None; 2]);
    assert_eq!(reasons(&other), [None; 2]);
}
