//! What can be asked of a target. A closed set: a word that is not in it never reaches a path.

use alloc::vec::Vec;

/// A type of profile, by the word users write in `spec.profileTypes` and read in keys.
///
/// The runtime's driver (in `capture`) says how each is obtained from a Go, Java or other program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProfileType {
    /// Live heap.
    Heap,
    /// All allocations since the start.
    Allocs,
    /// Stacks of all goroutines.
    Goroutine,
    /// Contended mutexes.
    Mutex,
    /// Blocking on synchronisation.
    Block,
    /// Stacks that created threads.
    Threadcreate,
    /// Goroutines that can never run again (newer Go programs only).
    Goroutineleak,
    /// Where CPU time goes, over a window.
    Cpu,
    /// An execution trace, over a window.
    Trace,
}

/// The format of the bytes that a type yields, which is the extension of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Gzip-compressed `profile.proto`.
    Pprof,
    /// A Go execution trace.
    GoTrace,
}

impl Format {
    /// The extension of a key, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Pprof => "pprof",
            Self::GoTrace => "trace",
        }
    }
}

impl ProfileType {
    /// Every type, in the order in which a set is taken when nothing puts one of them first: instant
    /// types before those that take time, because the pod may be dead in ten seconds.
    pub const ALL: [Self; 9] = [
        Self::Heap,
        Self::Allocs,
        Self::Goroutine,
        Self::Mutex,
        Self::Block,
        Self::Threadcreate,
        Self::Goroutineleak,
        Self::Cpu,
        Self::Trace,
    ];

    /// The seed's set, taken when a config names none.
    pub const DEFAULT: [Self; 4] = [Self::Heap, Self::Cpu, Self::Goroutine, Self::Mutex];

    /// The word in the resource, in keys and in metadata.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Heap => "heap",
            Self::Allocs => "allocs",
            Self::Goroutine => "goroutine",
            Self::Mutex => "mutex",
            Self::Block => "block",
            Self::Threadcreate => "threadcreate",
            Self::Goroutineleak => "goroutineleak",
            Self::Cpu => "cpu",
            Self::Trace => "trace",
        }
    }

    /// The type of a word, if it is one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Its letter in a record's name.
    pub const fn letter(self) -> char {
        match self {
            Self::Heap => 'h',
            Self::Allocs => 'a',
            Self::Goroutine => 'g',
            Self::Mutex => 'm',
            Self::Block => 'b',
            Self::Threadcreate => 't',
            Self::Goroutineleak => 'l',
            Self::Cpu => 'c',
            Self::Trace => 'x',
        }
    }

    /// Whether it records over a window (of `cpuSeconds`) instead of reading a state.
    pub const fn takes_time(self) -> bool {
        matches!(self, Self::Cpu | Self::Trace)
    }

    /// The format of its bytes.
    pub const fn format(self) -> Format {
        match self {
            Self::Trace => Format::GoTrace,
            Self::Heap
            | Self::Allocs
            | Self::Goroutine
            | Self::Mutex
            | Self::Block
            | Self::Threadcreate
            | Self::Goroutineleak
            | Self::Cpu => Format::Pprof,
        }
    }

    const fn bit(self) -> u16 {
        1 << (self as u16)
    }
}

/// A set of types, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct TypeSet(u16);

impl TypeSet {
    /// No type.
    pub const EMPTY: Self = Self(0);

    /// This set with `one` in it.
    #[must_use]
    pub const fn with(self, one: ProfileType) -> Self {
        Self(self.0 | one.bit())
    }

    /// This set with `one` not in it.
    #[must_use]
    pub const fn without(self, one: ProfileType) -> Self {
        Self(self.0 & !one.bit())
    }

    /// Whether `one` is in it.
    pub const fn contains(self, one: ProfileType) -> bool {
        self.0 & one.bit() != 0
    }

    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its types in the order of [`ProfileType::ALL`].
    pub fn iter(self) -> impl Iterator<Item = ProfileType> {
        ProfileType::ALL.into_iter().filter(move |one| self.contains(*one))
    }

    /// Its types in the order of a capture: `first` before all, then those that read a state, then
    /// those that take time.
    pub fn in_capture_order(self, first: Option<ProfileType>) -> Vec<ProfileType> {
        let leading = first.filter(|one| self.contains(*one));
        leading
            .into_iter()
            .chain(self.iter().filter(|one| Some(*one) != leading))
            .collect()
    }
}

impl FromIterator<ProfileType> for TypeSet {
    fn from_iter<I: IntoIterator<Item = ProfileType>>(types: I) -> Self {
        types.into_iter().fold(Self::EMPTY, Self::with)
    }
}
