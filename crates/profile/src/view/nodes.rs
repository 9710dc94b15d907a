//! Functions as views tell them apart, and which of them each location is in.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::BuildHasher as _;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use super::frames::{Frame, WIDTH};
use crate::model::{Line, Location, Profile, StringId};
use crate::prune::Prune;

/// A function, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node<'p> {
    Named(&'p [u8]),
    /// Code without a name goes by its binary.
    Unnamed {
        binary: Binary<'p>,
        start_line: i64,
    },
}

/// The file of a mapping. Very many functions without a name may be in one, and its path may be long: it is told from others
/// by a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binary<'p> {
    id: u32,
    path: &'p [u8],
    /// The last part of the path.
    base: &'p [u8],
}

impl PartialEq for Binary<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Binary<'_> {}

impl<'p> Node<'p> {
    /// What it is called, in the bytes of the profile.
    pub(super) fn name(&self) -> Cow<'p, [u8]> {
        match *self {
            Self::Named(name) => Cow::Borrowed(name),
            Self::Unnamed { binary, .. } if binary.path.is_empty() => Cow::Borrowed(b"<unknown>"),
            Self::Unnamed { binary, .. } => Cow::Owned([b"[", binary.base, b"]"].concat()),
        }
    }

    /// What it is called; bytes that are no UTF-8 are replaced.
    pub(super) fn text(&self) -> Cow<'p, str> {
        match self.name() {
            // Most names are text, and this tells sooner.
            Cow::Borrowed(name) => {
                std::str::from_utf8(name).map_or_else(|_| String::from_utf8_lossy(name), Cow::Borrowed)
            }
            Cow::Owned(name) => Cow::Owned(String::from_utf8_lossy(&name).into_owned()),
        }
    }

    /// The number of the binary that it is called by.
    pub(super) fn binary(&self) -> Option<u32> {
        match self {
            Self::Named(_) => None,
            Self::Unnamed { binary, .. } => Some(binary.id),
        }
    }

    /// Bytes of the name.
    pub(super) fn name_bytes(&self) -> u64 {
        match self {
            Self::Named(name) => name.len() as u64,
            // Its brackets, or more letters than "<unknown>" has.
            Self::Unnamed { binary, .. } => binary.base.len() as u64 + 9,
        }
    }

    /// In which order names come.
    pub(super) fn cmp_name(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Named(name), Self::Named(other)) => name.cmp(other),
            (Self::Unnamed { binary, .. }, Self::Unnamed { binary: other, .. }) if binary == other => Ordering::Equal,
            _ => self.name().cmp(&other.name()),
        }
    }

    /// A stable order of what else is equal; pprof has that of its text of all that it knows, of which this is what differs.
    pub(super) fn cmp_rest(&self, other: &Self) -> Ordering {
        if let (
            Self::Unnamed { binary, start_line },
            Self::Unnamed {
                binary: other_binary,
                start_line: other_line,
            },
        ) = (self, other)
            && binary == other_binary
        {
            // Lines are told by their digits.
            return format!("{start_line} ").cmp(&format!("{other_line} "));
        }
        self.distinct().cmp(&other.distinct())
    }

    /// A text that no two nodes share.
    fn distinct(&self) -> Vec<u8> {
        match self {
            Self::Named(name) => name.to_vec(),
            Self::Unnamed { binary, start_line } => {
                [format!("{start_line} 0 0 ").as_bytes(), binary.path, b"}"].concat()
            }
        }
    }
}

/// The frames of a location: one at least.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The first of them, and some that mean nothing where there are fewer.
    pub(super) first: [Frame; WIDTH],
    /// Where they are in those of all locations.
    begin: u32,
    end: u32,
}

impl Place {
    /// How many there are.
    #[inline]
    pub(super) fn count(&self) -> usize {
        (self.end - self.begin) as usize
    }
}

