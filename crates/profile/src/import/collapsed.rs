//! Collapsed (folded) stacks: `root;caller;leaf 12`, one a line.
//!
//! The form has no standard. What its writers put into a frame is told apart by its looks:
//!
//! - py-spy: `burn (app.py:4)`, or a library in the parentheses;
//! - austin, whose files say so in a comment: `app.py:burn:4` below `P<process>` and `T<thread>`, which become labels, and
//!   instead of counts microseconds, bytes, or both;
//! - async-profiler and `stackcollapse-perf.pl`: a name, with `_[j]`, `_[i]`, `_[k]` and the like behind it where they were
//!   asked to say how the frame was compiled. That is no part of the name.

use super::{Fault, Format, Frame, ImportError, NO_STACK};
use crate::build::Builder;
use crate::limits::{Limits, at_most};
use crate::model::{Label, LabelValue, Profile, Sample};

/// Whether the beginning of a text, or all of it, is collapsed stacks: every whole line is one, and there is at least one
/// that no sentence looks like.
pub(super) fn is_collapsed(head: &[u8], is_whole: bool) -> bool {
    if !is_text(head) {
        return false;
    }
    let end = if is_whole {
        head.len()
    } else {
        head.iter().rposition(|byte| *byte == b'\n').unwrap_or(0)
    };
    let mut is_sure = false;
    for line in lines(head.get(..end).unwrap_or_default()) {
        let Some((stack, numbers)) = split(line) else {
            return false;
        };
        if !numbers
            .split(|byte| *byte == b',')
            .all(|number| number_of(number).is_some())
        {
            return false;
        }
        is_sure |= stack.contains(&b';') || stack.ends_with(b")");
    }
    is_sure
}

/// Whether nothing in it is what no line of a text has.
pub(super) fn is_text(head: &[u8]) -> bool {
    let is_printed = |byte: &u8| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r');
    head.iter().all(is_printed)
}

/// Reads them.
pub(super) fn import(bytes: &[u8], limits: &Limits) -> Result<Profile<'static>, ImportError> {
    let mut at = 0;
    let read = Austin::of(bytes);
    let imported = match read {
        Some(austin) => austin.import(bytes, limits, &mut at),
        None => import_counts(bytes, limits, &mut at),
    };
    let imported = imported.and_then(|builder| {
        if builder.sample_count() == 0 {
            Err(Fault::Bad("it holds no stacks"))
        } else {
            Ok(builder.finish())
        }
    });
    imported.map_err(|fault| Format::Collapsed.refuse(at, fault))
}

/// Files whose numbers count samples.
fn import_counts(bytes: &[u8], limits: &Limits, at: &mut u64) -> Result<Builder, Fault> {
    let mut builder = Builder::new(&[("samples", "count")], limits)?;
    let mut stack = Vec::new();
    let mut are_compared = true;
    for line in lines(bytes) {
        *at = offset(bytes, line);
        let (frames, number) = split(line).ok_or(NOT_A_STACK)?;
        let count = number_of(number).ok_or(NOT_A_STACK)?;
        are_compared &= split(frames).is_some_and(|(_, before)| number_of(before).is_some());
        stack.clear();
        for frame in frames.split(|byte| *byte == b';').rev() {
            at_most(
                stack.len() as u64 + 1,
                limits.locations_per_sample_max,
                "frames in one stack",
            )?;
            stack.push(named(frame).location(&mut builder)?);
        }
        let values = [count];
        builder.add_sample(Sample {
            stack: &stack,
            values: &values,
            labels: &[],
        })?;
    }
    // One that did not end so would be of a function whose name ends with a number.
    if are_compared && builder.sample_count() > 0 {
        *at = 0;
        return Err(Fault::Bad(
            "its lines have two numbers, so it is a comparison and no profile",
        ));
    }
    Ok(builder)
}

const NOT_A_STACK: Fault = Fault::Bad("a line is not a stack and a number");

/// The lines that hold something, without comments.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// Where in `bytes` a line of theirs begins.
fn offset(bytes: &[u8], line: &[u8]) -> u64 {
    (line.as_ptr().addr() - bytes.as_ptr().addr()) as u64
}

