//! The streaming check: is what passes by a whole profile?
//!
//! A [`Checker`] is fed the chunks of a body on their way to a store, in constant memory: the window of
//! deflate, one buffer for the message at hand, and counters. It proves the gzip members by their checksums, the
//! wire framing of every message, the limits, the string indexes, the number of values of each sample and the names
//! of the sample types. What it leaves to the full check is the resolving of ids, which needs all of them at once.
//!
//! The verdict is google/pprof's, except on purpose for:
//! - legacy formats (text and gperftools' binary), which google/pprof converts: here they are no profiles, and
//!   [`crate::parse`] is for them. What is captured is profile.proto;
//! - a field numbered 0, which google/pprof skips;
//! - a profile without sample types and without samples, which google/pprof accepts;
//! - what exceeds [`Limits`], and a sample type whose name is longer than 128 bytes, or a string that is neither among the
//!   first 129, nor the last 16, nor behind the sample types: memory is constant;
//! - ids: a sample's location ids, a line's function id and duplicate ids are not looked up.

use crate::excerpt;
use crate::gunzip::{self, Gunzip, GzipError};
use crate::limits::{LimitExceeded, Limits};

mod names;
mod tally;
mod walk;

use walk::Walker;

/// Why a body is not stored as a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// There are no bytes, or gzip of no bytes.
    #[error("the profile is empty: not one byte")]
    Empty,
    /// The body ends too early.
    #[error("the profile is cut off after {uncompressed_bytes} uncompressed bytes")]
    Truncated {
        /// How much there was, decompressed.
        uncompressed_bytes: u64,
    },
    /// The body is something else: a page, an error message, another format.
    #[error("this is not a profile; it begins with \"{excerpt}\"")]
    NotAProfile {
        /// Its first bytes as one line of printable ASCII.
        excerpt: String,
    },
    /// The gzip around the profile is damaged.
    #[error("the gzip data are damaged")]
    Gzip(#[from] GzipError),
    /// The profile breaks the rules of its format.
    #[error("malformed profile at uncompressed byte {offset}: {what}")]
    Malformed {
        /// The broken rule.
        what: &'static str,
        /// Where the top-level field begins that breaks it, in uncompressed bytes.
        offset: u64,
    },
    /// The profile is larger than is allowed.
    #[error("the profile exceeds a limit")]
    Limit(#[from] LimitExceeded),
    /// The profile does not say what its values mean.
    #[error("the profile has no sample types")]
    NoSampleTypes,
}

impl CheckError {
    /// Whether another capture of the same may go better: the bytes were damaged on their way, not made wrong.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Empty | Self::Truncated { .. } | Self::Gzip(_) => true,
            Self::NotAProfile { .. } | Self::Malformed { .. } | Self::Limit(_) | Self::NoSampleTypes => false,
        }
    }
}

/// What a whole profile holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Samples. A profile of an idle program may have none.
    pub samples: u64,
    /// Type and unit of the values of each sample, in their order. Bytes that are no UTF-8 are replaced.
    pub sample_types: Vec<(String, String)>,
    /// The sum over all samples of each value, in the order of `sample_types`; wraps as google/pprof's sums do.
    pub totals: Vec<i64>,
    /// Type and unit of the period; `None` where absent, or named by strings too far from the table's ends to be kept.
    pub period_type: Option<(String, String)>,
    /// Events between two samples, in the period's unit.
    pub period: i64,
    /// Start of the collection, nanoseconds since the Unix epoch; 0 where unknown.
    pub time_nanos: i64,
    /// How long was collected, nanoseconds; 0 where unknown.
    pub duration_nanos: i64,
    /// Mappings.
    pub mappings: u64,
    /// Locations.
    pub locations: u64,
    /// Functions.
    pub functions: u64,
    /// Strings, the empty first one included.
    pub strings: u64,
    /// Labels over all samples.
    pub labels: u64,
    /// Bytes as they came.
    pub bytes: u64,
    /// Bytes after decompression.
    pub uncompressed_bytes: u64,
    /// Gzip members; 0 for a profile that is not compressed.
    pub gzip_members: u64,
}

