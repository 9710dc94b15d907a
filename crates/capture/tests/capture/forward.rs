//! Captures through the API server: the tunnel and the identity of pods.

use std::path::Path;

use capture::Settings;
use planner::{ProfileType, Reason, Transport};
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::cluster::{Cluster, Frame, Reply, pod, pod_of, status};
use crate::job::{hurried, job, reasons, settings, take, until_files_in};
use crate::pprof::{heap, large_heap_pieces};
use crate::server::{Server, Step, head, ok};

const PORT: u16 = 6060;

/// The result of a heap through a cluster; the tunnel must be closed afterwards.
pub async fn heap_through(cluster: &Cluster) -> Result<u64, Reason> {
    heap_with(settings, cluster).await
}

async fn heap_with(settings: fn(&Path) -> Settings, cluster: &Cluster) -> Result<u64, Reason> {
    let folder = tempfile::tempdir().unwrap();
    let access = cluster.access();
    let mut results = take(&job(PORT, &[ProfileType::Heap]), &access, &settings(folder.path())).await;
    cluster.no_tunnel_is_open().await;
    let (_, result) = results.remove(0);
    if let Err(failure) = &result {
        assert!(failure.message.len() > 20, "{failure:?}");
        until_files_in(folder.path(), 0).await;
    }
    result.map(|artifact| artifact.bytes).map_err(|failure| failure.reason)
}

async fn through_tunnel(frames: Vec<Frame>) -> Result<u64, Reason> {
    heap_through(&Cluster::with_tunnel(Reply::Tunnel(frames)).await).await
}

async fn through_tunnel_in_a_hurry(frames: Vec<Frame>) -> Result<u64, Reason> {
    heap_with(hurried, &Cluster::with_tunnel(Reply::Tunnel(frames)).await).await
}

/// What every tunnel begins with, and then this.
pub fn frames(then: Vec<Frame>) -> Vec<Frame> {
    [vec![Frame::Announce(PORT), Frame::Request], then].concat()
}

#[tokio::test]
async fn a_set_goes_through_one_tunnel() {
    let folder = tempfile::tempdir().unwrap();
    let target = Server::healthy().await;
    let cluster = Cluster::with_tunnel(Reply::Forward(target.port)).await;
    let mut job = job(target.port, &ProfileType::ALL);
    job.body_bytes_max = 64 << 20;
    let results = take(&job, &cluster.access(), &settings(folder.path())).await;
    assert_eq!(reasons(&results), [None; 9]);
    cluster.no_tunnel_is_open().await;
    assert_eq!(target.seen().len(), 9);
    let upgrades: Vec<String> = cluster
        .heads()
        .into_iter()
        .filter(|head| head.contains("/portforward"))
        .collect();
    let [upgrade] = upgrades.as_slice() else {
        panic!("{} upgrades", upgrades.len())
    };
    assert!(upgrade.starts_with(&format!(
        "GET /api/v1/namespaces/team/pods/web-1/portforward?ports={} ",
        target.port
    )));
    assert!(
        upgrade
            .to_ascii_lowercase()
            .contains("sec-websocket-protocol: v4.channel.k8s.io\r\n"),
        "{upgrade}"
    );
}

#[tokio::test]
async fn a_large_profile_comes_whole_through_a_tunnel() {
    let (length, pieces) = large_heap_pieces(3 << 20);
    let announced = Step::Send(head(&[&format!("Content-Length: {length}")]));
    // Closing at once: what is on its way must arrive all the same.
    let target = Server::always(vec![announced, Step::Pieces(pieces), Step::Close]).await;
    let cluster = Cluster::with_tunnel(Reply::Forward(target.port)).await;
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(target.port, &[ProfileType::Heap]);
    job.body_bytes_max = 64 << 20;
    let results = take(&job, &cluster.access(), &settings(folder.path())).await;
    assert_eq!(results[0].1.as_ref().unwrap().bytes, length as u64);
    cluster.no_tunnel_is_open().await;
}

