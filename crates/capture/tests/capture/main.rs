//! Captures against real servers on loopback.
#![expect(unreachable_pub, reason = "a test has no public items")]

mod cluster;
mod forward;
mod hostile;
mod job;
mod pprof;
mod server;
mod set;
