//! Why a field was refused, by the streaming check and by the decoder alike.

use crate::limits::LimitExceeded;
use crate::wire::{Fault, whole};

/// Why a field was refused.
pub(crate) enum Refusal {
    Fault(Fault),
    Limit(LimitExceeded),
}

impl Refusal {
    /// The same inside a message that is there as a whole: nothing is still to come.
    #[cold]
    pub(crate) fn inside(self) -> Self {
        match self {
            Self::Fault(fault) => Self::Fault(whole(fault)),
            Self::Limit(limit) => Self::Limit(limit),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<LimitExceeded> for Refusal {
    fn from(limit: LimitExceeded) -> Self {
        Self::Limit(limit)
    }
}
