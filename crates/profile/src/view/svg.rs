//! Flame graphs as pictures that need nothing else: no script, no font and no style from elsewhere.
//!
//! The outermost calls are at the top. What is worth how much is said where the pointer rests. A comparison is red where
//! there is more than before and blue where there is less; frames that are new or gone are marked besides, by a border
//! and a sign before their name.

use std::fmt::Write as _;

use super::flame::{FlameNode, FlameTree, Sandwich};

mod paint;

pub use paint::Paint;
use paint::{Fill, Mark};

/// One more level than the deepest stacks that producers keep would be drawn; deeper ones are cut in the picture only.
const LEVELS_MAX: usize = 512;

/// Width of the picture, of what is empty at each side of it, and height of a frame and of its row, in pixels.
const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 8.0;
const FRAME_HEIGHT: usize = 16;
const ROW_HEIGHT: usize = 17;

/// Where the first row begins, below the title.
const TOP: usize = 30;

/// Narrower frames than this show nothing, in pixels.
const FRAME_WIDTH_MIN: f64 = 0.3;

/// Width of a letter of the picture's font, in pixels: what fits in a frame is shown. Six tenths of its size, as in all
/// common fonts of one width.
const LETTER_WIDTH: f64 = 6.6;

/// The same of the title, which is larger.
const TITLE_LETTER_WIDTH: f64 = 7.9;

/// Letters of a name that are said where the pointer rests: a screen full of them. A picture may have ten thousand frames, and
/// a name be as long as 64 KiB.
const TIP_LETTERS_MAX: usize = 1024;

/// Fewer letters than this say nothing.
const LETTERS_MIN: usize = 3;

/// What is said of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Caption<'c, W = i64> {
    /// The line above it.
    pub title: &'c str,
    /// The unit of the values, as the profile has it.
    pub unit: &'c str,
    /// What percentages are of, where parts of it were filtered out; else they are of what is drawn.
    pub whole: Option<W>,
}

impl<W: Paint> FlameTree<'_, W> {
    /// The tree as a picture.
    pub fn svg(&self, caption: Caption<'_, W>) -> String {
        let mut picture = Picture::new(caption);
        picture.draw(self, |level| level);
        picture.finish()
    }
}

impl<W: Paint> Sandwich<'_, W> {
    /// Both trees as one picture: the callers above the function, the nearest next to it, and what it calls below.
    pub fn svg(&self, caption: Caption<'_, W>) -> String {
        let mut picture = Picture::new(caption);
        let above = levels(&self.callers);
        picture.draw(&self.callers, |level| above - level);
        // The function itself is there once.
        if let Some(row) = picture.rows.get_mut(above) {
            row.clear();
        }
        picture.draw(&self.callees, |level| above + level);
        picture.finish()
    }
}

/// The deepest level of a tree that is drawn; the root's is zero.
fn levels<W: Paint>(tree: &FlameTree<'_, W>) -> usize {
    let mut deepest = 0;
    walk(tree, |frame| deepest = deepest.max(frame.level));
    deepest
}

/// A node and its place.
struct Frame<'t, W> {
    node: &'t FlameNode<W>,
    level: usize,
    left: f64,
    width: f64,
}

/// Visits the nodes that are wide enough to be seen, from the root on.
fn walk<'t, W: Paint>(tree: &'t FlameTree<'_, W>, mut visit: impl FnMut(Frame<'t, W>)) {
    let nodes = tree.nodes();
    let Some(root) = nodes.first() else {
        return;
    };
    let total = tree.size(root.total).max(1) as f64;
    let pixels = |size: u128| size as f64 / total * (WIDTH - 2.0 * MARGIN);
    // Of each node above the one at hand: where it ends, and where the next one below it begins, in sizes.
    let mut above: Vec<(usize, u128)> = Vec::new();
    let mut at = 0;
    while let Some(node) = nodes.get(at) {
        while above.pop_if(|(end, _)| *end <= at).is_some() {}
        let size = tree.size(node.total);
        let left = above.last_mut().map_or(0, |(_, next)| {
            let left = *next;
            *next += size;
            left
        });
        let (level, width) = (above.len(), pixels(size));
        if width < FRAME_WIDTH_MIN || level > LEVELS_MAX {
            at = (node.end as usize).max(at + 1);
            continue;
        }
        visit(Frame {
            node,
            level,
            left: MARGIN + pixels(left),
            width,
        });
        above.push((node.end as usize, left));
        at += 1;
    }
}

/// A picture in the making.
struct Picture<'c, W> {
    caption: Caption<'c, W>,
    /// The frames of each row, from the top.
    rows: Vec<String>,
}

impl<'c, W: Paint> Picture<'c, W> {
    fn new(caption: Caption<'c, W>) -> Self {
        Self {
            caption,
            rows: Vec::new(),
        }
    }

