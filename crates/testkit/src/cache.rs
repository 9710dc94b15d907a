//! Where this project keeps what it builds for its tests.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::FlockOperation;

/// `$PROFILING_CACHE`, else `$XDG_CACHE_HOME/profiling-operator`, else `~/.cache/profiling-operator`.
pub fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = non_empty("PROFILING_CACHE") {
        return std::path::absolute(dir).context("PROFILING_CACHE");
    }
    let base = match non_empty("XDG_CACHE_HOME") {
        Some(dir) => dir,
        None => non_empty("HOME")
            .context("neither PROFILING_CACHE nor HOME is set")?
            .join(".cache"),
    };
    std::path::absolute(base.join("profiling-operator")).context("cache folder")
}

/// An exclusive lock on a file, held until dropped; waits for whoever holds it, in this process or another.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Creates `path` when it is not there and waits until nobody else holds it.
    pub fn acquire(path: &Path) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        }
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive).with_context(|| format!("lock {}", path.display()))?;
        Ok(Self { _file: file })
    }
}

fn non_empty(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
