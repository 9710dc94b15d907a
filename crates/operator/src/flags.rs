//! The command line, as written.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};

/// A flight recorder for workloads: captures profiles when a threshold is crossed, or on a schedule.
#[derive(Debug, Parser)]
#[command(name = "profiling-operator", version)]
pub struct Flags {
    /// Log filter: a level (error, warn, info, debug), or `operator=debug,kube=warn`.
    #[arg(long, env = "PROFILING_LOG_LEVEL", default_value = "info", global = true)]
    pub log_level: String,
    /// What to run.
    #[command(subcommand)]
    pub mode: Mode,
}

/// The ways to run.
#[derive(Debug, Subcommand)]
pub enum Mode {
    /// Watch a Kubernetes cluster, from inside or with a kubeconfig.
    Run(RunFlags),
    /// Watch processes of this machine.
    Standalone(StandaloneFlags),
    /// Start the sample application and show what the recorder does with it.
    Demo(DemoFlags),
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub struct RunFlags {
    /// The operator's own namespace.
    #[arg(long, env = "POD_NAMESPACE", default_value = "profiling-system", value_parser = NonEmptyStringValueParser::new())]
    pub namespace: String,
    /// The operator's own pod: its identity in the election.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// Take part in leader election: needed with more than one replica.
    #[arg(long, env = "PROFILING_LEADER_ELECT")]
    pub leader_elect: bool,
    /// Name of the Lease, in the operator's own namespace, that replicas compete for: another one for another set of them.
    #[arg(long, env = "PROFILING_LEASE_NAME", default_value = "profiling-operator", value_parser = NonEmptyStringValueParser::new())]
    pub lease_name: String,
    /// Watch only this namespace; default, and when empty, all.
    #[arg(long, env = "PROFILING_WATCH_NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// Where metrics are served; `[::]` is every address, of IPv4 and IPv6, whichever of them there is.
    #[arg(long, env = "PROFILING_METRICS_LISTEN", default_value = "[::]:8080")]
    pub metrics_listen: SocketAddr,
    /// Where health is served.
    #[arg(long, env = "PROFILING_HEALTH_LISTEN", default_value = "[::]:8081")]
    pub health_listen: SocketAddr,
    /// Where `/api/v1/why` is served; keep it on the loopback, it has no authentication.
    #[arg(long, env = "PROFILING_API_LISTEN", default_value = "127.0.0.1:8082")]
    pub api_listen: SocketAddr,
    /// Configs that may select other namespaces than their own: `NAMESPACE` or `NAMESPACE/NAME`.
    #[arg(long, env = "PROFILING_ALLOW_CROSS_NAMESPACE", value_delimiter = ',')]
    pub allow_cross_namespace: Vec<String>,
    /// Flags of both ways to run.
    #[command(flatten)]
    pub shared: SharedFlags,
}

impl RunFlags {
    /// The namespace to watch, none for all. An environment's empty variable is as good as none.
    pub fn watched(&self) -> Option<&str> {
        self.watch_namespace.as_deref().filter(|name| !name.is_empty())
    }

