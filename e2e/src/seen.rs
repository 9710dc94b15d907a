//! What the API server shows of a story: conditions, events, and who asked it for what.

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::Value;
use testkit::cluster::AuditEvent;
use testkit::wait_until;

use crate::{IN_A_WHILE, Story, operator};

/// A condition of a ProfilingConfig.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The code.
    pub reason: String,
    /// For people.
    pub message: String,
}

impl Story {
    /// A condition of a config; none when its status was not written yet.
    pub fn condition(&self, config: &str, name: &str) -> Result<Option<Condition>> {
        let object = self.get("profilingconfig", config)?;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(conditions.iter().find(|one| one["type"] == name).map(|one| Condition {
            status: text(&one["status"]),
            reason: text(&one["reason"]),
            message: text(&one["message"]),
        }))
    }

    /// Waits until a condition of a config has a status.
    pub fn wait_for_condition(&self, config: &str, name: &str, status: &str) -> Result<Condition> {
        wait_until(&format!("{name}={status} of {config}"), IN_A_WHILE, || {
            Ok(self.condition(config, name)?.filter(|one| one.status == status))
        })
        .with_context(|| self.describe())
    }

    /// The operator's events in the story's namespace that have this reason.
    pub fn events(&self, reason: &str) -> Result<Vec<Value>> {
        let field = format!("--field-selector=reason={reason}");
        let list = self.cluster.get(["events", "--namespace", &self.name, &field])?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// The moments of the decisions of all captures that are recorded as complete with something stored, ascending, with
    /// the name of the pod.
    pub fn captures(&self) -> Result<Vec<(Timestamp, String)>> {
        let mut captures = Vec::new();
        for record in self.records()? {
            let types = record["types"].as_array().cloned().unwrap_or_default();
            if record["state"] == "complete" && types.iter().any(|one| one["outcome"] == "stored") {
                let pod = record["target"]["pod"].as_str().context("a record names its pod")?;
                captures.push((decided_at(&record)?, pod.to_owned()));
            }
        }
        captures.sort();
        Ok(captures)
    }

    /// Waits until there are `count` captures and gives them.
    pub fn wait_for_captures(&self, count: usize) -> Result<Vec<(Timestamp, String)>> {
        wait_until(&format!("{count} captures"), IN_A_WHILE, || {
            Ok(Some(self.captures()?).filter(|captures| captures.len() >= count))
        })
        .with_context(|| self.describe())
    }

    /// Waits for a capture that was decided after `moment`.
    pub fn wait_for_capture_after(&self, moment: Timestamp) -> Result<(Timestamp, String)> {
        wait_until(&format!("a capture decided after {moment}"), IN_A_WHILE, || {
            Ok(self.captures()?.into_iter().find(|(decided, _)| *decided > moment))
        })
        .with_context(|| self.describe())
    }
}

/// When a record's capture was decided.
pub fn decided_at(record: &Value) -> Result<Timestamp> {
    let text = record["decidedAt"]
        .as_str()
        .context("a record has the time of its decision")?;
    text.parse().with_context(|| format!("time {text}"))
}

/// When a request came in.
pub fn received_at(event: &AuditEvent) -> Result<Timestamp> {
    event
        .received
        .parse()
        .with_context(|| format!("time {}", event.received))
}

/// Whether a request is the operator's.
pub fn is_operators(event: &AuditEvent) -> bool {
    event.user == operator::USER
}

/// The wall clock, to compare with times in records and logs of this machine.
#[expect(
    clippy::disallowed_methods,
    reason = "what is compared are times that other programs of this machine wrote"
)]
pub fn wall_clock() -> Result<Timestamp> {
    Timestamp::try_from(std::time::SystemTime::now()).context("time of this machine")
}
