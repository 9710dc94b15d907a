//! Names in the bucket: profiles under the seed's keys, records under `_captures`.
//!
//! Everything here is a pure function of the job, so the same capture has the same names wherever and
//! whenever it is retried.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use jiff::{Timestamp, tz};
use sha2::{Digest, Sha256};

use crate::command::CaptureJob;
use crate::id::{CaptureId, ConfigId, TargetId};
use crate::profile_type::{ProfileType, TypeSet};
use crate::reason::Reason;
use crate::time::Wall;

/// Bytes of a store's prefix. A key of S3 holds 1,024, and what follows the prefix in a record's key is at most a namespace
/// of 63, a service and a pod of 253 each, and 120 of our own.
pub const PREFIX_BYTES_MAX: usize = 256;

/// The id of a capture.
///
/// Derived from what tells captures apart and nothing else. The decision counts in whole seconds,
/// because that is what a record's name holds: so a restart can tell from a name alone whether it is
/// of a config and target that it knows.
pub fn capture_id(config: ConfigId, target: TargetId, container: &str, trigger: Reason, decided_at: Wall) -> CaptureId {
    let mut hash = Sha256::new();
    hash.update(config.0.to_be_bytes());
    hash.update(target.0.to_be_bytes());
    hash.update(decided_at.seconds().to_be_bytes());
    hash.update(trigger.as_camel().as_bytes());
    hash.update([0]);
    hash.update(container.as_bytes());
    let digest = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    CaptureId(u64::from_be_bytes(first))
}

/// The two names that a profile may have, in the order to try them: the seed's, then the one that no
/// other capture can have.
pub fn profile_keys(job: &CaptureJob, profile_type: ProfileType) -> [String; 2] {
    let extension = profile_type.format().extension();
    let stem = format!(
        "{}{}/{}/{}-{}",
        folder(&job.store.prefix),
        date(job.decided_at),
        service_segment(&job.service),
        stamp(job.decided_at),
        profile_type.as_str()
    );
    [
        format!("{stem}.{extension}"),
        format!("{stem}-{}-{}.{extension}", segment(&job.pod), job.id),
    ]
}

/// The name of a capture's record.
pub fn record_key(job: &CaptureJob) -> String {
    let types: String = job
        .types
        .iter()
        .copied()
        .collect::<TypeSet>()
        .iter()
        .map(ProfileType::letter)
        .collect();
    format!(
        "{}{}/{}_{}_{}_{}_{}.json",
        records_folder(&job.store.prefix, job.decided_at, &job.namespace),
        service_segment(&job.service),
        time_of_day(job.decided_at),
        segment(&job.pod),
        job.trigger.reason().as_kebab(),
        types,
        job.id
    )
}

/// The folder of a day's records of one namespace, with a slash at its end. `day` is any moment of it.
pub fn records_folder(prefix: &str, day: Wall, namespace: &str) -> String {
    format!("{}_captures/{}/{}/", folder(prefix), date(day), segment(namespace))
}

/// What a record's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordName {
    /// Namespace of the target.
    pub namespace: String,
    /// Its service.
    pub service: String,
    /// The target's name.
    pub pod: String,
    /// When it was decided, to the second.
    pub decided_at: Wall,
    /// `ThresholdExceeded`, `OnDemand` or `Requested`.
    pub trigger: Reason,
    /// The types asked.
    pub types: TypeSet,
    /// Its id.
    pub capture: CaptureId,
}

/// Reads a record's key back; none if it is not one. `prefix` is the store's.
pub fn parse_record_key(prefix: &str, key: &str) -> Option<RecordName> {
    let path = key.strip_prefix(&folder(prefix))?.strip_prefix("_captures/")?;
    let [date, namespace, service, file] = path.split('/').collect::<Vec<_>>().try_into().ok()?;
    let [time, pod, trigger, letters, id] = file
        .strip_suffix(".json")?
        .split('_')
        .collect::<Vec<_>>()
        .try_into()
        .ok()?;
    let types = letters
        .chars()
        .map(|letter| ProfileType::ALL.into_iter().find(|one| one.letter() == letter))
        .collect::<Option<TypeSet>>()?;
    (id.len() == 16).then_some(())?;
    Some(RecordName {
        namespace: namespace.into(),
        service: service.into(),
        pod: pod.into(),
        decided_at: moment(date, time)?,
        trigger: Reason::parse_kebab(trigger)?,
        types,
        capture: CaptureId(u64::from_str_radix(id, 16).ok()?),
    })
}

fn moment(date: &str, time: &str) -> Option<Wall> {
    let (hours, rest) = time.split_at_checked(2)?;
    let (minutes, seconds) = rest.split_at_checked(2)?;
    let moment: Timestamp = format!("{date}T{hours}:{minutes}:{seconds}Z").parse().ok()?;
    Some(Wall(moment.as_millisecond()))
}

/// A prefix as the start of a key: empty stays empty, everything else ends with one slash. It is not
/// cleaned like a file path: what the user wrote is what the bucket holds.
fn folder(prefix: &str) -> String {
    if prefix.is_empty() {
        String::new()
    } else {
        format!("{prefix}/")
    }
}

/// One segment of a key from a name that others chose. Kubernetes names pass unchanged; anything that
/// could add a segment, climb, or be taken for a field separator becomes a dash.
fn segment(name: &str) -> String {
    cleaned(name, |one| matches!(one, '-' | '.'))
}

/// A service's segment. Its name may be a label, which may have underscores, and no field stands beside it. None of them
/// comes first: a name that begins with one is ours.
fn service_segment(name: &str) -> String {
    let mut clean = cleaned(name, |one| matches!(one, '-' | '.' | '_'));
    if clean.starts_with('_') {
        clean.replace_range(..1, "-");
    }
    clean
}

fn cleaned(name: &str, is_plain: impl Fn(char) -> bool) -> String {
    let letter = |one: char| {
        if one.is_ascii_alphanumeric() || is_plain(one) {
            one
        } else {
            '-'
        }
    };
    let clean: String = name.chars().map(letter).collect();
    if clean.is_empty() || clean.chars().all(|one| one == '.') {
        "unknown".into()
    } else {
        clean
    }
}

fn utc(at: Wall) -> jiff::civil::DateTime {
    // A wall time outside jiff's years -9999 to 9999 is a broken clock, not a moment to name.
    tz::Offset::UTC.to_datetime(Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn date(at: Wall) -> String {
    let day = utc(at);
    format!("{:04}-{:02}-{:02}", day.year(), day.month(), day.day())
}

fn time_of_day(at: Wall) -> String {
    let time = utc(at);
    format!("{:02}{:02}{:02}", time.hour(), time.minute(), time.second())
}

fn stamp(at: Wall) -> String {
    let day = utc(at);
    format!(
        "{:04}{:02}{:02}-{}",
        day.year(),
        day.month(),
        day.day(),
        time_of_day(at)
    )
}
