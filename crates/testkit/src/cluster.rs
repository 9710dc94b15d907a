//! A real one-node Kubernetes in a network namespace of its own: `up`, `down`, and everything a story does to it between.
//!
//! Every component is a process of this machine that shares nothing with it but the kernel: it listens inside the
//! namespace only, its files lie below one folder, its containers below one cgroup. [`Cluster::up`] records what it does
//! before it does it, so that [`tear_down`] works from any process and after any failure.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;

use crate::cache::{Lock, cache_dir};
use crate::image::Image;
use crate::process::{self, Running};
use crate::tools::{KubernetesVersion, Tool, ensure, packages};
use crate::wait::wait_until;

pub mod audit;
mod components;
mod configuration;
mod host;
pub mod leftovers;
mod pki;
mod simulation;
mod state;
mod teardown;

pub use audit::{AuditEvent, AuditLog};
pub use components::Component;
pub use simulation::Simulation;
pub use teardown::tear_down;

use state::{Layout, State};

/// The node's address, the same in every cluster: each has its own network. From TEST-NET-2, which is nobody's.
pub const NODE_ADDRESS: &str = "198.51.100.10";
/// Where the object store listens, for pods and for tests.
pub const S3_ENDPOINT: &str = "http://198.51.100.10:7070";
/// The store's root credentials: access key and secret.
pub const S3_CREDENTIALS: (&str, &str) = ("test", "testsecret");
/// The variable by which a test finds its cluster; its value is the cluster's folder.
pub const CLUSTER_VARIABLE: &str = "PROFILING_CLUSTER";

/// From `kubectl` to an answer. The API server is given 60 s by most clients; nothing a test asks takes this long.
const READY_DEADLINE: Duration = Duration::from_secs(120);

/// What kind of cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lower-case letters, digits and dashes, at most 16: it becomes part of a socket's path.
    pub name: String,
    /// The version to run.
    pub kubernetes: KubernetesVersion,
    /// How often metrics-server asks the kubelet; must be more than its 5 s time-out.
    pub metrics_resolution_seconds: u32,
}

impl Options {
    /// The cluster called `name` at the version that the environment asks for.
    pub fn named(name: &str) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            kubernetes: KubernetesVersion::from_environment()?,
            metrics_resolution_seconds: 10,
        })
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    layout: Layout,
    tools: Tools,
}

#[derive(Debug)]
struct Tools {
    kubernetes: PathBuf,
    containerd: PathBuf,
    runc: PathBuf,
    cni: PathBuf,
    metrics_server: PathBuf,
    s3: PathBuf,
    pause: PathBuf,
}

/// Where a cluster's files lie unless told otherwise.
pub fn default_dir(name: &str) -> Result<PathBuf> {
    Ok(cache_dir()?.join("clusters").join(name))
}

impl Cluster {
    /// Builds what is missing and starts a cluster in `dir`, which must not hold one. On failure nothing is left behind.
    pub fn up(dir: &Path, options: &Options) -> Result<Self> {
        check_name(&options.name)?;
        if !process::is_root() {
            bail!("a test cluster needs root: it sets up a network namespace, mounts and cgroups");
        }
        packages::install(&packages::missing())?;
        let tools = Tools::ensure(options.kubernetes)?;
        let _lock = Lock::acquire(&dir.with_extension("lock"))?;
        if dir.join(state::FILE).exists() {
            bail!("{} holds a cluster already; take it down first", dir.display());
        }
        let layout = Layout::new(dir, &options.name)?;
        layout.save(&State::new(options))?;
        let cluster = Self { layout, tools };
        match cluster.start_all() {
            Ok(()) => Ok(cluster),
            Err(error) => {
                let logs = cluster.log_tails();
                let error = error.context(format!("start cluster {}; its logs end with:\n{logs}", options.name));
                match tear_down(dir) {
                    Ok(()) => Err(error),
                    Err(second) => Err(error.context(format!("and taking it down failed: {second:#}"))),
                }
            }
        }
    }

