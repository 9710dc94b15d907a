//! What stories are told with: the operator installed as its users install it, a namespace and a bucket for each story,
//! the sample app in it, and eyes for what came of it.
//!
//! A story asserts on the world: objects of the API server, files of the bucket, requests in the audit log. It runs inside
//! the cluster's network, started by `make e2e`, and leaves a cluster on which the next can run.

pub mod fault;
pub mod hostile;
pub mod http;
pub mod ledger;
pub mod operator;
pub mod profile;
pub mod record;
pub mod replica;
pub mod seen;
pub mod story;

pub use story::Story;

use std::time::Duration;

/// For what takes seconds when all is well: a pod that starts, an object that is seen, a file that appears.
pub const SOON: Duration = Duration::from_secs(60);

/// For what waits for usage to be measured, an interval to pass and a profile of some seconds to be taken, on a machine
/// that runs other stories at the same time.
pub const IN_A_WHILE: Duration = Duration::from_secs(180);
