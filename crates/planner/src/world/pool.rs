//! One copy of each value that many targets share.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

/// Values that are kept once, however many targets have them. A tree, not a table: tenants choose the values.
#[derive(Debug)]
pub(crate) struct Pool<T: ?Sized + Ord> {
    values: BTreeSet<Arc<T>>,
    sweep_at: usize,
}

/// Below this many values a sweep is not worth its walk.
const SWEEP_AT_MIN: usize = 1_024;

// A derived one would ask that the values can be cloned; only their handles are.
impl<T: ?Sized + Ord> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self {
            values: self.values.clone(),
            sweep_at: self.sweep_at,
        }
    }
}

impl<T: ?Sized + Ord> Pool<T> {
    pub(crate) fn new() -> Self {
        Self {
            values: BTreeSet::new(),
            sweep_at: SWEEP_AT_MIN,
        }
    }

    /// The shared copy of `value`, made by `make` if there is none yet.
    pub(crate) fn share(&mut self, value: &T, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        if let Some(shared) = self.values.get(value) {
            return Arc::clone(shared);
        }
        self.sweep();
        let shared = make();
        self.values.insert(Arc::clone(&shared));
        shared
    }

    /// The shared copy of an owned value.
    pub(crate) fn share_owned(&mut self, value: T) -> Arc<T>
    where
        T: Sized,
    {
        if let Some(shared) = self.values.get(&value) {
            return Arc::clone(shared);
        }
        self.sweep();
        let shared = Arc::new(value);
        self.values.insert(Arc::clone(&shared));
        shared
    }

    /// Drops what nobody uses any more, each time the pool has doubled: names of nodes and pods come and go
    /// for ever, and a pool that only grows is a leak.
    fn sweep(&mut self) {
        if self.values.len() < self.sweep_at {
            return;
        }
        self.values.retain(|one| Arc::strong_count(one) > 1);
        self.sweep_at = SWEEP_AT_MIN.max(self.values.len().saturating_mul(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_is_kept_once() {
        let mut pool = Pool::<str>::new();
        let first = pool.share("node-1", || "node-1".into());
        let second = pool.share("node-1", || "node-1".into());
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn values_that_nobody_uses_any_more_go() {
        let mut pool = Pool::<str>::new();
        let kept = pool.share("kept", || "kept".into());
        for number in 0..10 * SWEEP_AT_MIN {
            let name = std::format!("pod-{number}");
            pool.share(&name, || name.as_str().into());
        }
        assert!(pool.values.len() <= SWEEP_AT_MIN + 1, "{}", pool.values.len());
        assert!(Arc::ptr_eq(&kept, &pool.share("kept", || "kept".into())));
    }
}
