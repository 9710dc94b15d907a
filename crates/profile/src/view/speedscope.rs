//! Profiles in the format of [speedscope](https://www.speedscope.app), a viewer that runs in the browser.

use std::borrow::Cow;

use hashbrown::HashMap;

use super::stacks::Stacks;
use super::{ViewError, json};
use crate::limits::{LimitExceeded, at_most};

/// Bytes of a file. 512 MiB: no browser reads a longer one, because V8 holds no longer string.
const BYTES_MAX: u64 = 512 << 20;

/// Bytes of a frame in a stack: a number of 32 bits and a comma.
const FRAME_BYTES: u64 = 11;

/// Bytes of a letter in a name, as an escape.
const LETTER_BYTES: u64 = 6;

/// A file for speedscope in the making: the stacks of each sample type are a profile in it.
///
/// Frames are shared between them, each name once. The same stack is there once in each, where it came first.
#[derive(Debug, Default)]
pub struct Speedscope<'p> {
    by_name: HashMap<Cow<'p, str>, u32>,
    /// The frames as text, and the profiles.
    frames: Vec<u8>,
    profiles: Vec<u8>,
}

impl<'p> Speedscope<'p> {
    /// One more profile. Its stacks are not kept: those of several sample types need not be there at once.
    ///
    /// # Errors
    /// When a value is negative, or they add up to more than 63 bits, for speedscope draws areas; or when the file would
    /// be too large.
    pub fn add(&mut self, name: &str, unit: &str, stacks: &Stacks<'p>) -> Result<(), ViewError> {
        let (merged, total) = merged(stacks)?;
        if !self.profiles.is_empty() {
            self.profiles.push(b',');
        }
        self.profiles.extend_from_slice(b"{\"type\":\"sampled\",\"name\":");
        self.has_room(name.len() as u64 * LETTER_BYTES)?;
        json::string(name, &mut self.profiles);
        self.profiles.extend_from_slice(b",\"unit\":");
        json::string(unit_of(unit), &mut self.profiles);
        self.profiles.extend_from_slice(b",\"startValue\":0,\"endValue\":");
        json::number(total, &mut self.profiles);
        self.profiles.extend_from_slice(b",\"samples\":[");
        let mut frame_of = vec![None; stacks.names.len()];
        for (index, (stack, _)) in merged.iter().enumerate() {
            self.has_room((stack.len() as u64 + 1) * FRAME_BYTES)?;
            self.profiles.extend_from_slice(if index > 0 { b",[" } else { b"[" });
            for (depth, name) in stack.iter().enumerate() {
                if depth > 0 {
                    self.profiles.push(b',');
                }
                let Some(known) = frame_of.get_mut(*name as usize) else {
                    continue;
                };
                let frame = match *known {
                    Some(frame) => frame,
                    None => *known.insert(self.frame(stacks.names.get(*name as usize).cloned().unwrap_or_default())?),
                };
                json::number(frame.into(), &mut self.profiles);
            }
            self.profiles.push(b']');
        }
        self.profiles.extend_from_slice(b"],\"weights\":[");
        self.has_room(merged.len() as u64 * 2 * FRAME_BYTES)?;
        for (index, (_, value)) in merged.iter().enumerate() {
            if index > 0 {
                self.profiles.push(b',');
            }
            json::number(*value, &mut self.profiles);
        }
        self.profiles.extend_from_slice(b"]}");
        Ok(())
    }

    /// The file, which is called `name`. Of its profiles the one at `active` is shown first.
    pub fn finish(self, name: &str, active: usize) -> String {
        let mut out = b"{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"name\":".to_vec();
        json::string(name, &mut out);
        out.extend_from_slice(b",\"exporter\":");
        json::string(concat!("kubectl-profile ", env!("CARGO_PKG_VERSION")), &mut out);
        out.extend_from_slice(b",\"activeProfileIndex\":");
        json::number(active as i64, &mut out);
        out.extend_from_slice(b",\"shared\":{\"frames\":[");
        out.extend_from_slice(&self.frames);
        out.extend_from_slice(b"]},\"profiles\":[");
        out.extend_from_slice(&self.profiles);
        out.extend_from_slice(b"]}\n");
        // Made of texts and digits.
        String::from_utf8(out).unwrap_or_default()
    }

    /// The index of the frame with this name.
    fn frame(&mut self, name: Cow<'p, str>) -> Result<u32, LimitExceeded> {
        if let Some(known) = self.by_name.get(&name) {
            return Ok(*known);
        }
        self.has_room(name.len() as u64 * LETTER_BYTES)?;
        if !self.by_name.is_empty() {
            self.frames.push(b',');
        }
        self.frames.extend_from_slice(b"{\"name\":");
        json::string(&name, &mut self.frames);
        self.frames.push(b'}');
        // No more names than nodes, which are below 2^32.
        let index = self.by_name.len() as u32;
        self.by_name.insert(name, index);
        Ok(index)
    }

    /// Whether the file may have so much more.
    fn has_room(&self, bytes: u64) -> Result<(), LimitExceeded> {
        let all = (self.frames.len() + self.profiles.len()) as u64;
        at_most(all.saturating_add(bytes), BYTES_MAX, "bytes for speedscope")
    }
}

/// Each stack once, with the sum of its values, and the sum of all.
type Merged<'s> = (Vec<(&'s [u32], i64)>, i64);

fn merged<'s>(stacks: &'s Stacks<'_>) -> Result<Merged<'s>, ViewError> {
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
    Ok((merged, total))
}

/// The unit as the format calls it; it knows bytes and times.
fn unit_of(unit: &str) -> &'static str {
    match unit.to_lowercase().as_str() {
        "b" | "byte" | "bytes" => "bytes",
        "ns" | "nanosecond" | "nanoseconds" => "nanoseconds",
        "us" | "μs" | "microsecond" | "microseconds" => "microseconds",
        "ms" | "millisecond" | "milliseconds" => "milliseconds",
        "s" | "sec" | "second" | "seconds" => "seconds",
        _ => "none",
    }
}
