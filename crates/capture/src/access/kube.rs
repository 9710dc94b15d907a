//! Pods, through the API server or straight to their addresses.

use std::net::IpAddr;

use ::kube::Client;
use ::kube::client::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use planner::{CaptureJob, Chain, Reason, TargetId, Transport};
use serde::Deserialize;
use tokio::net::TcpStream;

use super::{Access, Identity, Tunnel, TunnelFault, port_forward};
use crate::failure::{Failure, quote};

/// Largest pod that is read. The API server's own limit for an object in etcd is 1.5 MiB of protobuf,
/// which is less than twice that as JSON.
const POD_BYTES_MAX: usize = 3 << 20;

/// How much of a refusal is read; its message is a sentence.
pub(super) const REFUSAL_BYTES_MAX: usize = 4 << 10;

/// Reaches pods by the job's transport.
#[derive(Clone)]
pub struct Kube {
    client: Client,
    target_of_uid: fn(&str) -> TargetId,
}

impl Kube {
    /// With the client whose identity makes the calls. It needs `get` of `pods`, and `get` and `create` of
    /// `pods/portforward`. What identity a UID stands for is given, so that it is the same one as everywhere else.
    pub const fn new(client: Client, target_of_uid: fn(&str) -> TargetId) -> Self {
        Self { client, target_of_uid }
    }
}

#[async_trait::async_trait]
impl Access for Kube {
    async fn identify(&self, job: &CaptureJob) -> Result<Identity, Failure> {
        let response = self.get_pod(job).await?;
        let status = response.status();
        if !status.is_success() {
            let said = refusal(response.into_body()).await;
            return Err(refused_pod(job, status, &said));
        }
        let body = read(response.into_body(), POD_BYTES_MAX)
            .await
            .ok_or_else(|| unreadable(job, "the answer broke off or is too large"))?;
        let pod: Pod = serde_json::from_slice(&body).map_err(|error| unreadable(job, &error.to_string()))?;
        pod.identity(job, self.target_of_uid)
    }

    async fn dial(&self, job: &CaptureJob) -> Result<Tunnel, Failure> {
        match job.transport {
            Transport::PortForward => port_forward::open(&self.client, job).await,
            Transport::PodIp => dial_pod(job).await,
        }
    }
}

impl Kube {
    async fn get_pod(&self, job: &CaptureJob) -> Result<Response<Body>, Failure> {
        let request = Request::get(pod_path(job)?)
            .header(header::ACCEPT, "application/json")
            .body(Body::empty())
            .map_err(|error| unreadable(job, &error.to_string()))?;
        self.client.send(request).await.map_err(|error| {
            let text = format!(
                "the API server did not say who is pod {}/{}: {}",
                job.namespace,
                job.pod,
                Chain(&error)
            );
            Failure::new(Reason::ForwardRefused, text)
        })
    }
}

/// The path of the job's pod. Names come from the API server, which lets only such letters pass; they are
/// looked at again because they become part of a path.
pub(super) fn pod_path(job: &CaptureJob) -> Result<String, Failure> {
    let is_name = |name: &str| {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
        !name.is_empty() && name.len() <= 253 && !name.starts_with('.') && name.bytes().all(is_letter)
    };
    if is_name(&job.namespace) && is_name(&job.pod) {
        return Ok(format!("/api/v1/namespaces/{}/pods/{}", job.namespace, job.pod));
    }
    let text = format!("{:?}/{:?} is not the name of a pod", job.namespace, job.pod);
    Err(Failure::new(Reason::InvalidSpec, text))
}

/// A body as a whole, if it is within the limit and did not break off.
pub(super) async fn read(mut body: Body, bytes_max: usize) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let piece: Bytes = frame.ok()?.into_data().unwrap_or_default();
        if whole.len() + piece.len() > bytes_max {
            return None;
        }
        whole.extend_from_slice(&piece);
    }
    Some(whole)
}

/// What a refusing server says: the message of a `Status`, or the head of whatever it sent.
pub(super) async fn refusal(body: Body) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let Some(body) = read(body, REFUSAL_BYTES_MAX).await else {
        return String::new();
    };
    match serde_json::from_slice::<Status>(&body) {
        Ok(status) => quote(status.message.as_bytes()),
        Err(_) => quote(&body),
    }
}

