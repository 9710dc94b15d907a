//! Profiles in, results out.

use std::fs::File;
use std::io::{Read, Write as _, stdin, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use profile::{Limits, Profile, unpack};

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

/// Decodes a file and hands it over.
pub(crate) fn with_profile<T>(path: &Path, use_it: impl FnOnce(Profile<'_>) -> Result<T>) -> Result<T> {
    let bytes = read(path)?;
    let shown = || path.display().to_string();
    let unpacked = unpack(&bytes, &Limits::DEFAULT).with_context(shown)?;
    let profile = Profile::decode(&unpacked, &Limits::DEFAULT).with_context(shown)?;
    use_it(profile)
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
