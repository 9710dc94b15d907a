//! Events to samples.

use std::borrow::Cow;

use hashbrown::HashMap;

use super::chunk::Chunk;
use super::constants::{Constants, TraceFrame, Work};
use super::layout::{Layout, Value};
use crate::build::Builder;
use crate::import::{Fault, Frame, NO_STACK, location};
use crate::limits::{Limits, at_most};
use crate::model::{Label, LabelValue, Sample, StringId};

/// What an event tells of. The numbers are places in [`TYPES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// CPU time by the clock of each thread. Each sample says what it stands for.
    CpuTime = 0,
    /// Threads that were seen running. Of the same time, so the other is preferred.
    Cpu = 1,
    Wall = 2,
    /// Allocations, sampled at a rate.
    Alloc = 3,
    /// Allocations, seen when a thread takes another buffer. The same ones, so the others are preferred.
    AllocBuffer = 4,
    Live = 5,
    Lock = 6,
}

impl Kind {
    /// The one that tells of the same, and better.
    fn preferred(self) -> Option<Self> {
        match self {
            Self::Cpu => Some(Self::CpuTime),
            Self::AllocBuffer => Some(Self::Alloc),
            Self::CpuTime | Self::Wall | Self::Alloc | Self::Live | Self::Lock => None,
        }
    }
}

const KINDS: [Kind; 7] = [
    Kind::CpuTime,
    Kind::Cpu,
    Kind::Wall,
    Kind::Alloc,
    Kind::AllocBuffer,
    Kind::Live,
    Kind::Lock,
];

/// The two sample types of each kind: how often, and how much.
const TYPES: [[(&str, &str); 2]; KINDS.len()] = [
    [("samples", "count"), ("cpu", "nanoseconds")],
    [("samples", "count"), ("cpu", "nanoseconds")],
    [("wall_samples", "count"), ("wall", "nanoseconds")],
    [("alloc_samples", "count"), ("alloc_space", "bytes")],
    [("alloc_samples", "count"), ("alloc_space", "bytes")],
    [("inuse_samples", "count"), ("inuse_space", "bytes")],
    [("contentions", "count"), ("delay", "nanoseconds")],
];

/// An event that becomes samples.
struct Event {
    name: &'static [u8],
    kind: Kind,
    /// Its fields for stack, thread, class, how often (else once) and how much; empty for those that it has not.
    fields: [&'static str; 5],
}

const STACK: usize = 0;
const THREAD: usize = 1;
const CLASS: usize = 2;
const COUNT: usize = 3;
const AMOUNT: usize = 4;

const EVENTS: [Event; 9] = [
    Event {
        name: b"jdk.CPUTimeSample",
        kind: Kind::CpuTime,
        fields: ["stackTrace", "eventThread", "", "", "samplingPeriod"],
    },
    Event {
        name: b"jdk.ExecutionSample",
        kind: Kind::Cpu,
        fields: ["stackTrace", "sampledThread", "", "", ""],
    },
    Event {
        name: b"profiler.WallClockSample",
        kind: Kind::Wall,
        fields: ["stackTrace", "sampledThread", "", "samples", ""],
    },
    Event {
        name: b"jdk.ObjectAllocationSample",
        kind: Kind::Alloc,
        fields: ["stackTrace", "eventThread", "objectClass", "", "weight"],
    },
    // It stands for all that was allocated in the buffer.
    Event {
        name: b"jdk.ObjectAllocationInNewTLAB",
        kind: Kind::AllocBuffer,
        fields: ["stackTrace", "eventThread", "objectClass", "", "tlabSize"],
    },
    Event {
        name: b"jdk.ObjectAllocationOutsideTLAB",
        kind: Kind::AllocBuffer,
        fields: ["stackTrace", "eventThread", "objectClass", "", "allocationSize"],
    },
    Event {
        name: b"profiler.LiveObject",
        kind: Kind::Live,
        fields: ["stackTrace", "eventThread", "objectClass", "", "allocationSize"],
    },
    Event {
        name: b"jdk.JavaMonitorEnter",
        kind: Kind::Lock,
        fields: ["stackTrace", "eventThread", "monitorClass", "", "duration"],
    },
    Event {
        name: b"jdk.ThreadPark",
        kind: Kind::Lock,
        fields: ["stackTrace", "eventThread", "parkedClass", "", "duration"],
    },
];

/// The event of a setting, which is about the event with an id.
const SETTING: &[u8] = b"jdk.ActiveSetting";
const SETTING_FIELDS: [&str; 3] = ["id", "name", "value"];

/// Between two samples when the recording does not say: 10 ms and 50 ms are async-profiler's own, and the JVM always says.
const CPU_PERIOD_NANOS: i64 = 10_000_000;
const WALL_PERIOD_NANOS: i64 = 50_000_000;

/// The kinds that a recording holds.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    has: [bool; KINDS.len()],
}

