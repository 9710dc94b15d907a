//! The `ProfilingConfig` resource: its schema, and its validation into a [`planner::Policy`].
//!
//! Everything that the API server hands us is turned into the planner's words here and nowhere else:
//! configs ([`read()`]), pods ([`pod`]), usage samples ([`usage`]), quantities ([`quantity`]); and what the
//! planner says of a config becomes the resource's status ([`status`]). All of it is pure: no client, no
//! clock, no `async`.

pub mod bounds;
pub mod identity;
pub mod pod;
pub mod quantity;
pub mod read;
pub mod resource;
pub mod status;
pub mod usage;

pub use read::{Admission, Read, config_id, read, read_undecodable, read_undecodable_value};
pub use resource::{ProfilingConfig, ProfilingConfigSpec, definition};
pub use status::ProfilingConfigStatus;
