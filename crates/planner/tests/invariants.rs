//! What holds whatever happens: checked on random stories, and on all short stories of a small world.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, also in what its tests share"
)]

#[path = "invariants/checked.rs"]
mod checked;
#[path = "invariants/model.rs"]
mod model;
#[path = "invariants/properties.rs"]
mod properties;
