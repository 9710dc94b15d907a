//! What was counted since the start: numbers for metrics, bounded in their labels.

use crate::reason::Reason;
use crate::target::Resource;

/// Totals since the start of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Samples in which CPU was above a config's threshold.
    pub cpu_violations_total: u64,
    /// Samples in which memory was above a config's threshold.
    pub memory_violations_total: u64,
    /// Config and target pairs that a sample was judged for.
    pub checks_total: u64,
    /// On-demand intervals that passed without a capture, per target.
    pub missed_slots_total: u64,
    /// Captures that were decided.
    pub captures_decided_total: u64,
    /// Outcomes of captures that are not running: duplicates, or a bug outside.
    pub outcomes_unknown_total: u64,
    /// Usage that answers no request of this process, or one given up.
    pub answers_unknown_total: u64,
    /// Requests for usage that were never answered.
    pub answers_lost_total: u64,
    /// Requests for a capture that came twice.
    pub requests_repeated_total: u64,
    /// Requests for a capture that were refused.
    pub requests_refused_total: u64,
    held: [u64; REASONS],
}

/// One count per reason.
const REASONS: usize = Reason::ALL.len();

impl Default for Counters {
    fn default() -> Self {
        Self {
            cpu_violations_total: 0,
            memory_violations_total: 0,
            checks_total: 0,
            missed_slots_total: 0,
            captures_decided_total: 0,
            outcomes_unknown_total: 0,
            answers_unknown_total: 0,
            answers_lost_total: 0,
            requests_repeated_total: 0,
            requests_refused_total: 0,
            held: [0; REASONS],
        }
    }
}

impl Counters {
    /// How often each reason held a capture back at a check, zeros left out.
    pub fn held(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL
            .iter()
            .copied()
            .zip(self.held)
            .filter(|(_, count)| *count > 0)
    }

    pub(crate) fn hold(&mut self, reason: Reason) {
        if let Some(count) = self.held.get_mut(reason as usize) {
            *count += 1;
        }
    }

    pub(crate) fn violation(&mut self, resource: Resource) {
        match resource {
            Resource::Cpu => self.cpu_violations_total += 1,
            Resource::Memory => self.memory_violations_total += 1,
        }
    }
}
