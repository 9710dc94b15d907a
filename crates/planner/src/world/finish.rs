//! What became of a capture, and what it means for the next one.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::command::{Command, Trigger};
use crate::event::CaptureOutcome;
use crate::id::{CaptureId, ConfigId, TargetId};
use crate::profile_type::{ProfileType, TypeSet};
use crate::reason::Reason;
use crate::status::LastCapture;
use crate::time::{Mono, Now};
use crate::world::World;
use crate::world::captures::Running;
use crate::world::configs::{BackOff, Pair, Place, Storage};
use crate::world::targets::Slot;

/// The result of a set.
struct Summary {
    stored: TypeSet,
    empty: TypeSet,
    failed: Vec<Failed>,
}

/// A type that was not stored.
struct Failed {
    profile_type: ProfileType,
    reason: Reason,
    message: Box<str>,
}

/// Longest message of a failure that is passed on: an event holds 1,024 bytes in all.
const MESSAGE_BYTES_MAX: usize = 400;

impl World {
    pub(super) fn capture_finished(&mut self, now: Now, outcome: &CaptureOutcome, out: &mut Vec<Command>) {
        let Some(running) = self.captures.end(outcome.capture) else {
            self.counters.outcomes_unknown_total += 1;
            return;
        };
        let summary = summary(&running, outcome);
        if let Some(place) = self.configs.place(running.config) {
            self.settle_config(place, &running, &summary, out);
            self.settle_pair(now, place, &running, &summary, out);
        }
        self.tell_captured(outcome.capture, &running, &summary, out);
    }

    fn settle_config(&mut self, place: Place, running: &Running, summary: &Summary, out: &mut Vec<Command>) {
        let Some(config) = self.configs.get_mut(place) else {
            return;
        };
        config.running = config.running.saturating_sub(1);
        if !summary.stored.is_empty() {
            config.facts.totals.captured += 1;
            config.last = Some(LastCapture {
                namespace: (&*running.namespace).into(),
                pod: running.pod.clone(),
                reason: running.trigger.reason(),
                at: running.decided_at.wall,
                types: summary.stored,
            });
        } else if running.cancelled.is_none() && summary.failed.iter().any(|one| is_blamed(one.reason)) {
            // A capture that the end of the process cut off was not cancelled here, and still we stopped it.
            config.facts.totals.failed += 1;
        }
        let failing = summary.failed.iter().find(|one| is_of_store(one.reason));
        let (storage, notice) = match (failing, &config.storage) {
            (Some(failed), Storage::Failing { reason, .. }) if *reason == failed.reason => return,
            (Some(failed), _) => {
                let message = cut(&failed.message);
                let text = format!("profiles cannot be stored: {message}");
                (
                    Storage::Failing {
                        reason: failed.reason,
                        message: message.into(),
                    },
                    Some((failed.reason, true, text)),
                )
            }
            (None, Storage::Failing { .. }) if !summary.stored.is_empty() => (
                Storage::Ready,
                Some((Reason::StorageReady, false, "profiles are stored again".into())),
            ),
            (None, Storage::NotTried) if !summary.stored.is_empty() => (Storage::Ready, None),
            (None, _) => return,
        };
        config.storage = storage;
        if let (Some((reason, warning, text)), Some(config)) = (notice, self.configs.get(place)) {
            self.tell_config(config, reason, warning, text.into(), out);
        }
    }

