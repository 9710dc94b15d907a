//! Profiles in, results out.

use std::fs::File;
use std::io::{Read, Write as _, stdin, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use profile::check::CheckError;
use profile::import::{self, Format};
use profile::parse::{self, ParseError};
use profile::{Limits, Profile};

// The one is C and takes a third less; what is packed is as small as what Go packs.
#[cfg(feature = "libdeflate")]
pub(crate) use profile::libdeflate::{gzip, unpack};
#[cfg(not(feature = "libdeflate"))]
pub(crate) use profile::{gzip, unpack};

/// Files that one folder may hold. A hundred thousand are a year of one service's profiles, one every five minutes.
const FOLDER_FILES_MAX: usize = 100_000;

/// The bytes of a file, or of standard input for "-"; never more than a profile may have.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let limit = Limits::DEFAULT.uncompressed_bytes_max;
    let mut bytes = Vec::new();
    let source: &mut dyn Read = if is_stdin(path) {
        &mut stdin().lock()
    } else {
        &mut open(path)?
    };
    source
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        bytes.len() as u64 <= limit,
        "{} is larger than {limit} bytes",
        path.display()
    );
    Ok(bytes)
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// What a profile was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// pprof's own format.
    Pprof,
    /// One from before it, which pprof reads too, or jemalloc's.
    Legacy(parse::Format),
    /// Another tool's.
    Import(Format),
}

impl Source {
    /// Its name in output.
    pub(crate) fn word(self) -> String {
        match self {
            Self::Pprof => "pprof".to_owned(),
            Self::Legacy(format) => format.to_string().to_lowercase().replace(' ', "-"),
            Self::Import(Format::Collapsed) => "collapsed".to_owned(),
            Self::Import(Format::V8Cpu) => "cpuprofile".to_owned(),
            Self::Import(Format::V8Heap) => "heapprofile".to_owned(),
            Self::Import(Format::Jfr) => "jfr".to_owned(),
        }
    }
}

/// Reads a profile in whatever format it is and hands it over.
pub(crate) fn with_profile<T>(path: &Path, use_it: impl FnOnce(Profile<'_>) -> Result<T>) -> Result<T> {
    let bytes = read(path)?;
    let shown = || path.display().to_string();
    let unpacked = unpack(&bytes, &Limits::DEFAULT).with_context(shown)?;
    let (_, profile) = parse(&unpacked, Format::of(&unpacked)).with_context(shown)?;
    use_it(profile)
}

/// Files of which each may be read several times, one after the other.
pub(crate) struct Sources {
    paths: Vec<PathBuf>,
    /// What came from standard input: it can be read only once.
    stdin: Option<Vec<u8>>,
}

impl Sources {
    /// Of files, of which one may be standard input.
    pub(crate) fn new(paths: Vec<PathBuf>) -> Result<Self> {
        ensure!(
            paths.iter().filter(|path| is_stdin(path)).count() <= 1,
            "standard input can be read only once"
        );
        Ok(Self { paths, stdin: None })
    }

    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }

    pub(crate) fn path(&self, index: usize) -> &Path {
        self.paths.get(index).map_or(Path::new(""), PathBuf::as_path)
    }

    /// Reads one and hands it over; an error tells of which.
    pub(crate) fn with_profile<T>(&mut self, index: usize, use_it: impl FnOnce(Profile<'_>) -> Result<T>) -> Result<T> {
        let path = self.path(index).to_owned();
        let shown = || path.display().to_string();
        if !is_stdin(&path) {
            return with_profile(&path, |profile| use_it(profile).with_context(shown));
        }
        let bytes = match &mut self.stdin {
            Some(bytes) => bytes,
            none => none.insert(read(&path)?),
        };
        let unpacked = unpack(bytes, &Limits::DEFAULT).with_context(shown)?;
        let (_, profile) = parse(&unpacked, Format::of(&unpacked)).with_context(shown)?;
        use_it(profile).with_context(shown)
    }
}

/// The profile that uncompressed bytes are: in the format given, else in one that pprof reads.
pub(crate) fn parse(unpacked: &[u8], format: Option<Format>) -> Result<(Source, Profile<'_>)> {
    let limits = &Limits::DEFAULT;
    if let Some(format) = format {
        return Ok((Source::Import(format), format.import(unpacked, limits)?));
    }
    let parsed = parse::parse(unpacked, limits).map_err(|error| unknown(unpacked, error))?;
    let source = if parsed.format == parse::Format::Proto {
        Source::Pprof
    } else {
        Source::Legacy(parsed.format)
    };
    Ok((source, parsed.profile))
}

/// The error of bytes that are in no format that is known: one that says which those are, or what to do.
fn unknown(unpacked: &[u8], error: ParseError) -> anyhow::Error {
    if let Some(advice) = import::advice(unpacked) {
        return anyhow!("{advice}");
    }
    let is_foreign = matches!(
        error,
        ParseError::Check(CheckError::NotAProfile { .. } | CheckError::Malformed { .. })
    );
    if !is_foreign {
        return error.into();
    }
    let known: Vec<_> = Format::ALL.iter().map(Format::to_string).collect();
    anyhow!(
        "{error} (looked for: pprof and its legacy formats, jemalloc heap, {})",
        known.join(", ")
    )
}

/// The files that were meant: a folder means the files in it, by name, but not its own folders.
pub(crate) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if is_stdin(path) || !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = path
            .read_dir()
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", path.display()))?.path();
            if entry.is_file() {
                found.push(entry);
            }
            ensure!(
                found.len() <= FOLDER_FILES_MAX,
                "{} holds more than {FOLDER_FILES_MAX} files",
                path.display()
            );
        }
        if found.is_empty() {
            bail!("{} holds no files", path.display());
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// Writes a result to a file, or to standard output.
pub(crate) fn write(out: Option<&Path>, bytes: &[u8]) -> Result<()> {
    match out {
        Some(path) => {
            let mut file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
            file.write_all(bytes)
                .with_context(|| format!("cannot write {}", path.display()))
        }
        None => {
            let mut stdout = stdout().lock();
            stdout.write_all(bytes)?;
            Ok(stdout.flush()?)
        }
    }
}
