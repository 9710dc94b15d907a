//! A flame graph: all stacks as one tree, and a picture of it.

use std::fmt::Write as _;

use hashbrown::HashMap;

use super::{View, ViewError};

/// The stacks of a view as a tree, outermost calls first.
#[derive(Debug)]
pub struct FlameTree {
    nodes: Vec<FlameNode>,
}

/// A function, called by the functions above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlameNode {
    /// Its name; that of the root is "all".
    pub name: String,
    /// Its value with all that it called.
    pub total: i64,
    /// Its value in itself, and of what was pruned below it.
    pub own: i64,
    /// Indexes of the functions that it called, largest first.
    pub children: Vec<u32>,
}

/// One more level than the deepest stacks that producers keep would be drawn; deeper ones are cut in the picture only.
const LEVELS_MAX: usize = 512;

/// Width and height of a frame in the picture, in pixels.
const PICTURE_WIDTH: f64 = 1200.0;
const FRAME_HEIGHT: usize = 17;

/// Narrower frames than this show nothing, in pixels.
const FRAME_WIDTH_MIN: f64 = 0.3;

/// Width of a letter of the picture's font, in pixels: what fits in a frame is shown.
const LETTER_WIDTH: f64 = 6.6;

impl FlameTree {
    /// The tree of a view, with at most `nodes_max` nodes beside the root: the largest are kept, and what the others are
    /// worth stays in the nodes above them, so that every sum is exact.
    ///
    /// # Errors
    /// [`ViewError::Negative`] for a difference.
    pub fn new(view: &View, nodes_max: usize) -> Result<Self, ViewError> {
        let mut nodes = vec![FlameNode {
            name: "all".to_owned(),
            total: 0,
            own: 0,
            children: Vec::new(),
        }];
        let mut child_of: HashMap<(u32, u32), u32> = HashMap::new();
        for (stack, value) in view.samples() {
            if value < 0 {
                return Err(ViewError::Negative);
            }
            let mut at = 0_u32;
            add(&mut nodes, at, value);
            for frame in stack.iter().rev() {
                // No more nodes than frames, which are below 2^32.
                let next = nodes.len() as u32;
                let child = *child_of.entry((at, *frame)).or_insert(next);
                if child == next {
                    let name = view.name(*frame).to_owned();
                    nodes.push(FlameNode {
                        name,
                        total: 0,
                        own: 0,
                        children: Vec::new(),
                    });
                    if let Some(parent) = nodes.get_mut(at as usize) {
                        parent.children.push(child);
                    }
                }
                add(&mut nodes, child, value);
                at = child;
            }
            if let Some(leaf) = nodes.get_mut(at as usize) {
                leaf.own = leaf.own.wrapping_add(value);
            }
        }
        let mut tree = Self { nodes };
        tree.prune(nodes_max);
        tree.sort();
        Ok(tree)
    }

    /// The nodes; the first is the root.
    pub fn nodes(&self) -> &[FlameNode] {
        &self.nodes
    }

    /// Keeps the root and the `nodes_max` largest others. A node is never larger than the one above it, and comes after
    /// it, so the largest, the earlier first, are a tree.
    fn prune(&mut self, nodes_max: usize) {
        if self.nodes.len() <= nodes_max.saturating_add(1) {
            return;
        }
        let mut by_size: Vec<usize> = (1..self.nodes.len()).collect();
        by_size.sort_by_key(|index| std::cmp::Reverse(self.nodes.get(*index).map_or(0, |node| node.total)));
        let mut place = vec![None; self.nodes.len()];
        let mut kept: Vec<_> = std::iter::once(0).chain(by_size.into_iter().take(nodes_max)).collect();
        kept.sort_unstable();
        for (new, old) in (0_u32..).zip(&kept) {
            if let Some(place) = place.get_mut(*old) {
                *place = Some(new);
            }
        }
        let new_place = |old: u32| place.get(old as usize).copied().flatten();
        let mut nodes = Vec::with_capacity(kept.len());
        for node in kept.iter().filter_map(|index| self.nodes.get(*index)) {
            let pruned = node.children.iter().filter(|child| new_place(**child).is_none());
            let worth = pruned
                .filter_map(|child| self.nodes.get(*child as usize))
                .map(|child| child.total);
            nodes.push(FlameNode {
                name: node.name.clone(),
                total: node.total,
                own: worth.fold(node.own, i64::wrapping_add),
                children: node.children.iter().filter_map(|child| new_place(*child)).collect(),
            });
        }
        self.nodes = nodes;
    }

    fn sort(&mut self) {
        for index in 0..self.nodes.len() {
            let mut children = self
                .nodes
                .get_mut(index)
                .map(|node| std::mem::take(&mut node.children))
                .unwrap_or_default();
            children.sort_by_key(|child| {
                let child = self.nodes.get(*child as usize);
                child.map(|child| (std::cmp::Reverse(child.total), child.name.clone()))
            });
            if let Some(node) = self.nodes.get_mut(index) {
                node.children = children;
            }
        }
    }

