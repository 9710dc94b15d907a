//! What tests run against: the test cluster, stores, target programs.
