//! Watches: a full list, then what changed since, for ever.
//!
//! Own rather than the library's, for four reasons that were measured: there a watch that is answered
//! 410 at its start is retried for ever; lists and starts of watches have no deadline; bookmarks are
//! not shown, so that a dead watch looks like a quiet one; and one object that does not decode ends the
//! stream. Each is a few lines here.

use std::sync::Arc;
use std::time::Duration;

use futures::io::{AsyncBufReadExt, AsyncReadExt};
use http::Request;
use http::header::{ACCEPT_ENCODING, HeaderValue};
use kube::Client;
use kube::core::Status;
use planner::{Chain, Event, Relisted};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::telemetry::{Progress, Telemetry};

/// One page of a list. A page of 250 pods of 8 KB is 2 MB, held twice while it is decoded.
const PAGE_OBJECTS: u32 = 250;
/// A page, from request to last byte.
const LIST_DEADLINE: Duration = Duration::from_secs(60);
/// The start of a watch: the answer's head.
const START_DEADLINE: Duration = Duration::from_secs(15);
/// The server ends a watch after this; it is then resumed where it stood.
const WATCH_SECONDS: u32 = 290;
/// A living watch brings a bookmark about every minute: two were missed.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Longest line of a watch: an object of 1.5 MiB, etcd's limit, may take twice that as JSON.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// First wait after a failure; doubled up to the longest.
const BACKOFF_MIN: Duration = Duration::from_millis(800);
/// Longest wait: an API server that comes back is noticed within half a minute.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How objects of one kind become events.
pub trait Kind: Send + Sync + 'static {
    /// What is decoded of an object; slim, as everything else in it is skipped.
    type Object: DeserializeOwned + Send;
    /// The name in metrics and logs.
    const NAME: &'static str;
    /// Which full list it is.
    const RELISTED: Relisted;
    /// The object was seen.
    fn applied(&self, object: Self::Object) -> Event;
    /// The object was seen and does not decode. None if not even its identity can be told.
    fn undecodable(&self, object: &str, error: &str) -> Option<Event>;
    /// The object is gone.
    fn removed(&self, object: Self::Object) -> Event;
}

