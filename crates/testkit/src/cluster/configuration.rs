//! The configuration files of a cluster's components.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::state::{Layout, State};
use super::{NODE_ADDRESS, Tools};

/// The image of every pod's first process.
pub(super) const PAUSE_IMAGE: &str = "localhost/pause:1";

/// metrics.k8s.io, served by metrics-server beside the API server: a service that is a name needs no DNS, no endpoints.
pub(super) const METRICS_API: &str = "
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec: {type: ExternalName, externalName: localhost, ports: [{port: 14443}]}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  service: {name: metrics-server, namespace: kube-system, port: 14443}
  group: metrics.k8s.io
  version: v1beta1
  insecureSkipTLSVerify: true
  groupPriorityMinimum: 100
  versionPriority: 100
";

/// Who asked for what, without bodies. A watch is logged when it starts and when it ends, everything else once.
const AUDIT_POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
";

pub(super) fn write(layout: &Layout, tools: &Tools, state: &State) -> Result<()> {
    let write =
        |name: &str, text: String| fs::write(layout.dir.join(name), text).with_context(|| format!("write {name}"));
    write("audit-policy.yaml", AUDIT_POLICY.to_owned())?;
    write("containerd.toml", containerd(layout, tools))?;
    write("cni/10-bridge.conflist", format!("{:#}\n", bridge(layout)))?;
    write("kubelet.yaml", kubelet(layout))?;
    write("proxy.yaml", proxy(layout))?;
    write("resolv.conf", format!("# {}: no name server\n", state.name))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// `restrict_oom_score_adj`: a machine without CAP_SYS_RESOURCE may not make a process less likely to be killed, and
/// without this every sandbox fails there.
fn containerd(layout: &Layout, tools: &Tools) -> String {
    let dir = shown(&layout.dir);
    let run = shown(&layout.run_dir());
    let socket = shown(&layout.containerd_socket());
    let cni = shown(&tools.cni);
    let runc = shown(&tools.runc.join("runc"));
    format!(
        "version = 3
root = '{dir}/containerd/root'
state = '{dir}/containerd/state'
imports = []
disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.internal.v1.tracing']

[grpc]
  address = '{socket}'
[ttrpc]
  address = '{socket}.ttrpc'

[plugins.'io.containerd.internal.v1.opt']
  path = '{dir}/containerd/opt'
[plugins.'io.containerd.shim.v1.manager']
  socket_dir = '{run}/s'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{PAUSE_IMAGE}'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  cdi_spec_dirs = []
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['{cni}']
    conf_dir = '{dir}/cni'
    use_internal_loopback = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = '{runc}'
      Root = '{dir}/runc'
      SystemdCgroup = false
"
    )
}

/// The name is the cluster's own, because the library keeps its results in one folder of the machine under it.
fn bridge(layout: &Layout) -> serde_json::Value {
    json!({
        "cniVersion": "1.0.0",
        "name": layout.netns(),
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": layout.dir.join("cni/addresses"),
                    "ranges": [[{ "subnet": "198.18.0.0/16" }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    })
}

/// Images are never collected: nothing can bring them back. The name server is an address where nobody listens on the
/// port: a pod that looks up a name is refused at once instead of waiting, and the kubelet does not complain of having none.
fn kubelet(layout: &Layout) -> String {
    let dir = shown(&layout.dir);
    let socket = shown(&layout.containerd_socket());
    let cgroup = layout.cgroup();
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {NODE_ADDRESS}
cgroupDriver: cgroupfs
cgroupRoot: {cgroup}
failCgroupV1: false
failSwapOn: false
maxPods: 200
containerRuntimeEndpoint: unix://{socket}
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: true}}, x509: {{clientCAFile: {dir}/pki/ca.crt}}}}
authorization: {{mode: Webhook}}
tlsCertFile: {dir}/pki/node.crt
tlsPrivateKeyFile: {dir}/pki/node.key
podLogsDir: {dir}/pods
volumePluginDir: {dir}/plugins
resolvConf: {dir}/resolv.conf
clusterDNS: [{NODE_ADDRESS}]
clusterDomain: cluster.local
imageGCHighThresholdPercent: 100
evictionHard: {{memory.available: 100Mi}}
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
"
    )
}

fn proxy(layout: &Layout) -> String {
    let kubeconfig = shown(&layout.kubeconfig("proxy"));
    format!(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {{kubeconfig: {kubeconfig}}}
clusterCIDR: 198.18.0.0/16
hostnameOverride: node1
conntrack: {{maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
"
    )
}
