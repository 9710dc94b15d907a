//! The proof that a body is what was asked for, and whole.

use planner::{Chain, Format, ProfileType, Reason};
use profile::Limits;
use profile::check::{CheckError, Checker};

use crate::drivers::go;
use crate::failure::{Failure, quote};

pub use profile::check::Summary;

/// Bytes that are checked in one go. They can unpack to a thousand times as many, 4 MiB, which takes a
/// few milliseconds: between two of them other captures on the thread get their turn.
const FEED_BYTES: usize = 4 << 10;

/// What a body must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) profile_type: ProfileType,
    /// One of these must be among the profile's.
    pub(crate) sample_types: &'static [&'static str],
}

/// A check that is fed piece by piece.
pub(crate) struct Proof {
    expected: Expected,
    check: Check,
}

enum Check {
    /// Boxed: it holds the state of inflate.
    Pprof(Box<Checker>),
    /// The first bytes, as many as the magic has.
    Trace { head: Vec<u8> },
}

impl Expected {
    /// # Errors
    /// When a body of this format that ends with its connection cannot be told from one that was cut off.
    pub(crate) fn may_end_with_connection(&self) -> Result<(), Failure> {
        match self.profile_type.format() {
            Format::Pprof => Ok(()),
            Format::GoTrace => Err(end_unknown()),
        }
    }

    pub(crate) fn start(&self) -> Proof {
        let check = match self.profile_type.format() {
            Format::Pprof => Check::Pprof(Box::new(Checker::new(Limits::default()))),
            Format::GoTrace => Check::Trace { head: Vec::new() },
        };
        Proof { expected: *self, check }
    }
}

impl Proof {
    /// # Errors
    /// As soon as the body cannot become what is expected.
    pub(crate) async fn feed(&mut self, piece: &[u8]) -> Result<(), Failure> {
        match &mut self.check {
            Check::Pprof(checker) => {
                for part in piece.chunks(FEED_BYTES) {
                    checker.feed(part).map_err(|error| not_a_profile(&error))?;
                    tokio::task::consume_budget().await;
                }
                Ok(())
            }
            Check::Trace { head } => {
                let missing = go::TRACE_MAGIC.len() - head.len();
                head.extend_from_slice(&piece[..piece.len().min(missing)]);
                if go::TRACE_MAGIC.starts_with(head) {
                    Ok(())
                } else {
                    Err(not_a_trace(head))
                }
            }
        }
    }

    /// The body is at its end; `is_announced` says whether the framing said so as well.
    pub(crate) fn finish(self, is_announced: bool) -> Result<Option<Summary>, Failure> {
        match self.check {
            Check::Trace { head } if head == go::TRACE_MAGIC => Ok(None),
            Check::Trace { head } => Err(not_a_trace(&head)),
            Check::Pprof(checker) => {
                let summary = checker.finish().map_err(|error| not_a_profile(&error))?;
                // A profile that is not compressed has no end of its own: cut off between two of its fields it
                // is a smaller one.
                if !is_announced && summary.gzip_members == 0 {
                    return Err(end_unknown());
                }
                self.expected.look_at(&summary)?;
                Ok(Some(summary))
            }
        }
    }
}

impl Expected {
    fn look_at(&self, summary: &Summary) -> Result<(), Failure> {
        let is_expected = |name: &str| self.sample_types.contains(&name);
        if summary.sample_types.iter().any(|(name, _)| is_expected(name)) {
            return Ok(());
        }
        // Quoted each by itself: names of sample types are the target's words.
        let found: Vec<String> = summary
            .sample_types
            .iter()
            .take(8)
            .map(|(name, _)| quote(name.as_bytes()))
            .collect();
        let text = format!(
            "the answer is a profile of [{}], not of {}: is /debug/pprof of the program handled by something else?",
            found.join(", "),
            self.profile_type.as_str()
        );
        Err(Failure::new(Reason::WrongProfileType, text))
    }
}

fn not_a_profile(error: &CheckError) -> Failure {
    let reason = match error {
        CheckError::Truncated { .. } => Reason::Truncated,
        CheckError::Empty
        | CheckError::NotAProfile { .. }
        | CheckError::Gzip(_)
        | CheckError::Malformed { .. }
        | CheckError::Limit(_)
        | CheckError::NoSampleTypes => Reason::NotAProfile,
    };
    Failure::new(reason, format!("the body is not a whole profile: {}", Chain(error)))
}

fn not_a_trace(head: &[u8]) -> Failure {
    let text = format!("the body is not an execution trace: it begins with {:?}", quote(head));
    Failure::new(Reason::NotAProfile, text)
}

fn end_unknown() -> Failure {
    let text = "the answer has neither length nor chunks, so that a broken one could not be told from a whole one: let \
                the program answer in HTTP/1.1";
    Failure::new(Reason::Truncated, text)
}
