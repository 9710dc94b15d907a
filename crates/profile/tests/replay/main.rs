//! What fuzzing found, and what it begins with, once more: every property of every decoder on every such input.
//!
//! The targets in `fuzz/` look for inputs that break a property; `make soak` runs them. What they find is made small and kept
//! in `tests/findings/PROPERTY/`, so that it is found again here, by any compiler and in any run.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file: its functions are tests or their parts"
)]

use std::panic::catch_unwind;

#[path = "../oracle/corpus.rs"]
mod corpus;
mod grown;
mod properties;
#[path = "../import/recording.rs"]
mod recording;
mod seeds;

use properties::PROPERTIES;

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
    assert!(folders.is_empty(), "findings of no property: {folders:?}");
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
