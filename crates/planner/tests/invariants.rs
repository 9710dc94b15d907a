//! What holds whatever happens: checked on random stories, and on all short stories of a small world.

#[path = "invariants/checked.rs"]
mod checked;
#[path = "invariants/model.rs"]
mod model;
#[path = "invariants/properties.rs"]
mod properties;
