//! Frames that are cut off the leaves of stacks: what a profile itself calls uninteresting (its allocator's and its
//! profiler's), and what people call so.

use crate::model::{Line, Location, Profile, StringId};
use crate::pattern::{Pattern, PatternError};

/// A profile's own pattern of frames is of no use.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the profile's pattern of frames to {which} is not usable")]
pub struct PruneError {
    /// "drop" or "keep".
    pub which: &'static str,
    /// What is wrong with it.
    pub source: PatternError,
}

/// What is cut, by location.
#[derive(Debug, Default)]
pub(crate) struct Prune {
    cuts: Vec<Cut>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Nothing,
    /// So many of the innermost lines.
    Lines(u32),
    /// The location, with all lines.
    All,
}

impl Prune {
    /// What the profile's own patterns say, unless that is done already.
    pub(crate) fn of(profile: &Profile<'_>) -> Result<Self, PruneError> {
        let (drop, keep) = (profile.header.drop_frames, profile.header.keep_frames);
        let pattern = |id: StringId, which| {
            let text = profile.strings.get(id);
            let compiled = (!text.is_empty()).then(|| Pattern::whole(text)).transpose();
            compiled.map_err(|source| PruneError { which, source })
        };
        if profile.is_pruned {
            return Ok(Self::default());
        }
        match pattern(drop, "drop")? {
            None => Ok(Self::default()),
            Some(drop) => Ok(Self::new(profile, &drop, pattern(keep, "keep")?.as_ref())),
        }
    }

    fn new(profile: &Profile<'_>, drop: &Pattern, keep: Option<&Pattern>) -> Self {
        let mut names = Names::new(profile, |name| {
            drop.is_match(name) && !keep.is_some_and(|keep| keep.is_match(name))
        });
        let cut = |location: &Location| {
            let lines = profile.lines_of(location);
            match lines.iter().rposition(|line| names.matches(line)) {
                None => Cut::Nothing,
                Some(at) if at + 1 == lines.len() => Cut::All,
                // Not more than there are lines.
                Some(at) => Cut::Lines(at as u32 + 1),
            }
        };
        let mut cuts: Vec<_> = profile.locations.iter().map(cut).collect();
        // Most patterns match nothing, and no stack has to be looked at.
        if cuts.iter().all(|cut| *cut == Cut::Nothing) {
            cuts.clear();
        }
        Self { cuts }
    }

    fn cut(&self, location: usize) -> Cut {
        self.cuts.get(location).copied().unwrap_or(Cut::Nothing)
    }

    /// How many of the innermost lines of a location are cut wherever it stands.
    pub(crate) fn lines_cut(&self, location: usize) -> usize {
        match self.cut(location) {
            Cut::Lines(lines) => lines as usize,
            // A location that is cut as a whole is shown in full where the stack begins with it.
            Cut::Nothing | Cut::All => 0,
        }
    }

    /// What is left of a stack, leaf first. Frames are dropped only below the outermost that is not to be dropped, or
    /// nothing might be left.
    pub(crate) fn kept<'s>(&self, stack: &'s [u32]) -> &'s [u32] {
        if self.cuts.is_empty() {
            return stack;
        }
        let mut found_user = false;
        for (index, location) in stack.iter().enumerate().rev() {
            match self.cut(*location as usize) {
                Cut::Nothing => found_user = true,
                Cut::All if found_user => return stack.get(index + 1..).unwrap_or_default(),
                Cut::Lines(_) if found_user => return stack.get(index..).unwrap_or_default(),
                Cut::All | Cut::Lines(_) => {}
            }
        }
        stack
    }
}

/// Which functions a pattern means, by their simplified names; each name is looked at once.
struct Names<'p, M> {
    profile: &'p Profile<'p>,
    /// By the name's place among the strings: a name may be long, and stand in very many lines.
    known: Vec<Option<bool>>,
    matches: M,
}

impl<'p, M: FnMut(&[u8]) -> bool> Names<'p, M> {
    fn new(profile: &'p Profile<'_>, matches: M) -> Self {
        Self {
            profile,
            known: vec![None; profile.strings.len()],
            matches,
        }
    }