#[tokio::test]
async fn failure_12_a_refused_forward_has_its_reason() {
    for (code, reason) in [
        (401, Reason::Forbidden),
        (403, Reason::Forbidden),
        (404, Reason::PodReplaced),
        (400, Reason::ForwardRefused),
        (500, Reason::ForwardRefused),
        (503, Reason::ForwardRefused),
        (302, Reason::ForwardRefused),
        (200, Reason::ForwardRefused),
    ] {
        let cluster = Cluster::with_tunnel(status(code, "as told")).await;
        assert_eq!(heap_through(&cluster).await, Err(reason), "{code}");
    }
    let cluster = Cluster::with_tunnel(Reply::Hang).await;
    assert_eq!(heap_with(hurried, &cluster).await, Err(Reason::ForwardRefused));
    // Upgraded, and then nothing at all.
    assert_eq!(
        through_tunnel_in_a_hurry(vec![Frame::Hang]).await,
        Err(Reason::TimedOut)
    );
}

#[tokio::test]
async fn a_forbidden_forward_names_the_verbs() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::with_tunnel(status(403, "pods \\\"web-1\\\" is forbidden")).await;
    let results = take(
        &job(PORT, &[ProfileType::Heap, ProfileType::Cpu]),
        &cluster.access(),
        &settings(folder.path()),
    )
    .await;
    assert_eq!(reasons(&results), [Some(Reason::Forbidden); 2]);
    let message = &results[0].1.as_ref().unwrap_err().message;
    assert!(
        message.contains("get and create of pods/portforward") && message.contains("is forbidden"),
        "{message}"
    );
    assert_eq!(cluster.heads().len(), 2, "what is forbidden is not asked for again");
}

#[tokio::test]
async fn what_the_error_channel_says_is_the_reason() {
    let refused =
        "error forwarding port 6060 to pod web-1, uid : dial tcp4 127.0.0.1:6060: connect: connection refused";
    assert_eq!(
        through_tunnel(frames(vec![Frame::Error(refused), Frame::Close(CloseCode::Normal)])).await,
        Err(Reason::ConnectionRefused)
    );
    assert_eq!(
        through_tunnel(frames(vec![Frame::Error("no sandbox"), Frame::Hang])).await,
        Err(Reason::ForwardRefused)
    );
    let half = Frame::Data([head(&["Content-Length: 1000"]), heap()].concat());
    assert_eq!(
        through_tunnel(frames(vec![half, Frame::Error("lost"), Frame::Hang])).await,
        Err(Reason::TunnelBroken)
    );
}

#[tokio::test]
async fn failure_16_a_tunnel_that_breaks_is_not_a_shorter_profile() {
    let whole = heap().len() as u64;
    let half = Frame::Data([head(&["Content-Length: 1000"]), heap()].concat());
    let until_close = Frame::Data([head(&[]), heap()].concat());
    let complete = Frame::Data(ok(&heap()));
    let silent = frames(vec![half.clone(), Frame::Hang]);
    assert_eq!(through_tunnel_in_a_hurry(silent).await, Err(Reason::Stalled));
    for (frames_then, result) in [
        (vec![half.clone(), Frame::End], Err(Reason::TunnelBroken)),
        (vec![half.clone(), Frame::Reset], Err(Reason::TunnelBroken)),
        (
            vec![half.clone(), Frame::Close(CloseCode::Away)],
            Err(Reason::TunnelBroken),
        ),
        (
            vec![half.clone(), Frame::Close(CloseCode::Normal)],
            Err(Reason::Truncated),
        ),
        // Whole by its format, and yet nobody said that the target was done.
        (vec![until_close.clone(), Frame::End], Err(Reason::TunnelBroken)),
        (vec![until_close.clone(), Frame::Reset], Err(Reason::TunnelBroken)),
        (
            vec![until_close.clone(), Frame::Error("lost connection to pod"), Frame::Hang],
            Err(Reason::TunnelBroken),
        ),
        (
            vec![until_close.clone(), Frame::Close(CloseCode::Error)],
            Err(Reason::TunnelBroken),
        ),
        (vec![until_close, Frame::Close(CloseCode::Normal)], Ok(whole)),
        // Whole by its length: what the tunnel does afterwards is its own affair.
        (vec![complete.clone(), Frame::Hang], Ok(whole)),
        (vec![complete.clone(), Frame::End], Ok(whole)),
        (
            vec![complete, Frame::Error("late"), Frame::Close(CloseCode::Normal)],
            Ok(whole),
        ),
        (vec![Frame::Close(CloseCode::Normal)], Err(Reason::TunnelBroken)),
    ] {
        assert_eq!(through_tunnel(frames(frames_then)).await, result);
    }
}

