//! The project's own chores: generation, the architecture test, the test cluster.
fn main() {}
