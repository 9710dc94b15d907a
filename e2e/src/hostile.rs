//! The hostile server in a story: how it misbehaves is chosen, and what it was asked is counted by itself.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::story::SampleApp;
use crate::{Story, http, operator};

/// The server with a behaviour, as its flag `--mode` takes it: `ok`, `heap=html`, `big:64` …
pub fn app(name: &str, mode: &str) -> SampleApp {
    SampleApp {
        name: name.to_owned(),
        image: "localhost/hostile:e2e".to_owned(),
        arguments: vec![format!("--mode={mode}")],
        ..SampleApp::default()
    }
}

/// What a server was asked and what it served, as it counts itself.
pub fn seen(pod: &Value) -> Result<Value> {
    let address = operator::address(pod, 8080).context("a ready pod has an address")?;
    let text = http::get(address, "/seen")?;
    serde_json::from_str(&text).context("decode /seen")
}

/// How often a path was asked, by what [`seen`] gave.
pub fn asked(seen: &Value, path: &str) -> u64 {
    seen["requests"][path].as_u64().unwrap_or_default()
}

impl Story {
    /// Waits until a pod is ready.
    pub fn wait_until_ready(&self, pod: &str) -> Result<()> {
        let pod = format!("pod/{pod}");
        let wait = ["wait", "--for=condition=Ready", &pod, "--namespace", &self.name];
        let deadlines = ["--timeout=60s", "--request-timeout=90s"];
        self.cluster.kubectl(wait.into_iter().chain(deadlines)).map(drop)
    }

    /// The one pod of an app.
    pub fn pod(&self, app: &str) -> Result<Value> {
        self.pods(app)?
            .into_iter()
            .next()
            .with_context(|| format!("{app} has no pod"))
    }

    /// What the one pod of a hostile app counted.
    pub fn seen(&self, app: &str) -> Result<Value> {
        seen(&self.pod(app)?)
    }
}