    /// The tree as JSON, for a page that draws it: `{"names":[…],"nodes":[…]}`.
    ///
    /// Each node is three numbers: its name's index, its value in itself, how many functions it called. Nodes come depth
    /// first, the largest called first, so that places and the values of whole subtrees need not be said.
    pub fn json(&self) -> String {
        let mut names = HashMap::new();
        let (mut listed, mut nodes) = (String::new(), String::new());
        let mut todo = vec![0_u32];
        while let Some(index) = todo.pop() {
            let Some(node) = self.nodes.get(index as usize) else {
                continue;
            };
            let next = names.len();
            let name = *names.entry(node.name.as_str()).or_insert(next);
            if name == next {
                listed.push(if next == 0 { '[' } else { ',' });
                json_string(&node.name, &mut listed);
            }
            // Writing to a string does not fail.
            let separator = if nodes.is_empty() { '[' } else { ',' };
            let written = write!(nodes, "{separator}{name},{},{}", node.own, node.children.len());
            debug_assert!(written.is_ok());
            todo.extend(node.children.iter().rev());
        }
        format!("{{\"names\":{listed}],\"nodes\":{nodes}]}}")
    }

    /// The tree as a picture that needs nothing else: no script, no font, no style from elsewhere.
    ///
    /// `unit` is shown after each value.
    pub fn svg(&self, title: &str, unit: &str) -> String {
        let total = self.nodes.first().map_or(0, |root| root.total);
        let mut frames = String::new();
        let mut depth = 0;
        // What is still to be drawn: node, level, left edge in values.
        let mut todo = vec![(0_u32, 0_usize, 0_i64)];
        while let Some((index, level, left)) = todo.pop() {
            let Some(node) = self.nodes.get(index as usize) else {
                continue;
            };
            let width = share(node.total, total) * PICTURE_WIDTH;
            if width < FRAME_WIDTH_MIN || level >= LEVELS_MAX {
                continue;
            }
            depth = depth.max(level);
            frame(
                &mut frames,
                node,
                (share(left, total) * PICTURE_WIDTH, width),
                level,
                (total, unit),
            );
            let mut left = left;
            for child in &node.children {
                todo.push((*child, level + 1, left));
                left = left.wrapping_add(self.nodes.get(*child as usize).map_or(0, |child| child.total));
            }
        }
        let height = (depth + 3) * FRAME_HEIGHT;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {PICTURE_WIDTH} {height}\" \
             font-family=\"monospace\" font-size=\"11\"><style>rect{{stroke:#fff;stroke-width:.5}}\
             g:hover rect{{stroke:#000}}</style><text x=\"4\" y=\"13\">{}</text>{frames}</svg>\n",
            escaped(title)
        )
    }
}

fn add(nodes: &mut [FlameNode], index: u32, value: i64) {
    if let Some(node) = nodes.get_mut(index as usize) {
        node.total = node.total.wrapping_add(value);
    }
}

/// Text between quotes, as JSON has it.
fn json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let written = write!(out, "\\u{:04x}", u32::from(c));
                debug_assert!(written.is_ok());
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn share(part: i64, total: i64) -> f64 {
    if total == 0 { 0.0 } else { part as f64 / total as f64 }
}

fn frame(out: &mut String, node: &FlameNode, (x, width): (f64, f64), level: usize, (total, unit): (i64, &str)) {
    let y = (level + 1) * FRAME_HEIGHT;
    // The same function has the same colour in every picture: from yellow to red by its name.
    let mixed = node
        .name
        .bytes()
        .fold(0_u32, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(byte.into()));
    let (hue, light) = (mixed % 50, 60 + mixed / 64 % 12);
    let percent = share(node.total, total) * 100.0;
    // Both are below the width of the picture.
    let letters = (width / LETTER_WIDTH) as usize;
    let shown: String = if letters < 3 {
        String::new()
    } else {
        node.name.chars().take(letters).collect()
    };
    // Writing to a string does not fail.
    let written = write!(
        out,
        "<g><title>{name}: {} {unit}, {percent:.2}%</title><rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" \
         height=\"{FRAME_HEIGHT}\" fill=\"hsl({hue},85%,{light}%)\"/><text x=\"{text_x:.2}\" y=\"{text_y}\">{shown}</text></g>",
        node.total,
        name = escaped(&node.name),
        unit = escaped(unit),
        text_x = x + 2.0,
        text_y = y + 12,
        shown = escaped(&shown),
    );
    debug_assert!(written.is_ok());
}

/// Text that is no mark-up: names come from the profile, and the picture is opened in a browser.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no way to write control characters.
            c if c.is_control() => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
