//! Captures that fail leave nothing behind. A process of its own: it counts its own descriptors.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]
#![expect(unreachable_pub, reason = "a test has no public items")]
#![expect(dead_code, reason = "what the tests share is more than this one uses")]

use std::path::Path;
use std::time::Duration;

use capture::access::Kube;
use futures::future::join_all;
use planner::{ProfileType, Reason};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::cluster::{Cluster, Frame, Reply};
use crate::job::{files_in, hurried, job, reasons, settings, steady, take, until_files_in};
use crate::pprof::heap;
use crate::server::{Server, Step, head};

#[path = "capture/cluster.rs"]
mod cluster;
#[path = "capture/job.rs"]
mod job;
#[path = "capture/pprof.rs"]
mod pprof;
#[path = "capture/server.rs"]
mod server;

const PORT: u16 = 6060;

/// Captures at once, of each kind of failure.
const AT_ONCE: usize = 8;

struct Targets {
    silent: Server,
    broken: Server,
    /// Tunnels that stop in the middle, that are never there, that break.
    tunnels: [(Cluster, Kube, Reason); 3],
}

impl Targets {
    async fn start() -> Self {
        let half = [head(&["Content-Length: 1000"]), heap()].concat();
        let tunnel = |end| {
            Reply::Tunnel(vec![
                Frame::Announce(PORT),
                Frame::Request,
                Frame::Data(half.clone()),
                end,
            ])
        };
        let clusters = [
            (Cluster::with_tunnel(tunnel(Frame::Hang)).await, Reason::Stalled),
            (Cluster::with_tunnel(Reply::Hang).await, Reason::ForwardRefused),
            (Cluster::with_tunnel(tunnel(Frame::Reset)).await, Reason::TunnelBroken),
        ];
        Self {
            silent: Server::always(vec![Step::Send(half.clone()), Step::Hang]).await,
            broken: Server::always(vec![Step::Send(half.clone()), Step::Reset]).await,
            // One access for all captures, as in the operator.
            tunnels: clusters.map(|(cluster, reason)| {
                let access = cluster.access();
                (cluster, access, reason)
            }),
        }
    }

    /// Fails in every way, several times at once.
    async fn fail(&self, folder: &Path) {
        let access = steady();
        // Those that wait for a deadline, and those that must not meet one.
        let (ample, hurried) = (settings(folder), hurried(folder));
        let settings_for = |reason| {
            if reason == Reason::TunnelBroken {
                &ample
            } else {
                &hurried
            }
        };
        let types = [ProfileType::Heap];
        let one_of_each = async || {
            let direct = [
                (self.silent.port, Reason::Stalled),
                (self.broken.port, Reason::TunnelBroken),
            ];
            for (port, reason) in direct {
                assert_eq!(
                    reasons(&take(&job(port, &types), &access, settings_for(reason)).await),
                    [Some(reason)]
                );
            }
            for (_, access, reason) in &self.tunnels {
                assert_eq!(
                    reasons(&take(&job(PORT, &types), access, settings_for(*reason)).await),
                    [Some(*reason)]
                );
            }
        };
        join_all((0..AT_ONCE).map(|_| one_of_each())).await;
        for (cluster, ..) in &self.tunnels {
            cluster.no_tunnel_is_open().await;
        }
    }
}

/// Open descriptors and living tasks of this process, the servers' among them.
fn held() -> (usize, usize) {
    (
        files_in("/proc/self/fd".as_ref()),
        Handle::current().metrics().num_alive_tasks(),
    )
}

/// Waits until no more is held than `most`.
async fn until_at_most(most: (usize, usize)) {
    let settled = async {
        while held().0 > most.0 || held().1 > most.1 {
            tokio::task::yield_now().await;
        }
    };
    if timeout(Duration::from_secs(20), settled).await.is_err() {
        panic!("{:?} descriptors and tasks are held, {most:?} before", held());
    }
}

#[tokio::test]
async fn failure_12_captures_that_fail_leave_no_descriptor_and_no_task() {
    let folder = tempfile::tempdir().unwrap();
    let idle = held();
    let targets = Targets::start().await;
    // What clients keep for the next call: for each of the three clusters a connection per capture, which is
    // two descriptors and two tasks here, and the task of the client itself. Listeners and their tasks: five each.
    let kept = (3 * 2 * AT_ONCE + 5, 3 * (2 * AT_ONCE + 1) + 5);
    for _ in 0..4 {
        targets.fail(folder.path()).await;
        until_files_in(folder.path(), 0).await;
        until_at_most((idle.0 + kept.0, idle.1 + kept.1)).await;
    }
    // And nothing at all once clients and servers are gone.
    drop(targets);
    until_at_most(idle).await;
}
