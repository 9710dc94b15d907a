//! Kubernetes from source: one program of all components, for any version.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::process;

/// The version that tests run on unless `K8S_VERSION` says otherwise: the newest that is supported.
pub const DEFAULT_KUBERNETES: KubernetesVersion = KubernetesVersion { minor: 37, patch: 2 };

/// The names by which the program is called.
const COMPONENTS: [&str; 7] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
];

/// A version of Kubernetes 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubernetesVersion {
    minor: u32,
    patch: u32,
}

impl KubernetesVersion {
    /// `K8S_VERSION`, else the default.
    pub fn from_environment() -> Result<Self> {
        match std::env::var("K8S_VERSION") {
            Ok(text) if !text.is_empty() => text.parse().context("K8S_VERSION"),
            _ => Ok(DEFAULT_KUBERNETES),
        }
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1.{}.{}", self.minor, self.patch)
    }
}

impl FromStr for KubernetesVersion {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (minor, patch) = text.trim_start_matches('v').strip_prefix("1.")?.split_once('.')?;
            Some(Self {
                minor: minor.parse().ok()?,
                patch: patch.parse().ok()?,
            })
        };
        parse().ok_or_else(|| anyhow!("{text:?} is not a version such as {DEFAULT_KUBERNETES}"))
    }
}

/// Builds the program into `staging/bin`, with a link for each component.
pub(super) fn build(version: KubernetesVersion, staging: &Path) -> Result<()> {
    let source = staging.join("src");
    fs::create_dir_all(&source).context("create source folder")?;
    fs::write(source.join("main.go"), include_str!("../../kubeone/main.go")).context("write main.go")?;
    fs::write(source.join("go.mod"), module_file(version)?).context("write go.mod")?;
    let bin = staging.join("bin");
    // Clients decide by the server's version what they may ask of it.
    let variables = [
        ("k8s.io/component-base/version.gitVersion", version.to_string()),
        ("k8s.io/component-base/version.gitMajor", "1".to_owned()),
        ("k8s.io/component-base/version.gitMinor", version.minor.to_string()),
        ("k8s.io/component-base/version.gitTreeState", "clean".to_owned()),
    ];
    super::go::build(&source, &bin.join("kubeone"), &variables)?;
    for component in COMPONENTS {
        std::os::unix::fs::symlink("kubeone", bin.join(component)).with_context(|| format!("link {component}"))?;
    }
    Ok(())
}

/// The go.mod for `version`: Kubernetes, with every staging module replaced by its published version, which is what its
/// own go.mod does with folders that the published module lacks.
fn module_file(version: KubernetesVersion) -> Result<String> {
    let mut go = super::go::command();
    go.args(["mod", "download", "-json", &format!("k8s.io/kubernetes@{version}")]);
    let download: Value = serde_json::from_str(&process::text(&mut go)?).context("go mod download")?;
    let path = download["GoMod"].as_str().context("go mod download names no go.mod")?;
    let kubernetes = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    generate(version, &kubernetes)
}

fn generate(version: KubernetesVersion, kubernetes: &str) -> Result<String> {
    let go = kubernetes
        .lines()
        .find(|line| line.starts_with("go "))
        .context("no go line in Kubernetes' go.mod")?;
    let published = format!("v0.{}.{}", version.minor, version.patch);
    let mut file = format!(
        "module profiling.io/testkit/kubeone\n\n{go}\n\nrequire (\n\tk8s.io/component-base {published}\n\tk8s.io/kubectl \
         {published}\n\tk8s.io/kubernetes {version}\n)\n"
    );
    let mut replaced = 0;
    for line in kubernetes.lines() {
        let Some((module, folder)) = line.trim().trim_start_matches("replace ").split_once(" => ") else {
            continue;
        };
        if folder.starts_with("./staging/") {
            file.push_str(&format!("replace {module} => {module} {published}\n"));
            replaced += 1;
        }
    }
    if replaced == 0 {
        bail!("Kubernetes' go.mod replaces no staging module: has its layout changed?");
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_reads_with_and_without_its_v() {
        assert_eq!("1.33.13".parse::<KubernetesVersion>().unwrap().to_string(), "v1.33.13");
        assert_eq!("v1.37.2".parse::<KubernetesVersion>().unwrap(), DEFAULT_KUBERNETES);
        assert!("2.1.0".parse::<KubernetesVersion>().is_err());
    }

    #[test]
    fn every_staging_module_is_replaced_by_its_published_version() {
        let kubernetes = "module k8s.io/kubernetes\n\ngo 1.26.0\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\
                          \tk8s.io/kms => ./staging/src/k8s.io/kms\n)\n";
        let file = generate(DEFAULT_KUBERNETES, kubernetes).unwrap();
        assert!(file.contains("\ngo 1.26.0\n"));
        assert!(file.contains("replace k8s.io/api => k8s.io/api v0.37.2\nreplace k8s.io/kms => k8s.io/kms v0.37.2\n"));
        assert!(generate(DEFAULT_KUBERNETES, "go 1.26.0\n").is_err());
    }
}
