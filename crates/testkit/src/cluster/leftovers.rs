//! What a cluster left on the machine: after [`tear_down`](super::tear_down) there must be nothing.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::state::{self, Layout};
use super::{host, teardown};
use crate::process;

/// Everything on this machine that belongs to the cluster `name` in `dir`, one line each: processes, mounts, network
/// namespace, cgroups and files. Of a running cluster that is a lot; after it was taken down the list is empty.
pub fn leftovers(dir: &Path, name: &str) -> Result<Vec<String>> {
    let layout = Layout {
        dir: std::path::absolute(dir)?,
        name: name.to_owned(),
    };
    let mut found = Vec::new();
    for pid in process::pids()? {
        if let Some(line) = process_of(&layout, pid) {
            found.push(line);
        }
    }
    for dir in [layout.dir.clone(), layout.run_dir()] {
        found.extend(
            host::mounts_below(&dir)?
                .iter()
                .map(|point| format!("mount {}", point.display())),
        );
        if dir.exists() {
            found.push(format!("folder {}", dir.display()));
        }
    }
    let netns = Path::new(host::NETNS_DIR).join(layout.netns());
    if netns.exists() {
        found.push(format!("network namespace {}", netns.display()));
    }
    found.extend(
        host::cgroup_tree(&layout.cgroup())?
            .iter()
            .map(|folder| format!("cgroup {}", folder.display())),
    );
    found.extend(
        teardown::files_elsewhere(&layout)
            .iter()
            .map(|path| format!("file {}", path.display())),
    );
    Ok(found)
}

/// The clusters of this project that were started and not taken down.
pub fn clusters() -> Vec<String> {
    let entries = fs::read_dir(state::RUN_DIR).into_iter().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// A process is the cluster's when it works in its folder or names it, or its sockets, on its command line.
fn process_of(layout: &Layout, pid: i32) -> Option<String> {
    if pid == i32::try_from(std::process::id()).ok()? {
        return None;
    }
    let works_there = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&layout.dir));
    let arguments = process::arguments(pid);
    let [dir, run] = [&layout.dir, &layout.run_dir()].map(|path| format!("{}/", path.display()));
    let is_shim = arguments
        .iter()
        .any(|argument| argument.starts_with(&dir) || argument.starts_with(&run));
    (works_there || is_shim).then(|| format!("process {pid} {}", arguments.first().map_or("", String::as_str)))
}
