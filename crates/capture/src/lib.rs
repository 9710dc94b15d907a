//! Reaching a target and reading its profiles, safely.
//!
//! [`take_set`] is the whole of it: it takes a [`planner::CaptureJob`], reaches the target through an
//! [`Access`], asks for one profile after the other by the paths of a driver's table, and gives every
//! one of them as an [`Artifact`] (a spooled file that was received whole and found to be a profile) or
//! as a [`Failure`] with a reason from the planner's closed set.
//!
//! What holds everywhere here:
//! - Nothing is spawned: a capture is one future, and dropping it closes its tunnel and deletes its file.
//! - No body lives in memory: it streams frame by frame through hash and check into a file.
//! - Every wait has a deadline, every read a limit (see [`Settings`]).
//! - No redirect is followed, and no path is built from anything but the driver's table.

pub mod access;
pub mod artifact;
mod body;
mod drivers;
mod exchange;
pub mod failure;
mod pace;
pub mod settings;
mod spool;
mod take;

pub use access::{Access, Identity, Tunnel};
pub use artifact::{Artifact, Summary};
pub use failure::Failure;
pub use pace::Pace;
pub use settings::Settings;
pub use spool::{SPOOL_FILE_PREFIX, Spool, SpooledFile};
pub use take::take_set;
