//! How often, and how long apart.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use super::Timing;
use crate::error::StoreError;

/// The attempts of one operation.
pub(super) struct Attempts {
    timing: Timing,
    first_at: Instant,
    made: u32,
}

/// Longest wait before the second attempt, doubled for each further one.
const WAIT_FIRST: Duration = Duration::from_millis(200);

/// Longest wait of our own choice.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Longest wait that a server may ask for: the capture behind this upload holds a place that others wait for.
const WAIT_ASKED_MAX: Duration = Duration::from_secs(15);

impl Attempts {
    #[expect(clippy::disallowed_methods, reason = "this is tokio's clock, which tests can move")]
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            timing,
            first_at: Instant::now(),
            made: 0,
        }
    }

    /// How long to wait before the next attempt after one failed with `error`; the error itself when there is none.
    pub(super) fn wait_after(&mut self, error: StoreError) -> Result<Duration, StoreError> {
        self.made += 1;
        let asked = match &error {
            StoreError::Status { retry_after, .. } => retry_after.map(|asked| asked.min(WAIT_ASKED_MAX)),
            _ => None,
        };
        let wait = asked.unwrap_or_else(|| jittered(WAIT_MAX.min(WAIT_FIRST * (1 << (self.made - 1).min(10)))));
        let over = self.made >= self.timing.attempts_max || self.first_at.elapsed() + wait > self.timing.retry_window;
        if over || !error.is_retryable() {
            Err(error)
        } else {
            Ok(wait)
        }
    }
}

/// Between half and the whole of it, so that captures that failed together do not come back together.
fn jittered(wait: Duration) -> Duration {
    // The standard library's only source of randomness; it needs to be unequal, not secret.
    let random = RandomState::new().hash_one(0_u8) % 1_024;
    let half = wait / 2;
    half + half.mul_f64(f64::from(u32::try_from(random).unwrap_or(0)) / 1_024.0)
}
