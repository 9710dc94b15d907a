//! Profiles that real programs wrote, through the command line, read by `go tool pprof`.
//!
//! Node, the JVM, Python and Go run programs of ours under their own profilers and others'. A runtime that is missing is a failure under CI;
//! elsewhere its test says so and passes.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test file: its functions are tests or their parts"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testkit::process;
use testkit::tools::{self, Tool, packages};

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs")
}

/// Says that a test is left out for want of something, which CI must have.
fn left_out(missing: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI must have {missing}");
    eprintln!("not tested, for want of {missing}");
}

/// Whether all of these are there; CI must have them.
fn are_there(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|name| process::find(name).is_none()).collect();
    if !missing.is_empty() {
        left_out(&format!("{missing:?}"));
    }
    missing.is_empty()
}

/// A program of a tool, which is installed when it is not there, where these programs are, too; CI must be able to.
fn program(tool: Tool, name: &str, others: &[&str]) -> Option<PathBuf> {
    if !are_there(others) {
        return None;
    }
    match tools::ensure(tool) {
        Ok(bin) => Some(bin.join(name)),
        Err(error) => {
            left_out(&format!("{name}: {error:#}"));
            None
        }
    }
}

/// Python itself: what `PATH` has may be a script that starts it, and a profiler would look into the script.
fn python() -> PathBuf {
    PathBuf::from(run(Command::new("python3").args(["-c", "import sys; print(sys.executable)"])).trim())
}

fn run(command: &mut Command) -> String {
    String::from_utf8(process::run(command).unwrap().stdout).unwrap()
}

fn kubectl_profile(arguments: &[&str], file: &Path) -> String {
    run(Command::new(env!("CARGO_BIN_EXE_kubectl-profile"))
        .args(arguments)
        .arg(file))
}

/// What a recording of Hot.java holds.
const TYPES_OF_HOT: [&str; 6] = [
    "samples/count",
    "cpu/nanoseconds",
    "alloc_samples/count",
    "alloc_space/bytes",
    "contentions/count",
    "delay/nanoseconds",
];

/// Runs Hot.java, compiled into a folder for any Java from 11 on, with this option.
fn run_hot(java: &Path, option: &str, folder: &TempDir) {
    run(Command::new("javac")
        .args(["--release", "11", "-d"])
        .arg(folder.path())
        .arg(programs().join("Hot.java")));
    run(Command::new(java).arg(option).arg("-cp").arg(folder.path()).arg("Hot"));
}

/// A foreign profile, made one of pprof.
struct Converted {
    folder: TempDir,
    source: PathBuf,
}

impl Converted {
    fn of(folder: TempDir, name: &str) -> Self {
        let source = folder.path().join(name);
        let converted = Self { folder, source };
        let out = converted.pprof();
        kubectl_profile(&["convert", "--out", out.to_str().unwrap()], &converted.source);
        converted
    }

    fn pprof(&self) -> PathBuf {
        self.folder.path().join("converted.pprof")
    }

    fn go_tool_pprof(&self, arguments: &[&str]) -> String {
        let mut go = Command::new("go");
        // Nothing of it goes anywhere but into our folder.
        go.args(["tool", "pprof"])
            .args(arguments)
            .arg(self.pprof())
            .env("PPROF_TMPDIR", self.folder.path());
        run(&mut go)
    }

    /// The function that pprof lists first for a sample type.
    fn hottest(&self, sample_type: &str) -> String {
        let top = self.go_tool_pprof(&["-top", &format!("-sample_index={sample_type}")]);
        let rows = top.lines().skip_while(|line| !line.contains("flat%")).skip(1);
        let first = rows
            .map(str::to_owned)
            .next()
            .unwrap_or_else(|| panic!("no rows: {top}"));
        first.split_whitespace().skip(5).collect::<Vec<_>>().join(" ")
    }

    /// Asserts that pprof, and this program on the foreign file itself, list a function first.
    fn assert_hottest(&self, sample_type: &str, function: &str) {
        assert_eq!(self.hottest(sample_type), function, "{sample_type}");
        let ours = kubectl_profile(&["top", "-o", "json", "-n", "1", "-t", sample_type], &self.source);
        let ours: serde_json::Value = serde_json::from_str(&ours).unwrap();
        assert_eq!(ours["functions"][0]["name"], function, "{sample_type}");
    }

    /// Asserts that a frame has a file and one of some lines.
    fn assert_place(&self, function: &str, file: &Path, lines: std::ops::RangeInclusive<u32>) {
        let raw = self.go_tool_pprof(&["-raw"]);
        let at = format!(" {function} {}:", file.display());
        let line = |text: &str| text.split_once(&at)?.1.split(':').next()?.trim().parse::<u32>().ok();
        assert!(
            raw.lines().filter_map(line).any(|line| lines.contains(&line)),
            "{at}: {raw}"
        );
    }

