//! Where fuzzing begins, and what the tests replay: real files in the form that each property takes, and what fuzzing
//! has found.

use std::fs;
use std::path::{Path, PathBuf};

use profile::{Limits, gzip, unpack};

use crate::corpus::{corpus, read};

/// Larger files are no seeds: a fuzzer makes small changes, and a thousand small files a second teach it more than three
/// large ones.
const SEED_BYTES_MAX: usize = 16 << 10;

/// The target that has no property of its own, because it asks google/pprof.
pub(crate) const ORACLE: &str = "oracle";

/// What other tools write, in a few lines each.
const COLLAPSED: [&str; 3] = [
    "# austin: 3.7.0\n# interval: 10000\n# mode: full\n\nP12;T0:12;/app/hot.py:<module>:13;:GC: 7,0,4096\n",
    "main;work;wait_[k] 24\nmain 1\n",
    "<module> (hot.py:13);burn (hot.py:9) 3\r\n",
];
const V8: [&str; 2] = [
    r#"{"nodes":[{"id":1,"callFrame":{"functionName":"(root)","scriptId":"0","url":"","lineNumber":-1},"hitCount":0,"children":[2]},{"id":2,"callFrame":{"functionName":"main","scriptId":"7","url":"file:///hot.js","lineNumber":9},"hitCount":3,"positionTicks":[{"line":2,"ticks":2}]}],"startTime":1000,"endTime":9000,"samples":[2,2],"timeDeltas":[500,1000]}"#,
    r#"{"head":{"callFrame":{"functionName":"(root)","url":"","lineNumber":-1},"selfSize":0,"id":1,"children":[{"callFrame":{"functionName":"leak","url":"/hot.js","lineNumber":5},"children":[],"id":3,"selfSize":4096}]},"samples":[{"size":4096,"nodeId":3,"ordinal":1}]}"#,
];

/// The formats before profile.proto, and jemalloc's, in a few lines each.
const LEGACY: [&str; 7] = [
    "heap profile: 1: 16 [2: 48] @ heap/524288\n1: 16 [2: 48] @ 0x401000 0x402000\n\nMAPPED_LIBRARIES:\n400000-500000 r-xp 00000000 fd:01 12 /usr/bin/a\n",
    "threadcreate profile: total 3\n2 @ 0x401000 0x402000\n1 @ 0x401000\n",
    "--- threadz 1 ---\n\n--- Thread 7f01 (name: main/1) stack: ---\n  0x401000 0x402000 main\n  same as previous thread\n--- Memory map: ---\n  00400000-00500000: /usr/bin/a (@0)\n",
    "--- contentionz 1 ---\ncycles/second = 1000000000\nsampling period = 100\n 2000 3 @ 0x401000 0x402000\nMAPPED_LIBRARIES:\nbuild=/usr/bin\n400000-500000 r-xp 00000000 fd:01 12 $build/a\n",
    "--- heapz 1 ---\nformat = java\nresolution = bytes\n 64 2 @ 0x1 0x2\n  0x1 com.example.A.run (A.java:12)\n  0x2 GC (/usr/lib/libjvm.so)\n",
    "--- contentionz 1 ---\nformat = java\nresolution = microseconds\nsampling period = 10\n 64 2 @ 0x1 0x2\n  0x1 com.example.A.run (A.java:12)\n",
    "heap_v2/524288\n  t*: 1: 16 [0: 0]\n  t0: 1: 16 [0: 0] main\n@ 0x401000 0x402000\n  t*: 1: 16 [0: 0]\n\nMAPPED_LIBRARIES:\n401000-402000 r-xp 00001000 fe:00 12 /usr/bin/a\n",
];

/// A CPU profile of gperftools: its words, and the map or the names behind them.
fn cpu(is_java: bool, text: &str) -> Vec<u8> {
    let header = [0, 3, u64::from(is_java), 10_000, 0];
    let samples = [2, 3, 0x40_1000, 0x40_3000, 0x40_2000, 1, 2, 0x40_1000, 0x40_3000];
    let words = header.into_iter().chain(samples).chain([0, 1, 0]);
    words.flat_map(u64::to_le_bytes).chain(text.bytes()).collect()
}

/// A small file of each legacy format.
fn legacy() -> Vec<Vec<u8>> {
    let texts = LEGACY.iter().map(|text| text.as_bytes().to_vec());
    let native = cpu(false, "400000-500000 r-xp 00000000 fd:01 12 /usr/bin/a\n");
    let java = cpu(true, "  0x401000 com.example.A.run (A.java:12)\n");
    texts.chain([native, java]).collect()
}

/// The folder of what fuzzing found, one folder for each property.
pub(crate) fn findings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/findings")
}

/// What was found against one property.
pub(crate) fn found(property: &str) -> Vec<Vec<u8>> {
    let folder = findings().join(property);
    let Ok(entries) = fs::read_dir(&folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// Small real profiles, unpacked, each once.
pub(crate) fn profiles() -> Vec<Vec<u8>> {
    let small = corpus().into_iter().filter_map(|path| {
        let bytes = read(&path);
        let unpacked = unpack(&bytes, &Limits::DEFAULT).ok()?;
        (1..=SEED_BYTES_MAX)
            .contains(&unpacked.len())
            .then(|| unpacked.into_owned())
    });
    let mut small: Vec<_> = small.collect();
    small.sort();
    small.dedup();
    small
}

/// Seeds for one property, made of `profiles`.
pub(crate) fn seeds(property: &str, profiles: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let each = |seed: fn(&Vec<u8>) -> Vec<u8>| profiles.iter().map(seed).collect::<Vec<_>>();
    match property {
        "import_collapsed" => texts(&COLLAPSED),
        "import_v8" => texts(&V8),
        "import_jfr" => vec![crate::recording::recording(), crate::recording::recording_of_cpu_time()],
        "check" => each(|profile| [&[64], profile.as_slice()].concat()),
        "unpack" => [
            each(|profile| gzip(profile)),
            each(|profile| [&[9, 9], profile.as_slice()].concat()),
        ]
        .concat(),
        "libdeflate" => {
            // Between the header and the trailer.
            let deflated = |profile: &Vec<u8>| {
                let mut packed = gzip(profile).split_off(10);
                packed.truncate(packed.len() - 8);
                packed
            };
            [each(|profile| gzip(profile)), each(deflated)].concat()
        }
        "parse" => [each(Vec::clone), legacy()].concat(),
        "agree" => [each(Vec::clone), each(|profile| gzip(profile))].concat(),
        ORACLE => [each(Vec::clone), each(|profile| gzip(profile)), legacy()].concat(),
        "merge" => {
            let pair = |first: &Vec<u8>, second: &Vec<u8>| {
                // Files are smaller than 64 KiB.
                let length = (first.len() as u16).to_le_bytes();
                [&length, first.as_slice(), second].concat()
            };
            let others = profiles.iter().skip(1).chain(profiles);
            let pairs = profiles.iter().zip(others);
            pairs
                .flat_map(|(first, second)| [pair(first, second), pair(first, first)])
                .collect()
        }
        _ => each(Vec::clone),
    }
}
