//! The API server's audit log, read as stories need it: count requests, find denials.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

/// One request, as the API server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// `ResponseStarted` for a watch that began, `ResponseComplete` for everything that ended.
    pub stage: String,
    /// `system:serviceaccount:profiling-system:profiling-operator`; where a request was made in somebody's name, theirs.
    pub user: String,
    /// The pod whose token the request carried; empty for other credentials.
    pub pod: String,
    /// `get`, `list`, `watch`, `create`, `patch` …
    pub verb: String,
    /// API group, empty for the core.
    pub group: String,
    /// Plural resource, with its subresource after a slash: `pods/portforward`. Empty for other paths.
    pub resource: String,
    /// Namespace, empty where there is none.
    pub namespace: String,
    /// Object, empty for lists.
    pub name: String,
    /// Path and query.
    pub uri: String,
    /// HTTP status; 0 when none was sent.
    pub code: u64,
    /// Whether the authorizer allowed it.
    pub allowed: bool,
    /// RFC 3339, UTC, when the request came in.
    pub received: String,
    /// RFC 3339, UTC, when its stage was reached: of `ResponseComplete`, when the answer was sent.
    pub reached: String,
}

/// The log and how far it was read.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
    offset_bytes: u64,
}

impl AuditLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, offset_bytes: 0 }
    }

    /// Skips everything logged so far, so that the next [`read`](Self::read) gives only what follows.
    pub fn skip_to_end(&mut self) -> Result<()> {
        self.offset_bytes = self.open()?.metadata().context("size of audit log")?.len();
        Ok(())
    }

    /// What was logged since the last call and that `wanted` accepts.
    pub fn read(&mut self, wanted: impl FnMut(&AuditEvent) -> bool) -> Result<Vec<AuditEvent>> {
        self.read_lines("", wanted)
    }

    /// As [`read`](Self::read), for one user's requests. Of a long log, only their lines are decoded.
    pub fn read_of(&mut self, user: &str, mut wanted: impl FnMut(&AuditEvent) -> bool) -> Result<Vec<AuditEvent>> {
        self.read_lines(user, |event| event.user == user && wanted(event))
    }

    /// Looks at lines that hold `text` only.
    fn read_lines(&mut self, text: &str, mut wanted: impl FnMut(&AuditEvent) -> bool) -> Result<Vec<AuditEvent>> {
        let mut file = self.open()?;
        file.seek(SeekFrom::Start(self.offset_bytes))
            .context("seek in audit log")?;
        let mut reader = BufReader::new(file);
        let mut events = Vec::new();
        let mut line = String::new();
        loop {
            line.clear();
            let read_bytes = reader.read_line(&mut line).context("read audit log")?;
            // A last line without its end is still being written; the next call reads it.
            if !line.ends_with('\n') {
                return Ok(events);
            }
            self.offset_bytes += read_bytes as u64;
            if !line.contains(text) {
                continue;
            }
            let event = decode(&serde_json::from_str(&line).context("decode audit log")?);
            if wanted(&event) {
                events.push(event);
            }
        }
    }

    fn open(&self) -> Result<File> {
        File::open(&self.path).with_context(|| format!("open {}", self.path.display()))
    }
}

fn decode(event: &Value) -> AuditEvent {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &event["objectRef"];
    let resource = match object["subresource"].as_str() {
        Some(subresource) => format!("{}/{subresource}", text(&object["resource"])),
        None => text(&object["resource"]),
    };
    AuditEvent {
        stage: text(&event["stage"]),
        user: match event["impersonatedUser"]["username"].as_str() {
            Some(impersonated) => impersonated.to_owned(),
            None => text(&event["user"]["username"]),
        },
        pod: text(&event["user"]["extra"]["authentication.kubernetes.io/pod-name"][0]),
        verb: text(&event["verb"]),
        group: text(&object["apiGroup"]),
        resource,
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        uri: text(&event["requestURI"]),
        code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
        allowed: event["annotations"]["authorization.k8s.io/decision"] != "forbid",
        received: text(&event["requestReceivedTimestamp"]),
        reached: text(&event["stageTimestamp"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_line_is_read_once_and_only_when_it_is_whole() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut log = AuditLog::new(file.path().to_owned());
        let line = r#"{"stage":"ResponseComplete","verb":"create","user":{"username":"u"},
            "objectRef":{"resource":"pods","subresource":"portforward","namespace":"n","name":"p"},
            "responseStatus":{"code":403},"annotations":{"authorization.k8s.io/decision":"forbid"}}"#
            .replace('\n', "");
        write!(file, "{line}\n{}", &line[..20]).unwrap();
        let events = log.read(|_| true).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(
            (events[0].resource.as_str(), events[0].code, events[0].allowed),
            ("pods/portforward", 403, false)
        );
        writeln!(file, "{}", &line[20..]).unwrap();
        assert_eq!(log.read(|event| event.verb == "create").unwrap().len(), 1);
        assert_eq!(log.read(|_| true).unwrap(), []);

        writeln!(file, "{line}\n{}", line.replace(r#""u""#, r#""v""#)).unwrap();
        assert_eq!(log.read_of("v", |_| true).unwrap().len(), 1);
    }
}
