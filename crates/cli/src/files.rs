//! Profiles in, results out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io::{IsTerminal as _, Read, Write as _, stdin, stdout};
use std::mem::take;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use profile::check::CheckError;
use profile::import::{self, Format};
use profile::parse::{self, ParseError};
use profile::{Buffers, Limits, Profile};

use crate::tell;

// The one is C and takes a third less; what is packed is as small as what Go packs.
#[cfg(feature = "libdeflate")]
pub(crate) use profile::libdeflate::{gzip, unpack, unpack_into};
#[cfg(not(feature = "libdeflate"))]
pub(crate) use profile::{gzip, import::unpack, unpack_into};

/// Files that one folder may hold. A hundred thousand are a year of one service's profiles, one every five minutes.
const FOLDER_FILES_MAX: usize = 100_000;

/// The bytes of a file, or of standard input for "-"; never more than a profile may have.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_into(path, &mut bytes)?;
    Ok(bytes)
}

fn read_into(path: &Path, bytes: &mut Vec<u8>) -> Result<()> {
    let limit = Limits::DEFAULT.uncompressed_bytes_max;
    bytes.clear();
    let source: &mut dyn Read = if is_stdin(path) {
        &mut stdin().lock()
    } else {
        &mut open(path)?
    };
    source
        .take(limit + 1)
        .read_to_end(bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        bytes.len() as u64 <= limit,
        "{} is larger than {limit} bytes",
        path.display()
    );
    Ok(())
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Fails where standard input is meant more than once.
pub(crate) fn stdin_once<'p>(paths: impl IntoIterator<Item = &'p PathBuf>) -> Result<()> {
    if paths.into_iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(Usage("standard input can be read only once").into());
    }
    Ok(())
}

/// The command line cannot be meant so.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) &'static str);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Usage {}

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
    with_source(path, |_, profile| use_it(profile))
}

