//! What is known of a target. The planner keeps it interned; this is the form in which it comes in.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::id::TargetId;
use crate::time::Wall;

/// A pod that opted in, or a process in standalone mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFacts {
    /// Its identity: the pod's UID.
    pub id: TargetId,
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name, which another target may have had before.
    pub name: Box<str>,
    /// The service it belongs to, by the seed's order of labels, owner and name.
    pub service: Box<str>,
    /// The node it runs on, empty before it is scheduled.
    pub node: Box<str>,
    /// Its labels, sorted by name, each once.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// Whether it asks to be profiled (`profiling.io/enabled: "true"`).
    pub opted_in: bool,
    /// Where its profiles are served.
    pub port: Port,
    /// Its address, for the PodIP transport.
    pub address: Option<IpAddr>,
    /// Its containers, in their order.
    pub containers: Vec<ContainerFacts>,
    /// `profiling.io/container`: the container whose usage counts.
    pub container: Option<Box<str>>,
    /// Whether it shares the node's network: its loopback is the node's, so it is refused.
    pub host_network: bool,
    /// Whether it runs.
    pub phase: Phase,
    /// Whether its deletion has begun.
    pub terminating: bool,
    /// When it started: a usage sample from before then is of another pod of this name.
    pub started_at: Option<Wall>,
}

/// A container's resources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerFacts {
    /// Its name.
    pub name: Box<str>,
    /// CPU limit in thousandths of a core.
    pub cpu_limit_millis: Option<u64>,
    /// CPU request in thousandths of a core.
    pub cpu_request_millis: Option<u64>,
    /// Memory limit in bytes.
    pub memory_limit_bytes: Option<u64>,
    /// Memory request in bytes.
    pub memory_request_bytes: Option<u64>,
    /// Whether it declares the port at which profiles are served.
    pub declares_port: bool,
}

/// The port of `profiling.io/port`, resolved against the declared ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// A number, 1 to 65535.
    Number(u16),
    /// A value that is neither a number nor the name of a declared port, cut to 63 bytes.
    Unresolved(Box<str>),
}

/// Where a target is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not running yet.
    Pending,
    /// Running.
    Running,
    /// Ended, well or not.
    Ended,
}

/// A resource with a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// CPU time.
    Cpu,
    /// Working-set memory.
    Memory,
}

/// What a percentage is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// The container's limit.
    Limit,
    /// The container's request, where it has no limit.
    Request,
}

impl Resource {
    /// The word in records, events and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
        }
    }
}

impl Basis {
    /// The word in records, events and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Request => "request",
        }
    }
}
