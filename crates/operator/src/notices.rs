//! Notices as Kubernetes Events, on the config and on the pod.
//!
//! Best effort by design: a full queue, or an API server that refuses an event or does not answer, loses it, which is
//! counted, and delays nothing.
//!
//! Transitions are told once, and captures are many: so each [`Class`] has a queue and an allowance of its own, and what is
//! told all the time crowds out nothing that is told once.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as KubeEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use planner::{Mono, Notice, NoticeTarget, Reason, Wall};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::lead::Lead;
use crate::telemetry::Telemetry;

/// Notices of one class on their way. The planner gives one per transition; a start with every pod of a large
/// cluster hot is the most that comes at once.
const QUEUE: usize = 256;
/// One call to the API server.
const DEADLINE: Duration = Duration::from_secs(5);
/// Events of one class that may be sent at once, client-go's number; more drip.
const BURST: u64 = 25;
/// One more event of a class is allowed after this. A full queue of those that wait for it is written in 9 minutes, while
/// what it tells of is still news.
const DRIP_MILLIS: u64 = 2_000;
/// The API's limit for the text of an event.
const NOTE_BYTES_MAX: usize = 1_000;
/// The API's limit for the name of an object.
const NAME_BYTES_MAX: usize = 253;

/// What a notice shares its queue and its allowance with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Transitions of configs: few, told once, and what their owners look for.
    Config,
    /// Failures of pods: told once each, and many at once when a store or a network fails.
    Warning,
    /// What every capture gives, and what every new pod may give: frequent while all is well.
    Routine,
}

impl Class {
    fn of(notice: &Notice) -> Self {
        match &notice.about {
            NoticeTarget::Config { .. } => Self::Config,
            NoticeTarget::Target { .. } if notice.warning && notice.reason != Reason::EmptyProfile => Self::Warning,
            NoticeTarget::Target { .. } => Self::Routine,
        }
    }

    /// Whether one for which there is no allowance now waits for it: what is told once is lost otherwise.
    fn waits(self) -> bool {
        self != Self::Routine
    }
}

/// A notice and when it was given.
type Told = (Wall, Notice);

/// The planner's side of the queues.
#[derive(Clone)]
pub struct Notices {
    configs: mpsc::Sender<Told>,
    warnings: mpsc::Sender<Told>,
    routine: mpsc::Sender<Told>,
    clock: Clock,
    telemetry: Telemetry,
}

/// The sender's side.
pub struct NoticeWriter {
    configs: mpsc::Receiver<Told>,
    warnings: mpsc::Receiver<Told>,
    routine: mpsc::Receiver<Told>,
    pen: Pen,
}

/// What writes events.
struct Pen {
    client: Client,
    clock: Clock,
    reporter: String,
    lead: Lead,
    telemetry: Telemetry,
}

/// Makes the two ends of the queues. `reporter` is the name of this replica; it writes only while `lead` holds.
pub fn notices(
    client: Client,
    clock: Clock,
    reporter: String,
    lead: Lead,
    telemetry: Telemetry,
) -> (Notices, NoticeWriter) {
    let (to_configs, configs) = mpsc::channel(QUEUE);
    let (to_warnings, warnings) = mpsc::channel(QUEUE);
    let (to_routine, routine) = mpsc::channel(QUEUE);
    let notices = Notices {
        configs: to_configs,
        warnings: to_warnings,
        routine: to_routine,
        clock,
        telemetry: telemetry.clone(),
    };
    let pen = Pen {
        client,
        clock,
        reporter,
        lead,
        telemetry,
    };
    let writer = NoticeWriter {
        configs,
        warnings,
        routine,
        pen,
    };
    (notices, writer)
}

