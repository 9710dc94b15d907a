//! What other tools write, read: small files made by hand, broken ones, and ones that no tool writes.
//!
//! Files that real programs wrote are read by the tests of the command line, which runs those programs.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file: its functions are tests or their parts"
)]

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use profile::import::{Format, ImportError, advice};
use profile::model::LabelValue;
use profile::{Limits, Profile};

mod hostile;
mod recording;

pub(crate) const CPU: &str = r#"{
    "nodes": [
        {"id": 1, "callFrame": {"functionName": "(root)", "scriptId": "0", "url": "", "lineNumber": -1}, "hitCount": 0, "children": [2, 5]},
        {"id": 2, "callFrame": {"functionName": "main", "scriptId": "7", "url": "file:///app/hot.js", "lineNumber": 9}, "children": [3]},
        {"id": 3, "callFrame": {"functionName": "burn", "scriptId": "7", "url": "file:///app/hot.js", "lineNumber": 0},
         "hitCount": 3, "positionTicks": [{"line": 2, "ticks": 2}, {"line": 3, "ticks": 1}]},
        {"id": 5, "callFrame": {"functionName": "(idle)", "scriptId": "0", "url": "", "lineNumber": -1}, "hitCount": 1}
    ],
    "startTime": 1000, "endTime": 9000, "samples": [3, 3, 5, 3], "timeDeltas": [500, 1000, 1000, 2000], "$vscode": {"rpcs": [[]]}
}"#;

pub(crate) const HEAP: &str = r#"{"head": {
    "callFrame": {"functionName": "(root)", "url": "", "lineNumber": -1}, "selfSize": 0, "id": 1, "children": [
        {"callFrame": {"functionName": "", "url": "node:fs", "lineNumber": 4}, "selfSize": 100, "id": 2, "children": [
            {"callFrame": {"functionName": "leak", "url": "/app/hot.js", "lineNumber": 5}, "children": [], "id": 3, "selfSize": 4096}
        ]},
        {"callFrame": {"functionName": "other", "url": "", "lineNumber": 0}, "selfSize": 7, "id": 4, "children": []}
    ]}, "samples": [{"size": 4096, "nodeId": 3, "ordinal": 1}]}"#;

pub(crate) const AUSTIN: &str = "\
# austin: 3.7.0
# interval: 10000
# mode: full

P12;T0:12;/app/hot.py:<module>:13;/app/hot.py:hot:11 10100,0,4096
P12;T0:12;/app/hot.py:<module>:13;/app/hot.py:hot:11 100,1,-50
P12;T0:12;:GC: 7,0,0

# duration: 2496470
";

/// Stacks as text: frames from the root on, with file and line where there are any; labels; values.
pub(crate) fn shown(profile: &Profile<'_>) -> Vec<String> {
    let strings = profile.strings();
    let frame = |location: &u32| {
        let line = profile.lines_of(&profile.locations()[*location as usize])[0];
        let function = profile.functions()[line.function as usize];
        let (name, file) = (strings.text(function.name), strings.text(function.file));
        match (file.is_empty(), line.line) {
            (true, 0) => name.into_owned(),
            (_, line) => format!("{name} {file}:{line}"),
        }
    };
    let sample = |sample: profile::model::Sample<'_>| {
        let stack: Vec<_> = sample.stack.iter().rev().map(frame).collect();
        let label = |label: &profile::model::Label| match label.value {
            LabelValue::Text(text) => format!(" {}={}", strings.text(label.key), strings.text(text)),
            LabelValue::Number(..) => panic!("no importer writes numbers"),
        };
        let labels: String = sample.labels.iter().map(label).collect();
        format!("{}{labels} {:?}", stack.join(";"), sample.values)
    };
    profile.samples().map(sample).collect()
}

pub(crate) fn types(profile: &Profile<'_>) -> Vec<String> {
    let strings = profile.strings();
    let types = profile.header().sample_types.iter();
    types
        .map(|of| format!("{}/{}", strings.text(of.kind), strings.text(of.unit)))
        .collect()
}

