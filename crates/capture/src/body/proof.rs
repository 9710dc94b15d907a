//! The proof that a body is what was asked for, and whole.

use planner::{Format, ProfileType, Reason};

use crate::drivers::go;
use crate::failure::Failure;

/// What the check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many samples.
    pub samples: u64,
    /// Type and unit of each value.
    pub sample_types: Vec<(String, String)>,
    /// Size when unpacked.
    pub uncompressed_bytes: u64,
}

/// What a body must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) profile_type: ProfileType,
    pub(crate) sample_types: &'static [&'static str],
}

impl Expected {
    /// Whether a whole body can be told from a shorter one by itself.
    pub(crate) fn proves_its_end(&self) -> bool {
        match self.profile_type.format() {
            Format::Pprof => true,
            Format::GoTrace => false,
        }
    }

    pub(crate) fn start(&self) -> Proof {
        Proof { expected: *self, head: Vec::new() }
    }
}

/// A check that is fed piece by piece.
pub(crate) struct Proof {
    expected: Expected,
    head: Vec<u8>,
}

impl Proof {
    pub(crate) async fn feed(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let magic = self.magic();
        if self.head.len() < magic.len() {
            let missing = magic.len() - self.head.len();
            self.head.extend_from_slice(&piece[..piece.len().min(missing)]);
            if !magic.starts_with(&self.head) {
                return Err(Failure::new(Reason::NotAProfile, "the body does not begin like a profile"));
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Option<Summary>, Failure> {
        if self.head != self.magic() {
            return Err(Failure::new(Reason::NotAProfile, "the body is too short for a profile"));
        }
        Ok(None)
    }

    fn magic(&self) -> &'static [u8] {
        match self.expected.profile_type.format() {
            Format::Pprof => &[0x1f, 0x8b],
            Format::GoTrace => go::TRACE_MAGIC,
        }
    }
}
