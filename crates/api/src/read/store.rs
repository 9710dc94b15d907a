//! The part of a config that says where profiles go.

use planner::{Reason, Refusal, StorePolicy};

use super::{Admission, Notes, invalid, quote};
use crate::bounds;
use crate::resource::S3Config;

/// Reads it, or says why it cannot be used.
pub(super) fn policy(store: &S3Config, admission: &Admission, notes: &mut Notes) -> Result<StorePolicy, Refusal> {
    let S3Config {
        bucket,
        prefix,
        region,
        endpoint,
    } = store;
    Ok(StorePolicy {
        bucket: bucket_name(bucket)?.into(),
        prefix: key_prefix(prefix, notes)?.into(),
        region: optional(region.as_deref())
            .map(region_name)
            .transpose()?
            .map(Into::into),
        endpoint: optional(endpoint.as_deref())
            .map(|one| allowed_endpoint(one, admission))
            .transpose()?
            .map(Into::into),
    })
}

/// An endpoint in the form in which two of them can be compared; none if it is not one.
pub(super) fn normal_endpoint(endpoint: &str) -> Option<String> {
    let (scheme, rest) = endpoint.split_once("://")?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let is_host = |one: u8| one.is_ascii_alphanumeric() || matches!(one, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    let fits = matches!(scheme, "http" | "https")
        && !host.is_empty()
        && endpoint.len() <= bounds::ENDPOINT_CHARS_MAX
        && host.bytes().all(is_host);
    fits.then(|| format!("{scheme}://{}", host.to_ascii_lowercase()))
}

fn optional(text: Option<&str>) -> Option<&str> {
    text.filter(|one| !one.is_empty())
}

fn bucket_name(bucket: &str) -> Result<&str, Refusal> {
    if bucket.is_empty() {
        return Err(invalid(
            "spec.s3Config.bucket is empty; name the bucket that the profiles go to".into(),
        ));
    }
    let ends = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit();
    let fits = bounds::BUCKET_CHARS.contains(&bucket.len())
        && bucket.bytes().all(|one| ends(one) || matches!(one, b'.' | b'-'))
        && bucket.bytes().next().is_some_and(ends)
        && bucket.bytes().next_back().is_some_and(ends)
        && !bucket.contains("..");
    if fits {
        return Ok(bucket);
    }
    Err(invalid(format!(
        "spec.s3Config.bucket {} is not the name of a bucket: 3 to 63 lower-case letters, digits, dots and dashes",
        quote(bucket)
    )))
}

/// The prefix without slashes at its ends. What is in it is not cleaned: it is right or it is refused.
fn key_prefix<'s>(prefix: &'s str, notes: &mut Notes) -> Result<&'s str, Refusal> {
    let trimmed = prefix.trim_matches('/');
    if prefix.starts_with('/') {
        notes.add(format!(
            "spec.s3Config.prefix {} is read without the slash at its start",
            quote(prefix)
        ));
    }
    let is_plain = |one: u8| one.is_ascii_alphanumeric() || b"!_.*()=/-".contains(&one);
    let is_segment = |one: &str| !matches!(one, "" | "." | "..");
    let fits = trimmed.is_empty()
        || (trimmed.len() <= bounds::PREFIX_CHARS_MAX
            && trimmed.bytes().all(is_plain)
            && trimmed.split('/').all(is_segment));
    if fits {
        return Ok(trimmed);
    }
    Err(invalid(format!(
        "spec.s3Config.prefix {} may hold letters, digits and ! _ . * ( ) = / - only, at most {} of them, and no empty, \".\" or \"..\" segment",
        quote(prefix),
        bounds::PREFIX_CHARS_MAX
    )))
}

fn region_name(region: &str) -> Result<&str, Refusal> {
    let is_plain = |one: u8| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'-';
    if region.len() <= bounds::REGION_CHARS_MAX && region.bytes().all(is_plain) {
        return Ok(region);
    }
    Err(invalid(format!(
        "spec.s3Config.region {} is not the name of a region, such as eu-central-1",
        quote(region)
    )))
}

fn allowed_endpoint(endpoint: &str, admission: &Admission) -> Result<String, Refusal> {
    let Some(normal) = normal_endpoint(endpoint) else {
        return Err(invalid(format!(
            "spec.s3Config.endpoint {} must be http:// or https://, a host and optionally a port, such as https://minio.storage:9000",
            quote(endpoint)
        )));
    };
    let is_allowed = |one: &String| normal_endpoint(one).is_some_and(|one| one == normal);
    if admission.endpoints_unused || admission.endpoints.iter().any(is_allowed) {
        return Ok(normal);
    }
    Err(Refusal {
        reason: Reason::EndpointNotAllowed,
        message: format!(
            "spec.s3Config.endpoint {} is not one that the operator's settings allow; remove it to use AWS, or have the \
             operator started with --allow-endpoint {normal}",
            quote(endpoint)
        )
        .into(),
    })
}