/// The functions of a profile's locations.
#[derive(Debug, Default)]
pub(super) struct Nodes<'p> {
    pub(super) nodes: Vec<Node<'p>>,
    /// Those of all locations, one after the other, outermost call first.
    frames: Vec<Frame>,
    places: Vec<Place>,
    /// The most that a location has.
    widest: usize,
    /// Whether each node is inlined at any location.
    inlined: Vec<bool>,
    /// What nodes without a name are called, by the number of their binary.
    unnamed: Vec<String>,
}

impl<'p> Nodes<'p> {
    pub(super) fn new(profile: &'p Profile<'_>, prune: &Prune) -> Self {
        let mut finder = Finder {
            profile,
            nodes: Vec::with_capacity(profile.functions.len()),
            by_key: HashTable::with_capacity(profile.functions.len()),
            hasher: DefaultHashBuilder::default(),
            by_name: vec![UNKNOWN; profile.strings.len()],
            binaries: HashMap::new(),
            paths: HashMap::new(),
            unnamed: Vec::new(),
        };
        let mut frames = Vec::with_capacity(profile.lines.len() + profile.locations.len());
        let mut places = Vec::with_capacity(profile.locations.len());
        for (index, location) in profile.locations.iter().enumerate() {
            let begin = frames.len();
            let lines = profile.lines_of(location);
            if lines.is_empty() {
                frames.push(Frame::new(finder.unnamed(location, 0), false));
            } else {
                let lines = lines.get(prune.lines_cut(index)..).unwrap_or_default();
                let frame = |(depth, line)| Frame::new(finder.of_line(location, line), depth > 0);
                frames.extend(lines.iter().rev().enumerate().map(frame));
            }
            // No more than lines and locations, which are below 2^32 together: each takes bytes of the profile.
            let own = frames.get(begin..).unwrap_or_default();
            let mut first = [Frame::NONE; WIDTH];
            for (first, frame) in first.iter_mut().zip(own) {
                *first = *frame;
            }
            places.push(Place {
                first,
                begin: begin as u32,
                end: frames.len() as u32,
            });
        }
        let mut inlined = vec![false; finder.nodes.len()];
        for frame in frames.iter().filter(|frame| frame.is_inlined()) {
            if let Some(inlined) = inlined.get_mut(frame.node() as usize) {
                *inlined = true;
            }
        }
        Self {
            nodes: finder.nodes,
            frames,
            widest: places.iter().map(Place::count).max().unwrap_or(0),
            places,
            inlined,
            unnamed: finder.unnamed,
        }
    }

    /// What a node is called; bytes that are no UTF-8 are replaced.
    pub(super) fn text(&self, index: u32) -> Cow<'_, str> {
        let Some(node) = self.nodes.get(index as usize) else {
            return Cow::default();
        };
        let binary = node.binary().and_then(|binary| self.unnamed.get(binary as usize));
        binary.map_or_else(|| node.text(), |text| Cow::Borrowed(text))
    }

    /// The frames of a location, outermost call first.
    #[inline]
    pub(super) fn frames(&self, location: u32) -> &[Frame] {
        self.place(location).map_or(&[], |place| self.all(place))
    }

    /// Where the frames of a location are.
    #[inline]
    pub(super) fn place(&self, location: u32) -> Option<&Place> {
        self.places.get(location as usize)
    }

    /// All frames of a location, outermost call first.
    #[inline]
    pub(super) fn all(&self, place: &Place) -> &[Frame] {
        self.frames
            .get(place.begin as usize..place.end as usize)
            .unwrap_or_default()
    }

    /// How many locations there are.
    pub(super) fn locations(&self) -> u32 {
        // Each takes bytes of a profile below 4 GiB.
        self.places.len() as u32
    }

    /// The frames of a location but the outermost, which each has: the calls that were inlined.
    #[inline]
    pub(super) fn inner(&self, place: &Place) -> &[Frame] {
        self.frames
            .get(place.begin as usize + 1..place.end as usize)
            .unwrap_or_default()
    }

    /// The most frames that a location has.
    pub(super) fn widest(&self) -> u64 {
        self.widest as u64
    }

    /// Whether a node is inlined at any location.
    pub(super) fn is_inlined(&self, node: u32) -> bool {
        self.inlined.get(node as usize).copied().unwrap_or(false)
    }
}

