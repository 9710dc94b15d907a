//! Writes the resource's definition from the code to the two places that ship it.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

/// The definition for kubectl and kustomize.
const PLAIN: &str = "config/crd/profiling.io_profilingconfigs.yaml";

/// The same in the chart, as a template, so that upgrades of the chart upgrade it.
const CHART: &str = "helm/profiling-operator/templates/crd.yaml";

/// Most bytes of the definition: client-side apply repeats an object in an annotation, whose limit for all
/// of them together is 256 KiB.
const BYTES_MAX: usize = 200 << 10;

/// What stands above the definition in the chart. The annotation keeps the definition, and with it the
/// users' configs, when the release is uninstalled.
const CHART_HEAD: &str = "{{- /* Generated from the code by `cargo run -p xtask -- crd`; do not edit. */ -}}\n{{- if .Values.crds.install }}\n";
const CHART_KEEP: &str = "  annotations:\n    {{- if .Values.crds.keep }}\n    helm.sh/resource-policy: keep\n    {{- end }}\n    profiling.io/generated-by: xtask\n";

/// Writes the definition under `root`, or with `check` fails where a file is not current.
pub fn run(root: &Path, check: bool) -> anyhow::Result<()> {
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
    let plain = format!("# Generated from the code by `cargo run -p xtask -- crd`; do not edit.\n{definition}");
    Ok([(PLAIN, plain), (CHART, chart(&definition)?)])
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

/// The definition as a template: what looks like a template in it is escaped, and the annotation added.
fn chart(definition: &str) -> anyhow::Result<String> {
    let escaped = definition.replace("{{", "{{ \"{{\" }}");
    let (before, after) = escaped
        .split_once("metadata:\n")
        .context("the definition has metadata")?;
    Ok(format!(
        "{CHART_HEAD}{before}metadata:\n{CHART_KEEP}{after}{{{{- end }}}}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_in_the_repository_are_current() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
        run(root, true).expect("current");
    }
}
