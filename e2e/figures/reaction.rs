//! From the sample that crosses a threshold to the first byte asked of the pod, and to the profile in the bucket.
//!
//! Nothing here is the operator's own word. The sample is there when the API server has sent the end of its list (the
//! audit log); the pod is asked when its own server reads the request (its log of arrivals); the profile is stored when
//! the store has written the object (the file's time). All three clocks are this machine's.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::record::is_complete;
use e2e::story::SampleApp;
use e2e::{Story, hostile, operator};
use jiff::Timestamp;
use serde_json::json;
use testkit::{Cluster, wait_until};

use crate::say;
use crate::table::{Table, largest, median};

/// Pods that are above the threshold all the time, so that each list starts this many captures.
const PODS: u32 = 3;
/// Captures observed.
const CAPTURES: usize = 30;
/// A list every 10 s, of which some bring no new sample.
const DEADLINE: Duration = Duration::from_secs(300);

const REQUEST_MAX: Duration = Duration::from_millis(250);
const STORED_MAX: Duration = Duration::from_secs(1);

/// Observes captures of heaps.
pub(crate) fn take(_: &Cluster, table: &mut Table) -> Result<()> {
    let story = Story::begin_alone("reaction")?;
    story.deploy(&SampleApp {
        replicas: PODS,
        limits: ("500m".to_owned(), "64Mi".to_owned()),
        ..hostile::app("hot", "ok")
    })?;
    let mut audit = story.cluster.audit();
    audit.skip_to_end()?;
    let before = waited(&story)?;
    story.configure(
        "reaction",
        &json!({
            // A hundredth of its limit every program uses: every new sample fires.
            "thresholds": { "memoryThresholdPercent": 1, "checkIntervalSeconds": 10, "cooldownSeconds": 0 },
            "capture": { "maxConcurrentPods": PODS },
            "profileTypes": ["heap"],
        }),
    )?;
    wait_until(&format!("{CAPTURES} captures"), DEADLINE, || {
        let complete = story.records_where(is_complete)?;
        Ok((complete.len() >= CAPTURES).then_some(()))
    })
    .with_context(|| story.describe())?;
    let after = waited(&story)?;

    let is_usage = |event: &testkit::cluster::AuditEvent| {
        event.group == "metrics.k8s.io" && event.stage == "ResponseComplete" && event.code == 200
    };
    let lists = times(
        audit
            .read_of(operator::USER, is_usage)?
            .iter()
            .map(|one| one.reached.as_str()),
    )?;
    let mut arrivals = Vec::new();
    for pod in story.pods("hot")? {
        let seen = hostile::seen(&pod)?;
        let listed = seen["arrivals"].as_array().context("arrivals")?;
        arrivals.extend(times(listed.iter().filter_map(|one| one.as_str()))?);
    }
    let mut written = Vec::new();
    for profile in story.profiles()? {
        let modified = profile.path.metadata().and_then(|facts| facts.modified());
        let modified = modified.with_context(|| format!("time of {}", profile.path.display()))?;
        written.push(Timestamp::try_from(modified).context("time of a profile")?);
    }
    let (asked, stored) = (since_list(&lists, &arrivals)?, since_list(&lists, &written)?);
    say(&format!("asked after {asked:?}; stored after {stored:?}"));

    let count = asked.len();
    table.millis_at_most(
        &format!("from the sample to the first byte asked of the pod, median of {count}, {PODS} pods at once"),
        median(&asked),
        REQUEST_MAX,
    );
    table.note("the same, largest", &format!("{:.1} ms", millis(largest(&asked))));
    table.note(
        "the same as the operator counts it (profiling_decision_to_request_seconds), mean",
        &format!("{:.1} ms", (after.0 - before.0) / (after.1 - before.1) * 1_000.0),
    );
    table.millis_at_most(
        &format!("from the sample to the heap in the bucket, median of {}", stored.len()),
        median(&stored),
        STORED_MAX,
    );
    table.millis_at_most("the same, largest", largest(&stored), STORED_MAX);
    story.end()
}

/// The operator's own histogram: its sum in seconds and its count.
fn waited(story: &Story) -> Result<(f64, f64)> {
    let of = |part: &str| {
        operator::metric(
            &story.cluster,
            &format!("profiling_decision_to_request_seconds_{part} "),
        )
    };
    Ok((of("sum")?, of("count")?))
}

fn times<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<Timestamp>> {
    let mut times = Vec::new();
    for text in texts {
        times.push(text.parse::<Timestamp>().with_context(|| format!("time {text}"))?);
    }
    times.sort();
    Ok(times)
}

/// How long after the last list before it each moment was.
fn since_list(lists: &[Timestamp], moments: &[Timestamp]) -> Result<Vec<Duration>> {
    let mut waits = Vec::new();
    for moment in moments {
        let list = lists
            .iter()
            .rfind(|list| *list <= moment)
            .context("a list comes before a capture")?;
        waits.push(moment.duration_since(*list).unsigned_abs());
    }
    ensure!(!waits.is_empty(), "nothing was observed");
    waits.sort();
    Ok(waits)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
