//! Waiting for a condition with a deadline: the only place in which tests may sleep.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// How long to pause between two looks. Short against everything waited for (a container starts in 300 ms), long against
/// what a look costs (a `kubectl` call is 100 ms of CPU).
const POLL: Duration = Duration::from_millis(100);

/// Looks until `probe` gives `Some`, and fails with `what` and the last error when `deadline` has passed.
///
/// An error of the probe is not the end: the world it looks at may just be restarting. It is remembered for the message.
pub fn wait_until<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = now() + deadline;
    loop {
        let last = match probe() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if now() >= end {
            let message = format!("{what}: not within {} s", deadline.as_secs());
            return Err(match last {
                Some(error) => error.context(message),
                None => anyhow!(message),
            });
        }
        pause(POLL);
    }
}

/// The monotonic clock, for deadlines and for the durations that a suite reports.
#[expect(
    clippy::disallowed_methods,
    reason = "deadlines of tests are real time; nothing here decides anything"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Lets time pass: before a fault that must come at no particular time, or through the window of a figure. Nothing may be
/// expected of the world after it.
pub fn let_pass(duration: Duration) {
    pause(duration);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one sleep: between two looks at a condition that has a deadline, before a fault at any time, and through the \
              window of a figure"
)]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_comes_true_is_returned() {
        let mut looks = 0;
        let seen = wait_until("third look", Duration::from_secs(30), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(seen.unwrap(), 3);
    }

    #[test]
    fn the_deadline_names_what_was_awaited_and_the_last_error() {
        let error = wait_until::<()>("the moon", Duration::ZERO, || Err(anyhow!("clouds"))).unwrap_err();
        assert_eq!(format!("{error:#}"), "the moon: not within 0 s: clouds");
    }
}
