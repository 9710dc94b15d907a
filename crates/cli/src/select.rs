//! What of a profile is looked at, by the options that several commands have.

use std::borrow::Cow;

use anyhow::Result;
use profile::filter::{Frames, Selection, TagFilter, Unmatched};
use profile::pattern::Pattern;
use profile::view::{self, View, ViewError};
use profile::{Limits, Profile, PruneError};

use crate::args::{FilterArgs, Labels, Named};
use crate::tell;

/// Bytes of a filter that are shown, as pprof shows them.
const SHOWN_BYTES_MAX: usize = 80;

/// The filters of a command line.
#[derive(Debug)]
pub(crate) struct Filters<'a> {
    args: &'a FilterArgs,
    selection: Selection,
}

/// What of a profile was wanted.
pub(crate) struct Selected<'p> {
    pub(crate) profile: Profile<'p>,
    /// What percentages of each sample type are of, where filters may have taken a part of it away.
    totals: Option<Vec<i64>>,
    unmatched: Vec<Unmatched>,
}

impl<'a> Filters<'a> {
    /// Those that were given. As in pprof an empty text is no filter.
    pub(crate) fn new(args: &'a FilterArgs) -> Self {
        let FilterArgs {
            focus,
            ignore,
            hide,
            show,
            show_from,
            prune_from,
            tag_focus,
            tag_ignore,
            tag_show,
            tag_hide,
            tag_root,
            tag_leaf,
        } = args;
        let pattern = |named: &Option<Named>| -> Option<Pattern> { given(named).map(|named| named.pattern.clone()) };
        let filter = |labels: &Option<Labels>| -> Option<TagFilter> {
            let labels = labels.as_ref().filter(|labels| !labels.text.is_empty())?;
            Some(labels.filter.clone())
        };
        let keys = |keys: &[String]| keys.iter().filter(|key| !key.is_empty()).cloned().collect();
        let selection = Selection {
            frames: Frames {
                focus: pattern(focus),
                ignore: pattern(ignore),
                hide: pattern(hide),
                show: pattern(show),
            },
            show_from: pattern(show_from),
            tag_focus: filter(tag_focus),
            tag_ignore: filter(tag_ignore),
            tag_show: pattern(tag_show),
            tag_hide: pattern(tag_hide),
            prune_from: pattern(prune_from),
            tag_root: keys(tag_root),
            tag_leaf: keys(tag_leaf),
            ..Selection::default()
        };
        for (option, labels, filter) in [
            ("tag-focus", tag_focus, &selection.tag_focus),
            ("tag-ignore", tag_ignore, &selection.tag_ignore),
        ] {
            if let (Some(labels), Some(true)) = (labels, filter.as_ref().map(TagFilter::is_range)) {
                let text = &labels.text;
                tell(&format!(
                    "kubectl-profile: --{option} {text:?} is read as a range of numbers, not as a regular expression"
                ));
            }
        }
        Self { args, selection }
    }

    /// Whether nothing is taken away.
    fn is_empty(&self) -> bool {
        let Selection {
            frames:
                Frames {
                    focus,
                    ignore,
                    hide,
                    show,
                },
            show_from,
            tag_focus,
            tag_ignore,
            tag_show,
            tag_hide,
            prune_from,
            tag_root,
            tag_leaf,
            unit: _,
        } = &self.selection;
        let patterns = [focus, ignore, hide, show, show_from, tag_show, tag_hide, prune_from];
        let filters = [tag_focus, tag_ignore];
        let keys = [tag_root, tag_leaf];
        patterns.into_iter().all(Option::is_none)
            && filters.into_iter().all(Option::is_none)
            && keys.into_iter().all(Vec::is_empty)
    }

