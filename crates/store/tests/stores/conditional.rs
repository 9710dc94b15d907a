//! Created, never overwritten.

use planner::Reason;
use store::StoreError;

use crate::jobs::{Spooled, job, put};
use crate::server::{BUCKET, KEY, SECRET, Server, policy, read, settings, stores};

const FIRST: &str = "profiles/2026-11-23/cart/20261123-100005-heap.pprof";

#[tokio::test]
async fn a_profile_lies_under_the_seeds_key() {
    let server = Server::start().unwrap();
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let spooled = Spooled::of_size(100_000);
    let stored = put(&store, 1, policy(&server.address), &spooled).await.unwrap();
    assert_eq!(
        (stored.key.as_str(), stored.bytes, stored.sha256),
        (FIRST, spooled.bytes, spooled.sha256)
    );
    assert_eq!(server.objects().unwrap(), [FIRST]);
    assert_eq!(read(server.files().join(FIRST)), content(&spooled));
}

fn content(spooled: &Spooled) -> Vec<u8> {
    read(spooled.file.path().to_owned())
}

#[tokio::test]
async fn failure_19_two_replicas_in_one_second_are_two_objects() {
    let server = Server::start().unwrap();
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let (one, other) = (Spooled::new(b"one"), Spooled::new(b"other"));
    let first = put(&store, 1, policy(&server.address), &one).await.unwrap();
    let second = put(&store, 2, policy(&server.address), &other).await.unwrap();
    assert_eq!(first.key, FIRST);
    assert_eq!(
        second.key,
        "profiles/2026-11-23/cart/20261123-100005-heap-cart-1-0000000000000002.pprof"
    );
    assert_eq!(read(server.files().join(&first.key)), b"one");
    assert_eq!(read(server.files().join(&second.key)), b"other");
}

#[tokio::test]
async fn failure_19_equal_bytes_of_two_replicas_are_two_objects() {
    let server = Server::start().unwrap();
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let spooled = Spooled::new(b"the same");
    let mut keys = Vec::new();
    for id in [1, 2] {
        let job = job(id, policy(&server.address));
        keys.push(store.put_profile(&job, spooled.body()).await.unwrap().key);
    }
    assert_eq!(
        keys,
        [
            FIRST,
            "profiles/2026-11-23/cart/20261123-100005-heap-cart-1-0000000000000002.pprof"
        ]
    );
    assert_eq!(server.objects().unwrap().len(), 2);
}

#[tokio::test]
async fn the_same_capture_again_is_the_same_object() {
    let server = Server::start().unwrap();
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let job = job(1, policy(&server.address));
    let spooled = Spooled::of_size(70_000);
    let first = store.put_profile(&job, spooled.body()).await.unwrap();
    assert_eq!(store.put_profile(&job, spooled.body()).await.unwrap(), first);
    // Another leader took the same capture a moment earlier: what lies there is what is reported.
    let again = store
        .put_profile(&job, Spooled::new(b"other bytes").body())
        .await
        .unwrap();
    assert_eq!(again, first);
    assert_eq!(server.objects().unwrap(), [FIRST]);
}

#[tokio::test]
async fn failure_23_a_conflict_is_never_a_success() {
    let server = Server::start().unwrap();
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let mut job = job(1, policy(&server.address));
    let names = planner::keys::profile_keys(&job, planner::ProfileType::Heap);
    for name in &names {
        let path = server.files().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "somebody else's").unwrap();
        // What makes a file an object to the server.
        rustix::fs::setxattr(&path, "user.etag", b"0123", rustix::fs::XattrFlags::empty()).unwrap();
    }
    let error = store.put_profile(&job, Spooled::new(b"mine").body()).await.unwrap_err();
    assert!(matches!(&error, StoreError::KeyConflict { first, second } if [first, second] == [&names[0], &names[1]]));
    assert_eq!((error.reason(), error.is_retryable()), (Reason::KeyConflict, false));
    assert_eq!(
        names.map(|name| read(server.files().join(&name))),
        [b"somebody else's", b"somebody else's"]
    );
    job.decided_at.0 += 1_000;
    store.put_profile(&job, Spooled::new(b"mine").body()).await.unwrap();
}

#[tokio::test]
async fn of_many_at_once_every_one_is_kept() {
    let server = Server::start().unwrap();
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let bodies: Vec<_> = (0..16_u64)
        .map(|id| (id, Spooled::new(format!("body {id}").as_bytes())))
        .collect();
    let puts = bodies.iter().map(|(id, body)| {
        let job = job(*id, policy(&server.address));
        let store = &store;
        async move { store.put_profile(&job, body.body()).await.unwrap().key }
    });
    let keys = futures::future::join_all(puts).await;
    for ((id, _), key) in bodies.iter().zip(&keys) {
        assert_eq!(read(server.files().join(key)), format!("body {id}").into_bytes());
    }
    assert_eq!(server.objects().unwrap().len(), 16);
}

