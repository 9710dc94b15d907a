//! Captures to store, and bodies to store for them.

use std::io::Write;

use planner::{
    Basis, CaptureId, CaptureJob, ConfigId, ProfileType, Resource, StorePolicy, TargetId, Transport, Trigger, Wall,
};
use sha2::{Digest, Sha256};
use store::{ProfileBody, Store, StoreError, StoredKey};
use tempfile::NamedTempFile;

/// 2026-11-23 10:00:05 UTC.
pub(crate) const DECIDED_AT: Wall = Wall(1_795_428_005_000);

/// A capture of the pod `cart-1` of service `cart` in namespace `shop`; captures differ by their id.
pub(crate) fn job(id: u64, store: StorePolicy) -> CaptureJob {
    CaptureJob {
        id: CaptureId(id),
        config: ConfigId(1),
        config_namespace: "shop".into(),
        config_name: "default".into(),
        config_generation: 1,
        target: TargetId(u128::from(id)),
        namespace: "shop".into(),
        pod: "cart-1".into(),
        service: "cart".into(),
        node: "node-1".into(),
        container: "app".into(),
        address: None,
        port: 6060,
        transport: Transport::PortForward,
        trigger: Trigger::Threshold {
            resource: Resource::Memory,
            value_permille: 950,
            threshold_permille: 900,
            basis: Basis::Limit,
            sampled_at: DECIDED_AT,
        },
        types: vec![ProfileType::Heap],
        cpu_seconds: 30,
        body_bytes_max: 1 << 26,
        store,
        decided_at: DECIDED_AT,
    }
}

/// Stores the profile of a capture.
pub(crate) async fn put(store: &Store, id: u64, policy: StorePolicy, body: &Spooled) -> Result<StoredKey, StoreError> {
    store.put_profile(&job(id, policy), body.body()).await
}

/// A spooled body.
pub(crate) struct Spooled {
    pub(crate) file: NamedTempFile,
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
}

impl Spooled {
    pub(crate) fn new(content: &[u8]) -> Self {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        Self {
            file,
            bytes: content.len() as u64,
            sha256: Sha256::digest(content).into(),
        }
    }

    /// Bytes that do not repeat within a packet, so that a cut or a shift shows.
    pub(crate) fn of_size(bytes: usize) -> Self {
        let content: Vec<u8> = (0..bytes as u64)
            .map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .collect();
        Self::new(&content)
    }

    pub(crate) fn body(&self) -> ProfileBody<'_> {
        ProfileBody {
            profile_type: ProfileType::Heap,
            path: self.file.path(),
            bytes: self.bytes,
            sha256: self.sha256,
            samples: Some(2),
            sample_types: &[],
            started: DECIDED_AT,
        }
    }
}
