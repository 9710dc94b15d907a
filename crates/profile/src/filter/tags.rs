//! Samples by what their labels say, and labels by their names.

use hashbrown::HashMap;

use crate::model::{Label, LabelValue, Profile, Sample};
use crate::pattern::{Pattern, PatternError};
use crate::view::units::Scaler;

/// What labels of a sample have to say, written as pprof's `-tagfocus` and `-tagignore`.
///
/// `key=…` looks at the labels of that key only, without it all are looked at. What follows is a range of numbers with
/// their unit (`128kb`, `128kb:`, `:1s`, `1kb:1mb`), which the numbers of the labels must be in, converted; or patterns
/// separated by commas. With a key one of them must match a text of that key; without one, each must match some `key:text`.
#[derive(Debug, Clone)]
pub struct TagFilter {
    key: Option<Vec<u8>>,
    wanted: Wanted,
}

#[derive(Debug, Clone)]
enum Wanted {
    Range(Range),
    Texts(Vec<Pattern>),
}

/// Numbers in a unit, the ends included.
#[derive(Debug, Clone, PartialEq)]
struct Range {
    low: f64,
    high: f64,
    unit: String,
}

/// Which filters were true of any sample. Where there was none to focus on, all were in focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TagsMatched {
    /// The filter to focus on.
    pub focus: bool,
    /// The filter to ignore.
    pub ignore: bool,
}

/// Which patterns matched the name of any label. Where there was none to show, all were shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LabelsMatched {
    /// The pattern to show.
    pub show: bool,
    /// The pattern to hide.
    pub hide: bool,
}

/// The unit of the numbers under each key.
#[derive(Debug, Clone, Default)]
pub struct NumberUnits {
    by_key: HashMap<Vec<u8>, String>,
}

impl TagFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// When one of the patterns is of no use.
    pub fn new(filter: &str) -> Result<Self, PatternError> {
        let (key, value) = match filter.split_once('=') {
            Some((key, value)) => (Some(key).filter(|key| !key.is_empty()), value),
            None => (None, filter),
        };
        let wanted = match Range::read(value) {
            Some(range) => Wanted::Range(range),
            None => {
                let patterns = value.split(',').map(|pattern| Pattern::new(pattern.as_bytes()));
                Wanted::Texts(patterns.collect::<Result<_, _>>()?)
            }
        };
        Ok(Self {
            key: key.map(|key| key.as_bytes().to_vec()),
            wanted,
        })
    }

    /// Whether it is a range of numbers: what looks like one is never a pattern.
    pub fn is_range(&self) -> bool {
        matches!(self.wanted, Wanted::Range(_))
    }

    fn matches(&self, profile: &Profile<'_>, sample: Sample<'_>, numbers: &NumberUnits) -> bool {
        let key = |label: &Label| profile.strings.get(label.key);
        let mut labels = sample
            .labels
            .iter()
            .filter(|label| self.key.as_deref().is_none_or(|wanted| wanted == key(label)));
        match &self.wanted {
            Wanted::Range(range) => labels.any(|label| match label.value {
                LabelValue::Number(number, _) => range.contains(number, numbers.of(key(label))),
                LabelValue::Text(_) => false,
            }),
            Wanted::Texts(patterns) => {
                let text = |label: &'_ Label| match label.value {
                    LabelValue::Text(text) => Some(profile.strings.get(text)),
                    LabelValue::Number(..) => None,
                };
                if self.key.is_some() {
                    return labels
                        .filter_map(text)
                        .any(|text| patterns.iter().any(|pattern| pattern.is_match(text)));
                }
                let both = |label: &Label| text(label).map(|text| [key(label), text].join(&b':'));
                let both: Vec<_> = labels.filter_map(both).collect();
                let matches = |pattern: &Pattern| both.iter().any(|text| pattern.is_match(text));
                patterns.iter().all(matches)
            }
        }
    }
}

impl Range {
    /// `None` when it is no range.
    fn read(text: &str) -> Option<Self> {
        let (before, low, after) = number(text)?;
        let (value, name) = Scaler::new(low.1, low.1).scaled(low.0);
        let ends = match (before, after) {
            ("", "") => (value, value),
            ("", ":") => (value, f64::INFINITY),
            (":", "") => (f64::NEG_INFINITY, value),
            ("", after) => {
                let (between, high, "") = number(after)? else {
                    return None;
                };
                let (high, high_name) = Scaler::new(high.1, name).scaled(high.0);
                (between == ":" && high_name == name).then_some((value, high))?
            }
            _ => return None,
        };
        Some(Self {
            low: ends.0,
            high: ends.1,
            unit: name.to_owned(),
        })
    }

    fn contains(&self, number: i64, unit: &str) -> bool {
        let (value, unit) = Scaler::new(unit, &self.unit).scaled(number);
        unit == self.unit && (self.low..=self.high).contains(&value)
    }
}

