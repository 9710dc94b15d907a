//! Functions as views tell them apart, and which of them each location is in.

use std::borrow::Cow;

use hashbrown::HashMap;

use crate::model::{Line, Location, Profile, StringId};
use crate::prune::Prune;

/// A function, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Node<'p> {
    Named(&'p [u8]),
    /// Code without a name goes by its binary.
    Unnamed {
        binary: &'p [u8],
        start_line: i64,
    },
}

impl<'p> Node<'p> {
    /// What it is called, in the bytes of the profile.
    pub(super) fn name(&self) -> Cow<'p, [u8]> {
        match *self {
            Self::Named(name) => Cow::Borrowed(name),
            Self::Unnamed { binary: b"", .. } => Cow::Borrowed(b"<unknown>"),
            Self::Unnamed { binary, .. } => Cow::Owned([b"[", base_name(binary), b"]"].concat()),
        }
    }

    /// What it is called; bytes that are no UTF-8 are replaced.
    pub(super) fn text(&self) -> Cow<'p, str> {
        match self.name() {
            Cow::Borrowed(name) => String::from_utf8_lossy(name),
            Cow::Owned(name) => Cow::Owned(String::from_utf8_lossy(&name).into_owned()),
        }
    }

    /// A text that no two nodes share, for a stable order of what else is equal; pprof orders by its text of all that it
    /// knows, of which this is what differs.
    pub(super) fn distinct(&self) -> Vec<u8> {
        match self {
            Self::Named(name) => name.to_vec(),
            Self::Unnamed { binary, start_line } => [format!("{start_line} 0 0 ").as_bytes(), binary, b"}"].concat(),
        }
    }
}

/// The functions of a profile's locations.
#[derive(Debug, Default)]
pub(super) struct Nodes<'p> {
    pub(super) nodes: Vec<Node<'p>>,
    /// Those of all locations, one after the other, outermost call first.
    frames: Vec<u32>,
    /// Where in `frames` those of each location end.
    ends: Vec<u32>,
    /// Whether each node is inlined at any location.
    inlined: Vec<bool>,
}

impl<'p> Nodes<'p> {
    pub(super) fn new(profile: &'p Profile<'_>, prune: &Prune) -> Self {
        let mut finder = Finder {
            profile,
            nodes: Vec::new(),
            by_key: HashMap::new(),
            by_name: vec![None; profile.strings.len()],
        };
        let mut frames = Vec::with_capacity(profile.lines.len() + profile.locations.len());
        let mut ends = Vec::with_capacity(profile.locations.len());
        for (index, location) in profile.locations.iter().enumerate() {
            let lines = profile.lines_of(location);
            if lines.is_empty() {
                frames.push(finder.unnamed(location, 0));
            } else {
                let lines = lines.get(prune.lines_cut(index)..).unwrap_or_default();
                frames.extend(lines.iter().rev().map(|line| finder.of_line(location, line)));
            }
            // No more than lines and locations, which are below 2^32 together: each takes bytes of the profile.
            ends.push(frames.len() as u32);
        }
        let mut nodes = Self {
            inlined: vec![false; finder.nodes.len()],
            nodes: finder.nodes,
            frames,
            ends,
        };
        let mut begin = 0;
        for end in &nodes.ends {
            let inlined = nodes.frames.get(begin as usize + 1..*end as usize).unwrap_or_default();
            for node in inlined {
                if let Some(inlined) = nodes.inlined.get_mut(*node as usize) {
                    *inlined = true;
                }
            }
            begin = *end;
        }
        nodes
    }

    /// The nodes of a location, outermost call first. All but the first are inlined.
    #[inline]
    pub(super) fn of(&self, location: u32) -> &[u32] {
        let location = location as usize;
        let begin = location.checked_sub(1).and_then(|before| self.ends.get(before));
        let (begin, end) = (
            begin.copied().unwrap_or(0),
            self.ends.get(location).copied().unwrap_or(0),
        );
        self.frames.get(begin as usize..end as usize).unwrap_or_default()
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
    by_key: HashMap<Node<'p>, u32>,
    /// The node of each string that is known to be a name: most profiles have each text once, and need no hashing.
    by_name: Vec<Option<u32>>,
}

impl<'p> Finder<'p> {
    fn of_line(&mut self, location: &Location, line: &Line) -> u32 {
        let profile = self.profile;
        let function = profile.functions.get(line.function as usize);
        let (name, start_line) = function.map_or((StringId::EMPTY, 0), |function| (function.name, function.start_line));
        if let Some(Some(node)) = self.by_name.get(name.0 as usize) {
            return *node;
        }
        match profile.strings.get(name) {
            b"" => self.unnamed(location, start_line),
            text => {
                let node = self.node(Node::Named(text));
                if let Some(known) = self.by_name.get_mut(name.0 as usize) {
                    *known = Some(node);
                }
                node
            }
        }
    }

    fn unnamed(&mut self, location: &Location, start_line: i64) -> u32 {
        let profile = self.profile;
        let mapping = location.mapping.and_then(|index| profile.mappings.get(index as usize));
        let binary = profile
            .strings
            .get(mapping.map_or(StringId::EMPTY, |mapping| mapping.file));
        self.node(Node::Unnamed { binary, start_line })
    }

    fn node(&mut self, node: Node<'p>) -> u32 {
        // No more nodes than lines and locations, which are below 2^32.
        let next = self.nodes.len() as u32;
        let index = *self.by_key.entry(node).or_insert(next);
        if index == next {
            self.nodes.push(node);
        }
        index
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
