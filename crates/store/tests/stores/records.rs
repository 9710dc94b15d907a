//! Records, in both kinds of store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use planner::{CaptureJob, ProfileType, Reason, Scope, StorePolicy, Wall};
use store::{Record, RecordState, RecordType, Store, StoreSettings, Stores};
use tempfile::TempDir;

use crate::jobs::{DECIDED_AT, job};
use crate::server::{Server, objects_in, policy, stores};

fn at(id: u64, namespace: &str, seconds: i64, store: &StorePolicy) -> CaptureJob {
    let decided_at = Wall(DECIDED_AT.0 + seconds * 1_000);
    CaptureJob {
        namespace: namespace.into(),
        decided_at,
        ..job(id, store.clone())
    }
}

fn ids(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.capture_id.0).collect()
}

async fn story(store: &Store, policy: &StorePolicy, files: PathBuf) {
    let (shop, all) = (Scope::Namespace("shop".into()), Scope::All);
    let now = Wall(DECIDED_AT.0 + 90_000);
    let since = |scope: Scope, seconds: i64, limit: usize| async move {
        let since = Wall(DECIDED_AT.0 + seconds * 1_000);
        store
            .records_since(&policy.prefix, &scope, since, now, limit)
            .await
            .unwrap()
    };
    assert_eq!(since(all.clone(), -100, 10).await, [], "nothing was ever stored");

    // The day before, two in the namespace, one in another one.
    let old = at(1, "shop", -36_006, policy);
    let jobs = [
        old,
        at(2, "shop", 0, policy),
        at(3, "shop", 60, policy),
        at(4, "other", 30, policy),
    ];
    for job in &jobs {
        store.put_record(job, &Record::started(job)).await.unwrap();
    }
    assert_eq!(ids(&since(shop.clone(), 0, 10).await), [3, 2]);
    assert_eq!(ids(&since(all.clone(), 0, 10).await), [3, 4, 2]);
    assert_eq!(ids(&since(all.clone(), 1, 10).await), [3, 4]);
    assert_eq!(ids(&since(all.clone(), -40_000, 10).await), [3, 4, 2, 1]);
    assert_eq!(ids(&since(all.clone(), -40_000, 2).await), [3, 4]);
    assert_eq!(since(Scope::Namespace("sho".into()), -40_000, 2).await, []);

    // Overwritten, not added.
    let failed = RecordType::failed(ProfileType::Heap, Reason::TimedOut, "too late", DECIDED_AT, 5_000);
    let complete = Record::started(&jobs[2]).with_type(failed).complete();
    store.put_record(&jobs[2], &complete).await.unwrap();
    let read = since(shop.clone(), 60, 10).await;
    assert_eq!(read, [complete]);
    assert_eq!(read[0].state, RecordState::Complete);
    assert_eq!(objects_in(&files.clone()).unwrap().len(), 4);

    // What others put there is passed over.
    let day = files.join("profiles/_captures/2026-11-23/shop/cart");
    std::fs::write(
        day.join("100135_cart-1_on-demand_h_0000000000000009.json"),
        "{ not a record",
    )
    .unwrap();
    std::fs::write(day.join("README.md"), "hello").unwrap();
    assert_eq!(ids(&since(shop, 0, 10).await), [3, 2]);
}

#[tokio::test]
async fn records_in_a_bucket() {
    let server = Server::start().unwrap();
    let policy = policy(&server.address);
    story(&stores(&server.address).open(&policy).unwrap(), &policy, server.files()).await;
}

#[tokio::test]
async fn records_in_a_folder() {
    let root = TempDir::new().unwrap();
    let policy = crate::folder::policy("bucket");
    story(&folder(root.path(), &policy), &policy, root.path().join("bucket")).await;
}

#[tokio::test]
async fn a_listing_of_several_pages_is_read_to_its_end() {
    let server = Server::start().unwrap();
    let policy = policy(&server.address);
    let store = stores(&server.address).open(&policy).unwrap();
    let day = server.files().join("profiles/_captures/2026-11-23/shop/cart");
    std::fs::create_dir_all(&day).unwrap();
    for id in 0..2_300_u64 {
        let record = serde_json::to_vec(&Record::started(&job(id, policy.clone()))).unwrap();
        let (minutes, seconds) = (id / 60, id % 60);
        std::fs::write(
            day.join(format!("10{minutes:02}{seconds:02}_p_on-demand_h_{id:016x}.json")),
            record,
        )
        .unwrap();
    }
    let records = store
        .records_since("profiles", &Scope::All, DECIDED_AT, Wall(DECIDED_AT.0 + 3_600_000), 30)
        .await
        .unwrap();
    assert_eq!(ids(&records), (2_270..2_300).rev().collect::<Vec<_>>());
}

fn folder(root: &Path, policy: &StorePolicy) -> Arc<Store> {
    let settings = StoreSettings {
        folder_root: Some(root.to_owned()),
        ..StoreSettings::default()
    };
    Stores::new(settings).open(policy).unwrap()
}