/// The stack of a line and what follows its last space. py-spy writes nothing before the space when it could not walk the
/// stack; such samples are of one frame that says so.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = line.iter().rposition(|byte| *byte == b' ')?;
    let (stack, number) = (line.get(..space)?.trim_ascii_end(), line.get(space + 1..)?);
    Some((if stack.is_empty() { NO_STACK } else { stack }, number))
}

fn number_of(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(bytes).ok().filter(|_| is_number)?.parse().ok()
}

/// A frame of py-spy, async-profiler or perf.
fn named(frame: &[u8]) -> Frame<'_> {
    let plain = Frame {
        name: without_mark(frame),
        ..Frame::default()
    };
    in_parentheses(frame).unwrap_or(plain)
}

/// `name (file:line)` or `name (file)`.
fn in_parentheses(frame: &[u8]) -> Option<Frame<'_>> {
    let inner = frame.strip_suffix(b")")?;
    let open = inner.windows(2).rposition(|pair| pair == b" (")?;
    let (name, place) = (inner.get(..open)?, inner.get(open + 2..)?);
    let (file, line) = match rsplit_colon(place) {
        Some((file, line)) if number_of(line).is_some() => (file, number_of(line)?),
        _ => (place, 0),
    };
    // "(anonymous namespace)" and the arguments of a C++ function are no files.
    let is_file = file.contains(&b'.') || line > 0;
    let is_plain = !file.iter().any(|byte| matches!(byte, b'(' | b')' | b','));
    (is_file && is_plain && !name.is_empty()).then_some(Frame {
        name,
        file,
        line,
        ..Frame::default()
    })
}

/// Without what async-profiler and stackcollapse-perf say of a frame's compilation: one letter or digit.
fn without_mark(frame: &[u8]) -> &[u8] {
    match frame {
        [name @ .., b'_', b'[', b'0' | b'1' | b'i' | b'j' | b'k' | b'p', b']'] if !name.is_empty() => name,
        _ => frame,
    }
}

fn rsplit_colon(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = text.iter().rposition(|byte| *byte == b':')?;
    Some((text.get(..colon)?, text.get(colon + 1..)?))
}

/// What the numbers of austin's lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Microseconds.
    Wall,
    /// Microseconds in which the thread was not idle.
    Cpu,
    /// Bytes that came to the process.
    Memory,
    /// Microseconds, whether the thread was idle, and bytes.
    Full,
}

/// What austin says in comments about its file.
#[derive(Debug, Clone, Copy)]
struct Austin {
    mode: Mode,
    interval_microseconds: i64,
    duration_microseconds: i64,
}

