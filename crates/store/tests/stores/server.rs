//! versitygw over a folder: a real S3 server on the loopback.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::Duration;

use planner::StorePolicy;
use store::{Environment, StoreSettings, Stores};
use tempfile::TempDir;
use testkit::tools::{Tool, ensure};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

pub(crate) const KEY: &str = "test-key";
pub(crate) const SECRET: &str = "test-secret";
pub(crate) const BUCKET: &str = "profiles";

/// A running server with the bucket [`BUCKET`]; ends with the value.
pub(crate) struct Server {
    child: Child,
    root: TempDir,
    pub(crate) address: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let program = ensure(Tool::S3).unwrap().join("versitygw");
        let root = TempDir::new().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        // Between looking for a free port and using it another test may take it.
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .to_string();
            let mut child = Command::new(&program)
                .args([
                    "--port",
                    &address,
                    "--access",
                    KEY,
                    "--secret",
                    SECRET,
                    "--region",
                    "us-east-1",
                    "posix",
                ])
                .arg(root.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let listens = timeout(Duration::from_secs(30), async {
                while child.try_wait().unwrap().is_none() {
                    if TcpStream::connect(&address).await.is_ok() {
                        return true;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
                false
            });
            if listens.await.expect("versitygw listens or ends within 30 s") && child.try_wait().unwrap().is_none() {
                return Self { child, root, address };
            }
        }
        panic!("versitygw ends whenever it is started");
    }

    /// Where the bucket's objects lie, as files.
    pub(crate) fn files(&self) -> PathBuf {
        self.root.path().join(BUCKET)
    }

    /// The paths of the objects under a prefix, sorted, relative to the bucket.
    pub(crate) fn objects(&self) -> Vec<String> {
        objects_in(self.files())
    }

    pub(crate) fn object(&self, key: &str) -> Vec<u8> {
        read(self.files().join(key))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that ended by itself has failed its test already.
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .map(drop)
            .unwrap_or_default();
    }
}

/// The policy of a config that stores at `address`.
pub(crate) fn policy(address: &str) -> StorePolicy {
    StorePolicy {
        bucket: BUCKET.into(),
        prefix: "profiles".into(),
        region: None,
        endpoint: Some(format!("http://{address}").into()),
    }
}

/// Settings that allow `address` and have the server's keys, with short waits.
pub(crate) fn settings(address: &str) -> StoreSettings {
    static TLS: Once = Once::new();
    TLS.call_once(|| rustls::crypto::ring::default_provider().install_default().unwrap());
    StoreSettings {
        allowed_endpoints: vec![format!("http://{address}")],
        allow_http: true,
        environment: Environment::from_pairs([("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)]),
        ..StoreSettings::default()
    }
}

pub(crate) fn stores(address: &str) -> Stores {
    Stores::new(settings(address))
}

/// Every file below a folder, sorted, relative to it; what the server keeps for itself is left out.
pub(crate) fn objects_in(root: PathBuf) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with(".sgwtmp") {
                    folders.push(path);
                }
            } else {
                found.push(path.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

#[expect(clippy::disallowed_methods, reason = "a test's own small file")]
pub(crate) fn read(path: PathBuf) -> Vec<u8> {
    std::fs::read(path).unwrap()
}
