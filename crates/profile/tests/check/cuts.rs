//! Bodies that end too early, at each of their bytes.

use profile::Limits;
use profile::check::CheckError;
use zlib_rs::crc32::crc32;
use zlib_rs::{Inflate, InflateFlush};

use crate::bodies::*;

/// Cut at any byte, a body is told to be the beginning of a profile, and nothing else.
fn assert_cuts_are_told(name: &str, body: &[u8]) {
    for end in 0..body.len() {
        let verdict = check(&body[..end]);
        let is_told = if end == 0 {
            matches!(verdict, Err(CheckError::Empty))
        } else {
            matches!(verdict, Err(CheckError::Truncated { .. }))
        };
        assert!(is_told, "{name} at {end}: {verdict:?}");
        assert!(verdict.is_err_and(|error| error.is_transient()));
    }
}

#[test]
fn failure_16_a_broken_tunnel_is_no_shorter_profile() {
    for name in SERVED {
        assert_cuts_are_told(name, &data(name));
    }
}

#[test]
fn gzip_in_any_of_its_forms_is_told_to_be_cut() {
    let plain = small().concat();
    let fixed = |flags| vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255];
    let fields = [&b"\x03\x00abc"[..], b"name\0", b"comment\0"].concat();
    let header = [fixed(2 | 4 | 8 | 16), fields].concat();
    let header = [&header[..], &crc32(0, &header).to_le_bytes()[..2]].concat();
    assert_cuts_are_told("every field of a header", &gzip_with_header(&plain, &header));
    // What a server that flushes writes: blocks that nothing follows, stored ones among them.
    let stored = [
        fixed(0),
        vec![0, 0, 0, 0xff, 0xff, 1],
        (plain.len() as u16).to_le_bytes().to_vec(),
        (!(plain.len() as u16)).to_le_bytes().to_vec(),
        plain.clone(),
        crc32(0, &plain).to_le_bytes().to_vec(),
        (plain.len() as u32).to_le_bytes().to_vec(),
    ]
    .concat();
    assert!(check(&stored).is_ok());
    assert_cuts_are_told("stored blocks", &stored);
    // Between two members the gzip is whole, but not what is in it: these end within the sample.
    let members = [gzip(&plain[..9]), gzip(&plain[9..14]), gzip(&plain[14..])].concat();
    assert!(check(&members).is_ok());
    assert_cuts_are_told("three members", &members);
}

/// Bytes of what the beginning of a gzip unpacks to.
fn unpacked_bytes(begin: &[u8]) -> u64 {
    let mut unpacked = vec![0; 1 << 20];
    let mut inflate = Inflate::new(false, 15);
    // Whether it ends here or asks for more.
    let _end = inflate.decompress(begin, &mut unpacked, InflateFlush::NoFlush);
    inflate.total_out()
}

#[test]
fn a_cut_body_is_unpacked_to_its_last_byte() {
    // So dense that one byte fills the buffer of what is unpacked, and leaves the rest of what it says for the next one.
    let padding = bytes(99, &vec![0; 512 << 10]);
    let body = gzip(&[small()[..1].concat(), padding, small()[1..].concat()].concat());
    for end in 11..body.len() - 8 {
        let uncompressed_bytes = unpacked_bytes(&body[10..end]);
        for chunk in [1, end] {
            let verdict = check_within(Limits::DEFAULT, body[..end].chunks(chunk));
            assert_eq!(verdict, Err(CheckError::Truncated { uncompressed_bytes }), "at {end}");
        }
    }
}

#[test]
fn a_plain_profile_can_be_cut_only_between_its_fields() {
    for name in SERVED {
        let body = gunzip(&data(name));
        let whole = check(&body).unwrap();
        for end in 0..body.len() {
            // A prefix that ends between fields, with every string that it names, is itself a profile.
            if let Ok(summary) = check(&body[..end]) {
                assert_eq!(summary.samples, whole.samples, "{name} at {end}");
                assert_eq!(summary.totals, whole.totals, "{name} at {end}");
            }
        }
    }
    let fields = small();
    let ends: Vec<_> = (1..=fields.len()).map(|count| fields[..count].concat().len()).collect();
    let body = fields.concat();
    let passing: Vec<_> = (0..=body.len()).filter(|end| check(&body[..*end]).is_ok()).collect();
    assert_eq!(passing, ends[10..]);
}
