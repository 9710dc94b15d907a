//! All filters together.

use super::{Frames, TagFilter};
use crate::limits::{LimitExceeded, Limits};
use crate::model::Profile;
use crate::pattern::Pattern;
use crate::view::units;

/// What of a profile is wanted, by all filters together.
///
/// They are pprof's options `-tagroot`, `-tagleaf`, `-focus`, `-ignore`, `-hide`, `-show`, `-show_from`, `-tagfocus`,
/// `-tagignore`, `-tagshow`, `-taghide` and `-prune_from`, and come in its order. pprof cuts off the frames that a profile
/// itself calls uninteresting before any of them: call [`Profile::remove_uninteresting`] first, where its reports are
/// wanted. Percentages of pprof are of the whole profile: take its total first, and give it to
/// [`View::with_total`](crate::view::View::with_total).
#[derive(Debug, Clone)]
pub struct Selection {
    /// Patterns of frames.
    pub frames: Frames,
    /// Frames above the outermost one that matches are cut off, samples without one left out.
    pub show_from: Option<Pattern>,
    /// Only samples with such labels are kept.
    pub tag_focus: Option<TagFilter>,
    /// Samples with such labels are not kept.
    pub tag_ignore: Option<TagFilter>,
    /// Only labels with such names are kept.
    pub tag_show: Option<Pattern>,
    /// Labels with such names are not kept.
    pub tag_hide: Option<Pattern>,
    /// Frames below the innermost one that matches are cut off.
    pub prune_from: Option<Pattern>,
    /// Keys of labels that become frames above the roots, the outermost first.
    pub tag_root: Vec<String>,
    /// Keys of labels that become frames below the leaves, the outermost first.
    pub tag_leaf: Vec<String>,
    /// The unit of numbers that become frames.
    pub unit: String,
}

impl Default for Selection {
    /// Everything.
    fn default() -> Self {
        Self {
            frames: Frames::default(),
            show_from: None,
            tag_focus: None,
            tag_ignore: None,
            tag_show: None,
            tag_hide: None,
            prune_from: None,
            tag_root: Vec::new(),
            tag_leaf: Vec::new(),
            unit: units::AUTO.to_owned(),
        }
    }
}

/// A filter that matched nothing: most likely a mistake, for which people want an explanation of what they see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched {
    /// [`Selection::tag_root`].
    TagRoot,
    /// [`Selection::tag_leaf`].
    TagLeaf,
    /// [`Frames::focus`].
    Focus,
    /// [`Frames::ignore`].
    Ignore,
    /// [`Frames::hide`].
    Hide,
    /// [`Frames::show`].
    Show,
    /// [`Selection::show_from`].
    ShowFrom,
    /// [`Selection::tag_focus`].
    TagFocus,
    /// [`Selection::tag_ignore`].
    TagIgnore,
    /// [`Selection::tag_show`].
    TagShow,
    /// [`Selection::tag_hide`].
    TagHide,
}

impl Selection {
    /// Takes away what is not wanted, and tells which filters matched nothing.
    ///
    /// # Errors
    /// When frames made of labels would exceed a limit.
    pub fn apply(&self, profile: &mut Profile<'_>, limits: &Limits) -> Result<Vec<Unmatched>, LimitExceeded> {
        let Self {
            frames,
            show_from,
            tag_focus,
            tag_ignore,
            tag_show,
            tag_hide,
            prune_from,
            tag_root,
            tag_leaf,
            unit,
        } = self;
        let root: Vec<_> = tag_root.iter().map(|key| key.as_bytes()).collect();
        let leaf: Vec<_> = tag_leaf.iter().map(|key| key.as_bytes()).collect();
        // Units are those of all samples, whichever are kept.
        let numbers = profile.number_units();
        let groups = profile.group_by_label(&root, &leaf, unit, limits)?;
        let matched = profile.filter_frames(frames);
        let shown_from = show_from.as_ref().is_none_or(|from| profile.show_from(from));
        let tags = profile.filter_samples_by_tag(tag_focus.as_ref(), tag_ignore.as_ref(), &numbers);
        let labels = profile.filter_labels(tag_show.as_ref(), tag_hide.as_ref());
        if let Some(from) = prune_from {
            profile.prune_from(from);
        }
        let told = [
            (root.is_empty() || groups.root, Unmatched::TagRoot),
            (leaf.is_empty() || groups.leaf, Unmatched::TagLeaf),
            (frames.focus.is_none() || matched.focus, Unmatched::Focus),
            (frames.ignore.is_none() || matched.ignore, Unmatched::Ignore),
            (frames.hide.is_none() || matched.hide, Unmatched::Hide),
            (frames.show.is_none() || matched.show, Unmatched::Show),
            (shown_from, Unmatched::ShowFrom),
            (tag_focus.is_none() || tags.focus, Unmatched::TagFocus),
            (tag_ignore.is_none() || tags.ignore, Unmatched::TagIgnore),
            (tag_show.is_none() || labels.show, Unmatched::TagShow),
            (tag_hide.is_none() || labels.hide, Unmatched::TagHide),
        ];
        Ok(told
            .into_iter()
            .filter(|(matched, _)| !matched)
            .map(|(_, filter)| filter)
            .collect())
    }
}