fn refused_pod(job: &CaptureJob, status: StatusCode, said: &str) -> Failure {
    let (namespace, pod) = (&job.namespace, &job.pod);
    match status {
        StatusCode::NOT_FOUND => Failure::new(Reason::PodReplaced, format!("pod {namespace}/{pod} is gone")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::new(
            Reason::Forbidden,
            format!("the operator may not read pod {namespace}/{pod}; its role needs get of pods there ({said})"),
        ),
        _ => Failure::new(
            Reason::ForwardRefused,
            format!("the API server did not say who is pod {namespace}/{pod}: {status} ({said})"),
        ),
    }
}

fn unreadable(job: &CaptureJob, why: &str) -> Failure {
    let text = format!(
        "the API server's answer about pod {}/{} cannot be read: {why}",
        job.namespace, job.pod
    );
    Failure::new(Reason::ProtocolError, text)
}

async fn dial_pod(job: &CaptureJob) -> Result<Tunnel, Failure> {
    let (namespace, pod, port) = (&job.namespace, &job.pod, job.port);
    let Some(address) = job.address.filter(is_pod_address) else {
        let text = format!("pod {namespace}/{pod} has no address that can be dialled; use transport PortForward");
        return Err(Failure::new(Reason::PortRefused, text));
    };
    match TcpStream::connect((address, port)).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => {
            let fault = TunnelFault::of(&error);
            let text = format!(
                "pod {namespace}/{pod} cannot be reached at {address} port {port} ({fault}): serve pprof on all \
                 addresses there, allow it in the NetworkPolicy, or use transport PortForward"
            );
            Err(Failure::new(fault.reason, text))
        }
    }
}

/// Whether a pod can have the address. Loopback would be the operator's own, link-local the cloud's
/// metadata service.
fn is_pod_address(address: &IpAddr) -> bool {
    let is_link_local = match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let address = address.to_canonical();
    !(is_link_local || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

/// The few fields of a pod that say who it is; the rest of the JSON is skipped, not built.
#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    host_network: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: Option<IpAddr>,
    #[serde(rename = "podIPs")]
    pod_ips: Option<Vec<PodAddress>>,
    container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Deserialize)]
struct PodAddress {
    ip: IpAddr,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    #[serde(default)]
    restart_count: u32,
}

impl Pod {
    fn identity(&self, job: &CaptureJob, target_of_uid: fn(&str) -> TargetId) -> Result<Identity, Failure> {
        let (namespace, pod) = (&job.namespace, &job.pod);
        if self.spec.host_network {
            let text = format!("pod {namespace}/{pod} uses the node's network, whose loopback is the node's");
            return Err(Failure::new(Reason::HostNetworkRefused, text));
        }
        // The address of a pod that ended, or got another one, may be another pod's by now.
        if job.transport == Transport::PodIp && !self.has_address(job.address) {
            let text = format!("pod {namespace}/{pod} no longer has the address at which it was to be reached");
            return Err(Failure::new(Reason::PodReplaced, text));
        }
        let counts = self
            .status
            .container_statuses
            .iter()
            .flatten()
            .map(|one| one.restart_count);
        Ok(Identity {
            target: target_of_uid(&self.metadata.uid),
            restarts: counts.fold(0, u32::saturating_add),
            terminating: self.metadata.deletion_timestamp.is_some(),
        })
    }

    fn has_address(&self, address: Option<IpAddr>) -> bool {
        let Some(address) = address else { return false };
        let others = self.status.pod_ips.iter().flatten().map(|one| one.ip);
        self.status.phase == "Running" && self.status.pod_ip.into_iter().chain(others).any(|one| one == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_no_pod_has_are_not_dialled() {
        for address in [
            "127.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "::ffff:127.0.0.1",
            "224.0.0.1",
        ] {
            assert!(!is_pod_address(&address.parse().unwrap()), "{address}");
        }
        for address in ["10.244.0.7", "100.64.3.2", "fd00::7"] {
            assert!(is_pod_address(&address.parse().unwrap()), "{address}");
        }
    }
}
