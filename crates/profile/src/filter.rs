//! What people do not want to see taken away: samples by their frames and labels, frames, and labels.
//!
//! Each function is google/pprof's of the same purpose; [`Selection`] is all of them in the order of pprof's options.
//! Nothing is compacted: what no sample uses any more stays until [`Profile::compact`].

use crate::model::{Line, Location, Profile, StringId};
use crate::pattern::Pattern;

mod groups;
mod selection;
mod tags;

pub use groups::GroupsMatched;
pub use selection::{Selection, Unmatched};
pub use tags::{LabelsMatched, NumberUnits, TagFilter, TagsMatched};

/// Patterns of frames. A frame is meant by the name or the file of its function, or the file of its mapping.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    /// Only samples with such a frame are kept.
    pub focus: Option<Pattern>,
    /// Samples with such a frame are not kept.
    pub ignore: Option<Pattern>,
    /// Such frames are taken out of the stacks.
    pub hide: Option<Pattern>,
    /// Only such frames are left in the stacks.
    pub show: Option<Pattern>,
}

/// Which patterns matched anything. Where there was no pattern to focus on, everything matched it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FramesMatched {
    /// The pattern to focus on.
    pub focus: bool,
    /// The pattern to ignore.
    pub ignore: bool,
    /// The pattern to hide.
    pub hide: bool,
    /// The pattern to show.
    pub show: bool,
}

impl Profile<'_> {
    /// Keeps the samples that have a frame to focus on and none to ignore, without the frames to hide and those not to
    /// show. A sample of which no frame is left is not kept, nor is one without a stack.
    pub fn filter_frames(&mut self, frames: &Frames) -> FramesMatched {
        let Frames {
            focus,
            ignore,
            hide,
            show,
        } = frames;
        if focus.is_none() && ignore.is_none() && hide.is_none() && show.is_none() {
            return FramesMatched {
                focus: true,
                ..FramesMatched::default()
            };
        }
        let mut matched = FramesMatched::default();
        let chosen = self.chosen(frames, &mut matched);
        let hidden = self.hidden(frames, &mut matched);
        let types = self.header.sample_types.len();
        let of = |column: &[Choice], location: &u32| column.get(*location as usize).copied().unwrap_or_default();
        let is_hidden = |location: &u32| hidden.get(*location as usize) == Some(&true);
        let some_hidden = hidden.contains(&true);
        self.samples = self.samples.with_stacks(types, |sample, stack| {
            let mut focused = false;
            for location in sample.stack {
                match of(&chosen, location) {
                    Choice::Ignored => return false,
                    Choice::Focused => focused = true,
                    Choice::Neither => {}
                }
            }
            let begin = stack.len();
            stack.extend(sample.stack.iter().filter(|location| !is_hidden(location)));
            focused && !(some_hidden && stack.len() == begin)
        });
        matched
    }

    /// Which locations decide about the samples that they stand in.
    fn chosen(&self, frames: &Frames, matched: &mut FramesMatched) -> Vec<Choice> {
        let focus = frames.focus.as_ref().map(|focus| Meant::by(focus, self));
        let ignore = frames.ignore.as_ref().map(|ignore| Meant::by(ignore, self));
        let choose = |location: &Location| {
            if ignore.as_ref().is_some_and(|ignore| ignore.location(self, location)) {
                matched.ignore = true;
                Choice::Ignored
            } else if focus.as_ref().is_none_or(|focus| focus.location(self, location)) {
                matched.focus = true;
                Choice::Focused
            } else {
                Choice::Neither
            }
        };
        self.locations.iter().map(choose).collect()
    }

    /// Takes lines out of the locations, and says of which nothing is left.
    fn hidden(&mut self, frames: &Frames, matched: &mut FramesMatched) -> Vec<bool> {
        if frames.hide.is_none() && frames.show.is_none() {
            return Vec::new();
        }
        let hide = frames.hide.as_ref().map(|hide| Meant::by(hide, self));
        let show = frames.show.as_ref().map(|show| Meant::by(show, self));
        let mut lines = Vec::with_capacity(self.lines.len());
        let mut ranges = Vec::with_capacity(self.locations.len());
        let mut hidden = Vec::with_capacity(self.locations.len());
        for location in &self.locations {
            let begin = lines.len();
            let mut is_hidden = false;
            lines.extend_from_slice(self.lines_of(location));
            if let Some(hide) = hide.as_ref().filter(|hide| hide.location(self, location)) {
                matched.hide = true;
                let is_left = |line: &Line| !hide.mapping(location) && !hide.line(line);
                retain_from(&mut lines, begin, is_left);
                is_hidden = lines.len() == begin;
            }
            if let Some(show) = &show {
                let is_left = |line: &Line| show.mapping(location) || show.line(line);
                retain_from(&mut lines, begin, is_left);
                let has_some = lines.len() > begin;
                matched.show |= has_some;
                is_hidden |= !has_some;
            }
            // Not more lines than there were.
            ranges.push((begin as u32, lines.len() as u32));
            hidden.push(is_hidden);
        }
        for (location, (begin, end)) in self.locations.iter_mut().zip(ranges) {
            (location.lines_begin, location.lines_end) = (begin, end);
        }
        self.lines = lines;
        hidden
    }

    /// Cuts off all frames above the outermost one that matches, and leaves out the samples that have none; says whether
    /// any frame matched.
    pub fn show_from(&mut self, from: &Pattern) -> bool {
        let meant = Meant::by(from, self);
        // How many of the innermost lines are left of each location; `None` where it does not match.
        let matching = |location: &Location| {
            let lines = self.lines_of(location);
            if meant.mapping(location) {
                return Some(lines.len());
            }
            lines.iter().rposition(|line| meant.line(line)).map(|at| at + 1)
        };
        let left: Vec<_> = self.locations.iter().map(matching).collect();
        for (location, left) in self.locations.iter_mut().zip(&left) {
            if let Some(left) = left {
                // Not more than there were.
                location.lines_end = location.lines_begin + *left as u32;
            }
        }
        let types = self.header.sample_types.len();
        let matches = |location: &u32| left.get(*location as usize).copied().flatten().is_some();
        self.samples = self.samples.with_stacks(types, |sample, stack| {
            let outermost = sample.stack.iter().rposition(matches);
            let kept = outermost.and_then(|outermost| sample.stack.get(..=outermost));
            stack.extend_from_slice(kept.unwrap_or_default());
            kept.is_some()
        });
        left.iter().any(Option::is_some)
    }
}

