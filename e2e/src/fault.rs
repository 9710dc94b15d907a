//! Faults that end with the story, however it ends: the next one finds a cluster that works.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testkit::Cluster;
use testkit::cluster::{Component, NODE_ADDRESS, S3_CREDENTIALS};
use testkit::process::{Running, Signal};
use testkit::tools::{Tool, ensure};
use testkit::wait_until;

use crate::SOON;

/// A component that does not work, until [`end`](Self::end) or the end of its scope.
#[derive(Debug)]
#[must_use = "the fault ends when this is dropped"]
pub struct Fault<'a> {
    cluster: &'a Cluster,
    component: Component,
    kind: Kind,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// It refuses: nobody listens.
    Stopped,
    /// It is silent: the kernel takes connections and bytes, nobody answers.
    Frozen,
}

impl<'a> Fault<'a> {
    /// Stops a component: connections to it are refused.
    pub fn stop(cluster: &'a Cluster, component: Component) -> Result<Self> {
        cluster.stop(component)?;
        Ok(Self::begun(cluster, component, Kind::Stopped))
    }

    /// Kills a component: connections to it are reset and refused. The API server needs a minute to end in good order.
    pub fn kill(cluster: &'a Cluster, component: Component) -> Result<Self> {
        cluster.kill(component)?;
        Ok(Self::begun(cluster, component, Kind::Stopped))
    }

    /// Freezes a component: what is asked of it is never answered.
    pub fn freeze(cluster: &'a Cluster, component: Component) -> Result<Self> {
        cluster.pause(component)?;
        Ok(Self::begun(cluster, component, Kind::Frozen))
    }

    /// Lets the component work again and waits until it listens.
    pub fn end(mut self) -> Result<()> {
        self.undo()
    }

    fn begun(cluster: &'a Cluster, component: Component, kind: Kind) -> Self {
        Self {
            cluster,
            component,
            kind,
            ended: false,
        }
    }

    fn undo(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        match self.kind {
            Kind::Stopped => self.cluster.start(self.component),
            Kind::Frozen => self.cluster.resume(self.component),
        }
    }
}

impl Drop for Fault<'_> {
    fn drop(&mut self) {
        // A story that failed says why; that its clean-up failed as well shows in the next.
        drop(self.undo());
    }
}

/// A process that is stopped by SIGSTOP, until [`resume`](Self::resume) or the end of its scope.
#[derive(Debug)]
#[must_use = "the process goes on when this is dropped"]
pub struct Frozen(Running);

impl Frozen {
    /// Stops a process.
    pub fn new(process: Running) -> Result<Self> {
        process.signal(Signal::STOP)?;
        Ok(Self(process))
    }

    /// Lets it go on.
    pub fn resume(self) -> Result<()> {
        self.0.signal(Signal::CONT)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.0.signal(Signal::CONT));
    }
}

/// A second object store, for configs that a fault of the first must not touch. The operator of the stories allows its
/// endpoint.
#[derive(Debug)]
pub struct SecondStore {
    process: Running,
    root: PathBuf,
}

impl SecondStore {
    /// Where it listens.
    pub const ENDPOINT: &'static str = "http://198.51.100.10:7071";

    /// Starts it, empty but for one bucket.
    pub fn start(cluster: &Cluster, bucket: &str) -> Result<Self> {
        let root = cluster.dir().join("s3-second");
        if root.exists() {
            std::fs::remove_dir_all(&root).context("empty the second store")?;
        }
        std::fs::create_dir_all(root.join(bucket)).context("create a bucket of the second store")?;
        let (access, secret) = S3_CREDENTIALS;
        let port = format!("{NODE_ADDRESS}:7071");
        let mut command = cluster.command(ensure(Tool::S3)?.join("versitygw"));
        command.args(["--access", access, "--secret", secret, "--port", &port, "posix"]);
        let process = Running::start(command.arg(&root), &cluster.dir().join("logs/s3-second.log"))?;
        let store = Self { process, root };
        let address = port.parse().context("address of the second store")?;
        wait_until("the second store's answer", SOON, || {
            // Without credentials it refuses, which is an answer.
            let said = crate::http::get(address, "/").unwrap_or_else(|error| format!("{error:#}"));
            Ok(said.contains(": 40").then_some(()))
        })?;
        Ok(store)
    }

    /// The folder of a bucket.
    pub fn bucket(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

impl Drop for SecondStore {
    fn drop(&mut self) {
        drop(self.process.signal(Signal::KILL));
    }
}

/// Bytes that lie in the kernel because a frozen component does not read them, over all of its connections.
pub fn unread_bytes(component: &Running, port: u16) -> Result<u64> {
    let wanted = format!(":{port:04X}");
    let mut unread = 0;
    for family in ["tcp", "tcp6"] {
        let path = format!("/proc/{}/net/{family}", component.pid);
        let table = std::fs::read_to_string(Path::new(&path)).with_context(|| format!("read {path}"))?;
        for line in table.lines().skip(1) {
            // Number, local address, remote address, state (01 is ESTABLISHED), queues to send and to receive.
            let fields: Vec<&str> = line.split_whitespace().take(5).collect();
            let [_, local, _, "01", queues] = fields.as_slice() else {
                continue;
            };
            if local.ends_with(&wanted) {
                let (_, received) = queues.split_once(':').context("queues of a connection")?;
                unread += u64::from_str_radix(received, 16).context("length of a queue")?;
            }
        }
    }
    Ok(unread)
}