/// How the body is wrapped.
enum Wrapping {
    /// Not one byte yet, or only the first byte of gzip's magic.
    Unknown {
        magic_begun: bool,
    },
    Plain,
    /// Boxed: the state of inflate is large, and the other variants are not.
    Gzip(Box<Gunzip>),
}

/// Checks one profile that comes in chunks. The size of the chunks makes no difference to the verdict.
pub struct Checker {
    wrapping: Wrapping,
    walker: Walker,
    bytes: u64,
    failed: Option<CheckError>,
}

impl Checker {
    /// A checker that has seen nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            wrapping: Wrapping::Unknown { magic_begun: false },
            walker: Walker::new(limits),
            bytes: 0,
            failed: None,
        }
    }

    /// Takes the next bytes of the body.
    ///
    /// # Errors
    /// As soon as the bytes so far cannot become a profile. From then on every call gives the same error.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), CheckError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        self.bytes += chunk.len() as u64;
        let fed = self.unwrap(chunk);
        if let Err(error) = &fed {
            self.failed = Some(error.clone());
        }
        fed
    }

    /// The body is at its end.
    ///
    /// # Errors
    /// When what came is not a whole profile.
    pub fn finish(self) -> Result<Summary, CheckError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let gzip_members = match &self.wrapping {
            Wrapping::Unknown { magic_begun: false } => return Err(CheckError::Empty),
            Wrapping::Unknown { magic_begun: true } => return Err(self.walker.truncated()),
            Wrapping::Plain => 0,
            Wrapping::Gzip(gunzip) if gunzip.may_end() => gunzip.members(),
            Wrapping::Gzip(_) => return Err(self.walker.truncated()),
        };
        self.walker.finish(self.bytes, gzip_members)
    }

    fn unwrap(&mut self, chunk: &[u8]) -> Result<(), CheckError> {
        if let Wrapping::Unknown { magic_begun } = self.wrapping {
            let [first, rest @ ..] = chunk else { return Ok(()) };
            let [first_of_magic, second_of_magic] = gunzip::MAGIC;
            let second = if magic_begun { Some(first) } else { rest.first() };
            self.wrapping = match second {
                _ if !magic_begun && *first != first_of_magic => Wrapping::Plain,
                None => Wrapping::Unknown { magic_begun: true },
                Some(second) if *second == second_of_magic => Wrapping::Gzip(Box::new(Gunzip::new())),
                Some(_) => Wrapping::Plain,
            };
            if magic_begun {
                self.take(&[first_of_magic])?;
            }
        }
        self.take(chunk)
    }

    fn take(&mut self, mut chunk: &[u8]) -> Result<(), CheckError> {
        match &mut self.wrapping {
            Wrapping::Unknown { .. } => Ok(()),
            Wrapping::Plain => {
                while !chunk.is_empty() {
                    let space = self.walker.space();
                    let (now, later) = chunk.split_at(chunk.len().min(space.len()));
                    if let Some(space) = space.get_mut(..now.len()) {
                        space.copy_from_slice(now);
                    }
                    self.walker.walk_more(now.len())?;
                    chunk = later;
                }
                Ok(())
            }
            Wrapping::Gzip(gunzip) => loop {
                let space = self.walker.space();
                let space_bytes = space.len();
                let step = match gunzip.step(chunk, space) {
                    Ok(step) => step,
                    Err((error, produced)) => {
                        // What came before the damage is judged first, or the verdict would hang on the chunks.
                        self.walker.walk_more(produced)?;
                        return Err(error.into());
                    }
                };
                self.walker.walk_more(step.produced)?;
                chunk = chunk.get(step.consumed..).unwrap_or_default();
                // With its output full, inflate may hold back more although it has used up its input.
                if chunk.is_empty() && step.produced < space_bytes {
                    return Ok(());
                }
                if step
                    == (gunzip::Step {
                        consumed: 0,
                        produced: 0,
                    })
                {
                    return Err(GzipError::Deflate.into());
                }
            },
        }
    }
}

/// What to say of a body that begins so and breaks a rule: that it is another thing, when its beginning says so.
fn other_thing(head: &[u8]) -> CheckError {
    CheckError::NotAProfile {
        excerpt: excerpt::one_line(head),
    }
}
