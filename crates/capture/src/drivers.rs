//! What to ask a runtime for. One module per runtime; the paths are tables, so that nothing that a user
//! writes ever becomes part of one.

pub(crate) mod go;
