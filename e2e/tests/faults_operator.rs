//! What becomes of captures when the operator itself is killed, stopped or replaced.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::fault::{Fault, Frozen, unread_bytes};
use e2e::ledger::Ledger;
use e2e::record::least_seconds;
use e2e::replica::{self, Replica};
use e2e::seen::{is_operators, received_at, wall_clock};
use e2e::story::SampleApp;
use e2e::{IN_A_WHILE, SOON, Story, operator};
use jiff::Timestamp;
use serde_json::{Value, json};
use testkit::cluster::{AuditEvent, Component};
use testkit::wait::let_pass;
use testkit::{soak, wait_until};

/// A lease is taken when it did not change for 15 s, by replicas that look every 2 s: 2 s until the last change is seen,
/// 2 s until the end is noticed, and the calls themselves on a machine that may be busy.
const TAKEOVER_MAX: Duration = Duration::from_secs(25);

/// A lease that was given up is taken at the next look.
const HANDOVER_MAX: Duration = Duration::from_secs(5);

/// Kills in the story of kills at any moment: one on every change; in a soak as many as two hours hold, a lease and an interval
/// each.
const KILLS: usize = 1;
const KILLS_IN_A_SOAK: usize = 200;

/// A kill comes at most this long after the record of the start: a capture of 4 MiB and its upload take less, so some come
/// after the end.
const KILL_AFTER_MILLISECONDS_MAX: usize = 1_500;

/// Kills from one look at the whole bucket to the next: it is read from end to end.
const KILLS_BETWEEN_LOOKS: usize = 20;