    /// Whether a line is in such a function. One without a name never is.
    fn matches(&mut self, line: &Line) -> bool {
        let function = self.profile.functions.get(line.function as usize);
        let name = function.map_or(StringId::EMPTY, |function| function.name);
        let text = self.profile.strings.get(name);
        let matches = &mut self.matches;
        let known = self.known.get_mut(name.0 as usize);
        !text.is_empty() && known.is_some_and(|known| *known.get_or_insert_with(|| matches(simplified(text))))
    }
}

impl Profile<'_> {
    /// Cuts the frames that match `drop` and not `keep`, with all that they called, off the leaves of the stacks, but not
    /// if the stack has nothing else above them. Patterns are of names without arguments.
    pub fn prune(&mut self, drop: &Pattern, keep: Option<&Pattern>) {
        let prune = Prune::new(self, drop, keep);
        self.apply(&prune);
    }

    /// Cuts off the frames that the profile itself calls uninteresting, as every view of pprof does first: those that
    /// match its drop frames as a whole and not its keep frames. A second time does nothing.
    ///
    /// # Errors
    /// When one of the patterns is of no use. Nothing is cut then, which is what pprof does, without a word.
    pub fn remove_uninteresting(&mut self) -> Result<(), PruneError> {
        let prune = Prune::of(self);
        self.is_pruned = true;
        self.apply(&prune?);
        Ok(())
    }

    fn apply(&mut self, prune: &Prune) {
        for (location, cut) in self.locations.iter_mut().zip(&prune.cuts) {
            if let Cut::Lines(lines) = cut {
                location.lines_begin += lines;
            }
        }
        if prune.cuts.is_empty() {
            return;
        }
        let types = self.header.sample_types.len();
        self.samples = self.samples.with_stacks(types, |sample, stack| {
            stack.extend_from_slice(prune.kept(sample.stack));
            true
        });
    }

    /// Cuts off all that the innermost frames that match called, but not these themselves. The pattern is of names without
    /// arguments.
    pub fn prune_from(&mut self, from: &Pattern) {
        let cuts: Vec<_> = {
            let mut names = Names::new(self, |name| from.is_match(name));
            let innermost = |location: &Location| self.lines_of(location).iter().position(|line| names.matches(line));
            self.locations.iter().map(innermost).collect()
        };
        for (location, cut) in self.locations.iter_mut().zip(&cuts) {
            // Not more than there are lines.
            location.lines_begin += cut.unwrap_or(0) as u32;
        }
        let types = self.header.sample_types.len();
        self.samples = self.samples.with_stacks(types, |sample, stack| {
            let is_cut = |location: &u32| cuts.get(*location as usize).copied().flatten().is_some();
            let begin = sample.stack.iter().position(is_cut).unwrap_or(0);
            stack.extend_from_slice(sample.stack.get(begin..).unwrap_or_default());
            true
        });
    }
}

/// A name without its arguments, as patterns are written for.
fn simplified(name: &[u8]) -> &[u8] {
    const RESERVED: [&[u8]; 2] = [b"(anonymous namespace)", b"operator()"];
    let name = name.strip_prefix(b".").unwrap_or(name);
    let mut at = 0;
    while let Some(rest) = name.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(reserved) = RESERVED.iter().find(|reserved| rest.starts_with(reserved)) {
            at += reserved.len();
        } else if rest.starts_with(b"(") {
            return name.get(..at).unwrap_or_default();
        } else {
            at += 1;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::simplified;

    #[test]
    fn names_lose_their_arguments_and_nothing_else() {
        for (name, simple) in [
            ("main.main", "main.main"),
            (".foo", "foo"),
            ("f(int, char)", "f"),
            ("(anonymous namespace)::f(int)", "(anonymous namespace)::f"),
            ("A::operator()(int) const", "A::operator()"),
            ("main.(*T).m", "main."),
        ] {
            assert_eq!(simplified(name.as_bytes()), simple.as_bytes());
        }
    }
}
