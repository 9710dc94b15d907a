//! What the fuzz targets try to break: the properties of the crate's own tests, which replay on stable Rust what was found.

#![forbid(unsafe_code)]

#[path = "../../crates/profile/tests/replay/grown.rs"]
mod grown;
#[path = "../../crates/profile/tests/replay/properties.rs"]
mod properties;

/// Panics when the property does not hold for an input.
pub fn hold(property: &str, input: &[u8]) {
    let known = properties::PROPERTIES.iter().find(|(name, _)| *name == property);
    let (_, holds) = known.expect("a target is named after its property");
    holds(input);
}
