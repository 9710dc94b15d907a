//! What people look at: the functions that cost most, folded stacks, a flame graph.
//!
//! A [`View`] is one sample type of a profile by function name, as `pprof -top` sees it: inlined calls are frames of
//! their own, file and line do not matter, code without a name goes by its binary, and what the profile itself calls
//! uninteresting (its drop and keep frames) is cut off the leaves.

use hashbrown::HashMap;

use crate::model::{LabelValue, Profile, StringId};

pub mod flame;
mod prune;
pub mod units;

use prune::Prune;

/// Why a profile cannot be shown.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ViewError {
    /// It has no sample type of this index.
    #[error("there is no sample type {index}; the profile has {types}")]
    SampleType {
        /// The index asked for.
        index: usize,
        /// How many there are.
        types: usize,
    },
    /// Its pattern of frames to drop or keep is no regular expression, or too large a one.
    #[error("the profile's pattern of frames to {which} is not usable")]
    Pattern {
        /// "drop" or "keep".
        which: &'static str,
        /// What is wrong with it.
        source: regex::Error,
    },
    /// It holds negative values, so it is a difference and areas cannot show it.
    #[error("the profile has negative values: a difference cannot be drawn as areas")]
    Negative,
}

/// One sample type of a profile, by function name.
#[derive(Debug)]
pub struct View {
    /// Names of the nodes. Two nodes may have the same name when neither has a function.
    names: Vec<String>,
    /// Leaf first, in nodes.
    stacks: Vec<u32>,
    stack_ends: Vec<usize>,
    values: Vec<i64>,
    total: i64,
}

/// What a function costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopRow {
    /// Its name; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// In itself.
    pub flat: i64,
    /// With all that it called.
    pub cum: i64,
}

/// Nodes that have no function name are told apart by what else is known.
#[derive(PartialEq, Eq, Hash)]
enum NodeKey<'p> {
    Named(&'p [u8]),
    Unnamed { binary: &'p [u8], start_line: i64 },
}

impl View {
    /// The sample type with this index.
    ///
    /// # Errors
    /// When there is no such sample type, or the profile's own patterns do not compile.
    pub fn new(profile: &Profile<'_>, sample_type: usize) -> Result<Self, ViewError> {
        let types = profile.header.sample_types.len();
        if sample_type >= types {
            return Err(ViewError::SampleType {
                index: sample_type,
                types,
            });
        }
        let prune = Prune::new(profile)?;
        let mut nodes = Nodes::default();
        let frames: Vec<_> = (0..profile.locations.len())
            .map(|index| nodes.of_location(profile, index, &prune))
            .collect();
        let mut view = Self {
            names: nodes.names,
            stacks: Vec::new(),
            stack_ends: Vec::new(),
            values: Vec::new(),
            total: 0,
        };
        let (mut total, mut base_total) = (0_i64, 0_i64);
        for sample in profile.samples() {
            let value = sample.values.get(sample_type).copied().unwrap_or(0);
            total = total.wrapping_add(value.wrapping_abs());
            if is_base(profile, sample.labels) {
                base_total = base_total.wrapping_add(value.wrapping_abs());
            }
            if value == 0 {
                continue;
            }
            for location in prune.kept(sample.stack) {
                view.stacks
                    .extend_from_slice(frames.get(*location as usize).map(Vec::as_slice).unwrap_or_default());
            }
            view.stack_ends.push(view.stacks.len());
            view.values.push(value);
        }
        // Percentages of a comparison are of what it is compared with.
        view.total = if base_total > 0 { base_total } else { total };
        Ok(view)
    }

    /// What percentages are of: the sum of all values without their signs; of a comparison only the base's.
    pub fn total(&self) -> i64 {
        self.total
    }

    /// All functions, the most expensive in itself first, then by name.
    pub fn top(&self) -> Vec<TopRow> {
        let mut rows: Vec<_> = self
            .names
            .iter()
            .map(|name| TopRow {
                name: name.clone(),
                flat: 0,
                cum: 0,
            })
            .collect();
        // The sample in which a node was last counted: recursion counts once.
        let mut counted = vec![0_usize; rows.len()];
        for (sample, (stack, value)) in (1..).zip(self.samples()) {
            for (depth, node) in stack.iter().enumerate() {
                let Some((row, counted)) = rows.get_mut(*node as usize).zip(counted.get_mut(*node as usize)) else {
                    continue;
                };
                if depth == 0 {
                    row.flat = row.flat.wrapping_add(value);
                }
                if *counted != sample {
                    *counted = sample;
                    row.cum = row.cum.wrapping_add(value);
                }
            }
        }
        rows.retain(|row| row.flat != 0 || row.cum != 0);
        rows.sort_by(|a, b| {
            let order = b
                .flat
                .unsigned_abs()
                .cmp(&a.flat.unsigned_abs())
                .then_with(|| a.name.cmp(&b.name));
            order.then_with(|| b.cum.unsigned_abs().cmp(&a.cum.unsigned_abs()))
        });
        rows
    }

    /// Stacks as lines "root;…;leaf value", the same stack once, sorted. Semicolons and line ends in names become commas
    /// and spaces: the format has no escapes.
    pub fn folded(&self) -> String {
        let mut sums: HashMap<&[u32], i64> = HashMap::new();
        for (stack, value) in self.samples() {
            let sum = sums.entry(stack).or_default();
            *sum = sum.wrapping_add(value);
        }
        let line = |(stack, value): (&[u32], i64)| {
            let names = stack
                .iter()
                .rev()
                .map(|node| self.name(*node).replace(';', ",").replace(['\n', '\r'], " "));
            format!("{} {value}\n", names.collect::<Vec<_>>().join(";"))
        };
        let mut lines: Vec<_> = sums.into_iter().filter(|(_, value)| *value != 0).map(line).collect();
        lines.sort();
        lines.concat()
    }

    fn name(&self, node: u32) -> &str {
        self.names.get(node as usize).map(String::as_str).unwrap_or_default()
    }

    /// Stacks, leaf first, with their values; none is zero.
    fn samples(&self) -> impl Iterator<Item = (&[u32], i64)> {
        let begins = std::iter::once(0).chain(self.stack_ends.iter().copied());
        let stacks = begins
            .zip(&self.stack_ends)
            .map(|(begin, end)| self.stacks.get(begin..*end).unwrap_or_default());
        stacks.zip(self.values.iter().copied())
    }
}

/// Whether a sample is of the profile that another is compared with.
fn is_base(profile: &Profile<'_>, labels: &[crate::model::Label]) -> bool {
    labels.iter().any(|label| match label.value {
        LabelValue::Text(text) => {
            profile.strings.get(label.key) == b"pprof::base" && profile.strings.get(text) == b"true"
        }
        LabelValue::Number(..) => false,
    })
}

/// Nodes in the making.
#[derive(Default)]
struct Nodes<'p> {
    names: Vec<String>,
    by_key: HashMap<NodeKey<'p>, u32>,
}

