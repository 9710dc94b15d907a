//! How a target is reached, and how it is known to be the right one.

mod kube;
mod local;
mod port_forward;

use std::fmt;
use std::io;

use planner::{CaptureJob, Reason, TargetId};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::failure::Failure;

pub use self::kube::Kube;
pub use self::local::Local;

/// A way to targets. The capture sets the deadlines around both calls.
#[async_trait::async_trait]
pub trait Access: Send + Sync {
    /// What answers under the job's name now. Asked before a tunnel is opened and after it answered.
    ///
    /// # Errors
    /// `PodReplaced` when nothing has the name; other reasons when it could not be found out, or when the
    /// target must not be touched.
    async fn identify(&self, job: &CaptureJob) -> Result<Identity, Failure>;

    /// Opens a connection to the job's port.
    ///
    /// # Errors
    /// With the reason why there is none.
    async fn dial(&self, job: &CaptureJob) -> Result<Tunnel, Failure>;
}

/// What answers under a target's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose name it is.
    pub target: TargetId,
    /// How often its containers restarted, all together.
    pub restarts: u32,
    /// Whether its deletion has begun.
    pub terminating: bool,
}

/// A connection to a target's port. It is closed by being dropped; its write side is never closed alone.
///
/// A `read` that returns no bytes means that the target closed the connection. Everything else that ends
/// a tunnel is an [`io::Error`], and where the tunnel knows the cause, the error carries a [`TunnelFault`].
pub type Tunnel = Box<dyn Duplex>;

/// Both directions of a connection.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// The cause of a tunnel's end, inside the [`io::Error`] of a read or write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TunnelFault {
    /// The code.
    pub reason: Reason,
    /// In words.
    pub message: String,
}

impl TunnelFault {
    /// A fault as the error of a read or write.
    pub fn into_io(reason: Reason, message: impl fmt::Display) -> io::Error {
        io::Error::other(Self {
            reason,
            message: message.to_string(),
        })
    }

    /// The fault that an error carries, or what its kind says.
    pub(crate) fn of(error: &io::Error) -> Self {
        if let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            return fault.clone();
        }
        let kind = error.kind();
        let reason = if kind == io::ErrorKind::ConnectionRefused {
            Reason::ConnectionRefused
        } else if kind == io::ErrorKind::TimedOut {
            Reason::TimedOut
        } else {
            Reason::TunnelBroken
        };
        Self {
            reason,
            message: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_comes_out_of_the_error_that_carries_it() {
        let error = TunnelFault::into_io(Reason::ForwardRefused, "no");
        assert_eq!(TunnelFault::of(&error).reason, Reason::ForwardRefused);
        let error = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(TunnelFault::of(&error).reason, Reason::TunnelBroken);
    }
}