    /// Asserts what a recording of Hot.java holds.
    fn assert_of_hot(&self) {
        self.assert_described("jfr", &TYPES_OF_HOT);
        self.assert_hottest("cpu", "Hot.burn");
        self.assert_hottest("alloc_space", "Hot.allocate");
        self.assert_hottest("delay", "Hot.contend");
        self.assert_in_burn();
    }

    /// Asserts the lines of the loop in burn. Files are not in a recording, lines are.
    fn assert_in_burn(&self) {
        self.assert_place("Hot.burn", Path::new(""), 12..=13);
    }

    /// Asserts what the check and the profile say of themselves.
    fn assert_described(&self, format: &str, types: &[&str]) {
        let checked = kubectl_profile(&["check", "-o", "json"], &self.source);
        let checked: serde_json::Value = serde_json::from_str(&checked).unwrap();
        assert_eq!(checked[0]["format"], format);
        let found = checked[0]["sampleTypes"].as_array().unwrap().iter();
        let found: Vec<_> = found
            .map(|of| format!("{}/{}", of["type"].as_str().unwrap(), of["unit"].as_str().unwrap()))
            .collect();
        assert_eq!(found, types);
    }
}

#[test]
fn a_cpu_profile_of_node() {
    if !are_there(&["node", "go"]) {
        return;
    }
    let (folder, program) = (TempDir::new().unwrap(), programs().join("hot.js"));
    let mut node = Command::new("node");
    node.args(["--cpu-prof", "--cpu-prof-name=of.cpuprofile", "--cpu-prof-dir"])
        .arg(folder.path());
    run(node.arg(&program).args(["600", "1"]));
    let converted = Converted::of(folder, "of.cpuprofile");
    converted.assert_described("cpuprofile", &["samples/count", "wall/nanoseconds", "cpu/nanoseconds"]);
    for sample_type in ["cpu", "wall", "samples"] {
        converted.assert_hottest(sample_type, "burn");
    }
    // The loop of burn.
    converted.assert_place("burn", &program, 4..=6);
}

#[test]
fn a_heap_profile_of_node() {
    if !are_there(&["node", "go"]) {
        return;
    }
    let (folder, program) = (TempDir::new().unwrap(), programs().join("hot.js"));
    let mut node = Command::new("node");
    node.args(["--heap-prof", "--heap-prof-name=of.heapprofile", "--heap-prof-dir"])
        .arg(folder.path());
    run(node.arg(&program).args(["1", "5000"]));
    let converted = Converted::of(folder, "of.heapprofile");
    converted.assert_described("heapprofile", &["inuse_space/bytes"]);
    // Its place is not asked for: V8 forgets it when it drops the script before the process ends.
    converted.assert_hottest("inuse_space", "leak");
}

