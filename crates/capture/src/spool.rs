//! Where bodies lie on their way to the store, and how much room they may take together.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempPath;

/// How the name of every spooled file begins: what a process that was killed left is known by it.
pub const SPOOL_FILE_PREFIX: &str = "capture-";

/// The default size of the folder's volume, as the manifests have it.
const SIZE_BYTES: u64 = 4 << 30;

/// A body up to the default `maxBytes` is an ordinary one.
const ORDINARY_BYTES_MAX: u64 = 64 << 20;

/// A folder for bodies, with a bound on all of them together; its clones share the bound.
///
/// Kubernetes does not refuse a write beyond the size of an `emptyDir`: it ends the pod, and every capture with it. So
/// the bound is kept here, with an eighth of the volume left for what a file system adds to files. The last quarter below
/// it is for ordinary bodies: a few configs that ask for huge ones leave the others their room.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    bytes_max: u64,
    bytes: Arc<AtomicU64>,
}

/// A file in the spool. Deleted when this is dropped, and then its room is given back.
#[derive(Debug)]
pub struct SpooledFile {
    // Deleted first: what is given back is free.
    path: TempPath,
    room: Room,
}

/// What a file holds of the bound.
#[derive(Debug)]
struct Room {
    spool: Spool,
    bytes: u64,
}

impl Spool {
    /// The spool in a folder, which must exist, on a volume of some bytes.
    #[must_use]
    pub fn new(folder: PathBuf, volume_bytes: u64) -> Self {
        Self {
            folder,
            bytes_max: volume_bytes - volume_bytes / 8,
            bytes: Arc::default(),
        }
    }

    /// Creates an empty file, readable by its owner alone, under a name drawn at random. Blocks.
    pub(crate) fn create(&self) -> io::Result<(std::fs::File, SpooledFile)> {
        let created = tempfile::Builder::new()
            .prefix(SPOOL_FILE_PREFIX)
            .tempfile_in(&self.folder)?;
        let (file, path) = created.into_parts();
        let room = Room {
            spool: self.clone(),
            bytes: 0,
        };
        Ok((file, SpooledFile { path, room }))
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self::new(std::env::temp_dir(), SIZE_BYTES)
    }
}

impl SpooledFile {
    /// Takes room for `bytes` more, before they are written.
    ///
    /// # Errors
    ///
    /// What the spool holds and may hold, when there is no room.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), Full> {
        let Room { spool, bytes: own } = &mut self.room;
        let kept_free = if own.saturating_add(bytes) > ORDINARY_BYTES_MAX {
            spool.bytes_max / 4
        } else {
            0
        };
        let bytes_max = spool.bytes_max - kept_free;
        let more = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= bytes_max);
        match spool.bytes.try_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => {
                *own += bytes;
                Ok(())
            }
            Err(held) => Err(Full { held, bytes_max }),
        }
    }
}

impl std::ops::Deref for SpooledFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for SpooledFile {
    fn as_ref(&self) -> &Path {
        self
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.spool.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the spool holds {held} bytes of at most {bytes_max}: is the store slow, or do many configs raise maxBytes? Give its \
     volume more room"
)]
pub(crate) struct Full {
    held: u64,
    bytes_max: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn spool(folder: &tempfile::TempDir, mebibytes: u64) -> Spool {
        Spool::new(folder.path().to_owned(), mebibytes * MIB)
    }

    #[test]
    fn all_files_together_stay_within_the_bound_and_give_their_room_back() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(&folder, 8);
        let (mut one, mut other) = (spool.create().unwrap().1, spool.clone().create().unwrap().1);
        one.take(4 * MIB).unwrap();
        other.take(3 * MIB).unwrap();
        let full = Full {
            held: 7 * MIB,
            bytes_max: 7 * MIB,
        };
        assert_eq!(other.take(1), Err(full));
        drop(one);
        other.take(4 * MIB).unwrap();
        drop(other);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn huge_bodies_leave_room_for_ordinary_ones() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(&folder, 1_024);
        let (mut huge, mut ordinary) = (spool.create().unwrap().1, spool.create().unwrap().1);
        let bytes_max = 1_024 * MIB / 8 * 7 / 4 * 3;
        huge.take(bytes_max).unwrap();
        let full = Full {
            held: bytes_max,
            bytes_max,
        };
        assert_eq!(huge.take(1), Err(full));
        ordinary.take(64 * MIB).unwrap();
        assert!(ordinary.take(1).is_err());
    }
}
