//! Profiles made by hand, so that the tests depend on no encoder of ours.

use std::sync::Arc;

use zlib_rs::crc32::crc32;
use zlib_rs::{Deflate, DeflateFlush, Status};

/// A whole profile with the sample types and a sample.
pub fn profile(sample_types: &[(&str, &str)]) -> Vec<u8> {
    gzip(&message(sample_types, &[]))
}

/// A heap profile as Go's.
pub fn heap() -> Vec<u8> {
    profile(&[
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
    ])
}

/// A goroutine profile as Go's.
pub fn goroutine() -> Vec<u8> {
    profile(&[("goroutine", "count")])
}

/// A CPU profile as Go's.
pub fn cpu() -> Vec<u8> {
    profile(&[("samples", "count"), ("cpu", "nanoseconds")])
}

/// A heap profile of about `bytes` that is not compressed within its gzip.
pub fn large_heap(bytes: usize) -> Vec<u8> {
    let (_, pieces) = large_heap_pieces(bytes);
    (0..).map_while(|at| pieces(at)).flatten().collect()
}

/// The pieces of a body, made when they are sent.
pub type Pieces = Arc<dyn Fn(usize) -> Option<Vec<u8>> + Send + Sync>;

/// The length of such a profile, and its pieces: it never lies in memory as a whole.
pub fn large_heap_pieces(bytes: usize) -> (usize, Pieces) {
    let strings = bytes / STRING_BYTES;
    let start = message(&[("inuse_space", "bytes")], &[]);
    let string = |nth: usize| {
        let letter = b'a' + u8::try_from(nth % 26).unwrap();
        let mut one = Vec::with_capacity(STRING_BYTES + 4);
        field(&mut one, 6, &vec![letter; STRING_BYTES]);
        one
    };
    let mut sum = crc32(0, &start);
    let mut length = start.len();
    let all: Vec<Vec<u8>> = (0..26).map(string).collect();
    for nth in 0..strings {
        sum = crc32(sum, &all[nth % 26]);
        length += all[nth % 26].len();
    }
    let tail = [
        sum.to_le_bytes(),
        u32::try_from(length % (1 << 32)).unwrap().to_le_bytes(),
    ]
    .concat();
    let head = [GZIP_HEAD.as_slice(), &block(&start, strings == 0)].concat();
    let sent = head.len() + strings * block(&all[0], false).len() + tail.len();
    let pieces = move |at: usize| match at {
        0 => Some(head.clone()),
        at if at <= strings => Some(block(&string(at - 1), at == strings)),
        at if at == strings + 1 => Some(tail.clone()),
        _ => None,
    };
    (sent, Arc::new(pieces))
}

const STRING_BYTES: usize = 32 << 10;

/// A block of deflate that is stored as it is.
fn block(content: &[u8], is_last: bool) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let head = [
        [u8::from(is_last)].as_slice(),
        &length.to_le_bytes(),
        &(!length).to_le_bytes(),
    ]
    .concat();
    [head.as_slice(), content].concat()
}

/// A profile message: sample types, one sample with a value each, and further strings.
pub fn message(sample_types: &[(&str, &str)], further: &[Vec<u8>]) -> Vec<u8> {
    let mut strings: Vec<&[u8]> = vec![b""];
    let mut message = Vec::new();
    let mut values = Vec::new();
    for (name, unit) in sample_types {
        let index = u8::try_from(strings.len()).unwrap();
        strings.extend([name.as_bytes(), unit.as_bytes()]);
        field(&mut message, 1, &[0x08, index, 0x10, index + 1]);
        values.extend([0x10, 0x07]);
    }
    field(&mut message, 2, &values);
    for string in strings.into_iter().chain(further.iter().map(Vec::as_slice)) {
        field(&mut message, 6, string);
    }
    message
}

/// Gzip of `content`.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = vec![0; content.len() + content.len() / 100 + 1_024];
    let mut deflate = Deflate::new(6, false, 15);
    let status = deflate.compress(content, &mut packed, DeflateFlush::Finish).unwrap();
    assert_eq!(status, Status::StreamEnd);
    packed.truncate(usize::try_from(deflate.total_out()).unwrap());
    member(packed, content)
}

const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

fn member(deflated: Vec<u8>, content: &[u8]) -> Vec<u8> {
    let mut gzip = GZIP_HEAD.to_vec();
    gzip.extend(deflated);
    gzip.extend(crc32(0, content).to_le_bytes());
    gzip.extend(u32::try_from(content.len() % (1 << 32)).unwrap().to_le_bytes());
    gzip
}

fn field(message: &mut Vec<u8>, number: u8, content: &[u8]) {
    message.push(number << 3 | 2);
    let mut length = content.len();
    while length >= 0x80 {
        message.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap());
    message.extend(content);
}