/// As often as can be, with a profile that takes most of the interval.
fn always_capturing() -> Value {
    json!({
        "thresholds": { "enabled": false },
        "onDemand": { "enabled": true, "intervalSeconds": 15 },
        "profileTypes": ["goroutine", "cpu"],
        "capture": { "cpuSeconds": 10 },
    })
}

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_leader_that_is_killed_is_followed_within_the_cooldown() -> Result<()> {
    const COOLDOWN_SECONDS: i32 = 40;
    let story = Story::begin_alone("leader-killed")?;
    let cluster = &story.cluster;
    replica::scale(cluster, 2)?;
    story.deploy(&SampleApp::default())?;
    // Memory, because a busy machine may not have the CPU for more than a threshold of it.
    story.ask("sample-app", "/leak?megabytes=200&rate=200")?;
    let old = replica::leader(cluster)?;
    let follower = other_than(cluster, &old)?;
    story.configure(
        "leader-killed",
        &json!({
            "thresholds": { "memoryThresholdPercent": 30, "checkIntervalSeconds": 10, "cooldownSeconds": COOLDOWN_SECONDS },
            "profileTypes": ["goroutine", "heap"],
        }),
    )?;
    story.wait_for_captures(1)?;
    let before = Ledger::check(&story)?;
    ensure!(
        follower.metric("profiling_captures_total")? < 1.0,
        "a replica that does not lead has captured"
    );

    let killed_at = kill_for_good(&story, &old)?;
    let took_over = wait_until("the lease in another hand", IN_A_WHILE, || {
        Ok((replica::lease(cluster)?.holder != old.name).then(wall_clock))
    })??;
    let took = took_over.duration_since(killed_at);
    ensure!(
        took.unsigned_abs() <= TAKEOVER_MAX,
        "the other took over after {took:#}"
    );
    // The follower that was there, or the replica that the Deployment made in place of the old leader: both saw the lease
    // unchanged for as long as it takes, give or take a look.
    let captures = story.wait_for_captures(2)?;
    ensure!(captures[1].0 > took_over, "captured by nobody: {captures:?}");
    ensure_apart(&captures, COOLDOWN_SECONDS)?;
    before.ensure_kept_in(&Ledger::check(&story)?)?;
    story.end()
}

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn a_leader_that_was_stopped_past_its_lease_does_nothing_when_it_goes_on() -> Result<()> {
    let story = Story::begin_alone("leader-frozen")?;
    let cluster = &story.cluster;
    replica::scale(cluster, 2)?;
    story.deploy(&SampleApp::default())?;
    let old = replica::leader(cluster)?;
    story.configure("leader-frozen", &always_capturing())?;

    let running = wait_for_running_capture(&story)?;
    let uploads = |replica: &Replica| replica.metric("profiling_uploads_total");
    let (stored_before, uploads_before) = (story.profiles()?.len(), uploads(&old)?);
    let frozen = Frozen::new(old.process)?;
    let before = Ledger::check(&story)?;
    let stored_frozen = story.profiles()?.len();
    wait_until("the lease in another hand", IN_A_WHILE, || {
        Ok((replica::lease(cluster)?.holder != old.name).then_some(()))
    })?;
    let mut audit = cluster.audit();
    audit.skip_to_end()?;
    let resumed_at = wall_clock()?;
    frozen.resume()?;

    let said = |text: &str| -> Result<bool> {
        let log = old.log(cluster)?;
        Ok(log.lines().any(|line| line.contains(text)))
    };
    wait_until("the old leader's word that it does not lead", SOON, || {
        Ok((!old.leads()? && said("\"leads\":false")?).then_some(()))
    })
    .with_context(|| story.describe())?;
    wait_until("the end of the old leader's capture", SOON, || {
        let lost =
            old.metric("profiling_captures_total{reason=\"on-demand\",type=\"cpu\",outcome=\"leadership-lost\"}")?;
        Ok((lost >= 1.0 && old.metric("profiling_captures_running ")? < 1.0).then_some(()))
    })
    .with_context(|| story.describe())?;

    let (decided, _) = story.wait_for_capture_after(resumed_at)?;
    let new = replica::leader(cluster)?;
    ensure!(new.name != old.name, "{} leads again", old.name);
    ensure!(
        uploads(&old)? - uploads_before <= (stored_frozen - stored_before) as f64,
        "the old leader stored something after it went on; the new one captured at {decided}"
    );
    let left_alone = record_of(&story, &running)?;
    ensure!(
        left_alone["state"] == "started",
        "the record of the interrupted capture was written on: {left_alone}"
    );
    let mut effects = audit.read(|event| event.pod == old.name && is_effect(event))?;
    // Tunnels are logged when they end; this one was opened before.
    effects.retain(|event| received_at(event).is_ok_and(|at| at > resumed_at));
    ensure!(
        effects.is_empty(),
        "what the old leader did after it went on: {effects:#?}"
    );
    before.ensure_kept_in(&Ledger::check(&story)?)?;
    story.end()
}

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn an_operator_that_is_killed_mid_upload_leaves_nothing_partial_and_reports_it() -> Result<()> {
    let story = Story::begin_alone("killed-mid-upload")?;
    let cluster = &story.cluster;
    // More than the kernel buffers of a connection ever hold, 32 MiB and 4: a store that does not read has a part of it and
    // no more.
    story.apply(&big_target("big:56"))?;
    let target = wait_until("the target's process", SOON, || {
        let pod = story.get("pod", "big")?;
        if pod["status"]["containerStatuses"][0]["ready"] != true {
            return Ok(None);
        }
        replica::process_of(&pod, "hostile")
    })?;
    let old = replica::leader(cluster)?;
    // The target answers only when the store does not read any more, and the store has the record of the start by then.
    let target = Frozen::new(target)?;
    let mut spec = always_capturing();
    spec["profileTypes"] = json!(["heap"]);
    story.configure("killed-mid-upload", &spec)?;
    let running = wait_for_record(&story, |record| record["state"] == "started")?;
    let store = Fault::freeze(cluster, Component::S3)?;
    let store_process = cluster.running(Component::S3)?;
    target.resume()?;
    wait_until("bytes of an upload that nobody reads", SOON, || {
        Ok((unread_bytes(&store_process, 7070)? > 1 << 14).then_some(()))
    })
    .with_context(|| story.describe())?;
    ensure!(
        replica::leader(cluster)?.process == old.process,
        "{} does not lead any more",
        old.name
    );
    old.kill()?;
    // Only now, or what it had sent could be taken as if it lived.
    store.end()?;
    let killed_at = wall_clock()?;

    wait_until("the event of the interrupted capture", IN_A_WHILE, || {
        let id = running["captureId"].as_str().context("a record has an id")?;
        let events = story.events("Interrupted")?;
        Ok(events
            .iter()
            .any(|event| event["message"].as_str().is_some_and(|text| text.contains(id)))
            .then_some(()))
    })
    .with_context(|| story.describe())?;
    story.wait_for_capture_after(killed_at)?;
    let now = record_of(&story, &running)?;
    ensure!(
        now["state"] == "started",
        "nobody can have ended the capture of a process that was killed, and its record says: {now:#}\n{}",
        story.describe()
    );
    Ledger::check(&story)?;
    let decided = digits(&running);
    for stored in story.profiles()? {
        ensure!(
            stored.decided != decided,
            "{} is of the capture that was killed",
            stored.path.display()
        );
    }
    story.end()
}

