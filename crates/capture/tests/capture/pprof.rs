//! Profiles made by hand, so that the tests depend on no encoder of ours.

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

/// A heap profile of about `bytes` that cannot be compressed.
pub fn large_heap(bytes: usize) -> Vec<u8> {
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let strings: Vec<Vec<u8>> = (0..bytes / STRING_BYTES)
        .map(|_| {
            let mut one = Vec::with_capacity(STRING_BYTES);
            while one.len() < STRING_BYTES {
                noise = noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                // ASCII, because strings are UTF-8.
                one.extend(noise.to_be_bytes().map(|byte| byte & 0x7f));
            }
            one
        })
        .collect();
    stored(&message(&[("inuse_space", "bytes")], &strings))
}

const STRING_BYTES: usize = 32 << 10;

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

/// Gzip of `content` that does not compress it: quick for large ones.
fn stored(content: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(content.len() + content.len() / 1_000 + 1_024);
    let mut chunks = content.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).unwrap();
        blocks.push(u8::from(chunks.peek().is_none()));
        blocks.extend(length.to_le_bytes());
        blocks.extend((!length).to_le_bytes());
        blocks.extend(chunk);
    }
    member(blocks, content)
}

fn member(deflated: Vec<u8>, content: &[u8]) -> Vec<u8> {
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
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
