//! What a process costs: memory, CPU time and age, as the kernel counts them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

use crate::process::Running;

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Resident now.
    pub resident_kib: u64,
    /// Most that was ever resident, or since [`forget_peak`].
    pub peak_kib: u64,
    /// Of what is resident, what is not the program's file.
    pub anonymous_kib: u64,
}

/// The memory of a process.
pub fn memory(process: &Running) -> Result<Memory> {
    let text = read(process, "status")?;
    let field = |name: &str| -> Result<u64> {
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        let value = value.and_then(|rest| rest.trim().strip_suffix(" kB"));
        value
            .with_context(|| format!("{name} of process {}", process.pid))?
            .trim()
            .parse()
            .with_context(|| format!("{name} of process {}", process.pid))
    };
    Ok(Memory {
        resident_kib: field("VmRSS:")?,
        peak_kib: field("VmHWM:")?,
        anonymous_kib: field("RssAnon:")?,
    })
}

/// Sets the peak back to what is resident now.
pub fn forget_peak(process: &Running) -> Result<()> {
    let path = format!("/proc/{}/clear_refs", process.pid);
    fs::write(&path, "5").with_context(|| format!("write {path}"))
}

/// The CPU time of all threads of a process since its start, those that ended included. In steps of 10 ms.
pub fn cpu(process: &Running) -> Result<Duration> {
    // User and system time are fields 14 and 15.
    let ticks: u64 = stat_field(process, 11)? + stat_field(process, 12)?;
    Ok(ticks_to_duration(ticks))
}

/// The CPU time of all threads of this process since its start. To the nanosecond: `/proc/self/schedstat` is as old as the
/// last tick, up to 4 ms.
pub fn own_cpu() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        spent.tv_sec.unsigned_abs(),
        u32::try_from(spent.tv_nsec).unwrap_or_default(),
    )
}

/// How long ago a process was started, by the clock that starts with the machine. In steps of 10 ms.
pub fn age(process: &Running) -> Result<Duration> {
    let text = fs::read_to_string("/proc/uptime").context("read /proc/uptime")?;
    let up: f64 = text
        .split_whitespace()
        .next()
        .context("/proc/uptime is empty")?
        .parse()
        .context("uptime")?;
    Ok(Duration::from_secs_f64(up).saturating_sub(ticks_to_duration(process.start_ticks)))
}

fn ticks_to_duration(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(ticks.saturating_mul(1_000) / per_second)
}

/// A field of `/proc/PID/stat`, counted from the state, which is the first behind the name.
fn stat_field(process: &Running, at: usize) -> Result<u64> {
    let line = read(process, "stat")?;
    let (_, fields) = line.rsplit_once(')').context("the name in stat has an end")?;
    let field = fields.split_whitespace().nth(at).context("stat is short")?;
    field.parse().with_context(|| format!("field {at} of stat"))
}

fn read(process: &Running, file: &str) -> Result<String> {
    let path = format!("/proc/{}/{file}", process.pid);
    fs::read_to_string(&path).with_context(|| format!("read {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_something() {
        let me = Running::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let memory = memory(&me).unwrap();
        assert!(memory.anonymous_kib > 0 && memory.anonymous_kib < memory.resident_kib);
        assert!(memory.resident_kib <= memory.peak_kib);
        let before = cpu(&me).unwrap();
        let spun = crate::wait_until("20 ms of CPU time", Duration::from_secs(60), || {
            let sum = (0..10_000_000).fold(0_u64, |sum, number| sum ^ std::hint::black_box(number));
            Ok((std::hint::black_box(sum) != 1 && cpu(&me)? >= before + Duration::from_millis(20)).then_some(()))
        });
        assert!(spun.is_ok());
        assert!(age(&me).unwrap() < Duration::from_secs(3_600));
    }
}
