//! Usage samples from the metrics API: one list per scope and interval, whatever the number of pods.

use std::time::Duration;

use api::usage::{self, Usages};
use futures::TryStreamExt;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use planner::{Chain, Event, SampleRequest, SampleScope, UsageSample, Wall};
use tokio::time::timeout;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::clock::Clock;
use crate::telemetry::Telemetry;

/// From request to last byte. Shorter than the shortest check interval (10 s), so that requests of one
/// scope never overlap.
const DEADLINE: Duration = Duration::from_secs(8);
/// Largest list read: 100,000 pods at 700 bytes are 70 MB, and it streams through a decoder.
const LIST_BYTES_MAX: u64 = 256 << 20;

/// Why there are no samples.
#[derive(Debug, thiserror::Error)]
enum MeterError {
    #[error("the metrics api does not answer within {} s; check that metrics-server runs", DEADLINE.as_secs())]
    Deadline,
    #[error("the metrics api is not there; install metrics-server")]
    Missing,
    #[error("the operator's role does not allow `list pods.metrics.k8s.io`; apply config/rbac")]
    Forbidden,
    #[error("the metrics api answers {0}; check metrics-server and its APIService")]
    Status(StatusCode),
    #[error("the metrics api cannot be reached")]
    Call { source: kube::Error },
    #[error("the request for samples cannot be built")]
    Request { source: http::Error },
    #[error("the list of samples does not decode")]
    Decode { source: usage::UsageError },
    #[error("the decoder of samples ended early")]
    Decoder { source: tokio::task::JoinError },
}

/// Reads samples of one scope.
#[derive(Clone)]
pub struct Meter {
    /// The client; without a retry of its own.
    pub client: Client,
    /// The clock, for a server that does not say its own time.
    pub clock: Clock,
    /// Counts.
    pub telemetry: Telemetry,
}

impl Meter {
    /// Answers a request with `Usage` or `UsageFailed`.
    pub async fn sample(self, request: SampleRequest) -> Event {
        let listed = timeout(DEADLINE, self.list(&request.scope))
            .await
            .unwrap_or(Err(MeterError::Deadline));
        match listed {
            Ok(usages) => {
                if usages.skipped > 0 {
                    self.telemetry.undecodable("usage");
                    tracing::warn!(
                        skipped = usages.skipped,
                        "some usage samples do not decode; they are left out"
                    );
                }
                Event::Usage(UsageSample {
                    request: request.id,
                    targets: usages.targets,
                })
            }
            Err(error) => {
                self.telemetry.failed("usage", planner::Reason::MetricsUnavailable);
                Event::UsageFailed {
                    request: request.id,
                    message: Chain(&error).to_string().into(),
                }
            }
        }
    }

    async fn list(&self, scope: &SampleScope) -> Result<Usages, MeterError> {
        let path = match scope {
            SampleScope::Namespace(namespace) => format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"),
            SampleScope::Cluster => "/apis/metrics.k8s.io/v1beta1/pods".to_owned(),
        };
        let request = Request::get(path)
            .body(Body::empty())
            .map_err(|source| MeterError::Request { source })?;
        let response = self
            .client
            .send(request)
            .await
            .map_err(|source| MeterError::Call { source })?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(MeterError::Missing),
            StatusCode::FORBIDDEN => return Err(MeterError::Forbidden),
            other => return Err(MeterError::Status(other)),
        }
        // The age of a sample is a difference of two times of the server: our own clock plays no part.
        let served_at = response
            .headers()
            .get(http::header::DATE)
            .and_then(|date| date.to_str().ok())
            .and_then(http_date);
        let served_at = served_at.unwrap_or_else(|| self.clock.now().wall);
        let body = StreamReader::new(response.into_body().into_data_stream().map_err(std::io::Error::other));
        let body = SyncIoBridge::new(tokio::io::AsyncReadExt::take(body, LIST_BYTES_MAX));
        let decoded = tokio::task::spawn_blocking(move || usage::read(body, served_at)).await;
        decoded
            .map_err(|source| MeterError::Decoder { source })?
            .map_err(|source| MeterError::Decode { source })
    }
}

/// The time of an HTTP `Date` header.
fn http_date(text: &str) -> Option<Wall> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Wall(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_date_is_read() {
        assert_eq!(
            http_date("Mon, 23 Nov 2026 16:00:01 GMT"),
            Some(Wall(1_795_449_601_000))
        );
        assert_eq!(http_date("yesterday"), None);
    }
}
