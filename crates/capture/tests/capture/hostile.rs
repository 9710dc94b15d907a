//! What targets do that should not reach a bucket. One case per answer; the names of the known failures first.

use std::path::Path;
use std::time::Duration;

use capture::Settings;
use planner::{ProfileType, Reason};

use crate::job::{files_in, hurried, job, settings, steady, take, take_one, take_one_with};
use crate::pprof::{gzip, heap, large_heap, message, profile};
use crate::server::{Server, Step, answer, chunk, head, ok};

async fn reason_of(steps: Vec<Step>) -> Reason {
    reason_with(settings, steps).await
}

async fn reason_in_a_hurry(steps: Vec<Step>) -> Reason {
    reason_with(hurried, steps).await
}

async fn reason_with(settings: fn(&Path) -> Settings, steps: Vec<Step>) -> Reason {
    let server = Server::always(steps).await;
    let failure = take_one_with(settings, server.port, ProfileType::Heap)
        .await
        .expect_err("nothing good comes of this");
    assert!(
        !failure.message.is_empty() && !failure.message.contains('\n'),
        "{failure:?}"
    );
    failure.reason
}

#[tokio::test]
async fn failure_14_redirects_are_never_followed() {
    let inside = Server::healthy().await;
    let location = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{}/debug/pprof/heap\r\nContent-Length: 0\r\n\r\n",
        inside.port
    );
    let server = Server::always(vec![Step::Send(location.into_bytes())]).await;
    let failure = take_one(server.port, ProfileType::Heap).await.unwrap_err();
    assert_eq!(failure.reason, Reason::Redirected);
    assert!(failure.message.contains("/debug/pprof/heap"), "{failure:?}");
    assert_eq!(server.targets(), ["/debug/pprof/heap"]);
    assert!(inside.seen().is_empty());
}

#[tokio::test]
async fn failure_15_an_endless_body_ends_at_its_limit() {
    let endless = Step::Endless(chunk(&[0x32; 16 << 10]));
    // Bytes that the check refuses end it earlier; these it takes, as one string after the other.
    let start = large_heap(4 << 20);
    let steps = vec![
        Step::Send(head(&["Transfer-Encoding: chunked"])),
        Step::Send(chunk(&start)),
        endless,
    ];
    assert_eq!(reason_of(steps).await, Reason::BodyTooLarge);
}

#[tokio::test]
async fn failure_15_an_announced_length_beyond_the_limit_is_not_read() {
    let steps = vec![Step::Send(head(&["Content-Length: 1099511627776"])), Step::Hang];
    assert_eq!(reason_of(steps).await, Reason::BodyTooLarge);
}

#[tokio::test]
async fn failure_15_a_gzip_bomb_is_not_a_profile() {
    // Two bytes a string: 8 Mi of them are more strings than any profile has.
    let bomb = gzip(&b"\x32\x00".repeat(8 << 20));
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    assert_eq!(reason_of(vec![Step::Send(ok(&bomb))]).await, Reason::NotAProfile);
}

