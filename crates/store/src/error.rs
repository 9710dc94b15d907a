//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use planner::Reason;

/// Why an operation of a store failed. Displays never repeat their source.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The config names an endpoint that the operator's settings do not list.
    #[error("endpoint {endpoint} is not allowed: an administrator must add it to the operator's allowed endpoints")]
    EndpointNotAllowed {
        /// As the config has it.
        endpoint: String,
    },
    /// The endpoint is listed, but unencrypted, and the settings do not allow that.
    #[error(
        "endpoint {endpoint} is not encrypted: use https, or let an administrator allow http for the listed endpoints"
    )]
    HttpNotAllowed {
        /// As the config has it.
        endpoint: String,
    },
    /// The policy cannot be used as written.
    #[error("{what} {value:?} cannot be used: {remedy}")]
    InvalidPolicy {
        /// Which part of it.
        what: &'static str,
        /// As written, cut.
        value: String,
        /// What to write.
        remedy: &'static str,
    },
    /// Neither the config nor the environment names a region.
    #[error("no region: set spec.s3Config.region, or AWS_REGION in the operator's environment")]
    RegionMissing,
    /// The environment offers no credentials.
    #[error(
        "no credentials: bind the operator's service account to a role (IRSA or Pod Identity), or set AWS_ACCESS_KEY_ID \
         and AWS_SECRET_ACCESS_KEY in its environment, or allow the instance's identity in its settings"
    )]
    CredentialsMissing,
    /// Credentials could not be obtained from where the environment says.
    #[error("obtain credentials")]
    Credentials {
        /// What the provider said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The HTTP client could not be made.
    #[error("set up the HTTP client: {message}")]
    Client {
        /// What is missing.
        message: String,
    },
    /// The store refused for lack of rights, or did not accept the credentials.
    #[error("{operation} refused with status {status} {code}: {message}")]
    Denied {
        /// What was tried.
        operation: &'static str,
        /// The status.
        status: u16,
        /// The store's code.
        code: String,
        /// The store's words.
        message: String,
    },
    /// The bucket does not exist.
    #[error("bucket {bucket} does not exist")]
    BucketNotFound {
        /// Its name.
        bucket: String,
    },
    /// The bucket is elsewhere; redirects are not followed.
    #[error("bucket {bucket} is not in region {region}: {hint}")]
    WrongRegion {
        /// Its name.
        bucket: String,
        /// The region that was asked.
        region: String,
        /// What the store said about the right one.
        hint: String,
    },
    /// Both names of the profile hold something else.
    #[error("{first} and {second} are both taken by other captures")]
    KeyConflict {
        /// The seed's name.
        first: String,
        /// The capture's own name.
        second: String,
    },
    /// The store answered that it cannot do it, now or at all.
    #[error("{operation} answered with status {status} {code}: {message}")]
    Status {
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
        /// What was tried.
        operation: &'static str,
        /// The status.
        status: u16,
        /// The store's code.
        code: String,
        /// The store's words.
        message: String,
    },
    /// The request got no answer.
    #[error("{operation} got no answer from {host}")]
    NoAnswer {
        /// What was tried.
        operation: &'static str,
        /// Of whom.
        host: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The request made no progress, or took longer than its size allows.
    #[error("{operation} at {host} timed out: {what}")]
    TimedOut {
        /// What was tried.
        operation: &'static str,
        /// At whom.
        host: String,
        /// Which of the two.
        what: &'static str,
    },
    /// The answer is not what the protocol says.
    #[error("{operation} was answered with something else: {message}")]
    Protocol {
        /// What was tried.
        operation: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The spooled body could not be read.
    #[error("read the body {}", path.display())]
    Body {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The spooled body is not the one that was announced.
    #[error("the body {} changed since it was checked", path.display())]
    BodyChanged {
        /// The file.
        path: PathBuf,
    },
    /// The folder did not do it.
    #[error("{operation} {}", path.display())]
    Folder {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A record could not be encoded or is not one.
    #[error("{operation} a capture record")]
    Record {
        /// Encode or decode.
        operation: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl StoreError {
    /// The code for conditions, records and metrics.
    pub fn reason(&self) -> Reason {
        match self {
            Self::EndpointNotAllowed { .. } | Self::HttpNotAllowed { .. } => Reason::EndpointNotAllowed,
            Self::InvalidPolicy { .. } | Self::RegionMissing => Reason::StorageMisconfigured,
            Self::CredentialsMissing | Self::Credentials { .. } => Reason::CredentialsUnavailable,
            Self::Denied { .. } => Reason::StorageDenied,
            Self::BucketNotFound { .. } | Self::WrongRegion { .. } => Reason::BucketNotFound,
            Self::KeyConflict { .. } => Reason::KeyConflict,
            Self::Body { .. } | Self::BodyChanged { .. } => Reason::SpoolUnavailable,
            Self::Folder { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Reason::StorageDenied,
            Self::Client { .. }
            | Self::Status { .. }
            | Self::NoAnswer { .. }
            | Self::TimedOut { .. }
            | Self::Protocol { .. }
            | Self::Folder { .. }
            | Self::Record { .. } => Reason::StorageUnavailable,
        }
    }

    /// Whether the same may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NoAnswer { .. } | Self::TimedOut { .. } | Self::Protocol { .. } | Self::Credentials { .. } => true,
            // 409 and 412 are races with another writer; the others are the store's own trouble. 501 is what
            // stores without conditional writes say, and will not change.
            Self::Status { status, .. } => matches!(status, 408 | 409 | 412 | 429 | 500 | 502..=599),
            Self::Folder { source, .. } => source.kind() != io::ErrorKind::PermissionDenied,
            Self::EndpointNotAllowed { .. }
            | Self::HttpNotAllowed { .. }
            | Self::InvalidPolicy { .. }
            | Self::RegionMissing
            | Self::CredentialsMissing
            | Self::Client { .. }
            | Self::Denied { .. }
            | Self::BucketNotFound { .. }
            | Self::WrongRegion { .. }
            | Self::KeyConflict { .. }
            | Self::Body { .. }
            | Self::BodyChanged { .. }
            | Self::Record { .. } => false,
        }
    }

    pub(crate) fn folder(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Folder {
            operation,
            path,
            source,
        }
    }

    pub(crate) fn body(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Body { path, source }
    }

    pub(crate) fn invalid(what: &'static str, value: &str, remedy: &'static str) -> Self {
        // A message is for a condition; 100 characters tell which value is meant.
        Self::InvalidPolicy {
            what,
            value: value.chars().take(100).collect(),
            remedy,
        }
    }
}