/// As [`with_profile`], with what it was read from.
pub(crate) fn with_source<T>(path: &Path, use_it: impl FnOnce(Source, Profile<'_>) -> Result<T>) -> Result<T> {
    let bytes = read(path)?;
    let shown = || path.display().to_string();
    let unpacked = unpack(&bytes, &Limits::DEFAULT).with_context(shown)?;
    let (source, profile) = parse(&unpacked, Format::of(&unpacked)).with_context(shown)?;
    use_it(source, profile)
}

/// Files of which each may be read several times, one after the other.
pub(crate) struct Sources {
    paths: Vec<PathBuf>,
    /// What came from standard input and from pipes, by index: these can be read only once.
    kept: HashMap<usize, Vec<u8>>,
    memory: Memory,
}

/// The memory of the file that was read last, for the next one.
#[derive(Default)]
struct Memory {
    packed: Vec<u8>,
    unpacked: Vec<u8>,
    buffers: Buffers,
}

impl Sources {
    /// Of files, of which one may be standard input.
    pub(crate) fn new(paths: Vec<PathBuf>) -> Result<Self> {
        stdin_once(&paths)?;
        Ok(Self {
            paths,
            kept: HashMap::new(),
            memory: Memory::default(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }

    pub(crate) fn path(&self, index: usize) -> &Path {
        self.paths.get(index).map_or(Path::new(""), PathBuf::as_path)
    }

    /// Reads one, in the memory of the one before, and hands it over; an error tells of which.
    pub(crate) fn with_profile<T>(
        &mut self,
        index: usize,
        use_it: impl FnOnce(&mut Profile<'_>) -> Result<T>,
    ) -> Result<T> {
        let path = self.path(index).to_owned();
        let shown = || path.display().to_string();
        let Memory {
            packed,
            unpacked,
            buffers,
        } = &mut self.memory;
        let bytes = if can_be_read_again(&path) {
            read_into(&path, packed)?;
            packed
        } else {
            match self.kept.entry(index) {
                Entry::Occupied(kept) => kept.into_mut(),
                Entry::Vacant(none) => none.insert(read(&path)?),
            }
        };
        let unpacked = unpack_into(bytes, unpacked, &Limits::DEFAULT).with_context(shown)?;
        let (_, mut profile) = parse_into(take(buffers), unpacked, Format::of(unpacked)).with_context(shown)?;
        let used = use_it(&mut profile).with_context(shown)?;
        *buffers = profile.into_buffers();
        Ok(used)
    }
}

/// Whether it is a file, and no pipe. One that is not there is told by reading it.
fn can_be_read_again(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|of| of.is_file()) && !is_stdin(path)
}

/// It is nothing that is known: another thing than a profile, and none that is damaged.
#[derive(Debug)]
struct Foreign(String);

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Foreign {}

/// Whether an error says that a file is no profile, and not that one is damaged.
pub(crate) fn is_foreign(error: &anyhow::Error) -> bool {
    let is_not_a_profile = |error: &CheckError| matches!(error, CheckError::NotAProfile { .. });
    error.is::<Foreign>() || error.downcast_ref::<CheckError>().is_some_and(is_not_a_profile)
}

/// The profile that uncompressed bytes are: in the format given, else in one that pprof reads.
pub(crate) fn parse(unpacked: &[u8], format: Option<Format>) -> Result<(Source, Profile<'_>)> {
    parse_into(Buffers::default(), unpacked, format)
}

fn parse_into(buffers: Buffers, unpacked: &[u8], format: Option<Format>) -> Result<(Source, Profile<'_>)> {
    let limits = &Limits::DEFAULT;
    if let Some(format) = format {
        return Ok((Source::Import(format), format.import(unpacked, limits)?));
    }
    let parsed = parse::parse_into(buffers, unpacked, limits).map_err(|error| unknown(unpacked, error))?;
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
        return Foreign(advice.to_owned()).into();
    }
    let known: Vec<_> = Format::ALL.iter().map(Format::to_string).collect();
    let known = known.join(", ");
    let said = format!("{error} (looked for: pprof and its legacy formats, jemalloc heap, {known})");
    match &error {
        ParseError::Check(CheckError::NotAProfile { .. }) => Foreign(said).into(),
        ParseError::Check(CheckError::Malformed { .. }) => anyhow!(said),
        ParseError::Check(_) | ParseError::Legacy { .. } => error.into(),
    }
}

/// The files that were meant: a folder means the files in it, by name, but not its own folders, nor the file that is to be
/// written: it may be there from the time before.
pub(crate) fn expand(paths: &[PathBuf], out: Option<&Path>) -> Result<Vec<PathBuf>> {
    let out = out.and_then(|out| out.canonicalize().ok());
    let mut files = Vec::new();
    for path in paths {
        if is_stdin(path) || !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = path
            .read_dir()
            .with_context(|| format!("cannot read {}", path.display()))?;
        let (mut found, mut folders) = (Vec::new(), 0_usize);
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", path.display()))?.path();
            if entry.is_dir() {
                folders += 1;
            } else if out.is_some() && entry.canonicalize().ok() == out {
                tell(&format!("left out {}: it is the file to write", entry.display()));
            } else if entry.is_file() {
                found.push(entry);
            }
            ensure!(
                found.len() <= FOLDER_FILES_MAX,
                "{} holds more than {FOLDER_FILES_MAX} files",
                path.display()
            );
        }
        match (found.len(), folders) {
            (0, 0) => bail!("{} holds no files", path.display()),
            (0, _) => bail!("{} holds only folders: name those with the files", path.display()),
            _ => {}
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// Writes a profile as [`write`] does, but to no terminal, which would obey its bytes.
pub(crate) fn write_profile(out: Option<&Path>, bytes: &[u8]) -> Result<()> {
    let is_stdout = out.is_none_or(is_stdout);
    if is_stdout && stdout().is_terminal() {
        return Err(
            Usage("a profile is no text to show on a terminal: write it with --out FILE, or into a pipe").into(),
        );
    }
    write(out, bytes)
}

/// Writes a result to a file, or to standard output, which "-" is too.
pub(crate) fn write(out: Option<&Path>, bytes: &[u8]) -> Result<()> {
    match out.filter(|path| !is_stdout(path)) {
        Some(path) => {
            let mut file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
            let written = file.write_all(bytes);
            if written.is_err() && file.metadata().is_ok_and(|of| of.is_file()) {
                // Half a result looks like one.
                drop(fs::remove_file(path));
            }
            written.with_context(|| format!("cannot write {}", path.display()))
        }
        None => {
            let mut stdout = stdout().lock();
            let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
            written.context("cannot write to standard output")
        }
    }
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}
