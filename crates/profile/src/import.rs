//! Profiles of other tools, made into one of pprof.
//!
//! [`Format::of`] tells from the bytes what they are, [`Format::import`] reads them:
//!
//! | format | who writes it | sample types |
//! |---|---|---|
//! | collapsed stacks | `py-spy record -f raw`, async-profiler, `perf script report stackcollapse`, austin | samples/count; austin's also wall or cpu/nanoseconds, or memory/bytes |
//! | `.cpuprofile` | V8: `node --cpu-prof`, Chrome's and Deno's inspectors | samples/count, wall/nanoseconds, cpu/nanoseconds |
//! | `.heapprofile` | V8: `node --heap-prof` | `inuse_space`/bytes |
//! | JFR | the JVM's flight recorder, async-profiler | those of the kinds of events that it holds: cpu, wall, alloc, inuse, lock |
//!
//! What comes in is as hostile as any other profile: every count is compared with [`Limits`] before memory is taken, nothing
//! recurses into the input, and what a format lets a few bytes name again and again is bounded by the bytes that came
//! ([`Format::import`]).

use std::borrow::Cow;

use crate::build::{BuildError, Builder};
use crate::check::CheckError;
use crate::decode::{may_begin_profile, unpack_while};
use crate::limits::{LimitExceeded, Limits};
use crate::model::{Function, Line, Profile};

mod collapsed;
mod jfr;
mod json;
mod v8;

/// How much a profile may take in any case. 64 MiB: the largest natural profile that we know as pprof has 2.7 MB.
const BYTES_MIN: u64 = 64 << 20;

/// How many bytes of a profile one byte of a source may become above that. A node of V8 takes 200 bytes of JSON and stands
/// for a stack of up to 128 frames of up to 3 bytes: 2. The other formats shrink.
const BYTES_PER_BYTE: u64 = 2;

/// How much of a text is looked at to tell what it is: at least one whole line. 1 MiB: async-profiler walks 2,048 frames unless told
/// otherwise, which makes lines of up to 200 KiB.
const HEAD_BYTES: usize = 1 << 20;

/// The name of the one frame of a sample whose source has no stack for it: its value counts all the same.
const NO_STACK: &[u8] = b"[no stack trace]";

/// A format that is not pprof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line for each stack: frames from the root on, separated by semicolons, and a number.
    Collapsed,
    /// V8's CPU profile.
    V8Cpu,
    /// V8's sampling heap profile.
    V8Heap,
    /// A recording of Java's flight recorder.
    Jfr,
}

/// Why bytes of a format cannot be made into a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The bytes end before the profile does.
    #[error("this {format} is cut off at byte {offset}")]
    Truncated {
        /// Its format.
        format: Format,
        /// Where it ends.
        offset: u64,
    },
    /// The bytes are not what the format says.
    #[error("this {format} is broken at byte {offset}: {what}")]
    Malformed {
        /// Its format.
        format: Format,
        /// What is wrong.
        what: &'static str,
        /// Where.
        offset: u64,
    },
    /// A version of the format that nobody writes any more, or does not write yet.
    #[error("this {format} has version {version}, which is not supported")]
    Version {
        /// Its format.
        format: Format,
        /// Its version.
        version: u16,
    },
    /// It is whole but holds nothing that could be a sample.
    #[error("this {format} holds no {what}")]
    Nothing {
        /// Its format.
        format: Format,
        /// What was looked for.
        what: &'static str,
    },
    /// It exceeds a limit.
    #[error("this {format} is too large")]
    Limit {
        /// Its format.
        format: Format,
        /// The limit.
        source: LimitExceeded,
    },
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Collapsed => "file of collapsed stacks",
            Self::V8Cpu => "V8 CPU profile",
            Self::V8Heap => "V8 heap profile",
            Self::Jfr => "JFR recording",
        })
    }
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Collapsed, Self::V8Cpu, Self::V8Heap, Self::Jfr];

    /// What these bytes are, uncompressed: a matter of how they begin, so the rest may still be broken.
    ///
    /// No pprof profile is taken for one of these: its first tag is neither `F` nor `{`, and what is not printable is no text.
    /// The legacy formats of pprof, which are texts too, have lines that do not end in a number.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..bytes.len().min(HEAD_BYTES)).unwrap_or_default();
        if jfr::is_jfr(head) {
            Some(Self::Jfr)
        } else if head.trim_ascii_start().starts_with(b"{") {
            v8::kind(head)
        } else {
            collapsed::is_collapsed(head, head.len() == bytes.len()).then_some(Self::Collapsed)
        }
    }

    /// Makes a profile of bytes in this format, uncompressed.
    ///
    /// The profile takes at most 64 MiB and twice the bytes that came, or `limits.uncompressed_bytes_max` where that is less.
    ///
    /// # Errors
    /// When the bytes are not a whole profile of this format within the limits.
    pub fn import(self, bytes: &[u8], limits: &Limits) -> Result<Profile<'static>, ImportError> {
        let source_bytes = bytes.len() as u64;
        if source_bytes > limits.uncompressed_bytes_max {
            let limit = limits.uncompressed_bytes_max;
            return Err(self.refuse(
                0,
                Fault::Limit(LimitExceeded {
                    name: "uncompressed bytes",
                    limit,
                }),
            ));
        }
        let bytes_max = BYTES_MIN.saturating_add(source_bytes.saturating_mul(BYTES_PER_BYTE));
        let limits = &Limits {
            uncompressed_bytes_max: limits.uncompressed_bytes_max.min(bytes_max),
            ..*limits
        };
        match self {
            Self::Collapsed => collapsed::import(bytes, limits),
            Self::V8Cpu => v8::import_cpu(bytes, limits),
            Self::V8Heap => v8::import_heap(bytes, limits),
            Self::Jfr => jfr::import(bytes, limits),
        }
    }

    fn refuse(self, offset: u64, fault: Fault) -> ImportError {
        match fault {
            Fault::Short => ImportError::Truncated { format: self, offset },
            Fault::Bad(what) => ImportError::Malformed {
                format: self,
                what,
                offset,
            },
            Fault::Limit(source) => ImportError::Limit { format: self, source },
        }
    }
}