impl Kinds {
    /// Looks for them in a chunk.
    pub(super) fn look(&mut self, chunk: &Chunk<'_>) -> Result<(), Fault> {
        let mut kinds = HashMap::new();
        for (id, class) in chunk.classes.iter() {
            if let Some(event) = EVENTS.iter().find(|event| event.name == class.name.as_ref()) {
                kinds.insert(id, event.kind);
            }
        }
        for event in chunk.events() {
            let (class, _) = event?;
            if let Some(has) = kinds.get(&class).and_then(|kind| self.has.get_mut(*kind as usize)) {
                *has = true;
            }
        }
        Ok(())
    }

    fn shown(&self) -> impl Iterator<Item = Kind> {
        KINDS
            .into_iter()
            .filter(|kind| self.has(*kind) && !kind.preferred().is_some_and(|other| self.has(other)))
    }

    fn has(&self, kind: Kind) -> bool {
        self.has.get(kind as usize) == Some(&true)
    }

    /// The sample types of a profile of them.
    pub(super) fn sample_types(&self) -> Vec<(&'static str, &'static str)> {
        self.shown()
            .filter_map(|kind| TYPES.get(kind as usize))
            .flatten()
            .copied()
            .collect()
    }

    /// The kind of the one to show first; `None` when there are none.
    pub(super) fn default_sample_type(&self) -> Option<&'static str> {
        let first = self.shown().next()?;
        TYPES.get(first as usize).map(|[_, (amount, _)]| *amount)
    }
}

/// What is added up within a chunk. Constants are told by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    stack: i64,
    thread: i64,
    class: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    count: i64,
    amount: i64,
}

impl Sum {
    fn add(&mut self, count: i64, amount: i64) {
        self.count = self.count.saturating_add(count);
        self.amount = self.amount.saturating_add(amount);
    }
}

/// Makes samples of the events of one chunk after the other.
pub(super) struct Samples<'k> {
    /// Kinds in the order of their columns.
    shown: Vec<Kind>,
    kinds: &'k Kinds,
    limits: Limits,
    cpu_period_nanos: i64,
    wall_period_nanos: i64,
    /// All samples of CPU time: the period changes as the recording goes on.
    cpu_time: Sum,
}

impl<'k> Samples<'k> {
    pub(super) fn new(kinds: &'k Kinds, limits: &Limits) -> Self {
        Self {
            shown: kinds.shown().collect(),
            kinds,
            limits: *limits,
            cpu_period_nanos: CPU_PERIOD_NANOS,
            wall_period_nanos: WALL_PERIOD_NANOS,
            cpu_time: Sum::default(),
        }
    }