/// Imports, and proves that what came of it is a profile as google/pprof understands it.
pub(crate) fn import(format: Format, bytes: &[u8]) -> Result<Profile<'static>, ImportError> {
    let profile = format.import(bytes, &Limits::DEFAULT)?;
    let encoded = profile.encode();
    let decoded = Profile::decode(&encoded, &Limits::DEFAULT).unwrap();
    assert_eq!(shown(&decoded), shown(&profile));
    Ok(profile)
}

#[test]
fn formats_are_told_by_how_they_begin() {
    let jfr = recording::recording();
    for (bytes, format) in [
        (CPU.as_bytes(), Format::V8Cpu),
        (HEAP.as_bytes(), Format::V8Heap),
        (b"{\"samples\":[1],\"nodes\":[", Format::V8Cpu),
        (jfr.as_slice(), Format::Jfr),
        (AUSTIN.as_bytes(), Format::Collapsed),
        (b"<module> (hot.py:13) 24\n", Format::Collapsed),
        (b"main;burn 3\r\nmain 1", Format::Collapsed),
    ] {
        assert_eq!(Format::of(bytes), Some(format), "{}", String::from_utf8_lossy(bytes));
    }
    // The beginning of a long text decides, whatever its last line lacks.
    let long = "main;burn 3\n".repeat(100_000);
    assert_eq!(Format::of(long.as_bytes()), Some(Format::Collapsed));
    let deep = "java/util/concurrent/ThreadPoolExecutor.runWorker;".repeat(2_048) + "run 1\n";
    assert_eq!(Format::of(deep.as_bytes()), Some(Format::Collapsed));
    assert_eq!(Format::of(deep.repeat(20).as_bytes()), Some(Format::Collapsed));
}

#[test]
fn what_is_none_of_them_is_not_taken_for_one() {
    let texts = [
        "",
        "{}",
        "{\"error\": \"not found\"}",
        "[1]",
        "404 page not found\n",
        "main 3\n",
        "<html>\n<body>\n",
        "Error; code 500\nnext line\n",
        "goroutine profile: total 3\n1 @ 0x1 0x2\n",
        "heap profile:      1:     1024 [     1:     1024] @ heapprofile\n",
        "--- contentionz 1 ---\ncycles/second = 1\n",
        "heap_v2/524288\n  t*: 1: 2 [0: 0]\n",
        "a;b 3\n\0",
    ];
    for text in texts {
        assert_eq!(Format::of(text.as_bytes()), None, "{text}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(
            Format::of(&profile::unpack(&bytes, &Limits::DEFAULT).unwrap_or_default()),
            None,
            "{}",
            path.display()
        );
    }
    assert!(advice(b"PERFILE2\0").unwrap().contains("perf script"));
    assert!(advice(b"MOJO\x03").unwrap().contains("mojo2austin"));
    assert!(advice(b"go 1.26 trace\0\0\0\x01").unwrap().contains("go tool trace"));
    let snapshot = b"{\"snapshot\":{\"meta\":{}},\n\"nodes\":[9,1,1,0,5,0,0]}";
    assert_eq!(Format::of(snapshot), None);
    assert!(advice(snapshot).unwrap().contains("heap snapshot"));
    assert_eq!(advice(b"go 1.26 is out"), None);
    assert_eq!(advice(b"\x0a\x04"), None);
}

#[test]
fn a_cpu_profile_of_v8_has_time_by_line() {
    let profile = import(Format::V8Cpu, CPU.as_bytes()).unwrap();
    assert_eq!(
        types(&profile),
        ["samples/count", "wall/nanoseconds", "cpu/nanoseconds"]
    );
    // Samples at 1.5, 2.5, 3.5 and 5.5 ms, the last up to the end at 9: burn 1 + 1 + 3.5, of which two thirds at line 2.
    assert_eq!(
        shown(&profile),
        [
            "main /app/hot.js:10;burn /app/hot.js:2 [2, 3666000, 3666000]",
            "main /app/hot.js:10;burn /app/hot.js:3 [1, 1834000, 1834000]",
            "(idle) [1, 2000000, 0]",
        ]
    );
    assert_eq!(profile.header().duration_nanos, 8_000_000);
    assert_eq!(profile.header().period, 2_000_000);
    assert_eq!(profile.default_sample_index(), Some(2));
    assert_eq!(profile.functions()[1].start_line, 10);
}

