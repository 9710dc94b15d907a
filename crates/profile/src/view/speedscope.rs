//! Profiles in the format of [speedscope](https://www.speedscope.app), a viewer that runs in the browser.

use hashbrown::HashMap;

use super::stacks::Stacks;
use super::{ViewError, json};

/// What speedscope shows as one profile: the stacks of a sample type.
#[derive(Debug)]
pub struct Sheet<'s, 'p> {
    /// What the viewer calls it.
    pub name: &'s str,
    /// The unit of the sample type.
    pub unit: &'s str,
    /// Its stacks.
    pub stacks: &'s Stacks<'p>,
}

/// A file for speedscope: `sheets` are its profiles, and the one at `active` is shown first.
///
/// Frames are shared between them, each name once. The same stack is there once in each, where it came first.
///
/// # Errors
/// When a value is negative, or they add up to more than 63 bits: speedscope draws areas.
pub fn speedscope(name: &str, sheets: &[Sheet<'_, '_>], active: usize) -> Result<String, ViewError> {
    let mut frames = Frames::default();
    let mut profiles = Vec::new();
    for sheet in sheets {
        if !profiles.is_empty() {
            profiles.push(b',');
        }
        write(sheet, &mut frames, &mut profiles)?;
    }
    let mut out = b"{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"name\":".to_vec();
    json::string(name, &mut out);
    out.extend_from_slice(b",\"exporter\":");
    json::string(concat!("kubectl-profile ", env!("CARGO_PKG_VERSION")), &mut out);
    out.extend_from_slice(b",\"activeProfileIndex\":");
    json::number(active as i64, &mut out);
    out.extend_from_slice(b",\"shared\":{\"frames\":[");
    out.extend_from_slice(&frames.listed);
    out.extend_from_slice(b"]},\"profiles\":[");
    out.extend_from_slice(&profiles);
    out.extend_from_slice(b"]}\n");
    // Made of texts and digits.
    Ok(String::from_utf8(out).unwrap_or_default())
}

/// The frames of all sheets.
#[derive(Default)]
struct Frames<'s> {
    by_name: HashMap<&'s str, u32>,
    listed: Vec<u8>,
}

impl<'s> Frames<'s> {
    fn index(&mut self, name: &'s str) -> u32 {
        // No more names than nodes, which are below 2^32.
        let next = self.by_name.len() as u32;
        let index = *self.by_name.entry(name).or_insert(next);
        if index == next {
            if next > 0 {
                self.listed.push(b',');
            }
            self.listed.extend_from_slice(b"{\"name\":");
            json::string(name, &mut self.listed);
            self.listed.push(b'}');
        }
        index
    }
}

fn write<'s>(sheet: &Sheet<'s, '_>, frames: &mut Frames<'s>, out: &mut Vec<u8>) -> Result<(), ViewError> {
    let stacks = sheet.stacks;
    let mut frame_of = vec![None; stacks.names.len()];
    let mut sums: HashMap<&[u32], usize> = HashMap::new();
    let mut merged: Vec<(&[u32], i64)> = Vec::new();
    let mut total = 0_i64;
    for span in &stacks.spans {
        if span.value < 0 {
            return Err(ViewError::Negative);
        }
        total = total.checked_add(span.value).ok_or(ViewError::Overflow)?;
        let stack = stacks.stack(span);
        let index = *sums.entry(stack).or_insert(merged.len());
        match merged.get_mut(index) {
            Some((_, sum)) => *sum += span.value,
            None => merged.push((stack, span.value)),
        }
    }
    out.extend_from_slice(b"{\"type\":\"sampled\",\"name\":");
    json::string(sheet.name, out);
    out.extend_from_slice(b",\"unit\":");
    json::string(unit(sheet.unit), out);
    out.extend_from_slice(b",\"startValue\":0,\"endValue\":");
    json::number(total, out);
    out.extend_from_slice(b",\"samples\":[");
    for (index, (stack, _)) in merged.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",[" } else { b"[" });
        for (depth, name) in stack.iter().enumerate() {
            if depth > 0 {
                out.push(b',');
            }
            let Some(known) = frame_of.get_mut(*name as usize) else {
                continue;
            };
            let frame = *known.get_or_insert_with(|| {
                frames.index(stacks.names.get(*name as usize).map(|name| &**name).unwrap_or_default())
            });
            json::number(frame.into(), out);
        }
        out.push(b']');
    }
    out.extend_from_slice(b"],\"weights\":[");
    for (index, (_, value)) in merged.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::number(*value, out);
    }
    out.extend_from_slice(b"]}");
    Ok(())
}

/// The unit as the format calls it; it knows bytes and times.
fn unit(unit: &str) -> &'static str {
    match unit.to_lowercase().as_str() {
        "b" | "byte" | "bytes" => "bytes",
        "ns" | "nanosecond" | "nanoseconds" => "nanoseconds",
        "us" | "μs" | "microsecond" | "microseconds" => "microseconds",
        "ms" | "millisecond" | "milliseconds" => "milliseconds",
        "s" | "sec" | "second" | "seconds" => "seconds",
        _ => "none",
    }
}
