//! The stores against a real S3 server, against servers that misbehave, and in a folder.

mod conditional;
mod faults;
mod folder;
mod identity;
mod jobs;
mod proxy;
mod records;
mod server;
mod settings;
