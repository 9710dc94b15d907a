//! A story: a namespace and a bucket of its own, and what is put into them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testkit::cluster::S3_ENDPOINT;
use testkit::{Cluster, wait_until};

use crate::profile::{self, Profile};
use crate::{SOON, http, operator, replica};

/// Where a story takes place.
#[derive(Debug)]
pub struct Story {
    /// The cluster that it shares with others.
    pub cluster: Cluster,
    /// Its namespace, and the name of its bucket.
    pub name: String,
    bucket: PathBuf,
    _turn: Turn,
}

/// Stories of one program run side by side, but not beside one that stops what all of them need.
static STAGE: RwLock<()> = RwLock::new(());

/// Held while a story is told.
#[derive(Debug)]
#[expect(dead_code, reason = "the guards are held, not read")]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
    /// The story beside it holds the guard: a second one of the same thread would wait for whoever waits for the first.
    Beside,
}

/// How the sample app is started.
#[derive(Clone, Debug)]
pub struct SampleApp {
    /// Name of the Deployment, and by its label of the service.
    pub name: String,
    /// The program: its image. The hostile server has the same ports.
    pub image: String,
    /// Replicas.
    pub replicas: u32,
    /// Arguments of the program.
    pub arguments: Vec<String>,
    /// Limits of CPU and memory.
    pub limits: (String, String),
    /// Annotations of its pods.
    pub annotations: Value,
}

impl Default for SampleApp {
    fn default() -> Self {
        Self {
            name: "sample-app".to_owned(),
            image: "localhost/sample-app:e2e".to_owned(),
            replicas: 1,
            arguments: Vec::new(),
            limits: ("500m".to_owned(), "400Mi".to_owned()),
            annotations: json!({ "profiling.io/enabled": "true" }),
        }
    }
}

impl Story {
    /// Makes the story's namespace and bucket, and sees to it that the operator runs. What an earlier run left under this
    /// name is removed first.
    pub fn begin(name: &str) -> Result<Self> {
        Self::begin_on(Turn::Shared(STAGE.read().unwrap_or_else(PoisonError::into_inner)), name)
    }

    /// As [`begin`](Self::begin), for a story during which no other of this program runs: it stops the API server, the
    /// store, metrics or the operator itself.
    pub fn begin_alone(name: &str) -> Result<Self> {
        let story = Self::begin_on(Turn::Alone(STAGE.write().unwrap_or_else(PoisonError::into_inner)), name)?;
        // A replica of the story before that is about to end still acts, and is none of those that are listed.
        replica::settled(&story.cluster, 1)?;
        Ok(story)
    }

    /// A further namespace and bucket for the same story, to be ended before it.
    pub fn beside(&self, name: &str) -> Result<Self> {
        Self::begin_on(Turn::Beside, name)
    }

    fn begin_on(turn: Turn, name: &str) -> Result<Self> {
        let cluster = Cluster::from_environment()?;
        operator::install(&cluster)?;
        cluster.kubectl([
            "delete",
            "namespace",
            name,
            "--ignore-not-found",
            "--request-timeout=120s",
        ])?;
        cluster.kubectl(["create", "namespace", name])?;
        wait_until("the namespace's service account", SOON, || {
            cluster
                .kubectl(["get", "serviceaccount", "default", "--namespace", name])
                .map(Some)
        })?;
        let old = cluster.s3_root().join(name);
        if old.exists() {
            std::fs::remove_dir_all(&old).context("empty the bucket")?;
        }
        let bucket = cluster.create_bucket(name)?;
        Ok(Self {
            cluster,
            name: name.to_owned(),
            bucket,
            _turn: turn,
        })
    }

    /// Removes the namespace. Not done when a story fails: what it was about can then be looked at.
    pub fn end(self) -> Result<()> {
        self.cluster
            .kubectl(["delete", "namespace", &self.name, "--wait=false"])
            .map(drop)
    }

    /// Deploys the sample app and waits until its pods are ready.
    pub fn deploy(&self, app: &SampleApp) -> Result<()> {
        self.deploy_all([app])
    }

