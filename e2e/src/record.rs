//! Capture records, as stories ask them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::wait_until;

use crate::Story;
use crate::seen::decided_at;

/// What came of a type: `stored`, `pending`, or the reason of its failure; empty when it was not asked.
pub fn outcome<'a>(record: &'a Value, kind: &str) -> &'a str {
    let types = record["types"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(one) = types.iter().find(|one| one["type"] == kind) else {
        return "";
    };
    match one["outcome"].as_str() {
        Some("failed") => one["reason"].as_str().unwrap_or_default(),
        other => other.unwrap_or_default(),
    }
}

/// Whether a record is of a capture that ended.
pub fn is_complete(record: &Value) -> bool {
    record["state"] == "complete"
}

/// Whether a record is of this pod, by name.
pub fn is_of(record: &Value, pod: &str) -> bool {
    record["target"]["pod"] == pod
}

/// The keys of what a record says is stored.
pub fn keys(record: &Value) -> Vec<String> {
    let types = record["types"].as_array().map(Vec::as_slice).unwrap_or_default();
    types
        .iter()
        .filter_map(|one| one["key"].as_str().map(str::to_owned))
        .collect()
}

impl Story {
    /// The records that `wanted` accepts, the oldest decision first.
    pub fn records_where(&self, wanted: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        for record in self.records()? {
            if wanted(&record) {
                found.push((decided_at(&record)?, record));
            }
        }
        found.sort_by_key(|(decided, _)| *decided);
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }

    /// Waits until `wanted` accepts `count` records and gives them, the oldest decision first.
    pub fn wait_for_records(
        &self,
        what: &str,
        count: usize,
        deadline: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>> {
        wait_until(what, deadline, || {
            Ok(Some(self.records_where(&wanted)?).filter(|found| found.len() >= count))
        })
        .with_context(|| self.describe())
    }

    /// Fails unless any two neighbours were decided at least `least` and at most `most` seconds apart, as far as a wall
    /// clock [can tell](least_seconds). They are in the order of [`records_where`](Self::records_where).
    pub fn ensure_spaced(&self, what: &str, records: &[Value], least: f64, most: f64) -> Result<()> {
        for pair in records.windows(2) {
            let seconds = (decided_at(&pair[1])? - decided_at(&pair[0])?)
                .total(jiff::Unit::Second)
                .context("seconds between two decisions")?;
            ensure!(
                seconds >= least_seconds(least) && seconds <= most,
                "{what}: {seconds} s between {} and {}, expected {least} to {most}\n{}",
                pair[0]["decidedAt"],
                pair[1]["decidedAt"],
                self.describe()
            );
        }
        Ok(())
    }
}

/// What a wall clock shows at least when so many seconds pass on the monotonic clock that the operator counts on: a wall
/// clock is steered by up to 500 parts of a million, and both are read in whole milliseconds.
pub fn least_seconds(seconds: f64) -> f64 {
    seconds * (1.0 - 500e-6) - 0.002
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_outcome_is_stored_or_a_reason() {
        let record = json!({ "types": [
            { "type": "heap", "outcome": "stored", "key": "a" },
            { "type": "cpu", "outcome": "failed", "reason": "stalled", "message": "" },
        ]});
        assert_eq!(
            ["heap", "cpu", "mutex"].map(|kind| outcome(&record, kind)),
            ["stored", "stalled", ""]
        );
        assert_eq!(keys(&record), ["a"]);
    }
}
