//! The constants of a chunk: strings, symbols, classes, methods, threads and stack traces.
//!
//! What is kept of each is where it lies; it is read when something refers to it. A method refers to a class, that to a symbol,
//! that to a string, and never back, so that no constant can lead its reader in a circle.

use std::borrow::Cow;
use std::cell::Cell;

use hashbrown::HashMap;

use super::CHECKPOINT;
use super::chunk::Chunk;
use super::cursor::Text;
use super::layout::{Layout, Value};
use crate::import::Fault;
use crate::limits::{LimitExceeded, Limits, at_most};

/// What is read of a chunk's constants, by the name of its class, with the fields that are wanted.
const POOLS: [(&[u8], &[&str]); POOLS_LEN] = [
    (b"java.lang.String", &[""]),
    (b"jdk.types.Symbol", &["string"]),
    (b"java.lang.Class", &["name"]),
    (b"jdk.types.Method", &["type", "name", "descriptor"]),
    (b"java.lang.Thread", &["javaName", "osName"]),
    (
        b"jdk.types.StackTrace",
        &["frames", "frames.method", "frames.lineNumber"],
    ),
];

const POOLS_LEN: usize = 6;
const STRINGS: usize = 0;
const SYMBOLS: usize = 1;
const CLASSES: usize = 2;
const METHODS: usize = 3;
const THREADS: usize = 4;
const TRACES: usize = 5;

/// Constants of one class.
#[derive(Debug, Default)]
struct Pool {
    layout: Option<Layout>,
    /// Where each lies, by its index.
    places: HashMap<i64, usize>,
}

/// The constants of a chunk.
pub(super) struct Constants<'a> {
    chunk: &'a Chunk<'a>,
    work: &'a Work,
    pools: [Pool; POOLS_LEN],
}

/// A method.
pub(super) struct Method<'a> {
    /// `java/util/ArrayList`; the library of a native function; empty where there is neither.
    pub(super) class: Cow<'a, [u8]>,
    pub(super) name: Cow<'a, [u8]>,
    /// `(I)V`.
    pub(super) descriptor: Cow<'a, [u8]>,
}

/// A frame of a stack trace.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TraceFrame {
    /// The index of its method.
    pub(super) method: i64,
    pub(super) line: i64,
}

impl<'a> Constants<'a> {
    /// Finds them all.
    pub(super) fn find(
        chunk: &'a Chunk<'a>,
        work: &'a Work,
        fields_left: &mut u64,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        let mut constants = Self {
            chunk,
            work,
            pools: std::array::from_fn(|_| Pool::default()),
        };
        // How constants of each class are passed over.
        let mut layouts: HashMap<i64, Layout> = HashMap::new();
        for event in chunk.events() {
            let (class, mut cursor) = event?;
            if class != CHECKPOINT {
                continue;
            }
            let (_start, _duration, _before) = (cursor.number(8)?, cursor.number(8)?, cursor.number(8)?);
            let _kind = cursor.byte()?;
            for _ in 0..cursor.count()? {
                let class = cursor.number(8)?;
                let count = cursor.count()?;
                if !layouts.contains_key(&class) {
                    let layout = Layout::of(class, &chunk.classes, &[], fields_left)?;
                    layouts.insert(class, layout);
                }
                let layout = layouts.get(&class).ok_or(NO_LAYOUT)?;
                let pool = constants.pool_of(class, fields_left)?;
                for _ in 0..count {
                    let index = cursor.number(8)?;
                    let place = cursor.at();
                    layout.read(&mut cursor, |_, _| Ok(()))?;
                    if let Some(pool) = pool.and_then(|pool| constants.pools.get_mut(pool)) {
                        at_most(pool.places.len() as u64 + 1, limits.samples_max, "constants of a class")?;
                        pool.places.insert(index, place);
                    }
                }
            }
        }
        Ok(constants)
    }

    /// Index of the pool for constants of a class, if they are wanted.
    fn pool_of(&mut self, class: i64, fields_left: &mut u64) -> Result<Option<usize>, Fault> {
        let classes = &self.chunk.classes;
        let name = classes.get(class).map(|class| class.name.as_ref());
        let Some(index) = POOLS.iter().position(|(of, _)| Some(*of) == name) else {
            return Ok(None);
        };
        if let Some((pool, (_, wanted))) = self.pools.get_mut(index).zip(POOLS.get(index))
            && pool.layout.is_none()
        {
            pool.layout = Some(Layout::of(class, classes, wanted, fields_left)?);
        }
        Ok(Some(index))
    }

