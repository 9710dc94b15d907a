//! Where profiles and capture records are kept: an S3 bucket or a folder.
//!
//! [`Stores::open`] turns a config's [`planner::StorePolicy`] into a [`Store`]; one is kept per bucket, region and
//! endpoint, so that a thousand uploads make one token exchange. A profile is created and never overwritten
//! ([`Store::put_profile`]); a capture's [`Record`] is written when it starts and again as it goes on
//! ([`Store::put_record`]); after a restart the records of the last hours are read back ([`Store::records_since`]).
//!
//! A body is read from its file as it is sent: one upload costs buffers of about 128 KiB, whatever its size. It is
//! sent as one request, so a process that is killed leaves the whole object or none.
//!
//! What `object_store` is used for, and for what not: it finds credentials (web identity, pod identity, task role,
//! instance role, static keys), keeps them fresh, and signs. Requests are sent from here, because its `put` wants the
//! body in memory, its multipart upload has no create-only mode and leaves parts behind, its client follows
//! redirects, and its paths refuse prefixes with an empty segment (`a//b`), which a bucket may well have.

mod error;
mod folder;
mod newest;
mod record;
mod s3;
mod settings;
mod stores;

pub use error::StoreError;
pub use record::{
    Record, RecordConfig, RecordState, RecordTarget, RecordTrigger, RecordType, SCHEMA_VERSION, TypeResult,
};
pub use settings::{Environment, StoreSettings};
pub use stores::{ProfileBody, Store, StoredKey, Stores};
