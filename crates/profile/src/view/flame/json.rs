//! The tree as data, for a page that draws it.

use super::{Change, FlameTree, Weight};
use crate::view::json;

/// What of a node follows its name: nothing, where it is worth nothing itself and has one node below it.
const LINK: i64 = 0;
/// Its own value; no node is below it.
const LEAF: i64 = 1;
/// Its own value and how many nodes are right below it.
const FORK: i64 = 2;
/// The number of these.
const KINDS: i64 = 3;

/// A value as numbers.
pub trait Numbers {
    /// Writes them with a comma before each.
    fn write(&self, out: &mut Vec<u8>);
}

impl Numbers for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b',');
        json::number(*self, out);
    }
}

impl Numbers for Change {
    fn write(&self, out: &mut Vec<u8>) {
        self.before.write(out);
        self.after.write(out);
    }
}

impl<W: Weight + Numbers> FlameTree<'_, W> {
    /// The tree as JSON: `{"names":[…],"nodes":[…]}`.
    ///
    /// Nodes come depth first, the largest of those below one first. Each is a number: three times its name's index, and
    /// 0 when it is worth nothing itself and has one node below it; 1 when it has none, and its own value follows; 2 when
    /// its own value follows, and how many nodes are right below it. The value of a comparison is two numbers, before and
    /// after. Places and values of whole branches follow from that, and most nodes are one short number.
    pub fn json(&self) -> String {
        const UNSEEN: i64 = -1;
        let mut index_of = vec![UNSEEN; self.names.len()];
        // Most nodes are a number of up to five digits and a comma.
        let mut out = Vec::with_capacity(self.nodes.len() * 6);
        out.extend_from_slice(b"{\"names\":[");
        let mut next = 0;
        for node in &self.nodes {
            if let Some(index) = index_of.get_mut(node.name as usize)
                && *index == UNSEEN
            {
                *index = next;
                if next > 0 {
                    out.push(b',');
                }
                next += 1;
                json::string(self.name(node), &mut out);
            }
        }
        out.extend_from_slice(b"],\"nodes\":[");
        for (index, node) in self.nodes.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let name = index_of.get(node.name as usize).copied().unwrap_or_default();
            let end_below = self.nodes.get(index + 1).map_or(0, |below| below.end);
            if node.end as usize == index + 1 {
                json::number(name * KINDS + LEAF, &mut out);
                node.own.write(&mut out);
            } else if node.end == end_below && node.own == W::default() {
                json::number(name * KINDS + LINK, &mut out);
            } else {
                json::number(name * KINDS + FORK, &mut out);
                node.own.write(&mut out);
                out.push(b',');
                json::number(self.children(index).count() as i64, &mut out);
            }
        }
        out.extend_from_slice(b"]}");
        // Made of texts and digits.
        String::from_utf8(out).unwrap_or_default()
    }
}
