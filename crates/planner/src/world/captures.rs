//! The captures under way and the budgets that they use up.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;

use crate::command::Trigger;
use crate::id::{CaptureId, ConfigId, TargetId};
use crate::profile_type::TypeSet;
use crate::reason::Reason;
use crate::time::{Mono, Now, Wall};

/// A capture that was decided and has not been answered yet.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) config: ConfigId,
    pub(crate) target: TargetId,
    pub(crate) namespace: Arc<str>,
    pub(crate) pod: Box<str>,
    pub(crate) node: Arc<str>,
    pub(crate) trigger: Trigger,
    pub(crate) types: TypeSet,
    pub(crate) decided_at: Now,
    /// Why it was told to stop, if it was.
    pub(crate) cancelled: Option<Reason>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captures {
    running: BTreeMap<CaptureId, Running>,
    /// By target's identity, not its place: one that opted out and in again is still being captured.
    targets: BTreeSet<TargetId>,
    nodes: BTreeMap<Arc<str>, u16>,
    /// When those of the last second started.
    starts: VecDeque<Mono>,
    /// The second in which the last capture of a config and target was decided: its id and its names have no finer
    /// resolution. Here and not with what a config remembers of a target, because that is forgotten with an opt-out.
    seconds: BTreeMap<(ConfigId, TargetId), i64>,
}

/// The window in which starts are counted.
const START_WINDOW_MILLIS: u64 = 1_000;

/// Seconds of decisions are kept for so long: a wall clock that is set right goes back by less.
const SECONDS_KEPT: i64 = 60;

impl Captures {
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn has(&self, id: CaptureId) -> bool {
        self.running.contains_key(&id)
    }

    pub(crate) fn has_target(&self, target: TargetId) -> bool {
        self.targets.contains(&target)
    }

    pub(crate) fn on_node(&self, node: &str) -> u16 {
        self.nodes.get(node).copied().unwrap_or(0)
    }

    /// By ascending id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (CaptureId, &Running)> {
        self.running.iter().map(|(id, running)| (*id, running))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (CaptureId, &mut Running)> {
        self.running.iter_mut().map(|(id, running)| (*id, running))
    }

    /// How many started within the last second.
    pub(crate) fn started(&self, now: Mono) -> usize {
        self.starts
            .iter()
            .filter(|start| now < start.plus_millis(START_WINDOW_MILLIS))
            .count()
    }

    /// When the oldest start of the last second leaves the window.
    pub(crate) fn start_frees_at(&self, now: Mono) -> Option<Mono> {
        self.starts
            .iter()
            .map(|start| start.plus_millis(START_WINDOW_MILLIS))
            .find(|free| now < *free)
    }

    /// Whether the second of `now` is the one in which the last capture of a config and target was decided.
    pub(crate) fn decided_within(&self, now: Wall, config: ConfigId, target: TargetId) -> bool {
        self.seconds.get(&(config, target)) == Some(&now.seconds())
    }

    /// Takes note of a capture that a process before this one decided: it may have done so within this second.
    pub(crate) fn decided_before(&mut self, now: Wall, config: ConfigId, target: TargetId, at: Wall) {
        if is_kept(at.seconds(), now) {
            let last = self.seconds.entry((config, target)).or_insert_with(|| at.seconds());
            *last = at.seconds().max(*last);
        }
    }

    /// Forgets the seconds that are long over.
    pub(crate) fn forget_seconds(&mut self, now: Wall) {
        self.seconds.retain(|_, second| is_kept(*second, now));
    }

    pub(crate) fn start(&mut self, id: CaptureId, running: Running) {
        let now = running.decided_at.mono;
        self.forget_seconds(running.decided_at.wall);
        self.seconds
            .insert((running.config, running.target), running.decided_at.wall.seconds());
        self.starts.retain(|start| now < start.plus_millis(START_WINDOW_MILLIS));
        self.starts.push_back(now);
        self.targets.insert(running.target);
        if !running.node.is_empty() {
            *self.nodes.entry(Arc::clone(&running.node)).or_insert(0) += 1;
        }
        self.running.insert(id, running);
    }

    pub(crate) fn end(&mut self, id: CaptureId) -> Option<Running> {
        let running = self.running.remove(&id)?;
        self.targets.remove(&running.target);
        if let Some(count) = self.nodes.get_mut(&running.node) {
            *count -= 1;
            if *count == 0 {
                self.nodes.remove(&running.node);
            }
        }
        Some(running)
    }
}

fn is_kept(second: i64, now: Wall) -> bool {
    second.saturating_add(SECONDS_KEPT) >= now.seconds()
}