    /// The name of a class.
    pub(super) fn class(&self, index: i64) -> Result<Cow<'a, [u8]>, Fault> {
        let mut symbol = 0;
        self.read(CLASSES, index, |_, value| {
            symbol = number(&value);
            Ok(())
        })?;
        self.symbol(symbol)
    }

    /// A method; `None` when it is not among the constants.
    pub(super) fn method(&self, index: i64) -> Result<Option<Method<'a>>, Fault> {
        let mut parts = [0; 3];
        let is_there = self.read(METHODS, index, |slot, value| {
            if let Some(part) = parts.get_mut(slot) {
                *part = number(&value);
            }
            Ok(())
        })?;
        let [class, name, descriptor] = parts;
        if !is_there {
            return Ok(None);
        }
        Ok(Some(Method {
            class: self.class(class)?,
            name: self.symbol(name)?,
            descriptor: self.symbol(descriptor)?,
        }))
    }

    /// The name of a thread: Java's, else the system's.
    pub(super) fn thread(&self, index: i64) -> Result<Cow<'a, [u8]>, Fault> {
        let mut names = [Cow::default(), Cow::default()];
        self.read(THREADS, index, |slot, value| {
            if let (Some(name), Value::Text(text)) = (names.get_mut(slot), value) {
                *name = self.text(text)?;
            }
            Ok(())
        })?;
        let [java, system] = names;
        Ok(if java.is_empty() { system } else { java })
    }

    /// The frames of a stack trace, leaf first, into `frames`, which may hold so many.
    pub(super) fn trace(&self, index: i64, frames: &mut Vec<TraceFrame>, frames_max: u64) -> Result<(), Fault> {
        frames.clear();
        self.read(TRACES, index, |slot, value| {
            match (slot, frames.last_mut()) {
                (0, _) => {
                    at_most(frames.len() as u64 + 1, frames_max, "frames in one stack")?;
                    frames.push(TraceFrame::default());
                }
                (1, Some(frame)) => frame.method = number(&value),
                (2, Some(frame)) => frame.line = number(&value),
                _ => {}
            }
            Ok(())
        })?;
        Ok(())
    }

    /// A text that may be a constant.
    pub(super) fn text(&self, text: Text<'a>) -> Result<Cow<'a, [u8]>, Fault> {
        let index = match text {
            Text::Here(text) => return Ok(text),
            Text::Constant(index) => index,
        };
        let mut here = Cow::default();
        self.read(STRINGS, index, |_, value| {
            if let Value::Text(Text::Here(text)) = value {
                here = text;
            }
            Ok(())
        })?;
        Ok(here)
    }

    fn symbol(&self, index: i64) -> Result<Cow<'a, [u8]>, Fault> {
        let mut text = Text::Here(Cow::default());
        self.read(SYMBOLS, index, |_, value| {
            if let Value::Text(found) = value {
                text = found;
            }
            Ok(())
        })?;
        self.text(text)
    }

    /// Reads a constant; says whether it is there.
    fn read(
        &self,
        pool: usize,
        index: i64,
        found: impl FnMut(usize, Value<'a>) -> Result<(), Fault>,
    ) -> Result<bool, Fault> {
        let place = self.pools.get(pool).and_then(|pool| {
            let place = pool.places.get(&index)?;
            Some((pool.layout.as_ref()?, *place))
        });
        let Some((layout, place)) = place else {
            return Ok(false);
        };
        let mut cursor = self.chunk.cursor(place);
        layout.read(&mut cursor, found)?;
        self.work.take((cursor.at() - place) as u64)?;
        Ok(true)
    }
}

/// What is still to be read of the constants of a recording, in bytes, and to be made of its stacks, in frames.
///
/// Constants are read when something refers to them, and few bytes may refer to a long one, or to a deep stack, very often.
pub(super) struct Work {
    left: Cell<u64>,
    limit: u64,
}

/// Bytes of work for each of a recording. 16: for a method of twenty bytes its class and three symbols are read, some 150.
const WORK_PER_BYTE: u64 = 16;

/// Work that is done for any recording: as much as takes a tenth of a second.
const WORK_MIN: u64 = 64 << 20;

impl Work {
    /// For a recording of so many bytes.
    pub(super) fn of(bytes: u64) -> Self {
        let limit = WORK_MIN.saturating_add(bytes.saturating_mul(WORK_PER_BYTE));
        Self {
            left: Cell::new(limit),
            limit,
        }
    }

    /// Takes some.
    pub(super) fn take(&self, work: u64) -> Result<(), LimitExceeded> {
        let left = self.left.get().checked_sub(work).ok_or(LimitExceeded {
            name: "bytes of constants and frames",
            limit: self.limit,
        })?;
        self.left.set(left);
        Ok(())
    }
}

const NO_LAYOUT: Fault = Fault::Bad("a class is used that is not described");

fn number(value: &Value<'_>) -> i64 {
    match value {
        Value::Number(number) => *number,
        Value::Text(_) | Value::Element => 0,
    }
}