    /// The cluster that runs in `dir`.
    pub fn attach(dir: &Path) -> Result<Self> {
        let (layout, state) = Layout::load(dir)?;
        Ok(Self {
            layout,
            tools: Tools::ensure(state.kubernetes)?,
        })
    }

    /// The cluster that the environment names: how a test that `make e2e` started finds it.
    pub fn from_environment() -> Result<Self> {
        let dir = std::env::var_os(CLUSTER_VARIABLE)
            .with_context(|| format!("{CLUSTER_VARIABLE} is not set; run this test through `make e2e`"))?;
        Self::attach(Path::new(&dir))
    }

    /// Stops everything and removes every trace.
    pub fn down(self) -> Result<()> {
        tear_down(&self.layout.dir)
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.layout.name
    }

    /// The cluster's folder.
    pub fn dir(&self) -> &Path {
        &self.layout.dir
    }

    /// The administrator's kubeconfig; it works inside the cluster's network namespace only.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig("admin")
    }

    /// The folder whose folders are the buckets.
    pub fn s3_root(&self) -> PathBuf {
        self.layout.s3_root()
    }

    /// Makes an empty bucket and gives its folder.
    pub fn create_bucket(&self, name: &str) -> Result<PathBuf> {
        let dir = self.s3_root().join(name);
        fs::create_dir_all(&dir).with_context(|| format!("create bucket {name}"))?;
        Ok(dir)
    }

    /// What a program needs in its environment to find this cluster, its store and its tools.
    pub fn env(&self) -> Vec<(String, String)> {
        let path = std::env::var("PATH").unwrap_or_default();
        let bins = [&self.tools.kubernetes, &self.tools.containerd].map(|bin| bin.display().to_string());
        vec![
            ("PATH".to_owned(), format!("{}:{path}", bins.join(":"))),
            ("KUBECONFIG".to_owned(), self.kubeconfig().display().to_string()),
            (CLUSTER_VARIABLE.to_owned(), self.dir().display().to_string()),
            ("AWS_ENDPOINT_URL".to_owned(), S3_ENDPOINT.to_owned()),
            ("AWS_ACCESS_KEY_ID".to_owned(), S3_CREDENTIALS.0.to_owned()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), S3_CREDENTIALS.1.to_owned()),
            ("AWS_REGION".to_owned(), "us-east-1".to_owned()),
        ]
    }

    /// `program` inside the cluster's network, with its environment.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = host::enter(&self.layout.netns());
        command.arg(program).envs(self.env());
        command
    }

    /// Runs kubectl as administrator; an exit code other than 0 is an error with what it said. Every request has 30 s;
    /// what waits longer, such as `rollout status`, also says `--request-timeout`.
    pub fn kubectl<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Output> {
        process::run(self.kubectl_command().args(arguments))
    }

    /// kubectl as administrator, for callers that start it themselves. Every request has a deadline.
    pub fn kubectl_command(&self) -> Command {
        let mut command = self.command(self.tools.kubernetes.join("kubectl"));
        command.arg("--request-timeout=30s").env("HOME", self.dir());
        command
    }

    /// `kubectl … -o json`, decoded.
    pub fn get<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Value> {
        let output = process::run(self.kubectl_command().arg("get").args(arguments).args(["-o", "json"]))?;
        serde_json::from_slice(&output.stdout).context("decode kubectl's output")
    }

    /// `kubectl apply` of a manifest given as text.
    pub fn apply(&self, manifest: &str) -> Result<()> {
        process::run_with_input(self.kubectl_command().args(["apply", "-f", "-"]), manifest).map(drop)
    }

    /// Imports an image archive, for pods with `imagePullPolicy: Never`.
    pub fn import_image(&self, archive: &Path) -> Result<()> {
        self.ctr(
            ["images", "import", "--local"]
                .map(OsStr::new)
                .into_iter()
                .chain([archive.as_os_str()]),
        )
        .map(drop)
    }

    /// Waits until the API server serves and the node is ready, as after a restart.
    pub fn wait_until_ready(&self) -> Result<()> {
        wait_until("the API server's readiness", READY_DEADLINE, || {
            self.kubectl(["get", "--raw", "/readyz"]).map(Some)
        })?;
        self.wait_for_node()
    }

    /// Waits until metrics.k8s.io answers with this node: 10 to 30 s after the start.
    pub fn wait_for_metrics(&self) -> Result<()> {
        wait_until("node metrics from metrics.k8s.io", READY_DEADLINE, || {
            self.kubectl(["get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes/node1"])
                .map(Some)
        })
        .map(drop)
    }

    /// The API server's audit log: who asked for what, and what it was answered.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.layout.audit_log())
    }

    /// Starts a component that was stopped or killed, and waits until it listens where it is to listen.
    pub fn start(&self, component: Component) -> Result<()> {
        let (program, arguments) = components::invocation(component, &self.layout, &self.tools, &self.layout.state()?)?;
        let mut command = self.command(program);
        command.args(arguments).current_dir(self.dir());
        command.env("PATH", self.component_path());
        let log = self.layout.log(component.as_str());
        let running = Running::start(&mut command, &log).with_context(|| format!("start {component}"))?;
        self.layout
            .change(|state| state.components.insert(component, running))?;
        host::adopt(&self.layout.cgroup(), running.pid)?;
        let Some(port) = component.port() else { return Ok(()) };
        wait_until(&format!("{component} listening on {port}"), READY_DEADLINE, || {
            if !running.is_alive() {
                bail!("{component} ended: {}", self.log_tail(component));
            }
            Ok(host::listens(running.pid, port).then_some(()))
        })
    }

    /// Counts a process that was started beside the cluster among its own: it gets the cluster's share of the machine, and
    /// ends with it at the latest.
    pub fn adopt(&self, process: &Running) -> Result<()> {
        host::adopt(&self.layout.cgroup(), process.pid)
    }

    /// Starts kwok: nodes that say so have simulated pods.
    pub fn simulate(&self, simulation: &Simulation) -> Result<()> {
        let file = self.dir().join("kwok.yaml");
        fs::write(&file, simulation.configuration()).with_context(|| format!("write {}", file.display()))?;
        self.start(Component::Kwok)
    }

    /// Asks a component to end and waits until it has.
    pub fn stop(&self, component: Component) -> Result<()> {
        self.end(component, Signal::TERM)
    }

    /// Ends a component without asking.
    pub fn kill(&self, component: Component) -> Result<()> {
        self.end(component, Signal::KILL)
    }

    /// Freezes a component: it keeps its sockets and answers nothing.
    pub fn pause(&self, component: Component) -> Result<()> {
        self.running(component)?.signal(Signal::STOP)
    }

    /// Lets a frozen component go on.
    pub fn resume(&self, component: Component) -> Result<()> {
        self.running(component)?.signal(Signal::CONT)
    }

    /// The process of a component.
    pub fn running(&self, component: Component) -> Result<Running> {
        let state = self.layout.state()?;
        state
            .components
            .get(&component)
            .copied()
            .with_context(|| format!("{component} was not started"))
    }

    /// Every component and whether it runs.
    pub fn status(&self) -> Result<BTreeMap<Component, bool>> {
        let state = self.layout.state()?;
        Ok(state
            .components
            .iter()
            .map(|(component, running)| (*component, running.is_alive()))
            .collect())
    }

    fn end(&self, component: Component, signal: Signal) -> Result<()> {
        let running = self.running(component)?;
        running.signal(signal)?;
        // A frozen process receives nothing but KILL until it goes on.
        running.signal(Signal::CONT)?;
        // Its first thread is a zombie before the last one has let go of the sockets: who starts it anew in between finds
        // the address in use.
        wait_until(&format!("the end of {component}"), READY_DEADLINE, || {
            let is_over = !running.is_alive() && !self.is_listened_on(component)?;
            Ok(is_over.then_some(()))
        })
    }

    /// Whether anything in the cluster's network listens on the component's port, seen through any component that lives.
    fn is_listened_on(&self, component: Component) -> Result<bool> {
        let Some(port) = component.port() else { return Ok(false) };
        let state = self.layout.state()?;
        let witness = state.components.values().find(|other| other.is_alive());
        Ok(witness.is_some_and(|other| host::listens(other.pid, port)))
    }

    fn start_all(&self) -> Result<()> {
        host::refuse_foreign_kubelet()?;
        self.layout.create()?;
        let state = self.layout.change(|state| {
            state.sysctls = host::read_sysctls();
            state.owned_folders = host::absent_folders();
        })?;
        host::create_network(&self.layout.netns())?;
        host::create_cgroups(&self.layout.cgroup())?;
        pki::create(&self.layout)?;
        configuration::write(&self.layout, &self.tools, &state)?;
        self.start(Component::Containerd)?;
        self.start(Component::Etcd)?;
        self.start(Component::S3)?;
        self.start(Component::ApiServer)?;
        self.wait_for_containerd()?;
        let pause = self.layout.dir.join("pause.tar");
        Image::of_program(configuration::PAUSE_IMAGE, &self.tools.pause.join("pause")).write(&pause)?;
        self.import_image(&pause)?;
        wait_until("the API server's readiness", READY_DEADLINE, || {
            self.kubectl(["get", "--raw", "/readyz"]).map(Some)
        })?;
        for component in [
            Component::ControllerManager,
            Component::Scheduler,
            Component::Kubelet,
            Component::Proxy,
            Component::MetricsServer,
        ] {
            self.start(component)?;
        }
        self.apply(configuration::METRICS_API)?;
        self.wait_for_node()
    }

    fn wait_for_containerd(&self) -> Result<()> {
        wait_until("containerd's answer", READY_DEADLINE, || {
            self.ctr(["version"].map(OsStr::new)).map(Some)
        })
        .map(drop)
    }

    /// A pod can be created once its node is ready and its namespace has a service account.
    fn wait_for_node(&self) -> Result<()> {
        wait_until("the node's readiness", READY_DEADLINE, || {
            let node = self.get(["node", "node1"])?;
            let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
            Ok(conditions
                .iter()
                .any(|one| one["type"] == "Ready" && one["status"] == "True")
                .then_some(()))
        })?;
        wait_until("the default service account", READY_DEADLINE, || {
            self.kubectl(["get", "serviceaccount", "default"]).map(Some)
        })
        .map(drop)
    }

    fn ctr<'a>(&self, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<Output> {
        let mut command = Command::new(self.tools.containerd.join("ctr"));
        process::run(
            command
                .arg("-a")
                .arg(self.layout.containerd_socket())
                .args(["-n", "k8s.io"])
                .args(arguments),
        )
    }

    /// Where components find each other's helpers: the shim beside containerd, iptables in sbin.
    fn component_path(&self) -> String {
        let tools = [
            &self.tools.kubernetes,
            &self.tools.containerd,
            &self.tools.runc,
            &self.tools.cni,
        ];
        let tools = tools.map(|bin| bin.display().to_string());
        format!(
            "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            tools.join(":")
        )
    }

    fn log_tail(&self, component: Component) -> String {
        let text = fs::read_to_string(self.layout.log(component.as_str())).unwrap_or_default();
        process::tail(text.trim_end(), 1500).to_owned()
    }

    fn log_tails(&self) -> String {
        let state = self.layout.state().map(|state| state.components).unwrap_or_default();
        let tails = state
            .keys()
            .map(|component| format!("--- {component}\n{}\n", self.log_tail(*component)));
        tails.collect()
    }
}

impl Tools {
    fn ensure(version: KubernetesVersion) -> Result<Self> {
        Ok(Self {
            pause: ensure(Tool::Pause)?,
            cni: ensure(Tool::CniPlugins)?,
            runc: ensure(Tool::Runc)?,
            containerd: ensure(Tool::Containerd)?,
            s3: ensure(Tool::S3)?,
            metrics_server: ensure(Tool::MetricsServer)?,
            kubernetes: ensure(Tool::Kubernetes(version))?,
        })
    }
}

fn check_name(name: &str) -> Result<()> {
    let fits = (1..=16).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !fits {
        bail!("a cluster's name is 1 to 16 lower-case letters, digits and dashes, not {name:?}");
    }
    Ok(())
}