/// Nodes in the making.
struct Finder<'p> {
    profile: &'p Profile<'p>,
    nodes: Vec<Node<'p>>,
    by_key: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The node of each string that is known to be a name: most profiles have each text once, and need no hashing.
    by_name: Vec<u32>,
    /// Binaries by the string of their path, and by the path itself, which may be there as several strings.
    binaries: HashMap<StringId, Binary<'p>>,
    paths: HashMap<&'p [u8], u32>,
    unnamed: Vec<String>,
}

/// No node has this index.
const UNKNOWN: u32 = u32::MAX;

impl<'p> Finder<'p> {
    fn of_line(&mut self, location: &Location, line: &Line) -> u32 {
        let profile = self.profile;
        let function = profile.functions.get(line.function as usize);
        let (name, start_line) = function.map_or((StringId::EMPTY, 0), |function| (function.name, function.start_line));
        match self.by_name.get(name.0 as usize) {
            None | Some(&UNKNOWN) => {}
            Some(node) => return *node,
        }
        match profile.strings.get(name) {
            b"" => self.unnamed(location, start_line),
            text => {
                let node = self.node(Node::Named(text));
                if let Some(known) = self.by_name.get_mut(name.0 as usize) {
                    *known = node;
                }
                node
            }
        }
    }

    fn unnamed(&mut self, location: &Location, start_line: i64) -> u32 {
        let profile = self.profile;
        let mapping = location.mapping.and_then(|index| profile.mappings.get(index as usize));
        let file = mapping.map_or(StringId::EMPTY, |mapping| mapping.file);
        let (paths, unnamed) = (&mut self.paths, &mut self.unnamed);
        let binary = *self.binaries.entry(file).or_insert_with(|| {
            let path = profile.strings.get(file);
            // Not more than there are strings.
            let new = paths.len() as u32;
            let binary = Binary {
                id: *paths.entry(path).or_insert(new),
                path,
                base: base_name(path),
            };
            if binary.id == new {
                unnamed.push(Node::Unnamed { binary, start_line }.text().into_owned());
            }
            binary
        });
        self.node(Node::Unnamed { binary, start_line })
    }

    fn node(&mut self, node: Node<'p>) -> u32 {
        let Self {
            nodes, by_key, hasher, ..
        } = self;
        let hash = |node: &Node<'_>| match node {
            Node::Named(name) => hasher.hash_one(name),
            Node::Unnamed { binary, start_line } => hasher.hash_one((binary.id, start_line)),
        };
        let key = hash(&node);
        let is_same = |index: &u32| nodes.get(*index as usize) == Some(&node);
        match by_key.entry(key, is_same, |index| nodes.get(*index as usize).map_or(0, hash)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                // No more nodes than lines and locations, which are below 2^32.
                let index = nodes.len() as u32;
                new.insert(index);
                nodes.push(node);
                index
            }
        }
    }
}

/// The last part of a path, as Go's `filepath.Base`.
pub(super) fn base_name(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    match path.get(..end) {
        None | Some([]) => b"/",
        Some(path) => path.rsplit(|byte| *byte == b'/').next().unwrap_or(path),
    }
}

#[cfg(test)]
mod tests {
    use super::base_name;

    #[test]
    fn the_base_of_a_path_is_gos() {
        for (path, base) in [
            ("/usr/lib/libc.so", "libc.so"),
            ("a", "a"),
            ("/", "/"),
            ("//", "/"),
            ("/a/b/", "b"),
        ] {
            assert_eq!(base_name(path.as_bytes()), base.as_bytes());
        }
    }
}
