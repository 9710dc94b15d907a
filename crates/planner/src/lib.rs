//! The pure core of the flight recorder: what to capture, from which target, when, and why.
//!
//! [`World`] is a synchronous state machine. Everything that happens outside reaches it as an
//! [`Event`]; everything it wants done leaves it as a [`Command`]; what a command came to returns as
//! an event. There is no clock, no network, no randomness and no `async` in this crate: the time is an
//! argument, identities come in with the facts, and the same events at the same times give the same
//! commands. That is what makes every story of the operator a test without a cluster.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod chain;
pub mod command;
pub mod counters;
pub mod event;
pub mod id;
pub mod keys;
pub mod policy;
pub mod profile_type;
pub mod reason;
pub mod rules;
pub mod settings;
pub mod status;
pub mod target;
pub mod time;
pub mod usage;
pub mod world;

pub use chain::Chain;
pub use command::{CaptureJob, Command, Notice, NoticeTarget, RestoreRequest, SampleRequest, SampleScope, Trigger};
pub use counters::Counters;
pub use event::{
    CaptureOutcome, ConfigFacts, Event, PastCapture, PastOutcome, Refusal, Relisted, StoredType, TypeOutcome,
};
pub use id::{CaptureId, ConfigId, SampleId, TargetId};
pub use policy::{LabelSelector, OnDemandPolicy, Policy, Scope, StorePolicy, ThresholdPolicy, Transport};
pub use profile_type::{Format, ProfileType, TypeSet};
pub use reason::Reason;
pub use rules::Mode;
pub use settings::Settings;
pub use status::{Condition, ConfigStatus, LastCapture, PodHold, Totals, Truth, Why, WhyConfig};
pub use target::{Basis, ContainerFacts, Phase, Port, Resource, TargetFacts};
pub use time::{Mono, Now, Wall};
pub use usage::{ContainerUsage, TargetUsage, UsageSample};
pub use world::{RunningCapture, World};
