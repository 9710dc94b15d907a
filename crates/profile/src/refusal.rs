//! Why a field was refused, by the streaming check and by the decoder alike.

use crate::limits::LimitExceeded;
use crate::wire::Fault;

/// Why a field was refused.
pub(crate) enum Refusal {
    Fault(Fault),
    Limit(LimitExceeded),
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
