use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// 2026-01-01T00:01:00Z.
const SERVED: Wall = Wall(1_767_225_660_000);

fn item(name: &str) -> Value {
    json!({
        "metadata": { "name": name, "namespace": "team-a", "creationTimestamp": "2026-01-01T00:01:00Z", "labels": { "a": "b" } },
        "timestamp": "2026-01-01T00:00:50Z",
        "window": "14.5s",
        "containers": [{ "name": "web", "usage": { "cpu": "156340n", "memory": "11204Ki" } }],
    })
}

fn list(items: &[Value]) -> Value {
    json!({ "kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items })
}

fn read_json(body: &Value) -> Result<Usages, UsageError> {
    read(body.to_string().as_bytes(), SERVED)
}

fn usage(name: &str) -> TargetUsage {
    TargetUsage {
        namespace: "team-a".into(),
        name: name.into(),
        taken_at: Wall(1_767_225_650_000),
        age_millis: 10_000,
        window_millis: 14_500,
        containers: vec![ContainerUsage {
            name: "web".into(),
            cpu_nanos: Some(156_340),
            memory_bytes: Some(11_204 << 10),
        }],
    }
}

#[test]
fn a_list_is_read() {
    let usages = read_json(&list(&[item("web-1"), item("web-2")])).expect("a list");
    assert_eq!(
        usages,
        Usages {
            targets: vec![usage("web-1"), usage("web-2")],
            skipped: 0
        }
    );
}

#[test]
fn an_empty_list_may_be_null() {
    assert_eq!(read_json(&list(&[])).expect("a list"), Usages::default());
    assert_eq!(read_json(&json!({ "items": null })).expect("a list"), Usages::default());
}

#[test]
fn an_item_of_another_shape_costs_no_other_pod_its_sample() {
    let broken = [
        json!(null),
        json!(7),
        json!("text"),
        json!([]),
        json!({}),
        json!({ "metadata": "x", "timestamp": "2026-01-01T00:00:50Z", "window": "1s" }),
        changed("timestamp", json!("yesterday")),
        changed("timestamp", json!(null)),
        changed("window", json!("soon")),
        changed("window", json!(15)),
        changed("containers", json!({ "web": {} })),
        changed("containers", json!([{ "usage": {} }])),
        changed("containers", json!([{ "name": "web", "usage": { "cpu": 5 } }])),
    ];
    let mut items = vec![item("first")];
    items.extend(broken.clone());
    items.push(item("last"));
    let usages = read_json(&list(&items)).expect("a list");
    assert_eq!(usages.targets, [usage("first"), usage("last")]);
    assert_eq!(usages.skipped, broken.len() as u64);
}

fn changed(field: &str, value: Value) -> Value {
    let mut changed = item("broken");
    changed[field] = value;
    changed
}

#[test]
fn a_value_that_is_no_amount_is_none_and_the_rest_stays() {
    for cpu in ["NaN", "-5m", "", "1e99999"] {
        let mut one = item("web-1");
        one["containers"][0]["usage"]["cpu"] = json!(cpu);
        let usages = read_json(&list(&[one])).expect("a list");
        assert_eq!(usages.targets[0].containers[0].cpu_nanos, None, "{cpu}");
        assert_eq!(usages.targets[0].containers[0].memory_bytes, Some(11_204 << 10));
    }
    let mut without = item("web-1");
    without["containers"] = json!(null);
    assert_eq!(
        read_json(&list(&[without])).expect("a list").targets[0].containers,
        Vec::new()
    );
}

#[test]
fn a_sample_from_the_future_is_fresh() {
    let usages = read(list(&[item("web-1")]).to_string().as_bytes(), Wall(0)).expect("a list");
    assert_eq!(usages.targets[0].age_millis, 0);
}

#[test]
fn what_is_no_list_is_an_error_and_not_empty() {
    let status = json!({ "kind": "Status", "status": "Failure", "message": "no metrics", "code": 503 });
    let whole = list(&[item("web-1")]).to_string();
    for body in [
        status.to_string(),
        String::new(),
        "[]".into(),
        "<html>".into(),
        json!({ "items": {} }).to_string(),
        whole[..whole.len() - 1].to_owned(),
        whole[..whole.len() / 2].to_owned(),
        format!("{whole} trailing"),
    ] {
        assert!(
            matches!(read(body.as_bytes(), SERVED), Err(UsageError::NotAList(_))),
            "{body}"
        );
    }
}

#[test]
fn an_endless_answer_ends_with_an_error() {
    let endless = std::io::Read::chain(&b"{\"items\":[], \"rest\": "[..], std::io::repeat(b' '));
    assert!(matches!(
        read_limited(endless.take(1 << 20), SERVED),
        Err(UsageError::TooLarge)
    ));
}

#[test]
fn durations_of_go_are_read() {
    for (text, millis) in [
        ("14.5s", 14_500),
        ("1m0.2s", 60_200),
        ("0s", 0),
        ("0", 0),
        ("30s", 30_000),
        ("1h2m3.004s", 3_723_004),
        ("250ms", 250),
        ("1500µs", 1),
        ("999999ns", 0),
        ("10.123456789s", 10_123),
    ] {
        assert_eq!(duration_millis(text), Some(millis), "{text}");
    }
    for text in [
        "",
        "s",
        "5",
        "-1s",
        "1 s",
        "1d",
        "1.2.3s",
        "NaN",
        "99999999999999999999h",
        "5124095577h",
    ] {
        assert_eq!(duration_millis(text), None, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(testkit::soak::cases(256)))]

    #[test]
    fn any_bytes_are_read_or_refused(body: Vec<u8>) {
        read(&*body, SERVED).err();
    }

    #[test]
    fn any_duration_is_read_or_refused(text in "[0-9.hmsnuµ]{0,24}") {
        duration_millis(&text);
    }
}
