//! Time as the planner sees it: two numbers that come in with every event.

/// Milliseconds of a clock that never steps: intervals, cooldowns and back-off are measured on it, so
/// that neither a clock correction nor daylight saving moves them. Its zero means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

/// Milliseconds since the Unix epoch, UTC: names and records carry it, because people read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(pub i64);

/// The moment an event reaches the planner, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For every interval.
    pub mono: Mono,
    /// For every name.
    pub wall: Wall,
}

impl Mono {
    /// This moment plus `seconds`, saturating.
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000)))
    }

    /// This moment plus `millis`, saturating.
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this moment, zero if `earlier` is later.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Wall {
    /// Whole seconds since the epoch, rounded down: the resolution of every key and record name.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }
}
