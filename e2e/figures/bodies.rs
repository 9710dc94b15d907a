//! What a body of 256 MiB costs the operator: through a port-forward into S3, and on this machine into a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::record::{is_complete, outcome};
use e2e::{SOON, Story, hostile, http, profile, replica};
use serde_json::{Value, json};
use testkit::process::Running;
use testkit::wait::let_pass;
use testkit::{Cluster, cost, wait_until};

use crate::beside::Beside;
use crate::say;
use crate::table::Table;

/// The body, and a limit above it.
const BODY_MEBIBYTES: u64 = 256;
const MAX_BYTES: u64 = 512 << 20;
/// Most of it above what is resident before its capture.
const COST_MEBIBYTES_MAX: f64 = 24.0;
/// Such a body goes through three programs besides ours, on a machine with two processors.
const DEADLINE: Duration = Duration::from_secs(180);
/// What an operator takes in at its start has settled by then.
const SETTLING: Duration = Duration::from_secs(20);

/// Where the programs of this machine are, put there by whoever builds them.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");

/// Captures one such body each way.
pub(crate) fn take(cluster: &Cluster, table: &mut Table) -> Result<()> {
    let costs = [
        ("S3, through a port-forward", into_s3()?),
        ("a folder", into_folder(cluster)?),
    ];
    for (place, cost_kib) in costs {
        table.at_most(
            &format!("resident above idle for a body of {BODY_MEBIBYTES} MiB into {place}"),
            cost_kib as f64 / 1_024.0,
            COST_MEBIBYTES_MAX,
            "MiB",
        );
    }
    Ok(())
}

fn into_s3() -> Result<u64> {
    let story = Story::begin_alone("bodies")?;
    let cluster = &story.cluster;
    story.deploy(&hostile::app("large", &format!("big:{BODY_MEBIBYTES}")))?;
    // A process that never captured anything: connections, certificates and code count, too.
    replica::scale(cluster, 0)?;
    replica::scale(cluster, 1)?;
    let process = replica::leader(cluster)?.process;
    let_pass(SETTLING);
    let cost_kib = peak_above_idle(&process, || {
        story.configure("bodies", &spec())?;
        let records = story.wait_for_records("the capture of the large body", 1, DEADLINE, is_complete)?;
        records.first().map_or(Ok(()), ensure_stored)
    })?;
    story.end()?;
    Ok(cost_kib)
}

fn into_folder(cluster: &Cluster) -> Result<u64> {
    let folder = cluster.dir().join("bodies");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let config = json!({
        "apiVersion": "profiling.io/v1alpha1",
        "kind": "ProfilingConfig",
        "metadata": { "name": "bodies" },
        "spec": spec_of(json!({ "bucket": "local" })),
    });
    let hostile = program("programs/hostile")
        .canonicalize()
        .context("the hostile server")?;
    let targets = json!({ "kind": "LocalTargets", "targets": [
        { "name": "large", "executable": hostile, "port": 26060 },
    ]});
    let file = folder.join("recorder.yaml");
    fs::write(&file, format!("{config}\n---\n{targets}\n")).with_context(|| format!("write {}", file.display()))?;
    let mut recorder = cluster.command(program("image/profiling-operator"));
    recorder
        .arg("standalone")
        .arg("--config")
        .arg(&file)
        .arg("--store")
        .arg(folder.join("store"));
    recorder
        .args(["--listen", "127.0.0.1:28081"])
        .arg("--spool")
        .arg(folder.join("spool"));
    let recorder = Beside::start(cluster, &mut recorder, &folder.join("recorder.log"))?;
    let listen = "127.0.0.1:28081".parse().context("address")?;
    wait_until("the recorder's readiness", SOON, || {
        http::get(listen, "/readyz").map(Some)
    })?;
    let_pass(SETTLING);
    let mut serve = cluster.command(&hostile);
    serve.args(["--addr=127.0.0.1:28080", "--pprof-addr=127.0.0.1:26060"]);
    serve.arg(format!("--mode=big:{BODY_MEBIBYTES}"));
    let cost_kib = peak_above_idle(&recorder.0, || {
        let _served = Beside::start(cluster, &mut serve, &folder.join("hostile.log"))?;
        let stored = wait_until("the large body in the folder", DEADLINE, || {
            let records = profile::records(&folder.join("store/local")).unwrap_or_default();
            Ok(records.into_iter().find(is_complete))
        })?;
        ensure_stored(&stored)
    })?;
    Ok(cost_kib)
}

/// What `work` costs a process at its most, above what was resident before.
fn peak_above_idle(process: &Running, work: impl FnOnce() -> Result<()>) -> Result<u64> {
    cost::forget_peak(process)?;
    let before = cost::memory(process)?;
    work()?;
    let after = cost::memory(process)?;
    say(&format!("before {before:?}, after {after:?}"));
    Ok(after.peak_kib.saturating_sub(before.resident_kib))
}

fn ensure_stored(record: &Value) -> Result<()> {
    let bytes = record["types"][0]["bytes"].as_u64().unwrap_or_default();
    ensure!(
        outcome(record, "heap") == "stored" && bytes >= BODY_MEBIBYTES << 20,
        "the large body is not what is stored: {record}"
    );
    Ok(())
}

fn spec() -> Value {
    spec_of(Value::Null)
}

fn spec_of(store: Value) -> Value {
    let mut spec = json!({
        "thresholds": { "enabled": false },
        "onDemand": { "enabled": true, "intervalSeconds": 3600 },
        "profileTypes": ["heap"],
        "capture": { "maxBytes": MAX_BYTES },
    });
    if !store.is_null() {
        spec["s3Config"] = store;
    }
    spec
}

fn program(path: &str) -> PathBuf {
    Path::new(PROGRAMS).join(path)
}
