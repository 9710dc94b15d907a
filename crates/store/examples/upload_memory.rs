//! What an upload costs in resident memory: `upload_memory folder|s3 MIB`. Linux only.
//!
//! Makes a file of that size, stores it, and prints the resident memory before and at the peak. For `s3` the
//! environment names the store: `S3_ENDPOINT`, `S3_BUCKET`, and Amazon's variables for the keys.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use planner::{CaptureId, CaptureJob, ConfigId, ProfileType, StorePolicy, TargetId, Transport, Trigger, Wall};
use sha2::{Digest, Sha256};
use store::{Environment, ProfileBody, StoreSettings, Stores};

type Failed = Box<dyn std::error::Error>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
async fn main() -> Result<(), Failed> {
    let mut arguments = std::env::args().skip(1);
    let (Some(kind), Some(mebibytes)) = (arguments.next(), arguments.next()) else {
        return Err("usage: upload_memory folder|s3 MIB".into());
    };
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider is installed already")?;
    let folder = tempfile::tempdir()?;
    let (settings, policy) = store_of(&kind, folder.path())?;
    let job = job(policy);
    let store = Stores::new(settings).open(&job.store)?;
    // A small one first: connection, certificates and code are no cost of a body.
    for (profile_type, mebibytes) in [(ProfileType::Heap, 1), (ProfileType::Cpu, mebibytes.parse()?)] {
        let path = folder.path().join("body");
        let sha256 = make_body(&path, mebibytes)?;
        let bytes = path.metadata()?.len();
        // Sets the peak back to what is resident now.
        fs::write("/proc/self/clear_refs", "5")?;
        let before = status_kib("VmRSS")?;
        let body = ProfileBody {
            profile_type,
            path: &path,
            bytes,
            sha256,
            samples: None,
            sample_types: &[],
            started: job.decided_at,
        };
        let stored = store.put_profile(&job, body).await?;
        let peak = status_kib("VmHWM")?;
        let cost = peak.saturating_sub(before);
        println!(
            "{kind} {mebibytes:>5} MiB: {before} KiB before, {peak} KiB at the peak, {cost} KiB more, {}",
            stored.key
        );
    }
    Ok(())
}

fn store_of(kind: &str, folder: &Path) -> Result<(StoreSettings, StorePolicy), Failed> {
    let mut policy = StorePolicy {
        bucket: "".into(),
        prefix: "upload-memory".into(),
        region: None,
        endpoint: None,
    };
    if kind == "folder" {
        let settings = StoreSettings {
            folder_root: Some(folder.join("store")),
            ..StoreSettings::default()
        };
        return Ok((settings, policy));
    }
    let endpoint = std::env::var("S3_ENDPOINT")?;
    policy.bucket = std::env::var("S3_BUCKET")?.into();
    policy.endpoint = Some(endpoint.clone().into());
    let settings = StoreSettings {
        allowed_endpoints: vec![endpoint],
        allow_http: true,
        environment: Environment::of_process(),
        ..StoreSettings::default()
    };
    Ok((settings, policy))
}

fn make_body(path: &Path, mebibytes: u64) -> Result<[u8; 32], Failed> {
    let mut file = File::create(path)?;
    let mut hash = Sha256::new();
    for number in 0..mebibytes * 64 {
        let block = [u8::try_from(number % 251)?; 16 << 10];
        hash.update(block);
        file.write_all(&block)?;
    }
    Ok(hash.finalize().into())
}

fn status_kib(name: &str) -> Result<u64, Failed> {
    for line in BufReader::new(File::open("/proc/self/status")?).lines() {
        if let Some(value) = line?.strip_prefix(name) {
            return Ok(value.trim_matches(|one: char| !one.is_ascii_digit()).parse()?);
        }
    }
    Err(format!("no {name}").into())
}

fn job(store: StorePolicy) -> CaptureJob {
    CaptureJob {
        id: CaptureId(std::process::id().into()),
        config: ConfigId(1),
        config_namespace: "default".into(),
        config_name: "default".into(),
        config_generation: 1,
        target: TargetId(1),
        namespace: "default".into(),
        pod: "pod".into(),
        service: "service".into(),
        node: "node".into(),
        container: "app".into(),
        address: None,
        port: 6060,
        transport: Transport::PortForward,
        trigger: Trigger::OnDemand,
        types: vec![ProfileType::Heap, ProfileType::Cpu],
        cpu_seconds: 30,
        body_bytes_max: 1 << 30,
        store,
        decided_at: Wall(1_795_428_005_000 + i64::from(std::process::id()) * 1_000),
    }
}