/// `SOAK=1` kills it many times, at moments that follow from the seed that is said.
#[test]
#[ignore = "needs the test cluster: make e2e"]
fn an_operator_that_is_killed_at_any_moment_leaves_nothing_partial() -> Result<()> {
    let kills = if soak::is_on() { KILLS_IN_A_SOAK } else { KILLS };
    let mut dice = soak::Dice::new();
    let story = Story::begin_alone("killed-at-any-moment")?;
    story.apply(&big_target("big:4"))?;
    let mut spec = always_capturing();
    spec["profileTypes"] = json!(["heap"]);
    story.configure("killed-at-any-moment", &spec)?;
    let mut killed = BTreeSet::new();
    for kill in 1..=kills {
        // The one that was killed before can only have left its records as they are.
        let running = wait_for_record(&story, |record| {
            record["state"] == "started" && record["captureId"].as_str().is_some_and(|id| !killed.contains(id))
        })?;
        killed.insert(running["captureId"].as_str().context("a record has an id")?.to_owned());
        let after = Duration::from_millis(dice.below(KILL_AFTER_MILLISECONDS_MAX) as u64);
        let_pass(after);
        // Without a pod to come back to: a container that is killed again and again is started later and later.
        kill_for_good(&story, &replica::leader(&story.cluster)?)?;
        if kill == kills || kill.is_multiple_of(KILLS_BETWEEN_LOOKS) {
            Ledger::check(&story).with_context(|| format!("after kill {kill}, {after:?} after the start"))?;
        }
    }
    // Whatever they left, the next one works.
    story.wait_for_capture_after(wall_clock()?)?;
    Ledger::check(&story)?;
    story.end()
}

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn an_operator_that_is_told_to_end_finishes_its_capture_and_hands_over() -> Result<()> {
    let story = Story::begin_alone("told-to-end")?;
    let cluster = &story.cluster;
    replica::scale(cluster, 2)?;
    story.deploy(&SampleApp::default())?;
    let old = replica::leader(cluster)?;
    story.configure("told-to-end", &always_capturing())?;
    let running = wait_for_running_capture(&story)?;
    let mut audit = cluster.audit();
    audit.skip_to_end()?;
    cluster.kubectl([
        "delete",
        "pod",
        &old.name,
        "--namespace",
        operator::NAMESPACE,
        "--wait=false",
    ])?;

    let mut writes: Vec<AuditEvent> = Vec::new();
    let is_lease_write = |event: &AuditEvent| event.resource == "leases" && event.verb == "update" && event.code == 200;
    let (released, taken) = wait_until("the lease in another hand", IN_A_WHILE, || {
        writes.extend(audit.read(|event| is_operators(event) && is_lease_write(event))?);
        let taken = writes.iter().position(|event| event.pod != old.name);
        let Some((released, taken)) =
            taken.and_then(|taken| Some((writes.get(taken.checked_sub(1)?)?, &writes[taken])))
        else {
            return Ok(None);
        };
        Ok(Some((received_at(released)?, received_at(taken)?)))
    })
    .with_context(|| story.describe())?;
    let took = taken.duration_since(released);
    ensure!(
        took.unsigned_abs() <= HANDOVER_MAX,
        "the lease was taken {took:#} after it was given up"
    );

    let finished = record_of(&story, &running)?;
    let stored = finished["types"]
        .as_array()
        .map_or(0, |types| types.iter().filter(|one| one["outcome"] == "stored").count());
    ensure!(
        finished["state"] == "complete" && stored == 2,
        "the capture was not finished: {finished}"
    );
    story.wait_for_capture_after(taken)?;
    ensure!(replica::leader(cluster)?.name != old.name, "{} is gone", old.name);
    Ledger::check(&story)?;
    story.end()
}