impl Austin {
    /// `None` when another tool wrote the file.
    fn of(bytes: &[u8]) -> Option<Self> {
        let comment = |line: &'_ [u8]| -> Option<(Vec<u8>, Vec<u8>)> {
            let (name, value) = line.strip_prefix(b"# ").and_then(|line| {
                let colon = line.iter().position(|byte| *byte == b':')?;
                Some((line.get(..colon)?, line.get(colon + 1..)?.trim_ascii()))
            })?;
            Some((name.to_vec(), value.to_vec()))
        };
        let (mut is_austin, mut mode, mut interval, mut duration) = (false, Mode::Wall, 0, 0);
        for (name, value) in bytes.split(|byte| *byte == b'\n').filter_map(comment) {
            match name.as_slice() {
                b"austin" => is_austin = true,
                b"mode" => {
                    mode = match value.as_slice() {
                        b"cpu" => Mode::Cpu,
                        b"memory" => Mode::Memory,
                        b"full" => Mode::Full,
                        _ => Mode::Wall,
                    };
                }
                b"interval" => interval = number_of(&value).unwrap_or(0),
                b"duration" => duration = number_of(&value).unwrap_or(0),
                _ => {}
            }
        }
        is_austin.then_some(Self {
            mode,
            interval_microseconds: interval,
            duration_microseconds: duration,
        })
    }

    fn import(&self, bytes: &[u8], limits: &Limits, at: &mut u64) -> Result<Builder, Fault> {
        const SAMPLES: (&str, &str) = ("samples", "count");
        const WALL: (&str, &str) = ("wall", "nanoseconds");
        const CPU: (&str, &str) = ("cpu", "nanoseconds");
        const MEMORY: (&str, &str) = ("memory", "bytes");
        let types: &[_] = match self.mode {
            Mode::Wall => &[SAMPLES, WALL],
            Mode::Cpu => &[SAMPLES, CPU],
            Mode::Memory => &[SAMPLES, MEMORY],
            Mode::Full => &[SAMPLES, MEMORY, WALL, CPU],
        };
        let mut builder = Builder::new(types, limits)?;
        let nanoseconds = |microseconds: i64| microseconds.saturating_mul(1000);
        if self.mode != Mode::Memory {
            let (kind, unit) = types.last().copied().unwrap_or(WALL);
            builder.set_period(kind, unit, nanoseconds(self.interval_microseconds))?;
        }
        builder.set_time(0, nanoseconds(self.duration_microseconds));
        let process_key = builder.string(b"process")?;
        let thread_key = builder.string(b"thread")?;
        let (mut stack, mut labels) = (Vec::new(), Vec::new());
        for line in lines(bytes) {
            *at = offset(bytes, line);
            let (frames, numbers) = split(line).ok_or(NOT_A_STACK)?;
            stack.clear();
            labels.clear();
            let mut parts = frames.split(|byte| *byte == b';').peekable();
            for (key, of) in [(process_key, process_of as Head), (thread_key, thread_of)] {
                if let Some(text) = parts.peek().and_then(|part| of(part)) {
                    let text = builder.string(text)?;
                    labels.push(Label {
                        key,
                        value: LabelValue::Text(text),
                    });
                    parts.next();
                }
            }
            for frame in parts {
                at_most(
                    stack.len() as u64 + 1,
                    limits.locations_per_sample_max,
                    "frames in one stack",
                )?;
                stack.push(of_austin(frame).location(&mut builder)?);
            }
            if stack.is_empty() {
                stack.push(of_austin(NO_STACK).location(&mut builder)?);
            }
            stack.reverse();
            let mut numbers = numbers.split(|byte| *byte == b',').map(number_of);
            let mut number = || numbers.next().flatten().ok_or(NOT_A_STACK);
            let first = number()?;
            let values = match self.mode {
                Mode::Wall | Mode::Cpu => vec![1, nanoseconds(first)],
                Mode::Memory => vec![1, first],
                Mode::Full => {
                    let (is_idle, bytes) = (number()? != 0, number()?);
                    let cpu = if is_idle { 0 } else { nanoseconds(first) };
                    vec![1, bytes, nanoseconds(first), cpu]
                }
            };
            builder.add_sample(Sample {
                stack: &stack,
                values: &values,
                labels: &labels,
            })?;
        }
        Ok(builder)
    }
}

/// What stands before the frames of a line, if it does.
type Head = fn(&[u8]) -> Option<&[u8]>;

/// `P12`.
fn process_of(part: &[u8]) -> Option<&[u8]> {
    part.strip_prefix(b"P")
        .filter(|process| is_all(process, u8::is_ascii_digit))
}

/// `T0:12`, interpreter and thread; `T12` of versions before 3. A frame whose file begins with the letter has two colons.
fn thread_of(part: &[u8]) -> Option<&[u8]> {
    let thread = part.strip_prefix(b"T")?;
    let (interpreter, id) = rsplit_colon(thread).unwrap_or((b"0", thread));
    (is_all(interpreter, u8::is_ascii_digit) && is_all(id, u8::is_ascii_hexdigit)).then_some(thread)
}

fn is_all(text: &[u8], is: fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.iter().all(is)
}

/// `file:function:line`.
fn of_austin(frame: &[u8]) -> Frame<'_> {
    let parts = || {
        let (rest, line) = rsplit_colon(frame)?;
        let (file, name) = rsplit_colon(rest)?;
        Some((file, name, number_of(line)?))
    };
    match parts() {
        Some((file, name, line)) if !name.is_empty() => Frame {
            name,
            file,
            line,
            ..Frame::default()
        },
        _ => Frame {
            name: frame,
            ..Frame::default()
        },
    }
}
