//! The memory of profiles that are done with, for those that come next.

use std::borrow::Cow;

use crate::check::CheckError;
use crate::import::unpack;
use crate::limits::Limits;
use crate::model::{Header, Profile, Samples, Strings};

/// Unpacks as [`import::unpack`](unpack) does; the buffer is what the bytes that come out lie in, where they are not those that went in.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_into<'a>(bytes: &'a [u8], buffer: &'a mut Vec<u8>, limits: &Limits) -> Result<&'a [u8], CheckError> {
    Ok(match unpack(bytes, limits)? {
        Cow::Borrowed(bytes) => bytes,
        Cow::Owned(unpacked) => {
            *buffer = unpacked;
            buffer
        }
    })
}

/// Memory of a profile that is no longer needed.
///
/// The columns of a large profile take megabytes, which the allocator gives back to the kernel, and the kernel clears and
/// maps anew for the next one, page by page: up to a twelfth of the time that merging many profiles takes. What is kept is
/// as much as the largest of them had.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Without anything in it.
    pub(crate) profile: Profile<'static>,
}

impl Profile<'_> {
    /// Gives up the profile for the memory that it has.
    #[must_use]
    pub fn into_buffers(self) -> Buffers {
        fn emptied<T>(mut column: Vec<T>) -> Vec<T> {
            column.clear();
            column
        }
        let samples = self.samples;
        Buffers {
            profile: Profile {
                header: Header::default(),
                strings: Strings {
                    bytes: Cow::Borrowed(&[]),
                    ranges: emptied(self.strings.ranges),
                },
                mappings: emptied(self.mappings),
                locations: emptied(self.locations),
                lines: emptied(self.lines),
                functions: emptied(self.functions),
                samples: Samples {
                    values: emptied(samples.values),
                    stacks: emptied(samples.stacks),
                    stack_ends: emptied(samples.stack_ends),
                    labels: emptied(samples.labels),
                    label_ends: emptied(samples.label_ends),
                },
                is_pruned: false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffers, unpack_into};
    use crate::{Limits, Profile, gzip};

    #[test]
    fn memory_that_was_used_holds_nothing_of_before() {
        // Of several kinds, each after every other.
        let files = [
            &include_bytes!("../tests/data/cpu.pprof")[..],
            include_bytes!("../tests/data/heap.pprof"),
            include_bytes!("../tests/data/mutex.pprof"),
        ];
        let limits = Limits::DEFAULT;
        let (mut buffers, mut buffer) = (Buffers::default(), Vec::new());
        for file in files.iter().chain(files.iter().rev()) {
            let raw = unpack_into(file, &mut buffer, &limits).unwrap();
            let expected = Profile::parse(file, &limits).unwrap();
            let profile = Profile::decode_into(buffers, raw, &limits).unwrap();
            assert_eq!(profile.encode(), expected.encode());
            buffers = profile.into_buffers();
            assert_eq!(buffers.profile.encode(), Profile::default().encode());
        }
    }

    #[test]
    fn bytes_that_are_not_packed_are_given_back() {
        let mut buffer = Vec::new();
        assert_eq!(unpack_into(b"plain", &mut buffer, &Limits::DEFAULT), Ok(&b"plain"[..]));
        assert_eq!(
            unpack_into(&gzip(b"packed"), &mut buffer, &Limits::DEFAULT),
            Ok(&b"packed"[..])
        );
        assert!(unpack_into(&gzip(b"packed")[..12], &mut buffer, &Limits::DEFAULT).is_err());
    }
}
