//! versitygw as the store of these tests: a config's policy and settings that fit it.

use std::path::PathBuf;
use std::sync::Once;

use planner::StorePolicy;
use store::{Environment, StoreSettings, Stores};
pub(crate) use testkit::s3::{BUCKET, KEY, SECRET, Server, objects_in};

/// The policy of a config that stores at `address`.
pub(crate) fn policy(address: &str) -> StorePolicy {
    StorePolicy {
        bucket: BUCKET.into(),
        prefix: "profiles".into(),
        region: None,
        endpoint: Some(format!("http://{address}").into()),
    }
}

/// Settings that allow `address` and have the server's keys, with short waits.
pub(crate) fn settings(address: &str) -> StoreSettings {
    static TLS: Once = Once::new();
    TLS.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    StoreSettings {
        allowed_endpoints: vec![format!("http://{address}")],
        allow_http: true,
        environment: Environment::from_pairs([("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)]),
        ..StoreSettings::default()
    }
}

pub(crate) fn stores(address: &str) -> Stores {
    Stores::new(settings(address))
}

#[expect(clippy::disallowed_methods, reason = "a test's own small file")]
pub(crate) fn read(path: PathBuf) -> Vec<u8> {
    std::fs::read(path).unwrap()
}
