//! Recordings of Java's flight recorder, and of async-profiler, which writes the same format.
//!
//! A recording is a sequence of chunks. Each describes its own classes, keeps names and stacks as constants, and has events
//! that refer to them. What becomes a sample:
//!
//! | event | sample types |
//! |---|---|
//! | `jdk.CPUTimeSample` (JDK 25 on), else `jdk.ExecutionSample` | samples/count, cpu/nanoseconds |
//! | `profiler.WallClockSample` | `wall_samples`/count, wall/nanoseconds |
//! | `jdk.ObjectAllocationSample`, else `jdk.ObjectAllocationInNewTLAB` and `…OutsideTLAB` | `alloc_samples`/count, `alloc_space`/bytes |
//! | `profiler.LiveObject` | `inuse_samples`/count, `inuse_space`/bytes |
//! | `jdk.JavaMonitorEnter`, `jdk.ThreadPark` | contentions/count, delay/nanoseconds |
//!
//! A profile has the types of the kinds that the recording holds, in this order, and shows the first one's time or bytes when
//! nobody chose. Thread and class (of the object, of the monitor) are labels. `jdk.NativeMethodSample` is left out: most of
//! its threads wait in the kernel, and it does not say which.
//!
//! Why our own reader and not the crate `jfrs` (0.2.5): it reads well-formed recordings, but a hostile one breaks it. A
//! string whose length is negative or large panics or allocates before a byte of it was seen (tried: "capacity overflow"), the
//! same goes for counts of lists; its chain of checkpoints is followed wherever it leads, in a circle without end; and values
//! of a class that contains itself recurse. None of this can be bounded from outside. Should it take limits one day, what would
//! remain of this module is `samples` and the table above.

use crate::build::Builder;
use crate::limits::Limits;
use crate::model::Profile;

mod chunk;
mod classes;
mod constants;
mod cursor;
mod layout;
mod samples;

use super::{Fault, Format, ImportError};
use chunk::{Chunk, Refusal, within_chunk};
use constants::Work;
use samples::{Kinds, Samples};

/// How every chunk begins.
const MAGIC: &[u8] = b"FLR\0";

/// The major version of the format: that of JDK 9 and later. JDK 7 and 8 of Oracle wrote 0 and 1, without a description of
/// classes that could be read; OpenJDK 8 writes 2.
const VERSION: i64 = 2;

/// The class of the event that describes classes.
const METADATA: i64 = 0;

/// The class of events that hold constants.
const CHECKPOINT: i64 = 1;

/// Whether bytes begin as a recording.
pub(super) fn is_jfr(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Reads a recording twice: what it holds decides which sample types the profile has.
pub(super) fn import(bytes: &[u8], limits: &Limits) -> Result<Profile<'static>, ImportError> {
    let mut kinds = Kinds::default();
    let (mut start, mut end) = (i64::MAX, i64::MIN);
    chunks(bytes, limits, |chunk| {
        start = start.min(chunk.start_nanos);
        end = end.max(chunk.start_nanos.saturating_add(chunk.duration_nanos));
        kinds.look(chunk)
    })?;
    let types = kinds.sample_types();
    let nothing = ImportError::Nothing {
        format: Format::Jfr,
        what: "execution samples, allocations or waits for locks",
    };
    let default_type = kinds.default_sample_type().ok_or(nothing)?;
    let begin = || -> Result<Builder, Fault> {
        let mut builder = Builder::new(&types, limits)?;
        builder.set_default_sample_type(default_type)?;
        builder.set_time(start, end.saturating_sub(start).max(0));
        Ok(builder)
    };
    let mut builder = begin().map_err(|fault| Format::Jfr.refuse(0, fault))?;
    let mut fields_left = (bytes.len() as u64).saturating_mul(layout::FIELDS_PER_BYTE);
    let work = Work::of(bytes.len() as u64);
    let mut samples = Samples::new(&kinds, limits);
    chunks(bytes, limits, |chunk| {
        samples.add(chunk, &work, &mut builder, &mut fields_left)
    })?;
    samples
        .set_period(&mut builder)
        .map_err(|fault| Format::Jfr.refuse(0, fault))?;
    Ok(builder.finish())
}

/// Hands over chunk by chunk.
fn chunks<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    mut take: impl FnMut(&Chunk<'a>) -> Result<(), Fault>,
) -> Result<(), ImportError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let offset = (bytes.len() - rest.len()) as u64;
        let (chunk, after) = Chunk::read(rest, limits).map_err(|refusal| match refusal {
            Refusal::Fault(Fault::Short) => Format::Jfr.refuse(bytes.len() as u64, Fault::Short),
            Refusal::Fault(fault) => Format::Jfr.refuse(offset, fault),
            Refusal::Version(version) => ImportError::Version {
                format: Format::Jfr,
                version,
            },
        })?;
        take(&chunk).map_err(|fault| Format::Jfr.refuse(offset, within_chunk(fault)))?;
        rest = after;
    }
    Ok(())
}
