//! What is looked at and what is not are the whole; who looks twice sees the same.

use profile::filter::{Frames, TagFilter};
use profile::pattern::Pattern;
use profile::{Limits, Profile};
use proptest::prelude::*;
use testkit::soak;

use super::{added, decode, folded, profiles};

fn patterns() -> impl Strategy<Value = Pattern> {
    let texts = ["main", "work|wait", "a$", "^w", "/bin/a", "", "blue", "no such name"];
    prop::sample::select(texts.to_vec()).prop_map(|text| Pattern::new(text.as_bytes()).unwrap())
}

fn tag_filters() -> impl Strategy<Value = TagFilter> {
    let texts = [
        "key=blue",
        "blue",
        "key=1:",
        ":1",
        "key=0",
        "other=blue",
        "key=red,b",
        "none",
    ];
    prop::sample::select(texts.to_vec()).prop_map(|text| TagFilter::new(text).unwrap())
}

fn filtered<'p>(profile: &Profile<'p>, frames: &Frames) -> Profile<'p> {
    let mut profile = profile.clone();
    profile.filter_frames(frames);
    profile
}

fn tagged<'p>(profile: &Profile<'p>, focus: Option<&TagFilter>, ignore: Option<&TagFilter>) -> Profile<'p> {
    let mut left = profile.clone();
    left.filter_samples_by_tag(focus, ignore, &profile.number_units());
    left
}

fn same(first: &Profile<'_>, second: &Profile<'_>) -> bool {
    first.encode() == second.encode()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(soak::cases(256)))]

    #[test]
    fn what_is_in_focus_and_what_is_ignored_are_the_whole(bytes in profiles(-9..9), pattern in patterns()) {
        let profile = decode(&bytes);
        let with = |focus, ignore| filtered(&profile, &Frames { focus, ignore, ..Frames::default() });
        // A filter leaves no sample without a stack.
        let whole = with(None, Some(Pattern::new(b"^nobody$").unwrap()));
        let focused = with(Some(pattern.clone()), None);
        let ignored = with(None, Some(pattern.clone()));
        prop_assert_eq!(added(&focused.totals(), &ignored.totals()), whole.totals());
        prop_assert_eq!(focused.sample_count() + ignored.sample_count(), whole.sample_count());
        // Nothing is both.
        prop_assert_eq!(with(Some(pattern.clone()), Some(pattern)).sample_count(), 0);
    }

    #[test]
    fn filtering_twice_is_filtering_once(
        bytes in profiles(-9..9),
        (focus, ignore, hide, show) in (
            prop::option::of(patterns()),
            prop::option::of(patterns()),
            prop::option::of(patterns()),
            prop::option::of(patterns()),
        ),
    ) {
        let profile = decode(&bytes);
        // What is hidden or not shown cannot be looked for again.
        let samples = Frames { focus, ignore, ..Frames::default() };
        let frames = Frames { hide, show, ..Frames::default() };
        for filter in [samples, frames] {
            let once = filtered(&profile, &filter);
            prop_assert!(same(&filtered(&once, &filter), &once));
        }
    }

    #[test]
    fn cutting_twice_is_cutting_once(bytes in profiles(-9..9), pattern in patterns()) {
        let mut once = decode(&bytes);
        once.show_from(&pattern);
        let mut twice = once.clone();
        twice.show_from(&pattern);
        prop_assert!(same(&twice, &once));
        let mut once = decode(&bytes);
        once.prune_from(&pattern);
        let mut twice = once.clone();
        twice.prune_from(&pattern);
        prop_assert!(same(&twice, &once));
    }

    #[test]
    fn tags_part_the_whole_too(bytes in profiles(-9..9), filter in tag_filters(), names in patterns()) {
        let profile = decode(&bytes);
        let focused = tagged(&profile, Some(&filter), None);
        let ignored = tagged(&profile, None, Some(&filter));
        prop_assert_eq!(added(&focused.totals(), &ignored.totals()), profile.totals());
        prop_assert_eq!(focused.sample_count() + ignored.sample_count(), profile.sample_count());
        prop_assert!(same(&tagged(&focused, Some(&filter), None), &focused));
        prop_assert!(same(&tagged(&ignored, None, Some(&filter)), &ignored));
        // Labels that are not looked at change no sum and no stack.
        let mut bare = profile.clone();
        bare.filter_labels(None, Some(&names));
        for index in 0..2 {
            prop_assert_eq!(folded(&bare, index), folded(&profile, index));
        }
        let mut again = bare.clone();
        again.filter_labels(None, Some(&names));
        prop_assert!(same(&again, &bare));
    }

    #[test]
    fn groups_and_hidden_frames_keep_the_sums(
        bytes in profiles(-9..9),
        // The group of a key that no sample has is called by nothing in a file of that name, which no pattern here means but the
        // empty one: with it no stack is ever hidden as a whole.
        hide in patterns().prop_filter("no empty pattern", |hide| !hide.is_match(b"")),
    ) {
        let profile = decode(&bytes);
        let mut grouped = profile.clone();
        grouped.group_by_label(&[b"key"], &[b"none"], "auto", &Limits::DEFAULT).unwrap();
        prop_assert_eq!(grouped.totals(), profile.totals());
        prop_assert!(grouped.samples().all(|sample| sample.stack.len() >= 2));
        let hidden = filtered(&grouped, &Frames { hide: Some(hide), ..Frames::default() });
        prop_assert_eq!(hidden.totals(), profile.totals());
    }
}
