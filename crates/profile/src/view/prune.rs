//! The frames that a profile itself calls uninteresting: what its allocator or its profiler does.

use hashbrown::HashMap;
use regex::bytes::{Regex, RegexBuilder};

use super::ViewError;
use crate::model::{Profile, StringId};

/// Memory that a compiled pattern may take. 1 MiB: the longest in use, that of the C++ heap profiler, takes 150 KB.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What is cut, by location.
#[derive(Debug, Default)]
pub(super) struct Prune {
    cuts: Vec<Cut>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Nothing,
    /// So many of the innermost lines.
    Lines(usize),
    /// The location, with all lines.
    All,
}

impl Prune {
    pub(super) fn new(profile: &Profile<'_>) -> Result<Self, ViewError> {
        let header = &profile.header;
        if header.drop_frames == StringId::EMPTY || profile.strings.get(header.drop_frames).is_empty() {
            return Ok(Self::default());
        }
        let drop = pattern(&profile.strings.text(header.drop_frames), "drop")?;
        let keep = match profile.strings.get(header.keep_frames) {
            b"" => None,
            _ => Some(pattern(&profile.strings.text(header.keep_frames), "keep")?),
        };
        let mut known: HashMap<&[u8], bool> = HashMap::new();
        let mut drops = |name| {
            *known.entry(name).or_insert_with(|| {
                let name = simplified(name);
                drop.is_match(name) && !keep.as_ref().is_some_and(|keep| keep.is_match(name))
            })
        };
        let cut = |location| {
            let lines = profile.lines_of(location);
            let dropped = lines.iter().rposition(|line| {
                let function = profile.functions.get(line.function as usize);
                let name = function.map_or(StringId::EMPTY, |function| function.name);
                let name = profile.strings.get(name);
                !name.is_empty() && drops(name)
            });
            match dropped {
                None => Cut::Nothing,
                Some(at) if at + 1 == lines.len() => Cut::All,
                Some(at) => Cut::Lines(at + 1),
            }
        };
        Ok(Self {
            cuts: profile.locations.iter().map(cut).collect(),
        })
    }

    fn cut(&self, location: usize) -> Cut {
        self.cuts.get(location).copied().unwrap_or(Cut::Nothing)
    }

    /// How many of the innermost lines of a location are cut wherever it stands.
    pub(super) fn lines_cut(&self, location: usize) -> usize {
        match self.cut(location) {
            Cut::Lines(lines) => lines,
            // A location that is cut as a whole is shown in full where the stack begins with it.
            Cut::Nothing | Cut::All => 0,
        }
    }

    /// What is left of a stack, leaf first. Frames are dropped only below the outermost that is not to be dropped, or
    /// nothing might be left.
    pub(super) fn kept<'s>(&self, stack: &'s [u32]) -> &'s [u32] {
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

fn pattern(pattern: &str, which: &'static str) -> Result<Regex, ViewError> {
    let whole = format!("^({pattern})$");
    let compiled = RegexBuilder::new(&whole).size_limit(PATTERN_BYTES_MAX).build();
    compiled.map_err(|source| ViewError::Pattern { which, source })
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
