//! Writing a body into its file.

use std::fs::File;
use std::io::{self, Write};

use planner::Reason;
use tokio::task::spawn_blocking;

use crate::failure::Failure;
use crate::spool::{Spool, SpooledFile};

/// Bytes gathered before they are written. Each write is a hop to the thread pool for blocking work, about
/// ten microseconds; at 64 KiB a body of 64 MiB makes a thousand of them, and 32 captures hold 2 MiB.
const WRITE_BYTES: usize = 64 << 10;

/// Bytes written before they are put onto the disk. Until then they count as memory of the container, and the kernel
/// rather ends it than waits for the disk: 32 captures hold 16 MiB. Most profiles are smaller and never wait.
const UNSYNCED_BYTES_MAX: usize = 512 << 10;

/// A file on its way. tokio's own file would do the same hop per write, but with a buffer of up to 2 MiB
/// for each; here the one buffer goes to the thread and comes back.
pub(super) struct Writer {
    /// With the thread pool while something is written. First in the struct: closed before it is deleted.
    file: Option<File>,
    spooled: SpooledFile,
    pending: Vec<u8>,
    unsynced_bytes: usize,
}

impl Writer {
    pub(super) async fn create(spool: &Spool) -> Result<Self, Failure> {
        let spool = spool.clone();
        let (file, spooled) = blocking(move || spool.create()).await?;
        Ok(Self {
            file: Some(file),
            spooled,
            pending: Vec::with_capacity(WRITE_BYTES),
            unsynced_bytes: 0,
        })
    }

    pub(super) async fn write(&mut self, mut piece: &[u8]) -> Result<(), Failure> {
        while !piece.is_empty() {
            let room = WRITE_BYTES - self.pending.len();
            let (now, later) = piece.split_at(piece.len().min(room));
            self.pending.extend_from_slice(now);
            piece = later;
            if self.pending.len() == WRITE_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    pub(super) async fn finish(mut self) -> Result<SpooledFile, Failure> {
        self.flush().await?;
        Ok(self.spooled)
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        let Some(mut file) = self.file.take() else {
            return Err(unavailable(&io::Error::other("an earlier write failed")));
        };
        self.spooled
            .take(self.pending.len() as u64)
            .map_err(|full| Failure::new(Reason::SpoolUnavailable, full.to_string()))?;
        let mut pending = std::mem::take(&mut self.pending);
        self.unsynced_bytes += pending.len();
        let sync = self.unsynced_bytes >= UNSYNCED_BYTES_MAX;
        if sync {
            self.unsynced_bytes = 0;
        }
        let (file, pending) = blocking(move || {
            file.write_all(&pending)?;
            if sync {
                file.sync_data()?;
            }
            pending.clear();
            Ok((file, pending))
        })
        .await?;
        self.file = Some(file);
        self.pending = pending;
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Failure> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| unavailable(&error)),
        Err(error) => Err(unavailable(&io::Error::other(error))),
    }
}

fn unavailable(error: &io::Error) -> Failure {
    let text = format!("the file for the profile cannot be written ({error}): is the spool folder's disk full?");
    Failure::new(Reason::SpoolUnavailable, text)
}
