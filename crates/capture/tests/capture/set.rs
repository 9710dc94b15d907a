//! Sets: order, partial success, identity, cancel.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use capture::access::Local;
use capture::{Identity, Settings, Spool, take_set};
use planner::{ProfileType, Reason, TargetId};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::job::{TARGET, files_in, identity, job, reasons, settings, steady, take, until_files_in};
use crate::pprof::{goroutine, heap};
use crate::server::{Server, Step, answer, fitting, head, ok};

const SET: [ProfileType; 4] = [
    ProfileType::Heap,
    ProfileType::Goroutine,
    ProfileType::Mutex,
    ProfileType::Cpu,
];

#[tokio::test]
async fn a_set_is_taken_in_order_over_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::healthy().await;
    let results = take(
        &job(server.port, &ProfileType::ALL),
        &steady(),
        &settings(folder.path()),
    )
    .await;
    assert_eq!(reasons(&results), [None; 9]);
    assert!(
        server.seen().iter().all(|one| one.connection == 0),
        "one connection serves the set"
    );
    for ((profile_type, result), seen) in results.iter().zip(server.seen()) {
        let artifact = result.as_ref().unwrap();
        let body = fitting(seen.target());
        assert_eq!(artifact.profile_type, *profile_type);
        assert_eq!(artifact.bytes, body.len() as u64);
        assert_eq!(artifact.sha256, <[u8; 32]>::from(Sha256::digest(&body)));
        assert_eq!(tokio::fs::read(&artifact.file).await.unwrap(), body);
        assert_eq!(
            artifact.summary.as_ref().map(|summary| summary.samples),
            (*profile_type != ProfileType::Trace).then_some(1)
        );
    }
    let heads: Vec<String> = server
        .seen()
        .into_iter()
        .map(|one| one.head.to_ascii_lowercase())
        .collect();
    assert!(
        heads
            .iter()
            .all(|head| head.contains("accept-encoding: identity\r\n") && head.contains("host: localhost:"))
    );
    assert_eq!(files_in(folder.path()), 9);
    drop(results);
    assert_eq!(files_in(folder.path()), 0, "files go with their artifacts");
}

#[tokio::test]
async fn failure_13_one_type_that_fails_takes_nothing_from_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|target, _| match target {
        "/debug/pprof/goroutine" => vec![Step::Send(head(&["Content-Length: 1000"])), Step::Reset],
        "/debug/pprof/mutex" => vec![Step::Send(answer("404 Not Found", "text/plain", b"Unknown profile\n"))],
        other => vec![Step::Send(ok(&fitting(other)))],
    })
    .await;
    let results = take(&job(server.port, &SET), &steady(), &settings(folder.path())).await;
    assert_eq!(
        reasons(&results),
        [None, Some(Reason::TunnelBroken), Some(Reason::ProfileNotFound), None]
    );
}

#[tokio::test]
async fn a_full_spool_costs_what_does_not_fit_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::healthy().await;
    let job = job(server.port, &[ProfileType::Heap, ProfileType::Goroutine]);
    let (heap, goroutine) = (
        fitting("/debug/pprof/heap").len() as u64,
        fitting("/debug/pprof/goroutine").len() as u64,
    );
    // An eighth of the volume is left free: room for both together, but not for one after two sets.
    let settings = Settings {
        spool: Spool::new(folder.path().to_owned(), (heap + goroutine) * 8 / 7 + 2),
        ..settings(folder.path())
    };
    let first = take(&job, &steady(), &settings).await;
    assert_eq!(reasons(&first), [None; 2]);
    let second = take(&job, &steady(), &settings).await;
    assert_eq!(reasons(&second), [Some(Reason::SpoolUnavailable); 2]);
    let message = &second[0].1.as_ref().unwrap_err().message;
    assert!(
        message.contains("the spool holds") && message.contains("at most"),
        "{message}"
    );
    until_files_in(folder.path(), 2).await;
    // What was uploaded makes room.
    drop(first);
    let third = take(&job, &steady(), &settings).await;
    assert_eq!(reasons(&third), [None; 2]);
}

