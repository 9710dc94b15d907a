//! What a frame looks like, and what is said of it.

use std::fmt::{Display, Formatter};

use crate::view::flame::{FlameTree, Presence};
use crate::view::stacks::{Change, Weight};
use crate::view::units;

/// Where the legend begins, in pixels.
pub(super) const LEGEND_LEFT: f64 = 920.0;

/// A value that can be drawn.
pub trait Paint: Weight {
    /// What the colours mean, as mark-up; empty where they mean nothing.
    const LEGEND: &'static str;

    /// The colour of a frame with this name and value.
    fn fill(self, name: &str, tree: &FlameTree<'_, Self>) -> Fill
    where
        Self: Sized;

    /// How the frame is marked besides.
    fn mark(self) -> Mark;

    /// What is said of the frame where the pointer rests, with what it is worth itself and what all is worth.
    fn tip(self, own: Self, all: Self, unit: &str, tree: &FlameTree<'_, Self>) -> String
    where
        Self: Sized;
}

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fill {
    /// Of the root, which says nothing.
    Plain,
    /// Hue in degrees, saturation and lightness in percent.
    Hsl(u32, u32, u32),
}

impl Display for Fill {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain => formatter.write_str("#ddd"),
            Self::Hsl(hue, saturation, light) => write!(formatter, "hsl({hue},{saturation}%,{light}%)"),
        }
    }
}

/// What a frame is marked as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(Presence);

impl Mark {
    pub(super) fn class(self) -> &'static str {
        match self.0 {
            Presence::Both => "",
            Presence::New => " class=\"new\"",
            Presence::Gone => " class=\"gone\"",
        }
    }

    pub(super) fn sign(self) -> &'static str {
        match self.0 {
            Presence::Both => "",
            Presence::New => "+ ",
            Presence::Gone => "− ",
        }
    }
}

impl Paint for i64 {
    const LEGEND: &'static str = "";

    /// From red to yellow by the package, lighter or darker by the function: the same in every picture.
    fn fill(self, name: &str, _: &FlameTree<'_>) -> Fill {
        let (package, function) = (mixed(package(name)), mixed(name));
        Fill::Hsl(package % 55, 70 + package / 64 % 20, 62 + function % 12)
    }

    fn mark(self) -> Mark {
        Mark(Presence::Both)
    }

    fn tip(self, own: Self, all: Self, unit: &str, _: &FlameTree<'_>) -> String {
        let mut tip = format!("{} ({})", units::value(self, unit), percent(self, all));
        if own != 0 && own != self {
            tip += &format!(", {} itself", units::value(own, unit));
        }
        tip
    }
}

impl Paint for Change {
    const LEGEND: &'static str = "<g transform=\"translate(920 7)\">\
        <rect width=\"56\" height=\"16\" fill=\"hsl(215,75%,70%)\"/><text x=\"14\" y=\"12\">less</text>\
        <rect x=\"60\" width=\"56\" height=\"16\" fill=\"hsl(5,75%,70%)\"/><text x=\"74\" y=\"12\">more</text>\
        <rect class=\"gone\" x=\"122\" width=\"70\" height=\"16\" fill=\"hsl(215,75%,70%)\"/>\
        <text x=\"133\" y=\"12\">− gone</text>\
        <rect class=\"new\" x=\"198\" width=\"70\" height=\"16\" fill=\"hsl(5,75%,70%)\"/>\
        <text x=\"213\" y=\"12\">+ new</text></g>";

    /// White where nothing changed, to red for what is new and to blue for what is gone.
    fn fill(self, _: &str, tree: &FlameTree<'_, Self>) -> Fill {
        let (before, after) = self.parts(tree);
        let whole = before + after;
        let share = if whole > 0.0 { (after - before) / whole } else { 0.0 };
        // The root of the share, so that small changes can be told from none.
        let strength = share.abs().sqrt();
        // Both are below 100.
        let light = (94.0 - 24.0 * strength) as u32;
        Fill::Hsl(if share < 0.0 { 215 } else { 5 }, (75.0 * strength) as u32, light)
    }

    fn mark(self) -> Mark {
        Mark(self.presence())
    }

    fn tip(self, own: Self, all: Self, unit: &str, tree: &FlameTree<'_, Self>) -> String {
        let value = |value| units::value(value, unit);
        let of = |change: Self| {
            let sign = if change.after < change.before { "" } else { "+" };
            let difference = change.after.wrapping_sub(change.before);
            format!(
                "{} → {}, {sign}{}",
                value(change.before),
                value(change.after),
                value(difference)
            )
        };
        let mut tip = match self.presence() {
            Presence::Both => of(self),
            Presence::New => format!("new, {}", value(self.after)),
            Presence::Gone => format!("gone, {}", value(self.before)),
        };
        if tree.is_normalized() || self.presence() == Presence::Both {
            tip += &format!(
                " ({} → {})",
                percent(self.before, all.before),
                percent(self.after, all.after)
            );
        }
        if own != Self::default() && own != self {
            tip += &format!(", itself {}", of(own));
        }
        tip
    }
}

impl Change {
    /// Both values as they are compared.
    fn parts(self, tree: &FlameTree<'_, Self>) -> (f64, f64) {
        let size = |before, after| tree.size(Self { before, after }) as f64;
        (size(self.before, 0), size(0, self.after))
    }
}

fn percent(part: i64, all: i64) -> String {
    units::percentage(part, all).trim_start().to_owned()
}

/// What comes before a function's own name: its package, namespace or class.
fn package(name: &str) -> &str {
    let end = name.find(['(', '[', '<', '{']).unwrap_or(name.len());
    let plain = name.get(..end).unwrap_or(name);
    let path = plain.rfind('/').map_or(0, |slash| slash + 1);
    let own = plain.get(path..).unwrap_or_default();
    let end = own.find("::").or_else(|| own.find('.')).unwrap_or(own.len());
    plain.get(..path + end).unwrap_or(plain)
}

fn mixed(text: &str) -> u32 {
    let mixed = text.bytes().fold(0x811c_9dc5_u32, |mixed, byte| {
        (mixed ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    mixed ^ mixed >> 15
}

#[cfg(test)]
mod tests {
    use super::package;

    #[test]
    fn functions_of_one_package_are_known() {
        for (name, of) in [
            ("github.com/a/b.(*T).Method", "github.com/a/b"),
            ("main.main", "main"),
            ("std::vec::Vec<a/b>::push", "std"),
            ("malloc", "malloc"),
            ("(anonymous namespace)::f", ""),
        ] {
            assert_eq!(package(name), of);
        }
    }
}
