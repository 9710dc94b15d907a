//! A bucket held against its own records: nothing partial, nothing twice, nothing written over.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use testkit::process;

use crate::{Story, profile};

/// Every profile of a bucket at one moment, with what changes when a store writes it anew.
#[derive(Clone, Debug)]
pub struct Ledger {
    profiles: BTreeMap<PathBuf, (u64, i64, i64)>,
}

impl Ledger {
    /// Reads the story's bucket and checks it: every capture id once, every profile that a record names there with its
    /// length and hash, no profile named by two, every profile whole.
    pub fn check(story: &Story) -> Result<Self> {
        let mut ids = BTreeSet::new();
        let mut keys = BTreeMap::new();
        for record in story.records()? {
            let id = record["captureId"].as_str().context("a record has an id")?.to_owned();
            ensure!(ids.insert(id.clone()), "two records of capture {id}");
            for one in record["types"].as_array().into_iter().flatten() {
                if one["outcome"] != "stored" {
                    continue;
                }
                let key = one["key"].as_str().context("a stored type has a key")?;
                let path = story.bucket().join(key);
                let length = std::fs::metadata(&path)
                    .with_context(|| format!("{key}, named by capture {id}"))?
                    .len();
                ensure!(
                    one["bytes"] == length,
                    "{key} has {length} bytes, its record says {}",
                    one["bytes"]
                );
                let hash = one["sha256"].as_str().context("a stored type has a hash")?.to_owned();
                let before = keys.insert(path, hash);
                ensure!(before.is_none(), "{key} is named by two records");
            }
        }
        ensure_hashes(&keys)?;
        let mut profiles = BTreeMap::new();
        for one in profile::in_bucket(story.bucket())? {
            ensure_whole(&one.path)?;
            let facts = std::fs::metadata(&one.path).with_context(|| format!("look at {}", one.path.display()))?;
            profiles.insert(one.path, (facts.ino(), facts.mtime(), facts.mtime_nsec()));
        }
        Ok(Self { profiles })
    }

    /// Fails when a profile of this ledger is gone or was written again in a later one.
    pub fn ensure_kept_in(&self, later: &Self) -> Result<()> {
        for (path, written) in &self.profiles {
            ensure!(
                later.profiles.get(path) == Some(written),
                "{} was written again or is gone",
                path.display()
            );
        }
        Ok(())
    }
}

fn ensure_hashes(keys: &BTreeMap<PathBuf, String>) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let sums = process::text(Command::new("sha256sum").arg("--").args(keys.keys()))?;
    for (line, (path, hash)) in sums.lines().zip(keys) {
        ensure!(line.starts_with(hash), "{} is not what was captured", path.display());
    }
    Ok(())
}

/// A profile is gzip, whose end holds a checksum of everything before it.
fn ensure_whole(path: &std::path::Path) -> Result<()> {
    process::run(Command::new("gzip").args(["--test", "--suffix", ".pprof"]).arg(path))
        .map(drop)
        .with_context(|| format!("{} is not whole", path.display()))
}
