//! Real profiles: those of pinned public modules, of Go itself, of this crate, and of a larger collection where there is
//! one. The tests and the figures read the same.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Modules whose test data hold profiles, at the versions that are compared, and the folder in them.
const MODULES: [(&str, &str); 2] = [
    ("github.com/google/pprof@v0.0.0-20261016150608-1facf8f91b50", ""),
    ("github.com/DataDog/dd-trace-go/v2@v2.12.0", "profiler"),
];

pub(crate) fn read(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .unwrap_or_else(|error| {
            panic!("{}: {error}", path.display());
        });
    bytes
}

pub(crate) fn go(folder: &Path, arguments: &[&str]) -> String {
    let ran = Command::new("go").args(arguments).current_dir(folder).output().unwrap();
    assert!(
        ran.status.success(),
        "go {arguments:?}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    String::from_utf8(ran.stdout).unwrap()
}

/// The folder of the Go programs that hold the pinned version of google/pprof.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle")
}

/// All files below a folder, in a stable order.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Every file that may be a profile.
pub(crate) fn corpus() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (module, folder) in MODULES {
        let answer = go(&sources(), &["mod", "download", "-json", module]);
        let line = answer
            .lines()
            .find_map(|line| line.trim().strip_prefix("\"Dir\": \""))
            .unwrap();
        files(&Path::new(line.trim_end_matches("\",")).join(folder), &mut found);
    }
    found.retain(|path| path.iter().any(|part| part == "testdata"));
    let root = go(&sources(), &["env", "GOROOT"]);
    found.push(Path::new(root.trim()).join("src/cmd/compile/default.pgo"));
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    files(&own.join("tests/data"), &mut found);
    let collection = own.join("../../../shared/profiles");
    if collection.is_dir() {
        files(&collection, &mut found);
    }
    found
}
