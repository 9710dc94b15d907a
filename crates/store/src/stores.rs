//! The stores of a process, and one store.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt};
use planner::{CaptureJob, Chain, ProfileType, Scope, StorePolicy, Wall, keys};

use crate::error::StoreError;
use crate::folder::Folder;
use crate::newest::Newest;
use crate::record::Record;
use crate::s3::{Bucket, Clients};
use crate::settings::StoreSettings;

/// Opens stores and keeps them: one per bucket, region and endpoint.
#[derive(Debug)]
pub struct Stores {
    settings: StoreSettings,
    clients: Clients,
    opened: Mutex<Vec<(StorePolicy, Arc<Store>)>>,
}

/// One bucket or folder.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
}

/// A profile on its way into the store: a file that was checked, and what the check found.
#[derive(Clone, Copy, Debug)]
pub struct ProfileBody<'a> {
    /// Its type.
    pub profile_type: ProfileType,
    /// The file.
    pub path: &'a Path,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// How many samples it holds; none for a format that is not counted.
    pub samples: Option<u64>,
    /// The names of its sample types.
    pub sample_types: &'a [String],
    /// When its capture started.
    pub started: Wall,
}

/// A profile that lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its key, prefix included.
    pub key: String,
    /// The size of what lies there.
    pub bytes: u64,
    /// The SHA-256 of what lies there. It differs from the body's when another replica stored the same capture first.
    pub sha256: [u8; 32],
}

/// What came of trying to create an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    /// It is there now, ours or the same capture's.
    There {
        /// Its size.
        bytes: u64,
        /// Its SHA-256.
        sha256: [u8; 32],
    },
    /// Another capture has the name.
    Taken,
}

#[derive(Debug)]
enum Backend {
    Folder(Folder),
    Bucket(Bucket),
}

/// Stores kept open. One costs about 2 KiB, connections apart; more configs than this with a bucket each open the
/// oldest anew, without a new token exchange, because credentials are shared by all.
const OPENED_MAX: usize = 64;

/// Days of records that one question looks through: the longest cooldown and interval are a day.
const DAYS_MAX: usize = 8;

/// Records read at once: enough to hide a store's latency, few enough to leave uploads their share.
const READS_MAX: usize = 8;

const DAY_MILLIS: i64 = 86_400_000;

impl Stores {
    /// Nothing is opened yet.
    pub fn new(settings: StoreSettings) -> Self {
        Self {
            clients: Clients::new(settings.clone()),
            settings,
            opened: Mutex::default(),
        }
    }

    /// The store of a policy. Does no I/O.
    ///
    /// # Errors
    /// The policy cannot be used, its endpoint is not allowed, or the environment offers no credentials.
    pub fn open(&self, policy: &StorePolicy) -> Result<Arc<Store>, StoreError> {
        check_prefix(&policy.prefix)?;
        let identity = StorePolicy {
            prefix: "".into(),
            ..policy.clone()
        };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let at = opened.iter().position(|(one, _)| *one == identity);
        let store = match at {
            Some(at) => opened.remove(at).1,
            None => Arc::new(Store {
                backend: self.backend(policy)?,
            }),
        };
        // The end of the list is the most recently used; the front is given up.
        if opened.len() >= OPENED_MAX {
            opened.remove(0);
        }
        opened.push((identity, Arc::clone(&store)));
        Ok(store)
    }

    fn backend(&self, policy: &StorePolicy) -> Result<Backend, StoreError> {
        Ok(match &self.settings.folder_root {
            Some(root) => Backend::Folder(Folder::open(root, &policy.bucket)?),
            None => Backend::Bucket(self.clients.bucket(policy)?),
        })
    }
}

impl Store {
    /// Stores a profile under the first of its two names that no other capture has, and says which. The same capture
    /// twice is one object, so it may be retried at will.
    ///
    /// # Errors
    /// See [`StoreError`]; what can be retried was retried.
    pub async fn put_profile(&self, job: &CaptureJob, body: ProfileBody<'_>) -> Result<StoredKey, StoreError> {
        check_prefix(&job.store.prefix)?;
        let [first, second] = keys::profile_keys(job, body.profile_type);
        for key in [&first, &second] {
            let creation = match &self.backend {
                Backend::Folder(folder) => folder.create(key, body).await?,
                Backend::Bucket(bucket) => bucket.create(key, job, body).await?,
            };
            match creation {
                Creation::There { bytes, sha256 } => {
                    return Ok(StoredKey {
                        key: key.clone(),
                        bytes,
                        sha256,
                    });
                }
                Creation::Taken => tracing::info!(%key, capture = %job.id, "profile name is taken by another capture"),
            }
        }
        Err(StoreError::KeyConflict { first, second })
    }

