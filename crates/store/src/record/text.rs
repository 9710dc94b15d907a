//! How ids, moments and reasons are written in records and metadata.

use jiff::Timestamp;
use planner::Wall;

/// RFC 3339 in UTC.
pub(crate) fn date_time(at: Wall) -> String {
    // A wall time outside jiff's years -9999 to 9999 is a broken clock, not a moment to write down.
    Timestamp::from_millisecond(at.0)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

fn parse_date_time(text: &str) -> Option<Wall> {
    Some(Wall(text.parse::<Timestamp>().ok()?.as_millisecond()))
}

/// The form in which the API server writes a UID.
pub(crate) fn uuid(id: u128) -> String {
    let digits = format!("{id:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..]
    )
}

fn parse_uuid(text: &str) -> Option<u128> {
    let digits: String = text.chars().filter(|one| *one != '-').collect();
    (digits.len() == 32).then_some(())?;
    u128::from_str_radix(&digits, 16).ok()
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// A number below 16 as a digit.
pub(crate) fn digit(number: u8) -> char {
    char::from_digit(number.into(), 16).unwrap_or('0')
}

/// A SHA-256 from its hex.
pub(crate) fn parse_hex32(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

macro_rules! as_text {
    ($($module:ident $of:ty, $write:expr, $read:expr;)*) => {$(
        pub(super) mod $module {
            use serde::{Deserialize, Deserializer, Serializer, de::Error};

            pub(in crate::record) fn serialize<S: Serializer>(value: &$of, out: S) -> Result<S::Ok, S::Error> {
                let write: fn(&$of) -> String = $write;
                out.serialize_str(&write(value))
            }

            pub(in crate::record) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<$of, D::Error> {
                let read: fn(&str) -> Option<$of> = $read;
                let text = String::deserialize(from)?;
                read(&text).ok_or_else(|| D::Error::custom(concat!("not a ", stringify!($module))))
            }
        }
    )*};
}
as_text! {
    capture_id planner::CaptureId, ToString::to_string, |text| {
        (text.len() == 16).then_some(())?;
        u64::from_str_radix(text, 16).ok().map(planner::CaptureId)
    };
    config_id planner::ConfigId, |id| super::uuid(id.0), |text| super::parse_uuid(text).map(planner::ConfigId);
    target_id planner::TargetId, |id| super::uuid(id.0), |text| super::parse_uuid(text).map(planner::TargetId);
    reason planner::Reason, |reason| reason.as_kebab(), planner::Reason::parse_kebab;
    wall planner::Wall, |at| super::date_time(*at), super::parse_date_time;
}

pub(super) mod wall_option {
    use super::{Wall, date_time, parse_date_time};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::record) fn serialize<S: Serializer>(value: &Option<Wall>, out: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(at) => out.serialize_str(&date_time(*at)),
            None => out.serialize_none(),
        }
    }

    pub(in crate::record) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<Wall>, D::Error> {
        Ok(Option::<String>::deserialize(from)?
            .as_deref()
            .and_then(parse_date_time))
    }
}
