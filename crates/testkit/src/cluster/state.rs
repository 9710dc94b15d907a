//! Where a cluster's files lie, and the record from which any process can take it down.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Component, Options};
use crate::cache::Lock;
use crate::process::Running;
use crate::tools::KubernetesVersion;

/// The record's name in the cluster's folder.
pub(super) const FILE: &str = "cluster.json";

/// Sockets lie here and not in the cluster's folder: a socket's path has at most 107 bytes.
pub(super) const RUN_DIR: &str = "/run/profiling-operator";

/// What must be known to use or take down a cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) name: String,
    pub(super) kubernetes: KubernetesVersion,
    pub(super) metrics_resolution_seconds: u32,
    pub(super) components: BTreeMap<Component, Running>,
    /// Settings of the machine that the kubelet changes, as they were before.
    pub(super) sysctls: BTreeMap<String, String>,
    /// Folders of the machine that were not there before.
    pub(super) owned_folders: Vec<PathBuf>,
}

impl State {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            name: options.name.clone(),
            kubernetes: options.kubernetes,
            metrics_resolution_seconds: options.metrics_resolution_seconds,
            components: BTreeMap::new(),
            sysctls: BTreeMap::new(),
            owned_folders: Vec::new(),
        }
    }
}

/// Every path of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) dir: PathBuf,
    pub(super) name: String,
}

impl Layout {
    /// The layout of a cluster called `name` in `dir`, which is created.
    pub(super) fn new(dir: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        // Mounts are listed by their real path.
        let dir = dir
            .canonicalize()
            .with_context(|| format!("resolve {}", dir.display()))?;
        Ok(Self {
            dir,
            name: name.to_owned(),
        })
    }

    /// The cluster recorded in `dir`.
    pub(super) fn load(dir: &Path) -> Result<(Self, State)> {
        let dir = dir
            .canonicalize()
            .with_context(|| format!("no cluster in {}", dir.display()))?;
        let state = read(&dir)?;
        Ok((
            Self {
                dir,
                name: state.name.clone(),
            },
            state,
        ))
    }

    pub(super) fn create(&self) -> Result<()> {
        for dir in ["pki", "logs", "cni", "s3", "kubelet", "pods", "plugins"].map(|name| self.dir.join(name)) {
            fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        }
        fs::create_dir_all(self.run_dir()).with_context(|| format!("create {}", self.run_dir().display()))?;
        std::os::unix::fs::symlink(&self.dir, self.run_dir().join("folder")).context("link to the cluster's folder")
    }

    /// Another cluster of this project that runs on this machine.
    pub(super) fn neighbour(&self) -> Option<Self> {
        let own = self.run_dir();
        let runs = fs::read_dir(RUN_DIR)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| *path != own);
        runs.filter_map(|path| Some(Self::load(&path.join("folder")).ok()?.0))
            .next()
    }

    pub(super) fn state(&self) -> Result<State> {
        read(&self.dir)
    }

    /// Changes the record under a lock: stories start and stop components from several threads and processes.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<State> {
        let _lock = Lock::acquire(&self.dir.join(".state.lock"))?;
        let mut state = self.state()?;
        change(&mut state);
        self.save(&state)?;
        Ok(state)
    }

    pub(super) fn save(&self, state: &State) -> Result<()> {
        let text = serde_json::to_string_pretty(state).context("encode cluster record")?;
        let staging = self.dir.join(".cluster.json.new");
        fs::write(&staging, text).with_context(|| format!("write {}", staging.display()))?;
        fs::rename(&staging, self.dir.join(FILE)).context("write cluster record")
    }

    /// The name of the network namespace.
    pub(super) fn netns(&self) -> String {
        format!("profiling-{}", self.name)
    }

    /// The cgroup, from the root of a hierarchy.
    pub(super) fn cgroup(&self) -> String {
        format!("/profiling-{}", self.name)
    }

    pub(super) fn run_dir(&self) -> PathBuf {
        Path::new(RUN_DIR).join(&self.name)
    }

    pub(super) fn containerd_socket(&self) -> PathBuf {
        self.run_dir().join("containerd.sock")
    }

    pub(super) fn s3_root(&self) -> PathBuf {
        self.dir.join("s3")
    }

    pub(super) fn log(&self, component: &str) -> PathBuf {
        self.dir.join("logs").join(format!("{component}.log"))
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.dir.join("logs").join("audit.json")
    }

    pub(super) fn pki(&self, file: &str) -> PathBuf {
        self.dir.join("pki").join(file)
    }

    pub(super) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.dir.join(format!("{user}.kubeconfig"))
    }
}

fn read(dir: &Path) -> Result<State> {
    let path = dir.join(FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("no cluster in {}", dir.display()))?;
    serde_json::from_str(&text).with_context(|| format!("decode {}", path.display()))
}
