//! Captures against real servers on loopback.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]
#![expect(unreachable_pub, reason = "a test has no public items")]

mod cluster;
mod cuts;
mod forward;
mod go_program;
mod hostile;
mod job;
mod pprof;
mod server;
mod set;
