//! Stores and networks that fail.

use std::time::Duration;

use planner::Reason;
use store::{StoreError, StoreSettings, Stores};
use testkit::soak;

use crate::jobs::{Spooled, job, put};
use crate::proxy::{Fault, Proxy};
use crate::scripted::{Scripted, answer, error};
use crate::server::{Server, policy, read, settings, stores};

const FIRST: &str = "profiles/2026-11-23/cart/20261123-100005-heap.pprof";

/// Few enough to count.
fn two_attempts(address: &str) -> StoreSettings {
    StoreSettings {
        attempts_max: 2,
        ..settings(address)
    }
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_looking() {
    let server = Server::start().unwrap();
    let proxy = Proxy::before(&server.address, [Fault::LoseAnswer]).await;
    let store = stores(&proxy.address).open(&policy(&proxy.address)).unwrap();
    let spooled = Spooled::of_size(200_000);
    let stored = put(&store, 1, policy(&proxy.address), &spooled).await.unwrap();
    assert_eq!(
        (stored.key.as_str(), stored.bytes, stored.sha256),
        (FIRST, spooled.bytes, spooled.sha256)
    );
    assert_eq!(server.objects().unwrap(), [FIRST]);
    assert_eq!(proxy.connections(), 2, "one upload and one look, no second upload");
}

/// `SOAK=1` cuts at every byte of the request; otherwise at a spread of them that holds both ends.
#[tokio::test]
async fn cut_anywhere_there_is_one_whole_object_or_none() {
    let server = Server::start().unwrap();
    let spooled = Spooled::of_size(3_000);
    let whole = read(spooled.file.path().to_owned());
    // Head and body together have about 4,200 bytes; past the end nothing is cut.
    for offset in (1..4_500).step_by(soak::step(211)) {
        let proxy = Proxy::before(&server.address, [Fault::CutAfter(offset)]).await;
        let policy = planner::StorePolicy {
            prefix: format!("at-{offset}").into(),
            ..policy(&proxy.address)
        };
        let job = job(1, policy.clone());
        // A process that is killed makes one attempt.
        let once = Stores::new(StoreSettings {
            attempts_max: 1,
            ..settings(&proxy.address)
        });
        let first = once.open(&policy).unwrap().put_profile(&job, spooled.body()).await;
        let key = format!("at-{offset}/2026-11-23/cart/20261123-100005-heap.pprof");
        let path = server.files().join(&key);
        assert!(
            !path.exists() || read(path.clone()) == whole,
            "part of an object after a cut at {offset}"
        );
        assert!(
            first.is_err() || path.exists(),
            "success without an object after a cut at {offset}"
        );
        // The process that comes after it.
        let again = once
            .open(&policy)
            .unwrap()
            .put_profile(&job, spooled.body())
            .await
            .unwrap();
        assert_eq!(again.key, key);
        assert_eq!(read(path), whole);
    }
}

#[tokio::test]
async fn a_silent_store_costs_its_deadline_and_no_more() {
    let server = Server::start().unwrap();
    let proxy = Proxy::before(
        &server.address,
        [Fault::Silence, Fault::Silence, Fault::Silence, Fault::Silence],
    )
    .await;
    let settings = StoreSettings {
        stall_timeout: Duration::from_millis(150),
        ..two_attempts(&proxy.address)
    };
    let store = Stores::new(settings).open(&policy(&proxy.address)).unwrap();
    let error = put(&store, 1, policy(&proxy.address), &Spooled::of_size(500_000))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::TimedOut { .. }), "{error}");
    assert_eq!(
        (error.reason(), error.is_retryable()),
        (Reason::StorageUnavailable, true)
    );
    assert_eq!(server.objects().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn nobody_listening_is_tried_again_and_reported() {
    // Bound, and closed again: nobody else is given the port so soon.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let store = Stores::new(two_attempts(&address)).open(&policy(&address)).unwrap();
    let error = put(&store, 1, policy(&address), &Spooled::new(b"x")).await.unwrap_err();
    assert!(matches!(error, StoreError::NoAnswer { .. }), "{error}");
    assert_eq!(error.reason(), Reason::StorageUnavailable);
    assert_eq!(store.probe().await.unwrap_err().reason(), Reason::StorageUnavailable);
}

#[tokio::test]
async fn failure_22_a_store_that_is_busy_is_asked_again() {
    let server = Scripted::start(|number, _| match number {
        0 => error("503 Slow Down", "SlowDown"),
        1 => answer("429 Too Many Requests", "Retry-After: 0\r\n", ""),
        2 => error("400 Bad Request", "RequestTimeout"),
        3 => error("500 Internal Server Error", "InternalError"),
        _ => answer("200 OK", "", ""),
    })
    .await;
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let spooled = Spooled::of_size(50_000);
    put(&store, 1, policy(&server.address), &spooled).await.unwrap();
    assert_eq!(server.methods(), ["PUT"; 5]);
    let whole = read(spooled.file.path().to_owned());
    assert!(
        server.seen().iter().all(|one| one.body == whole),
        "every attempt sends the whole body"
    );
}

#[tokio::test]
async fn failure_23_a_conflict_is_settled_by_looking_and_ends() {
    // A conflict without an object: another writer gave up, or is not done.
    let server = Scripted::start(|_, request| {
        if request.head.starts_with("head") {
            answer("404 Not Found", "", "")
        } else {
            error("409 Conflict", "ConditionalRequestConflict")
        }
    })
    .await;
    let store = Stores::new(two_attempts(&server.address))
        .open(&policy(&server.address))
        .unwrap();
    let failed = put(&store, 1, policy(&server.address), &Spooled::new(b"x"))
        .await
        .unwrap_err();
    assert!(matches!(failed, StoreError::Status { status: 409, .. }), "{failed}");
    assert_eq!(server.methods(), ["PUT", "HEAD", "PUT", "HEAD"]);
}

#[tokio::test]
async fn without_the_right_to_look_a_conflict_goes_to_the_name_of_its_own() {
    let server = Scripted::start(|_, request| {
        if request.head.starts_with("head") {
            answer("403 Forbidden", "", "")
        } else if request.head.contains("-heap.pprof ") {
            error("412 Precondition Failed", "PreconditionFailed")
        } else {
            answer("200 OK", "", "")
        }
    })
    .await;
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let stored = put(&store, 1, policy(&server.address), &Spooled::new(b"x"))
        .await
        .unwrap();
    assert!(
        stored.key.ends_with("-heap-cart-1-0000000000000001.pprof"),
        "{}",
        stored.key
    );
    assert_eq!(server.methods(), ["PUT", "HEAD", "PUT"]);
}

#[tokio::test]
async fn a_200_with_an_error_in_it_is_an_error() {
    let server = Scripted::start(|_, _| error("200 OK", "InternalError")).await;
    let store = Stores::new(two_attempts(&server.address))
        .open(&policy(&server.address))
        .unwrap();
    let failed = put(&store, 1, policy(&server.address), &Spooled::new(b"x"))
        .await
        .unwrap_err();
    assert!(
        failed.to_string().contains("status 200 with the error InternalError"),
        "{failed}"
    );
    assert_eq!(server.methods(), ["PUT"; 2]);
}

#[tokio::test]
async fn a_record_is_written_and_read_past_a_busy_store() {
    let server = Scripted::start(|number, request| match (number, request.head.starts_with("get")) {
        (0, _) => error("200 OK", "SlowDown"),
        (1 | 3, _) => error("503 Slow Down", "SlowDown"),
        (_, true) => answer(
            "200 OK",
            "",
            "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
        ),
        _ => answer("200 OK", "", ""),
    })
    .await;
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let job = job(1, policy(&server.address));
    store.put_record(&job, &store::Record::started(&job)).await.unwrap();
    store.probe().await.unwrap();
    assert_eq!(server.methods(), ["PUT", "PUT", "PUT", "GET", "GET"]);
}

#[tokio::test]
async fn failure_14_redirects_are_never_followed() {
    let elsewhere = Scripted::start(|_, _| answer("200 OK", "", "")).await;
    let target = format!(
        "Location: http://{}/\r\nx-amz-bucket-region: eu-west-1\r\n",
        elsewhere.address
    );
    let server = Scripted::start(move |_, _| answer("307 Temporary Redirect", &target, "")).await;
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let failed = put(&store, 1, policy(&server.address), &Spooled::new(b"x"))
        .await
        .unwrap_err();
    assert_eq!(
        (failed.reason(), failed.is_retryable()),
        (Reason::BucketNotFound, false)
    );
    assert!(
        failed.to_string().contains("set spec.s3Config.region to eu-west-1"),
        "{failed}"
    );
    // A request without a body is one that a client would follow with.
    assert_eq!(store.probe().await.unwrap_err().reason(), Reason::BucketNotFound);
    assert_eq!(
        (server.methods(), elsewhere.methods().len()),
        (vec!["PUT".to_owned(), "GET".to_owned()], 0)
    );
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let server = Scripted::start(|_, _| answer("500 Internal Server Error", "", &"x".repeat(1 << 20))).await;
    let store = Stores::new(two_attempts(&server.address))
        .open(&policy(&server.address))
        .unwrap();
    let failed = put(&store, 1, policy(&server.address), &Spooled::new(b"x"))
        .await
        .unwrap_err();
    assert!(failed.to_string().contains("too large"), "{failed}");
}

#[tokio::test]
async fn failure_32_the_object_is_the_file_and_says_so() {
    let server = Scripted::start(|_, _| answer("200 OK", "", "")).await;
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let mut job = job(1, policy(&server.address));
    (job.pod, job.service, job.node) = ("p".repeat(253).into(), "s".repeat(253).into(), "n".repeat(253).into());
    (job.container, job.config_name) = ("c".repeat(63).into(), "f".repeat(253).into());
    let types: Vec<String> = (0..100).map(|at| format!("type-{at}/count")).collect();
    let spooled = Spooled::new(b"\x1f\x8b gzip");
    store
        .put_profile(
            &job,
            store::ProfileBody {
                sample_types: &types,
                ..spooled.body()
            },
        )
        .await
        .unwrap();
    let request = &server.seen()[0];
    assert_eq!(request.header("content-type"), Some("application/octet-stream"));
    assert_eq!(
        (request.header("content-encoding"), request.header("transfer-encoding")),
        (None, None)
    );
    assert_eq!(request.header("content-length"), Some("7"));
    assert_eq!(request.header("if-none-match"), Some("*"));
    let metadata: Vec<(&str, &str)> = request
        .head
        .lines()
        .filter_map(|line| line.strip_prefix("x-amz-meta-")?.split_once(": "))
        .collect();
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(bytes <= 2_048, "{bytes} bytes of metadata");
    let plain = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit();
    assert!(metadata.iter().all(|(name, _)| name.bytes().all(plain)), "{metadata:?}");
    for name in [
        "captureid",
        "sha256",
        "namespace",
        "pod",
        "poduid",
        "reason",
        "config",
        "node",
        "decidedat",
        "samples",
    ] {
        assert!(
            metadata.iter().any(|(one, _)| *one == name),
            "no {name} in {metadata:?}"
        );
    }
}

#[tokio::test]
async fn failure_21_empty_segments_of_a_prefix_reach_the_store() {
    let server = Scripted::start(|_, _| answer("200 OK", "", "")).await;
    let policy = planner::StorePolicy {
        prefix: "a//b".into(),
        ..policy(&server.address)
    };
    let store = stores(&server.address).open(&policy).unwrap();
    let job = job(1, policy);
    store.put_profile(&job, Spooled::new(b"x").body()).await.unwrap();
    store.put_record(&job, &store::Record::started(&job)).await.unwrap();
    let paths: Vec<String> = server
        .seen()
        .iter()
        .map(|one| one.head.split(' ').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(paths[0], "/profiles/a//b/2026-11-23/cart/20261123-100005-heap.pprof");
    assert!(
        paths[1].starts_with("/profiles/a//b/_captures/2026-11-23/shop/cart/100005_cart-1_"),
        "{}",
        paths[1]
    );
}