impl<'p> Nodes<'p> {
    /// The nodes of a location, innermost call first.
    fn of_location(&mut self, profile: &'p Profile<'_>, index: usize, prune: &Prune) -> Vec<u32> {
        let Some(location) = profile.locations.get(index) else {
            return Vec::new();
        };
        let mapping = location
            .mapping
            .and_then(|mapping| profile.mappings.get(mapping as usize));
        let binary = profile
            .strings
            .get(mapping.map_or(StringId::EMPTY, |mapping| mapping.file));
        let lines = profile.lines_of(location);
        if lines.is_empty() {
            return vec![self.node(NodeKey::Unnamed { binary, start_line: 0 })];
        }
        let lines = lines.get(prune.lines_cut(index)..).unwrap_or_default();
        let node = |line: &crate::model::Line| {
            let function = profile
                .functions
                .get(line.function as usize)
                .copied()
                .unwrap_or_default();
            let name = profile.strings.get(function.name);
            self.node(if name.is_empty() {
                NodeKey::Unnamed {
                    binary,
                    start_line: function.start_line,
                }
            } else {
                NodeKey::Named(name)
            })
        };
        lines.iter().map(node).collect()
    }

    fn node(&mut self, key: NodeKey<'p>) -> u32 {
        let name = match key {
            NodeKey::Named(name) => String::from_utf8_lossy(name).into_owned(),
            NodeKey::Unnamed { binary: b"", .. } => "<unknown>".to_owned(),
            NodeKey::Unnamed { binary, .. } => format!("[{}]", base_name(&String::from_utf8_lossy(binary))),
        };
        // No more nodes than lines and locations, which are below 2^32.
        let next = self.names.len() as u32;
        let node = *self.by_key.entry(key).or_insert(next);
        if node == next {
            self.names.push(name);
        }
        node
    }
}

/// The last part of a path, as Go's `filepath.Base`.
fn base_name(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        "/"
    } else {
        path.rsplit('/').next().unwrap_or(path)
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
            assert_eq!(base_name(path), base);
        }
    }
}