#[tokio::test]
async fn failure_20_slashes_in_labels_do_not_fail_the_upload() {
    let server = Server::start().unwrap();
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let mut job = job(1, policy(&server.address));
    job.service = "app.kubernetes.io/name=cart äöü\r\nx-amz-acl: public-read".into();
    job.node = "n".repeat(5_000).into();
    let stored = store.put_profile(&job, Spooled::new(b"x").body()).await.unwrap();
    assert_eq!(
        stored.key,
        "profiles/2026-11-23/app.kubernetes.io-name-cart------x-amz-acl--public-read/20261123-100005-heap.pprof"
    );
    // Facts can be read back: the second put recognises the first as its own.
    assert_eq!(
        store.put_profile(&job, Spooled::new(b"y").body()).await.unwrap(),
        stored
    );
}

#[tokio::test]
async fn failure_21_a_prefix_is_used_as_written() {
    let server = Server::start().unwrap();
    let stores = stores(&server.address);
    let spooled = Spooled::new(b"x");
    for prefix in ["team a/ümlaut", "50%/a+b=c&d", "~tilde*'(x)!", "a.b/..c"] {
        let policy = planner::StorePolicy {
            prefix: prefix.into(),
            ..policy(&server.address)
        };
        let stored = stores
            .open(&policy)
            .unwrap()
            .put_profile(&job(1, policy), spooled.body())
            .await
            .unwrap();
        assert!(
            stored.key.starts_with(&format!("{prefix}/2026-11-23/")),
            "{}",
            stored.key
        );
        assert_eq!(read(server.files().join(&stored.key)), b"x");
    }
    for prefix in ["../etc", "a/../b", "a/./b", "/a", "a/", "a\nb"] {
        let policy = planner::StorePolicy {
            prefix: prefix.into(),
            ..policy(&server.address)
        };
        assert_eq!(
            stores.open(&policy).unwrap_err().reason(),
            Reason::StorageMisconfigured,
            "{prefix}"
        );
    }
}

#[tokio::test]
async fn wrong_keys_are_denied_and_a_missing_bucket_is_named_at_once() {
    let server = Server::start().unwrap();
    let spooled = Spooled::new(b"x");
    let mut wrong = settings(&server.address);
    wrong.environment =
        store::Environment::from_pairs([("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", "something else")]);
    let store = store::Stores::new(wrong).open(&policy(&server.address)).unwrap();
    let error = put(&store, 1, policy(&server.address), &spooled).await.unwrap_err();
    assert_eq!(
        (error.reason(), error.is_retryable()),
        (Reason::StorageDenied, false),
        "{error}"
    );
    assert_eq!(store.probe().await.unwrap_err().reason(), Reason::StorageDenied);
    assert!(!format!("{error:?}").contains(SECRET));

    let missing = planner::StorePolicy {
        bucket: "not-there".into(),
        ..policy(&server.address)
    };
    let store = stores(&server.address).open(&missing).unwrap();
    let error = store.put_profile(&job(1, missing), spooled.body()).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::BucketNotFound { bucket } if bucket == "not-there"),
        "{error}"
    );
    assert_eq!(store.probe().await.unwrap_err().reason(), Reason::BucketNotFound);
    assert_eq!(server.objects().unwrap(), Vec::<String>::new());
    assert_eq!(BUCKET, &*policy(&server.address).bucket);
}

#[tokio::test]
async fn a_body_that_changed_since_its_check_is_not_stored() {
    let server = Server::start().unwrap();
    let store = stores(&server.address).open(&policy(&server.address)).unwrap();
    let spooled = Spooled::of_size(20_000);
    let longer = store::ProfileBody {
        bytes: 20_001,
        ..spooled.body()
    };
    let error = store
        .put_profile(&job(1, policy(&server.address)), longer)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::SpoolUnavailable);
    let other = store::ProfileBody {
        sha256: [7; 32],
        ..spooled.body()
    };
    let error = store
        .put_profile(&job(1, policy(&server.address)), other)
        .await
        .unwrap_err();
    assert_eq!(
        (error.reason(), error.is_retryable()),
        (Reason::SpoolUnavailable, false),
        "{error}"
    );
    assert_eq!(server.objects().unwrap(), Vec::<String>::new());
}
