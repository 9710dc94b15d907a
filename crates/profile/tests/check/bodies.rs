//! Bodies to check: read, built field by field, packed and cut.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use profile::check::{CheckError, Checker, Summary};
use profile::{LimitExceeded, Limits};
use zlib_rs::crc32::crc32;
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

pub(super) fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let path = path.as_ref();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .unwrap_or_else(|error| {
            panic!("{}: {error}", path.display());
        });
    bytes
}

pub(super) fn data(name: &str) -> Vec<u8> {
    read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name))
}

/// What `net/http/pprof` served: every one of these must pass.
pub(super) const SERVED: [&str; 8] = [
    "allocs.pprof",
    "block.pprof",
    "cpu.pprof",
    "goroutine.pprof",
    "heap.pprof",
    "mutex.pprof",
    "mutex-empty.pprof",
    "threadcreate.pprof",
];

pub(super) fn check_within(
    limits: Limits,
    chunks: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Result<Summary, CheckError> {
    let mut checker = Checker::new(limits);
    for chunk in chunks {
        if let Err(error) = checker.feed(chunk.as_ref()) {
            // An error is for good.
            assert_eq!(checker.feed(b"more"), Err(error.clone()));
            assert_eq!(checker.finish(), Err(error.clone()));
            return Err(error);
        }
    }
    checker.finish()
}

pub(super) fn check(body: &[u8]) -> Result<Summary, CheckError> {
    check_within(Limits::DEFAULT, [body])
}

pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
    gzip_with_header(body, &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
}

pub(super) fn gzip_with_header(body: &[u8], header: &[u8]) -> Vec<u8> {
    let mut deflated = vec![0; body.len() + body.len() / 1000 + 64];
    let mut deflate = Deflate::new(6, false, 15);
    assert_eq!(
        deflate.compress(body, &mut deflated, DeflateFlush::Finish),
        Ok(Status::StreamEnd)
    );
    deflated.truncate(usize::try_from(deflate.total_out()).unwrap());
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [header, &deflated, &crc32(0, body).to_le_bytes(), &length].concat()
}

/// Unpacks what `Checker` has already proved to be one member with a plain header.
pub(super) fn gunzip(body: &[u8]) -> Vec<u8> {
    let mut unpacked = vec![0; 4 << 20];
    let mut inflate = Inflate::new(false, 15);
    assert_eq!(
        inflate.decompress(&body[10..], &mut unpacked, InflateFlush::Finish),
        Ok(Status::StreamEnd)
    );
    unpacked.truncate(usize::try_from(inflate.total_out()).unwrap());
    unpacked
}

pub(super) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub(super) fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

pub(super) fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

pub(super) fn message(field: u64, fields: &[Vec<u8>]) -> Vec<u8> {
    bytes(field, &fields.concat())
}

/// The smallest profile with one of everything, in Go's order.
pub(super) fn small() -> Vec<Vec<u8>> {
    vec![
        message(1, &[number(1, 1), number(2, 2)]),
        message(
            2,
            &[
                number(1, 1),
                number(2, 7),
                message(3, &[number(1, 3), number(3, 5), number(4, 2)]),
            ],
        ),
        message(3, &[number(1, 1), number(2, 0x1000), number(3, 0x2000), number(5, 5)]),
        message(
            4,
            &[
                number(1, 1),
                number(2, 1),
                number(3, 0x1234),
                message(4, &[number(1, 1), number(2, 9)]),
            ],
        ),
        message(5, &[number(1, 1), number(2, 4), number(3, 4), number(4, 5)]),
        bytes(6, b""),
        bytes(6, b"cpu"),
        bytes(6, b"nanoseconds"),
        bytes(6, b"key"),
        bytes(6, b"main.main"),
        bytes(6, b"main.go"),
        number(9, 1_700_000_000_000_000_000),
        number(10, 30_000_000_000),
        message(11, &[number(1, 1), number(2, 2)]),
        number(12, 10_000_000),
    ]
}

pub(super) fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(kind, unit)| ((*kind).to_owned(), (*unit).to_owned()))
        .collect()
}

pub(super) fn malformed(result: Result<Summary, CheckError>) -> &'static str {
    match result {
        Err(CheckError::Malformed { what, .. }) => what,
        other => panic!("not malformed but {other:?}"),
    }
}

pub(super) fn exceeded(result: Result<Summary, CheckError>) -> (&'static str, u64) {
    match result {
        Err(CheckError::Limit(LimitExceeded { name, limit })) => (name, limit),
        other => panic!("within the limits, or {other:?}"),
    }
}
