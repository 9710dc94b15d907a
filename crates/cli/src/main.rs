//! kubectl-profile: read, compare and explain profiles.
fn main() {}
