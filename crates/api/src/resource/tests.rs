use serde_json::{Value, json};

use super::*;

fn schema() -> Value {
    let definition = serde_json::to_value(definition()).expect("a definition is JSON");
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Every schema below `schema`, with its path.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), field, visit);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            walk(&format!("{path}[]"), &schema[inner], visit);
        }
    }
}

#[test]
fn everything_that_a_user_writes_is_bounded() {
    let mut seen = 0;
    walk("spec", &schema()["properties"]["spec"], &mut |path, field| {
        seen += 1;
        let bounded = match field["type"].as_str() {
            Some("string") => field["maxLength"].is_number() || field["enum"].is_array(),
            Some("array") => field["maxItems"].is_number(),
            Some("integer") => field["minimum"].is_number() && field["maximum"].is_number(),
            Some("object") => field["properties"].is_object() || field["maxProperties"].is_number(),
            Some("boolean") => true,
            _ => false,
        };
        assert!(bounded, "{path} is unbounded: {field}");
    });
    assert!(seen > 25, "the walk reached {seen} fields only");
}

#[test]
fn every_rule_says_what_to_do() {
    let mut rules = 0;
    walk("spec", &schema()["properties"]["spec"], &mut |path, field| {
        for one in field["x-kubernetes-validations"].as_array().into_iter().flatten() {
            rules += 1;
            assert!(
                one["message"].as_str().is_some_and(|message| message.len() > 15),
                "{path}: {one}"
            );
        }
    });
    assert!(rules >= 12, "{rules} rules only");
}

#[test]
fn the_status_has_no_defaults() {
    walk("status", &schema()["properties"]["status"], &mut |path, field| {
        assert!(
            field.get("default").is_none(),
            "{path} has a default, which the API server would write"
        );
    });
}

#[test]
fn the_definition_is_small_enough_for_client_side_apply() {
    let bytes = serde_json::to_vec(&definition()).expect("JSON").len();
    assert!(bytes < 200 << 10, "{bytes} bytes");
}

#[test]
fn columns_and_names_are_those_of_the_documentation() {
    let definition = serde_json::to_value(definition()).expect("a definition is JSON");
    assert_eq!(definition["metadata"]["name"], "profilingconfigs.profiling.io");
    assert_eq!(definition["spec"]["names"]["shortNames"], json!(["pc", "profconf"]));
    let version = &definition["spec"]["versions"][0];
    let columns: Vec<&str> = version["additionalPrinterColumns"]
        .as_array()
        .expect("columns")
        .iter()
        .filter_map(|column| column["name"].as_str())
        .collect();
    assert_eq!(columns, ["Ready", "Targets", "Last Capture", "Store", "Age", "Reason"]);
    assert!(version["subresources"]["status"].is_object());
}

#[test]
fn defaults_of_the_schema_are_those_of_the_code() {
    let decoded: ProfilingConfigSpec =
        serde_json::from_value(json!({ "s3Config": { "bucket": "b-1" } })).expect("decodes");
    let written = serde_json::to_value(&decoded).expect("JSON");
    walk("spec", &schema()["properties"]["spec"], &mut |path, field| {
        if let Some(default) = field.get("default") {
            let pointer = path.replacen("spec", "", 1).replace('.', "/");
            assert_eq!(written.pointer(&pointer), Some(default), "{path}");
        }
    });
}

#[test]
fn numbers_of_any_size_decode() {
    let spec = |value: Value| -> i64 {
        let object = json!({ "s3Config": { "bucket": "b-1" }, "onDemand": { "intervalSeconds": value } });
        serde_json::from_value::<ProfilingConfigSpec>(object)
            .expect("decodes")
            .on_demand
            .interval_seconds
    };
    assert_eq!(spec(json!(0)), 0);
    assert_eq!(spec(json!(-7)), -7);
    assert_eq!(spec(json!(u64::MAX)), i64::MAX);
    assert_eq!(spec(json!(1e300)), i64::MAX);
    assert_eq!(spec(json!(-1e300)), i64::MIN);
    assert_eq!(spec(json!(35.0)), 35);
}
