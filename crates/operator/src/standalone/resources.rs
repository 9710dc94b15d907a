//! What `/proc` and the cgroups say of a process.

use std::path::{Path, PathBuf};

use super::file::LocalTarget;

/// The kernel's unit for CPU times in `/proc`: 100 ticks a second on every Linux that runs containers.
const NANOS_PER_TICK: u64 = 10_000_000;
/// A cgroup v1 limit above this is the kernel's way to say "none".
const NO_LIMIT_BYTES: u64 = 1 << 60;

/// A process as `/proc` shows it.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, in ticks since the machine did.
    pub started_ticks: u64,
    /// CPU time it has used, itself and its threads.
    pub cpu_nanos: u64,
    /// Memory it holds.
    pub resident_bytes: u64,
    /// Its program, if we may know it.
    pub executable: Option<PathBuf>,
}

impl Process {
    /// The process with this id, if there is one that has not ended.
    pub(super) fn read(pid: u32) -> Option<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        // The name in the second field may hold spaces and parentheses: count from its last one.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        if matches!(fields.first(), Some(&("Z" | "X"))) {
            return None;
        }
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let cpu_ticks = field(14)?.saturating_add(field(15)?);
        let page_bytes = u64::try_from(rustix::param::page_size()).ok()?;
        Some(Self {
            pid,
            started_ticks: field(22)?,
            cpu_nanos: cpu_ticks.saturating_mul(NANOS_PER_TICK),
            resident_bytes: field(24)?.saturating_mul(page_bytes),
            executable: std::fs::read_link(folder.join("exe")).ok(),
        })
    }

    /// Every process of the machine that we can see.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten();
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(Self::read)
    }
}

/// What usage is a percentage of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// CPU in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

impl Limits {
    /// The target's own, else its cgroup's, else the machine's.
    pub(super) fn of(target: &LocalTarget, process: &Process) -> Self {
        let cgroups = Cgroups::of(process.pid);
        let cpu_millis = target
            .limits
            .cpu_millis
            .or_else(|| cgroups.cpu_millis())
            .unwrap_or_else(machine_cpu_millis);
        let memory_bytes = target
            .limits
            .memory_bytes
            .or_else(|| cgroups.memory_bytes())
            .unwrap_or_else(machine_memory_bytes);
        Self {
            cpu_millis,
            memory_bytes,
        }
    }
}

/// The cgroups of a process: `(controllers, path)`, as `/proc/PID/cgroup` has them.
struct Cgroups(Vec<(String, String)>);

impl Cgroups {
    fn of(pid: u32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        Self::parse(&text)
    }

    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((
                parts.next()?.to_owned(),
                parts.next()?.trim_start_matches('/').to_owned(),
            ))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// A file of the group that has `controller`; of the unified group if there is none with it.
    fn read(&self, controller: &str, file: &str, unified_file: &str) -> Option<String> {
        let v1 = self
            .0
            .iter()
            .find(|(names, _)| names.split(',').any(|name| name == controller));
        let path = match v1 {
            Some((_, path)) => Path::new("/sys/fs/cgroup").join(controller).join(path).join(file),
            None => {
                let (_, path) = self.0.iter().find(|(names, _)| names.is_empty())?;
                Path::new("/sys/fs/cgroup").join(path).join(unified_file)
            }
        };
        std::fs::read_to_string(path).ok()
    }

    fn cpu_millis(&self) -> Option<u64> {
        let number = |text: &str| {
            text.trim()
                .parse::<i64>()
                .ok()
                .and_then(|number| u64::try_from(number).ok())
                .filter(|number| *number > 0)
        };
        let quota = self.read("cpu", "cpu.cfs_quota_us", "cpu.max")?;
        let (quota, period) = match quota.split_whitespace().collect::<Vec<_>>()[..] {
            [quota, period] => (number(quota)?, number(period)?),
            _ => (
                number(&quota)?,
                number(&self.read("cpu", "cpu.cfs_period_us", "cpu.max")?)?,
            ),
        };
        Some((quota.saturating_mul(1_000) / period).max(1))
    }

    fn memory_bytes(&self) -> Option<u64> {
        let limit: u64 = self
            .read("memory", "memory.limit_in_bytes", "memory.max")?
            .trim()
            .parse()
            .ok()?;
        (limit > 0 && limit < NO_LIMIT_BYTES).then_some(limit)
    }
}

fn machine_cpu_millis() -> u64 {
    std::thread::available_parallelism().map_or(1_000, |cores| {
        u64::try_from(cores.get()).unwrap_or(1).saturating_mul(1_000)
    })
}

fn machine_memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    });
    // A machine that hides its size still has some: one GiB keeps the percentage meaningful.
    kibibytes.unwrap_or(1 << 20).saturating_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen_and_uses_memory() {
        let process = Process::read(std::process::id()).unwrap();
        assert!(process.resident_bytes > 0);
        assert!(process.executable.is_some());
        assert!(Process::all().any(|other| other.pid == process.pid));
        assert!(Process::read(u32::MAX).is_none());
    }

    #[test]
    fn cgroups_of_both_versions_are_read() {
        let groups = Cgroups::parse("7:cpu,cpuacct:/kubepods/a\n4:memory:/b\n0::/c:d\n");
        assert_eq!(
            groups.0,
            [
                ("cpu,cpuacct".into(), "kubepods/a".into()),
                ("memory".into(), "b".into()),
                (String::new(), "c:d".into())
            ]
        );
    }
}
