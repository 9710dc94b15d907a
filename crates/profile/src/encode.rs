//! A profile to bytes, in google/pprof's exact order.
//!
//! Fields by number; numbers that repeat are packed when there are more than two; what is zero is left out, except the
//! default sample type; the string table is in the order of first use, which is sample types, labels, mappings,
//! functions, drop and keep frames, period type, comments, default type, link.

mod table;
mod varint;
mod writer;

use table::Table;
use varint::Ids;
use writer::{MESSAGE_BYTES_MAX, NUMBER_BYTES_MAX, Number, Span, Writer};
use zlib_rs::crc32::crc32;
use zlib_rs::{Deflate, DeflateFlush, Status};

use crate::model::{LabelValue, Profile, ValueType};

impl Profile<'_> {
    /// The uncompressed wire form, byte for byte that of google/pprof's `WriteUncompressed`.
    pub fn encode(&self) -> Vec<u8> {
        let table = Table::of(self);
        let mut out = Writer::new(self.encoded_bytes());
        let header = &self.header;
        for of in &header.sample_types {
            out.message(1, 2 * NUMBER_BYTES_MAX, |out| write_type(*of, &table, out));
        }
        match Ids::new(self.locations.iter().map(|location| location.id)) {
            Some(ids) => self.encode_samples(&mut out, &table, |index| ids.get(index)),
            None => self.encode_samples(&mut out, &table, |index| {
                self.locations.get(index as usize).map_or(0, |location| location.id)
            }),
        }
        self.encode_mappings(&mut out, &table);
        match Ids::new(self.functions.iter().map(|function| function.id)) {
            Some(ids) => self.encode_locations(&mut out, |index| ids.get(index)),
            None => self.encode_locations(&mut out, |index| {
                self.functions.get(index as usize).map_or(0, |function| function.id)
            }),
        }
        self.encode_functions(&mut out, &table);
        for (first, others) in table.rows(&self.strings) {
            out.bytes(6, first);
            out.append(others);
        }
        self.encode_end(&mut out, &table);
        out.finish()
    }

    /// About as many bytes as it will be: room for a few too many costs nothing until it is written to.
    fn encoded_bytes(&self) -> usize {
        let strings = self.strings.ranges.iter().map(|(_, len)| 3 + *len as usize);
        let samples = &self.samples;
        let samples = 2 * samples.stacks.len() + 4 * (samples.values.len() + samples.len() + samples.labels.len());
        strings.sum::<usize>() + samples + 24 * self.locations.len() + 16 * self.functions.len()
    }

    // The loops over tables are functions of their own, so that each has the registers for itself.

    #[inline(never)]
    fn encode_samples<N: Number>(&self, out: &mut Writer, table: &Table, location_id: impl Fn(u32) -> N) {
        for sample in self.samples() {
            let bytes_max = NUMBER_BYTES_MAX * (sample.stack.len() + sample.values.len())
                + 2 * MESSAGE_BYTES_MAX
                + (MESSAGE_BYTES_MAX + 4 * NUMBER_BYTES_MAX) * sample.labels.len();
            out.message(2, bytes_max, |out| {
                out.repeated(1, sample.stack.iter().map(|index| location_id(*index)));
                out.repeated(2, sample.values.iter().map(|value| value.cast_unsigned()));
                for label in sample.labels {
                    out.message(3, |out| {
                        out.number(1, table.index(label.key));
                        match label.value {
                            LabelValue::Text(text) => out.number(2, table.index(text)),
                            LabelValue::Number(number, unit) => {
                                out.number(3, number.cast_unsigned());
                                out.number(4, table.index(unit.unwrap_or_default()));
                            }
                        }
                    });
                }
            });
        }
    }

    fn encode_mappings(&self, out: &mut Writer, table: &Table) {
        for mapping in &self.mappings {
            out.message(3, 10 * NUMBER_BYTES_MAX, |out| {
                out.number(1, mapping.id);
                out.number(2, mapping.start);
                out.number(3, mapping.limit);
                out.number(4, mapping.offset);
                out.number(5, table.index(mapping.file));
                out.number(6, table.index(mapping.build_id));
                out.number(7, u64::from(mapping.has_functions));
                out.number(8, u64::from(mapping.has_filenames));
                out.number(9, u64::from(mapping.has_line_numbers));
                out.number(10, u64::from(mapping.has_inline_frames));
            });
        }
    }

    #[inline(never)]
    fn encode_locations<N: Number>(&self, out: &mut Writer, function_id: impl Fn(u32) -> N) {
        for location in &self.locations {
            let lines = self.lines_of(location);
            let bytes_max = 4 * NUMBER_BYTES_MAX + (MESSAGE_BYTES_MAX + 3 * NUMBER_BYTES_MAX) * lines.len();
            let mapping = location.mapping.and_then(|index| self.mappings.get(index as usize));
            out.message(4, bytes_max, |out| {
                out.number(1, location.id);
                out.number(2, mapping.map_or(0, |mapping| mapping.id));
                out.number(3, location.address);
                for line in lines {
                    out.message(4, |out| {
                        out.number(1, function_id(line.function));
                        out.number(2, line.line.cast_unsigned());
                        out.number(3, line.column.cast_unsigned());
                    });
                }
                out.number(5, u64::from(location.is_folded));
            });
        }
    }

    #[inline(never)]
    fn encode_functions(&self, out: &mut Writer, table: &Table) {
        for function in &self.functions {
            out.message(5, 5 * NUMBER_BYTES_MAX, |out| {
                out.number(1, function.id);
                out.number(2, table.index(function.name));
                out.number(3, table.index(function.system_name));
                out.number(4, table.index(function.file));
                out.number(5, function.start_line.cast_unsigned());
            });
        }
    }

    /// What comes after the strings.
    fn encode_end(&self, out: &mut Writer, table: &Table) {
        let header = &self.header;
        let comments = header.comments.iter().map(|comment| table.index(*comment));
        let bytes_max = (10 + comments.len()) * NUMBER_BYTES_MAX + 2 * MESSAGE_BYTES_MAX;
        out.write(bytes_max, |out| {
            out.number(7, table.index(header.drop_frames));
            out.number(8, table.index(header.keep_frames));
            out.number(9, header.time_nanos.cast_unsigned());
            out.number(10, header.duration_nanos.cast_unsigned());
            let period_type = header.period_type;
            if !table.index(period_type.kind).is_zero() || !table.index(period_type.unit).is_zero() {
                out.message(11, |out| write_type(period_type, table, out));
            }
            out.number(12, header.period.cast_unsigned());
            out.repeated(13, comments);
            out.number_or_zero(14, table.index(header.default_sample_type));
            out.number(15, table.index(header.doc_url));
        });
    }
}

