//! What fuzzing found, and what it begins with, once more: every property of every decoder on every such input.
//!
//! The targets in `fuzz/` look for inputs that break a property; `make soak` runs them. What they find is made small and kept
//! in `tests/findings/PROPERTY/`, so that it is found again here, by any compiler and in any run.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file: its functions are tests or their parts"
)]

use std::collections::BTreeSet;
use std::panic::catch_unwind;

use profile::Limits;
use profile::parse::parse;
use testkit::soak;

#[path = "../oracle/corpus.rs"]
mod corpus;
mod grown;
mod properties;
#[path = "../import/recording.rs"]
mod recording;
mod seeds;

use properties::PROPERTIES;

/// Bytes of the largest seed that is cut, and from one cut to the next: as many as take seconds. A soak cuts every seed at
/// every byte.
const CUT_BYTES_MAX: usize = 2 << 10;
const CUT_STEP: usize = 13;

#[test]
fn what_fuzzing_found_is_not_found_again() {
    let mut folders: Vec<_> = std::fs::read_dir(seeds::findings())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    for (property, holds) in PROPERTIES {
        folders.retain(|folder| folder != property);
        for (index, input) in seeds::found(property).into_iter().enumerate() {
            assert!(catch_unwind(|| holds(&input)).is_ok(), "{property}: finding {index}");
        }
    }
    // These are replayed where there is somebody to ask.
    folders.retain(|folder| folder != seeds::ORACLE);
    assert!(folders.is_empty(), "findings of no property: {folders:?}");
}

#[test]
fn the_seeds_are_of_every_format() {
    let seeds = seeds::seeds("parse", &seeds::profiles());
    let parsed = seeds.iter().map(|seed| parse(seed, &Limits::DEFAULT));
    let formats: BTreeSet<_> = parsed
        .filter_map(|parsed| Some(parsed.ok()?.format.to_string()))
        .collect();
    assert_eq!(formats.len(), 10, "{formats:?}");
}

#[test]
fn every_property_holds_on_its_seeds() {
    let profiles = seeds::profiles();
    assert!(profiles.len() >= 10, "only {} seeds", profiles.len());
    for (property, holds) in PROPERTIES {
        for (index, seed) in seeds::seeds(property, &profiles).into_iter().enumerate() {
            assert!(catch_unwind(|| holds(&seed)).is_ok(), "{property}: seed {index}");
        }
    }
}

#[test]
fn every_property_holds_on_its_seeds_cut_off_anywhere() {
    let mut profiles = seeds::profiles();
    profiles.retain(|profile| soak::is_on() || profile.len() <= CUT_BYTES_MAX);
    for (property, holds) in PROPERTIES {
        for (index, seed) in seeds::seeds(property, &profiles).into_iter().enumerate() {
            // Not the same places of each.
            let from = index % soak::step(CUT_STEP);
            for end in (from..seed.len()).step_by(soak::step(CUT_STEP)) {
                let cut = seed.get(..end).unwrap_or_default();
                assert!(
                    catch_unwind(|| holds(cut)).is_ok(),
                    "{property}: seed {index} cut at {end}"
                );
            }
        }
    }
}
