//! The oracle as a program that answers requests, for every test that compares with it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::built::built;
use crate::corpus::read;

/// The built oracle and a folder for what it reads and writes.
pub(crate) struct Oracle {
    pub(crate) folder: TempDir,
}

/// What is asked of the oracle: an operation and the profiles that it is for.
pub(crate) struct Request {
    /// Its name, and after a question mark its options, as in a URL.
    pub(crate) operation: String,
    pub(crate) sources: Vec<PathBuf>,
}

impl Oracle {
    /// The program in a folder of the Go module, "." for the module's own; `None` when there is no Go to build it with.
    pub(crate) fn build(package: &str) -> Option<Self> {
        let folder = built(package, "oracle")?;
        Some(Self { folder })
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("oracle")
    }

    /// What the oracle answers to each request: the bytes that it wrote, or why it did not.
    pub(crate) fn ask(&self, requests: &[Request]) -> Vec<Result<Vec<u8>, String>> {
        let out = |index: usize| self.folder.path().join(format!("{index}.out"));
        let list = self.folder.path().join("requests");
        let mut file = File::create(&list).unwrap();
        for (index, request) in requests.iter().enumerate() {
            let sources: Vec<_> = request.sources.iter().map(|path| path.to_str().unwrap()).collect();
            writeln!(
                file,
                "{}\t{}\t{}",
                request.operation,
                out(index).display(),
                sources.join("\t")
            )
            .unwrap();
        }
        let ran = Command::new(self.program())
            .stdin(File::open(&list).unwrap())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let answers = String::from_utf8(ran.stdout).unwrap();
        let answers: Vec<_> = answers.lines().collect();
        assert_eq!(answers.len(), requests.len());
        let answer = |(index, answer): (usize, &&str)| match *answer {
            "ok" => {
                let bytes = read(&out(index));
                fs::remove_file(out(index)).unwrap();
                Ok(bytes)
            }
            error => Err(error.to_owned()),
        };
        answers.iter().enumerate().map(answer).collect()
    }

    /// What the oracle makes of each of many profiles by one operation, which begins with "each-".
    pub(crate) fn each(&self, operation: &str, profiles: &[Vec<u8>]) -> Vec<Result<Vec<u8>, String>> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let packed = profiles
            .iter()
            .flat_map(|profile| [&length(profile)[..], profile].concat());
        let path = self.folder.path().join("profiles");
        fs::write(&path, packed.collect::<Vec<_>>()).unwrap();
        let request = Request {
            operation: operation.to_owned(),
            sources: vec![path],
        };
        let answers = self.ask(&[request]).remove(0).unwrap();
        let mut rest = answers.as_slice();
        let mut take = |bytes: usize| {
            let (taken, after) = rest.split_at(bytes);
            rest = after;
            taken
        };
        let mut answers = Vec::new();
        for _ in profiles {
            let length = u32::from_le_bytes(take(4).try_into().unwrap());
            let is_error = length == u32::MAX;
            let length = if is_error {
                u32::from_le_bytes(take(4).try_into().unwrap())
            } else {
                length
            };
            let bytes = take(length as usize).to_vec();
            answers.push(if is_error {
                Err(String::from_utf8_lossy(&bytes).into_owned())
            } else {
                Ok(bytes)
            });
        }
        answers
    }
}

/// Asks both, and says how many answers were profiles. Where one of the two refuses, the other must.
pub(crate) fn compare(
    oracle: &Oracle,
    requests: &[Request],
    ours: impl Fn(&Request) -> Result<Vec<u8>, String>,
) -> usize {
    let mut compared = 0;
    for (request, theirs) in requests.iter().zip(oracle.ask(requests)) {
        match (theirs, ours(request)) {
            (Ok(theirs), Ok(ours)) => {
                assert!(theirs == ours, "{} {:?} differ", request.operation, request.sources);
                compared += 1;
            }
            (Err(_), Err(_)) => {}
            (theirs, ours) => {
                let (theirs, ours) = (theirs.map(|bytes| bytes.len()), ours.map(|bytes| bytes.len()));
                panic!(
                    "{} {:?}: google/pprof {theirs:?}, ours {ours:?}",
                    request.operation, request.sources
                );
            }
        }
    }
    compared
}