    /// Deploys several apps and waits until the pods of all are ready.
    pub fn deploy_all<'a>(&self, apps: impl IntoIterator<Item = &'a SampleApp> + Clone) -> Result<()> {
        for app in apps.clone() {
            self.apply(&sample_app(app))?;
        }
        for app in apps {
            let deployment = format!("deployment/{}", app.name);
            self.cluster.kubectl([
                "rollout",
                "status",
                &deployment,
                "--namespace",
                &self.name,
                "--timeout=60s",
                "--request-timeout=90s",
            ])?;
        }
        Ok(())
    }

    /// Creates or changes a ProfilingConfig. Bucket and endpoint are the story's; the rest is `spec`.
    pub fn configure(&self, name: &str, spec: &Value) -> Result<()> {
        let mut spec = spec.clone();
        let s3 = json!({ "bucket": self.name, "region": "us-east-1", "endpoint": S3_ENDPOINT });
        let object = spec.as_object_mut().context("a spec is an object")?;
        object.entry("s3Config").or_insert(s3);
        self.apply(&json!({
            "apiVersion": "profiling.io/v1alpha1",
            "kind": "ProfilingConfig",
            "metadata": { "name": name },
            "spec": spec,
        }))
    }

    /// Applies an object in the story's namespace.
    pub fn apply(&self, object: &Value) -> Result<()> {
        let mut object = object.clone();
        object["metadata"]["namespace"] = json!(self.name);
        self.cluster.apply(&object.to_string())
    }

    /// An object of the story's namespace.
    pub fn get(&self, kind: &str, name: &str) -> Result<Value> {
        self.cluster.get([kind, name, "--namespace", &self.name])
    }

    /// The pods that carry the app's label and are not ending.
    pub fn pods(&self, app: &str) -> Result<Vec<Value>> {
        let label = format!("app.kubernetes.io/name={app}");
        let list = self
            .cluster
            .get(["pods", "--namespace", &self.name, "--selector", &label])?;
        let pods = list["items"].as_array().cloned().unwrap_or_default();
        Ok(pods
            .into_iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .collect())
    }

    /// Asks every pod of the app for something, such as `/burn?seconds=60&cores=0.45`.
    pub fn ask(&self, app: &str, path: &str) -> Result<()> {
        for pod in self.pods(app)? {
            let address: SocketAddr = operator::address(&pod, 8080).context("a ready pod has an address")?;
            http::get(address, path)?;
        }
        Ok(())
    }

    /// The profiles in the story's bucket, the oldest first.
    pub fn profiles(&self) -> Result<Vec<Profile>> {
        profile::in_bucket(&self.bucket)
    }

    /// The capture records in the story's bucket.
    pub fn records(&self) -> Result<Vec<Value>> {
        profile::records(&self.bucket)
    }

    /// The folder of the story's bucket.
    pub fn bucket(&self) -> &std::path::Path {
        &self.bucket
    }

    /// Waits until a profile of each kind is there and gives one of each, in the order asked.
    pub fn wait_for_profiles(&self, kinds: &[&str], deadline: std::time::Duration) -> Result<Vec<Profile>> {
        wait_until(
            &format!("profiles {} in bucket {}", kinds.join(", "), self.name),
            deadline,
            || {
                let stored = self.profiles()?;
                let of_kind = |kind: &&str| stored.iter().find(|profile| profile.kind == *kind).cloned();
                Ok(kinds.iter().map(of_kind).collect::<Option<Vec<_>>>())
            },
        )
        .with_context(|| self.describe())
    }

    /// What there is to see, for the message of a story that fails.
    pub fn describe(&self) -> String {
        let said = |arguments: &[&str]| match self.cluster.kubectl(arguments) {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(error) => format!("{error:#}\n"),
        };
        let configs = said(&["get", "profilingconfigs", "--namespace", &self.name, "-o", "yaml"]);
        let pods = said(&["get", "pods", "--namespace", &self.name, "-o", "wide"]);
        let events = said(&["get", "events", "--namespace", &self.name]);
        let log = operator::log(&self.cluster).unwrap_or_else(|error| format!("{error:#}"));
        let log = testkit::process::tail(&log, 6000);
        format!("{configs}\n{pods}\n{events}\noperator:\n{log}")
    }
}

fn sample_app(app: &SampleApp) -> Value {
    let SampleApp {
        name,
        image,
        replicas,
        arguments,
        limits: (cpu, memory),
        annotations,
    } = app;
    let labels = json!({ "app.kubernetes.io/name": name });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels, "annotations": annotations },
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "app",
                        "image": image,
                        "imagePullPolicy": "Never",
                        "args": arguments,
                        "ports": [{ "name": "http", "containerPort": 8080 }, { "name": "pprof", "containerPort": 6060 }],
                        "resources": { "requests": { "cpu": "10m" }, "limits": { "cpu": cpu, "memory": memory } },
                        "readinessProbe": { "httpGet": { "path": "/healthz", "port": "http" }, "periodSeconds": 1 },
                    }],
                },
            },
        },
    })
}
