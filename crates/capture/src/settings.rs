//! The bounds of a capture.

use std::time::Duration;

use crate::pace::Pace;
use crate::spool::Spool;

/// Deadlines and places of a capture. What a job can ask for (window, largest body) is in the job.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where files lie on their way.
    pub spool: Spool,
    /// How often a tunnel is opened.
    pub tunnels: Pace,
    /// For one question to the API server about the target's identity.
    pub identify_deadline: Duration,
    /// For a tunnel to be there: TCP, TLS and upgrade together.
    pub dial_deadline: Duration,
    /// From the request to the end of the answer's head; the window is added for types that take time.
    pub head_deadline: Duration,
    /// From one piece of a body to the next. A type that takes time may be silent for its window.
    pub stall_deadline: Duration,
    /// For a whole exchange of a type that reads a state, more with what arrives (see `bytes_per_second_min`).
    pub instant_deadline: Duration,
    /// For a whole exchange of a type that takes time, on top of its window.
    pub window_slack: Duration,
    /// Every this many received bytes add a second to the deadline of an exchange: a large profile that
    /// flows has time, one that drips has none.
    pub bytes_per_second_min: u64,
    /// Wait before asking again a program whose profiler is busy: the first wait is between one and two
    /// of these, the second between two and four.
    pub busy_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            spool: Spool::default(),
            // Each costs the API server a connection and an upgrade, outside of its own fairness.
            tunnels: Pace::new(20),
            // A GET of one object takes milliseconds; after five seconds the API server is in trouble, and
            // the pod may be gone before it answers.
            identify_deadline: Duration::from_secs(5),
            dial_deadline: Duration::from_secs(5),
            // Go's handlers answer when the profile is collected, which takes milliseconds; a throttled CPU,
            // the very moment of a capture, makes that a hundred times longer.
            head_deadline: Duration::from_secs(15),
            // Twice the head's: a program that was quick enough to begin may be throttled in the middle.
            stall_deadline: Duration::from_secs(10),
            instant_deadline: Duration::from_secs(30),
            window_slack: Duration::from_secs(20),
            // A mebibyte a second: 32 captures at once at that rate are a quarter of a gigabit link.
            bytes_per_second_min: 1 << 20,
            busy_wait: Duration::from_secs(1),
        }
    }
}