#[test]
fn a_cpu_profile_without_samples_has_its_hits() {
    let nodes = CPU
        .split("\"samples\"")
        .next()
        .unwrap()
        .trim_end()
        .trim_end_matches(',');
    let profile = import(Format::V8Cpu, format!("{nodes}}}").as_bytes()).unwrap();
    assert_eq!(profile.totals(), [4, 8_000_000, 6_000_000]);
}

/// Both lists may be left out.
#[test]
fn a_cpu_profile_without_times_shares_its_duration() {
    let (before, after) = CPU.split_once(", \"timeDeltas\": [500, 1000, 1000, 2000]").unwrap();
    let profile = import(Format::V8Cpu, format!("{before}{after}").as_bytes()).unwrap();
    assert_eq!(profile.totals(), [4, 8_000_000, 6_000_000]);
    let short = CPU.replace("[500, 1000, 1000, 2000]", "[500, 1000]");
    let refused = import(Format::V8Cpu, short.as_bytes()).unwrap_err();
    assert!(
        refused.to_string().ends_with("not as many times as samples"),
        "{refused}"
    );
}

#[test]
fn a_heap_profile_of_v8_has_bytes_in_use() {
    let profile = import(Format::V8Heap, HEAP.as_bytes()).unwrap();
    assert_eq!(types(&profile), ["inuse_space/bytes"]);
    assert_eq!(
        shown(&profile),
        [
            "(anonymous) node:fs:5 [100]",
            "(anonymous) node:fs:5;leak /app/hot.js:6 [4096]",
            "other :1 [7]",
        ]
    );
}

#[test]
fn a_recording_has_the_kinds_of_its_events() {
    let recording = recording::recording();
    let profile = import(Format::Jfr, &recording).unwrap();
    assert_eq!(
        types(&profile),
        [
            "samples/count",
            "cpu/nanoseconds",
            "alloc_samples/count",
            "alloc_space/bytes",
            "contentions/count",
            "delay/nanoseconds",
        ]
    );
    assert_eq!(
        shown(&profile),
        [
            "app.Hot.main :22;app.Hot.burn :11 thread=main [2, 40000000, 0, 0, 0, 0]",
            "[no stack trace] [1, 20000000, 0, 0, 0, 0]",
            "app.Hot.main :22;app.Hot.burn :11 class=byte[] thread=main [0, 0, 1, 4096, 0, 0]",
            "app.Hot.main :22;app.Hot.burn :11 class=app.Hot thread=main [0, 0, 0, 0, 1, 1500000]",
        ]
    );
    let header = profile.header();
    assert_eq!(
        (header.period, header.time_nanos),
        (20_000_000, 1_700_000_000_000_000_000)
    );
    assert_eq!(header.duration_nanos, 2_000_000_000);
    assert_eq!(profile.default_sample_index(), Some(1));
    assert_eq!(
        profile.strings().get(profile.functions()[0].system_name),
        b"app.Hot.burn()V"
    );
    // Constants are told by chunk: the same recording twice is twice as much of the same.
    let twice = import(Format::Jfr, &[recording.as_slice(), &recording].concat()).unwrap();
    assert_eq!(twice.sample_count(), profile.sample_count());
    assert_eq!(twice.totals()[0], 6);
}

