//! Who acts: the right to cause effects, held for a time and checked before each of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use planner::Mono;

use crate::clock::Clock;

/// Until when this process may act, on the clock that never steps. A process that was stopped and goes
/// on finds it over, whatever it was in the middle of.
#[derive(Clone, Debug)]
pub struct Lead {
    clock: Clock,
    valid_until: Arc<AtomicU64>,
}

impl Lead {
    /// Not leading yet.
    pub fn none(clock: Clock) -> Self {
        Self {
            clock,
            valid_until: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Leading for ever: there is nobody else.
    pub fn alone(clock: Clock) -> Self {
        Self {
            clock,
            valid_until: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// Whether an effect may begin now.
    pub fn holds(&self) -> bool {
        self.clock.mono() < self.valid_until()
    }

    /// When it ends unless it is extended.
    pub fn valid_until(&self) -> Mono {
        Mono(self.valid_until.load(Ordering::Acquire))
    }

    /// Extends it, or with an earlier moment ends it.
    pub fn set_valid_until(&self, until: Mono) {
        self.valid_until.store(until.0, Ordering::Release);
    }
}
