//! What a bucket answers.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::Bucket;
use crate::error::StoreError;

/// An answer with its whole, bounded body.
pub(super) struct Answer {
    pub(super) operation: &'static str,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// A page of a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", rename = "ListBucketResult")]
pub(super) struct ListPage {
    #[serde(default)]
    contents: Vec<Listed>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_continuation_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    key: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ErrorDocument {
    code: String,
    message: String,
    region: String,
}

/// What is kept of a store's words for logs and conditions.
const MESSAGE_CHARS_MAX: usize = 200;

impl Answer {
    /// This answer, if it grants what was asked. Some stores begin a slow answer with 200 and put an error into it.
    pub(super) fn granted(self, bucket: &Bucket) -> Result<Self, StoreError> {
        if !self.status.is_success() {
            return Err(self.refusal(bucket));
        }
        match self.error() {
            None => Ok(self),
            Some(error) => Err(StoreError::Protocol {
                operation: self.operation,
                message: format!(
                    "status 200 with the error {}: {}",
                    clean(&error.code),
                    clean(&error.message)
                ),
            }),
        }
    }

    /// What it refuses.
    pub(super) fn refusal(&self, bucket: &Bucket) -> StoreError {
        let error = self.error().unwrap_or_default();
        let (operation, code, message) = (self.operation, clean(&error.code), clean(&error.message));
        let status = self.status.as_u16();
        match (status, error.code.as_str()) {
            // Without a key that could be missing, it is the bucket, whatever the store calls it.
            (404, code) if code == "NoSuchBucket" || matches!(operation, "list" | "put profile" | "put record") => {
                StoreError::BucketNotFound {
                    bucket: bucket.name.clone(),
                }
            }
            (300..=399, _) | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                let told = self
                    .headers
                    .get("x-amz-bucket-region")
                    .and_then(|region| region.to_str().ok());
                let right = clean(told.unwrap_or(&error.region));
                let hint = if right.is_empty() {
                    message
                } else {
                    format!("set spec.s3Config.region to {right}")
                };
                StoreError::WrongRegion {
                    bucket: bucket.name.clone(),
                    region: bucket.region.clone(),
                    hint,
                }
            }
            (401 | 403, _) | (400, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "InvalidAccessKeyId") => {
                StoreError::Denied {
                    operation,
                    status,
                    code,
                    message,
                }
            }
            // A body that came too slowly: the same as 408, and as well worth another attempt.
            (400, "RequestTimeout") => StoreError::Status {
                operation,
                status: 408,
                code,
                message,
                retry_after: None,
            },
            _ => StoreError::Status {
                operation,
                status,
                code,
                message,
                retry_after: self.retry_after(),
            },
        }
    }

    fn error(&self) -> Option<ErrorDocument> {
        let text = std::str::from_utf8(&self.body).ok()?;
        // Other documents are answers to listings, or pages of a proxy.
        text.contains("<Error")
            .then(|| quick_xml::de::from_str(text).unwrap_or_default())
    }

    /// Only the form in seconds: a date would need the server's clock.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = self
            .headers
            .get(header::RETRY_AFTER)?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()?;
        Some(Duration::from_secs(seconds))
    }
}

impl ListPage {
    pub(super) fn parse(body: &[u8]) -> Result<Self, StoreError> {
        let other = |message: String| StoreError::Protocol {
            operation: "list",
            message: clean(&message),
        };
        let text = std::str::from_utf8(body).map_err(|error| other(error.to_string()))?;
        if !text.contains("<ListBucketResult") {
            return Err(other("not a listing".into()));
        }
        quick_xml::de::from_str(text).map_err(|error| other(error.to_string()))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.contents.iter().map(|one| one.key.as_str())
    }

    pub(super) fn next(self) -> Option<String> {
        self.next_continuation_token.filter(|_| self.is_truncated)
    }
}

fn clean(text: &str) -> String {
    text.chars()
        .map(|one| if one.is_control() { ' ' } else { one })
        .take(MESSAGE_CHARS_MAX)
        .collect()
}