#[test]
fn a_recording_of_cpu_time_says_what_each_sample_stands_for() {
    let profile = import(Format::Jfr, &recording::recording_of_cpu_time()).unwrap();
    assert_eq!(types(&profile), ["samples/count", "cpu/nanoseconds"]);
    // That a thread was seen running tells of the same time, and is left out.
    assert_eq!(
        shown(&profile),
        [
            "app.Hot.main :22;app.Hot.burn :11 thread=main [2, 12000000]",
            "[no stack trace] thread=main [1, 4000000]",
        ]
    );
    assert_eq!(profile.header().period, 16_000_000 / 3);
}

#[test]
fn stacks_of_each_writer_are_read() {
    let text = b"\
<module> (hot.py:13);hot (/app/hot.py:11) 24\n\
0x7f00 (libc.so.6);std::(anonymous namespace)::f(int) 2\n\
\n\
java;java/util/ArrayList.clear_[j];sys_read_[k] 1\r\n\
\x20 4\n\
<module> (hot.py:13);hot (/app/hot.py:11) 1\n";
    let profile = import(Format::Collapsed, text).unwrap();
    assert_eq!(types(&profile), ["samples/count"]);
    assert_eq!(
        shown(&profile),
        [
            "<module> hot.py:13;hot /app/hot.py:11 [25]",
            "0x7f00 libc.so.6:0;std::(anonymous namespace)::f(int) [2]",
            "java;java/util/ArrayList.clear;sys_read [1]",
            "[no stack trace] [4]",
        ]
    );
}

#[test]
fn austin_says_what_its_numbers_are() {
    let profile = import(Format::Collapsed, AUSTIN.as_bytes()).unwrap();
    assert_eq!(
        types(&profile),
        ["samples/count", "memory/bytes", "wall/nanoseconds", "cpu/nanoseconds"]
    );
    assert_eq!(
        shown(&profile),
        [
            "<module> /app/hot.py:13;hot /app/hot.py:11 process=12 thread=0:12 [2, 4046, 10200000, 10100000]",
            ":GC: process=12 thread=0:12 [1, 0, 7000, 7000]",
        ]
    );
    let header = profile.header();
    assert_eq!((header.period, header.duration_nanos), (10_000_000, 2_496_470_000));
    for (mode, types_of_it, value) in [
        ("wall", "wall/nanoseconds", 5000),
        ("cpu", "cpu/nanoseconds", 5000),
        ("memory", "memory/bytes", 5),
    ] {
        let text = format!("# austin: 3.7.0\n# mode: {mode}\nP1;T1:1;a.py:f:1 5\n");
        let profile = import(Format::Collapsed, text.as_bytes()).unwrap();
        assert_eq!(types(&profile), ["samples/count", types_of_it]);
        assert_eq!(profile.totals(), [1, value]);
    }
}

/// Files may be called as processes and threads are.
#[test]
fn a_frame_of_austin_is_no_thread() {
    let text = b"# austin: 3.7.0\n# mode: wall
P1;T0:1f;Test.py:main:3;Tasks.py:run:4 500
P1;T12;P7;P2.py:f:1 5
T0:1;Tab:bed:7 6
P1;T0:12 7
Test.py:main:3 8
";
    let profile = import(Format::Collapsed, text).unwrap();
    assert_eq!(
        shown(&profile),
        [
            "main Test.py:3;run Tasks.py:4 process=1 thread=0:1f [1, 500000]",
            "P7;f P2.py:1 process=1 thread=12 [1, 5000]",
            "bed Tab:7 thread=0:1 [1, 6000]",
            "[no stack trace] process=1 thread=0:12 [1, 7000]",
            "main Test.py:3 [1, 8000]",
        ]
    );
}

#[test]
fn a_comparison_of_stacks_is_no_profile() {
    let refused = import(Format::Collapsed, b"main;old 4 0\nmain;work 6 9\n").unwrap_err();
    assert!(
        refused.to_string().ends_with("so it is a comparison and no profile"),
        "{refused}"
    );
    // A name may end with a number, but those of all leaves do not.
    let profile = import(Format::Collapsed, b"main;thread 4 1\nmain;work 9\n").unwrap();
    assert_eq!(shown(&profile), ["main;thread 4 [1]", "main;work [9]"]);
}
