//! Bytes to a profile.

use std::borrow::Cow;

use crate::buffers::Buffers;
use crate::check::CheckError;
use crate::excerpt::{HEAD_BYTES, is_text, one_line};
use crate::gunzip::{Gunzip, MAGIC};
use crate::legacy;
use crate::limits::{LimitExceeded, Limits};
use crate::messages;
use crate::model::Profile;
use crate::wire::{Cursor, Fault};

mod columns;
mod packed;
mod resolve;

use columns::Columns;
pub(crate) use resolve::in_order;
use resolve::{NO_STRING, NO_STRINGS};

/// So much is unpacked before it is asked whether a profile may begin so. No less than a line of the legacy formats, or its
/// beginning could not say that it has no end.
const BEGIN_BYTES: usize = 64 << 10;

/// A claim is no reason to take more memory than so many times the packed bytes. Real profiles grow to eleven times their
/// size at most.
const CLAIM_EXPANSION_MAX: usize = 16;

/// More room than is needed: inflate is slower where it must look out for the end of its output, and a buffer that is just
/// full could not tell that nothing follows.
const SPARE_BYTES: usize = 512;

/// Unpacks gzip of one or many members; bytes that are no gzip are given back as they are.
///
/// # Errors
/// [`CheckError::Empty`], [`CheckError::Truncated`], [`CheckError::Gzip`], or [`CheckError::Limit`] for more
/// uncompressed bytes than allowed.
pub fn unpack<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, CheckError> {
    unpack_while(bytes, limits, |_| true)
}

/// As [`unpack`], for as long as the beginning is one of a profile: most of a bomb is not worth unpacking to be told so.
pub(crate) fn unpack_profile<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, CheckError> {
    unpack_while(bytes, limits, may_begin_profile)
}

/// Whether bytes that begin so, with no less than the longest line of a text, may be a profile of pprof's formats.
pub(crate) fn may_begin_profile(begin: &[u8]) -> bool {
    Cursor::new(begin).tag().is_ok() || !legacy::is_nothing(begin)
}

/// Unpacks gzip. `may_begin` is asked about the first [`BEGIN_BYTES`] where there are more.
pub(crate) fn unpack_while<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    may_begin: fn(&[u8]) -> bool,
) -> Result<Cow<'a, [u8]>, CheckError> {
    let limit = limits.uncompressed_bytes_max;
    let too_much = CheckError::Limit(LimitExceeded {
        name: "uncompressed bytes",
        limit,
    });
    if !bytes.starts_with(&MAGIC) {
        return if bytes.len() as u64 > limit {
            Err(too_much)
        } else {
            Ok(Cow::Borrowed(bytes))
        };
    }
    let claimed = bytes.last_chunk().map_or(0, |len| u32::from_le_bytes(*len) as usize);
    let believed = claimed.min(bytes.len().saturating_mul(CLAIM_EXPANSION_MAX));
    // Above the limit by the spare bytes, which is how more than the limit is seen.
    let expected = usize::try_from(limit).map_or(believed, |limit| believed.min(limit)) + SPARE_BYTES;
    let mut gunzip = Gunzip::new();
    let (mut input, mut output, mut filled) = (bytes, vec![0; expected], 0_usize);
    loop {
        if filled == BEGIN_BYTES && !may_begin(output.get(..filled).unwrap_or_default()) {
            return Err(other_thing(&output));
        }
        if filled == output.len() {
            output.resize((filled + filled / 2).max(BEGIN_BYTES), 0);
        }
        // Not beyond the beginning before it was looked at.
        let end = if filled < BEGIN_BYTES {
            output.len().min(BEGIN_BYTES)
        } else {
            output.len()
        };
        let space = output.get_mut(filled..end).unwrap_or_default();
        let space_bytes = space.len();
        let step = gunzip.step(input, space).map_err(|(error, _)| error)?;
        input = input.get(step.consumed..).unwrap_or_default();
        filled += step.produced;
        if filled as u64 > limit {
            return Err(too_much);
        }
        if input.is_empty() && step.produced < space_bytes {
            break;
        }
    }
    if !gunzip.may_end() {
        return Err(CheckError::Truncated {
            uncompressed_bytes: filled as u64,
        });
    }
    output.truncate(filled);
    Ok(Cow::Owned(output))
}

impl<'a> Profile<'a> {
    /// Decodes an uncompressed profile.proto and proves that it is valid: the full check.
    ///
    /// The verdict is google/pprof's, except on purpose for a field numbered 0 (an error here), for the legacy formats
    /// (no profiles here; [`Profile::parse`] reads them), and for what exceeds the limits.
    ///
    /// # Errors
    /// When the bytes are not a whole valid profile within the limits.
    pub fn decode(bytes: &'a [u8], limits: &Limits) -> Result<Self, CheckError> {
        Self::decode_into(Buffers::default(), bytes, limits)
    }

    /// Decodes as [`Profile::decode`] does, in the memory of a profile that is done with.
    ///
    /// # Errors
    /// When the bytes are not a whole valid profile within the limits.
    pub fn decode_into(buffers: Buffers, bytes: &'a [u8], limits: &Limits) -> Result<Self, CheckError> {
        decode_first(buffers, bytes, limits).map_err(|undecoded| undecoded.error)
    }
}

/// Why bytes are no valid profile.proto.
pub(crate) struct Undecoded {
    pub(crate) error: CheckError,
    /// Whether google/pprof would ask its legacy formats: it does when the wire form or a string is wrong, and does not
    /// for no bytes, concatenated profiles, and what is only inconsistent.
    pub(crate) may_be_legacy: bool,
}

/// Decodes a profile.proto as the first of several formats.
pub(crate) fn decode_first<'a>(buffers: Buffers, bytes: &'a [u8], limits: &Limits) -> Result<Profile<'a>, Undecoded> {
    if bytes.is_empty() {
        return Err(Undecoded {
            error: CheckError::Empty,
            may_be_legacy: false,
        });
    }
    let head = bytes.get(..bytes.len().min(HEAD_BYTES)).unwrap_or_default();
    let shown = |error| {
        if is_text(head) { other_thing(head) } else { error }
    };
    let columns = Columns::read(buffers, bytes, limits).map_err(|error| {
        let is_concatenated = matches!(&error, CheckError::Malformed { what, .. } if *what == messages::CONCATENATED);
        let is_final = is_concatenated || matches!(&error, CheckError::Limit(_));
        Undecoded {
            error: shown(error),
            may_be_legacy: !is_final,
        }
    })?;
    columns.resolve(bytes).map_err(|error| {
        let is_string = matches!(&error, CheckError::Malformed { what, .. } if [NO_STRINGS, NO_STRING].contains(what));
        Undecoded {
            error: shown(error),
            may_be_legacy: is_string,
        }
    })
}

/// The error of a profile that broke a rule in the field that begins at `offset`.
fn refused(fault: Fault, offset: usize, bytes: &[u8]) -> CheckError {
    match fault {
        Fault::Short => CheckError::Truncated {
            uncompressed_bytes: bytes.len() as u64,
        },
        Fault::Bad(_) if offset == 0 => other_thing(bytes),
        Fault::Bad(what) => CheckError::Malformed {
            what,
            offset: offset as u64,
        },
    }
}

/// What to say of bytes that begin as no profile does.
fn other_thing(bytes: &[u8]) -> CheckError {
    CheckError::NotAProfile {
        excerpt: one_line(bytes.get(..bytes.len().min(HEAD_BYTES)).unwrap_or_default()),
    }
}