#[tokio::test]
async fn a_ping_is_answered() {
    let whole = heap().len() as u64;
    let then = vec![
        Frame::Ping,
        Frame::Data(head(&[&format!("Content-Length: {whole}")])),
        Frame::Ping,
        Frame::Data(heap()),
        Frame::Hang,
    ];
    assert_eq!(through_tunnel(frames(then)).await, Ok(whole));
}

#[tokio::test]
async fn pieces_of_any_size_make_the_same_profile() {
    let whole = heap().len() as u64;
    let bytes = ok(&heap()).into_iter().map(|byte| Frame::Data(vec![byte]));
    let empty = [
        Frame::Data(Vec::new()),
        Frame::Error(""),
        Frame::Raw(Message::Binary(Vec::new().into())),
    ];
    let then = empty.into_iter().chain(bytes).chain([Frame::Hang]).collect();
    assert_eq!(through_tunnel(frames(then)).await, Ok(whole));
}

#[tokio::test]
async fn a_tunnel_against_its_protocol_is_refused() {
    let message = |bytes: &[u8]| Frame::Raw(Message::Binary(bytes.to_vec().into()));
    for (frames, reason) in [
        (vec![Frame::Announce(PORT + 1), Frame::Hang], Reason::ProtocolError),
        (vec![message(b"\x00\xac\x17\x00"), Frame::Hang], Reason::ProtocolError),
        (
            vec![Frame::Announce(PORT), message(b"\x07hello"), Frame::Hang],
            Reason::ProtocolError,
        ),
        (
            vec![Frame::Announce(PORT), Frame::Raw(Message::text("hello")), Frame::Hang],
            Reason::ProtocolError,
        ),
        (
            vec![Frame::Announce(PORT), Frame::Data(vec![0; 300 << 10]), Frame::Hang],
            Reason::TunnelBroken,
        ),
    ] {
        assert_eq!(through_tunnel(frames).await, Err(reason));
    }
}

#[tokio::test]
async fn an_upgrade_against_its_rules_is_refused() {
    let proper = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Protocol: v4.channel.k8s.io",
    ];
    for missing in 0..proper.len() {
        let lines = proper
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != missing)
            .map(|(_, line)| (*line).to_owned());
        // hyper itself refuses a 101 without the first two; the accept key is wrong in all.
        let cluster = Cluster::with_tunnel(Reply::Upgrade(lines.collect())).await;
        let reason = heap_through(&cluster).await.unwrap_err();
        assert!(
            matches!(reason, Reason::ProtocolError | Reason::ForwardRefused),
            "{reason:?}"
        );
    }
    let lines = proper.iter().map(|line| (*line).to_owned()).collect();
    let cluster = Cluster::with_tunnel(Reply::Upgrade(lines)).await;
    assert_eq!(heap_through(&cluster).await, Err(Reason::ProtocolError));
}

