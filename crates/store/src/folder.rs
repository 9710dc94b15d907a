//! A folder as a store: for the standalone mode and the demo.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::StoreError;
use crate::newest::Newest;
use crate::stores::{Creation, ProfileBody};

#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

/// What is read and hashed at once.
const BLOCK_BYTES: usize = 64 << 10;

/// Longest record that is read. One with nine failed types and their longest messages has 7 KiB.
pub(crate) const RECORD_BYTES_MAX: u64 = 64 << 10;

impl Folder {
    /// The folder `bucket` under `root`, or `root` itself for an empty name. Nothing is made yet.
    pub(crate) fn open(root: &Path, bucket: &str) -> Result<Self, StoreError> {
        let one_name = |name: &str| {
            let mut parts = Path::new(name).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
        };
        if !bucket.is_empty() && (!one_name(bucket) || bucket.ends_with('/')) {
            return Err(StoreError::invalid(
                "bucket",
                bucket,
                "with a folder as store it is the name of one folder in it",
            ));
        }
        Ok(Self {
            root: root.join(bucket),
        })
    }

    /// Creates the object of `key`, unless it is there.
    pub(crate) async fn create(&self, key: &str, body: ProfileBody<'_>) -> Result<Creation, StoreError> {
        let target = self.path(key)?;
        let (source, bytes, sha256) = (body.path.to_owned(), body.bytes, body.sha256);
        blocking(move || create(&target, &source, bytes, sha256)).await
    }

    /// Replaces the object of `key`.
    pub(crate) async fn overwrite(&self, key: &str, body: Vec<u8>) -> Result<(), StoreError> {
        let target = self.path(key)?;
        blocking(move || {
            let mut temporary = temporary_beside(&target)?;
            let failed = StoreError::folder("write", &target);
            let written = temporary.write_all(&body).and_then(|()| temporary.as_file().sync_all());
            written.and_then(|()| Ok(temporary.persist(&target)?)).map_err(failed)?;
            sync_parent(&target)
        })
        .await
    }

    /// The object of `key`, a record.
    pub(crate) async fn read(&self, key: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.path(key)?;
        blocking(move || {
            let failed = StoreError::folder("read", &path);
            let mut body = Vec::new();
            let read = File::open(&path).and_then(|file| file.take(RECORD_BYTES_MAX).read_to_end(&mut body));
            read.map_err(failed)?;
            Ok(body)
        })
        .await
    }

    /// Shows `newest` the keys under `prefix`, which ends with a slash. A folder that is not there has none.
    pub(crate) async fn list(&self, prefix: String, mut newest: Newest) -> Result<Newest, StoreError> {
        let path = self.path(prefix.trim_end_matches('/'))?;
        blocking(move || {
            walk(&path, &prefix, DEPTH_MAX, &mut newest)?;
            Ok(newest)
        })
        .await
    }

    /// Makes the folder if need be, and a file in it.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        let inside = self.root.join("probe");
        blocking(move || temporary_beside(&inside).map(drop)).await
    }

    fn path(&self, key: &str) -> Result<PathBuf, StoreError> {
        // `check_prefix` refused what climbs; an empty segment has no meaning in a file system.
        if key
            .split('/')
            .any(|segment| segment.is_empty() || segment == "." || segment == "..")
        {
            return Err(StoreError::invalid(
                "prefix",
                key,
                "with a folder as store no segment of a key may be empty or dots",
            ));
        }
        Ok(self.root.join(key))
    }
}

/// Below a day's folder lie namespaces, services and files.
const DEPTH_MAX: usize = 3;

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| StoreError::Client {
            message: error.to_string(),
        })?
}

/// Temporary file, sync, rename: a name that is taken stays what it is, and a reader sees the whole or nothing.
fn create(target: &Path, source: &Path, bytes: u64, sha256: [u8; 32]) -> Result<Creation, StoreError> {
    let mut body = File::open(source).map_err(StoreError::body(source))?;
    let mut temporary = temporary_beside(target)?;
    let mut hash = Sha256::new();
    let mut copied = 0;
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let read = read_block(&mut body, &mut block).map_err(StoreError::body(source))?;
        if read == 0 {
            break;
        }
        hash.update(&block[..read]);
        copied += read as u64;
        temporary
            .write_all(&block[..read])
            .map_err(StoreError::folder("write", target))?;
    }
    if copied != bytes || hash.finalize()[..] != sha256 {
        return Err(StoreError::BodyChanged {
            path: source.to_owned(),
        });
    }
    temporary
        .as_file()
        .sync_all()
        .map_err(StoreError::folder("sync", target))?;
    // By a rename that replaces nothing, or a link where the file system has no such rename.
    let error = match temporary.persist_noclobber(target) {
        Ok(_) => {
            sync_parent(target)?;
            return Ok(Creation::There { bytes, sha256 });
        }
        Err(failed) => failed.error,
    };
    if error.kind() != io::ErrorKind::AlreadyExists {
        return Err(StoreError::folder("name", target)(error));
    }
    // A folder has no metadata: what has the same bytes is the same capture, or as good as it.
    let same = hash_of(target).map_err(StoreError::folder("compare", target))? == sha256;
    Ok(if same {
        Creation::There { bytes, sha256 }
    } else {
        Creation::Taken
    })
}

fn hash_of(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match read_block(&mut file, &mut block)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(&block[..read]),
        }
    }
}

fn read_block(file: &mut File, block: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(block) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A file in the folder of `target`, which is made if need be; removed when dropped. The mode is that of any new file,
/// because these are for people and their tools.
fn temporary_beside(target: &Path) -> Result<NamedTempFile, StoreError> {
    let parent = target.parent().unwrap_or(target);
    DirBuilder::new()
        .recursive(true)
        .create(parent)
        .map_err(StoreError::folder("make", parent))?;
    let make = |path: &Path| OpenOptions::new().write(true).create_new(true).open(path);
    let named = tempfile::Builder::new().prefix(".part-").make_in(parent, make);
    named.map_err(StoreError::folder("write in", parent))
}

fn sync_parent(target: &Path) -> Result<(), StoreError> {
    let parent = target.parent().unwrap_or(target);
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(StoreError::folder("sync", parent))
}

fn walk(path: &Path, prefix: &str, depth: usize, newest: &mut Newest) -> Result<(), StoreError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(StoreError::folder("list", path))?,
    };
    for entry in entries {
        if newest.is_full() {
            return Ok(());
        }
        let entry = entry.map_err(StoreError::folder("list", path))?;
        let kind = entry.file_type().map_err(StoreError::folder("list", path))?;
        let name = entry.file_name();
        // A name that is not text is not ours.
        let Some(name) = name.to_str() else { continue };
        if kind.is_dir() && depth > 0 {
            walk(&entry.path(), &format!("{prefix}{name}/"), depth - 1, newest)?;
        } else if kind.is_file() {
            newest.look_at(&format!("{prefix}{name}"));
        }
    }
    Ok(())
}