/// What a location says about the samples that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Choice {
    #[default]
    Neither,
    Focused,
    Ignored,
}

/// The functions and mappings that a pattern means: it looks at each name once, not at each frame.
struct Meant {
    functions: Vec<bool>,
    mappings: Vec<bool>,
}

impl Meant {
    fn by(pattern: &Pattern, profile: &Profile<'_>) -> Self {
        let mut known: Vec<Option<bool>> = vec![None; profile.strings.len()];
        let mut matches = |string: StringId| match known.get_mut(string.0 as usize) {
            Some(known) => *known.get_or_insert_with(|| pattern.is_match(profile.strings.get(string))),
            None => false,
        };
        Self {
            functions: profile
                .functions
                .iter()
                .map(|function| matches(function.name) || matches(function.file))
                .collect(),
            mappings: profile.mappings.iter().map(|mapping| matches(mapping.file)).collect(),
        }
    }

    fn line(&self, line: &Line) -> bool {
        self.functions.get(line.function as usize) == Some(&true)
    }

    fn mapping(&self, location: &Location) -> bool {
        let mapping = location.mapping.and_then(|mapping| self.mappings.get(mapping as usize));
        mapping == Some(&true)
    }

    fn location(&self, profile: &Profile<'_>, location: &Location) -> bool {
        self.mapping(location) || profile.lines_of(location).iter().any(|line| self.line(line))
    }
}

/// Drops those of the last elements, from `begin` on, to which `is_left` says no.
fn retain_from(lines: &mut Vec<Line>, begin: usize, is_left: impl Fn(&Line) -> bool) {
    let mut end = begin;
    for at in begin..lines.len() {
        if lines.get(at).is_some_and(&is_left) {
            lines.swap(end, at);
            end += 1;
        }
    }
    lines.truncate(end);
}
