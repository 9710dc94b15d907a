//! What tests run against: the test cluster, its tools, its images and its object store.
//!
//! Nothing here is async and nothing speaks to Kubernetes except through `kubectl`, so that `xtask` and every test can use
//! it without the operator's dependencies. Nothing here may be used outside tests and `xtask`.

pub mod cache;
pub mod cluster;
pub mod cost;
pub mod image;
pub mod process;
pub mod s3;
pub mod soak;
pub mod tools;
pub mod wait;

pub use cluster::{Cluster, Options};
pub use wait::wait_until;
