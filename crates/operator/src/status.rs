//! The one writer of status: patches what differs, at most once in ten seconds per config.

use std::collections::BTreeMap;
use std::time::Duration;

use api::ProfilingConfig;
use api::status::ProfilingConfigStatus;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, Client};
use planner::{ConfigId, Mono};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::actor::Snapshot;
use crate::clock::{Clock, rfc3339};
use crate::kinds::Adjustments;
use crate::lead::Lead;

/// Shortest time from one write of a config's status to the next.
const INTERVAL_MILLIS: u64 = 10_000;
/// How often the writer looks for what may be written now.
const LOOK: Duration = Duration::from_secs(1);
/// One call to the API server.
const DEADLINE: Duration = Duration::from_secs(5);
/// The name under which the operator owns the fields of a status.
const FIELD_MANAGER: &str = "profiling-operator-status";

/// Writes status until the actor ends, and then once more.
pub struct StatusWriter {
    /// The client.
    pub client: Client,
    /// What to write.
    pub snapshots: watch::Receiver<Snapshot>,
    /// Only the leader writes.
    pub lead: Lead,
    /// The clock.
    pub clock: Clock,
    /// Values that were read as others.
    pub adjustments: Adjustments,
}

/// What was last written of a config, and when.
#[derive(Default)]
struct Written {
    status: Option<ProfilingConfigStatus>,
    at: Option<Mono>,
}

impl StatusWriter {
    /// Runs until the actor ends.
    pub async fn run(mut self) {
        let mut written = BTreeMap::<ConfigId, Written>::new();
        loop {
            let ended = self.snapshots.has_changed().is_err();
            self.write_due(&mut written, ended).await;
            if ended {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn write_due(&mut self, written: &mut BTreeMap<ConfigId, Written>, all: bool) {
        let snapshot = self.snapshots.borrow_and_update().clone();
        written.retain(|id, _| snapshot.contains_key(id));
        for (id, wanted) in snapshot.iter() {
            if !self.lead.holds() {
                // Another replica writes now; what we know of the last write is not true any more.
                written.clear();
                return;
            }
            let now = self.clock.now();
            let last = written.entry(*id).or_default();
            let due = last.at.is_none_or(|at| now.mono.millis_since(at) >= INTERVAL_MILLIS);
            if !due && !all {
                continue;
            }
            if last.status.is_none() {
                // What a former leader wrote: the moments of its transitions are kept.
                last.status = self.read(&wanted.namespace, &wanted.name).await;
            }
            let status = api::status::of(wanted, last.status.as_ref(), &rfc3339(now.wall))
                .with_adjustments(&self.adjustments.of(*id));
            if last.status.as_ref() == Some(&status) {
                continue;
            }
            last.at = Some(now.mono);
            if self.patch(&wanted.namespace, &wanted.name, &status).await {
                last.status = Some(status);
            }
        }
    }

    async fn read(&self, namespace: &str, name: &str) -> Option<ProfilingConfigStatus> {
        match timeout(DEADLINE, self.configs(namespace).get_opt(name)).await {
            Ok(Ok(config)) => serde_json::from_value(config?.data.get_mut("status")?.take()).ok(),
            Ok(Err(error)) => {
                tracing::debug!(error = %error, "status not read");
                None
            }
            Err(_) => None,
        }
    }

    /// The configs of a namespace, whatever is in their specs: the answer to a read or a write is the whole object, and one
    /// that does not decode has a status, too, which says so.
    fn configs(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.client.clone(),
            namespace,
            &ApiResource::erase::<ProfilingConfig>(&()),
        )
    }

    /// Whether it was written.
    async fn patch(&self, namespace: &str, name: &str, status: &ProfilingConfigStatus) -> bool {
        let configs = self.configs(namespace);
        let patch = json!({ "apiVersion": "profiling.io/v1alpha1", "kind": "ProfilingConfig", "status": status });
        let apply = PatchParams::apply(FIELD_MANAGER).force();
        match timeout(DEADLINE, configs.patch_status(name, &apply, &Patch::Apply(&patch))).await {
            Ok(Ok(_)) => true,
            Ok(Err(kube::Error::Api(answer))) if answer.code == 404 => {
                tracing::debug!(namespace, name, "config is gone; its status is not written");
                false
            }
            Ok(Err(error)) => {
                tracing::warn!(namespace, name, error = %error, "status not written");
                false
            }
            Err(_) => {
                tracing::warn!(namespace, name, "status not written in time");
                false
            }
        }
    }
}
