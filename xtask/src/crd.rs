//! Writes the resource's definition from the code to the two places that ship it.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

/// The definition for kubectl and kustomize.
const PLAIN: &str = "config/crd/profiling.io_profilingconfigs.yaml";

/// The same in the chart, in the folder from which Helm installs definitions first and deletes none.
const CHART: &str = "helm/profiling-operator/crds/profiling.io_profilingconfigs.yaml";

/// Most bytes of the definition: client-side apply repeats an object in an annotation, whose limit for all
/// of them together is 256 KiB.
const BYTES_MAX: usize = 200 << 10;

/// Writes the definition under `root`, or with `check` fails where a file is not current.
pub(crate) fn run(root: &Path, check: bool) -> anyhow::Result<()> {
    for (file, text) in files()? {
        let path = root.join(file);
        if check {
            let found = std::fs::read_to_string(&path).with_context(|| format!("read {file}"))?;
            if found != text {
                bail!("{file} is not current; run `cargo run -p xtask -- crd`");
            }
        } else {
            let folder = path.parent().context("a file has a folder")?;
            std::fs::create_dir_all(folder).with_context(|| format!("create the folder of {file}"))?;
            std::fs::write(&path, text).with_context(|| format!("write {file}"))?;
        }
    }
    Ok(())
}

fn files() -> anyhow::Result<[(&'static str, String); 2]> {
    let mut definition = serde_json::to_value(api::definition()).context("write the definition as JSON")?;
    whole_numbers(&mut definition);
    let definition = serde_norway::to_string(&definition).context("write the definition as YAML")?;
    if definition.len() > BYTES_MAX {
        bail!(
            "the definition has {} bytes, more than {BYTES_MAX}; shorten descriptions",
            definition.len()
        );
    }
    let text = format!("# Generated from the code by `cargo run -p xtask -- crd`; do not edit.\n{definition}");
    Ok([(PLAIN, text.clone()), (CHART, text)])
}

/// Bounds are floats in the definition's Rust type; as whole numbers they are what people expect to read.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number
                .as_f64()
                .filter(|float| float.fract() == 0.0 && float.abs() < 1e15)
            {
                *number = serde_json::Number::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
    }

    #[test]
    fn the_definitions_in_the_repository_are_current() {
        run(root(), true).expect("current");
    }

    #[test]
    fn failure_26_every_value_of_the_chart_is_read_by_a_template_and_known_to_the_schema() {
        let chart = root().join("helm/profiling-operator");
        let text = |file: &str| std::fs::read_to_string(chart.join(file)).expect("a file of the chart");
        let values: Value = serde_norway::from_str(&text("values.yaml")).expect("values are YAML");
        let schema: Value = serde_json::from_str(&text("values.schema.json")).expect("the schema is JSON");
        let templates: String = std::fs::read_dir(chart.join("templates"))
            .expect("templates")
            .map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("a template"))
            .collect();
        // `.Values.a.b` with nothing after it that would make it another name.
        let is_read = |path: &str| {
            let used = format!(".Values{path}");
            templates.match_indices(&used).any(|(at, _)| {
                let next = templates[at + used.len()..].chars().next();
                next.is_none_or(|one| !one.is_ascii_alphanumeric() && one != '.')
            })
        };
        let mut leaves = 0;
        let mut open = vec![(String::new(), &values)];
        while let Some((path, value)) = open.pop() {
            let pointer = path.replace('.', "/properties/");
            assert!(
                schema.pointer(&pointer).is_some(),
                "{path} is not in values.schema.json"
            );
            if !path.is_empty() && is_read(&path) {
                leaves += 1;
                continue;
            }
            let fields = value.as_object().filter(|fields| !fields.is_empty());
            let fields = fields.unwrap_or_else(|| panic!("no template reads {path}"));
            open.extend(fields.iter().map(|(name, value)| (format!("{path}.{name}"), value)));
        }
        assert!(leaves > 40, "only {leaves} values were looked at");
    }

    #[test]
    fn failure_24_the_chart_and_the_manifests_give_the_operator_the_same_rights() {
        let text = |file: &str| std::fs::read_to_string(root().join(file)).expect("a file of the repository");
        let manifests = text("config/rbac/role.yaml");
        let [cluster, own]: [Value; 2] = manifests
            .split("\n---\n")
            .map(|one| serde_norway::from_str(one).expect("a role"))
            .collect::<Vec<_>>()
            .try_into()
            .expect("two roles");

        let helpers = text("helm/profiling-operator/templates/_helpers.tpl");
        let (_, rules) = helpers
            .split_once("define \"profiling-operator.rules\" -}}")
            .expect("the rules");
        let (rules, _) = rules.split_once("{{- end }}").expect("the end of the rules");
        assert_eq!(serde_norway::from_str::<Value>(rules).expect("rules"), cluster["rules"]);

        let chart = text("helm/profiling-operator/templates/rbac.yaml");
        let (_, leases) = chart.split_once("name: {{ $name }}-leader-election").expect("the role");
        let (_, rules) = leases.split_once("\nrules:\n").expect("its rules");
        let (rules, _) = rules.split_once("---").expect("the end of its rules");
        assert_eq!(serde_norway::from_str::<Value>(rules).expect("rules"), own["rules"]);
    }
}
