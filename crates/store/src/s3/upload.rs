//! A file as the body of a request.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep};

use crate::error::StoreError;
use crate::stores::ProfileBody;

/// What is read at once. The file layer holds a copy of it while it reads.
const BLOCK_BYTES: usize = 32 << 10;

/// What is handed to the connection at once. It takes up to 16 pieces before it sends, 128 KiB of them.
const PIECE_BYTES: usize = 8 << 10;

/// How far a body was taken; tells a slow upload from a dead one.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

/// Which of two limits ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// Nothing moved.
    Stalled,
    /// It took too long.
    Deadline,
}

/// The file of `body`, piece by piece. Fails before the request if it is not the size that was announced.
pub(super) async fn open(
    body: &ProfileBody<'_>,
    progress: Progress,
) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static, StoreError> {
    let file = File::open(body.path).await.map_err(StoreError::body(body.path))?;
    let length = file.metadata().await.map_err(StoreError::body(body.path))?.len();
    if length != body.bytes {
        return Err(StoreError::BodyChanged {
            path: body.path.to_owned(),
        });
    }
    Ok(futures::stream::try_unfold(
        (file, Bytes::new(), progress),
        |(mut file, mut block, progress)| async move {
            if block.is_empty() {
                let mut next = BytesMut::with_capacity(BLOCK_BYTES);
                if file.read_buf(&mut next).await? == 0 {
                    return Ok(None);
                }
                block = next.freeze();
            }
            let piece = block.split_to(PIECE_BYTES.min(block.len()));
            progress.0.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok(Some((piece, (file, block, progress))))
        },
    ))
}

impl Progress {
    /// Awaits `work`, but no longer than `deadline`, and no longer than `stall` since something last moved.
    pub(super) async fn watch<T>(
        &self,
        work: impl Future<Output = T>,
        stall: Duration,
        deadline: Duration,
    ) -> Result<T, Late> {
        let mut work = std::pin::pin!(work);
        let end = Instant::now() + deadline;
        loop {
            let before = self.0.load(Ordering::Relaxed);
            let left = end.saturating_duration_since(Instant::now());
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = sleep(stall.min(left)) => {}
            }
            if Instant::now() >= end {
                return Err(Late::Deadline);
            }
            if self.0.load(Ordering::Relaxed) == before {
                return Err(Late::Stalled);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const STALL: Duration = Duration::from_secs(10);
    const DEADLINE: Duration = Duration::from_secs(65);

    #[tokio::test(start_paused = true)]
    async fn what_does_not_move_is_given_up() {
        let start = Instant::now();
        assert_eq!(
            Progress::default().watch(pending::<()>(), STALL, DEADLINE).await,
            Err(Late::Stalled)
        );
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn what_moves_has_its_deadline() {
        let (start, progress) = (Instant::now(), Progress::default());
        let slow = async {
            loop {
                sleep(Duration::from_secs(7)).await;
                progress.0.fetch_add(1, Ordering::Relaxed);
            }
        };
        assert_eq!(
            progress.watch(slow, STALL, DEADLINE).await,
            Err::<(), _>(Late::Deadline)
        );
        assert_eq!(start.elapsed().as_secs(), 65);
    }

    #[tokio::test(start_paused = true)]
    async fn what_stops_after_a_while_is_given_up() {
        let (start, progress) = (Instant::now(), Progress::default());
        let stops = async {
            sleep(Duration::from_secs(25)).await;
            progress.0.fetch_add(1, Ordering::Relaxed);
            pending::<()>().await;
        };
        let early = async {
            sleep(Duration::from_secs(5)).await;
            progress.0.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_secs(10)).await;
            progress.0.fetch_add(1, Ordering::Relaxed);
            stops.await;
        };
        assert_eq!(progress.watch(early, STALL, DEADLINE).await, Err(Late::Stalled));
        assert!((25..=40).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }
}
