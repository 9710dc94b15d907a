//! The binary in its standalone mode: a real Go program on this machine, a real S3 server, and a bucket that is looked
//! into afterwards.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use testkit::process::{Running, Signal};
use testkit::s3::{self, Server};
use testkit::wait_until;

/// What is waited for takes seconds: two looks at the processes, a CPU profile of one second.
const SOON: Duration = Duration::from_secs(60);

/// A program that ends with the value.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed, which is as well.
        self.0.kill().and_then(|()| self.0.wait()).map(drop).unwrap_or_default();
    }
}

/// The sample app, busy from its start, and the port of its profiles. None where there is no Go, which on a build server
/// is a failure.
fn sample_app(folder: &Path) -> Option<(Program, u16)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/sample-app");
    let program = folder.join("sample-app");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .env("CGO_ENABLED", "0")
        .status();
    let Ok(built) = built else {
        assert!(std::env::var_os("CI").is_none(), "go is needed here");
        return None;
    };
    assert!(built.success(), "the sample app builds");
    let mut child = Command::new(&program)
        .args(["--addr", "127.0.0.1:0", "--pprof-addr", "127.0.0.1:0", "--parent-watch"])
        .args(["--leak-megabytes", "64", "--leak-rate", "64"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut announced = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut announced)
        .unwrap();
    let announced: Value = serde_json::from_str(&announced).unwrap();
    let address: SocketAddr = announced["pprof"].as_str().unwrap().parse().unwrap();
    Some((Program(child), address.port()))
}

/// A recorder over the process, storing into the server's bucket, and the address where it answers. Its log goes to a file.
fn recorder(folder: &Path, server: &Server, app: &Program, port: u16) -> (Program, SocketAddr) {
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{}", server.address);
    let config = folder.join("recorder.yaml");
    let text = format!(
        "apiVersion: profiling.io/v1alpha1
kind: ProfilingConfig
metadata: {{name: all}}
spec:
  thresholds: {{memoryThresholdPercent: 50, checkIntervalSeconds: 10, cooldownSeconds: 86400}}
  profileTypes: [heap, goroutine, cpu]
  capture: {{cpuSeconds: 1}}
  s3Config: {{bucket: {bucket}, region: {region}, endpoint: \"{endpoint}\"}}
---
kind: LocalTargets
targets:
- {{name: sample-app, pid: {pid}, port: {port}, limits: {{cpu: \"8\", memory: 100Mi}}}}
",
        bucket = s3::BUCKET,
        region = s3::REGION,
        pid = app.0.id(),
    );
    fs::write(&config, text).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_profiling-operator"))
        .arg("standalone")
        .arg("--config")
        .arg(config)
        .args(["--allow-endpoint", &endpoint, "--listen", &listen.to_string()])
        .env("AWS_ACCESS_KEY_ID", s3::KEY)
        .env("AWS_SECRET_ACCESS_KEY", s3::SECRET)
        .stderr(File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap();
    (Program(child), listen)
}

/// Why the recorder captures nothing of a process, as it answers.
fn why(recorder: SocketAddr, target: &Value) -> std::io::Result<String> {
    let (namespace, pod) = (target["namespace"].as_str().unwrap(), target["pod"].as_str().unwrap());
    let mut connection = TcpStream::connect(recorder)?;
    write!(
        connection,
        "GET /api/v1/why?namespace={namespace}&pod={pod} HTTP/1.0\r\n\r\n"
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

fn text(path: &Path) -> String {
    let mut text = String::new();
    File::open(path).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The records in the bucket that are complete.
fn complete_records(server: &Server) -> Vec<Value> {
    let keys = server.objects().unwrap();
    let records = keys.iter().filter(|key| key.contains("/_captures/"));
    let read = |key: &String| serde_json::from_str::<Value>(&text(&server.files().join(key))).ok();
    records
        .filter_map(read)
        .filter(|record| record["state"] == "complete")
        .collect()
}

#[test]
fn a_process_of_this_machine_is_recorded_into_a_bucket_once_per_cooldown_over_a_restart() {
    let folder = TempDir::new().unwrap();
    let Some((app, port)) = sample_app(folder.path()) else {
        return;
    };
    let server = Server::start().unwrap();
    let log = folder.path().join("log");

    let (mut first, _) = recorder(folder.path(), &server, &app, port);
    let record = wait_until("a complete record", SOON, || Ok(complete_records(&server).pop()))
        .unwrap_or_else(|error| panic!("{error:#}\n{}", text(&log)));
    assert_eq!(record["trigger"]["reason"], "threshold-exceeded", "{record:#}");
    let stored: Vec<PathBuf> = record["types"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            server
                .files()
                .join(one["key"].as_str().unwrap_or_else(|| panic!("{one:#}")))
        })
        .collect();
    assert_eq!(stored.len(), 3, "{record:#}");
    for profile in stored {
        let ran = Command::new("go")
            .args(["tool", "pprof", "-top"])
            .arg(&profile)
            .output()
            .unwrap();
        assert!(
            ran.status.success(),
            "{}: {}",
            profile.display(),
            String::from_utf8_lossy(&ran.stderr)
        );
    }
    Running::of(i32::try_from(first.0.id()).unwrap())
        .unwrap()
        .signal(Signal::TERM)
        .unwrap();
    assert!(first.0.wait().unwrap().success(), "{}", text(&log));

    // A second life of the recorder: the cooldown is in the bucket.
    let (_second, answers_at) = recorder(folder.path(), &server, &app, port);
    wait_until("the second recorder's word on the process", SOON, || {
        Ok(why(answers_at, &record["target"])?
            .contains("CoolingDown")
            .then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}", text(&log)));
    assert_eq!(complete_records(&server).len(), 1);
}
