//! Gzip with libdeflate, which is C: for the command line only.
//!
//! What is unpacked has the checksum and the length that its trailer states, and the verdict is that of [`import::unpack`]
//! but for what no compressor writes: bytes between the data and the trailer, and codes that deflate knows and nobody uses.
//! Whoever must know of these asks [`crate::check::Checker`]. What may begin no format is refused by who reads it then.

use std::borrow::Cow;

use libdeflater::{CompressionLvl, Compressor, Decompressor};
use memchr::memmem;
use zlib_rs::crc32::crc32;

use crate::check::CheckError;
use crate::import;
use crate::limits::Limits;

/// The most bytes that one byte of deflate stands for: 258 for a code of two bits.
const EXPANSION_MAX: usize = 1032;

/// What unpacks to more than this, and to so many times its size, is looked at by the stream, which refuses a bomb at its
/// beginning. Real profiles grow to eleven times their size at most.
const BOMB_BYTES_MIN: usize = 1 << 20;
const BOMB_EXPANSION_MIN: usize = 64;

/// The header of a member that says nothing of itself: magic, deflate, no flags. Of the six bytes that follow, time and
/// system, nothing depends.
const PLAIN_HEADER: [u8; 4] = [0x1f, 0x8b, 8, 0];

/// The bytes of such a header.
const HEADER_BYTES: usize = 10;

/// Unpacks as [`import::unpack`] does, in less time where there is one member with a plain header: what Go writes.
///
/// # Errors
/// As [`import::unpack`].
pub fn unpack<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Cow<'a, [u8]>, CheckError> {
    let mut unpacked = Vec::new();
    match one_member(bytes, &mut unpacked, limits) {
        Some(()) => Ok(Cow::Owned(unpacked)),
        // For every other shape, and for what is wrong with it.
        None => import::unpack(bytes, limits),
    }
}

/// Unpacks as [`crate::unpack_into`] does, into the memory that the buffer has.
///
/// # Errors
/// As [`import::unpack`].
pub fn unpack_into<'a>(bytes: &'a [u8], buffer: &'a mut Vec<u8>, limits: &Limits) -> Result<&'a [u8], CheckError> {
    if one_member(bytes, buffer, limits).is_some() {
        return Ok(buffer);
    }
    crate::unpack_into(bytes, buffer, limits)
}

/// Unpacks a member that is alone and has a plain header; what is in the buffer otherwise means nothing.
fn one_member(bytes: &[u8], unpacked: &mut Vec<u8>, limits: &Limits) -> Option<()> {
    let (front, trailer) = bytes.split_last_chunk::<8>()?;
    let packed = front.get(HEADER_BYTES..).filter(|_| front.starts_with(&PLAIN_HEADER))?;
    let [a, b, c, d, stated_bytes @ ..] = *trailer;
    let len = u32::from_le_bytes(stated_bytes) as usize;
    if len as u64 > limits.uncompressed_bytes_max || len > packed.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    if len >= BOMB_BYTES_MIN && len / BOMB_EXPANSION_MIN >= packed.len() {
        return None;
    }
    // The library does not say where the data end. If they ended earlier and rightly, the same trailer would stand there,
    // and members or garbage would follow.
    let before_last = bytes.get(HEADER_BYTES..bytes.len() - 1)?;
    if memmem::find(before_last, trailer).is_some() {
        return None;
    }
    if unpacked.capacity() < len {
        // New memory is zero as it comes, and nothing has to be copied.
        *unpacked = vec![0; len];
    }
    unpacked.resize(len, 0);
    let filled = Decompressor::new().deflate_decompress(packed, unpacked).ok()?;
    let is_whole = filled == len && crc32(0, unpacked) == u32::from_le_bytes([a, b, c, d]);
    is_whole.then_some(())
}

/// Level 5 is no larger than Go's default level 6 over the real profiles of the figures, and faster than libdeflate's 6 by
/// a fifth.
const LEVEL: i32 = 5;

/// One gzip member of `bytes`, with the header that Go writes.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::new(LEVEL).unwrap_or_default());
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    match compressor.gzip_compress(bytes, &mut out) {
        Ok(len) => {
            out.truncate(len);
            out
        }
        // Within its own bound it has room.
        Err(_) => crate::encode::gzip(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::{gzip, one_member, unpack, unpack_into};
    use crate::Limits;

    const LIMITS: Limits = Limits::DEFAULT;

    fn sample(len: u32) -> Vec<u8> {
        (0..len).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect()
    }

    #[test]
    fn what_is_packed_is_unpacked_again() {
        for len in [0, 1, 100, 70_000, 1 << 20] {
            let bytes = sample(len);
            let packed = gzip(&bytes);
            assert_eq!(packed.get(..10), Some(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff][..]));
            assert_eq!(&*crate::unpack(&packed, &LIMITS).unwrap(), bytes);
            let mut unpacked = vec![7; 1_000];
            assert_eq!(one_member(&packed, &mut unpacked, &LIMITS), Some(()));
            assert_eq!(unpacked, bytes);
        }
    }

    #[test]
    fn other_shapes_have_the_verdict_of_the_stream() {
        let bytes = sample(5_000);
        let packed = gzip(&bytes);
        let changed = |at: usize| {
            let mut changed = packed.clone();
            changed[at] ^= 0x10;
            changed
        };
        let mut named = packed.clone();
        named[3] = 1 << 3;
        named.splice(10..10, *b"name\0");
        let cut = (0..packed.len()).map(|len| packed[..len].to_vec());
        let damaged = (0..packed.len()).map(changed);
        let several = [
            [&packed[..], &packed].concat(),
            [&packed[..], &gzip(b"other")].concat(),
            [&packed[..], b"garbage"].concat(),
            [&packed[..], &packed[packed.len() - 8..]].concat(),
            bytes.clone(),
            named,
        ];
        let mut buffer = Vec::new();
        for body in cut.chain(damaged).chain(several) {
            let expected = crate::unpack(&body, &LIMITS);
            assert_eq!(unpack(&body, &LIMITS), expected);
            assert_eq!(unpack_into(&body, &mut buffer, &LIMITS).ok(), expected.ok().as_deref());
        }
    }

    #[test]
    fn failure_15_a_bomb_is_left_to_the_stream() {
        for len in [1 << 19, 2 << 20] {
            let zeros = vec![0; len];
            let packed = gzip(&zeros);
            assert_eq!(one_member(&packed, &mut Vec::new(), &LIMITS).is_some(), len < 1 << 20);
        }
        let packed = gzip(&vec![0; 2 << 20]);
        let refused = unpack(&packed, &LIMITS).unwrap_err();
        assert!(refused.to_string().starts_with("this is not a profile"), "{refused}");
        // What is well packed and may be something is unpacked all the same.
        let long = b"a;b 1\n".repeat(1 << 18);
        assert_eq!(unpack(&gzip(&long), &LIMITS).unwrap(), long);
    }

    #[test]
    fn a_trailer_takes_no_memory_that_no_bytes_stand_behind() {
        let mut packed = gzip(&sample(5_000));
        let end = packed.len() - 4;
        packed[end..].copy_from_slice(&(100_u32 << 20).to_le_bytes());
        let mut unpacked = Vec::new();
        assert_eq!(one_member(&packed, &mut unpacked, &LIMITS), None);
        assert_eq!(unpacked.capacity(), 0);
        let limits = Limits {
            uncompressed_bytes_max: 4_999,
            ..LIMITS
        };
        assert!(unpack(&gzip(&sample(5_000)), &limits).is_err());
    }
}
