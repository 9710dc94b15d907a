//! An S3 bucket as a store.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use planner::{CaptureJob, Chain};
use tokio::time::sleep;

use crate::error::StoreError;
use crate::folder::RECORD_BYTES_MAX;
use crate::newest::Newest;
use crate::record::parse_hex32;
use crate::stores::{Creation, ProfileBody};

mod answer;
mod attempts;
mod clients;
mod credentials;
mod metadata;
mod request;
mod upload;

use answer::{Answer, ListPage};
use attempts::Attempts;
pub(crate) use clients::Clients;
use request::{Payload, Request};

/// One bucket, and everything that is needed to ask it something.
pub(crate) struct Bucket {
    http: reqwest::Client,
    credentials: object_store::aws::AwsCredentialProvider,
    name: String,
    region: String,
    /// The bucket's URL, without a slash at its end.
    base: String,
    host: String,
    timing: Timing,
}

/// The part of the settings that is about waiting.
#[derive(Clone, Copy, Debug)]
struct Timing {
    stall: Duration,
    attempt: Duration,
    bytes_per_second_min: u64,
    attempts_max: u32,
    retry_window: Duration,
}

/// Whose object lies under a name.
enum Owner {
    Nobody,
    Same {
        bytes: u64,
        sha256: [u8; 32],
    },
    Other,
    /// We may not look.
    Hidden,
}

/// Largest answer to a question other than a listing or a record: an error document.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Largest page of a listing: 1,000 keys of 1,024 bytes, escaped, with 1 KiB of other facts each.
const PAGE_BYTES_MAX: u64 = 4 << 20;

/// Pages of one listing: `newest` ends it after 100 full ones; a server that sends short or empty ones ends here.
const PAGES_MAX: usize = 200;

impl Bucket {
    /// Creates the object of `key`, unless it is there.
    ///
    /// A conflict, and an attempt whose end was not seen, are settled by looking whose object lies there: a conflict
    /// alone proves nothing, and neither does a lost answer.
    pub(crate) async fn create(
        &self,
        key: &str,
        job: &CaptureJob,
        body: ProfileBody<'_>,
    ) -> Result<Creation, StoreError> {
        let headers = metadata::headers(job, &body);
        let mut attempts = Attempts::new(self.timing);
        loop {
            let Err(error) = self.put_new(key, &headers, body).await else {
                return Ok(Creation::There {
                    bytes: body.bytes,
                    sha256: body.sha256,
                });
            };
            let taken = matches!(error, StoreError::Status { status: 409 | 412, .. });
            let unseen = matches!(error, StoreError::NoAnswer { .. } | StoreError::TimedOut { .. });
            if taken || unseen {
                match self.owner(key, job, &body).await {
                    Ok(Owner::Same { bytes, sha256 }) => return Ok(Creation::There { bytes, sha256 }),
                    Ok(Owner::Other) => return Ok(Creation::Taken),
                    // Without the right to look, the name that only this capture can have is the way out.
                    Ok(Owner::Hidden) if taken && !key.contains(&job.id.to_string()) => return Ok(Creation::Taken),
                    Ok(Owner::Hidden | Owner::Nobody) => {}
                    Err(error) => tracing::debug!(%key, error = %Chain(&error), "cannot look whose object it is"),
                }
            }
            sleep(attempts.wait_after(error)?).await;
        }
    }

    /// Replaces the object of `key`, a record.
    pub(crate) async fn overwrite(&self, key: &str, body: Vec<u8>) -> Result<(), StoreError> {
        let body = bytes::Bytes::from(body);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = Request::new("put record", Method::PUT)
            .key(key)
            .headers(headers)
            .payload(Payload::Bytes(&body));
        self.ask(&request).await.map(drop)
    }

    /// The object of `key`, a record.
    pub(crate) async fn read(&self, key: &str) -> Result<Vec<u8>, StoreError> {
        let request = Request::new("get record", Method::GET)
            .key(key)
            .answer_bytes_max(RECORD_BYTES_MAX);
        Ok(self.ask(&request).await?.body)
    }

    /// Shows `newest` the keys that start with `prefix`.
    pub(crate) async fn list(&self, prefix: &str, mut newest: Newest) -> Result<Newest, StoreError> {
        let mut token = None;
        for _ in 0..PAGES_MAX {
            let page = self.list_page(prefix, token.as_deref(), "1000").await?;
            page.keys().for_each(|key| newest.look_at(key));
            token = page.next();
            if token.is_none() || newest.is_full() {
                break;
            }
        }
        Ok(newest)
    }

    /// One listing of at most one key.
    pub(crate) async fn probe(&self) -> Result<(), StoreError> {
        self.list_page("", None, "1").await.map(drop)
    }

    async fn list_page(&self, prefix: &str, token: Option<&str>, keys_max: &str) -> Result<ListPage, StoreError> {
        let mut query = vec![("list-type", "2"), ("max-keys", keys_max), ("prefix", prefix)];
        query.extend(token.map(|token| ("continuation-token", token)));
        let request = Request::new("list", Method::GET)
            .query(query)
            .answer_bytes_max(PAGE_BYTES_MAX);
        ListPage::parse(&self.ask(&request).await?.body)
    }

    async fn put_new(&self, key: &str, headers: &HeaderMap, body: ProfileBody<'_>) -> Result<(), StoreError> {
        let request = Request::new("put profile", Method::PUT)
            .key(key)
            .headers(headers.clone())
            .payload(Payload::File(body));
        let Err(error) = self.send(&request).await?.granted(self) else {
            return Ok(());
        };
        // The store hashes what it gets: the file is no longer what was checked.
        let changed = |code: &str| code == "XAmzContentSHA256Mismatch" || code == "BadDigest";
        Err(if matches!(&error, StoreError::Status { code, .. } if changed(code)) {
            StoreError::BodyChanged {
                path: body.path.to_owned(),
            }
        } else {
            error
        })
    }

    async fn owner(&self, key: &str, job: &CaptureJob, body: &ProfileBody<'_>) -> Result<Owner, StoreError> {
        let request = Request::new("look for profile", Method::HEAD).key(key);
        let answer = match self.ask(&request).await {
            Ok(answer) => answer,
            Err(StoreError::Status { status: 404, .. }) => return Ok(Owner::Nobody),
            Err(StoreError::Denied { .. }) => return Ok(Owner::Hidden),
            Err(error) => return Err(error),
        };
        let fact = |name: &str| answer.headers.get(metadata::header_name(name)?)?.to_str().ok();
        // Not by its bytes: another capture's object is another's, and goes when that one's record says so.
        if fact("captureid") != Some(&job.id.to_string()) {
            return Ok(Owner::Other);
        }
        let sha256 = fact("sha256").and_then(parse_hex32);
        let length = answer
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        Ok(Owner::Same {
            bytes: length.unwrap_or(body.bytes),
            sha256: sha256.unwrap_or(body.sha256),
        })
    }

    /// Asks until it is granted, or refused in a way that asking again does not change.
    async fn ask(&self, request: &Request<'_>) -> Result<Answer, StoreError> {
        let mut attempts = Attempts::new(self.timing);
        loop {
            let error = match self.send(request).await.and_then(|answer| answer.granted(self)) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            sleep(attempts.wait_after(error)?).await;
        }
    }
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Bucket")
            .field("base", &self.base)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}
