//! versitygw over a folder: a real S3 server on the loopback, for tests that need no cluster.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::tools::{Tool, ensure};
use crate::wait_until;

/// The access key of the server's one user.
pub const KEY: &str = "test-key";
/// The secret of the server's one user.
pub const SECRET: &str = "test-secret";
/// The bucket that is there from the start.
pub const BUCKET: &str = "profiles";
/// The region of the server.
pub const REGION: &str = "us-east-1";

/// The server opens its port within half a second; a machine that compiles takes longer.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// Between looking for a free port and using it another test may take it.
const STARTS_MAX: usize = 5;

/// A running server with the bucket [`BUCKET`]; ends with the value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    root: TempDir,
    /// Host and port, without a scheme.
    pub address: String,
}

impl Server {
    /// Starts a server on a free port of the loopback.
    pub fn start() -> Result<Self> {
        let program = ensure(Tool::S3)?.join("versitygw");
        let root = TempDir::new().context("make a folder for buckets")?;
        fs::create_dir(root.path().join(BUCKET)).context("make the bucket")?;
        for _ in 0..STARTS_MAX {
            let free = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
            let address = free.local_addr().context("find a free port")?.to_string();
            drop(free);
            let mut child = Command::new(&program)
                .args(["--port", &address, "--access", KEY, "--secret", SECRET])
                .args(["--region", REGION, "posix"])
                .arg(root.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .with_context(|| format!("start {}", program.display()))?;
            let listens = wait_until("versitygw listens or ends", START_DEADLINE, || {
                if child.try_wait()?.is_some() {
                    return Ok(Some(false));
                }
                Ok(TcpStream::connect(&address).is_ok().then_some(true))
            })?;
            if listens && child.try_wait()?.is_none() {
                return Ok(Self { child, root, address });
            }
        }
        bail!("versitygw ends whenever it is started")
    }

    /// Where the bucket's objects lie, as files.
    pub fn files(&self) -> PathBuf {
        self.root.path().join(BUCKET)
    }

    /// The keys of the bucket's objects, sorted.
    pub fn objects(&self) -> Result<Vec<String>> {
        objects_in(&self.files())
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

/// Every file below a folder, sorted, relative to it; what the server keeps for itself is left out.
pub fn objects_in(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            let own = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(".sgwtmp"));
            if path.is_dir() {
                if !own {
                    folders.push(path);
                }
            } else {
                found.push(path.strip_prefix(root)?.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}
