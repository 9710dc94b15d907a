//! The components of a cluster and how each is called.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::state::{Layout, State};
use super::{NODE_ADDRESS, S3_CREDENTIALS, Tools};
use crate::tools::{Tool, ensure};

/// The API server's port in the cluster's network. Away from the usual one, so that a mistake meets nothing.
pub(super) const API_PORT: u16 = 16443;
/// Where metrics-server listens.
pub(super) const METRICS_PORT: u16 = 14443;
/// Where kwok answers as the kubelet of every simulated node.
pub(super) const SIMULATED_KUBELETS_PORT: u16 = 10247;
const ETCD_PORT: u16 = 12379;

/// A process of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the program of that name")]
pub enum Component {
    Containerd,
    Etcd,
    ApiServer,
    ControllerManager,
    Scheduler,
    Kubelet,
    Proxy,
    MetricsServer,
    S3,
    /// Not there unless pods are simulated.
    Kwok,
}

impl Component {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Containerd,
        Self::Etcd,
        Self::ApiServer,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kubelet,
        Self::Proxy,
        Self::MetricsServer,
        Self::S3,
        Self::Kwok,
    ];

    /// The name of its log and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Etcd => "etcd",
            Self::ApiServer => "apiserver",
            Self::ControllerManager => "controller-manager",
            Self::Scheduler => "scheduler",
            Self::Kubelet => "kubelet",
            Self::Proxy => "proxy",
            Self::MetricsServer => "metrics-server",
            Self::S3 => "s3",
            Self::Kwok => "kwok",
        }
    }

    /// The TCP port by whose opening its start is known.
    pub(super) fn port(self) -> Option<u16> {
        match self {
            Self::Etcd => Some(ETCD_PORT),
            Self::ApiServer => Some(API_PORT),
            Self::MetricsServer => Some(METRICS_PORT),
            Self::Kubelet => Some(10250),
            Self::S3 => Some(7070),
            Self::Kwok => Some(SIMULATED_KUBELETS_PORT),
            Self::Containerd | Self::ControllerManager | Self::Scheduler | Self::Proxy => None,
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Component {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|component| component.as_str() == name) {
            Some(component) => Ok(component),
            None => bail!("no component is called {name:?}"),
        }
    }
}