    /// What lies between two samples of the first kind.
    pub(super) fn set_period(&self, builder: &mut Builder) -> Result<(), Fault> {
        match self.shown.first() {
            Some(Kind::CpuTime) => {
                let mean = self.cpu_time.amount.checked_div(self.cpu_time.count).unwrap_or(0);
                builder.set_period("cpu", "nanoseconds", mean)?;
            }
            Some(Kind::Cpu) => builder.set_period("cpu", "nanoseconds", self.cpu_period_nanos)?,
            Some(Kind::Wall) => builder.set_period("wall", "nanoseconds", self.wall_period_nanos)?,
            Some(Kind::Alloc | Kind::AllocBuffer | Kind::Live) => builder.set_period("space", "bytes", 0)?,
            Some(Kind::Lock) => builder.set_period("contentions", "count", 1)?,
            None => {}
        }
        Ok(())
    }

    /// Adds the events of a chunk.
    pub(super) fn add(
        &mut self,
        chunk: &Chunk<'_>,
        work: &Work,
        builder: &mut Builder,
        fields_left: &mut u64,
    ) -> Result<(), Fault> {
        let constants = Constants::find(chunk, work, fields_left, &self.limits)?;
        let sums = self.sum_up(chunk, &constants, fields_left)?;
        let mut names = Names {
            constants: &constants,
            frames_max: self.limits.locations_per_sample_max,
            functions: HashMap::new(),
            texts: HashMap::new(),
            stacks: HashMap::new(),
            arena: Vec::new(),
            frames: Vec::new(),
        };
        let (thread_key, class_key) = (builder.string(b"thread")?, builder.string(b"class")?);
        let mut labels = Vec::new();
        for (key, sum) in sums {
            let Some(column) = self.shown.iter().position(|kind| *kind == key.kind) else {
                continue;
            };
            let amount = match key.kind {
                Kind::Cpu => sum.count.saturating_mul(self.cpu_period_nanos),
                Kind::Wall => sum.count.saturating_mul(self.wall_period_nanos),
                Kind::CpuTime | Kind::Lock => nanos(sum.amount, chunk.ticks_per_second),
                Kind::Alloc | Kind::AllocBuffer | Kind::Live => sum.amount,
            };
            if key.kind == Kind::CpuTime {
                self.cpu_time.add(sum.count, amount);
            }
            let mut values = vec![0; 2 * self.shown.len()];
            for (value, of) in values.iter_mut().skip(2 * column).zip([sum.count, amount]) {
                *value = of;
            }
            labels.clear();
            for (name, id, key) in [
                (Name::Thread, key.thread, thread_key),
                (Name::Class, key.class, class_key),
            ] {
                let text = names.text(name, id, builder)?;
                if text != StringId::EMPTY {
                    labels.push(Label {
                        key,
                        value: LabelValue::Text(text),
                    });
                }
            }
            let stack = names.stack(key.stack, builder)?;
            // Threads that are not there leave samples the same: they are one in the end, and the profile bounds nothing.
            work.take(stack.len() as u64)?;
            builder.add_sample(Sample {
                stack,
                values: &values,
                labels: &labels,
            })?;
        }
        Ok(())
    }

    /// Adds up the events of a chunk, in the order in which their like were first seen, and takes note of the settings.
    fn sum_up(
        &mut self,
        chunk: &Chunk<'_>,
        constants: &Constants<'_>,
        fields_left: &mut u64,
    ) -> Result<Vec<(Key, Sum)>, Fault> {
        let mut events = HashMap::new();
        let mut setting = None;
        // Which settings are about execution samples.
        let mut cpu_id = None;
        for (id, class) in chunk.classes.iter() {
            let name = class.name.as_ref();
            if let Some(event) = EVENTS.iter().find(|event| event.name == name) {
                let layout = Layout::of(id, &chunk.classes, &event.fields, fields_left)?;
                events.insert(id, (event.kind, layout));
                if event.kind == Kind::Cpu {
                    cpu_id = Some(id);
                }
            } else if name == SETTING {
                setting = Some((id, Layout::of(id, &chunk.classes, &SETTING_FIELDS, fields_left)?));
            }
        }
        let mut sums: Vec<(Key, Sum)> = Vec::new();
        let mut by_key: HashMap<Key, usize> = HashMap::new();
        for event in chunk.events() {
            let (class, mut cursor) = event?;
            if let Some((_, layout)) = setting.as_ref().filter(|(id, _)| *id == class) {
                self.read_setting(layout, &mut cursor, constants, cpu_id)?;
                continue;
            }
            let Some((kind, layout)) = events.get(&class) else {
                continue;
            };
            let mut found = [0, 0, 0, 1, 0];
            layout.read(&mut cursor, |slot, value| {
                if let (Some(field), Value::Number(number)) = (found.get_mut(slot), value) {
                    *field = number;
                }
                Ok(())
            })?;
            let key = Key {
                kind: *kind,
                stack: found[STACK],
                thread: found[THREAD],
                class: found[CLASS],
            };
            let next = sums.len();
            let index = *by_key.entry(key).or_insert(next);
            if index == next {
                at_most(next as u64 + 1, self.limits.samples_max, "samples")?;
                sums.push((key, Sum::default()));
            }
            if let Some((_, sum)) = sums.get_mut(index) {
                sum.add(found[COUNT], found[AMOUNT]);
            }
        }
        Ok(sums)
    }

