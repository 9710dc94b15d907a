//! Notices as Kubernetes Events, on the config and on the pod.
//!
//! Best effort by design: a full queue or an API server that does not answer loses an event, which is
//! counted, and delays nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as KubeEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use planner::{Mono, Notice, NoticeTarget};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::lead::Lead;
use crate::telemetry::Telemetry;

/// Notices on their way. The planner gives one per transition; a start with every pod of a large
/// cluster hot is the most that comes at once.
const QUEUE: usize = 256;
/// One call to the API server.
const DEADLINE: Duration = Duration::from_secs(5);
/// Events that may be sent at once, client-go's number; more drip.
const BURST: u64 = 25;
/// One more event is allowed after this.
const DRIP_MILLIS: u64 = 2_000;
/// The API's limit for the text of an event.
const NOTE_BYTES_MAX: usize = 1_000;

/// The planner's side of the queue.
#[derive(Clone)]
pub struct Notices {
    queue: mpsc::Sender<Notice>,
    telemetry: Telemetry,
}

/// The sender's side.
pub struct NoticeWriter {
    client: Client,
    clock: Clock,
    reporter: String,
    lead: Lead,
    queue: mpsc::Receiver<Notice>,
    telemetry: Telemetry,
}

/// Makes the two ends of the queue. `reporter` is the name of this replica; it writes only while `lead` holds.
pub fn notices(
    client: Client,
    clock: Clock,
    reporter: String,
    lead: Lead,
    telemetry: Telemetry,
) -> (Notices, NoticeWriter) {
    let (sender, queue) = mpsc::channel(QUEUE);
    (
        Notices {
            queue: sender,
            telemetry: telemetry.clone(),
        },
        NoticeWriter {
            client,
            clock,
            reporter,
            lead,
            queue,
            telemetry,
        },
    )
}

impl Notices {
    /// Queues a notice, or counts that it was refused.
    pub fn tell(&self, notice: Notice) {
        log(&notice);
        if self.queue.try_send(notice).is_err() {
            self.telemetry.refused("notices");
        }
    }
}

/// A notice as a line of the log.
pub fn log(notice: &Notice) {
    let (about, namespace, name) = match &notice.about {
        NoticeTarget::Config { namespace, name, .. } => ("config", namespace, name),
        NoticeTarget::Target { namespace, name, .. } => ("pod", namespace, name),
    };
    let reason = notice.reason.as_kebab();
    if notice.warning {
        tracing::warn!(about, namespace = %namespace, name = %name, reason, message = %notice.message, "notice");
    } else {
        tracing::info!(about, namespace = %namespace, name = %name, reason, message = %notice.message, "notice");
    }
}

impl NoticeWriter {
    /// Writes events until the planner's side is gone.
    pub async fn run(mut self) {
        let mut allowance = Allowance {
            left: BURST,
            refilled: self.clock.mono(),
        };
        while let Some(notice) = self.queue.recv().await {
            // Decided while this replica led, or thought so: a process that was stopped past its lease and goes on
            // hears of the change only after its captures have ended.
            if !self.lead.holds() {
                self.telemetry.refused("events");
                continue;
            }
            if !allowance.take(self.clock.mono()) {
                self.telemetry.refused("events");
                continue;
            }
            let Some(event) = self.event(notice) else { continue };
            let namespace = event.metadata.namespace.clone().unwrap_or_default();
            let events = Api::<KubeEvent>::namespaced(self.client.clone(), &namespace);
            match timeout(DEADLINE, events.create(&PostParams::default(), &event)).await {
                Ok(Ok(_)) => {}
                Ok(Err(kube::Error::Api(answer))) if answer.code == 409 => {
                    tracing::debug!("event was written by a former process");
                }
                Ok(Err(error)) => tracing::debug!(error = %error, "event not written"),
                Err(_) => tracing::debug!("event not written in time"),
            }
        }
    }

    fn event(&self, notice: Notice) -> Option<KubeEvent> {
        let regarding = reference(&notice.about);
        let now = self.clock.now();
        let at = jiff::Timestamp::from_millisecond(now.wall.0).ok()?;
        let namespace = regarding.namespace.clone();
        // Unique among the events of an object by moment and reason, as client-go's are. What is told once for all has a
        // name that the next process makes, too: the API server then knows it, and says so.
        let unique = match notice.once_of {
            Some(capture) => capture.to_string(),
            None => format!("{:x}", at.as_nanosecond()),
        };
        let name = format!("{}.{unique}.{}", regarding.name.as_deref()?, notice.reason.as_kebab());
        Some(KubeEvent {
            metadata: ObjectMeta {
                name: Some(name),
                namespace,
                labels: Some(BTreeMap::from([(
                    "app.kubernetes.io/managed-by".to_owned(),
                    "profiling-operator".to_owned(),
                )])),
                ..ObjectMeta::default()
            },
            action: Some("Profile".into()),
            event_time: Some(MicroTime(at)),
            note: Some(notice.message[..notice.message.floor_char_boundary(NOTE_BYTES_MAX)].to_owned()),
            reason: Some(notice.reason.as_camel().into()),
            regarding: Some(regarding),
            reporting_controller: Some("profiling.io/operator".into()),
            reporting_instance: Some(self.reporter.clone()),
            type_: Some(if notice.warning { "Warning" } else { "Normal" }.into()),
            ..KubeEvent::default()
        })
    }
}

/// A token bucket.
struct Allowance {
    left: u64,
    refilled: Mono,
}

impl Allowance {
    fn take(&mut self, now: Mono) -> bool {
        let drops = now.millis_since(self.refilled) / DRIP_MILLIS;
        if drops > 0 {
            self.left = self.left.saturating_add(drops).min(BURST);
            self.refilled = self.refilled.plus_millis(drops * DRIP_MILLIS);
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

fn reference(about: &NoticeTarget) -> ObjectReference {
    match about {
        NoticeTarget::Config { id, namespace, name } => ObjectReference {
            api_version: Some("profiling.io/v1alpha1".into()),
            kind: Some("ProfilingConfig".into()),
            namespace: Some(namespace.to_string()),
            name: Some(name.to_string()),
            uid: Some(uid(id.0)),
            ..ObjectReference::default()
        },
        NoticeTarget::Target { id, namespace, name } => ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            namespace: Some(namespace.to_string()),
            name: Some(name.to_string()),
            uid: Some(uid(id.0)),
            ..ObjectReference::default()
        },
    }
}

/// 128 bits in the form of a UID.
pub fn uid(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_more_drips() {
        let mut allowance = Allowance {
            left: BURST,
            refilled: Mono(0),
        };
        let at_once = (0..100).filter(|_| allowance.take(Mono(1))).count();
        assert_eq!(at_once, 25);
        assert!(allowance.take(Mono(2_001)));
        assert!(!allowance.take(Mono(2_002)));
    }

    #[test]
    fn a_uid_keeps_its_form() {
        assert_eq!(
            uid(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            "01234567-89ab-cdef-0123-456789abcdef"
        );
    }
}
