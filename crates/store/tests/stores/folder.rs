//! A folder as a store.

use std::path::Path;

use planner::{Reason, StorePolicy};
use store::{StoreError, StoreSettings, Stores};
use tempfile::TempDir;

use crate::jobs::{Spooled, job, put};
use crate::server::{objects_in, read};

fn stores(root: &Path) -> Stores {
    Stores::new(StoreSettings {
        folder_root: Some(root.to_owned()),
        ..StoreSettings::default()
    })
}

pub(crate) fn policy(bucket: &str) -> StorePolicy {
    StorePolicy {
        bucket: bucket.into(),
        prefix: "profiles".into(),
        region: None,
        endpoint: None,
    }
}

const FIRST: &str = "profiles/2026-11-23/cart/20261123-100005-heap.pprof";
const SECOND: &str = "profiles/2026-11-23/cart/20261123-100005-heap-cart-1-0000000000000002.pprof";

#[tokio::test]
async fn a_bucket_is_a_folder_and_no_bucket_the_root() {
    let root = TempDir::new().unwrap();
    let stores = stores(root.path());
    let spooled = Spooled::of_size(200_000);
    for bucket in ["bucket", ""] {
        let store = stores.open(&policy(bucket)).unwrap();
        let stored = put(&store, 1, policy(bucket), &spooled).await.unwrap();
        assert_eq!(
            (stored.key.as_str(), stored.bytes, stored.sha256),
            (FIRST, spooled.bytes, spooled.sha256)
        );
        store.probe().await.unwrap();
    }
    assert_eq!(
        objects_in(root.path()).unwrap(),
        [format!("bucket/{FIRST}"), FIRST.to_owned()]
    );
    assert_eq!(read(root.path().join(FIRST)), read(spooled.file.path().to_owned()));
}

#[tokio::test]
async fn failure_19_in_a_folder_nothing_is_overwritten() {
    let root = TempDir::new().unwrap();
    let store = stores(root.path()).open(&policy("")).unwrap();
    let (one, other) = (Spooled::new(b"one"), Spooled::new(b"other"));
    assert_eq!(put(&store, 1, policy(""), &one).await.unwrap().key, FIRST);
    assert_eq!(put(&store, 2, policy(""), &other).await.unwrap().key, SECOND);
    // Retries are harmless under either name.
    assert_eq!(put(&store, 1, policy(""), &one).await.unwrap().key, FIRST);
    assert_eq!(put(&store, 2, policy(""), &other).await.unwrap().key, SECOND);
    assert_eq!(
        objects_in(root.path()).unwrap(),
        [SECOND, FIRST],
        "and nothing temporary is left"
    );
    assert_eq!(read(root.path().join(FIRST)), b"one");
    let error = put(&store, 2, policy(""), &Spooled::new(b"third")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::KeyConflict);
}

#[tokio::test]
async fn of_many_at_once_every_one_is_kept() {
    let root = TempDir::new().unwrap();
    let store = stores(root.path()).open(&policy("")).unwrap();
    let bodies: Vec<_> = (0..32_u64)
        .map(|id| (id, Spooled::new(format!("body {id}").as_bytes())))
        .collect();
    let puts = bodies.iter().map(|(id, body)| {
        let (job, store) = (job(*id, policy("")), &store);
        async move { store.put_profile(&job, body.body()).await.unwrap().key }
    });
    let keys = futures::future::join_all(puts).await;
    for ((id, _), key) in bodies.iter().zip(&keys) {
        assert_eq!(read(root.path().join(key)), format!("body {id}").into_bytes());
    }
}

#[tokio::test]
async fn nothing_leaves_the_folder() {
    let root = TempDir::new().unwrap();
    let stores = stores(root.path());
    for bucket in ["..", ".", "/etc", "a/b", "a/"] {
        assert_eq!(
            stores.open(&policy(bucket)).unwrap_err().reason(),
            Reason::StorageMisconfigured,
            "{bucket}"
        );
    }
    for prefix in ["..", "../x", "a/../../x", "/etc", "a//b"] {
        let policy = StorePolicy {
            prefix: prefix.into(),
            ..policy("")
        };
        let store = stores.open(&self::policy("")).unwrap();
        let error = store
            .put_profile(&job(1, policy), Spooled::new(b"x").body())
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::StorageMisconfigured, "{prefix}");
    }
    assert_eq!(objects_in(root.path()).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_body_that_changed_or_is_gone_is_not_stored() {
    let root = TempDir::new().unwrap();
    let store = stores(root.path()).open(&policy("")).unwrap();
    let spooled = Spooled::of_size(20_000);
    let other = store::ProfileBody {
        sha256: [7; 32],
        ..spooled.body()
    };
    let error = store.put_profile(&job(1, policy("")), other).await.unwrap_err();
    assert!(matches!(error, StoreError::BodyChanged { .. }), "{error}");
    let gone = store::ProfileBody {
        path: Path::new("/nowhere/body"),
        ..spooled.body()
    };
    let error = store.put_profile(&job(1, policy("")), gone).await.unwrap_err();
    assert_eq!(error.reason(), Reason::SpoolUnavailable);
    assert_eq!(objects_in(root.path()).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_unavailable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let store = stores(file.path()).open(&policy("bucket")).unwrap();
    assert_eq!(store.probe().await.unwrap_err().reason(), Reason::StorageUnavailable);
    let error = put(&store, 1, policy("bucket"), &Spooled::new(b"x")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::StorageUnavailable);
}