#[tokio::test]
async fn pods_that_must_not_be_touched_are_not() {
    let uid = "00000000-0000-0000-0000-000000000007";
    for (reply, reason) in [
        (status(404, "not found"), Reason::PodReplaced),
        (status(403, "forbidden"), Reason::Forbidden),
        (status(500, "etcd"), Reason::ForwardRefused),
        (Reply::Json(200, "{}".to_owned()), Reason::ProtocolError),
        (Reply::Json(200, " ".repeat(4 << 20)), Reason::ProtocolError),
        (
            pod_of("00000000-0000-0000-0000-000000000008", "", ""),
            Reason::PodReplaced,
        ),
        (
            pod_of(uid, r#""deletionTimestamp":"2026-01-01T00:00:00Z","#, ""),
            Reason::Terminating,
        ),
        (pod(r#""spec":{"hostNetwork":true},"#), Reason::HostNetworkRefused),
    ] {
        let cluster = Cluster::start(move |_, _| reply.clone()).await;
        assert_eq!(heap_through(&cluster).await, Err(reason));
        assert!(
            cluster
                .heads()
                .iter()
                .all(|head| head.starts_with("GET /api/v1/namespaces/team/pods/web-1 "))
        );
    }
}

#[tokio::test]
async fn an_api_server_that_says_nothing_is_given_up() {
    let cluster = Cluster::start(|_, _| Reply::Hang).await;
    assert_eq!(heap_with(hurried, &cluster).await, Err(Reason::TimedOut));
}

#[tokio::test]
async fn restarts_of_all_containers_count() {
    let cluster = Cluster::with_tunnel(Reply::Hang).await;
    let identity = capture::Access::identify(&cluster.access(), &job(PORT, &[]))
        .await
        .unwrap();
    assert_eq!(
        (identity.restarts, identity.terminating, identity.target),
        (3, false, crate::job::TARGET)
    );
}

#[tokio::test]
async fn a_pod_is_dialled_only_at_the_address_it_has() {
    let cluster = Cluster::with_tunnel(Reply::Hang).await;
    for (address, reason) in [
        (None, Reason::PodReplaced),
        (Some("10.9.9.9"), Reason::PodReplaced),
        (Some("127.0.0.1"), Reason::PodReplaced),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut job = job(PORT, &[ProfileType::Heap]);
        job.transport = Transport::PodIp;
        job.address = address.map(|one| one.parse().unwrap());
        let results = take(&job, &cluster.access(), &settings(folder.path())).await;
        assert_eq!(reasons(&results), [Some(reason)]);
    }
    let mut job = job(PORT, &[ProfileType::Heap]);
    job.transport = Transport::PodIp;
    job.address = Some("fd00::7".parse().unwrap());
    assert!(capture::Access::identify(&cluster.access(), &job).await.is_ok());
    job.address = Some("169.254.169.254".parse().unwrap());
    let refused = capture::Access::dial(&cluster.access(), &job).await.err().unwrap();
    assert_eq!(refused.reason, Reason::PortRefused);
}

#[tokio::test]
async fn failure_14_a_name_that_is_a_path_is_never_asked_for() {
    let cluster = Cluster::with_tunnel(Reply::Hang).await;
    for name in [
        "../../admin/secrets",
        "web-1/exec",
        "web-1?x=y",
        "",
        "..",
        "web 1",
        "web-1%2f..",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut job = job(PORT, &[ProfileType::Heap]);
        job.pod = name.into();
        let results = take(&job, &cluster.access(), &settings(folder.path())).await;
        assert_eq!(reasons(&results), [Some(Reason::InvalidSpec)]);
    }
    assert!(cluster.heads().is_empty());
}

#[tokio::test]
async fn an_api_server_that_is_away_is_said_as_such() {
    let cluster = Cluster::with_tunnel(Reply::Hang).await;
    let access = cluster.access();
    drop(cluster);
    let folder = tempfile::tempdir().unwrap();
    let results = take(&job(PORT, &[ProfileType::Heap]), &access, &settings(folder.path())).await;
    assert_eq!(reasons(&results), [Some(Reason::ForwardRefused)]);
}
