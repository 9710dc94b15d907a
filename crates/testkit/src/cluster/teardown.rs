//! Taking a cluster down from its record alone, whatever state it is in.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::mount::UnmountFlags;
use rustix::process::Signal;

use super::host;
use super::state::{self, Layout, State};
use crate::process::{self, Running};
use crate::wait::wait_until;

/// A killed process is gone within milliseconds, unless the kernel waits for a disk.
const GONE_DEADLINE: Duration = Duration::from_secs(30);

/// Where the kubelet links every container's log, whatever it is told.
const CONTAINER_LOGS: &str = "/var/log/containers";
/// Where the CNI library keeps the results of its plugins.
const CNI_RESULTS: &str = "/var/lib/cni/results";

/// Stops the cluster in `dir` and removes every trace of it. Nothing to do is success.
pub fn tear_down(dir: &Path) -> Result<()> {
    if !dir.join(state::FILE).exists() {
        return Ok(());
    }
    let (layout, state) = Layout::load(dir)?;
    kill_processes(&layout, &state)?;
    remove_mounts(&layout)?;
    remove_cgroups(&layout)?;
    host::remove_network(&layout.netns())?;
    remove_files_elsewhere(&layout)?;
    match layout.neighbour() {
        None => {
            host::restore_sysctls(&state.sysctls)?;
            host::remove_folders(&state.owned_folders)?;
        }
        // Its kubelet wants the settings and the folders; it inherits the duty to clear them up.
        Some(neighbour) => {
            neighbour.change(|theirs| {
                theirs.sysctls.extend(state.sysctls);
                theirs.owned_folders.extend(state.owned_folders);
            })?;
        }
    }
    remove_dir(&layout.run_dir())?;
    drop(fs::remove_dir(state::RUN_DIR));
    // The record goes last: until then a second attempt finds what is left.
    for entry in fs::read_dir(&layout.dir).context("list cluster folder")? {
        let path = entry.context("list cluster folder")?.path();
        if path.ends_with(state::FILE) {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            remove_dir(&path)?;
        } else {
            fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    remove_dir(&layout.dir)?;
    drop(fs::remove_file(layout.dir.with_extension("lock")));
    Ok(())
}

/// Components first, so that nobody restarts a container; then the containers' keepers, then what runs in them.
fn kill_processes(layout: &Layout, state: &State) -> Result<()> {
    let components: Vec<Running> = state.components.values().copied().collect();
    kill_all("the cluster's components", || Ok(components.clone()))?;
    kill_all("the containers' shims", || shims(layout))?;
    kill_all("the containers", || {
        Ok(host::cgroup_processes(&layout.cgroup())?
            .into_iter()
            .filter_map(Running::of)
            .collect())
    })
}

/// Kills what `list` gives until it gives nothing that lives: a process may start another while it is killed.
fn kill_all(what: &str, list: impl Fn() -> Result<Vec<Running>>) -> Result<()> {
    wait_until(&format!("the end of {what}"), GONE_DEADLINE, || {
        let mut living: Vec<Running> = list()?;
        living.retain(Running::is_alive);
        for running in &living {
            running.signal(Signal::KILL)?;
        }
        Ok(living.is_empty().then_some(()))
    })
}

/// The shims of this cluster's containerd, known by its socket on their command line.
pub(super) fn shims(layout: &Layout) -> Result<Vec<Running>> {
    let socket = layout.containerd_socket().display().to_string();
    let ours = |pid: &i32| {
        let arguments = process::arguments(*pid);
        arguments
            .first()
            .is_some_and(|program| program.ends_with("containerd-shim-runc-v2"))
            && arguments.contains(&socket)
    };
    Ok(process::pids()?
        .into_iter()
        .filter(ours)
        .filter_map(Running::of)
        .collect())
}

/// Root file systems, shared memory, volumes and the pods' network namespaces.
fn remove_mounts(layout: &Layout) -> Result<()> {
    for dir in [layout.dir.clone(), layout.run_dir()] {
        for point in host::mounts_below(&dir)? {
            match rustix::mount::unmount(&point, UnmountFlags::DETACH) {
                // INVAL: gone together with the mount that it lay on.
                Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error).with_context(|| format!("unmount {}", point.display())),
            }
        }
    }
    Ok(())
}

/// A cgroup can be removed once the kernel has buried its processes.
fn remove_cgroups(layout: &Layout) -> Result<()> {
    wait_until("the removal of the cluster's cgroups", GONE_DEADLINE, || {
        for folder in host::cgroup_tree(&layout.cgroup())? {
            match fs::remove_dir(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("remove {}", folder.display()));
                }
                _ => {}
            }
        }
        Ok(Some(()))
    })
}

fn remove_files_elsewhere(layout: &Layout) -> Result<()> {
    for path in files_elsewhere(layout) {
        fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(())
}

/// What components put where no setting reaches.
pub(super) fn files_elsewhere(layout: &Layout) -> Vec<PathBuf> {
    let in_folder = |folder| {
        fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry: std::io::Result<fs::DirEntry>| Some(entry.ok()?.path()))
    };
    let logs = in_folder(CONTAINER_LOGS)
        .filter(|path| fs::read_link(path).is_ok_and(|target| target.starts_with(&layout.dir)));
    let prefix = format!("{}-", layout.netns());
    let results = in_folder(CNI_RESULTS).filter(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(&prefix))
    });
    logs.chain(results).collect()
}

fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
