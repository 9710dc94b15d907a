//! Programs that run beside the cluster, in its network.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use testkit::Cluster;
use testkit::process::{Running, Signal};

/// A program that ends with its scope and, if that fails, with the cluster.
pub(crate) struct Beside(pub(crate) Running);

impl Beside {
    /// Starts `command`, which must be one of the cluster's.
    pub(crate) fn start(cluster: &Cluster, command: &mut Command, log: &Path) -> Result<Self> {
        let beside = Self(Running::start(command, log)?);
        cluster.adopt(&beside.0)?;
        Ok(beside)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        drop(self.0.signal(Signal::KILL));
    }
}