    /// Takes away what is not wanted, after what the profile itself calls uninteresting.
    pub(crate) fn apply<'p>(&self, mut profile: Profile<'p>) -> Result<Selected<'p>> {
        if self.is_empty() {
            return Ok(Selected {
                profile,
                totals: None,
                unmatched: Vec::new(),
            });
        }
        if let Err(error) = profile.remove_uninteresting() {
            tell_unusable(&error);
        }
        let types = 0..profile.header().sample_types.len();
        let totals = types.map(|index| view::total(&profile, index)).collect();
        let unmatched = self.selection.apply(&mut profile, &Limits::DEFAULT)?;
        Ok(Selected {
            profile,
            totals: Some(totals),
            unmatched,
        })
    }

    /// Tells the person of filters that matched nothing in any of the profiles.
    pub(crate) fn warn(&self, all: &[&Selected<'_>]) {
        let Some((first, others)) = all.split_first() else {
            return;
        };
        let in_none = |filter: &&Unmatched| others.iter().all(|other| other.unmatched.contains(*filter));
        for unmatched in first.unmatched.iter().filter(in_none) {
            let (option, text) = self.option(*unmatched);
            tell(&format!("kubectl-profile: --{option} {text:?} matched nothing"));
        }
    }

    /// What a filter is called on the command line, and what was given for it.
    fn option(&self, filter: Unmatched) -> (&'static str, Cow<'_, str>) {
        let args = self.args;
        let text = |named: &'a Option<Named>| named.as_ref().map_or("", |named| &named.text).into();
        let labels = |labels: &'a Option<Labels>| labels.as_ref().map_or("", |labels| &labels.text).into();
        match filter {
            Unmatched::TagRoot => ("tag-root", args.tag_root.join(",").into()),
            Unmatched::TagLeaf => ("tag-leaf", args.tag_leaf.join(",").into()),
            Unmatched::Focus => ("focus", text(&args.focus)),
            Unmatched::Ignore => ("ignore", text(&args.ignore)),
            Unmatched::Hide => ("hide", text(&args.hide)),
            Unmatched::Show => ("show", text(&args.show)),
            Unmatched::ShowFrom => ("show-from", text(&args.show_from)),
            Unmatched::TagFocus => ("tag-focus", labels(&args.tag_focus)),
            Unmatched::TagIgnore => ("tag-ignore", labels(&args.tag_ignore)),
            Unmatched::TagShow => ("tag-show", text(&args.tag_show)),
            Unmatched::TagHide => ("tag-hide", text(&args.tag_hide)),
        }
    }

    /// What pprof says of filters before a report, in its words; it says nothing of some.
    pub(crate) fn legend(&self) -> Vec<String> {
        let args = self.args;
        let pattern = |named: &'a Option<Named>| given(named).map(|named| named.text.as_str());
        let labels = |labels: &'a Option<Labels>| labels.as_ref().map(|labels| labels.text.as_str());
        let all = [
            ("focus", pattern(&args.focus)),
            ("ignore", pattern(&args.ignore)),
            ("hide", pattern(&args.hide)),
            ("show", pattern(&args.show)),
            ("show_from", pattern(&args.show_from)),
            ("tagfocus", labels(&args.tag_focus)),
            ("tagignore", labels(&args.tag_ignore)),
            ("tagshow", pattern(&args.tag_show)),
            ("taghide", pattern(&args.tag_hide)),
        ];
        let line = |(name, text): (&str, Option<&str>)| {
            let text = text.filter(|text| !text.is_empty())?;
            Some(format!("   {}", cut(format!("{name}={text}"))))
        };
        let mut lines: Vec<_> = all.into_iter().filter_map(line).collect();
        if !lines.is_empty() {
            lines.insert(0, "Active filters:".to_owned());
        }
        lines
    }
}

impl<'p> Selected<'p> {
    /// A sample type of it, with percentages of the whole profile.
    pub(crate) fn view(&'p self, index: usize) -> Result<View<'p>, ViewError> {
        let view = view(&self.profile, index)?;
        Ok(match self.total(index) {
            Some(total) => view.with_total(total),
            None => view,
        })
    }

    /// What percentages of a sample type are of, where filters may have taken a part of it away.
    pub(crate) fn total(&self, index: usize) -> Option<i64> {
        self.totals.as_ref()?.get(index).copied()
    }
}

/// A sample type of a profile; tells the person where the profile's own patterns of frames are of no use.
pub(crate) fn view<'p>(profile: &'p Profile<'p>, index: usize) -> Result<View<'p>, ViewError> {
    let view = View::new(profile, index)?;
    if let Some(error) = view.unusable() {
        tell_unusable(error);
    }
    Ok(view)
}

/// What pprof does too, without a word.
fn tell_unusable(error: &PruneError) {
    let source = &error.source;
    tell(&format!("kubectl-profile: no frames are cut off: {error}: {source}"));
}

fn given(named: &Option<Named>) -> Option<&Named> {
    named.as_ref().filter(|named| !named.text.is_empty())
}

/// A filter as far as it is shown, in whole letters.
fn cut(text: String) -> String {
    match text.get(..text.floor_char_boundary(SHOWN_BYTES_MAX)) {
        Some(shown) if shown.len() < text.len() => format!("{shown}…"),
        _ => text,
    }
}
