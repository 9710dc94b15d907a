//! google/pprof, built from the module that the profile crate's oracle is pinned to.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The program, and a folder for what it writes.
pub(crate) struct Pprof {
    pub(crate) folder: TempDir,
}

impl Pprof {
    /// `None` without Go.
    pub(crate) fn build() -> Option<Self> {
        let pprof = Self {
            folder: TempDir::new().unwrap(),
        };
        pprof.build_package("github.com/google/pprof", "pprof").then_some(pprof)
    }

    /// Builds a package of the oracle's module into the folder; says whether there is a Go to do it.
    pub(crate) fn build_package(&self, package: &str, name: &str) -> bool {
        let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profile/tests/oracle");
        let mut go = Command::new("go");
        go.arg("build").arg("-o").arg(self.path(name)).arg(package);
        match go.current_dir(module).status() {
            Ok(status) => {
                assert!(status.success());
                true
            }
            Err(_) => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "the peer needs go, and CI must have it"
                );
                false
            }
        }
    }

    /// A file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs it, away from the person's settings and binaries.
    pub(crate) fn run(&self, arguments: &[impl AsRef<str>]) -> Output {
        let mut pprof = Command::new(self.path("pprof"));
        pprof
            .arg("-symbolize=none")
            .args(arguments.iter().map(AsRef::as_ref))
            .env("HOME", self.folder.path())
            .env("PPROF_TMPDIR", self.folder.path())
            .env("PPROF_BINARY_PATH", "/nonexistent")
            .env("TZ", "UTC");
        pprof.output().unwrap()
    }
}
