//! What a capture yields.

use std::time::Duration;

use planner::ProfileType;

pub use crate::body::Summary;
use crate::spool::SpooledFile;

/// A profile in a spooled file: received whole, within its limit, and found to be what was asked for.
#[derive(Debug)]
pub struct Artifact {
    /// What it is.
    pub profile_type: ProfileType,
    /// Where it lies. The file is deleted when this is dropped.
    pub file: SpooledFile,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// What the check found in it; none for a trace, whose format is not read here.
    pub summary: Option<Summary>,
    /// When it was asked for, from the start of the set.
    pub started_after: Duration,
    /// From the request to the last byte.
    pub took: Duration,
}