/// Kills a replica so that it can neither give up its lease nor come back under its name.
fn kill_for_good(story: &Story, replica: &Replica) -> Result<Timestamp> {
    // Frozen first: a process that is told to end gives its lease up.
    let frozen = Frozen::new(replica.process)?;
    let deletion = ["delete", "pod", &replica.name, "--namespace", operator::NAMESPACE];
    story.cluster.kubectl(
        deletion
            .into_iter()
            .chain(["--grace-period=0", "--force", "--wait=false"]),
    )?;
    // Its node may have been faster.
    replica.end_at_once()?;
    drop(frozen);
    wall_clock()
}

fn other_than(cluster: &testkit::Cluster, one: &Replica) -> Result<Replica> {
    let mut others = replica::replicas(cluster)?;
    others.retain(|other| other.name != one.name);
    others.pop().context("a second replica")
}

/// A record of a capture that is in the middle of its CPU profile: what is instant is stored.
fn wait_for_running_capture(story: &Story) -> Result<Value> {
    wait_for_record(story, |record| {
        let instant = |stored: &e2e::profile::Profile| stored.decided == digits(record) && stored.kind == "goroutine";
        record["state"] == "started" && story.profiles().is_ok_and(|stored| stored.iter().any(instant))
    })
}

fn wait_for_record(story: &Story, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    wait_until("the record of a capture that runs", IN_A_WHILE, || {
        Ok(story.records()?.into_iter().find(&wanted))
    })
    .with_context(|| story.describe())
}

/// The record of the same capture as it is now.
fn record_of(story: &Story, record: &Value) -> Result<Value> {
    let records = story.records()?;
    let now = records.into_iter().find(|one| one["captureId"] == record["captureId"]);
    now.context("the record is gone")
}

/// The time of a record's decision as it stands in keys.
fn digits(record: &Value) -> String {
    let text = record["decidedAt"].as_str().unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
    let (day, time) = digits.split_at(digits.len().min(8));
    format!("{day}-{time}")
}

/// Whether a request changes something or touches a target. A write of the lease that lost against another is none.
fn is_effect(event: &AuditEvent) -> bool {
    let is_write = matches!(event.verb.as_str(), "create" | "update" | "patch" | "delete");
    (is_write || event.resource == "pods/portforward") && event.code != 409
}

fn ensure_apart(captures: &[(Timestamp, String)], seconds_min: i32) -> Result<()> {
    for pair in captures.windows(2) {
        let apart = pair[1].0.duration_since(pair[0].0);
        ensure!(
            apart.as_secs_f64() >= least_seconds(f64::from(seconds_min)),
            "{apart:#} between two captures of a pod under a cooldown of {seconds_min} s: {captures:?}"
        );
    }
    Ok(())
}

fn big_target(mode: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "big", "annotations": { "profiling.io/enabled": "true" } },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "hostile",
                "image": "localhost/hostile:e2e",
                "imagePullPolicy": "Never",
                "args": [format!("--mode={mode}")],
                "ports": [{ "name": "pprof", "containerPort": 6060 }],
            }],
        },
    })
}
