//! The test cluster for a developer: up, down, status, faults.

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use testkit::cluster::leftovers::{clusters, leftovers};
use testkit::cluster::{Component, default_dir, tear_down};
use testkit::{Cluster, Options};

use crate::say;

/// `cargo xtask cluster`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Which cluster; several can run at once.
    #[arg(long, global = true, default_value = "dev")]
    name: String,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start it; does nothing when it runs.
    Up {
        /// Kubernetes version; default `K8S_VERSION`, else the newest supported.
        #[arg(long)]
        k8s_version: Option<testkit::tools::KubernetesVersion>,
    },
    /// Stop it and remove every trace.
    Down,
    /// What runs.
    Status,
    /// Run a program inside its network, with KUBECONFIG set and kubectl in PATH.
    Exec {
        /// Program and arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Freeze a component.
    Pause {
        /// apiserver, metrics-server, s3 …
        component: Component,
    },
    /// Let a frozen component go on.
    Resume {
        /// apiserver, metrics-server, s3 …
        component: Component,
    },
    /// Stop a component.
    Stop {
        /// apiserver, metrics-server, s3 …
        component: Component,
    },
    /// Start a component that was stopped.
    Start {
        /// apiserver, metrics-server, s3 …
        component: Component,
    },
}

/// Does what was asked.
pub(crate) fn run(flags: Flags) -> Result<()> {
    let dir = default_dir(&flags.name)?;
    let attach = || Cluster::attach(&dir);
    match flags.action {
        Action::Up { k8s_version } => up(&flags.name, k8s_version).map(drop),
        Action::Down => down(&flags.name),
        Action::Status => status(&flags.name),
        Action::Exec { command } => exec(&attach()?, &command),
        Action::Pause { component } => attach()?.pause(component),
        Action::Resume { component } => attach()?.resume(component),
        Action::Stop { component } => attach()?.stop(component),
        Action::Start { component } => attach()?.start(component),
    }
}

/// The cluster called `name`, started when it does not run.
pub(crate) fn up(name: &str, version: Option<testkit::tools::KubernetesVersion>) -> Result<Cluster> {
    let dir = default_dir(name)?;
    if let Ok(cluster) = Cluster::attach(&dir) {
        let down: Vec<String> = cluster
            .status()?
            .iter()
            .filter(|(_, runs)| !**runs)
            .map(|(component, _)| component.to_string())
            .collect();
        if down.is_empty() {
            say(&format!("cluster {name} runs already"));
            return Ok(cluster);
        }
        // After a reboot of the machine, say: what is left is of no use.
        say(&format!(
            "cluster {name} is broken ({} ended), starting it anew",
            down.join(", ")
        ));
        tear_down(&dir)?;
    }
    let mut options = Options::named(name)?;
    if let Some(version) = version {
        options.kubernetes = version;
    }
    say(&format!(
        "starting cluster {name}, Kubernetes {}; the first time its programs are built",
        options.kubernetes
    ));
    let begun = testkit::wait::now();
    let cluster = Cluster::up(&dir, &options)?;
    say(&format!(
        "cluster {name} is up after {:.0} s",
        begun.elapsed().as_secs_f64()
    ));
    say(&format!("  cargo xtask cluster --name {name} exec kubectl get pods -A"));
    say(&format!(
        "  object store in {}, logs in {}",
        cluster.s3_root().display(),
        cluster.dir().join("logs").display()
    ));
    Ok(cluster)
}

/// Takes a cluster down and proves that nothing is left.
pub(crate) fn down(name: &str) -> Result<()> {
    let dir = default_dir(name)?;
    tear_down(&dir)?;
    let left = leftovers(&dir, name)?;
    if !left.is_empty() {
        bail!("left behind by cluster {name}:\n  {}", left.join("\n  "));
    }
    say(&format!("cluster {name} is down and left nothing behind"));
    Ok(())
}

fn status(name: &str) -> Result<()> {
    let running = clusters();
    say(&format!(
        "clusters on this machine: {}",
        if running.is_empty() {
            "none".to_owned()
        } else {
            running.join(", ")
        }
    ));
    if !running.iter().any(|one| one == name) {
        return Ok(());
    }
    for (component, runs) in Cluster::attach(&default_dir(name)?)?.status()? {
        say(&format!("  {component:<20} {}", if runs { "running" } else { "ended" }));
    }
    Ok(())
}

fn exec(cluster: &Cluster, words: &[String]) -> Result<()> {
    let (program, arguments) = words.split_first().context("no program given")?;
    let status = cluster
        .command(program)
        .args(arguments)
        .status()
        .with_context(|| format!("start {program}"))?;
    if !status.success() {
        bail!("{program}: {status}");
    }
    Ok(())
}