/// Why a watch could not go on.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("cannot list {what}")]
    List { what: &'static str, source: kube::Error },
    #[error("cannot watch {what}")]
    Watch { what: &'static str, source: kube::Error },
    #[error("the answer to a list of {what} is not a list")]
    NotAList {
        what: &'static str,
        source: serde_json::Error,
    },
    #[error("the watch of {what} broke off")]
    Broken { what: &'static str, source: std::io::Error },
    #[error("a line of the watch of {what} is not a change")]
    NotAChange {
        what: &'static str,
        source: serde_json::Error,
    },
    #[error("a request about {what} cannot be built")]
    Request { what: &'static str, source: http::Error },
    #[error("the api server did not answer a request about {what} in time")]
    Deadline { what: &'static str },
    #[error("the watch of {what} was silent for too long")]
    Silent { what: &'static str },
    #[error("the resource version of {what} is too old")]
    Expired { what: &'static str },
    #[error("the actor has ended")]
    ActorEnded,
}

/// One watch of one collection.
pub struct Watch<K> {
    /// The client; without a retry of its own.
    pub client: Client,
    /// Path of the collection: `/api/v1/pods`.
    pub path: String,
    /// Field selector, may be empty.
    pub fields: &'static str,
    /// How objects become events.
    pub kind: K,
    /// The actor.
    pub events: mpsc::Sender<Event>,
    /// Counts.
    pub telemetry: Telemetry,
    /// Told after the first full list.
    pub synced: Arc<tokio::sync::Notify>,
}

impl<K: Kind> Watch<K> {
    /// Watches until the actor ends.
    pub async fn run(self) {
        let progress = self.telemetry.watch(K::NAME);
        let mut wait = BACKOFF_MIN;
        let mut version: Option<String> = None;
        loop {
            let before = version.clone();
            match self.follow(&mut version, &progress).await {
                // The server ended the stream in good order. A short pause keeps one that does so at once
                // from being asked in a tight loop.
                Ok(()) => tokio::time::sleep(BACKOFF_MIN).await,
                Err(WatchError::ActorEnded) => return,
                Err(error) => {
                    // A version that is too old, and a stream that died silently, begin anew from a list.
                    if matches!(error, WatchError::Expired { .. } | WatchError::Silent { .. }) {
                        version = None;
                    }
                    tracing::warn!(error = %Chain(&error), watch = K::NAME, "watch interrupted");
                    wait_a_little(&mut wait, before != version).await;
                    continue;
                }
            }
            wait = BACKOFF_MIN;
        }
    }

    /// Lists if there is no version to go on from, then watches until the stream ends.
    async fn follow(&self, version: &mut Option<String>, progress: &Progress) -> Result<(), WatchError> {
        let from = match version {
            Some(from) => from.clone(),
            None => {
                let listed = self.list(progress).await?;
                *version = Some(listed.clone());
                self.synced.notify_one();
                listed
            }
        };
        self.stream(from, version, progress).await
    }

    /// A full list, page by page, framed for mark and sweep. Returns its resource version.
    async fn list(&self, progress: &Progress) -> Result<String, WatchError> {
        self.telemetry.relisted(K::NAME);
        self.send(Event::RelistStarted(K::RELISTED)).await?;
        let mut next = String::new();
        loop {
            let query = format!("limit={PAGE_OBJECTS}&continue={}", encoded(&next));
            let text = timeout(LIST_DEADLINE, self.client.request_text(self.request(&query)?))
                .await
                .map_err(|_| WatchError::Deadline { what: K::NAME })?
                .map_err(|source| gone_or(source, K::NAME, |source| WatchError::List { what: K::NAME, source }))?;
            progress.made();
            let page: Page<'_> =
                serde_json::from_str(&text).map_err(|source| WatchError::NotAList { what: K::NAME, source })?;
            for object in page.items {
                self.apply(object.get()).await?;
            }
            match page.metadata.next {
                Some(token) if !token.is_empty() => next = token,
                _ => {
                    self.send(Event::RelistFinished(K::RELISTED)).await?;
                    return Ok(page.metadata.resource_version);
                }
            }
        }
    }

    async fn stream(&self, from: String, version: &mut Option<String>, progress: &Progress) -> Result<(), WatchError> {
        let query = format!(
            "watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={}",
            encoded(&from)
        );
        let mut request = self.request(&query)?;
        // Newer servers compress a watch event by event, which the client's decoder reads only the first of.
        let plain = HeaderValue::from_static("identity");
        request.headers_mut().insert(ACCEPT_ENCODING, plain);
        let mut lines = timeout(START_DEADLINE, self.client.request_stream(request))
            .await
            .map_err(|_| WatchError::Deadline { what: K::NAME })?
            .map_err(|source| gone_or(source, K::NAME, |source| WatchError::Watch { what: K::NAME, source }))?;
        progress.made();
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut bounded = (&mut lines).take(LINE_BYTES_MAX);
            match timeout(SILENCE_MAX, bounded.read_until(b'\n', &mut line)).await {
                Err(_) => return Err(WatchError::Silent { what: K::NAME }),
                Ok(Err(source)) => return Err(WatchError::Broken { what: K::NAME, source }),
                // The server ended the stream, or a line is longer than any object: go on from the last version.
                Ok(Ok(_)) if line.last() != Some(&b'\n') => return Ok(()),
                Ok(Ok(_)) => {}
            }
            progress.made();
            self.changed(&line, version).await?;
        }
    }

    /// One line of a watch.
    async fn changed(&self, line: &[u8], version: &mut Option<String>) -> Result<(), WatchError> {
        let not_a_change = |source| WatchError::NotAChange { what: K::NAME, source };
        let change: Change<'_> = serde_json::from_slice(line).map_err(not_a_change)?;
        let object = change.object.get();
        match change.kind {
            "ADDED" | "MODIFIED" => self.apply(object).await?,
            "DELETED" => self.remove(object).await?,
            "ERROR" => {
                let status: Status = serde_json::from_str(object).map_err(not_a_change)?;
                let error = kube::Error::Api(Box::new(status));
                return Err(gone_or(error, K::NAME, |source| WatchError::Watch {
                    what: K::NAME,
                    source,
                }));
            }
            // A bookmark has nothing but a version; what is not known yet is treated the same.
            _ => {}
        }
        *version = resource_version(object).or(version.take());
        Ok(())
    }

    async fn apply(&self, object: &str) -> Result<(), WatchError> {
        let event = match serde_json::from_str::<K::Object>(object) {
            Ok(decoded) => Some(self.kind.applied(decoded)),
            Err(error) => self.skip(object, &error),
        };
        match event {
            Some(event) => self.send(event).await,
            None => Ok(()),
        }
    }

    async fn remove(&self, object: &str) -> Result<(), WatchError> {
        match serde_json::from_str::<K::Object>(object) {
            Ok(decoded) => self.send(self.kind.removed(decoded)).await,
            // It was never applied as a whole; the next full list sweeps what is left of it.
            Err(error) => {
                self.skip(object, &error);
                Ok(())
            }
        }
    }

    fn skip(&self, object: &str, error: &serde_json::Error) -> Option<Event> {
        self.telemetry.undecodable(K::NAME);
        tracing::warn!(watch = K::NAME, error = %error, object = %identity(object), "object does not decode; it is left out");
        self.kind.undecodable(object, &error.to_string())
    }

    async fn send(&self, event: Event) -> Result<(), WatchError> {
        // A full queue slows the watch down, which the server buffers: nothing is lost.
        self.events.send(event).await.map_err(|_| WatchError::ActorEnded)
    }

    fn request(&self, query: &str) -> Result<Request<Vec<u8>>, WatchError> {
        let fields = if self.fields.is_empty() {
            String::new()
        } else {
            format!("&fieldSelector={}", encoded(self.fields))
        };
        Request::get(format!("{}?{query}{fields}", self.path))
            .body(Vec::new())
            .map_err(|source| WatchError::Request { what: K::NAME, source })
    }
}

/// A line of a watch. The order of its two fields is nobody's promise.
#[derive(Deserialize)]
struct Change<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Page<'a> {
    metadata: PageMetadata,
    #[serde(borrow, default)]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// Sleeps and doubles the wait, with a jitter so that replicas do not come in step.
async fn wait_a_little(wait: &mut Duration, progressed: bool) {
    if progressed {
        *wait = BACKOFF_MIN;
    }
    let jitter = Duration::from_millis(u64::from(std::process::id() % 200));
    tokio::time::sleep(*wait + jitter).await;
    *wait = (*wait * 2).min(BACKOFF_MAX);
}

/// HTTP 410 in whatever place means the same: list again.
fn gone_or(error: kube::Error, what: &'static str, or: impl FnOnce(kube::Error) -> WatchError) -> WatchError {
    if let kube::Error::Api(status) = &error
        && is_gone(status)
    {
        return WatchError::Expired { what };
    }
    or(error)
}

fn is_gone(status: &Status) -> bool {
    status.code == 410 || status.reason == "Expired" || status.reason == "Gone"
}

fn resource_version(object: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Versioned {
        metadata: PageMetadata,
    }
    let versioned: Versioned = serde_json::from_str(object).ok()?;
    Some(versioned.metadata.resource_version).filter(|version| !version.is_empty())
}

fn identity(object: &str) -> String {
    let value: Value = serde_json::from_str(object).unwrap_or_default();
    let field = |name: &str| {
        value
            .pointer(&format!("/metadata/{name}"))
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    format!("{}/{}", field("namespace"), field("name"))
}

/// A query value. Continue tokens are base64; selectors hold `=`, `!` and `,`.
fn encoded(value: &str) -> String {
    use std::fmt::Write;
    value.bytes().fold(String::with_capacity(value.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else if write!(out, "%{byte:02X}").is_err() {
            // Writing into a string cannot fail.
        }
        out
    })
}