/// The first number with its unit in a text, and what is before and behind it. `None` too when it does not fit, where pprof
/// crashes.
fn number(text: &str) -> Option<(&str, (i64, &str), &str)> {
    let digits = text.find(|c: char| c.is_ascii_digit())?;
    let (before, _) = text.split_at_checked(digits)?;
    let before = before.strip_suffix(['+', '-']).unwrap_or(before);
    let rest = text.get(digits..)?;
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let after = rest.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let value = text.get(before.len()..text.len() - rest.len())?.parse().ok()?;
    Some((before, (value, rest.strip_suffix(after)?), after))
}

impl NumberUnits {
    /// The unit of a key's numbers; empty for a key that was never seen.
    pub fn of(&self, key: &[u8]) -> &str {
        self.by_key.get(key).map_or("", String::as_str)
    }
}

impl Profile<'_> {
    /// The unit of the numeric labels of each key: the first that is given for any; else bytes for what allocators
    /// report, else the key is the unit.
    pub fn number_units(&self) -> NumberUnits {
        let mut by_key: HashMap<&[u8], &[u8]> = HashMap::new();
        for label in &self.samples.labels {
            if let LabelValue::Number(_, unit) = label.value {
                let known = by_key.entry(self.strings.get(label.key)).or_default();
                if known.is_empty() {
                    *known = unit.map_or(&[][..], |unit| self.strings.get(unit));
                }
            }
        }
        let named = |(key, unit): (&[u8], &[u8])| {
            let unit = match (key, unit) {
                (b"alignment" | b"request", b"") => b"bytes",
                (key, b"") => key,
                (_, unit) => unit,
            };
            (key.to_vec(), String::from_utf8_lossy(unit).into_owned())
        };
        NumberUnits {
            by_key: by_key.into_iter().map(named).collect(),
        }
    }

    /// Keeps the samples whose labels are in focus and not to be ignored. The units are those of the whole profile, from
    /// before any of its samples were taken away.
    pub fn filter_samples_by_tag(
        &mut self,
        focus: Option<&TagFilter>,
        ignore: Option<&TagFilter>,
        units: &NumberUnits,
    ) -> TagsMatched {
        let mut matched = TagsMatched::default();
        let choose = |sample| {
            let focused = focus.is_none_or(|focus| focus.matches(self, sample, units));
            let ignored = ignore.is_some_and(|ignore| ignore.matches(self, sample, units));
            matched.focus |= focused;
            matched.ignore |= ignored;
            focused && !ignored
        };
        let kept: Vec<_> = self.samples().map(choose).collect();
        self.keep_samples(&kept);
        matched
    }

    /// Keeps the labels whose names match `show` and not `hide`.
    pub fn filter_labels(&mut self, show: Option<&Pattern>, hide: Option<&Pattern>) -> LabelsMatched {
        let mut matched = LabelsMatched::default();
        let mut known: HashMap<&[u8], (bool, bool)> = HashMap::new();
        let strings = &self.strings;
        self.samples.retain_labels(|label| {
            let key = strings.get(label.key);
            let (shown, hidden) = *known.entry(key).or_insert_with(|| {
                let shown = show.is_none_or(|show| show.is_match(key));
                (shown, hide.is_some_and(|hide| hide.is_match(key)))
            });
            matched.show |= shown;
            matched.hide |= hidden;
            shown && !hidden
        });
        matched
    }
}

#[cfg(test)]
mod tests {
    use super::{Range, TagFilter};

    #[test]
    fn ranges_are_told_from_patterns() {
        for (text, low, high, unit) in [
            ("128kb", 128.0, 128.0, "kB"),
            ("128", 128.0, 128.0, ""),
            ("+1kb:1mb", 1.0, 1024.0, "kB"),
            ("-5:", -5.0, f64::INFINITY, ""),
            (":2seconds", f64::NEG_INFINITY, 2.0, "s"),
            ("3apples:4apples", 3.0, 4.0, "apples"),
        ] {
            let unit = unit.to_owned();
            assert_eq!(Range::read(text), Some(Range { low, high, unit }), "{text}");
        }
        for text in ["", "kb", "a1", "1b:2s", "1:2:3", "1..2", "99999999999999999999", "1:kb"] {
            assert_eq!(Range::read(text), None, "{text}");
        }
        assert!(TagFilter::new("bytes=1kb:").unwrap().is_range());
        assert!(!TagFilter::new("tenant=blue,red").unwrap().is_range());
        assert!(TagFilter::new("tenant=(").is_err());
    }

    #[test]
    fn numbers_are_compared_in_their_unit() {
        let range = Range::read("1kb:2kb").unwrap();
        assert!(range.contains(1024, "bytes") && range.contains(2, "kilobytes") && !range.contains(2049, "bytes"));
        assert!(!range.contains(1, "seconds"));
        // What does not convert is taken as it stands, as pprof does.
        assert!(range.contains(1, "") && range.contains(1, "apples"));
    }
}