    fn settle_pair(&mut self, now: Now, place: Place, running: &Running, summary: &Summary, out: &mut Vec<Command>) {
        let Some(slot) = self.targets.slot(running.target) else {
            return;
        };
        let settings = self.settings;
        let Some(config) = self.configs.get_mut(place) else {
            return;
        };
        let pair = config.pairs.entry(running.target).or_default();
        let starts_cooldown = match running.trigger {
            Trigger::Threshold { .. } | Trigger::Requested { .. } => !summary.stored.is_empty(),
            Trigger::OnDemand => false,
        };
        if starts_cooldown {
            pair.cooldown_from = pair.cooldown_from.max(Some(running.decided_at.mono));
        }
        pair.back_offs.retain(|one| !summary.stored.contains(one.profile_type));
        // What we stopped ourselves says nothing about the target, whatever its last words were.
        let blamed = summary
            .failed
            .iter()
            .filter(|one| running.cancelled.is_none() && is_blamed(one.reason));
        let seed = (running.config, running.target);
        let mut news = false;
        pair.failures_told
            .retain(|(profile_type, _)| !summary.stored.contains(*profile_type));
        for failed in blamed {
            let seconds = (settings.backoff_seconds_min, settings.backoff_seconds_max);
            back_off(pair, failed.profile_type, now.mono, seconds, seed);
            news |= is_news(pair, failed);
        }
        if news {
            self.tell_failed(running, summary, out);
        }
        self.tell_empty(slot, running, summary, out);
    }

    /// Says of each type once that it is empty.
    fn tell_empty(&mut self, slot: Slot, running: &Running, summary: &Summary, out: &mut Vec<Command>) {
        for profile_type in summary.empty.iter() {
            let Some(target) = self.targets.get_mut(slot) else {
                return;
            };
            if target.empty_told.contains(profile_type) {
                continue;
            }
            target.empty_told = target.empty_told.with(profile_type);
            let text = format!(
                "the {} profile is empty: {}",
                profile_type.as_str(),
                how_to_fill(profile_type)
            );
            self.tell_running(running, Reason::EmptyProfile, true, text.into(), out);
        }
    }

    fn tell_failed(&self, running: &Running, summary: &Summary, out: &mut Vec<Command>) {
        let (reason, what) = match summary.stored.is_empty() {
            true => (Reason::CaptureFailed, "nothing was captured"),
            false => (Reason::CapturePartial, "not all was captured"),
        };
        let mut text = String::from(what);
        for (at, failed) in summary.failed.iter().enumerate() {
            text.push_str(if at == 0 { ": " } else { ", " });
            text.push_str(failed.profile_type.as_str());
            text.push(' ');
            text.push_str(failed.reason.as_camel());
        }
        if let Some(first) = summary.failed.first() {
            text.push_str("; ");
            text.push_str(cut(&first.message));
        }
        self.tell_running(running, reason, true, text.into(), out);
    }

    fn tell_captured(&self, id: CaptureId, running: &Running, summary: &Summary, out: &mut Vec<Command>) {
        if summary.stored.is_empty() {
            return;
        }
        let mut text = String::from("captured");
        for (at, profile_type) in summary.stored.iter().enumerate() {
            text.push_str(if at == 0 { " " } else { ", " });
            text.push_str(profile_type.as_str());
        }
        text.push_str(&format!(" {} (capture {id})", because(&running.trigger)));
        self.tell_running(running, Reason::ProfileCaptured, false, text.into(), out);
    }

    fn tell_running(&self, run: &Running, reason: Reason, warning: bool, text: Box<str>, out: &mut Vec<Command>) {
        self.tell_target(run.target, &run.namespace, &run.pod, reason, warning, text, out);
    }
}

/// Whether a failure of a type was not told of yet; remembers that it was.
fn is_news(pair: &mut Pair, failed: &Failed) -> bool {
    let now = (failed.profile_type, failed.reason);
    match pair
        .failures_told
        .iter_mut()
        .find(|(profile_type, _)| *profile_type == failed.profile_type)
    {
        Some(told) => core::mem::replace(told, now) != now,
        None => {
            pair.failures_told.push(now);
            true
        }
    }
}

/// A trigger in words.
fn because(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Threshold {
            resource,
            value_permille,
            threshold_permille,
            basis,
            ..
        } => format!(
            "because {} was at {} % of its {}, above {} %",
            resource.as_str(),
            value_permille / 10,
            basis.as_str(),
            threshold_permille / 10
        ),
        Trigger::OnDemand => "because the interval was over".into(),
        Trigger::Requested { by } => format!("because {by} asked"),
    }
}

/// A message no longer than what is passed on.
fn cut(message: &str) -> &str {
    message
        .get(..message.floor_char_boundary(MESSAGE_BYTES_MAX))
        .unwrap_or_default()
}

