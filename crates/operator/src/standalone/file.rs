//! The file that says what to record on this machine: ProfilingConfigs as in a cluster, and the targets.

use anyhow::{Context, bail};
use api::{Admission, ProfilingConfig};
use planner::ConfigFacts;
use serde::Deserialize;

/// Most documents in the file: it is written by hand.
const DOCUMENTS_MAX: usize = 256;
/// The namespace of targets and configs that name none.
const NAMESPACE: &str = "local";

/// What to record.
#[derive(Debug)]
pub struct Standalone {
    /// Validated configs.
    pub configs: Vec<ConfigFacts>,
    /// Where the processes are found.
    pub targets: Vec<LocalTarget>,
}

/// Processes to record.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalTarget {
    /// The name, which is the service in keys, too.
    pub name: String,
    /// The namespace; default `local`.
    #[serde(default = "namespace")]
    pub namespace: String,
    /// The process with this id.
    pub pid: Option<u32>,
    /// Every process that runs this program: a path, or the last part of one.
    pub executable: Option<String>,
    /// Where it serves pprof, on 127.0.0.1.
    #[serde(default = "port")]
    pub port: u16,
    /// What its usage is measured against; without it, its cgroup's limits, else the machine.
    #[serde(default)]
    pub limits: Limits,
    /// Labels for the configs' selectors.
    #[serde(default)]
    pub labels: std::collections::BTreeMap<String, String>,
}

/// Limits of a target, as Kubernetes quantities.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// CPU, such as `500m`.
    pub cpu: Option<String>,
    /// Memory, such as `256Mi`.
    pub memory: Option<String>,
}

#[derive(Deserialize)]
struct LocalTargets {
    targets: Vec<LocalTarget>,
}

impl Standalone {
    /// Reads the documents of the file. Each error names the document, what is wrong with it, and what
    /// to write instead.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let admission = Admission {
            operator_namespace: NAMESPACE.into(),
            endpoints: vec!["*".into()],
            ..Admission::default()
        };
        let mut read = Self {
            configs: Vec::new(),
            targets: Vec::new(),
        };
        for (index, document) in serde_norway::Deserializer::from_str(text).enumerate() {
            if index >= DOCUMENTS_MAX {
                bail!("more than {DOCUMENTS_MAX} documents");
            }
            let value = serde_norway::Value::deserialize(document)
                .with_context(|| format!("document {} is not YAML", index + 1))?;
            let kind = value
                .get("kind")
                .and_then(serde_norway::Value::as_str)
                .unwrap_or_default()
                .to_owned();
            match kind.as_str() {
                "ProfilingConfig" => read.configs.push(
                    config(value, &admission).with_context(|| format!("document {}, a ProfilingConfig", index + 1))?,
                ),
                "LocalTargets" => {
                    let targets: LocalTargets = serde_norway::from_value(value)
                        .with_context(|| format!("document {}, LocalTargets", index + 1))?;
                    read.targets.extend(targets.targets);
                }
                other => bail!(
                    "document {} has kind `{other}`; write ProfilingConfig or LocalTargets",
                    index + 1
                ),
            }
        }
        read.check()?;
        Ok(read)
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.configs.is_empty() {
            bail!("no ProfilingConfig in it; add one, as for a cluster");
        }
        if self.targets.is_empty() {
            bail!("no LocalTargets in it; add `kind: LocalTargets` with a list of `targets`");
        }
        for config in &self.configs {
            if let Err(refusal) = &config.policy {
                bail!("config {}: {}", config.name, refusal.message);
            }
        }
        for target in &self.targets {
            if target.pid.is_some() == target.executable.is_some() {
                bail!("target {}: name either `pid` or `executable`", target.name);
            }
        }
        Ok(())
    }
}

fn config(mut value: serde_norway::Value, admission: &Admission) -> anyhow::Result<ConfigFacts> {
    if let Some(metadata) = value.get_mut("metadata").and_then(serde_norway::Value::as_mapping_mut) {
        let namespace = metadata.entry("namespace".into()).or_insert_with(|| NAMESPACE.into());
        if namespace.is_null() {
            *namespace = NAMESPACE.into();
        }
    }
    // Through JSON, as the API server would give it: defaults and leniency are the same.
    let json = serde_json::to_value(&value).context("cannot be read")?;
    let config: ProfilingConfig = serde_json::from_value(json).context("cannot be read")?;
    let read = api::read(&config, admission);
    for adjustment in &read.adjustments {
        tracing::warn!(config = %read.facts.name, adjustment, "value read as the nearest allowed one");
    }
    Ok(read.facts)
}

fn namespace() -> String {
    NAMESPACE.into()
}

const fn port() -> u16 {
    6060
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "apiVersion: profiling.io/v1alpha1\nkind: ProfilingConfig\nmetadata: {name: all}\nspec:\n  s3Config: {bucket: profiles}\n";

    #[test]
    fn configs_and_targets_are_read() {
        let text =
            format!("{CONFIG}---\nkind: LocalTargets\ntargets:\n- {{name: web, pid: 1, limits: {{cpu: 500m}}}}\n");
        let read = Standalone::parse(&text).unwrap();
        assert_eq!(read.configs.len(), 1);
        assert_eq!(read.targets[0].port, 6060);
        assert_eq!(&*read.configs[0].namespace, "local");
    }

    #[test]
    fn what_is_missing_is_said() {
        let says = |text: &str| format!("{:#}", Standalone::parse(text).unwrap_err());
        assert!(says(CONFIG).contains("LocalTargets"));
        assert!(says("kind: LocalTargets\ntargets: []\n").contains("no ProfilingConfig"));
        assert!(says("kind: Pod\n").contains("kind `Pod`"));
        let both = format!("{CONFIG}---\nkind: LocalTargets\ntargets:\n- {{name: web, pid: 1, executable: web}}\n");
        assert!(says(&both).contains("either `pid` or `executable`"));
    }
}
