//! The stores against a real S3 server, against servers that misbehave, and in a folder.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conditional;
mod faults;
mod folder;
mod identity;
mod jobs;
mod proxy;
mod records;
mod scripted;
mod server;
mod settings;
