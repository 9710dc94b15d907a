//! Go programs of the oracle's module, which is pinned to a version of google/pprof.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::corpus::{go, sources};

/// A folder in which a package is built to a program of this name; `None` when there is no Go to build it with.
pub(crate) fn built(package: &str, name: &str) -> Option<TempDir> {
    let has_go = Command::new("go").arg("version").stdout(Stdio::null()).status().is_ok();
    if !has_go {
        assert!(
            std::env::var_os("CI").is_none(),
            "the {name} needs go, and CI must have it"
        );
        return None;
    }
    let folder = TempDir::new().unwrap();
    let program = folder.path().join(name);
    go(&sources(), &["build", "-o", program.to_str().unwrap(), package]);
    Some(folder)
}
