//! The formats from before profile.proto that google/pprof still reads, and jemalloc's, which it does not.
//!
//! Each of google/pprof's readers is here with its own exactness: where lines end, what its regular expressions find in
//! the middle of a line, in which order the readers are asked, and which of their refusals end the search. The tests
//! hold the result to google/pprof's, byte for byte, on real files and on damaged ones. What differs on purpose is
//! listed at [`crate::parse`].
//!
//! A reader makes a [`draft::Draft`]: stacks of addresses. [`maps`] reads the memory map that follows, [`code`] numbers
//! the locations and finds their mappings, and [`crate::build::Builder`] makes the profile, within the limits.

use crate::build::BuildError;
use crate::check::CheckError;
use crate::limits::{LimitExceeded, Limits};
use crate::model::Profile;
use crate::parse::{Format, ParseError, Parsed};

mod code;
mod contention;
mod count;
mod cpu;
mod draft;
mod frames;
mod heap;
mod java;
mod jemalloc;
mod lines;
mod maps;
mod numbers;
mod scan;
mod thread;

use lines::Lines;

/// Why a reader gives nothing.
#[derive(Debug)]
enum Refused {
    /// It is not its format. Another may know it.
    Unrecognized,
    /// It is nobody's format: its first line has no end within reach.
    Nothing,
    /// It is its format, and broken.
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// The number of the last line that was read; 0 where there are no lines.
        line: u64,
    },
    /// It is larger than allowed.
    Limit(LimitExceeded),
}

impl From<LimitExceeded> for Refused {
    fn from(limit: LimitExceeded) -> Self {
        Self::Limit(limit)
    }
}

impl From<BuildError> for Refused {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Limit(limit) => Self::Limit(limit),
            BuildError::Values { .. } => Self::Malformed {
                what: "the samples do not have as many values as there are sample types",
                line: 0,
            },
            BuildError::Absent { .. } => Self::Malformed {
                what: "a sample refers to nothing",
                line: 0,
            },
        }
    }
}

/// What a reader found.
type Read = Result<(Format, Profile<'static>), Refused>;

/// A reader and what its format is called.
type Reader = (&'static str, fn(&[u8], &Limits) -> Read);

/// The readers in google/pprof's order, then ours. Each is asked until one knows the bytes.
const READERS: [Reader; 7] = [
    ("gperftools CPU", cpu::read),
    ("heap text", heap::read),
    ("Go count text", count::read),
    ("thread text", thread::read),
    ("contention text", contention::read),
    ("Java", java::read),
    ("jemalloc heap", jemalloc::read),
];

/// Whether no reader can know bytes that begin so: neither words of the binary format, nor lines. The beginning is as long
/// as the longest line, or longer.
pub(crate) fn is_nothing(begin: &[u8]) -> bool {
    let mut lines = Lines::new(begin);
    !cpu::has_header(begin) && !lines.advance() && matches!(lines.nothing(), Refused::Nothing)
}

/// Reads what is not profile.proto; `None` when no reader knows the bytes.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Option<Parsed<'static>>, ParseError> {
    for (name, read) in READERS {
        match read(bytes, limits) {
            Ok((format, profile)) => return Ok(Some(Parsed { profile, format })),
            Err(Refused::Unrecognized) => {}
            Err(Refused::Nothing) => break,
            Err(Refused::Malformed { what, line }) => {
                return Err(ParseError::Legacy {
                    format: name,
                    what,
                    line,
                });
            }
            Err(Refused::Limit(limit)) => return Err(CheckError::Limit(limit).into()),
        }
    }
    Ok(None)
}
