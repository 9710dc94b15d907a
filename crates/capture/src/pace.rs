//! How often something may begin.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Turns for what may begin only so often in any one second; clones share them.
#[derive(Clone, Debug)]
pub struct Pace {
    per_second: usize,
    /// The last `per_second` turns, oldest first; those that are waited for lie ahead.
    turns: Arc<Mutex<VecDeque<Instant>>>,
}

impl Pace {
    /// So many in any one second, at least one.
    #[must_use]
    pub fn new(per_second: u16) -> Self {
        let per_second = usize::from(per_second.max(1));
        Self {
            per_second,
            turns: Arc::new(Mutex::new(VecDeque::with_capacity(per_second))),
        }
    }

    /// Waits for a turn: as many wait as there are captures, so for a second or two at most.
    pub(crate) async fn turn(&self) {
        let at = {
            let mut turns = self.turns.lock().await;
            let now = Instant::now();
            let full = turns.len() >= self.per_second;
            let oldest = if full { turns.pop_front() } else { None };
            let at = oldest.map_or(now, |oldest| now.max(oldest + Duration::from_secs(1)));
            turns.push_back(at);
            at
        };
        sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_turns_than_it_may() {
        let pace = Pace::new(3);
        let begun = Instant::now();
        let mut waited = Vec::new();
        for _ in 0..7 {
            pace.turn().await;
            waited.push(begun.elapsed().as_millis());
        }
        assert_eq!(waited, [0, 0, 0, 1_000, 1_000, 1_000, 2_000]);
        // Turns that nobody took are not saved up beyond a second's.
        tokio::time::advance(Duration::from_secs(60)).await;
        let begun = Instant::now();
        for _ in 0..4 {
            pace.turn().await;
        }
        assert_eq!(begun.elapsed().as_millis(), 1_000);
    }
}
