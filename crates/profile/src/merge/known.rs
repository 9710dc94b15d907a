//! What the parts of a source became, and what they will probably become.
//!
//! Sources come of few programs, and what one program writes stands in much the same order each time. So what comes after
//! a part is first compared with what came after it the last time, and looked up by its hash only where it is not the same:
//! comparing reads both tables from front to back, looking up reads here and there.

/// What the parts of one kind in one source became in the result, by their index in the source.
#[derive(Default)]
pub(super) struct Known {
    merged: Vec<u32>,
    order: Order,
}

/// No part of the result has this index: columns end before it.
pub(super) const UNSEEN: u32 = u32::MAX;

impl Known {
    /// Begins a source of so many parts, of which nothing is known.
    pub(super) fn begin(&mut self, parts: usize) {
        self.merged.clear();
        self.merged.resize(parts, UNSEEN);
    }

    /// What a part became, or [`UNSEEN`].
    #[inline]
    pub(super) fn get(&self, index: u32) -> u32 {
        self.merged.get(index as usize).copied().unwrap_or(UNSEEN)
    }

    /// Whether these parts became those.
    #[inline]
    pub(super) fn are(&self, parts: &[u32], merged: &[u32]) -> bool {
        let known = self.merged.as_slice();
        let is = |(part, merged): (&u32, &u32)| known.get(*part as usize) == Some(merged);
        parts.len() == merged.len() && parts.iter().zip(merged).all(is)
    }

    /// Appends what these parts became; gives whether all are known. On its own, for the compiler to keep everything about
    /// it in registers.
    #[inline(never)]
    pub(super) fn translate(&self, parts: &[u32], merged: &mut Vec<u32>) -> bool {
        let known = self.merged.as_slice();
        let mut all = true;
        merged.extend(parts.iter().map(|index| {
            let merged = known.get(*index as usize).copied().unwrap_or(UNSEEN);
            all &= merged != UNSEEN;
            merged
        }));
        all
    }

    /// Notes what a part became, and goes on with those that follow it, as long as each `is` what came the last time.
    #[inline]
    pub(super) fn set(&mut self, index: u32, merged: u32, is: impl Fn(u32, u32) -> bool) {
        if let Some(before) = index.checked_sub(1) {
            self.order.set(self.get(before), merged);
        }
        if let Some(known) = self.merged.get_mut(index as usize) {
            *known = merged;
        }
        let (mut index, mut merged) = (index, merged);
        loop {
            index += 1;
            merged = self.order.after(merged);
            match self.merged.get_mut(index as usize) {
                Some(known) if *known == UNSEEN && is(index, merged) => *known = merged,
                _ => return,
            }
        }
    }
}

/// Which part of the result came after which the last time.
#[derive(Default)]
pub(super) struct Order {
    /// By the part before, as far as it is not simply the next one.
    after: Vec<u32>,
}

impl Order {
    /// What came after this part, or nothing that there is.
    #[inline]
    pub(super) fn after(&self, merged: u32) -> u32 {
        self.after
            .get(merged as usize)
            .copied()
            .unwrap_or(merged.wrapping_add(1))
    }

    /// Notes what comes after a part, which may be [`UNSEEN`].
    #[inline]
    pub(super) fn set(&mut self, before: u32, merged: u32) {
        if before == UNSEEN || self.after(before) == merged {
            return;
        }
        let first = self.after.len() as u32;
        self.after.extend((first..=before).map(|part| part + 1));
        if let Some(after) = self.after.get_mut(before as usize) {
            *after = merged;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, Order, UNSEEN};

    #[test]
    fn what_came_the_last_time_is_guessed_the_next_time() {
        let mut order = Order::default();
        assert_eq!(order.after(3), 4);
        order.set(UNSEEN, 7);
        order.set(3, 9);
        assert_eq!([order.after(2), order.after(3), order.after(4)], [3, 9, 5]);
        order.set(3, 4);
        order.set(1, 0);
        assert_eq!([order.after(1), order.after(2), order.after(3)], [0, 3, 4]);
    }

    #[test]
    fn what_follows_is_known_until_something_else_comes() {
        let mut known = Known::default();
        known.begin(6);
        known.set(0, 10, |_, _| false);
        known.set(1, 20, |index, merged| index < 4 && merged == 19 + index);
        let all = |known: &Known| (0..7).map(|index| known.get(index)).collect::<Vec<_>>();
        assert_eq!(all(&known), [10, 20, 21, 22, UNSEEN, UNSEEN, UNSEEN]);
        known.set(5, 30, |_, _| true);
        assert_eq!(known.get(4), UNSEEN);
        // Nothing is known of the next source, but that 20 came after 10.
        known.begin(3);
        known.set(0, 10, |index, merged| merged == [10, 20, 21][index as usize]);
        assert_eq!(all(&known), [10, 20, 21, UNSEEN, UNSEEN, UNSEEN, UNSEEN]);
        let mut merged = vec![1];
        assert!(known.translate(&[2, 0], &mut merged));
        assert!(!known.translate(&[3, 1], &mut merged));
        assert_eq!(merged, [1, 21, 10, UNSEEN, 20]);
        assert!(known.are(&[2, 0], &[21, 10]));
        assert!(!known.are(&[2, 0], &[21, 20]) && !known.are(&[2, 0], &[21]) && !known.are(&[2], &[21, 10]));
    }
}