    fn read_setting<'a>(
        &mut self,
        layout: &Layout,
        cursor: &mut super::cursor::Cursor<'a>,
        constants: &Constants<'a>,
        cpu_id: Option<i64>,
    ) -> Result<(), Fault> {
        let (mut id, mut name, mut setting) = (0, Cow::default(), Cow::default());
        layout.read(cursor, |slot, value| {
            match (slot, value) {
                (0, Value::Number(number)) => id = number,
                (1, Value::Text(text)) => name = constants.text(text)?,
                (2, Value::Text(text)) => setting = constants.text(text)?,
                _ => {}
            }
            Ok(())
        })?;
        let nanos = std::str::from_utf8(&setting)
            .ok()
            .and_then(span_nanos)
            .filter(|nanos| *nanos > 0);
        match (name.as_ref(), nanos) {
            (b"period" | b"interval", Some(nanos)) if Some(id) == cpu_id => {
                self.cpu_period_nanos = nanos;
                // With the event "wall" alone, the interval is that of its samples.
                if !self.kinds.has(Kind::Cpu) {
                    self.wall_period_nanos = nanos;
                }
            }
            (b"wall", Some(nanos)) => self.wall_period_nanos = nanos,
            _ => {}
        }
        Ok(())
    }
}

/// "20 ms" as the JVM writes it, or async-profiler's bare nanoseconds.
fn span_nanos(text: &str) -> Option<i64> {
    let (number, unit) = text.split_once(' ').unwrap_or((text, "ns"));
    let unit_nanos = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit_nanos)
}

/// Ticks of the recording's clock as nanoseconds.
fn nanos(ticks: i64, ticks_per_second: i64) -> i64 {
    let nanos = i128::from(ticks) * 1_000_000_000 / i128::from(ticks_per_second.max(1));
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

/// What a label names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    Thread,
    Class,
}

/// The constants of a chunk, as far as they are part of the profile by now.
struct Names<'c, 'a> {
    constants: &'c Constants<'a>,
    frames_max: u64,
    /// Functions by the index of their method.
    functions: HashMap<i64, u32>,
    texts: HashMap<(Name, i64), StringId>,
    /// Where stacks are in the arena.
    stacks: HashMap<i64, (usize, usize)>,
    arena: Vec<u32>,
    frames: Vec<TraceFrame>,
}

impl Names<'_, '_> {
    /// The locations of a stack trace, leaf first.
    fn stack(&mut self, trace: i64, builder: &mut Builder) -> Result<&[u32], Fault> {
        let (begin, end) = match self.stacks.get(&trace) {
            Some(known) => *known,
            None => {
                let begin = self.arena.len();
                let mut frames = std::mem::take(&mut self.frames);
                self.constants.trace(trace, &mut frames, self.frames_max)?;
                for frame in &frames {
                    let function = self.function(frame.method, builder)?;
                    self.arena.push(location(function, frame.line.max(0), builder)?);
                }
                if frames.is_empty() {
                    let unknown = Frame {
                        name: NO_STACK,
                        ..Frame::default()
                    };
                    self.arena.push(unknown.location(builder)?);
                }
                self.frames = frames;
                let place = (begin, self.arena.len());
                self.stacks.insert(trace, place);
                place
            }
        };
        Ok(self.arena.get(begin..end).unwrap_or_default())
    }

