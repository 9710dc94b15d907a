//! What a cluster asks of the machine's kernel: a network namespace, cgroups, and the settings that the kubelet changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{NODE_ADDRESS, leftovers};
use crate::process;

/// Where iproute2 keeps named network namespaces.
pub(super) const NETNS_DIR: &str = "/run/netns";

/// Where kubelets listen for device plugins.
const DEVICE_PLUGINS: &str = "/var/lib/kubelet/device-plugins";

/// Folders outside its own that a cluster's components make, children before their parents.
const SHARED_FOLDERS: [&str; 6] = [
    NETNS_DIR,
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/var/log/containers",
    DEVICE_PLUGINS,
    "/var/lib/kubelet",
];

/// The cgroup of a cluster's own processes, below the cluster's.
const COMPONENTS: &str = "components";

/// The cluster's share of a busy machine, on cgroup version 1 and 2: as much as 64 processes that want all they can get.
/// Without it a pod beside a compiler gets a tenth of the CPU that it burns, and no threshold is ever crossed.
const WEIGHTS: [(&str, &str); 2] = [("cpu.shares", "65536"), ("cpu.weight", "6400")];

/// What the kubelet sets for the whole machine when it starts.
const KUBELET_SYSCTLS: [&str; 4] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
];

/// A command inside a network namespace. Not `ip netns exec`: that mounts a new /sys, which hides the cgroups.
pub(super) fn enter(netns: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={NETNS_DIR}/{netns}")).arg("--");
    command
}

/// A network of its own without a way out. The kubelet refuses a loopback address for its node, hence one more on `lo`.
pub(super) fn create_network(netns: &str) -> Result<()> {
    process::run(Command::new("ip").args(["netns", "add", netns]))?;
    process::run(enter(netns).args(["ip", "link", "set", "lo", "up"]))?;
    process::run(enter(netns).args(["ip", "address", "add", &format!("{NODE_ADDRESS}/32"), "dev", "lo"]))?;
    process::run(enter(netns).args(["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]))?;
    Ok(())
}

/// Removes the namespace.
pub(super) fn remove_network(netns: &str) -> Result<()> {
    if Path::new(NETNS_DIR).join(netns).exists() {
        process::run(Command::new("ip").args(["netns", "delete", netns]))?;
    }
    Ok(())
}

/// Which of the machine's folders that a cluster makes use of are not there yet.
pub(super) fn absent_folders() -> Vec<PathBuf> {
    SHARED_FOLDERS
        .iter()
        .map(PathBuf::from)
        .filter(|folder| !folder.exists())
        .collect()
}

/// Removes the folders that came with a cluster, as far as nobody else put something into them.
pub(super) fn remove_folders(owned: &[PathBuf]) -> Result<()> {
    for folder in owned {
        if folder == Path::new(DEVICE_PLUGINS) {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.context("list device plugins")?.path();
                fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
            }
        }
        let is_empty = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        if !is_empty {
            continue;
        }
        if mounts_below(folder)?.iter().any(|point| point == folder) {
            rustix::mount::unmount(folder, rustix::mount::UnmountFlags::DETACH)
                .with_context(|| format!("unmount {}", folder.display()))?;
        }
        fs::remove_dir(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}

/// The kubelet takes its folder of device plugins for its own and empties it, whatever root it is given: it must not run
/// beside one that serves this machine.
pub(super) fn refuse_foreign_kubelet() -> Result<()> {
    let socket = Path::new(DEVICE_PLUGINS).join("kubelet.sock");
    if leftovers::clusters().is_empty() && std::os::unix::net::UnixStream::connect(&socket).is_ok() {
        bail!(
            "a kubelet serves this machine ({} answers); a second one would disturb it",
            socket.display()
        );
    }
    Ok(())
}

/// Whether a TCP socket listens on `port` in the network of the process `pid`.
pub(super) fn listens(pid: i32, port: u16) -> bool {
    let wanted = format!(":{port:04X}");
    ["tcp", "tcp6"].iter().any(|family| {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{family}")).unwrap_or_default();
        table.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            // Local address, remote address, state; 0A is LISTEN.
            fields.next().is_some_and(|local| local.ends_with(&wanted)) && fields.nth(1) == Some("0A")
        })
    })
}

/// The folders of a cgroup in every hierarchy that this machine has: one on version 2, one per controller on version 1.
pub(super) fn cgroup_folders(cgroup: &str) -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read mounts")?;
    let mut folders: Vec<PathBuf> = Vec::new();
    for line in mounts.lines() {
        let Some((place, kind)) = line.split_once(" - ") else {
            continue;
        };
        let Some(mount_point) = place.split(' ').nth(4) else {
            continue;
        };
        let Some(kind) = kind.split(' ').next() else { continue };
        if kind == "cgroup" || kind == "cgroup2" {
            folders.push(Path::new(mount_point).join(cgroup.trim_start_matches('/')));
        }
    }
    Ok(folders)
}

/// Makes the cgroup that the kubelet is told to use as its root; it refuses one that is not there.
pub(super) fn create_cgroups(cgroup: &str) -> Result<()> {
    let components = format!("{cgroup}/{COMPONENTS}");
    for folder in cgroup_folders(cgroup)?.into_iter().chain(cgroup_folders(&components)?) {
        let parent = folder.parent().context("cgroup has a parent")?;
        if parent.join("cgroup.controllers").exists() {
            delegate(parent);
        }
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        // Version 1: a new cpuset is empty and takes no process until it has these.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(value) = fs::read_to_string(parent.join(file)) {
                fs::write(folder.join(file), value.trim()).with_context(|| format!("write {file}"))?;
            }
        }
    }
    for folder in cgroup_folders(cgroup)? {
        for (file, weight) in WEIGHTS {
            if folder.join(file).exists() {
                fs::write(folder.join(file), weight).with_context(|| format!("write {file}"))?;
            }
        }
    }
    Ok(())
}

