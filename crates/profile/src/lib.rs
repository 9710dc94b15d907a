//! pprof profiles: check, decode, encode and algebra.
//!
//! No file system, no network, no clock and no `async`: bytes come in as slices and go out as vectors, so
//! every function here can be called from a server, a command line or a fuzzer alike. What comes in is
//! never trusted: each count and size has a limit in [`Limits`] that is looked at before memory is taken.
//!
//! [`check::Checker`] is for bodies on their way elsewhere: chunk by chunk, in constant memory.
//! [`unpack`] and [`Profile::decode`] make a [`Profile`] of profile.proto, and [`Profile::parse`] of any format that
//! google/pprof reads; [`Profile::encode`] makes bytes of it, and [`merge::Merger`] one profile of many, all exactly as
//! google/pprof does. Whoever reads many keeps their memory in [`Buffers`]. [`build::Builder`] makes a [`Profile`] of what is in another form, [`import`] does so with what other
//! tools write. [`view`] is what people look at.

mod buffers;
pub mod build;
pub mod check;
mod decode;
mod delta;
mod encode;
mod excerpt;
pub mod filter;
mod gunzip;
pub mod import;
mod legacy;
#[cfg(feature = "libdeflate")]
pub mod libdeflate;
mod limits;
pub mod merge;
mod messages;
pub mod model;
pub mod parse;
pub mod pattern;
mod prune;
mod refusal;
mod scale;
pub mod sources;
pub mod view;
mod wire;

pub use buffers::{Buffers, unpack_into};
pub use decode::unpack;
pub use delta::{Delta, DeltaError};
pub use encode::gzip;
pub use gunzip::GzipError;
pub use limits::{LimitExceeded, Limits};
pub use model::Profile;
pub use prune::PruneError;
pub use scale::ScaleError;
