//! The operator: watches, meters, acts and reports. What to do is decided in `planner`.
//!
//! Two ways to run share everything but the source of events and the access: [`cluster`] and
//! [`standalone`].

pub mod actor;
pub mod clock;
pub mod cluster;
pub mod demo;
pub mod flags;
pub mod http;
pub mod kinds;
pub mod lead;
pub mod lease;
pub mod listen;
pub mod meter;
pub mod notices;
pub mod restore;
pub mod standalone;
pub mod status;
pub mod telemetry;
pub mod watch;
pub mod worker;
