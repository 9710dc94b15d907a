//! Stories: each file under `transcripts/` is a list of events with the commands that followed each.
//!
//! A line that starts at the margin is an event, a line that is indented is what came of it. Between two events time
//! passes as the operator lets it pass: the world is woken when it wants to be. `UPDATE_TRANSCRIPTS=1 cargo test -p
//! profiling-planner --test transcripts` writes what comes of the events now, to be read as a diff.
//!
//! ```text
//! at 10:00:00 config team-a/web cpu=80 memory=90 check=30 cooldown=300
//! at 10:00:00 pod team-a/web-1
//! at 10:00:00 leader
//!     restore team-a/web since 09:50:00
//! at 10:00:00 restored team-a/web
//!     list 1 of team-a
//! at 10:00:01 usage team-a/web-1 cpu=91%
//!     capture team-a/web-1 into bucket, cpu 910 > 800 of limit of main: heap goroutine mutex cpu
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in what its tests share"
)]

#[path = "transcripts_player/player.rs"]
mod transcript;

use std::path::{Path, PathBuf};

fn run(name: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transcripts")
        .join(format!("{name}.txt"));
    let written = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let played = transcript::play(&written);
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(&path, played).unwrap();
        return;
    }
    let (expected, found): (Vec<_>, Vec<_>) = (written.lines().collect(), played.lines().collect());
    for (number, (expected, found)) in expected.iter().zip(&found).enumerate() {
        assert_eq!(expected, found, "{name}.txt, line {}", number + 1);
    }
    assert_eq!(
        expected.len(),
        found.len(),
        "{name}.txt has {} lines, {} were played",
        expected.len(),
        found.len()
    );
}

macro_rules! stories {
    ($($name:ident,)*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        #[test]
        fn every_file_is_a_test() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
            let mut files: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
                .collect();
            files.sort();
            let mut named = [$(stringify!($name)),*];
            named.sort();
            assert_eq!(files, named);
        }
    };
}

stories! {
    failure_01_resync_keeps_the_schedule,
    failure_02_resync_keeps_the_cooldown,
    failure_03_a_status_write_does_not_stop_the_sweep,
    failure_04_two_configs_nothing_crosses,
    failure_05_gone_between_two_lists,
    failure_05_gone_is_gone,
    failure_06_recreated_inherits_nothing,
    failure_07_the_loop_goes_on,
    failure_08_failure_backs_off_and_starts_no_cooldown,
    failure_08_on_demand_backs_off_too,
    failure_09_fires_again,
    failure_10_one_profiler_at_a_time,
    failure_11_zero_intervals,
    failure_17_percent_of_limit_or_request,
    failure_18_one_list,
    failure_30_idle_pods_are_silent,
    failure_31_cpu_last,
    story_budgets,
    story_clock_steps,
    story_configs_take_turns,
    story_empty_profiles,
    story_first_check_waits_for_the_first_list,
    story_hot_pods_take_turns,
    story_leader_change,
    story_memory_before_cpu,
    story_most_telling_reason,
    story_on_demand,
    story_on_demand_beside_threshold,
    story_partial,
    story_past_of_a_pod_that_is_seen_later,
    story_refused_pods,
    story_requests,
    story_restart,
    story_restart_within_a_second,
    story_restore_unanswered,
    story_samples_that_decide_nothing,
    story_shutdown,
    story_store_fails,
    story_store_misconfigured,
    story_suspend_and_edit,
    story_threshold,
    story_totals,
}
