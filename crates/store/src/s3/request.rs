//! One signed request and its answer.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequestBody;
use reqwest::Url;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

use super::answer::Answer;
use super::upload::{self, Late, Progress};
use super::{ANSWER_BYTES_MAX, Bucket};
use crate::error::StoreError;
use crate::record::digit;
use crate::stores::ProfileBody;

/// A question to a bucket.
pub(super) struct Request<'a> {
    operation: &'static str,
    method: Method,
    key: &'a str,
    query: Vec<(&'static str, &'a str)>,
    headers: HeaderMap,
    payload: Payload<'a>,
    answer_bytes_max: u64,
}

/// Its body.
pub(super) enum Payload<'a> {
    Empty,
    Bytes(&'a Bytes),
    File(ProfileBody<'a>),
}

/// Credentials are mostly in memory; an exchange has two retries of 10 s at most within its own 15 s.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(20);

impl<'a> Request<'a> {
    pub(super) fn new(operation: &'static str, method: Method) -> Self {
        Self {
            operation,
            method,
            key: "",
            query: Vec::new(),
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            answer_bytes_max: ANSWER_BYTES_MAX,
        }
    }

    pub(super) fn key(self, key: &'a str) -> Self {
        Self { key, ..self }
    }

    pub(super) fn query(self, query: Vec<(&'static str, &'a str)>) -> Self {
        Self { query, ..self }
    }

    pub(super) fn headers(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }

    pub(super) fn payload(self, payload: Payload<'a>) -> Self {
        Self { payload, ..self }
    }

    pub(super) fn answer_bytes_max(self, answer_bytes_max: u64) -> Self {
        Self {
            answer_bytes_max,
            ..self
        }
    }
}

impl Payload<'_> {
    fn bytes(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(body) => body.bytes,
        }
    }

    fn sha256(&self) -> [u8; 32] {
        match self {
            Self::Empty => Sha256::digest([]).into(),
            Self::Bytes(bytes) => Sha256::digest(bytes).into(),
            Self::File(body) => body.sha256,
        }
    }
}

impl Bucket {
    /// Sends a request once. Every status is an answer; the errors are those without one.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Answer, StoreError> {
        let url = self.url(request.key, &request.query)?;
        let credential = self.credential().await?;
        let headers = self.sign(request, &url, &credential)?;
        let progress = Progress::default();
        let mut ready = reqwest::Request::new(request.method.clone(), url);
        *ready.headers_mut() = headers;
        if request.method == Method::PUT {
            // With its length known, a connection that breaks can never look like a shorter body.
            ready
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from(request.payload.bytes()));
        }
        match &request.payload {
            Payload::Empty => {}
            Payload::Bytes(bytes) => *ready.body_mut() = Some(Bytes::clone(bytes).into()),
            Payload::File(body) => {
                let pieces = upload::open(body, progress.clone()).await?;
                *ready.body_mut() = Some(reqwest::Body::wrap_stream(pieces));
            }
        }
        let transfer = Duration::from_secs(request.payload.bytes() / self.timing.bytes_per_second_min.max(1));
        let deadline = self.timing.attempt + transfer;
        let exchange = Box::pin(self.exchange(request, ready));
        let late = match progress.watch(exchange, self.timing.stall, deadline).await {
            Ok(answer) => return answer,
            Err(late) => late,
        };
        let what = match late {
            Late::Stalled => "nothing moved",
            Late::Deadline => "it took too long for its size",
        };
        Err(StoreError::TimedOut {
            operation: request.operation,
            host: self.host.clone(),
            what,
        })
    }

    async fn exchange(&self, request: &Request<'_>, ready: reqwest::Request) -> Result<Answer, StoreError> {
        let operation = request.operation;
        // The URL would repeat key and query in every log line.
        let failed = |error: reqwest::Error| StoreError::NoAnswer {
            operation,
            host: self.host.clone(),
            source: error.without_url(),
        };
        let mut response = self.http.execute(ready).await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if (body.len() + chunk.len()) as u64 > request.answer_bytes_max {
                return Err(StoreError::Protocol {
                    operation,
                    message: "the answer is too large".into(),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            operation,
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }

    async fn credential(&self) -> Result<Arc<AwsCredential>, StoreError> {
        let failed = |source| StoreError::Credentials { source };
        let obtained = timeout(CREDENTIALS_TIMEOUT, self.credentials.get_credential()).await;
        let credential = obtained
            .map_err(|late| failed(late.into()))?
            .map_err(|error| failed(error.into()))?;
        // The signer takes for granted that they can be headers.
        let parts = [Some(&credential.key_id), credential.token.as_ref()];
        if parts
            .into_iter()
            .flatten()
            .any(|part| HeaderValue::from_str(part).is_err())
        {
            return Err(failed(
                "a key or token has a line break or another character that no header may have".into(),
            ));
        }
        Ok(credential)
    }

    fn sign(&self, request: &Request<'_>, url: &Url, credential: &AwsCredential) -> Result<HeaderMap, StoreError> {
        let failed = |message: String| StoreError::Client { message };
        // The signer wants a request of its own kind; it looks at everything but the body, whose hash we know.
        let unsigned = http::Request::builder()
            .method(request.method.clone())
            .uri(url.as_str());
        let mut signed = unsigned
            .body(HttpRequestBody::empty())
            .map_err(|error| failed(format!("make a request: {error}")))?;
        *signed.headers_mut() = request.headers.clone();
        AwsAuthorizer::new(credential, "s3", &self.region)
            .try_authorize(&mut signed, Some(&request.payload.sha256()))
            .map_err(|error| failed(format!("sign a request: {error}")))?;
        Ok(std::mem::take(signed.headers_mut()))
    }

    fn url(&self, key: &str, query: &[(&str, &str)]) -> Result<Url, StoreError> {
        let mut text = format!("{}/", self.base);
        encode(key, true, &mut text);
        for (at, (name, value)) in query.iter().enumerate() {
            text.push(if at == 0 { '?' } else { '&' });
            encode(name, false, &mut text);
            text.push('=');
            encode(value, false, &mut text);
        }
        Url::parse(&text).map_err(|error| StoreError::Client {
            message: format!("make a URL: {error}"),
        })
    }
}

/// Percent-encodes as S3 wants it signed: everything but unreserved characters, and the slash in keys.
fn encode(text: &str, is_key: bool, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || is_key && byte == b'/' {
            out.push(byte.into());
        } else {
            out.extend([
                '%',
                digit(byte >> 4).to_ascii_uppercase(),
                digit(byte & 15).to_ascii_uppercase(),
            ]);
        }
    }
}
