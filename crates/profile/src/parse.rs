//! Bytes of any format to a profile, in google/pprof's order of asking.
//!
//! Gzip is unpacked where its magic stands. Then the bytes are profile.proto, or else one of the legacy formats, of which
//! the first that knows them decides. This is for profiles that people have, as whole files: what the operator captures
//! is profile.proto, and [`crate::check::Checker`] knows nothing else.
//!
//! Verdict and profile are google/pprof's, except on purpose for:
//! - jemalloc's heap profiles, which google/pprof does not read;
//! - a field numbered 0, which google/pprof skips. So it takes zeros for an empty profile, and with them a CPU profile of
//!   gperftools that has few other bytes, as one of a big-endian machine may: here that is read as what it is;
//! - what exceeds [`Limits`], which for legacy formats bound the names and values of attributes in a memory map
//!   ("build=/path", then "$build"), too;
//! - the last bit of the exponential function that scales the samples of a heap: it is that of Go on 64-bit x86 with
//!   fused multiplication, on every machine.

use std::borrow::Cow;
use std::fmt;

use crate::buffers::Buffers;
use crate::check::CheckError;
use crate::decode::{Undecoded, decode_first, unpack_profile};
use crate::legacy;
use crate::limits::Limits;
use crate::model::{Profile, Strings};

/// What a profile was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// pprof's own, profile.proto.
    Proto,
    /// gperftools' binary CPU profile.
    Cpu,
    /// The same with names, of Java.
    JavaCpu,
    /// A heap as text: tcmalloc, gperftools, Go with `debug=1`; growth and fragmentation.
    Heap,
    /// Go's goroutine and threadcreate with `debug=1`.
    GoCount,
    /// The stacks of threads as text.
    Thread,
    /// Contention as text: C++, or Go's mutex and block with `debug=1`.
    Contention,
    /// Java's heap.
    JavaHeap,
    /// Java's contention.
    JavaContention,
    /// jemalloc's heap.
    JemallocHeap,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proto => "pprof",
            Self::Cpu => "gperftools CPU",
            Self::JavaCpu => "Java CPU",
            Self::Heap => "heap text",
            Self::GoCount => "Go count text",
            Self::Thread => "thread text",
            Self::Contention => "contention text",
            Self::JavaHeap => "Java heap",
            Self::JavaContention => "Java contention",
            Self::JemallocHeap => "jemalloc heap",
        })
    }
}

/// Why bytes are no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// They are no profile.proto, and no legacy format knows them either; or they exceed a limit.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A legacy format knows them, and they are broken.
    #[error("malformed {format} profile at line {line}: {what}")]
    Legacy {
        /// Which one.
        format: &'static str,
        /// What is wrong.
        what: &'static str,
        /// The number of the line; 0 where there are no lines.
        line: u64,
    },
}

impl ParseError {
    /// Whether another capture of the same may go better: the bytes were damaged on their way, not made wrong.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Check(error) => error.is_transient(),
            Self::Legacy { .. } => false,
        }
    }
}

/// A profile and what it was written in.
#[derive(Debug, Clone)]
pub struct Parsed<'a> {
    /// The profile.
    pub profile: Profile<'a>,
    /// Its format.
    pub format: Format,
}

/// Reads a profile of any format, and proves that it is valid.
///
/// # Errors
/// When the bytes are no whole valid profile within the limits.
pub fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Parsed<'a>, ParseError> {
    parse_into(Buffers::default(), bytes, limits)
}

/// Reads as [`parse()`] does, in the memory of a profile that is done with.
///
/// # Errors
/// As [`parse()`].
pub fn parse_into<'a>(buffers: Buffers, bytes: &'a [u8], limits: &Limits) -> Result<Parsed<'a>, ParseError> {
    match unpack_profile(bytes, limits)? {
        Cow::Borrowed(bytes) => read(buffers, bytes, limits),
        Cow::Owned(bytes) => {
            let Parsed { profile, format } = read(buffers, &bytes, limits)?;
            let Profile {
                header,
                strings: Strings { bytes: texts, ranges },
                mappings,
                locations,
                lines,
                functions,
                samples,
                is_pruned,
            } = profile;
            // Strings are places in a buffer: in the one that was unpacked, or in one of their own.
            let texts = match texts {
                Cow::Owned(texts) => texts,
                Cow::Borrowed(_) => bytes,
            };
            let strings = Strings {
                bytes: Cow::Owned(texts),
                ranges,
            };
            let profile = Profile {
                header,
                strings,
                mappings,
                locations,
                lines,
                functions,
                samples,
                is_pruned,
            };
            Ok(Parsed { profile, format })
        }
    }
}

/// Reads a profile that is not packed, or was unpacked already: bytes that look like gzip are no profile.
///
/// # Errors
/// As [`parse()`].
pub fn parse_unpacked<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Parsed<'a>, ParseError> {
    read(Buffers::default(), bytes, limits)
}

fn read<'a>(buffers: Buffers, bytes: &'a [u8], limits: &Limits) -> Result<Parsed<'a>, ParseError> {
    let Undecoded { error, may_be_legacy } = match decode_first(buffers, bytes, limits) {
        Ok(profile) => {
            return Ok(Parsed {
                profile,
                format: Format::Proto,
            });
        }
        Err(undecoded) => undecoded,
    };
    let legacy = if may_be_legacy {
        legacy::read(bytes, limits)?
    } else {
        None
    };
    legacy.ok_or(error.into())
}

impl<'a> Profile<'a> {
    /// Reads a profile of any format that google/pprof reads, and jemalloc's, packed or not: see [`parse()`].
    ///
    /// # Errors
    /// When the bytes are no whole valid profile within the limits.
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        parse(bytes, limits).map(|parsed| parsed.profile)
    }
}
