//! Gzip as a stream: any number of members, each proved by its checksum and its length.
//!
//! The container is read here, byte by byte and with the rules of Go's `compress/gzip`; zlib-rs inflates.

use zlib_rs::crc32::crc32;
use zlib_rs::{Inflate, InflateFlush, Status};

/// Why a stream is no whole gzip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GzipError {
    /// A member begins with something else than a gzip header.
    #[error("bad gzip header: {0}")]
    Header(&'static str),
    /// The compressed data themselves are damaged.
    #[error("bad deflate data")]
    Deflate,
    /// The data do not have the checksum that their trailer states.
    #[error("the checksum of the data is {actual:08x}, the trailer says {stated:08x}")]
    Checksum {
        /// What the trailer says.
        stated: u32,
        /// What the data have.
        actual: u32,
    },
    /// The data do not have the length (modulo 2^32) that their trailer states.
    #[error("the length of the data is {actual} bytes, the trailer says {stated}")]
    Length {
        /// What the trailer says.
        stated: u32,
        /// What the data have.
        actual: u32,
    },
    /// Something else follows the last member.
    #[error("bytes that are no gzip follow the gzip data")]
    TrailingGarbage,
}

/// The first two bytes of every gzip member.
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Go gives a header's name and comment this many bytes each, the closing zero included, and refuses longer ones.
const HEADER_STRING_BYTES_MAX: u32 = 512;

const FLAG_HEADER_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;

/// The parts of a header in their order; the number is how many bytes of the part were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    Fixed(u32),
    ExtraLength(u32),
    Extra(u32),
    Name(u32),
    Comment(u32),
    Crc(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header(Header),
    Body,
    Trailer(u32),
}

/// What one step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes of the input that were used up.
    pub(crate) consumed: usize,
    /// Bytes that were written to the output.
    pub(crate) produced: usize,
}

/// Unpacks one gzip stream, in constant memory: the window of deflate and this struct.
pub(crate) struct Gunzip {
    inflate: Inflate,
    stage: Stage,
    flags: u8,
    /// Little-endian numbers of the header and the trailer, as far as they are read.
    number: u64,
    header_crc: u32,
    body_crc: u32,
    /// Modulo 2^32, as the trailer counts.
    body_bytes: u32,
    members: u64,
}

impl Gunzip {
    pub(crate) fn new() -> Self {
        Self {
            // Deflate without a wrapper, in the largest window.
            inflate: Inflate::new(false, 15),
            stage: Stage::Header(Header::Fixed(0)),
            flags: 0,
            number: 0,
            header_crc: 0,
            body_crc: 0,
            body_bytes: 0,
            members: 0,
        }
    }

    /// Members that were read to their end and proved.
    pub(crate) fn members(&self) -> u64 {
        self.members
    }

    /// Whether the input may end here: after a member, and before the next one begins.
    pub(crate) fn may_end(&self) -> bool {
        self.members > 0 && self.stage == Stage::Header(Header::Fixed(0))
    }

    /// Unpacks from `input` into `output` until one of them is used up or a part of the container ends.
    ///
    /// An error may come with output: what was unpacked before the damage is the second part of it.
    pub(crate) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, (GzipError, usize)> {
        match self.stage {
            Stage::Header(part) => {
                let mut part = part;
                for (index, byte) in input.iter().enumerate() {
                    match self.header_byte(part, *byte).map_err(|error| (error, 0))? {
                        Some(next) => {
                            part = next;
                            self.stage = Stage::Header(part);
                        }
                        None => {
                            self.stage = Stage::Body;
                            return Ok(Step {
                                consumed: index + 1,
                                produced: 0,
                            });
                        }
                    }
                }
                Ok(Step {
                    consumed: input.len(),
                    produced: 0,
                })
            }
            Stage::Body => self.body(input, output),
            Stage::Trailer(read) => {
                let mut read = read;
                for (index, byte) in input.iter().enumerate() {
                    self.number |= u64::from(*byte) << (8 * read);
                    read += 1;
                    if read == 8 {
                        self.end_member().map_err(|error| (error, 0))?;
                        return Ok(Step {
                            consumed: index + 1,
                            produced: 0,
                        });
                    }
                }
                self.stage = Stage::Trailer(read);
                Ok(Step {
                    consumed: input.len(),
                    produced: 0,
                })
            }
        }
    }

