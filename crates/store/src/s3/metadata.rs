//! The user metadata of a profile: a copy of the record's facts, for convenience.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use planner::{CaptureJob, Trigger};

use crate::record::{date_time, hex, uuid};
use crate::stores::ProfileBody;

/// The limit of S3 for names and values together.
const METADATA_BYTES_MAX: usize = 2_048;

/// Longest value: a name of Kubernetes has at most 253 bytes.
const VALUE_BYTES_MAX: usize = 317;

/// The headers of an upload, user metadata included. Names are ours: lower-case letters and digits; what others named
/// (labels, pods) is only ever a value.
pub(super) fn headers(job: &CaptureJob, body: &ProfileBody<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // The bytes are gzip, but the object is the file: with a content encoding stores and clients would unpack it.
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
    let mut left = METADATA_BYTES_MAX;
    for (name, value) in facts(job, body) {
        let value = ascii(&value);
        let Some(rest) = left.checked_sub(name.len() + value.len()).filter(|_| !value.is_empty()) else {
            continue;
        };
        let (Some(name), Ok(value)) = (header_name(name), HeaderValue::from_str(&value)) else {
            continue;
        };
        headers.insert(name, value);
        left = rest;
    }
    headers
}

/// The header of a fact.
pub(super) fn header_name(fact: &str) -> Option<HeaderName> {
    HeaderName::try_from(format!("x-amz-meta-{fact}")).ok()
}

/// In the order of their worth: what does not fit is left out from the end.
fn facts(job: &CaptureJob, body: &ProfileBody<'_>) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("captureid", job.id.to_string()),
        ("sha256", hex(&body.sha256)),
        ("type", body.profile_type.as_str().into()),
        ("reason", job.trigger.reason().as_kebab()),
        ("decidedat", date_time(job.decided_at)),
        ("startedat", date_time(body.started)),
        ("namespace", job.namespace.to_string()),
        ("pod", job.pod.to_string()),
        ("poduid", uuid(job.target.0)),
        ("container", job.container.to_string()),
        (
            "samples",
            body.samples.map(|samples| samples.to_string()).unwrap_or_default(),
        ),
        ("service", job.service.to_string()),
        ("node", job.node.to_string()),
        ("config", format!("{}/{}", job.config_namespace, job.config_name)),
    ];
    match &job.trigger {
        Trigger::Threshold {
            resource,
            value_permille,
            threshold_permille,
            basis,
            ..
        } => facts.extend([
            ("resource", resource.as_str().into()),
            ("valuepermille", value_permille.to_string()),
            ("thresholdpermille", threshold_permille.to_string()),
            ("basis", basis.as_str().into()),
        ]),
        Trigger::Requested { by } => facts.push(("by", by.to_string())),
        Trigger::OnDemand => {}
    }
    facts.push(("sampletypes", body.sample_types.join(",")));
    facts
}

/// Printable ASCII without spaces, which signing would collapse; everything else becomes a dash.
fn ascii(value: &str) -> String {
    value
        .chars()
        .take(VALUE_BYTES_MAX)
        .map(|one| if one.is_ascii_graphic() { one } else { '-' })
        .collect()
}
