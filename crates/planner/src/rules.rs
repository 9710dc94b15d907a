//! What holds a capture back: an ordered list of small rules over gathered facts.
//!
//! The first rule that holds is the answer to "why was nothing captured?". Deciding, `status` and `why` ask the
//! same list, so they can never disagree.

use crate::event::Refusal;
use crate::policy::{Policy, ThresholdPolicy, Transport};
use crate::profile_type::TypeSet;
use crate::reason::Reason;
use crate::settings::Settings;
use crate::target::{Phase, Port};
use crate::world::reading::Reading;
use crate::world::targets::Target;

/// Why a capture would be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Somebody asked.
    Requested,
    /// Usage above a threshold.
    Threshold,
    /// An interval that is over.
    OnDemand,
}

/// Everything the rules look at, for one config and one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'w> {
    pub(crate) mode: Mode,
    pub(crate) shutting_down: bool,
    pub(crate) leader: bool,
    pub(crate) restoring: bool,
    pub(crate) policy: Result<&'w Policy, &'w Refusal>,
    pub(crate) target: &'w Target,
    pub(crate) selected: bool,
    /// Set when a sample is judged; none for on-demand, for requests, and for a target that waits for a slot:
    /// its sample was judged when it fired.
    pub(crate) sample: Option<Sample<'w>>,
    pub(crate) cooling: bool,
    /// The types that are not backing off.
    pub(crate) types: TypeSet,
    pub(crate) due: bool,
    /// Whether a capture of the target runs, whichever config asked, or started in this very second.
    pub(crate) target_busy: bool,
    pub(crate) config_running: u16,
    pub(crate) node_running: u16,
    pub(crate) running: usize,
    /// Captures that started within the last second.
    pub(crate) started: usize,
    pub(crate) settings: &'w Settings,
}

/// What is known of a target's usage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample<'w> {
    /// Whether lists of samples come.
    pub(crate) available: bool,
    /// What the last list said of the target, if it had it.
    pub(crate) reading: Option<&'w Reading>,
    /// Whether it led to a capture before.
    pub(crate) used: bool,
}

type Rule = fn(&Facts<'_>) -> Option<Reason>;

/// Rules about the target and the config alone: they change only with an event about one of them.
const LASTING: &[Rule] = &[
    ending,
    not_leader,
    restoring,
    suspended,
    unusable_config,
    not_selected,
    not_running,
    terminating,
    host_network,
    refused_port,
    mode_off,
];

/// Rules about the moment.
const PASSING: &[Rule] = &[
    no_samples,
    sample_missing,
    sample_stale,
    not_firing,
    not_due,
    cooling_down,
    sample_used,
    backing_off,
];

/// Rules about what else is running: what they hold back waits for its turn.
const BUDGETS: &[Rule] = &[target_busy, config_busy, node_busy, operator_busy];

/// The ports of the cluster itself: etcd, API server, kubelet, scheduler, controller-manager, kube-proxy.
const CLUSTER_PORTS: [u16; 8] = [2_379, 2_380, 6_443, 10_250, 10_255, 10_256, 10_257, 10_259];

/// The first rule that holds, of all.
pub(crate) fn first_hold(facts: &Facts<'_>) -> Option<Reason> {
    [LASTING, PASSING, BUDGETS]
        .into_iter()
        .flatten()
        .find_map(|rule| rule(facts))
}

/// The first lasting rule that holds.
pub(crate) fn lasting_hold(facts: &Facts<'_>) -> Option<Reason> {
    LASTING.iter().find_map(|rule| rule(facts))
}

/// What has to end before a capture that is held back can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Something of its target: others of its config need not wait.
    OfTarget,
    /// Any capture of its config or of the operator: all of its config wait.
    OfConfig,
}

/// Whether what a reason holds back only waits for its turn, and with whom.
pub(crate) const fn wait(reason: Reason) -> Option<Wait> {
    if matches!(reason, Reason::ConfigBusy | Reason::OperatorBusy) {
        Some(Wait::OfConfig)
    } else if matches!(reason, Reason::CaptureInProgress | Reason::NodeBusy | Reason::Restoring) {
        Some(Wait::OfTarget)
    } else {
        None
    }
}

/// The port of a target, unless it is one that is never asked.
pub(crate) fn port_of(target: &Target) -> Option<u16> {
    match target.shape.port {
        Port::Number(port) if port != 0 && !CLUSTER_PORTS.contains(&port) => Some(port),
        Port::Number(_) | Port::Unresolved(_) => None,
    }
}

