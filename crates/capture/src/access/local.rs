//! Processes of this machine, for standalone mode.

use std::net::{Ipv4Addr, SocketAddrV4};

use planner::{CaptureJob, Reason};
use tokio::net::TcpStream;

use super::{Access, Identity, Tunnel, TunnelFault};
use crate::failure::Failure;

type Lookup = dyn Fn(&CaptureJob) -> Option<Identity> + Send + Sync;

/// Reaches 127.0.0.1 and nothing else.
pub struct Local {
    lookup: Box<Lookup>,
}

impl Local {
    /// With the way to find out who listens: the identity of a process is its id and start time, and none
    /// means that it is gone.
    pub fn new(lookup: impl Fn(&CaptureJob) -> Option<Identity> + Send + Sync + 'static) -> Self {
        Self {
            lookup: Box::new(lookup),
        }
    }
}

#[async_trait::async_trait]
impl Access for Local {
    async fn identify(&self, job: &CaptureJob) -> Result<Identity, Failure> {
        (self.lookup)(job)
            .ok_or_else(|| Failure::new(Reason::PodReplaced, format!("the process {} has ended", job.pod)))
    }

    async fn dial(&self, job: &CaptureJob) -> Result<Tunnel, Failure> {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, job.port);
        match TcpStream::connect(address).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                let fault = TunnelFault::of(&error);
                let text = format!("{address} cannot be reached ({fault}): is the pprof server on this port?");
                Err(Failure::new(fault.reason, text))
            }
        }
    }
}
