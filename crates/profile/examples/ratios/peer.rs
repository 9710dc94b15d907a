//! The Go program on the other side.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::corpus::{go, sources};
use crate::ours::ENOUGH_NANOS;

/// A running peer. It lives as long as its input is open.
pub(crate) struct Peer {
    pub(crate) folder: TempDir,
    _process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let program = folder.path().join("peer");
        go(&sources(), &["build", "-o", program.to_str().unwrap(), "./peer"]);
        let mut process = Command::new(&program)
            // It looks for settings and binaries at home.
            .env("HOME", folder.path())
            .env("PPROF_BINARY_PATH", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self {
            folder,
            _process: process,
            requests,
            answers,
        }
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.folder.path().join("peer")
    }

    /// CPU nanoseconds of one repetition, and bytes that came out.
    pub(crate) fn measure(&mut self, operation: &str, files: &[&Path]) -> (u64, u64) {
        let answer = self.ask(operation, ENOUGH_NANOS / 1_000_000, files);
        let mut fields = answer.split('\t').map(|field| field.parse().unwrap_or(0));
        match (fields.next(), fields.next(), fields.next()) {
            (Some(_), Some(nanos), Some(bytes)) if answer.starts_with("ok") => (nanos, bytes),
            _ => panic!("{operation} of {files:?}: {answer}"),
        }
    }

    /// Writes a profile as another process of the same program may have given it; false when the peer refuses the file.
    pub(crate) fn vary(&mut self, seed: u64, from: &Path, to: &Path) -> bool {
        self.ask("variant", seed, &[from, to]).starts_with("ok")
    }

    fn ask(&mut self, operation: &str, number: u64, files: &[&Path]) -> String {
        let files: Vec<_> = files.iter().map(|path| path.to_str().unwrap()).collect();
        writeln!(self.requests, "{operation}\t{number}\t{}", files.join("\t")).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }
}