/// Moves a process, and what it will start, into the cgroup of the cluster's components.
pub(super) fn adopt(cgroup: &str, pid: i32) -> Result<()> {
    for folder in cgroup_folders(&format!("{cgroup}/{COMPONENTS}"))? {
        fs::write(folder.join("cgroup.procs"), pid.to_string())
            .with_context(|| format!("move process {pid} into {}", folder.display()))?;
    }
    Ok(())
}

/// Version 2: a child has a controller only where its parent passes it on. systemd does so on most machines; where it
/// cannot be done the kubelet names the controller that is missing.
fn delegate(parent: &Path) {
    let controllers = fs::read_to_string(parent.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        drop(fs::write(
            parent.join("cgroup.subtree_control"),
            format!("+{controller}"),
        ));
    }
}

/// Every process in a cgroup and below it, in any hierarchy.
pub(super) fn cgroup_processes(cgroup: &str) -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    for folder in cgroup_tree(cgroup)? {
        let listed = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        pids.extend(listed.lines().filter_map(|line| line.parse::<i32>().ok()));
    }
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

/// Every folder of a cgroup that exists, children before their parents.
pub(super) fn cgroup_tree(cgroup: &str) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = cgroup_folders(cgroup)?
        .into_iter()
        .filter(|folder| folder.is_dir())
        .collect();
    let mut next = 0;
    while let Some(folder) = found.get(next) {
        let children: Vec<PathBuf> = fs::read_dir(folder)
            .map(|entries| {
                entries
                    .filter_map(|entry| Some(entry.ok()?.path()))
                    .filter(|path| path.is_dir())
                    .collect()
            })
            .unwrap_or_default();
        found.extend(children);
        next += 1;
    }
    found.reverse();
    Ok(found)
}

/// Every mount at or below `dir`, the deepest first.
pub(super) fn mounts_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read mounts")?;
    let points = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape)
        .map(PathBuf::from);
    let mut below: Vec<PathBuf> = points.filter(|point| point.starts_with(dir)).collect();
    below.reverse();
    Ok(below)
}

pub(super) fn read_sysctls() -> BTreeMap<String, String> {
    let read = |name: &&str| {
        Some((
            (*name).to_owned(),
            fs::read_to_string(sysctl(name)).ok()?.trim().to_owned(),
        ))
    };
    KUBELET_SYSCTLS.iter().filter_map(read).collect()
}

/// Sets back what differs.
pub(super) fn restore_sysctls(before: &BTreeMap<String, String>) -> Result<()> {
    for (name, value) in before {
        let path = sysctl(name);
        if fs::read_to_string(&path).is_ok_and(|now| now.trim() != value) {
            fs::write(&path, value).with_context(|| format!("restore {name}"))?;
        }
    }
    Ok(())
}

fn sysctl(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name)
}

/// The kernel writes a space in a mount's path as `\040`.
fn unescape(path: &str) -> String {
    path.replace("\\040", " ")
}