    /// Draws each level of a tree into the row that `row_of` says.
    fn draw(&mut self, tree: &FlameTree<'_, W>, row_of: impl Fn(usize) -> usize) {
        let Caption { unit, whole, .. } = self.caption;
        let root = tree.nodes().first().map(|root| root.total);
        let whole = whole.or(root).unwrap_or_default();
        walk(tree, |frame| {
            let row = row_of(frame.level);
            if self.rows.len() <= row {
                self.rows.resize_with(row + 1, String::new);
            }
            let (name, value) = (tree.name(frame.node), frame.node.total);
            let fill = if frame.level == 0 {
                Fill::Plain
            } else {
                value.fill(name, tree)
            };
            let tip = value.tip(frame.node.own, whole, unit, tree);
            if let Some(row) = self.rows.get_mut(row) {
                draw(row, &frame, name, (fill, value.mark()), &tip);
            }
        });
    }

    fn finish(self) -> String {
        let height = TOP + self.rows.len() * ROW_HEIGHT + MARGIN as usize;
        let room = if W::LEGEND.is_empty() {
            WIDTH
        } else {
            paint::LEGEND_LEFT
        } - 2.0 * MARGIN;
        // Below the width of the picture.
        let title = cut(self.caption.title, (room / TITLE_LETTER_WIDTH) as usize);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace\" font-size=\"11\">\
             <style>rect{{stroke:#fff;stroke-width:.5}}.new{{stroke:#a00;stroke-width:1.5}}\
             .gone{{stroke:#036;stroke-width:1.5;stroke-dasharray:3 2}}g g:hover rect{{stroke:#000;stroke-width:1}}\
             text{{pointer-events:none}}</style>\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\
             <text x=\"{MARGIN}\" y=\"18\" font-size=\"13\" font-weight=\"bold\">{}</text>{}",
            escaped(&title),
            W::LEGEND,
        );
        for (row, frames) in self.rows.iter().enumerate() {
            // Writing to a string does not fail.
            let written = write!(
                out,
                "\n<g transform=\"translate(0 {})\">{frames}</g>",
                TOP + row * ROW_HEIGHT
            );
            debug_assert!(written.is_ok());
        }
        out + "\n</svg>\n"
    }
}

fn draw<W>(out: &mut String, frame: &Frame<'_, W>, name: &str, (fill, mark): (Fill, Mark), tip: &str) {
    let (left, width) = (frame.left, frame.width);
    // Writing to a string does not fail.
    let written = write!(
        out,
        "<g><title>{}: {}</title><rect x=\"{left:.1}\" width=\"{width:.1}\" height=\"{FRAME_HEIGHT}\" fill=\"{fill}\"{}/>",
        escaped(&cut(name, TIP_LETTERS_MAX)),
        escaped(tip),
        mark.class(),
    );
    debug_assert!(written.is_ok());
    // Both are below the width of the picture.
    let letters = ((width - 4.0) / LETTER_WIDTH).max(0.0) as usize;
    if letters >= LETTERS_MIN {
        let sign = mark.sign();
        let shown = escaped(&fitted(name, letters.saturating_sub(sign.chars().count())));
        let written = write!(out, "<text x=\"{:.1}\" y=\"12\">{sign}{shown}</text>", left + 3.0);
        debug_assert!(written.is_ok());
    }
    *out += "</g>";
}

/// As much of a name as fits: its path is left out first, as that of a package, then its end.
fn fitted(name: &str, letters: usize) -> String {
    if name.chars().count() <= letters {
        return name.to_owned();
    }
    // Slashes may stand between brackets too, where they part nothing.
    let end = name.find(['(', '[', '<', '{']).unwrap_or(name.len());
    let path = name.get(..end).and_then(|path| path.rfind('/'));
    let short = path.and_then(|slash| name.get(slash + 1..)).unwrap_or(name);
    if short.chars().count() <= letters {
        return short.to_owned();
    }
    cut(short, letters)
}

/// The beginning of a text, with a sign that there is more.
fn cut(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(letters.saturating_sub(1)).collect();
    cut.push('…');
    cut
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

#[cfg(test)]
mod tests {
    use super::{escaped, fitted};

    #[test]
    fn names_lose_their_path_before_their_end() {
        let name = "github.com/a/b.(*T[c/d.E]).Method";
        for (letters, shown) in [(40, name), (33, name), (20, "b.(*T[c/d.E]).Method"), (5, "b.(*…")] {
            assert_eq!(fitted(name, letters), shown);
        }
        assert_eq!(fitted("std::vec<a/b>::push", 8), "std::ve…");
    }

    #[test]
    fn a_name_is_no_markup() {
        assert_eq!(escaped("</svg><a b='\"&\u{1}"), "&lt;/svg&gt;&lt;a b=&#39;&quot;&amp; ");
    }
}