/// Unpacks a file of whatever format, as [`crate::unpack`] does, for as long as its beginning is one of a profile, of a format
/// here, or of something that there is [`advice`] on: most of a bomb is not worth unpacking to be told so.
///
/// # Errors
/// Those of [`crate::unpack`], and [`CheckError::NotAProfile`] for what is larger than its beginning and nothing that is known.
pub fn unpack<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, CheckError> {
    unpack_while(bytes, limits, |begin| {
        let is_object = begin.trim_ascii_start().starts_with(b"{");
        may_begin_profile(begin)
            || is_object
            || jfr::is_jfr(begin)
            || collapsed::is_text(begin)
            || advice(begin).is_some()
    })
}

/// What to do with bytes that are of some tool, but no profile, or one in a form that only that tool reads.
pub fn advice(bytes: &[u8]) -> Option<&'static str> {
    // Sixteen bytes, of which the version takes two digits or three.
    let is_trace = |bytes: &[u8]| {
        let begin = bytes.get(..16).unwrap_or_default();
        begin.starts_with(b"go 1.")
            && begin
                .split(|byte| *byte == 0)
                .next()
                .is_some_and(|text| text.ends_with(b" trace"))
    };
    if is_trace(bytes) {
        Some("this is an execution trace of Go and no profile; `go tool trace` reads it")
    } else if bytes.trim_ascii_start().starts_with(b"{\"snapshot\":") {
        Some("this is a heap snapshot of V8 and no profile: it has no stacks; Chrome's DevTools read it")
    } else if bytes.starts_with(b"PERFILE2") {
        Some(
            "this is the data file of perf; `perf script report stackcollapse`, run in its folder, makes stacks of it that can be read",
        )
    } else if bytes.starts_with(b"MOJO") {
        Some("this is austin's binary format; `mojo2austin` makes stacks of it that can be read")
    } else {
        None
    }
}

/// Why an importer stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The bytes end too early.
    Short,
    /// What is wrong.
    Bad(&'static str),
    /// What there is too much of.
    Limit(LimitExceeded),
}

impl From<LimitExceeded> for Fault {
    fn from(limit: LimitExceeded) -> Self {
        Self::Limit(limit)
    }
}

impl From<BuildError> for Fault {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Limit(limit) => Self::Limit(limit),
            // These two are mistakes of an importer, not of its source; a test of each importer would show them.
            BuildError::Values { .. } | BuildError::Absent { .. } => Self::Bad("it refers to what is not there"),
        }
    }
}

impl From<json::Fault> for Fault {
    fn from(fault: json::Fault) -> Self {
        match fault {
            json::Fault::Short => Self::Short,
            json::Fault::Bad(what) => Self::Bad(what),
            json::Fault::Limit(limit) => Self::Limit(limit),
        }
    }
}

/// A frame as the formats here have it: no addresses, one function at one line.
#[derive(Debug, Clone, Copy, Default)]
struct Frame<'f> {
    name: &'f [u8],
    /// As the linker or the runtime knows it. Empty where that is the name: a name that stands in both places `go tool
    /// pprof` takes for C++ and demangles, and then `<module>` and `(anonymous)` have no name at all.
    system_name: &'f [u8],
    file: &'f [u8],
    start_line: i64,
    line: i64,
}

impl Frame<'_> {
    /// Its function in a profile.
    fn function(&self, builder: &mut Builder) -> Result<u32, BuildError> {
        let name = builder.string(self.name)?;
        let system_name = builder.string(self.system_name)?;
        let file = builder.string(self.file)?;
        builder.function(Function {
            id: 0,
            name,
            system_name,
            file,
            start_line: self.start_line,
        })
    }

    /// Its location in a profile.
    fn location(&self, builder: &mut Builder) -> Result<u32, BuildError> {
        let function = self.function(builder)?;
        location(function, self.line, builder)
    }
}

/// The location of a function at a line.
fn location(function: u32, line: i64, builder: &mut Builder) -> Result<u32, BuildError> {
    let line = Line {
        function,
        line,
        column: 0,
    };
    builder.location(0, None, &[line])
}
