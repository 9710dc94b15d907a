//! How much a test does: enough to find a mistake in minutes, or with `SOAK=1` what takes hours.
//!
//! A test that can do more of the same asks here how much, so the long form is the same code that runs on every change:
//! more random cases, every byte where there was a spread, a story many times. `make soak` sets `SOAK=1` and a fresh
//! `SOAK_SEED`, which it prints; with that seed a run is repeated.

use std::env;

/// How many times more than usual is done under `SOAK=1`. 64: the random tests of all crates take a minute on every change,
/// so an hour with the rest of the soak.
const MORE: u32 = 64;

/// The seed where none is given: every run on every change throws the same.
const USUAL_SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Whether this is a soak: `SOAK` is set, and neither empty nor 0.
pub fn is_on() -> bool {
    env::var_os("SOAK").is_some_and(|value| !value.is_empty() && value != "0")
}

/// How many random cases to try where `usual` are tried on every change.
pub fn cases(usual: u32) -> u32 {
    if is_on() { usual.saturating_mul(MORE) } else { usual }
}

/// From one place to the next where a spread of places is tried on every change, and every place in a soak.
pub fn step(usual: usize) -> usize {
    if is_on() { 1 } else { usual }
}

/// The seed of a test: `SOAK_SEED`, or where it is not set the same in every run. Says it, which the harness shows when the
/// test fails.
#[expect(clippy::print_stderr, reason = "what a failed test says is how it is repeated")]
pub fn seed() -> u64 {
    let given = env::var("SOAK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or(USUAL_SEED);
    eprintln!("SOAK_SEED={seed}");
    seed
}

/// Random numbers from a seed that is said, so that what they found can be found again.
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// Dice for one test, from its [`seed`].
    pub fn new() -> Self {
        Self::from_seed(seed())
    }

    /// Dice that are thrown the same for the same seed.
    pub fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number: SplitMix64, whose every seed is as good as another.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        // Below a usize, so it is one.
        (self.number() % end as u64) as usize
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_same_seed_throws_the_same() {
        let thrown = |seed| {
            let mut dice = Dice::from_seed(seed);
            (0..9).map(|_| dice.below(6)).collect::<Vec<_>>()
        };
        assert_eq!(thrown(1), thrown(1));
        assert_ne!(thrown(1), thrown(2));
        assert!(thrown(0).iter().any(|number| *number > 0));
    }
}