impl Notices {
    /// Queues a notice, or counts that it was refused.
    pub fn tell(&self, notice: Notice) {
        log(&notice);
        let queue = match Class::of(&notice) {
            Class::Config => &self.configs,
            Class::Warning => &self.warnings,
            Class::Routine => &self.routine,
        };
        if queue.try_send((self.clock.now().wall, notice)).is_err() {
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
    pub async fn run(self) {
        tokio::join!(
            self.pen.write_each(Class::Config, self.configs),
            self.pen.write_each(Class::Warning, self.warnings),
            self.pen.write_each(Class::Routine, self.routine),
        );
    }
}

impl Pen {
    async fn write_each(&self, class: Class, mut queue: mpsc::Receiver<Told>) {
        let mut allowance = Allowance {
            left: BURST,
            refilled: self.clock.mono(),
        };
        while let Some((at, notice)) = queue.recv().await {
            let mut allowed = allowance.take(self.clock.mono());
            // At the end nobody waits: what is left then has seconds.
            if !allowed && class.waits() && !queue.is_closed() {
                tokio::time::sleep_until(self.clock.instant(allowance.next())).await;
                allowed = allowance.take(self.clock.mono());
            }
            // Decided while this replica led, or thought so: a process that was stopped past its lease and goes on
            // hears of the change only after its captures have ended.
            if allowed && self.lead.holds() {
                self.write(at, notice).await;
            } else {
                self.telemetry.refused("events");
            }
        }
    }

    async fn write(&self, at: Wall, notice: Notice) {
        let Some(event) = self.event(at, notice) else { return };
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let events = Api::<KubeEvent>::namespaced(self.client.clone(), &namespace);
        let failure = match timeout(DEADLINE, events.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => return,
            Ok(Err(kube::Error::Api(answer))) if answer.code == 409 => {
                tracing::debug!("event was written by a former process");
                return;
            }
            Ok(Err(error)) => {
                tracing::warn!(namespace, error = %planner::Chain(&error), "event not written");
                refusal(&error)
            }
            Err(_) => {
                tracing::warn!(namespace, "event not written in time");
                Reason::TimedOut
            }
        };
        self.telemetry.failed("event", failure);
    }

    fn event(&self, at: Wall, notice: Notice) -> Option<KubeEvent> {
        let regarding = reference(&notice.about);
        let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
        let namespace = regarding.namespace.clone();
        // Unique among the events of an object by moment and reason, as client-go's are. What is told once for all has a
        // name that the next process makes, too: the API server then knows it, and says so.
        let unique = match notice.once_of {
            Some(capture) => capture.to_string(),
            None => format!("{:x}", at.as_nanosecond()),
        };
        let last = format!("{unique}.{}", notice.reason.as_kebab());
        let name = event_name(regarding.name.as_deref()?, regarding.uid.as_deref()?, &last);
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

/// Why an event was not taken.
fn refusal(error: &kube::Error) -> Reason {
    let kube::Error::Api(answer) = error else {
        return Reason::ConnectionRefused;
    };
    match answer.code {
        403 => Reason::Forbidden,
        _ => Reason::UnexpectedStatus,
    }
}

/// The name of an event about an object. Where the object's own name leaves too little room, it is cut, and the object's
/// UID stands for the rest: names may differ at their end only.
fn event_name(object: &str, uid: &str, last: &str) -> String {
    let whole = format!("{object}.{last}");
    if whole.len() <= NAME_BYTES_MAX {
        return whole;
    }
    let last = format!("{uid}.{last}");
    let room = NAME_BYTES_MAX.saturating_sub(last.len() + 1);
    let start = object.get(..object.floor_char_boundary(room)).unwrap_or_default();
    // A part of a name ends in a letter or a digit.
    let start = start.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
    if start.is_empty() {
        last
    } else {
        format!("{start}.{last}")
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

    /// When one more is allowed, if none is now.
    fn next(&self) -> Mono {
        self.refilled.plus_millis(DRIP_MILLIS)
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
        assert_eq!(allowance.next(), Mono(2_000));
        assert!(allowance.take(allowance.next()));
        assert!(!allowance.take(Mono(2_001)));
    }

    #[test]
    fn the_name_of_an_event_is_one_that_the_api_takes_and_no_other_has() {
        let last = "18c0ffee18c0ffee.profile-captured";
        assert_eq!(event_name("web-0", "uid", last), format!("web-0.{last}"));
        // A cut anywhere in it, before and after dots and dashes.
        let long = "a-.".repeat(100);
        for bytes in 200..=253 {
            let (one, other) = (
                event_name(&long[..bytes], &uid(1), last),
                event_name(&long[..bytes], &uid(2), last),
            );
            assert!(one.len() <= NAME_BYTES_MAX, "{one}");
            assert!(one.ends_with(last), "{one}");
            if one.contains(&uid(1)) {
                assert!(!one.contains("-.0"), "{one}");
                assert_ne!(one, other);
            }
        }
    }

    #[test]
    fn what_is_told_once_shares_nothing_with_what_is_told_often() {
        let about_pod = |reason, warning| Notice {
            about: NoticeTarget::Target {
                id: planner::TargetId(1),
                namespace: "shop".into(),
                name: "web-0".into(),
            },
            reason,
            warning,
            message: "".into(),
            once_of: None,
        };
        assert_eq!(Class::of(&about_pod(Reason::ProfileCaptured, false)), Class::Routine);
        assert_eq!(Class::of(&about_pod(Reason::EmptyProfile, true)), Class::Routine);
        assert_eq!(Class::of(&about_pod(Reason::CaptureFailed, true)), Class::Warning);
    }

    #[test]
    fn a_uid_keeps_its_form() {
        assert_eq!(
            uid(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            "01234567-89ab-cdef-0123-456789abcdef"
        );
    }
}
