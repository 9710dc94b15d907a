//! The past of a config, read from the records in its store: the bucket is the database.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use planner::{Chain, Event, PastCapture, Reason, RestoreRequest};
use store::Stores;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::clock::Clock;
use crate::telemetry::Telemetry;

/// A store that does not answer delays the first decisions by this and no more.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a config waits for its turn. Turn and deadline together are below the 30 s after which the planner goes on by
/// itself.
const TURN_DEADLINE: Duration = Duration::from_secs(15);
/// Configs whose past is read at once. Each has one listing or eight bodies under way: 64 requests at most, however many
/// configs a new leader finds. At a fifth of a second each, 600 configs have their turn in time.
const RESTORES_MAX: usize = 8;
/// Most records read: the newest. 32 captures at once of a second each are 19,200 in ten minutes, but a
/// cooldown's worth of a cluster with 1,000 hot pods is 1,000.
const RECORDS_MAX: usize = 2_000;

/// Whose past may be read now. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(RESTORES_MAX)))
    }
}

impl Turns {
    /// A turn, held until it is dropped; none if there is none in time.
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        let turn = timeout(TURN_DEADLINE, Arc::clone(&self.0).acquire_owned()).await;
        turn.ok()?.ok()
    }
}

/// Why the past of a config is not known.
#[derive(Debug, thiserror::Error)]
enum RestoreError {
    #[error("the pasts of too many other configs were being read")]
    Turn,
    #[error("the store did not list them in time")]
    Deadline,
    #[error("the store did not list them")]
    Store { source: store::StoreError },
}

impl RestoreError {
    fn reason(&self) -> Reason {
        match self {
            Self::Turn | Self::Deadline => Reason::StorageUnavailable,
            Self::Store { source } => source.reason(),
        }
    }
}

/// Answers a request with `Restored`, in time, whatever the store does: with what was read by then.
pub(crate) async fn restore(
    request: RestoreRequest,
    stores: &Stores,
    turns: &Turns,
    clock: Clock,
    telemetry: &Telemetry,
) -> Event {
    let (captures, whole) = read(&request, stores, turns, clock).await.unwrap_or_else(|error| {
        telemetry.failed("restore", error.reason());
        tracing::warn!(config = %request.config, error = %Chain(&error), "records not read; cooldowns of a former life are not known");
        (Vec::new(), true)
    });
    if !whole {
        telemetry.failed("restore", Reason::StorageUnavailable);
        let read = captures.len();
        tracing::warn!(config = %request.config, read, "not all records read in time; some cooldowns of a former life are not known");
    }
    Event::Restored {
        config: request.config,
        captures,
    }
}

/// The config's captures, the newest first, and whether these are all.
async fn read(
    request: &RestoreRequest,
    stores: &Stores,
    turns: &Turns,
    clock: Clock,
) -> Result<(Vec<PastCapture>, bool), RestoreError> {
    let _turn = turns.take().await.ok_or(RestoreError::Turn)?;
    let until = Instant::now() + DEADLINE;
    let store = stores
        .open(&request.store)
        .map_err(|source| RestoreError::Store { source })?;
    let (prefix, now) = (&request.store.prefix, clock.now().wall);
    let listing = store.stream_records_since(prefix, &request.scope, request.since, now, RECORDS_MAX);
    let records = timeout_at(until, listing)
        .await
        .map_err(|_| RestoreError::Deadline)?
        .map_err(|source| RestoreError::Store { source })?;
    let (records, whole) = gather(records, until).await;
    let own = records.iter().filter(|record| record.config.uid == request.config);
    Ok((own.map(store::Record::to_past_capture).collect(), whole))
}

/// What a stream gave until a moment, and whether that was all.
async fn gather<T>(stream: impl Stream<Item = T>, until: Instant) -> (Vec<T>, bool) {
    let mut stream = pin!(stream);
    let mut gathered = Vec::new();
    loop {
        match timeout_at(until, stream.next()).await {
            Ok(Some(one)) => gathered.push(one),
            Ok(None) => return (gathered, true),
            Err(_) => return (gathered, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_read_by_the_deadline_is_handed_over() {
        let until = || Instant::now() + DEADLINE;
        let whole = gather(stream::iter([1, 2]), until()).await;
        assert_eq!(whole, (vec![1, 2], true));
        let hangs = stream::iter([1, 2]).chain(stream::pending());
        assert_eq!(gather(hangs, until()).await, (vec![1, 2], false));
    }

    #[tokio::test(start_paused = true)]
    async fn few_pasts_are_read_at_once_and_nobody_waits_for_ever() {
        let turns = Turns::default();
        let mut held = Vec::new();
        for _ in 0..RESTORES_MAX {
            held.push(turns.take().await.unwrap());
        }
        assert!(turns.take().await.is_none());
        held.pop();
        assert!(turns.take().await.is_some());
    }
}
