//! What being profiled costs a program: its own CPU time, with the default set once per window and without.
//!
//! Two pods of the sample app do the same work, request by request, at the same moments. In each window one of them is
//! captured and the other is not, and they change places from window to window, so that what differs between the two, and
//! between times, is in both sums.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::record::{is_complete, is_of};
use e2e::story::SampleApp;
use e2e::{Story, http, operator, replica};
use serde_json::json;
use testkit::process::Running;
use testkit::wait::let_pass;
use testkit::{Cluster, cost};

use crate::say;
use crate::table::Table;

/// Even, so that each pod is captured as often as the other.
const WINDOWS: u32 = 6;
/// A sample after at most 20 s, a set of 32 s, and some room.
const WINDOW: Duration = Duration::from_secs(75);
/// Counted from the decision: longer than a window, so that a pod is captured once in its own, and over before its next.
const COOLDOWN_SECONDS: u32 = 90;
/// The default, over which the cost of one set is spread.
const DEFAULT_COOLDOWN: Duration = Duration::from_secs(300);

/// A request every 20 ms, of some 2 ms of work: a tenth of a core.
const PACE: Duration = Duration::from_millis(20);
const WORK: &str = "/work?rounds=1500000&garbage=64";
/// Retained, for a heap profile of some size.
const LEAK: &str = "/leak?megabytes=64&rate=64";

/// A pod and its process.
struct Pod {
    name: String,
    address: SocketAddr,
    process: Running,
}

/// Compares the two.
pub(crate) fn take(_: &Cluster, table: &mut Table) -> Result<()> {
    let story = Story::begin_alone("target")?;
    story.deploy(&SampleApp {
        replicas: 2,
        arguments: vec!["--contend".to_owned()],
        annotations: json!({}),
        ..SampleApp::default()
    })?;
    story.ask("sample-app", LEAK)?;
    let pods = pods(&story)?;
    story.configure(
        "target",
        &json!({
            "thresholds": {
                "memoryThresholdPercent": 1, "checkIntervalSeconds": 10, "cooldownSeconds": COOLDOWN_SECONDS,
            },
        }),
    )?;
    let ended = AtomicBool::new(false);
    let windows = std::thread::scope(|scope| {
        for pod in &pods {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let begun = testkit::wait::now();
                    // What fails here shows in the CPU times of both.
                    drop(http::get(pod.address, WORK));
                    let_pass(PACE.saturating_sub(begun.elapsed()));
                }
            });
        }
        let windows = observe(&story, &pods);
        ended.store(true, Ordering::Relaxed);
        windows
    })?;

    let sum = |of: fn(&Window) -> Duration| windows.iter().map(of).sum::<Duration>().as_secs_f64();
    let (captured, left_alone) = (sum(|one| one.captured), sum(|one| one.left_alone));
    let per_set = (captured - left_alone) / f64::from(WINDOWS);
    let load = left_alone / f64::from(WINDOWS) / WINDOW.as_secs_f64();
    say(&format!("{windows:?}"));
    table.note(
        &format!(
            "CPU time of a program at {:.0} % of a core, {WINDOWS} windows of {} s",
            load * 100.0,
            WINDOW.as_secs()
        ),
        &format!("{captured:.2} s with a default set in each, {left_alone:.2} s without"),
    );
    table.note(
        "cost of one default set to its target",
        &format!("{:.0} ms of CPU", per_set * 1_000.0),
    );
    table.note(
        "the same over the default cooldown of 300 s",
        &format!(
            "{:.2} % of a core, {:.1} % of what the program uses",
            per_set / DEFAULT_COOLDOWN.as_secs_f64() * 100.0,
            per_set / DEFAULT_COOLDOWN.as_secs_f64() / load * 100.0
        ),
    );
    story.end()
}

/// CPU time of the pod that was captured and of the one that was not.
#[derive(Debug)]
struct Window {
    captured: Duration,
    left_alone: Duration,
}

fn observe(story: &Story, pods: &[Pod; 2]) -> Result<Vec<Window>> {
    let [first, second] = pods;
    let mut windows = Vec::new();
    for number in 0..WINDOWS {
        let (captured, left_alone) = if number % 2 == 0 {
            (first, second)
        } else {
            (second, first)
        };
        opt(story, left_alone, "false")?;
        opt(story, captured, "true")?;
        let before = [cost::cpu(&captured.process)?, cost::cpu(&left_alone.process)?];
        let_pass(WINDOW);
        windows.push(Window {
            captured: cost::cpu(&captured.process)?.saturating_sub(before[0]),
            left_alone: cost::cpu(&left_alone.process)?.saturating_sub(before[1]),
        });
        let sets = |pod: &Pod| story.records_where(|record| is_complete(record) && is_of(record, &pod.name));
        let (expected, found) = (number as usize / 2 + 1, sets(captured)?.len());
        ensure!(
            found == expected,
            "window {number}: {} was captured {found} times by now, not {expected}",
            captured.name
        );
        let others = sets(left_alone)?.len();
        ensure!(
            others == (number as usize).div_ceil(2),
            "window {number}: {} was captured",
            left_alone.name
        );
    }
    Ok(windows)
}

fn opt(story: &Story, pod: &Pod, value: &str) -> Result<()> {
    let annotation = format!("profiling.io/enabled={value}");
    let command = [
        "annotate",
        "pod",
        &pod.name,
        &annotation,
        "--overwrite",
        "--namespace",
        &story.name,
    ];
    story.cluster.kubectl(command).map(drop)
}

fn pods(story: &Story) -> Result<[Pod; 2]> {
    let mut found = Vec::new();
    for pod in story.pods("sample-app")? {
        found.push(Pod {
            name: pod["metadata"]["name"].as_str().context("a pod has a name")?.to_owned(),
            address: operator::address(&pod, 8080).context("a ready pod has an address")?,
            process: replica::process_of(&pod, "sample-app")?.context("a ready pod has a process")?,
        });
    }
    found.try_into().map_err(|_| anyhow::anyhow!("there are not two pods"))
}
