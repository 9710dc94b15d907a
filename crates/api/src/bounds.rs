//! The bounds of every number in the resource: the schema enforces them, and [`crate::read()`] clamps to
//! them what a stored object has outside of them.

use std::ops::RangeInclusive;

/// Percent of the limit: 1 % is below any idle program, and 1000 % still means something where the
/// basis is a small request.
pub const THRESHOLD_PERCENT: RangeInclusive<i64> = 1..=1_000;
/// Seconds between checks: metrics-server measures every 15 s by default and every 10 s at its fastest,
/// so that a shorter interval would see each sample twice.
pub const CHECK_INTERVAL_SECONDS: RangeInclusive<i64> = 10..=3_600;
/// Seconds of cooldown: none, to a day.
pub const COOLDOWN_SECONDS: RangeInclusive<i64> = 0..=86_400;
/// Seconds of the on-demand interval: 15 leave 10 for a CPU profile and 5 to take and store the rest.
pub const INTERVAL_SECONDS: RangeInclusive<i64> = 15..=86_400;
/// Seconds of a CPU profile or trace: two minutes are enough for any statistics, and a tunnel through
/// the API server should not be held for longer.
pub const CPU_SECONDS: RangeInclusive<i64> = 1..=120;
/// Seconds of an on-demand interval that stay free of the CPU profile, for the other types and the upload.
pub const INTERVAL_REST_SECONDS: i64 = 5;
/// Pods of one config captured at once; the operator's own bound (32 by default) holds over it.
pub const CONCURRENT_PODS: RangeInclusive<i64> = 1..=256;
/// Bytes of one body: the least holds any small profile, the most is what the spool is sized for.
pub const BODY_BYTES: RangeInclusive<i64> = 65_536..=1_073_741_824;
/// Characters of a bucket's name, by the rule of S3.
pub const BUCKET_CHARS: RangeInclusive<usize> = 3..=63;
/// Characters of a prefix, each of which is a byte: what a key has room for.
pub const PREFIX_CHARS_MAX: usize = planner::keys::PREFIX_BYTES_MAX;
/// Characters of an endpoint: scheme, a host name of at most 253, and a port.
pub const ENDPOINT_CHARS_MAX: usize = 268;
/// Characters of a region: it becomes a label of a host's name. The longest of AWS has 14.
pub const REGION_CHARS_MAX: usize = 63;
/// Labels in `labelSelector`, and expressions beside it: far more than any selector in use, and few
/// enough for every rule to stay within the API server's cost budget.
pub const SELECTOR_LABELS_MAX: usize = 32;
/// Values of one expression.
pub const EXPRESSION_VALUES_MAX: usize = 64;
/// Characters of a label's name: a DNS name of 253, a slash, 63 more.
pub const LABEL_NAME_CHARS_MAX: usize = 317;
/// Characters of a label's value, and of a namespace's name.
pub const LABEL_VALUE_CHARS_MAX: usize = 63;
