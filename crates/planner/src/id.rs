//! Identities. All of them come from outside or are derived from what came from outside.

use core::fmt;

/// A target: a pod by its UID, a process by its id and start time. Opaque here.
///
/// 128 bits hold the UID of an API object whole; whoever makes one from something else hashes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub u128);

/// A ProfilingConfig by its UID: a config that is deleted and made again is another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigId(pub u128);

/// A capture: derived from config, target, container, reason and second of the decision, never
/// random, so that a restart or a second leader writes the same name for the same capture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaptureId(pub u64);

/// One request for usage samples, to tell its answer from that of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleId(pub u64);

macro_rules! hex {
    ($($name:ident $width:literal),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!("{:0", $width, "x}"), self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!(stringify!($name), "({})"), self)
            }
        }
    )*};
}
hex!(TargetId 32, ConfigId 32, CaptureId 16);
