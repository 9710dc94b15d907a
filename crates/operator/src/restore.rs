//! The past of a config, read from the records in its store: the bucket is the database.

use std::time::Duration;

use planner::{Chain, Event, PastCapture, RestoreRequest};
use store::Stores;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::telemetry::Telemetry;

/// A store that does not answer delays the first decisions by this and no more.
const DEADLINE: Duration = Duration::from_secs(10);
/// Most records read: the newest. 32 captures at once of a second each are 19,200 in ten minutes, but a
/// cooldown's worth of a cluster with 1,000 hot pods is 1,000.
const RECORDS_MAX: usize = 2_000;

/// Answers a request with `Restored`, in time, whatever the store does.
pub(crate) async fn restore(request: RestoreRequest, stores: &Stores, clock: Clock, telemetry: &Telemetry) -> Event {
    let captures = timeout(DEADLINE, read(&request, stores, clock)).await;
    let captures = match captures {
        Ok(Ok(captures)) => captures,
        Ok(Err(error)) => {
            telemetry.failed("restore", error.reason());
            tracing::warn!(config = %request.config, error = %Chain(&error), "records not read; cooldowns of a former life are not known");
            Vec::new()
        }
        Err(_) => {
            telemetry.failed("restore", planner::Reason::StorageUnavailable);
            tracing::warn!(config = %request.config, "records not read in time; cooldowns of a former life are not known");
            Vec::new()
        }
    };
    Event::Restored {
        config: request.config,
        captures,
    }
}

async fn read(request: &RestoreRequest, stores: &Stores, clock: Clock) -> Result<Vec<PastCapture>, store::StoreError> {
    let store = stores.open(&request.store)?;
    let records = store
        .records_since(
            &request.store.prefix,
            &request.scope,
            request.since,
            clock.now().wall,
            RECORDS_MAX,
        )
        .await?;
    Ok(records
        .iter()
        .filter(|record| record.config.uid == request.config)
        .map(store::Record::to_past_capture)
        .collect())
}