    /// The pod's name, if it was given.
    pub fn pod(&self) -> Option<&str> {
        self.pod_name.as_deref().filter(|name| !name.is_empty())
    }
}

/// Flags of every way to run.
#[derive(Debug, Args)]
pub struct SharedFlags {
    /// Folder for profiles on their way from the target to the store. Default: `/var/spool/profiling` in a
    /// cluster, else a temporary one.
    #[arg(long, env = "PROFILING_SPOOL")]
    pub spool: Option<PathBuf>,
    /// Size of the spool's volume, which is never filled beyond seven eighths: Kubernetes ends a pod whose volume is full.
    #[arg(long, env = "PROFILING_SPOOL_SIZE", default_value = SPOOL_SIZE, value_parser = spool_size)]
    pub spool_size: u64,
    /// Store endpoints that a config may name, besides the provider's own; `http://` ones only when named here.
    #[arg(long, env = "PROFILING_ALLOW_ENDPOINT", value_delimiter = ',')]
    pub allow_endpoint: Vec<String>,
    /// Take credentials from the instance's metadata when the environment has none.
    #[arg(long, env = "PROFILING_ALLOW_INSTANCE_IDENTITY")]
    pub allow_instance_identity: bool,
    /// Captures at once.
    #[arg(long, env = "PROFILING_CAPTURES_MAX", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub captures_max: u16,
    /// Captures at once on one node.
    #[arg(long, env = "PROFILING_CAPTURES_PER_NODE_MAX", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub captures_per_node_max: u16,
    /// Captures begun in any one second, and tunnels opened for them.
    #[arg(long, env = "PROFILING_STARTS_PER_SECOND_MAX", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub starts_per_second_max: u16,
}

impl Default for SharedFlags {
    fn default() -> Self {
        let bounds = planner::Settings::default();
        Self {
            spool: None,
            spool_size: 4 << 30,
            allow_endpoint: Vec::new(),
            allow_instance_identity: false,
            captures_max: bounds.captures_max,
            captures_per_node_max: bounds.captures_per_node_max,
            starts_per_second_max: bounds.starts_per_second_max,
        }
    }
}

/// Flags of `standalone`.
#[derive(Debug, Args)]
pub struct StandaloneFlags {
    /// YAML file with ProfilingConfigs and LocalTargets.
    #[arg(long)]
    pub config: PathBuf,
    /// Folder to store into; without it, the configs' buckets are used.
    #[arg(long)]
    pub store: Option<PathBuf>,
    /// Where metrics, health and the api are served; none by default.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// End by itself after this time: `60s`, `5m`.
    #[arg(long = "for", value_parser = duration)]
    pub run_for: Option<std::time::Duration>,
    /// Flags of both ways to run.
    #[command(flatten)]
    pub shared: SharedFlags,
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoFlags {
    /// The sample application's program.
    #[arg(long)]
    pub sample_app: PathBuf,
    /// Folder to store into.
    #[arg(long, default_value = "demo-profiles")]
    pub store: PathBuf,
    /// Where metrics and health are served; none by default.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// End by itself after this time: `60s`, `5m`.
    #[arg(long = "for", value_parser = duration)]
    pub run_for: Option<std::time::Duration>,
}

/// As in the manifests, which name it once for the volume and once here.
const SPOOL_SIZE: &str = "4Gi";

/// A quantity of Kubernetes, of at least one ordinary profile.
fn spool_size(text: &str) -> Result<u64, String> {
    const BYTES_MIN: u64 = 128 << 20;
    api::quantity::bytes(text)
        .filter(|bytes| *bytes >= BYTES_MIN)
        .ok_or_else(|| format!("`{text}` is not the size of a volume; write for example 4Gi, at least 128Mi"))
}

/// A time like `90s`, `5m` or `1h`, in jiff's friendly form; at most a day.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let explain = || format!("`{text}` is not a time; write for example 60s or 5m, at most 24h");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| explain())?;
    let parsed = std::time::Duration::try_from(parsed).map_err(|_| explain())?;
    (parsed > std::time::Duration::ZERO && parsed <= std::time::Duration::from_secs(86_400))
        .then_some(parsed)
        .ok_or_else(explain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent() {
        Flags::command().debug_assert();
    }

    #[test]
    fn the_spool_has_the_size_of_its_volume() {
        assert_eq!(spool_size(SPOOL_SIZE), Ok(SharedFlags::default().spool_size));
        assert_eq!(spool_size("2G"), Ok(2_000_000_000));
        for wrong in ["", "4GB", "-4Gi", "100Mi", "0"] {
            assert!(spool_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_empty_namespace_to_watch_is_none() {
        let read = |arguments: &[&str]| {
            let all = ["profiling-operator", "run"].iter().chain(arguments).copied();
            let Mode::Run(flags) = Flags::try_parse_from(all).unwrap().mode else {
                panic!("another mode");
            };
            flags
        };
        let flags = read(&["--watch-namespace=", "--pod-name="]);
        assert_eq!((flags.watched(), flags.pod()), (None, None));
        assert_eq!(flags.lease_name, "profiling-operator");
        let flags = read(&["--watch-namespace=shop", "--pod-name=one", "--lease-name=other"]);
        assert_eq!((flags.watched(), flags.pod()), (Some("shop"), Some("one")));
        assert_eq!(flags.lease_name, "other");
        assert!(Flags::try_parse_from(["profiling-operator", "run", "--namespace="]).is_err());
    }

    #[test]
    fn times_are_read_and_bounded() {
        assert_eq!(duration("60s"), Ok(std::time::Duration::from_secs(60)));
        assert_eq!(duration("5m"), Ok(std::time::Duration::from_secs(300)));
        assert!(duration("0s").is_err());
        assert!(duration("-3s").is_err());
        assert!(duration("25h").is_err());
        assert!(duration("soon").is_err());
    }
}
