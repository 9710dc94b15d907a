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
        let asked = if let StoreError::Status { retry_after, .. } = &error {
            *retry_after
        } else {
            None
        };
        let asked = asked.map(|asked| asked.min(WAIT_ASKED_MAX));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::StoreSettings;

    fn attempts() -> Attempts {
        let settings = StoreSettings::default();
        Attempts::new(Timing {
            stall: settings.stall_timeout,
            attempt: settings.attempt_timeout,
            bytes_per_second_min: settings.bytes_per_second_min,
            attempts_max: settings.attempts_max,
            retry_window: settings.retry_window,
        })
    }

    fn status(status: u16, retry_after_seconds: Option<u64>) -> StoreError {
        let retry_after = retry_after_seconds.map(Duration::from_secs);
        StoreError::Status {
            operation: "put",
            status,
            code: String::new(),
            message: String::new(),
            retry_after,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_and_attempts_end() {
        let mut attempts = attempts();
        for whole in [200, 400, 800, 1_600] {
            let wait = attempts.wait_after(status(503, None)).unwrap();
            assert!(
                (whole / 2..=whole).contains(&(wait.as_millis() as u64)),
                "{wait:?} of {whole} ms"
            );
        }
        assert!(
            attempts.wait_after(status(503, None)).is_err(),
            "five attempts are made, not six"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_may_ask_for_a_wait_but_not_for_any() {
        assert_eq!(
            attempts().wait_after(status(503, Some(2))).unwrap(),
            Duration::from_secs(2)
        );
        assert_eq!(
            attempts().wait_after(status(429, Some(86_400))).unwrap(),
            WAIT_ASKED_MAX
        );
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_begins_after_the_window() {
        let mut attempts = attempts();
        attempts.wait_after(status(503, None)).unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(attempts.wait_after(status(503, None)).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_not_change_is_not_tried_again() {
        for refused in [400, 403, 404, 405, 411, 416, 501] {
            assert!(attempts().wait_after(status(refused, None)).is_err(), "{refused}");
        }
    }
}