/// The program of a component and its arguments. It runs in the cluster's folder, so that paths here are short.
pub(super) fn invocation(
    component: Component,
    layout: &Layout,
    tools: &Tools,
    state: &State,
) -> Result<(PathBuf, Vec<String>)> {
    let kubernetes = |name: &str| tools.kubernetes.join(name);
    let (program, arguments) = match component {
        Component::Containerd => (tools.containerd.join("containerd"), words("--config containerd.toml")),
        Component::Etcd => (kubernetes("etcd"), etcd()),
        Component::ApiServer => (kubernetes("kube-apiserver"), api_server()),
        Component::ControllerManager => (kubernetes("kube-controller-manager"), controller_manager()),
        Component::Scheduler => (kubernetes("kube-scheduler"), scheduler()),
        Component::Kubelet => (kubernetes("kubelet"), kubelet(layout)),
        Component::Proxy => (kubernetes("kube-proxy"), words("--config proxy.yaml")),
        Component::MetricsServer => (
            tools.metrics_server.join("metrics-server"),
            metrics_server(state.metrics_resolution_seconds),
        ),
        Component::S3 => (tools.s3.join("versitygw"), s3()),
        // Few clusters have it, so it is built only when one is to.
        Component::Kwok => (ensure(Tool::Kwok)?.join("kwok"), kwok()),
    };
    Ok((program, arguments))
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// Without fsync: what a crash of the machine loses here is a test cluster.
fn etcd() -> Vec<String> {
    words(&format!(
        "--data-dir etcd --unsafe-no-fsync
         --listen-client-urls http://127.0.0.1:{ETCD_PORT} --advertise-client-urls http://127.0.0.1:{ETCD_PORT}
         --listen-peer-urls http://127.0.0.1:12380 --initial-advertise-peer-urls http://127.0.0.1:12380
         --initial-cluster default=http://127.0.0.1:12380"
    ))
}

/// Bound to every address of a network that has no way out: pods reach it by the node's address.
fn api_server() -> Vec<String> {
    words(&format!(
        "--etcd-servers http://127.0.0.1:{ETCD_PORT} --secure-port {API_PORT} --bind-address 0.0.0.0
         --advertise-address {NODE_ADDRESS} --service-cluster-ip-range 198.19.0.0/16
         --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction
         --tls-cert-file pki/apiserver.crt --tls-private-key-file pki/apiserver.key --client-ca-file pki/ca.crt
         --service-account-key-file pki/service-account.key
         --service-account-signing-key-file pki/service-account.key
         --service-account-issuer https://kubernetes.default.svc
         --kubelet-client-certificate pki/admin.crt --kubelet-client-key pki/admin.key
         --kubelet-certificate-authority pki/ca.crt --kubelet-preferred-address-types InternalIP
         --requestheader-client-ca-file pki/ca.crt --requestheader-allowed-names front-proxy
         --requestheader-extra-headers-prefix X-Remote-Extra- --requestheader-group-headers X-Remote-Group
         --requestheader-username-headers X-Remote-User
         --proxy-client-cert-file pki/front-proxy.crt --proxy-client-key-file pki/front-proxy.key
         --audit-policy-file audit-policy.yaml --audit-log-path logs/audit.json --audit-log-maxsize 0"
    ))
}

fn controller_manager() -> Vec<String> {
    words(
        "--kubeconfig controller-manager.kubeconfig --authentication-kubeconfig controller-manager.kubeconfig
         --authorization-kubeconfig controller-manager.kubeconfig --bind-address 127.0.0.1 --leader-elect=false
         --service-account-private-key-file pki/service-account.key --root-ca-file pki/ca.crt
         --use-service-account-credentials",
    )
}

fn scheduler() -> Vec<String> {
    words(
        "--kubeconfig scheduler.kubeconfig --authentication-kubeconfig scheduler.kubeconfig
         --authorization-kubeconfig scheduler.kubeconfig --bind-address 127.0.0.1 --leader-elect=false",
    )
}

fn kubelet(layout: &Layout) -> Vec<String> {
    let mut arguments = words(&format!(
        "--config kubelet.yaml --kubeconfig node.kubeconfig --hostname-override node1 --node-ip {NODE_ADDRESS}"
    ));
    for (flag, path) in [
        ("--root-dir", layout.dir.join("kubelet")),
        ("--cert-dir", layout.dir.join("pki")),
    ] {
        arguments.extend([flag.to_owned(), path.display().to_string()]);
    }
    arguments
}

fn metrics_server(resolution_seconds: u32) -> Vec<String> {
    words(&format!(
        "--kubeconfig metrics-server.kubeconfig --authentication-kubeconfig metrics-server.kubeconfig
         --authorization-kubeconfig metrics-server.kubeconfig --secure-port {METRICS_PORT} --bind-address 127.0.0.1
         --kubelet-insecure-tls --kubelet-preferred-address-types InternalIP --kubelet-use-node-status-port
         --metric-resolution {resolution_seconds}s --kubelet-request-timeout 5s --cert-dir pki/metrics-server"
    ))
}

fn s3() -> Vec<String> {
    let (access, secret) = S3_CREDENTIALS;
    words(&format!(
        "--access {access} --secret {secret} --port {NODE_ADDRESS}:7070 posix s3"
    ))
}

/// As a kubelet it shows the node's certificate, which the API server checks.
fn kwok() -> Vec<String> {
    words(&format!(
        "--config kwok.yaml --kubeconfig admin.kubeconfig --node-ip {NODE_ADDRESS}
         --node-port {SIMULATED_KUBELETS_PORT} --tls-cert-file pki/node.crt --tls-private-key-file pki/node.key"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_component_is_found_by_its_name() {
        for component in Component::ALL {
            assert_eq!(component.as_str().parse::<Component>().unwrap(), component);
        }
        assert!("kube-dns".parse::<Component>().is_err());
    }
}
