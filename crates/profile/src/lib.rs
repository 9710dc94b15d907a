//! pprof profiles: check, decode, encode and algebra.
//!
//! No file system, no network, no clock and no `async`: bytes come in as slices and go out as vectors, so
//! every function here can be called from a server, a command line or a fuzzer alike. What comes in is
//! never trusted: each count and size has a limit in [`Limits`] that is looked at before memory is taken.
//!
//! [`check::Checker`] is for bodies on their way elsewhere: chunk by chunk, in constant memory.

pub mod check;
mod excerpt;
mod gunzip;
mod limits;
mod wire;

pub use limits::{LimitExceeded, Limits};
