//! Where fuzzing begins, and what the tests replay: real files in the form that each property takes, and what fuzzing
//! has found.

use std::fs;
use std::path::{Path, PathBuf};

use profile::{Limits, gzip, unpack};

use crate::corpus::{corpus, read};

/// Larger files are no seeds: a fuzzer makes small changes, and a thousand small files a second teach it more than three
/// large ones.
const SEED_BYTES_MAX: usize = 16 << 10;

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
        "import_jfr" => vec![crate::recording::recording()],
        "check" => each(|profile| [&[64], profile.as_slice()].concat()),
        "unpack" => [
            each(|profile| gzip(profile)),
            each(|profile| [&[9, 9], profile.as_slice()].concat()),
        ]
        .concat(),
        "agree" => [each(Vec::clone), each(|profile| gzip(profile))].concat(),
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
