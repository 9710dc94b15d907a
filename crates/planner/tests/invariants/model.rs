//! Every short story of a small world: two configs, three targets, all orders of what can happen.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use planner::{Reason, Settings};
use testkit::soak;

use crate::checked::{Checked, THRESHOLD, config, target};

#[derive(Clone, Copy, Debug)]
enum Move {
    Hot,
    Cold,
    FinishOk(usize),
    FinishFailed(usize),
    TimePasses,
    Crash,
    Relist,
    OptOut,
    OptIn,
    LeaderFlip,
}

const MOVES: [Move; 12] = [
    Move::Hot,
    Move::Cold,
    Move::FinishOk(0),
    Move::FinishOk(1),
    Move::FinishFailed(0),
    Move::FinishFailed(1),
    Move::TimePasses,
    Move::Crash,
    Move::Relist,
    Move::OptOut,
    Move::OptIn,
    Move::LeaderFlip,
];

/// Stories of this many moves after the start. One more move, as in a soak, is six times the time.
const DEPTH: usize = 5;

/// Two configs over the same three targets, of which two share a node: everything can be in the way of everything.
fn start() -> Checked {
    let settings = Settings {
        captures_max: 2,
        captures_per_node_max: 1,
        ..Settings::default()
    };
    let mut world = Checked::new(settings);
    world.apply_config(config(1, "team", Some(THRESHOLD), None));
    world.apply_config(config(2, "team", Some(THRESHOLD), Some(60)));
    world.apply_target(target(1, "team", "node-1"));
    world.apply_target(target(2, "team", "node-1"));
    world.apply_target(target(3, "team", "node-2"));
    world.relist();
    world.lead(true);
    world.restore();
    world.restore();
    world
}

/// Makes a move; none if it changes nothing that another move would not.
fn make(world: &Checked, one: Move) -> Option<Checked> {
    let mut world = world.clone();
    match one {
        Move::Hot | Move::Cold if world.lists.is_empty() => return None,
        Move::Hot => drop(world.answer(|_| Some((99, 99)))),
        Move::Cold => drop(world.answer(|_| Some((1, 1)))),
        Move::FinishOk(nth) | Move::FinishFailed(nth) if nth >= world.running.len() => return None,
        Move::FinishOk(nth) => drop(world.finish(nth, |_| true, Reason::TimedOut)),
        Move::FinishFailed(nth) => drop(world.finish(nth, |_| false, Reason::TimedOut)),
        Move::TimePasses => {
            world.mono += 31_000;
            world.step(planner::Event::Tick);
        }
        Move::Crash => {
            world.crash();
            while !world.restores.is_empty() {
                world.restore();
            }
        }
        Move::Relist => drop(world.relist()),
        Move::OptOut | Move::OptIn => {
            let mut facts = world.targets[&planner::TargetId(1)].clone();
            let opted_in = matches!(one, Move::OptIn);
            if facts.opted_in == opted_in {
                return None;
            }
            facts.opted_in = opted_in;
            world.apply_target(facts);
        }
        Move::LeaderFlip => {
            world.lead(!world.leader);
            while !world.restores.is_empty() {
                world.restore();
            }
        }
    }
    Some(world)
}

/// What tells two states apart; what only counts is left out.
fn fingerprint(world: &Checked) -> u64 {
    let text = format!("{:?}", world.world);
    let mut hash = DefaultHasher::new();
    text.split("counters:").next().hash(&mut hash);
    (
        world.mono,
        world.leader,
        &world.last_stored,
        &world.last_on_demand,
        &world.starts,
    )
        .hash(&mut hash);
    world.records.len().hash(&mut hash);
    hash.finish()
}

/// Whatever happened: once everything works, every target is captured by every config again.
fn recovers(world: &Checked, story: &[Move]) {
    let mut world = world.clone();
    if !world.leader {
        world.lead(true);
    }
    world.captured.clear();
    // Longest back-off after the few failures of a story, plus a cooldown, plus a turn for each.
    for _ in 0..40 {
        while !world.restores.is_empty() {
            world.restore();
        }
        while !world.lists.is_empty() {
            world.answer(|_| Some((99, 99)));
        }
        while !world.running.is_empty() {
            world.mono += 1_000;
            world.finish(0, |_| true, Reason::TimedOut);
        }
        world.mono += 31_000;
        world.step(planner::Event::Tick);
    }
    let opted_in = world.targets.values().filter(|target| target.opted_in).count();
    assert_eq!(
        world.captured.len(),
        2 * opted_in,
        "not all are captured after {story:?}"
    );
}

#[test]
fn every_short_story_keeps_the_invariants() {
    let mut seen = BTreeSet::new();
    let mut states = vec![(start(), Vec::new())];
    let mut total = 0usize;
    for _ in 0..DEPTH + usize::from(soak::is_on()) {
        let mut next = Vec::new();
        for (world, story) in &states {
            for one in MOVES {
                let mut story: Vec<Move> = story.clone();
                story.push(one);
                let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| make(world, one)));
                let Some(made) = made.unwrap_or_else(|_| panic!("after {story:?}")) else {
                    continue;
                };
                let fingerprint = fingerprint(&made);
                if seen.insert(fingerprint) {
                    // The way back takes as long as a hundred moves; one state in 64 is many.
                    if fingerprint.is_multiple_of(64) {
                        recovers(&made, &story);
                    }
                    next.push((made, story));
                }
            }
        }
        total += next.len();
        states = next;
    }
    println!("{total} states");
    assert!(total > 1_000, "the model does not move: {total} states");
}
