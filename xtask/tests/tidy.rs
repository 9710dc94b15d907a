//! The tree's hygiene, as an ordinary test.

#![expect(clippy::unwrap_used, reason = "a test that cannot look has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The house's wish is 600 lines; from here on a file is two.
const LINES_MAX: usize = 700;

/// What may stand in no tracked file: folders of somebody's machine. In parts, because this file is tracked too.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Macros that mean "later".
const UNFINISHED: [&str; 3] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
];

/// Where a locked dependency may come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn modules_are_named_by_their_file() {
    let named_mod = tracked().into_iter().filter(|path| path.ends_with("mod.rs"));
    assert_none(
        named_mod.map(|path| path.display().to_string()),
        "name the file after its module, `foo.rs` beside `foo/`",
    );
}

#[test]
fn files_are_short_enough_to_read() {
    let long = sources().filter_map(|(path, text)| {
        let lines = text.lines().count();
        (lines > LINES_MAX).then(|| format!("{} has {lines} lines", path.display()))
    });
    assert_none(long, &format!("a file of more than {LINES_MAX} lines is two"));
}

#[test]
fn nothing_is_left_for_later() {
    let unfinished = sources().flat_map(|(path, text)| lines_with(&path, &text, &UNFINISHED));
    assert_none(unfinished, "finish it, or leave it out");
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let machine = tracked()
        .into_iter()
        .filter_map(|path| Some((path.clone(), fs::read_to_string(root().join(&path)).ok()?)))
        .flat_map(|(path, text)| lines_with(&path, &text, &MACHINE_PATHS));
    assert_none(machine, "a path of one machine is of no use on another");
}

#[test]
fn dependencies_come_from_the_public_registry() {
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let locked = fs::read_to_string(root().join(lock)).unwrap();
        let strange = locked
            .lines()
            .filter(|line| line.starts_with("source = ") && !line.contains(REGISTRY));
        assert_none(strange.map(str::to_owned), "lock dependencies against crates.io");
    }
}

#[test]
fn exceptions_have_reasons() {
    let bare = [concat!("#[al", "low("), concat!("#![al", "low(")];
    let allowed = sources()
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "rs"))
        .flat_map(|(path, text)| lines_with(&path, &text, &bare));
    assert_none(allowed, "use #[expect(…, reason = \"…\")]");
}

fn lines_with(path: &Path, text: &str, words: &[&str]) -> Vec<String> {
    let found = text
        .lines()
        .enumerate()
        .filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    found
        .map(|(index, line)| format!("{}:{}: {}", path.display(), index + 1, line.trim()))
        .collect()
}

fn assert_none(found: impl Iterator<Item = String>, what_to_do: &str) {
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "{what_to_do}:\n{}", found.join("\n"));
}

fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    let is_source = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "rs" || extension == "go")
    };
    tracked().into_iter().filter(is_source).filter_map(|path| {
        let text = fs::read_to_string(root().join(&path)).ok()?;
        Some((path, text))
    })
}

/// Every file that is in the repository, or about to be.
fn tracked() -> Vec<PathBuf> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root());
    let output = git.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files: Vec<PathBuf> = String::from_utf8(output.stdout)
        .unwrap()
        .split_terminator('\0')
        .map(PathBuf::from)
        .collect();
    assert!(files.len() > 50, "only {} files found", files.len());
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
