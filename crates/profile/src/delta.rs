//! What a program did between two profiles that count from its start: Go's allocs, heap, mutex and block.
//!
//! Counters are subtracted, as Go does it for `?seconds=`; gauges, as what is in use, stay those of the later profile, for
//! a difference of two states is no state. A counter that fell was begun anew: the program was restarted in between, and
//! the later profile is all that it did since then.

use crate::merge::{MergeError, Merger};
use crate::model::{Profile, ValueType};

/// Sample types that count from the start of a program, as Go's runtime and gperftools name them.
const COUNTERS: [&[u8]; 4] = [b"alloc_objects", b"alloc_space", b"contentions", b"delay"];

/// The unit of counters of which each step was seen. Others may be estimates: Go makes nanoseconds of cycles by a factor that
/// it learns as it runs, so that they fall a little where nothing happened.
const EVENTS: &[u8] = b"count";

/// Why there is no difference in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// What is measured is over a time of its own, or a state.
    #[error("nothing in it counts from the start of the program: it has {kinds}")]
    NoCounters {
        /// The sample types.
        kinds: String,
    },
    /// They were taken the other way round.
    #[error("it was taken before the profile that was to be earlier")]
    Order,
    /// They do not measure the same.
    #[error("the profiles cannot be compared")]
    Merge(#[from] MergeError),
}

/// What happened between two profiles.
#[derive(Debug, Clone)]
pub struct Delta {
    /// Counters as far as they grew, and gauges as they are now. Its time is that of the later profile, its duration the time
    /// between the two, where it is known.
    pub profile: Profile<'static>,
    /// Whether the counters were begun anew in between, so that the profile has what happened since then.
    pub is_reset: bool,
}

impl Profile<'_> {
    /// Which sample types count from the start of the program, by their names.
    pub fn counters(&self) -> Vec<bool> {
        let is_counter = |of: &ValueType| COUNTERS.contains(&self.strings.get(of.kind));
        self.header.sample_types.iter().map(is_counter).collect()
    }

    /// What happened since `earlier`, an earlier profile of the same process, or of its predecessor. Samples of which nothing
    /// is left are left out.
    ///
    /// Where an estimate fell although the program was not restarted, it is taken as not having grown.
    ///
    /// # Errors
    /// When the two do not measure the same, are in the wrong order, or have nothing that is counted.
    pub fn since(&self, mut earlier: Profile<'_>) -> Result<Delta, DeltaError> {
        let counters = self.counters();
        if !counters.contains(&true) {
            let kinds = self.header.sample_types.iter();
            let kinds: Vec<_> = kinds.map(|of| self.strings.text(of.kind)).collect();
            let kinds = kinds.join(", ");
            return Err(DeltaError::NoCounters { kinds });
        }
        let (began, ended) = (earlier.header.time_nanos, self.header.time_nanos);
        if began != 0 && ended != 0 && ended < began {
            return Err(DeltaError::Order);
        }
        for values in earlier.samples.values.chunks_exact_mut(counters.len()) {
            for (value, is_counter) in values.iter_mut().zip(&counters) {
                *value = if *is_counter { value.wrapping_neg() } else { 0 };
            }
        }
        // What is said once is said by the later one.
        earlier.header.comments.clear();
        earlier.header.period = 0;
        let mut merger = Merger::new();
        merger.add(self)?;
        merger.add(&earlier)?;
        let mut profile = merger.finish()?;
        let is_reset = fell(&profile, &counters);
        if is_reset {
            profile = self.compact()?;
        } else {
            profile = grown(profile, &counters)?;
            profile.header.duration_nanos = if began != 0 && ended != 0 {
                ended.saturating_sub(began)
            } else {
                0
            };
        }
        profile.header.time_nanos = ended;
        Ok(Delta { profile, is_reset })
    }
}

/// Whether a counter was begun anew: one that counts events is less than it was anywhere, or where none does, one is in all.
fn fell(difference: &Profile<'_>, counters: &[bool]) -> bool {
    let types = difference.header.sample_types.iter().zip(counters);
    let events: Vec<_> = types
        .map(|(of, is_counter)| *is_counter && difference.strings.get(of.unit) == EVENTS)
        .collect();
    if events.contains(&true) {
        return difference.samples().any(|sample| {
            let mut values = sample.values.iter().zip(&events);
            values.any(|(value, is_counted)| *is_counted && *value < 0)
        });
    }
    let mut totals = difference.totals().into_iter().zip(counters);
    totals.any(|(total, is_counter)| *is_counter && total < 0)
}

/// A difference without the counters that fell.
fn grown(mut difference: Profile<'static>, counters: &[bool]) -> Result<Profile<'static>, MergeError> {
    let mut has_fallen = false;
    for values in difference.samples.values.chunks_exact_mut(counters.len()) {
        for (value, _) in values.iter_mut().zip(counters).filter(|(_, is_counter)| **is_counter) {
            has_fallen |= *value < 0;
            *value = (*value).max(0);
        }
    }
    if has_fallen {
        difference.compact()
    } else {
        Ok(difference)
    }
}
