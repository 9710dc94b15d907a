//! The operator's own bounds. A config can ask for less, never for more.

/// Bounds that hold over all configs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Captures at once on one node. Two keep a node's profilers from adding up under a spike that
    /// hits all its pods.
    pub captures_per_node_max: u16,
    /// Captures at once in all. Each costs a tunnel, a file and buffers of about 100 KiB.
    pub captures_max: u16,
    /// New captures in any one second: each opens a tunnel through the API server, outside its own
    /// fairness limits.
    pub starts_per_second_max: u16,
    /// More namespaces than this are sampled with one list for the cluster instead of one each.
    pub namespace_lists_max: u16,
    /// Shortest wait after a failure, doubled with each further one.
    pub backoff_seconds_min: u32,
    /// Longest wait after failures.
    pub backoff_seconds_max: u32,
    /// Most pods that a config's status names.
    pub status_pods_max: u16,
    /// Seed of the hash of names, drawn at start by the caller: pod names are chosen by tenants.
    pub hash_seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            captures_per_node_max: 2,
            captures_max: 32,
            starts_per_second_max: 20,
            namespace_lists_max: 8,
            backoff_seconds_min: 30,
            backoff_seconds_max: 1_800,
            status_pods_max: 10,
            hash_seed: 0,
        }
    }
}
