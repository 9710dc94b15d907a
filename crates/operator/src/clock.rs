//! The one place that reads clocks. Everyone else is given a [`Now`].

use std::time::{SystemTime, UNIX_EPOCH};

use planner::{Mono, Now, Wall};
use tokio::time::Instant;

/// A clock whose monotonic part starts near zero when it is made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    // Tokio's, which is the standard library's outside of tests, and moves when a test moves it.
    started: Instant,
}

impl Clock {
    /// Starts the clock.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// This moment on both clocks.
    #[expect(clippy::disallowed_methods, reason = "this module is where clocks are read")]
    pub fn now(&self) -> Now {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono: self.mono(),
            wall: Wall(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)),
        }
    }

    /// This moment on the clock that never steps.
    pub fn mono(&self) -> Mono {
        // A second ahead of zero, so that "one second ago" exists from the first moment on.
        Mono(1_000 + u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX / 2))
    }

    /// The tokio instant of a moment of this clock, to sleep until it.
    pub fn instant(&self, at: Mono) -> Instant {
        let ahead = std::time::Duration::from_millis(at.millis_since(self.mono()));
        Instant::now() + ahead
    }
}

/// A moment as people and the API read it: RFC 3339, UTC, whole seconds.
pub fn rfc3339(at: Wall) -> String {
    jiff::Timestamp::from_second(at.seconds())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}