    /// Writes a capture's record over what it said before.
    ///
    /// # Errors
    /// See [`StoreError`]; what can be retried was retried.
    pub async fn put_record(&self, job: &CaptureJob, record: &Record) -> Result<(), StoreError> {
        check_prefix(&job.store.prefix)?;
        let encoded = serde_json::to_vec(record);
        let body = encoded.map_err(|source| StoreError::Record {
            operation: "encode",
            source,
        })?;
        let key = keys::record_key(job);
        match &self.backend {
            Backend::Folder(folder) => folder.overwrite(&key, body).await,
            Backend::Bucket(bucket) => bucket.overwrite(&key, body).await,
        }
    }

    /// The newest `limit` records decided between `since` and `now`, newest first. Looks at a day's names before it
    /// opens a body; names and bodies that are not a record's are passed over.
    ///
    /// # Errors
    /// The store did not list. A body that cannot be read is left out and logged.
    pub async fn records_since(
        &self,
        prefix: &str,
        scope: &Scope,
        since: Wall,
        now: Wall,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let records = self.stream_records_since(prefix, scope, since, now, limit).await?;
        Ok(records.collect().await)
    }

    /// The same, one by one as they are read, so that whoever has no more time has those that were.
    ///
    /// # Errors
    /// As [`Self::records_since`].
    pub async fn stream_records_since(
        &self,
        prefix: &str,
        scope: &Scope,
        since: Wall,
        now: Wall,
        limit: usize,
    ) -> Result<impl Stream<Item = Record>, StoreError> {
        check_prefix(prefix)?;
        let mut newest = Newest::new(prefix, scope, since, limit);
        for folder in day_folders(prefix, scope, since, now) {
            newest = match &self.backend {
                Backend::Folder(place) => place.list(folder, newest).await?,
                Backend::Bucket(bucket) => bucket.list(&folder, newest).await?,
            };
        }
        if newest.is_full() {
            tracing::warn!(prefix, "too many keys among the records to look at all of them");
        }
        let reads = newest.into_keys().into_iter().map(|key| self.read_record(key));
        Ok(futures::stream::iter(reads)
            .buffered(READS_MAX)
            .filter_map(std::future::ready))
    }

    /// Whether the store can be reached and lets us in: one listing of at most one key, or one file made and removed.
    ///
    /// # Errors
    /// It cannot, or does not; see [`StoreError::reason`].
    pub async fn probe(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Folder(folder) => folder.probe().await,
            Backend::Bucket(bucket) => bucket.probe().await,
        }
    }

    async fn read_record(&self, key: String) -> Option<Record> {
        let body = match &self.backend {
            Backend::Folder(folder) => folder.read(&key).await,
            Backend::Bucket(bucket) => bucket.read(&key).await,
        };
        let decoded = body.and_then(|body| {
            serde_json::from_slice(&body).map_err(|source| StoreError::Record {
                operation: "decode",
                source,
            })
        });
        decoded
            .inspect_err(|error| tracing::warn!(%key, error = %Chain(error), "capture record cannot be read"))
            .ok()
    }
}

/// The folders to list, today's first.
fn day_folders(prefix: &str, scope: &Scope, since: Wall, now: Wall) -> Vec<String> {
    let today = now.0.div_euclid(DAY_MILLIS);
    let first = since.0.div_euclid(DAY_MILLIS);
    let days = (first..=today).rev().take(DAYS_MAX);
    days.map(|day| {
        let day = Wall(day.saturating_mul(DAY_MILLIS));
        match scope {
            Scope::Namespace(namespace) => keys::records_folder(prefix, day, namespace),
            // A day's folder is a namespace's without its last segment.
            Scope::All => {
                let folder = keys::records_folder(prefix, day, "x");
                folder.strip_suffix("x/").unwrap_or(&folder).to_owned()
            }
        }
    })
    .collect()
}

/// A prefix is used as written, never cleaned like a file path. One that any file system, proxy or URL library on the
/// way would clean is refused, so that what the user wrote is what the bucket holds.
fn check_prefix(prefix: &str) -> Result<(), StoreError> {
    let climbs = prefix.split('/').any(|segment| segment == "." || segment == "..");
    let outer_slash = prefix.starts_with('/') || prefix.ends_with('/');
    if climbs || outer_slash || prefix.len() > keys::PREFIX_BYTES_MAX || prefix.chars().any(char::is_control) {
        let remedy =
            "write a prefix of at most 256 bytes without '.' or '..' as a segment, without a slash at its ends";
        return Err(StoreError::invalid("prefix", prefix, remedy));
    }
    Ok(())
}