    fn function(&mut self, method: i64, builder: &mut Builder) -> Result<u32, Fault> {
        if let Some(known) = self.functions.get(&method) {
            return Ok(*known);
        }
        let Some(found) = self.constants.method(method)? else {
            let unknown = Frame {
                name: b"[unknown method]",
                ..Frame::default()
            };
            // Not kept: frames may name more methods that are not there than there are constants.
            return Ok(unknown.function(builder)?);
        };
        let mut name = found.class.to_vec();
        name.iter_mut()
            .filter(|byte| **byte == b'/')
            .for_each(|byte| *byte = b'.');
        if !name.is_empty() && !found.name.is_empty() {
            name.push(b'.');
        }
        name.extend_from_slice(&found.name);
        let frame = Frame {
            name: &name,
            system_name: &[&name, found.descriptor.as_ref()].concat(),
            ..Frame::default()
        };
        let function = frame.function(builder)?;
        self.functions.insert(method, function);
        Ok(function)
    }

    /// The name of a thread or class; empty when it is not known.
    fn text(&mut self, name: Name, index: i64, builder: &mut Builder) -> Result<StringId, Fault> {
        if let Some(known) = self.texts.get(&(name, index)) {
            return Ok(*known);
        }
        let text = match name {
            Name::Thread => self.constants.thread(index)?.into_owned(),
            Name::Class => readable(&self.constants.class(index)?),
        };
        let text = builder.string(&text)?;
        self.texts.insert((name, index), text);
        Ok(text)
    }
}

/// A class as a programmer writes it: `[Ljava/lang/String;` is `java.lang.String[]`.
fn readable(name: &[u8]) -> Vec<u8> {
    let element = name.trim_ascii_start();
    let dimensions = element.iter().take_while(|byte| **byte == b'[').count();
    let element = element.get(dimensions..).unwrap_or_default();
    let of_array: &[u8] = match element {
        [b'L', name @ .., b';'] => name,
        b"Z" => b"boolean",
        b"B" => b"byte",
        b"C" => b"char",
        b"S" => b"short",
        b"I" => b"int",
        b"J" => b"long",
        b"F" => b"float",
        b"D" => b"double",
        other => other,
    };
    let element = if dimensions == 0 { element } else { of_array };
    let mut readable: Vec<u8> = element
        .iter()
        .map(|byte| if *byte == b'/' { b'.' } else { *byte })
        .collect();
    readable.extend_from_slice(&b"[]".repeat(dimensions.min(DIMENSIONS_MAX)));
    readable
}

/// Dimensions of an array: Java's own limit.
const DIMENSIONS_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_as_programmers_write_them() {
        for (name, text) in [
            ("java/lang/String", "java.lang.String"),
            ("[Ljava/lang/String;", "java.lang.String[]"),
            ("[[B", "byte[][]"),
            ("I", "I"),
            ("", ""),
            ("[", "[]"),
        ] {
            assert_eq!(readable(name.as_bytes()), text.as_bytes());
        }
    }

    #[test]
    fn spans_of_both_writers_are_read() {
        for (text, nanos) in [
            ("20 ms", Some(20_000_000)),
            ("10000000", Some(10_000_000)),
            ("1 s", Some(1_000_000_000)),
        ] {
            assert_eq!(span_nanos(text), nanos);
        }
        for text in ["everyChunk", "1 day", "", "9223372036854775807 s"] {
            assert_eq!(span_nanos(text), None);
        }
        assert_eq!(nanos(3, 3_000_000_000), 1);
        assert_eq!(nanos(i64::MAX, 0), i64::MAX);
    }
}
