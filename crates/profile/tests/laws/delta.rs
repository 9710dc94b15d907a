//! What happened between two profiles, and what was there before, is what is there.

use profile::build::Builder;
use profile::model::Sample;
use profile::{DeltaError, Limits, Profile};
use proptest::prelude::*;
use testkit::soak;

use super::{decode, folded, merge, profiles_of};

const MUTEX: [&str; 4] = ["contentions", "count", "delay", "nanoseconds"];

/// A counter and a gauge, and nothing that counts events.
const SPACE: [&str; 4] = ["alloc_space", "bytes", "inuse_space", "bytes"];

/// Profiles that were taken at the same time, so that none is earlier than another.
fn counted(types: [&'static str; 4]) -> impl Strategy<Value = Vec<u8>> {
    profiles_of(types, 0..9, 5..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(soak::cases(256)))]

    #[test]
    fn nothing_happened_between_a_profile_and_itself(bytes in counted(MUTEX)) {
        let delta = decode(&bytes).since(decode(&bytes)).unwrap();
        prop_assert!(!delta.is_reset);
        prop_assert_eq!((delta.profile.sample_count(), delta.profile.functions().len()), (0, 0));
    }

    #[test]
    fn what_was_and_what_happened_is_what_is(first in counted(MUTEX), growth in counted(MUTEX)) {
        let (first, growth) = (decode(&first), decode(&growth));
        let later = merge(&[&first, &growth]);
        let delta = later.since(first.clone()).unwrap();
        prop_assert!(!delta.is_reset);
        let again = merge(&[&first, &delta.profile]);
        for index in 0..2 {
            prop_assert_eq!(folded(&delta.profile, index), folded(&growth, index));
            prop_assert_eq!(folded(&again, index), folded(&later, index));
        }
    }

    #[test]
    fn a_counter_that_fell_was_begun_anew(
        later in counted(MUTEX),
        more in counted(MUTEX).prop_filter("something happened", |more| decode(more).totals()[0] > 0),
    ) {
        let (later, more) = (decode(&later), decode(&more));
        let delta = later.since(merge(&[&later, &more])).unwrap();
        prop_assert!(delta.is_reset);
        prop_assert_eq!(delta.profile.encode(), later.compact().unwrap().encode());
    }

    #[test]
    fn a_gauge_is_the_later_one(first in counted(SPACE), growth in counted(SPACE), gone in counted(SPACE)) {
        let (first, growth, mut gone) = (decode(&first), decode(&growth), decode(&gone));
        gone.scale(&[0.0, -1.0]).unwrap();
        let later = merge(&[&first, &growth, &gone]);
        let delta = later.since(first).unwrap();
        prop_assert!(!delta.is_reset);
        prop_assert_eq!(folded(&delta.profile, 0), folded(&growth, 0));
        prop_assert_eq!(folded(&delta.profile, 1), folded(&later, 1));
    }

    #[test]
    fn an_amount_that_fell_in_all_was_begun_anew(later in counted(SPACE), more in counted(SPACE)) {
        let (later, more) = (decode(&later), decode(&more));
        let delta = later.since(merge(&[&later, &more])).unwrap();
        prop_assert_eq!(delta.is_reset, more.totals()[0] > 0);
        if delta.is_reset {
            prop_assert_eq!(delta.profile.encode(), later.compact().unwrap().encode());
        }
    }
}

/// A profile of functions with values, taken at a time.
fn made(types: &[(&str, &str)], time: i64, samples: &[(&str, &[i64])]) -> Profile<'static> {
    let mut builder = Builder::new(types, &Limits::DEFAULT).unwrap();
    builder.set_time(time, 3);
    for (name, values) in samples {
        let stack = [builder.frame(name.as_bytes()).unwrap()];
        builder
            .push_sample(Sample {
                stack: &stack,
                values,
                labels: &[],
            })
            .unwrap();
    }
    builder.finish()
}

#[test]
fn an_estimate_may_fall_where_nothing_happened() {
    let types = [("contentions", "count"), ("delay", "nanoseconds")];
    let first = made(&types, 100, &[("idle", &[7, 1000]), ("busy", &[1, 50])]);
    let later = made(&types, 400, &[("idle", &[7, 999]), ("busy", &[3, 60])]);
    let delta = later.since(first).unwrap();
    assert!(!delta.is_reset);
    assert_eq!(folded(&delta.profile, 0), "busy 2\n");
    assert_eq!(folded(&delta.profile, 1), "busy 10\n");
    assert_eq!(delta.profile.functions().len(), 1);
    let header = delta.profile.header();
    assert_eq!((header.time_nanos, header.duration_nanos), (400, 300));
}

#[test]
fn a_restart_is_seen_even_if_more_happened_since_than_before() {
    let types = [("alloc_objects", "count"), ("inuse_objects", "count")];
    let first = made(&types, 100, &[("a", &[5, 5]), ("b", &[1, 1])]);
    let later = made(&types, 400, &[("a", &[2, 0]), ("b", &[90, 8])]);
    let delta = later.since(first).unwrap();
    assert!(delta.is_reset);
    assert_eq!(folded(&delta.profile, 0), "a 2\nb 90\n");
    let header = delta.profile.header();
    // How long it has run since then is not known.
    assert_eq!((header.time_nanos, header.duration_nanos), (400, 3));
}

#[test]
fn what_does_not_count_or_is_not_later_is_refused() {
    let cpu = [("samples", "count"), ("cpu", "nanoseconds")];
    let error = made(&cpu, 2, &[]).since(made(&cpu, 1, &[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "nothing in it counts from the start of the program: it has samples, cpu"
    );
    let space = [("alloc_space", "bytes")];
    assert_eq!(
        made(&space, 1, &[]).since(made(&space, 2, &[])).unwrap_err(),
        DeltaError::Order
    );
    let other = made(&[("alloc_space", "kb")], 0, &[]);
    assert!(matches!(made(&space, 1, &[]).since(other), Err(DeltaError::Merge(_))));
}