fn ending(facts: &Facts<'_>) -> Option<Reason> {
    facts.shutting_down.then_some(Reason::ShuttingDown)
}

fn not_leader(facts: &Facts<'_>) -> Option<Reason> {
    (!facts.leader).then_some(Reason::NotLeader)
}

fn restoring(facts: &Facts<'_>) -> Option<Reason> {
    facts.restoring.then_some(Reason::Restoring)
}

fn suspended(facts: &Facts<'_>) -> Option<Reason> {
    facts
        .policy
        .is_ok_and(|policy| policy.suspended)
        .then_some(Reason::Suspended)
}

fn unusable_config(facts: &Facts<'_>) -> Option<Reason> {
    facts.policy.err().map(|refusal| refusal.reason)
}

fn not_selected(facts: &Facts<'_>) -> Option<Reason> {
    (!facts.selected).then_some(Reason::NotSelected)
}

fn not_running(facts: &Facts<'_>) -> Option<Reason> {
    let unreachable =
        facts.policy.is_ok_and(|policy| policy.transport == Transport::PodIp) && facts.target.address.is_none();
    (facts.target.phase != Phase::Running || unreachable).then_some(Reason::NotRunning)
}

fn terminating(facts: &Facts<'_>) -> Option<Reason> {
    facts.target.terminating.then_some(Reason::Terminating)
}

fn host_network(facts: &Facts<'_>) -> Option<Reason> {
    facts.target.shape.host_network.then_some(Reason::HostNetworkRefused)
}

fn refused_port(facts: &Facts<'_>) -> Option<Reason> {
    port_of(facts.target).is_none().then_some(Reason::PortRefused)
}

fn mode_off(facts: &Facts<'_>) -> Option<Reason> {
    let policy = facts.policy.ok()?;
    let off = match facts.mode {
        Mode::Requested => false,
        Mode::Threshold => policy.threshold.is_none(),
        Mode::OnDemand => policy.on_demand.is_none(),
    };
    off.then_some(Reason::NothingEnabled)
}

fn no_samples(facts: &Facts<'_>) -> Option<Reason> {
    facts
        .sample
        .is_some_and(|sample| !sample.available)
        .then_some(Reason::MetricsUnavailable)
}

fn sample_missing(facts: &Facts<'_>) -> Option<Reason> {
    facts
        .sample
        .is_some_and(|sample| sample.reading.is_none())
        .then_some(Reason::SampleMissing)
}

fn sample_stale(facts: &Facts<'_>) -> Option<Reason> {
    facts
        .sample
        .is_some_and(|sample| !sample.reading.is_some_and(|one| one.fresh))
        .then_some(Reason::SampleStale)
}

fn not_firing(facts: &Facts<'_>) -> Option<Reason> {
    let policy: ThresholdPolicy = facts.policy.ok()?.threshold?;
    facts.sample?.reading?.firing(&policy).err()
}

/// A sample that led to a capture says nothing new; until the next one comes it is an old one.
fn sample_used(facts: &Facts<'_>) -> Option<Reason> {
    facts
        .sample
        .is_some_and(|sample| sample.used)
        .then_some(Reason::SampleStale)
}

fn not_due(facts: &Facts<'_>) -> Option<Reason> {
    (!facts.due).then_some(Reason::NotDue)
}

fn cooling_down(facts: &Facts<'_>) -> Option<Reason> {
    (facts.mode == Mode::Threshold && facts.cooling).then_some(Reason::CoolingDown)
}

fn backing_off(facts: &Facts<'_>) -> Option<Reason> {
    (facts.mode != Mode::Requested && facts.types.is_empty()).then_some(Reason::BackingOff)
}

fn target_busy(facts: &Facts<'_>) -> Option<Reason> {
    facts.target_busy.then_some(Reason::CaptureInProgress)
}

fn config_busy(facts: &Facts<'_>) -> Option<Reason> {
    let most = facts.policy.map_or(1, |policy| policy.concurrent_max.max(1));
    (facts.config_running >= most).then_some(Reason::ConfigBusy)
}

fn node_busy(facts: &Facts<'_>) -> Option<Reason> {
    let named = !facts.target.node.is_empty();
    (named && facts.node_running >= facts.settings.captures_per_node_max).then_some(Reason::NodeBusy)
}

fn operator_busy(facts: &Facts<'_>) -> Option<Reason> {
    let full = facts.running >= usize::from(facts.settings.captures_max);
    let fast = facts.started >= usize::from(facts.settings.starts_per_second_max);
    (full || fast).then_some(Reason::OperatorBusy)
}