#[tokio::test]
async fn failure_16_a_page_is_not_a_profile() {
    let page = b"<!doctype html><title>Sign in</title>";
    for kind in [
        "text/html; charset=utf-8",
        "TEXT/plain",
        "application/json",
        "application/octet-stream",
    ] {
        assert_eq!(
            reason_of(vec![Step::Send(answer("200 OK", kind, page))]).await,
            Reason::NotAProfile,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn failure_16_a_connection_that_breaks_is_not_a_shorter_profile() {
    let body = heap();
    let half = body[..body.len() / 2].to_vec();
    let length = format!("Content-Length: {}", body.len());
    let with_length = |end| vec![Step::Send(head(&[&length])), Step::Send(half.clone()), end];
    assert_eq!(reason_of(with_length(Step::Close)).await, Reason::Truncated);
    assert_eq!(reason_of(with_length(Step::Reset)).await, Reason::TunnelBroken);
    // Whole by its own format, and yet the last chunk is missing.
    let chunked = |end| {
        vec![
            Step::Send(head(&["Transfer-Encoding: chunked"])),
            Step::Send(chunk(&body)),
            end,
        ]
    };
    assert_eq!(reason_of(chunked(Step::Close)).await, Reason::Truncated);
    assert_eq!(reason_of(chunked(Step::Reset)).await, Reason::TunnelBroken);
    // Without length or chunks only the format can tell.
    let until_close = vec![Step::Send(head(&[])), Step::Send(half), Step::Close];
    assert_eq!(reason_of(until_close).await, Reason::Truncated);
}

#[tokio::test]
async fn a_body_until_close_counts_when_the_format_proves_its_end() {
    let server = Server::always(vec![Step::Send(head(&[])), Step::Send(heap()), Step::Close]).await;
    let (artifact, _folder) = take_one(server.port, ProfileType::Heap).await.unwrap();
    assert_eq!(artifact.bytes, heap().len() as u64);
    // HTTP/1.0 as well.
    let old = [b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), heap()].concat();
    let server = Server::always(vec![Step::Send(old), Step::Close]).await;
    assert!(take_one(server.port, ProfileType::Heap).await.is_ok());
    // Not after a reset.
    assert_eq!(
        reason_of(vec![Step::Send(head(&[])), Step::Send(heap()), Step::Reset]).await,
        Reason::TunnelBroken
    );
    // Not a profile that is not compressed, which could be cut anywhere between two fields.
    let plain = message(&[("inuse_space", "bytes")], &[]);
    assert_eq!(
        reason_of(vec![Step::Send(head(&[])), Step::Send(plain), Step::Close]).await,
        Reason::Truncated
    );
    // Not a trace, whose end nobody looks for.
    let server = Server::always(vec![
        Step::Send(head(&[])),
        Step::Send(b"go 1.26 trace".to_vec()),
        Step::Close,
    ])
    .await;
    assert_eq!(
        take_one(server.port, ProfileType::Trace).await.unwrap_err().reason,
        Reason::Truncated
    );
}

#[tokio::test]
async fn a_length_that_is_too_short_cuts_the_profile() {
    let body = heap();
    let steps = vec![
        Step::Send(head(&[&format!("Content-Length: {}", body.len() - 8)])),
        Step::Send(body),
    ];
    assert_eq!(reason_of(steps).await, Reason::Truncated);
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let half = [head(&["Content-Length: 1000"]), heap()].concat();
    assert_eq!(
        reason_in_a_hurry(vec![Step::Send(half), Step::Hang]).await,
        Reason::Stalled
    );
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let drip = Step::Drip(large_heap(64 << 10), Duration::from_millis(50));
    assert_eq!(
        reason_in_a_hurry(vec![Step::Send(head(&["Content-Length: 70000"])), drip]).await,
        Reason::TimedOut
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    assert_eq!(reason_in_a_hurry(vec![Step::Hang]).await, Reason::TimedOut);
    assert_eq!(reason_of(vec![Step::Close]).await, Reason::TunnelBroken);
    assert_eq!(reason_of(vec![Step::Reset]).await, Reason::TunnelBroken);
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    assert_eq!(
        reason_of(vec![Step::Send(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()), Step::Hang]).await,
        Reason::ProtocolError
    );
    assert_eq!(
        reason_of(vec![Step::Send(vec![0xff; 4_096]), Step::Close]).await,
        Reason::ProtocolError
    );
    let bad_chunk = [head(&["Transfer-Encoding: chunked"]), b"zz\r\n".to_vec()].concat();
    assert_eq!(
        reason_of(vec![Step::Send(bad_chunk), Step::Hang]).await,
        Reason::ProtocolError
    );
}

#[tokio::test]
async fn a_head_without_end_is_a_protocol_error() {
    let one_line = vec![
        Step::Send(b"HTTP/1.1 200 OK\r\nX: ".to_vec()),
        Step::Endless(vec![b'x'; 1_024]),
    ];
    assert_eq!(reason_of(one_line).await, Reason::ProtocolError);
    let many_lines = vec![
        Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Step::Endless(b"X: y\r\n".to_vec()),
    ];
    assert_eq!(reason_of(many_lines).await, Reason::ProtocolError);
}

#[tokio::test]
async fn garbage_and_other_formats_are_no_profiles() {
    for body in [
        vec![0xaa; 3_000],
        Vec::new(),
        vec![0x1f, 0x8b, 8, 0],
        gzip(b""),
        gzip(b"<html>"),
    ] {
        let reason = reason_of(vec![Step::Send(ok(&body))]).await;
        assert!(
            matches!(reason, Reason::NotAProfile | Reason::Truncated),
            "{body:?}: {reason:?}"
        );
    }
    let mut damaged = heap();
    let crc = damaged.len() - 6;
    damaged[crc] ^= 1;
    assert_eq!(reason_of(vec![Step::Send(ok(&damaged))]).await, Reason::NotAProfile);
    let twice = [head(&["Content-Encoding: gzip"]), gzip(&heap())].concat();
    assert_eq!(
        reason_of(vec![Step::Send(twice), Step::Close]).await,
        Reason::NotAProfile
    );
    let server = Server::always(vec![Step::Send(ok(&heap()))]).await;
    assert_eq!(
        take_one(server.port, ProfileType::Trace).await.unwrap_err().reason,
        Reason::NotAProfile
    );
}

#[tokio::test]
async fn a_profile_of_another_type_is_refused() {
    let server = Server::always(vec![Step::Send(ok(&profile(&[("goroutine", "count")])))]).await;
    let failure = take_one(server.port, ProfileType::Heap).await.unwrap_err();
    assert_eq!(failure.reason, Reason::WrongProfileType);
    assert!(failure.message.contains("goroutine"), "{failure:?}");
}

#[tokio::test]
async fn statuses_have_their_reasons() {
    let text = "text/plain";
    let status = |line: &str, body: &[u8]| vec![Step::Send(answer(line, text, body))];
    assert_eq!(
        reason_of(status("404 Not Found", b"404 page not found\n")).await,
        Reason::ProfileNotFound
    );
    assert_eq!(
        reason_of(status("401 Unauthorized", b"who?")).await,
        Reason::UnexpectedStatus
    );
    assert_eq!(
        reason_of(status("503 Unavailable", b"")).await,
        Reason::UnexpectedStatus
    );
    assert_eq!(
        reason_of(status("206 Partial Content", &heap())).await,
        Reason::UnexpectedStatus
    );
    assert_eq!(
        reason_of(status("500 Oops", &[b'x'; 100_000])).await,
        Reason::UnexpectedStatus
    );
    let endless = vec![
        Step::Send(b"HTTP/1.1 500 Oops\r\n\r\n".to_vec()),
        Step::Endless(vec![b'x'; 512]),
    ];
    assert_eq!(reason_of(endless).await, Reason::UnexpectedStatus);
}

#[tokio::test]
async fn nothing_at_the_port_is_said_as_such() {
    let server = Server::healthy().await;
    let port = server.port;
    drop(server);
    // The listener goes with its task, at the next turn of the runtime.
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        take_one(port, ProfileType::Heap).await.unwrap_err().reason,
        Reason::ConnectionRefused
    );
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_said_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::healthy().await;
    let settings = settings(&folder.path().join("missing"));
    let results = take(&job(server.port, &[ProfileType::Heap]), &steady(), &settings).await;
    assert_eq!(results[0].1.as_ref().unwrap_err().reason, Reason::SpoolUnavailable);
    assert_eq!(files_in(folder.path()), 0);
}