/// Every type that was asked, once; what the outcome does not speak of has failed.
fn summary(running: &Running, outcome: &CaptureOutcome) -> Summary {
    let mut summary = Summary {
        stored: TypeSet::EMPTY,
        empty: TypeSet::EMPTY,
        failed: Vec::new(),
    };
    for profile_type in running.types.iter() {
        match outcome
            .types
            .iter()
            .find(|one| one.profile_type == profile_type)
            .map(|one| &one.result)
        {
            Some(Ok(stored)) => {
                summary.stored = summary.stored.with(profile_type);
                if stored.samples == Some(0) {
                    summary.empty = summary.empty.with(profile_type);
                }
            }
            Some(Err(refusal)) => {
                let (reason, message) = (refusal.reason, refusal.message.clone());
                summary.failed.push(Failed {
                    profile_type,
                    reason,
                    message,
                });
            }
            None => summary.failed.push(Failed {
                profile_type,
                reason: Reason::CaptureFailed,
                message: "the capture ended without a word about it".into(),
            }),
        }
    }
    summary
}

/// Adds a failure of a type: the wait doubles from the shortest to the longest.
fn back_off(pair: &mut Pair, profile_type: ProfileType, now: Mono, seconds: (u32, u32), seed: (ConfigId, TargetId)) {
    let before = pair
        .back_offs
        .iter()
        .position(|one| one.profile_type == profile_type)
        .map(|at| pair.back_offs.swap_remove(at));
    let failures = before.map_or(1, |one| one.failures.saturating_add(1));
    let (shortest, longest) = (u64::from(seconds.0) * 1_000, u64::from(seconds.1) * 1_000);
    let doubled = shortest.saturating_mul(1u64 << u32::from(failures - 1).min(32));
    let wait = doubled.min(longest.max(shortest));
    let until = now.plus_millis(wait + wait / 1_000 * jitter_permille(seed, profile_type, failures));
    let at = pair.back_offs.partition_point(|one| one.profile_type < profile_type);
    pair.back_offs.insert(
        at,
        BackOff {
            profile_type,
            failures,
            until,
        },
    );
}

/// Up to a fifth more, so that targets that failed together do not come back together. From identities, not from
/// chance: the same events give the same commands.
fn jitter_permille(seed: (ConfigId, TargetId), profile_type: ProfileType, failures: u8) -> u64 {
    let mut mix = seed.0.0 ^ seed.1.0.rotate_left(64) ^ u128::from(profile_type as u8) << 8 ^ u128::from(failures);
    for _ in 0..2 {
        mix = (mix ^ mix >> 61).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    }
    // The remainder is below 201, so it fits.
    u64::try_from((mix >> 64) % 201).unwrap_or(0)
}

/// Whether a failure says something about the target or its store. What we stopped ourselves does not.
const fn is_blamed(reason: Reason) -> bool {
    !matches!(
        reason,
        Reason::LeadershipLost | Reason::ShuttingDown | Reason::OptedOut | Reason::ConfigRemoved | Reason::Interrupted
    )
}

/// Whether a failure is one of the config's store.
const fn is_of_store(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::StorageUnavailable
            | Reason::StorageDenied
            | Reason::BucketNotFound
            | Reason::SpoolUnavailable
            | Reason::EndpointNotAllowed
            | Reason::CredentialsUnavailable
            | Reason::StorageMisconfigured
    )
}

/// What to set in the program to fill an empty profile.
const fn how_to_fill(profile_type: ProfileType) -> &'static str {
    match profile_type {
        ProfileType::Mutex => "call runtime.SetMutexProfileFraction(100) at the start of the program",
        ProfileType::Block => "call runtime.SetBlockProfileRate(10000) at the start of the program",
        ProfileType::Heap | ProfileType::Allocs => {
            "runtime.MemProfileRate must not be 0, and little may have been allocated yet"
        }
        ProfileType::Cpu => "the program used no CPU during the window",
        ProfileType::Goroutine | ProfileType::Threadcreate | ProfileType::Goroutineleak | ProfileType::Trace => {
            "there was nothing to record"
        }
    }
}
