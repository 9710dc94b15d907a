//! The file that says what to record on this machine: ProfilingConfigs as in a cluster, and the targets.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use api::{Admission, ProfilingConfig, quantity};
use planner::ConfigFacts;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

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

/// Limits of a target, written as Kubernetes quantities.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// CPU in thousandths of a core, written as `500m` or `2`.
    #[serde(rename = "cpu", deserialize_with = "cpu_millis")]
    pub cpu_millis: Option<u64>,
    /// Memory in bytes, written as `256Mi`.
    #[serde(rename = "memory", deserialize_with = "memory_bytes")]
    pub memory_bytes: Option<u64>,
}

/// A quantity as people write it: `"2"` and `2` are one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Quantity {
    Number(serde_norway::Number),
    Text(String),
}

#[derive(Deserialize)]
struct LocalTargets {
    targets: Vec<LocalTarget>,
}

impl Standalone {
    /// Reads the documents of the file. Each error names the document, what is wrong with it, and what
    /// to write instead. `endpoints` are those that configs may name; none where the store is a folder, and what they name
    /// is never asked.
    pub fn parse(text: &str, endpoints: Option<&[String]>) -> anyhow::Result<Self> {
        let admission = Admission {
            operator_namespace: NAMESPACE.into(),
            endpoints: endpoints.unwrap_or_default().to_vec(),
            endpoints_unused: endpoints.is_none(),
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
        self.check_that_nothing_is_there_twice()
    }

    /// Of two with one name, or of one process, the first would be lost without a word.
    fn check_that_nothing_is_there_twice(&self) -> anyhow::Result<()> {
        let mut configs = BTreeSet::new();
        for config in &self.configs {
            if !configs.insert((&config.namespace, &config.name)) {
                bail!(
                    "config {} is there twice in namespace {}; give each a name of its own",
                    config.name,
                    config.namespace
                );
            }
        }
        let (mut processes, mut names) = (BTreeSet::new(), BTreeSet::new());
        for target in &self.targets {
            if !processes.insert((target.pid, &target.executable)) {
                bail!("target {}: another target names the same process", target.name);
            }
            // Processes of a program have their id in the name; one by its id has the name alone.
            if target.pid.is_some() && !names.insert((&target.namespace, &target.name)) {
                bail!(
                    "target {} is there twice in namespace {}; give each `pid` a name of its own",
                    target.name,
                    target.namespace
                );
            }
        }
        Ok(())
    }
}

fn cpu_millis<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u64>, D::Error> {
    limit(source, "cpu", "500m or 2", quantity::cpu_millis)
}

fn memory_bytes<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u64>, D::Error> {
    limit(source, "memory", "256Mi or 1G", quantity::bytes)
}

/// A limit that is there, is a quantity, and is something to take a percentage of.
fn limit<'de, D: Deserializer<'de>>(
    source: D,
    name: &str,
    example: &str,
    read: impl Fn(&str) -> Option<u64>,
) -> Result<Option<u64>, D::Error> {
    let Some(quantity) = Option::<Quantity>::deserialize(source)? else {
        return Ok(None);
    };
    let text = match quantity {
        Quantity::Number(number) => number.to_string(),
        Quantity::Text(text) => text,
    };
    let limit = read(&text).filter(|limit| *limit > 0);
    let wrong = || {
        D::Error::custom(format!(
            "limits.{name} {text:?} is not a quantity above 0; write {example}"
        ))
    };
    limit.ok_or_else(wrong).map(Some)
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
        let read = Standalone::parse(&text, None).unwrap();
        assert_eq!(read.configs.len(), 1);
        assert_eq!(read.targets[0].port, 6060);
        assert_eq!(read.targets[0].limits.cpu_millis, Some(500));
        assert_eq!(read.targets[0].limits.memory_bytes, None);
        assert_eq!(&*read.configs[0].namespace, "local");
    }

    #[test]
    fn what_is_missing_is_said() {
        let says = |text: &str| format!("{:#}", Standalone::parse(text, None).unwrap_err());
        assert!(says(CONFIG).contains("LocalTargets"));
        assert!(says("kind: LocalTargets\ntargets: []\n").contains("no ProfilingConfig"));
        assert!(says("kind: Pod\n").contains("kind `Pod`"));
        let both = format!("{CONFIG}---\nkind: LocalTargets\ntargets:\n- {{name: web, pid: 1, executable: web}}\n");
        assert!(says(&both).contains("either `pid` or `executable`"));
    }

    fn says(targets: &str) -> String {
        let text = format!("{CONFIG}---\nkind: LocalTargets\ntargets:\n{targets}\n");
        format!("{:#}", Standalone::parse(&text, None).unwrap_err())
    }

    #[test]
    fn a_limit_is_a_quantity_or_an_error_that_names_it() {
        for (limits, named) in [
            ("memory: 1GB", "limits.memory \"1GB\""),
            ("memory: 0", "limits.memory \"0\""),
            ("memory: -1", "limits.memory \"-1\""),
            ("cpu: two", "limits.cpu \"two\""),
            ("cores: 2", "cores"),
        ] {
            let said = says(&format!("- {{name: web, pid: 1, limits: {{{limits}}}}}"));
            assert!(said.contains("document 2") && said.contains(named), "{limits}: {said}");
        }
        let text = format!(
            "{CONFIG}---\nkind: LocalTargets\ntargets:\n- {{name: web, pid: 1, limits: {{cpu: 2, memory: 1.5e9}}}}\n"
        );
        let limits = Standalone::parse(&text, None).unwrap().targets[0].limits;
        assert_eq!(
            (limits.cpu_millis, limits.memory_bytes),
            (Some(2_000), Some(1_500_000_000))
        );
    }

    #[test]
    fn nothing_is_there_twice() {
        let text = format!("{CONFIG}---\n{CONFIG}---\nkind: LocalTargets\ntargets:\n- {{name: web, pid: 1}}\n");
        let said = format!("{:#}", Standalone::parse(&text, None).unwrap_err());
        assert!(said.contains("config all is there twice"), "{said}");
        let elsewhere = text.replacen("{name: all}", "{name: all, namespace: shop}", 1);
        assert_eq!(Standalone::parse(&elsewhere, None).unwrap().configs.len(), 2);

        assert!(says("- {name: web, pid: 1}\n- {name: web, pid: 2}").contains("target web is there twice"));
        assert!(says("- {name: web, pid: 1}\n- {name: shop, pid: 1}").contains("the same process"));
        assert!(says("- {name: web, executable: a}\n- {name: shop, executable: a}").contains("the same process"));
        let one_service = format!(
            "{CONFIG}---\nkind: LocalTargets\ntargets:\n- {{name: web, executable: a}}\n- {{name: web, executable: b}}\n"
        );
        assert_eq!(Standalone::parse(&one_service, None).unwrap().targets.len(), 2);
    }

    #[test]
    fn an_endpoint_is_for_a_bucket_and_listed() {
        let config = CONFIG.replace("bucket: profiles", "bucket: profiles, endpoint: \"https://minio:9000\"");
        let text = format!("{config}---\nkind: LocalTargets\ntargets:\n- {{name: web, pid: 1}}\n");
        Standalone::parse(&text, None).unwrap();
        Standalone::parse(&text, Some(&["https://minio:9000".into()])).unwrap();
        for listed in ["*", "https://other:9000"] {
            let said = format!("{:#}", Standalone::parse(&text, Some(&[listed.into()])).unwrap_err());
            assert!(said.contains("--allow-endpoint"), "{said}");
        }
    }
}
