//! Programs: run to their end with their output in the error, or started and known by pid and start time.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::Pid;
pub use rustix::process::Signal;
use serde::{Deserialize, Serialize};

/// How much of a program's output goes into an error: enough for a compiler's message, small enough to read.
const SHOWN_BYTES_MAX: usize = 4000;

/// Runs `command` to its end; an exit code other than 0 is an error that shows the end of what it wrote.
pub fn run(command: &mut Command) -> Result<Output> {
    finish(command, None)
}

/// As [`run`], with `input` on standard input.
pub fn run_with_input(command: &mut Command, input: &str) -> Result<Output> {
    finish(command, Some(input))
}

/// As [`run`], with the program's output going to this process's own: for long builds and test suites.
pub fn run_shown(command: &mut Command) -> Result<()> {
    let shown = describe(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("start {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// The standard output of `command` as text, without the last line's end.
pub fn text(command: &mut Command) -> Result<String> {
    let output = run(command)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// The full path of `program`, looked up in PATH and in the folders that root's PATH has.
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(std::path::PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Whether this process may set up namespaces and mounts.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A process as this machine knows it. The start time tells it from a later process with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Process id.
    pub pid: i32,
    /// Clock ticks after boot, from field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
}

impl Running {
    /// Starts `command` in its own process group, so that a terminal's Ctrl-C does not reach it, with both outputs
    /// appended to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let shown = describe(command);
        let out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("open {}", log.display()))?;
        let err = out.try_clone().context("duplicate log handle")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {shown}"))?;
        let pid = i32::try_from(child.id()).context("pid")?;
        Self::of(pid).with_context(|| format!("{shown} ended at once"))
    }

    /// The process that has `pid` now.
    pub fn of(pid: i32) -> Option<Self> {
        stat(pid).map(|(start_ticks, _)| Self { pid, start_ticks })
    }

    /// Whether this very process still runs; a zombie does not.
    pub fn is_alive(&self) -> bool {
        stat(self.pid)
            .is_some_and(|(start_ticks, state)| start_ticks == self.start_ticks && !matches!(state, 'Z' | 'X'))
    }

    /// Whether nothing is left of it, no thread and no open file: its parent has taken note of its end.
    pub fn is_gone(&self) -> bool {
        Self::of(self.pid) != Some(*self)
    }

    /// Sends `signal`, unless the process is gone or the pid is somebody else's by now.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        let pid = Pid::from_raw(self.pid).context("pid 0")?;
        match rustix::process::kill_process(pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("signal process {}", self.pid)),
        }
    }
}

/// Every pid of the machine.
pub fn pids() -> Result<Vec<i32>> {
    let entries = fs::read_dir("/proc").context("list /proc")?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect())
}

/// The arguments of a process; empty when it is gone, a zombie or a kernel thread.
pub fn arguments(pid: i32) -> Vec<String> {
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split('\0')
        .filter(|argument| !argument.is_empty())
        .map(str::to_owned)
        .collect()
}

fn stat(pid: i32) -> Option<(u64, char)> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces and parentheses; the fields follow its last one.
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((fields.nth(18)?.parse().ok()?, state))
}

fn finish(command: &mut Command, input: Option<&str>) -> Result<Output> {
    let shown = describe(command);
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start {shown}"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // Input of tests is a manifest of a few kilobytes: it fits the pipe, so that writing first cannot deadlock. A
        // program that ends without reading it says why on its own.
        if let Err(error) = stdin.write_all(input.as_bytes())
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            return Err(error).with_context(|| format!("write to {shown}"));
        }
    }
    let output = child.wait_with_output().with_context(|| format!("wait for {shown}"))?;
    if !output.status.success() {
        let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stdout));
        bail!("{shown}: {}: {}", output.status, tail(said.trim(), SHOWN_BYTES_MAX));
    }
    Ok(output)
}

/// The last `bytes_max` bytes of `text`, cut where a character starts.
pub fn tail(text: &str, bytes_max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes_max))..]
}

fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    let line = words.join(" ");
    if line.len() > 300 {
        format!("{}…", &line[..line.floor_char_boundary(300)])
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_what_the_program_said() {
        let error = run(Command::new("sh").args(["-c", "echo seen >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().ends_with("exit status: 3: seen"), "{error}");
    }

    #[test]
    fn a_process_is_known_by_its_start_time_too() {
        let me = Running::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.is_alive());
        let other = Running {
            start_ticks: me.start_ticks + 1,
            ..me
        };
        assert!(!other.is_alive());
        // Would end this test if it reached the process.
        other.signal(Signal::KILL).unwrap();
    }
}
