//! Where profiles and capture records are kept.
