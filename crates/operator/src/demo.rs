//! `profiling-operator demo`: the recorder over the sample application, with words for people.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use planner::{CaptureJob, Event, Notice, Trigger};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::clock::rfc3339;
use crate::flags::{DemoFlags, SharedFlags};
use crate::standalone::{Audience, Place, Standalone, record};

/// How long the sample application has to answer at its port after its start.
const START_DEADLINE: Duration = Duration::from_secs(10);
/// How long it has to end after its input was closed.
const END_DEADLINE: Duration = Duration::from_secs(5);

/// Starts the sample application, records it, and ends it.
pub async fn run(flags: DemoFlags) -> anyhow::Result<()> {
    let (pprof, control) = (free_port()?, free_port()?);
    let mut app = start(&flags.sample_app, pprof, control)?;
    // Taken out of the child: waiting for a child closes an input that it still holds, and that is the
    // sign for the application to end.
    let input = app.stdin.take();
    let told = tell_start(&flags, &app, pprof);
    let recorded = async {
        told?;
        answers(pprof, &mut app).await?;
        let pid = app.id().context("the sample application ended at once")?;
        let standalone = Standalone::parse(&configuration(pid, pprof), None).context("the demo's own configuration")?;
        let place = Place {
            store: Some(flags.store.clone()),
            listen: flags.listen,
            run_for: flags.run_for,
        };
        record(
            standalone,
            place,
            &SharedFlags::default(),
            Arc::new(Narrator {
                store: flags.store.clone(),
            }),
        )
        .await
    }
    .await;
    drop(input);
    end(app).await;
    recorded
}

/// What the demo watches for: low thresholds and short times, so that there is something to see soon.
fn configuration(pid: u32, port: u16) -> String {
    format!(
        "apiVersion: profiling.io/v1alpha1
kind: ProfilingConfig
metadata: {{name: thresholds}}
spec:
  thresholds: {{cpuThresholdPercent: 50, memoryThresholdPercent: 50, checkIntervalSeconds: 10, cooldownSeconds: 8}}
  s3Config: {{bucket: threshold}}
  profileTypes: [heap, cpu, goroutine, mutex]
  capture: {{cpuSeconds: 3}}
---
apiVersion: profiling.io/v1alpha1
kind: ProfilingConfig
metadata: {{name: every-quarter-minute}}
spec:
  thresholds: {{enabled: false}}
  onDemand: {{enabled: true, intervalSeconds: 15}}
  s3Config: {{bucket: on-demand}}
  profileTypes: [heap, cpu, goroutine, mutex]
  capture: {{cpuSeconds: 2}}
---
kind: LocalTargets
targets:
- {{name: sample-app, pid: {pid}, port: {port}, limits: {{cpu: '1', memory: 256Mi}}}}
"
    )
}

fn start(program: &Path, pprof: u16, control: u16) -> anyhow::Result<Child> {
    let mut command = Command::new(program);
    command.args([
        "--turns",
        "--parent-watch",
        &format!("--pprof-addr=127.0.0.1:{pprof}"),
        &format!("--addr=127.0.0.1:{control}"),
    ]);
    // It ends when its input is closed, however we end; killing it on drop is the second belt.
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    command
        .spawn()
        .with_context(|| format!("cannot start {}; `make demo` builds it", program.display()))
}

/// A port that was free a moment ago.
fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("no free port on the loopback")?;
    Ok(listener.local_addr().context("no free port on the loopback")?.port())
}

async fn answers(port: u16, app: &mut Child) -> anyhow::Result<()> {
    let connect = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        answered = tokio::time::timeout(START_DEADLINE, connect) => answered.context("the sample application does not listen on its port"),
        ended = app.wait() => bail!("the sample application ended: {}", ended.context("and how is not known")?),
    }
}

async fn end(mut app: Child) {
    if tokio::time::timeout(END_DEADLINE, app.wait()).await.is_err()
        && let Err(error) = app.kill().await
    {
        tracing::warn!(error = %error, "the sample application could not be ended");
    }
}

/// Says on standard output what is done, why, and where the files lie.
struct Narrator {
    store: PathBuf,
}

fn tell_start(flags: &DemoFlags, app: &Child, port: u16) -> anyhow::Result<()> {
    let absolute = std::path::absolute(&flags.store).unwrap_or_else(|_| flags.store.clone());
    say(&format!(
        "sample-app runs (process {}, pprof on 127.0.0.1:{port}); it burns CPU, leaks and contends in turns.\n\
         Captured above 50 % of 1 core or of 256 MiB, at most every 8 s; and on demand, every 15 s.\n\
         Profiles go to {}\n",
        app.id().unwrap_or_default(),
        absolute.display()
    ))
}

impl Audience for Narrator {
    fn notice(&self, _: &Notice) {}

    fn captured(&self, job: &CaptureJob, outcome: &Event) {
        let Event::CaptureFinished(outcome) = outcome else {
            return;
        };
        let mut text = format!("{}  {}\n", rfc3339(job.decided_at), why(&job.trigger));
        for one in &outcome.types {
            let name = one.profile_type.as_str();
            match &one.result {
                Ok(stored) => {
                    let file = self.store.join(&*job.store.bucket).join(&*stored.key);
                    text += &format!("    {name:<10} {:>9} bytes  {}\n", stored.bytes, file.display());
                }
                Err(refusal) => {
                    text += &format!(
                        "    {name:<10} not captured: {} ({})\n",
                        refusal.reason.as_kebab(),
                        refusal.message
                    );
                }
            }
        }
        if say(&text).is_err() {
            tracing::debug!("nobody reads the demo's words");
        }
    }
}

fn why(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Threshold {
            resource,
            value_permille,
            threshold_permille,
            basis,
            ..
        } => format!(
            "threshold exceeded: {} at {}.{} % of its {}, above {} %",
            resource.as_str(),
            value_permille / 10,
            value_permille % 10,
            basis.as_str(),
            threshold_permille / 10
        ),
        Trigger::OnDemand => "on demand: the interval is over".into(),
        Trigger::Requested { by } => format!("requested by {by}"),
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("standard output is closed")
}