fn write_type(of: ValueType, table: &Table, out: &mut Span<'_>) {
    out.number(1, table.index(of.kind));
    out.number(2, table.index(of.unit));
}

/// One gzip member of `bytes`, with the header that Go writes, at deflate's default level 6.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut deflate = Deflate::new(6, false, 15);
    let mut buffer = vec![0; 64 << 10];
    let mut rest = bytes;
    loop {
        let (read, written) = (deflate.total_in(), deflate.total_out());
        let status = deflate.compress(rest, &mut buffer, DeflateFlush::Finish);
        // Both are within slices.
        rest = rest.get((deflate.total_in() - read) as usize..).unwrap_or_default();
        out.extend_from_slice(
            buffer
                .get(..(deflate.total_out() - written) as usize)
                .unwrap_or_default(),
        );
        // Deflate cannot fail in a state of its own making; whatever else it says ends the loop.
        if !matches!(status, Ok(Status::Ok | Status::BufError)) {
            break;
        }
    }
    out.extend_from_slice(&crc32(0, bytes).to_le_bytes());
    // The length modulo 2^32, as the format has it.
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use crate::model::{Function, Header, Line, Location, Samples, Strings};
    use crate::{Limits, Profile};

    #[test]
    fn ids_of_every_size_lead_to_the_same_frames() {
        for long in [1 << 20, (1 << 49) - 1, 1 << 49, u64::MAX] {
            let ids = [7, long, 300];
            let profile = Profile {
                header: Header {
                    sample_types: vec![Default::default()],
                    ..Default::default()
                },
                strings: Strings {
                    bytes: (&[]).into(),
                    ranges: vec![(0, 0)],
                },
                locations: (0..3)
                    .map(|index| Location {
                        id: ids[index as usize],
                        lines_begin: index,
                        lines_end: index + 1,
                        ..Default::default()
                    })
                    .collect(),
                lines: [2, 1, 0]
                    .map(|function| Line {
                        function,
                        ..Default::default()
                    })
                    .into(),
                functions: ids
                    .map(|id| Function {
                        id,
                        ..Default::default()
                    })
                    .into(),
                samples: Samples {
                    values: vec![-1, 1 << 40],
                    stacks: vec![2, 1, 0, 1, 1, 0],
                    stack_ends: vec![4, 6],
                    label_ends: vec![0, 0],
                    ..Default::default()
                },
                ..Default::default()
            };
            let bytes = profile.encode();
            let read = Profile::decode(&bytes, &Limits::DEFAULT).unwrap();
            assert_eq!(read.locations, profile.locations);
            assert_eq!(read.lines, profile.lines);
            assert_eq!(read.functions, profile.functions);
            assert_eq!(read.samples.stacks, profile.samples.stacks);
            assert_eq!(read.samples.values, profile.samples.values);
        }
    }
}