#[test]
fn a_recording_of_the_jvm() {
    if !are_there(&["javac", "java", "go"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let recording = folder.path().join("of.jfr");
    let option = format!(
        "-XX:StartFlightRecording=filename={},settings=profile",
        recording.display()
    );
    run_hot(Path::new("java"), &option, &folder);
    let converted = Converted::of(folder, "of.jfr");
    converted.assert_of_hot();
    // Who waited, and for what.
    let waited = converted.go_tool_pprof(&["-tags", "-sample_index=delay"]);
    assert!(
        waited.contains("contender") && waited.contains("java.lang.Object"),
        "{waited}"
    );
}

/// JDK 25 samples CPU time by the clock of each thread. Its default takes 500 samples a second of all cores, so what each stands
/// for differs from machine to machine.
#[test]
fn cpu_time_of_the_jvm() {
    let Some(java) = program(Tool::Java25, "java", &["javac", "go"]) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let option = format!(
        "-XX:StartFlightRecording:jdk.CPUTimeSample#enabled=true,filename={}",
        folder.path().join("of.jfr").display()
    );
    run_hot(&java, &option, &folder);
    let converted = Converted::of(folder, "of.jfr");
    // Threads that were seen running are in the recording as well: the same time is not told twice.
    converted.assert_described("jfr", &TYPES_OF_HOT);
    converted.assert_hottest("cpu", "Hot.burn");
    // 500 samples a second of all cores: each stands for two milliseconds at least.
    let raw = converted.go_tool_pprof(&["-raw"]);
    let period = raw.lines().find_map(|line| line.strip_prefix("Period: ")).unwrap();
    assert!(period.trim().parse::<u64>().unwrap() >= 2_000_000, "{period}");
}

/// What async-profiler, in the process of Hot.java, writes when it is told these options.
fn of_async_profiler(options: &str) -> Option<Converted> {
    let library = program(Tool::AsyncProfiler, "libasyncProfiler.so", &["javac", "java", "go"])?;
    let folder = TempDir::new().unwrap();
    let output = folder.path().join("of.asprof");
    let option = format!(
        "-agentpath:{}=start,{options},file={}",
        library.display(),
        output.display()
    );
    run_hot(Path::new("java"), &option, &folder);
    Some(Converted::of(folder, "of.asprof"))
}

#[test]
fn stacks_of_async_profiler() {
    // Each thread's own clock needs nothing of the kernel. Frames say how they were compiled.
    let Some(converted) = of_async_profiler("event=ctimer,interval=1ms,collapsed,threads,ann") else {
        return;
    };
    converted.assert_described("collapsed", &["samples/count"]);
    converted.assert_hottest("samples", "Hot.burn");
}

#[test]
fn a_recording_of_async_profiler() {
    let Some(converted) = of_async_profiler("event=ctimer,interval=1ms,alloc=64k,lock=1us,jfr") else {
        return;
    };
    converted.assert_of_hot();
}

#[test]
fn a_recording_of_the_wall_clock_by_async_profiler() {
    let Some(converted) = of_async_profiler("event=wall,interval=5ms,jfr") else {
        return;
    };
    converted.assert_described("jfr", &["wall_samples/count", "wall/nanoseconds"]);
    // What waits is seen as often as what runs: the JVM's own threads wait all the time, in a function of the C library.
    converted.assert_in_burn();
}

/// perf in a folder, where it looks for recordings.
fn perf(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut perf = Command::new("perf");
    perf.args(arguments).current_dir(folder.path());
    perf
}

#[test]
fn stacks_of_perf() {
    if !are_there(&["go"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    run(Command::new("go")
        .args(["build", "-o"])
        .arg(folder.path().join("hot"))
        .arg("./record")
        .env("GOWORK", "off")
        .current_dir(programs().join("pgo")));
    // By a timer: not every machine lets one count the cycles of its processor.
    let options = [
        "record",
        "--quiet",
        "--event=cpu-clock",
        "--freq=499",
        "-g",
        "--output=perf.data",
    ];
    if let Err(error) = process::run(perf(&folder, &options).args(["--", "./hot", "own.pprof"])) {
        if packages::brings_perf() {
            left_out(&format!("perf: {error:#}"));
        } else {
            eprintln!("not tested, for want of perf: {error:#}");
        }
        return;
    }
    let stacks = run(&mut perf(&folder, &["script", "report", "stackcollapse"]));
    fs::write(folder.path().join("of.stacks"), stacks).unwrap();
    let converted = Converted::of(folder, "of.stacks");
    converted.assert_described("collapsed", &["samples/count"]);
    converted.assert_hottest("samples", "profiling.io/cli/tests/pgo/hot.burn");
}

#[test]
fn stacks_of_py_spy() {
    let Some(py_spy) = program(Tool::PySpy, "py-spy", &["python3", "go"]) else {
        return;
    };
    let (folder, program) = (TempDir::new().unwrap(), programs().join("hot.py"));
    let mut record = Command::new(py_spy);
    record.args([
        "record",
        "--format",
        "raw",
        "--rate",
        "200",
        "--full-filenames",
        "--output",
    ]);
    run(record
        .arg(folder.path().join("of.stacks"))
        .arg("--")
        .arg(python())
        .arg("-S")
        .arg(&program)
        .arg("400"));
    let converted = Converted::of(folder, "of.stacks");
    converted.assert_described("collapsed", &["samples/count"]);
    converted.assert_hottest("samples", "burn");
    converted.assert_place("burn", &program, 8..=10);
}

#[test]
fn stacks_of_austin() {
    let Some(austin) = program(Tool::Austin, "austin", &["python3", "go"]) else {
        return;
    };
    let (folder, program) = (TempDir::new().unwrap(), programs().join("hot.py"));
    let python = python();
    let output = folder.path().join("of.austin");
    // Austin looks for Python in the process that it starts, and gives up where the program ends before it has found it: on
    // a busy machine, one that runs longer is found.
    let record = |rounds: &str| {
        let mut record = Command::new(&austin);
        record
            .args(["--timeout=60s", "--interval=5ms", "--output"])
            .arg(&output)
            .arg(&python)
            .arg("-S")
            .arg(&program)
            .arg(rounds);
        process::run(&mut record)
    };
    let recorded = record("400").or_else(|_| record("1500")).or_else(|_| record("5000"));
    recorded.unwrap();
    let converted = Converted::of(folder, "of.austin");
    converted.assert_described("collapsed", &["samples/count", "wall/nanoseconds"]);
    converted.assert_hottest("wall", "burn");
    converted.assert_place("burn", &program, 8..=10);
}