    fn body(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, (GzipError, usize)> {
        let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, output, InflateFlush::NoFlush);
        // Neither exceeds the length of a slice.
        let consumed = (self.inflate.total_in() - in_before) as usize;
        let produced = (self.inflate.total_out() - out_before) as usize;
        let bytes = output.get(..produced).unwrap_or_default();
        self.body_crc = crc32(self.body_crc, bytes);
        // Modulo 2^32 on purpose.
        self.body_bytes = self.body_bytes.wrapping_add(produced as u32);
        match status {
            Ok(Status::Ok | Status::BufError) => {}
            Ok(Status::StreamEnd) => {
                self.stage = Stage::Trailer(0);
                self.number = 0;
            }
            Err(_) => return Err((GzipError::Deflate, produced)),
        }
        Ok(Step { consumed, produced })
    }

    fn end_member(&mut self) -> Result<(), GzipError> {
        // The two halves of eight bytes.
        let (stated_crc, stated_bytes) = (self.number as u32, (self.number >> 32) as u32);
        if stated_crc != self.body_crc {
            return Err(GzipError::Checksum {
                stated: stated_crc,
                actual: self.body_crc,
            });
        }
        if stated_bytes != self.body_bytes {
            return Err(GzipError::Length {
                stated: stated_bytes,
                actual: self.body_bytes,
            });
        }
        self.members += 1;
        self.inflate.reset(false);
        self.stage = Stage::Header(Header::Fixed(0));
        (self.flags, self.number, self.header_crc, self.body_crc, self.body_bytes) = (0, 0, 0, 0, 0);
        Ok(())
    }

    /// Takes one byte of the header; gives the part that the next byte belongs to, or `None` after the last.
    fn header_byte(&mut self, part: Header, byte: u8) -> Result<Option<Header>, GzipError> {
        if !matches!(part, Header::Crc(_)) {
            self.header_crc = crc32(self.header_crc, &[byte]);
        }
        let first = self.members == 0;
        let not_gzip = if first {
            GzipError::Header("no gzip magic")
        } else {
            GzipError::TrailingGarbage
        };
        match part {
            Header::Fixed(0) if byte != MAGIC[0] => Err(not_gzip),
            Header::Fixed(1) if byte != MAGIC[1] => Err(not_gzip),
            Header::Fixed(2) if byte != 8 => Err(GzipError::Header("the method is not deflate")),
            Header::Fixed(read) => {
                if read == 3 {
                    self.flags = byte;
                }
                Ok(if read == 9 {
                    self.optional_after(0)
                } else {
                    Some(Header::Fixed(read + 1))
                })
            }
            Header::ExtraLength(0) => {
                self.number = u64::from(byte);
                Ok(Some(Header::ExtraLength(1)))
            }
            Header::ExtraLength(_) => {
                self.number |= u64::from(byte) << 8;
                Ok(if self.number == 0 {
                    self.optional_after(FLAG_EXTRA)
                } else {
                    Some(Header::Extra(0))
                })
            }
            Header::Extra(read) => {
                let ended = u64::from(read) + 1 == self.number;
                Ok(if ended {
                    self.optional_after(FLAG_EXTRA)
                } else {
                    Some(Header::Extra(read + 1))
                })
            }
            Header::Name(_) | Header::Comment(_) => self.header_string(part, byte),
            Header::Crc(0) => {
                self.number = u64::from(byte);
                Ok(Some(Header::Crc(1)))
            }
            Header::Crc(_) => {
                let stated = self.number | u64::from(byte) << 8;
                if stated == u64::from(self.header_crc & 0xffff) {
                    Ok(None)
                } else {
                    Err(GzipError::Header("its own checksum is wrong"))
                }
            }
        }
    }

    fn header_string(&self, part: Header, byte: u8) -> Result<Option<Header>, GzipError> {
        let (read, flag, next): (_, _, fn(u32) -> Header) = match part {
            Header::Name(read) => (read, FLAG_NAME, Header::Name),
            Header::Comment(read) => (read, FLAG_COMMENT, Header::Comment),
            Header::Fixed(_) | Header::ExtraLength(_) | Header::Extra(_) | Header::Crc(_) => return Ok(Some(part)),
        };
        if byte == 0 {
            Ok(self.optional_after(flag))
        } else if read + 1 >= HEADER_STRING_BYTES_MAX {
            Err(GzipError::Header("a name or comment is too long"))
        } else {
            Ok(Some(next(read + 1)))
        }
    }

    /// The next optional part of the header that the flags announce, after the one with the flag `done`.
    fn optional_after(&self, done: u8) -> Option<Header> {
        let order = [
            (FLAG_EXTRA, Header::ExtraLength(0)),
            (FLAG_NAME, Header::Name(0)),
            (FLAG_COMMENT, Header::Comment(0)),
            (FLAG_HEADER_CRC, Header::Crc(0)),
        ];
        let from = order
            .iter()
            .position(|(flag, _)| *flag == done)
            .map_or(0, |index| index + 1);
        order
            .iter()
            .skip(from)
            .find(|(flag, _)| self.flags & flag != 0)
            .map(|(_, part)| *part)
    }
}
