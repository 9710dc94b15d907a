//! Usage samples, in the slim form into which the metrics API is decoded.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::id::SampleId;
use crate::time::Wall;

/// The answer to one [`crate::SampleRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageSample {
    /// Which request it answers.
    pub request: SampleId,
    /// What was measured, in any order.
    pub targets: Vec<TargetUsage>,
}

/// What one target used, as one measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetUsage {
    /// Namespace of the target.
    pub namespace: Box<str>,
    /// Name of the target: the metrics API knows no UID.
    pub name: Box<str>,
    /// When it was measured, by the server's clock.
    pub taken_at: Wall,
    /// How old it was when it was served: the server's time of the answer less `taken_at`, so that
    /// our own clock plays no part.
    pub age_millis: u64,
    /// The window it is an average over.
    pub window_millis: u64,
    /// Per container.
    pub containers: Vec<ContainerUsage>,
}

/// What one container used. A value that was missing, negative or not a number is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUsage {
    /// Its name.
    pub name: Box<str>,
    /// CPU in billionths of a core.
    pub cpu_nanos: Option<u64>,
    /// Working set in bytes.
    pub memory_bytes: Option<u64>,
}
