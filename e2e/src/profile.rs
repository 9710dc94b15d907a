//! Profiles in a bucket, and what Go's own tool says of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use testkit::process;

/// A profile by its key, `{prefix}/{YYYY-MM-DD}/{service}/{YYYYMMDD-HHMMSS}-{type}.pprof`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Profile {
    /// The decision's time as it stands in the key, `20260131-235959`.
    pub decided: String,
    /// `heap`, `cpu` …
    pub kind: String,
    /// The folder that the key gives it.
    pub service: String,
    /// The file.
    pub path: PathBuf,
}

/// Every profile below a bucket's folder, the oldest first. A file that is neither a profile nor a record is an error.
pub fn in_bucket(bucket: &Path) -> Result<Vec<Profile>> {
    let mut profiles = Vec::new();
    for path in files(bucket)? {
        if path.components().any(|part| part.as_os_str() == "_captures") {
            continue;
        }
        profiles.push(of_key(&path).with_context(|| format!("{} is not a profile's key", path.display()))?);
    }
    profiles.sort();
    Ok(profiles)
}

/// The capture records below a bucket's folder.
pub fn records(bucket: &Path) -> Result<Vec<serde_json::Value>> {
    let mut records = Vec::new();
    for path in files(bucket)? {
        if path.components().any(|part| part.as_os_str() == "_captures") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            records.push(serde_json::from_str(&text).with_context(|| format!("decode {}", path.display()))?);
        }
    }
    Ok(records)
}

/// The functions of `go tool pprof -top`, the heaviest first. That it can be read at all is part of the answer.
pub fn top(profile: &Path, arguments: &[&str]) -> Result<Vec<String>> {
    let mut go = Command::new("go");
    go.args(["tool", "pprof", "-top", "-nodecount=20", "-symbolize=none"])
        .args(arguments)
        .arg(profile);
    let text = process::text(&mut go)?;
    let rows: Vec<String> = text
        .lines()
        .skip_while(|line| !line.trim_start().starts_with("flat "))
        .skip(1)
        .filter_map(|line| Some(line.split_whitespace().nth(5)?.to_owned()))
        .collect();
    if rows.is_empty() {
        bail!("{} has no samples:\n{text}", profile.display());
    }
    Ok(rows)
}

fn of_key(path: &Path) -> Option<Profile> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".pprof")?;
    let (day, rest) = stem.split_once('-')?;
    let (time, kind) = rest.split_once('-')?;
    let folder = path.parent()?;
    let date = folder.parent()?.file_name()?.to_str()?;
    let is_time = day.len() == 8 && time.len() == 6 && date.replace('-', "") == day;
    // A second capture in the same second has its pod and id behind the type.
    let kind = kind.split('-').next()?;
    is_time.then(|| Profile {
        decided: format!("{day}-{time}"),
        kind: kind.to_owned(),
        service: folder
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned(),
        path: path.to_owned(),
    })
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry.context("list bucket")?.path();
        // What the store has not finished lies in a folder of its own.
        if path.file_name().is_some_and(|name| name == ".sgwtmp") {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_it_is() {
        let profile = of_key(Path::new("b/profiles/2026-01-31/shop/20260131-235959-heap.pprof")).unwrap();
        assert_eq!(
            (
                profile.decided.as_str(),
                profile.kind.as_str(),
                profile.service.as_str()
            ),
            ("20260131-235959", "heap", "shop")
        );
        assert_eq!(
            of_key(Path::new("b/profiles/2026-01-30/shop/20260131-235959-heap.pprof")),
            None
        );
    }
}
