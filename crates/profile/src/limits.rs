//! What a profile may cost at most.

/// The most of everything that a profile may hold.
///
/// Each default is a power of two well above the largest natural profile known to us (41,000 samples, 2.7 MB
/// in Go's own corpora; 34 to 80 MB in reports of their users), and low enough that the two-byte messages of a
/// compression bomb run into it within milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes after decompression. 512 MiB: six times the largest profile that users report as too slow to open.
    pub uncompressed_bytes_max: u64,
    /// Bytes of one message (a sample with its labels, a location with its lines), checked before it is buffered.
    /// 1 MiB: a sample of `locations_per_sample_max` ids of ten bytes (640 KiB) and `labels_per_sample_max` labels of
    /// four indexes of five bytes and their tags (25 KiB) fits.
    pub message_bytes_max: u64,
    /// Bytes of one string. 64 KiB: the longest mangled C++ and Rust names seen are below 20 KiB.
    pub string_bytes_max: u64,
    /// Sample types. 64: Go's heap has 4, the richest natural producer (Datadog's) about 20.
    pub sample_types_max: u64,
    /// Samples. 4 Mi: eight times a day of span-labelled CPU samples of one busy service.
    pub samples_max: u64,
    /// Location ids in one sample. 64 Ki: runtimes cut stacks at 64 to 4,096 frames; this leaves sixteen times that.
    pub locations_per_sample_max: u64,
    /// Location ids in all samples. 32 Mi, 128 MiB in memory: 64 times those of the largest natural profile, and twice what
    /// the largest that users report (80 MB) would have, at the five bytes for each that the largest natural one has. Bytes
    /// alone are no limit: gzip packs a thousand ids into one.
    pub locations_in_samples_max: u64,
    /// Labels in one sample. 1,024: ten times the limit at which the common ingesters refuse.
    pub labels_per_sample_max: u64,
    /// Mappings. 64 Ki is the kernel's own default for maps of one process (`vm.max_map_count`).
    pub mappings_max: u64,
    /// Locations. 1 Mi: a profile names code, and forty times the largest natural one is more code than a binary has.
    pub locations_max: u64,
    /// Inlined frames at one location. 4,096: compilers stop at depths of tens.
    pub lines_per_location_max: u64,
    /// Functions. 1 Mi: the Chromium binary has about 600,000.
    pub functions_max: u64,
    /// Strings. 1 Mi strings of user data are more than a table that is read whole should hold.
    pub strings_max: u64,
    /// Comments. 4,096: merging keeps one set per distinct build, never one per source.
    pub comments_max: u64,
}

impl Limits {
    /// The defaults, as a constant.
    pub const DEFAULT: Self = Self {
        uncompressed_bytes_max: 512 << 20,
        message_bytes_max: 1 << 20,
        string_bytes_max: 64 << 10,
        sample_types_max: 64,
        samples_max: 4 << 20,
        locations_per_sample_max: 64 << 10,
        locations_in_samples_max: 32 << 20,
        labels_per_sample_max: 1 << 10,
        mappings_max: 64 << 10,
        locations_max: 1 << 20,
        lines_per_location_max: 4 << 10,
        functions_max: 1 << 20,
        strings_max: 1 << 20,
        comments_max: 4 << 10,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A profile holds more of something than its reader allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {limit} {name}")]
pub struct LimitExceeded {
    /// What there is too much of, as a plural noun ("samples").
    pub name: &'static str,
    /// How much was allowed.
    pub limit: u64,
}

/// Errs when `count` is above `limit`.
pub(crate) fn at_most(count: u64, limit: u64, name: &'static str) -> Result<(), LimitExceeded> {
    if count > limit {
        Err(LimitExceeded { name, limit })
    } else {
        Ok(())
    }
}