#[tokio::test]
async fn failure_10_a_busy_profiler_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let busy = answer(
        "500 Internal Server Error",
        "text/plain",
        b"Could not enable CPU profiling: cpu profiling already in use\n",
    );
    let first_busy = busy.clone();
    let server = Server::start(move |target, nth| match (target, nth) {
        ("/debug/pprof/profile?seconds=1", 0) => vec![Step::Send(first_busy.clone())],
        (other, _) => vec![Step::Send(ok(&fitting(other)))],
    })
    .await;
    let results = take(&job(server.port, &SET), &steady(), &settings(folder.path())).await;
    assert_eq!(reasons(&results), [None; 4]);

    let server = Server::start(move |target, _| match target {
        "/debug/pprof/profile?seconds=1" => vec![Step::Send(busy.clone())],
        other => vec![Step::Send(ok(&fitting(other)))],
    })
    .await;
    let results = take(&job(server.port, &SET), &steady(), &settings(folder.path())).await;
    assert_eq!(reasons(&results), [None, None, None, Some(Reason::ProfilerBusy)]);
    assert_eq!(server.targets().len(), 3 + 3, "asked three times and no more");
}

#[tokio::test]
async fn failure_31_the_heap_is_there_while_the_cpu_profile_runs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|target, _| match target {
        "/debug/pprof/profile?seconds=3600" => vec![Step::Hang],
        other => vec![Step::Send(ok(&fitting(other)))],
    })
    .await;
    let mut job = job(server.port, &[ProfileType::Heap, ProfileType::Cpu]);
    job.cpu_seconds = 3_600;
    let (sender, mut receiver) = mpsc::channel(1);
    let (cancel, canceled) = oneshot::channel();
    let (access, settings) = (steady(), settings(folder.path()));
    let set = take_set(&job, &access, &settings, sender, async { canceled.await.unwrap() });
    let look = async {
        let (first, heap) = receiver.recv().await.unwrap();
        assert_eq!((first, heap.is_ok()), (ProfileType::Heap, true));
        cancel.send(Reason::ShuttingDown).unwrap();
        let (second, cpu) = receiver.recv().await.unwrap();
        assert_eq!(
            (second, cpu.unwrap_err().reason),
            (ProfileType::Cpu, Reason::ShuttingDown)
        );
    };
    timeout(Duration::from_secs(20), async { tokio::join!(set, look) })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    // Says that it keeps the connection, and then does not.
    let server = Server::start(|target, _| vec![Step::Send(ok(&fitting(target))), Step::Close]).await;
    let results = take(&job(server.port, &SET), &steady(), &settings(folder.path())).await;
    assert_eq!(reasons(&results), [None; 4]);
}

/// An access whose answers to `identify` come from a list, the last one for ever.
fn changing(answers: Vec<Option<Identity>>) -> (Local, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let access = Local::new(move |_| {
        let nth = count.fetch_add(1, Ordering::Relaxed);
        answers[nth.min(answers.len() - 1)]
    });
    (access, asked)
}

const OTHER: Identity = identity(TargetId(8));
const SAME: Identity = identity(TARGET);
const RESTARTED: Identity = Identity { restarts: 1, ..SAME };

#[tokio::test]
async fn a_target_that_is_another_one_is_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::healthy().await;
    let terminating = Identity {
        terminating: true,
        ..SAME
    };
    for (answer, reason) in [
        (Some(OTHER), Reason::PodReplaced),
        (None, Reason::PodReplaced),
        (Some(terminating), Reason::Terminating),
    ] {
        let (access, asked) = changing(vec![answer]);
        let results = take(&job(server.port, &SET), &access, &settings(folder.path())).await;
        assert_eq!(reasons(&results), [Some(reason); 4]);
        assert_eq!(asked.load(Ordering::Relaxed), 1, "the rest of the set fails at once");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn failure_06_what_came_from_a_pod_of_the_same_name_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::healthy().await;
    let (access, _) = changing(vec![Some(SAME), Some(OTHER)]);
    let results = take(&job(server.port, &SET), &access, &settings(folder.path())).await;
    assert_eq!(reasons(&results), [Some(Reason::PodReplaced); 4]);
    assert_eq!(files_in(folder.path()), 0);
    assert_eq!(server.targets(), ["/debug/pprof/heap"]);
    // The same behind a type that takes time: what came before it is kept.
    let (access, _) = changing(vec![Some(SAME), Some(SAME), Some(OTHER)]);
    let results = take(&job(server.port, &SET), &access, &settings(folder.path())).await;
    assert_eq!(reasons(&results), [None, None, None, Some(Reason::PodReplaced)]);
}

