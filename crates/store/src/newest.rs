//! The newest records of a listing that may be long.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use planner::keys::parse_record_key;
use planner::{Scope, Wall};

/// Takes keys as they are listed and keeps the newest `limit` of those that are records in scope.
pub(crate) struct Newest {
    prefix: String,
    scope: Scope,
    since: Wall,
    limit: usize,
    // The oldest kept is on top, to be given up first.
    kept: BinaryHeap<Reverse<(Wall, String)>>,
    listed: usize,
}

/// Keys looked at for one question: 100 pages of a bucket. A day of 1,000 pods captured every 15 minutes is 96,000.
const LISTED_MAX: usize = 100_000;

impl Newest {
    pub(crate) fn new(prefix: &str, scope: &Scope, since: Wall, limit: usize) -> Self {
        // Names hold whole seconds: a capture of the same second counts.
        let since = Wall(since.seconds().saturating_mul(1_000));
        Self {
            prefix: prefix.into(),
            scope: scope.clone(),
            since,
            limit,
            kept: BinaryHeap::new(),
            listed: 0,
        }
    }

    /// Looks at a key. Keys that are no record's, foreign to us, are passed over.
    pub(crate) fn look_at(&mut self, key: &str) {
        self.listed += 1;
        let Some(name) = parse_record_key(&self.prefix, key) else {
            return;
        };
        let in_scope = match &self.scope {
            Scope::Namespace(namespace) => **namespace == *name.namespace,
            Scope::All => true,
        };
        if name.decided_at < self.since || !in_scope {
            return;
        }
        self.kept.push(Reverse((name.decided_at, key.to_owned())));
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    /// Whether enough keys were looked at for one question.
    pub(crate) fn is_full(&self) -> bool {
        self.listed >= LISTED_MAX
    }

    /// The keys kept, newest first.
    pub(crate) fn into_keys(self) -> Vec<String> {
        self.kept
            .into_sorted_vec()
            .into_iter()
            .map(|Reverse((_, key))| key)
            .collect()
    }
}
