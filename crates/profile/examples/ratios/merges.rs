//! A thousand profiles to one, each side in a process of its own, so that the peak of its memory can be seen. Ours is
//! the example `merge_cost`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use profile::{Limits, Profile, unpack};

use crate::ROUNDS;
use crate::corpus::{corpus, read};
use crate::peer::Peer;
use crate::table::verdict;

/// Profiles of one merge.
const MANY: usize = 1_000;

/// The profile whose variants are the fleet: a heap of 5,676 samples, which every clone has.
const FLEET: &str = "big-heap.pprof";

/// The kind of profile that the mixed thousand is of: what most of the corpus is.
/// The period's comes last.
const MIXED_TYPES: [(&str, &str); 3] = [("samples", "count"), ("cpu", "nanoseconds"), ("cpu", "nanoseconds")];

/// What a merge cost.
struct Cost {
    nanos: u64,
    peak_bytes: u64,
}

pub(crate) fn compare(peer: &mut Peer) {
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--package", "profiling-profile"])
        .args(["--features", "libdeflate", "--example", "merge_cost"])
        .status();
    assert!(built.unwrap().success(), "the program that merges cannot be built");
    let folder = peer.folder.path().to_owned();
    let corpus = corpus();
    let fleet = corpus.iter().find(|path| path.ends_with(FLEET)).unwrap();
    let variant = |index| folder.join(format!("variant-{index}.gz"));
    for index in 0..MANY {
        assert!(peer.vary(index as u64, fleet, &variant(index)), "{}", fleet.display());
    }
    println!(
        "{:<28} {:>9} {:>9} {:>7} {:>6}   {:>9} {:>9} {:>6}",
        "merge of 1,000", "ours ms", "theirs", "ratio", "goal", "ours MB", "theirs", "goal"
    );
    let fleet: Vec<_> = (0..MANY).map(variant).collect();
    one(peer, "variants of one service", &fleet, (13.0, 8.0));
    let mixed = mixed(&corpus);
    let name = format!("{} CPU profiles again and again", mixed.len());
    let mixed: Vec<_> = mixed.iter().cycle().take(MANY).cloned().collect();
    one(peer, &name, &mixed, (12.0, 32.0));
}

/// Prints a line about one merge, with the goals for ratio and megabytes.
fn one(peer: &Peer, name: &str, paths: &[PathBuf], (ratio_goal, megabytes_goal): (f64, f64)) {
    let folder = peer.folder.path();
    let list = |name: &str, paths: &[PathBuf]| {
        let path = folder.join(name);
        let lines: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
        fs::write(&path, lines).unwrap();
        path
    };
    let (nothing, all) = (list("nothing", &[]), list("all", paths));
    let merge_cost = std::env::current_exe().unwrap().with_file_name("merge_cost");
    let (ours_out, theirs_out) = (folder.join("ours.pb"), folder.join("theirs.pb"));
    let ours = |list: &Path| run(Command::new(&merge_cost).arg(list).arg(&ours_out));
    let theirs = |list: &Path| run(Command::new(peer.program()).arg(list).arg(&theirs_out));
    let (empty, theirs_empty) = (ours(&nothing), theirs(&nothing));
    // The peer's takes seconds and differs by little; ours is over in one, so the best of a few.
    let theirs = theirs(&all);
    let mut best = ours(&all);
    for _ in 1..ROUNDS {
        best.nanos = best.nanos.min(ours(&all).nanos);
    }
    assert!(
        read(&ours_out) == read(&theirs_out),
        "{name}: the merged profiles differ"
    );
    let megabytes = |cost: &Cost, empty: &Cost| cost.peak_bytes.saturating_sub(empty.peak_bytes) as f64 / 1e6;
    let (ours_megabytes, theirs_megabytes) = (megabytes(&best, &empty), megabytes(&theirs, &theirs_empty));
    let ratio = theirs.nanos as f64 / best.nanos as f64;
    println!(
        "{name:<28} {:>9.1} {:>9.1} {ratio:>6.1}x {:>6} {} {ours_megabytes:>9.1} {theirs_megabytes:>9.1} {:>6} {}",
        best.nanos as f64 / 1e6,
        theirs.nanos as f64 / 1e6,
        format!("≥{ratio_goal}"),
        verdict(ratio >= ratio_goal),
        format!("≤{megabytes_goal}"),
        verdict(ours_megabytes <= megabytes_goal),
    );
}

/// The cost that a process of its own printed: CPU nanoseconds and the peak of its memory.
fn run(command: &mut Command) -> Cost {
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let mut numbers = said.split_whitespace().map(|number| number.parse().unwrap());
    match (numbers.next(), numbers.next()) {
        (Some(nanos), Some(peak_bytes)) if ran.status.success() => Cost { nanos, peak_bytes },
        _ => panic!("{command:?}: {}", String::from_utf8_lossy(&ran.stderr)),
    }
}

/// The profiles of the corpus that can be merged.
fn mixed(corpus: &[PathBuf]) -> Vec<PathBuf> {
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let can = |path: &&PathBuf| {
        let bytes = read(path);
        let Ok(raw) = unpack(&bytes, &Limits::DEFAULT) else {
            return false;
        };
        let Ok(profile) = Profile::decode(&raw, &Limits::DEFAULT) else {
            return false;
        };
        let header = profile.header();
        let strings = profile.strings();
        let types = header.sample_types.iter().chain([&header.period_type]);
        let types: Vec<_> = types.map(|of| (strings.text(of.kind), strings.text(of.unit))).collect();
        let same = types
            .iter()
            .map(|(kind, unit)| (kind.as_ref(), unit.as_ref()))
            .eq(MIXED_TYPES);
        let new = same && profile.sample_count() > 0 && !seen.contains(&bytes);
        if new {
            seen.push(bytes);
        }
        new
    };
    corpus.iter().filter(can).cloned().collect()
}