#[tokio::test]
async fn the_last_words_of_a_pod_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::healthy().await;
    // Gone after the heap came: the heap is kept, and nothing more is asked.
    let (access, _) = changing(vec![Some(SAME), None]);
    let results = take(&job(server.port, &SET), &access, &settings(folder.path())).await;
    let gone = Some(Reason::PodReplaced);
    assert_eq!(reasons(&results), [None, gone, gone, gone]);
    // Its container restarted after that: kept as well; the connection still serves the rest.
    let (access, _) = changing(vec![Some(SAME), Some(RESTARTED)]);
    let results = take(&job(server.port, &SET), &access, &settings(folder.path())).await;
    assert_eq!(reasons(&results), [None; 4]);
}

#[tokio::test]
async fn a_set_is_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|target, _| vec![Step::Send(ok(&fitting(target))), Step::Reset]).await;
    let (access, _) = changing(vec![Some(SAME), Some(RESTARTED)]);
    let results = take(&job(server.port, &SET), &access, &settings(folder.path())).await;
    let replaced = Some(Reason::PodReplaced);
    assert_eq!(reasons(&results), [None, replaced, replaced, replaced]);
}

#[tokio::test]
async fn a_set_asks_who_the_target_is_three_times() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::healthy().await;
    let (access, asked) = changing(vec![Some(SAME)]);
    let results = take(&job(server.port, &SET), &access, &settings(folder.path())).await;
    assert_eq!(reasons(&results), [None; 4]);
    assert_eq!(
        asked.load(Ordering::Relaxed),
        3,
        "before, after the first answer, after the window"
    );
}

#[tokio::test]
async fn a_target_that_cannot_be_reached_is_not_dialled_for_every_type() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::healthy().await;
    let port = server.port;
    drop(server);
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let (access, asked) = changing(vec![Some(SAME)]);
    let results = take(&job(port, &ProfileType::ALL), &access, &settings(folder.path())).await;
    assert_eq!(reasons(&results), [Some(Reason::ConnectionRefused); 9]);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn cancel_ends_a_capture_at_once_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|target, _| match target {
        "/debug/pprof/goroutine" => vec![
            Step::Send(head(&["Content-Length: 1000"])),
            Step::Send(goroutine()),
            Step::Hang,
        ],
        other => vec![Step::Send(ok(&fitting(other)))],
    })
    .await;
    let job = job(server.port, &SET);
    let mut settings = settings(folder.path());
    settings.stall_deadline = Duration::from_secs(3_600);
    settings.instant_deadline = Duration::from_secs(3_600);
    let (sender, mut receiver) = mpsc::channel(4);
    let (cancel, canceled) = oneshot::channel();
    let access = steady();
    let set = take_set(&job, &access, &settings, sender, async { canceled.await.unwrap() });
    let control = async {
        let (first, heap) = receiver.recv().await.unwrap();
        assert_eq!(first, ProfileType::Heap);
        while server.targets().len() < 2 {
            tokio::task::yield_now().await;
        }
        cancel.send(Reason::LeadershipLost).unwrap();
        let mut rest = Vec::new();
        while let Some((profile_type, result)) = receiver.recv().await {
            rest.push((profile_type, result.unwrap_err().reason));
        }
        (heap.unwrap(), rest)
    };
    let ((), (heap, rest)) = timeout(Duration::from_secs(20), async { tokio::join!(set, control) })
        .await
        .unwrap();
    let lost = Reason::LeadershipLost;
    assert_eq!(
        rest,
        [
            (ProfileType::Goroutine, lost),
            (ProfileType::Mutex, lost),
            (ProfileType::Cpu, lost)
        ]
    );
    // What was captured stays, what was not is gone.
    until_files_in(folder.path(), 1).await;
    drop(heap);
    assert_eq!(files_in(folder.path()), 0);
}

#[tokio::test]
async fn a_receiver_that_is_gone_ends_the_set() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::always(vec![Step::Send(ok(&heap()))]).await;
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let job = job(server.port, &SET);
    let (access, settings) = (steady(), settings(folder.path()));
    timeout(
        Duration::from_secs(20),
        take_set(&job, &access, &settings, sender, std::future::pending()),
    )
    .await
    .unwrap();
    assert_eq!(files_in(folder.path()), 0);
}
