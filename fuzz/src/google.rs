//! google/pprof as a program beside the fuzzer, which answers one profile after the other.

use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

/// What google/pprof makes of a profile: the bytes that it writes, or why it does not.
pub(crate) type Answer = Result<Vec<u8>, String>;

/// Written instead of a length when an error follows.
const ERROR: u32 = u32::MAX;

/// The program in `crates/profile/tests/oracle`. It ends when its input does.
pub(crate) struct Google {
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Google {
    pub(crate) fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/profile/tests/oracle");
        let mut child = Command::new("go")
            .args(["run", ".", "serve"])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("google/pprof needs go");
        Self {
            requests: child.stdin.take().expect("its input is a pipe"),
            answers: BufReader::new(child.stdout.take().expect("its output is a pipe")),
        }
    }

    /// The profile as it is written again, and as it is written when it is compacted.
    pub(crate) fn ask(&mut self, profile: &[u8]) -> [Answer; 2] {
        let length = u32::try_from(profile.len()).expect("the fuzzer's inputs are small");
        let request = [&length.to_le_bytes(), profile].concat();
        self.requests.write_all(&request).expect("google/pprof reads");
        [self.answer(), self.answer()]
    }

    fn answer(&mut self) -> Answer {
        match self.length() {
            ERROR => {
                let length = self.length();
                Err(String::from_utf8_lossy(&self.take(length)).into_owned())
            }
            length => Ok(self.take(length)),
        }
    }

    fn length(&mut self) -> u32 {
        let mut length = [0; 4];
        self.answers.read_exact(&mut length).expect("google/pprof answers");
        u32::from_le_bytes(length)
    }

    fn take(&mut self, length: u32) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        self.answers.read_exact(&mut bytes).expect("google/pprof answers");
        bytes
    }
}
