use planner::StorePolicy;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn config(spec: Value) -> ProfilingConfig {
    serde_json::from_value(json!({
        "apiVersion": "profiling.io/v1alpha1",
        "kind": "ProfilingConfig",
        "metadata": {
            "name": "web", "namespace": "team-a", "generation": 4, "uid": "1f0c9c6a-3a4b-4f4e-9a51-0123456789ab",
        },
        "spec": spec,
    }))
    .expect("a config decodes")
}

/// The seed's own sample, and nothing more.
fn seed() -> Value {
    json!({
        "selector": { "namespace": "team-a", "labelSelector": { "app": "sample-app" } },
        "thresholds": { "cpuThresholdPercent": 80, "memoryThresholdPercent": 90, "checkIntervalSeconds": 30, "cooldownSeconds": 300 },
        "onDemand": { "enabled": false, "intervalSeconds": 35 },
        "s3Config": { "bucket": "my-bucket", "prefix": "profiles", "region": "us-west-2" },
        "profileTypes": ["heap", "cpu", "goroutine", "mutex"],
    })
}

/// The seed's sample with one field changed; `pointer` as in JSON.
fn with(pointer: &str, value: Value) -> Value {
    let mut spec = seed();
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    let parent = parent
        .split('/')
        .filter(|one| !one.is_empty())
        .fold(&mut spec, |at, name| {
            at.as_object_mut()
                .expect("an object")
                .entry(name)
                .or_insert_with(|| json!({}))
        });
    parent[field] = value;
    spec
}

fn read_spec(spec: Value) -> Read {
    read(&config(spec), &Admission::default())
}

fn refusal(spec: Value, admission: &Admission) -> Refusal {
    read(&config(spec), admission).facts.policy.expect_err("refused")
}

#[test]
fn the_seeds_own_object_is_read_with_its_defaults() {
    let read = read_spec(seed());
    assert_eq!(read.adjustments, Vec::<String>::new());
    assert_eq!(read.facts.id, ConfigId(0x1f0c_9c6a_3a4b_4f4e_9a51_0123_4567_89ab));
    assert_eq!(
        (&*read.facts.namespace, &*read.facts.name, read.facts.generation),
        ("team-a", "web", 4)
    );
    let expected = Policy {
        suspended: false,
        scope: Scope::Namespace("team-a".into()),
        selector: LabelSelector {
            equal: vec![("app".into(), "sample-app".into())],
            expressions: Vec::new(),
        },
        threshold: Some(ThresholdPolicy {
            cpu_percent: 80,
            memory_percent: 90,
            check_interval_seconds: 30,
            cooldown_seconds: 300,
        }),
        on_demand: None,
        store: StorePolicy {
            bucket: "my-bucket".into(),
            prefix: "profiles".into(),
            region: Some("us-west-2".into()),
            endpoint: None,
        },
        types: ProfileType::DEFAULT.into_iter().collect(),
        cpu_seconds: 30,
        transport: Transport::PortForward,
        concurrent_max: 1,
        body_bytes_max: 64 << 20,
    };
    assert_eq!(read.facts.policy, Ok(expected));
}

#[test]
fn a_bucket_alone_is_enough() {
    let least = read_spec(json!({ "s3Config": { "bucket": "my-bucket" } }))
        .facts
        .policy
        .expect("usable");
    let written_out = read_spec(seed()).facts.policy.expect("usable");
    assert_eq!(
        least,
        Policy {
            selector: LabelSelector::default(),
            store: StorePolicy {
                region: None,
                ..written_out.store.clone()
            },
            ..written_out
        }
    );
}

#[test]
fn failure_11_a_zero_interval_in_a_stored_object_is_read_as_the_shortest() {
    let mut spec = with("/onDemand", json!({ "enabled": true, "intervalSeconds": 0 }));
    spec["thresholds"]["checkIntervalSeconds"] = json!(0);
    let read = read_spec(spec);
    let policy = read.facts.policy.expect("usable");
    assert_eq!(policy.on_demand, Some(OnDemandPolicy { interval_seconds: 15 }));
    assert_eq!(policy.threshold.expect("on").check_interval_seconds, 10);
    assert_eq!(policy.cpu_seconds, 10);
    assert_eq!(
        read.adjustments,
        [
            "spec.onDemand.intervalSeconds 0 is read as 15; 15 to 86400 is allowed",
            "spec.thresholds.checkIntervalSeconds 0 is read as 10; 10 to 3600 is allowed",
            "spec.capture.cpuSeconds 30 is read as 10, to leave 5 s of spec.onDemand.intervalSeconds 15",
        ]
    );
}

#[test]
fn the_cpu_window_leaves_the_rest_of_the_interval() {
    let window = |interval: i64, cpu: i64, enabled: bool| {
        let mut spec = with("/onDemand", json!({ "enabled": enabled, "intervalSeconds": interval }));
        spec["capture"] = json!({ "cpuSeconds": cpu });
        read_spec(spec).facts.policy.expect("usable").cpu_seconds
    };
    assert_eq!(window(35, 30, true), 30);
    assert_eq!(window(30, 30, true), 25);
    assert_eq!(window(30, 30, false), 30);
    assert_eq!(window(86_400, 500, true), 120);
    assert_eq!(window(15, 0, true), 1);
}

#[test]
fn both_modes_may_be_off() {
    let policy = read_spec(with("/thresholds", json!({ "enabled": false })))
        .facts
        .policy
        .expect("usable");
    assert_eq!((policy.threshold, policy.on_demand), (None, None));
}

#[test]
fn another_namespace_is_refused_unless_settings_allow_it() {
    let allowed = |wanted: &str, admission: &Admission| {
        read(&config(with("/selector/namespace", json!(wanted))), admission)
            .facts
            .policy
            .map(|policy| policy.scope)
    };
    let nothing = Admission {
        operator_namespace: "profiling-system".into(),
        ..Admission::default()
    };
    for wanted in ["team-b", "*", "team-a/x", "kube-system"] {
        let refusal = allowed(wanted, &nothing).expect_err("refused");
        assert_eq!(refusal.reason, Reason::NamespaceNotAllowed);
        assert!(
            refusal.message.contains("--allow-cross-namespace team-a/web"),
            "{}",
            refusal.message
        );
    }
    assert_eq!(allowed("team-a", &nothing), Ok(Scope::Namespace("team-a".into())));
    assert_eq!(allowed("", &nothing), Ok(Scope::Namespace("team-a".into())));

    let own = Admission {
        operator_namespace: "team-a".into(),
        ..Admission::default()
    };
    let by_namespace = Admission {
        cross_namespace: vec!["team-a".into()],
        ..Admission::default()
    };
    let by_name = Admission {
        cross_namespace: vec!["team-b".into(), "team-a/web".into()],
        ..Admission::default()
    };
    for admission in [own, by_namespace, by_name] {
        assert_eq!(allowed("team-b", &admission), Ok(Scope::Namespace("team-b".into())));
        assert_eq!(allowed("*", &admission), Ok(Scope::All));
        assert_eq!(
            allowed("Team_B", &admission).expect_err("refused").reason,
            Reason::InvalidSpec
        );
    }
    for other in ["team-a/other", "team", "team-b/web", ""] {
        let admission = Admission {
            cross_namespace: vec![other.into()],
            ..Admission::default()
        };
        assert_eq!(
            allowed("team-b", &admission).expect_err("refused").reason,
            Reason::NamespaceNotAllowed,
            "{other}"
        );
    }
}

#[test]
fn an_operator_without_a_namespace_allows_no_config_without_one() {
    let mut config = config(with("/selector/namespace", json!("*")));
    config.metadata.namespace = None;
    assert!(read(&config, &Admission::default()).facts.policy.is_err());
}

#[test]
fn expressions_are_read_or_refused_with_what_to_do() {
    let expression = |operator: &str, values: Value| {
        let spec = with(
            "/selector/matchExpressions",
            json!([{ "key": "tier", "operator": operator, "values": values }]),
        );
        read_spec(spec).facts.policy.map(|policy| policy.selector.expressions)
    };
    let tier = || -> Box<str> { "tier".into() };
    let values = || -> Vec<Box<str>> { vec!["a".into(), "b".into()] };
    assert_eq!(
        expression("In", json!(["a", "b"])),
        Ok(vec![LabelExpression::In(tier(), values())])
    );
    assert_eq!(
        expression("NotIn", json!(["a", "b"])),
        Ok(vec![LabelExpression::NotIn(tier(), values())])
    );
    assert_eq!(
        expression("Exists", json!([])),
        Ok(vec![LabelExpression::Exists(tier())])
    );
    assert_eq!(
        expression("DoesNotExist", json!([])),
        Ok(vec![LabelExpression::DoesNotExist(tier())])
    );
    for (operator, values, advice) in [
        ("In", json!([]), "needs at least one value"),
        ("Exists", json!(["a"]), "takes no values"),
        ("Gt", json!(["1"]), "use In, NotIn, Exists or DoesNotExist"),
    ] {
        let refusal = expression(operator, values).expect_err("refused");
        assert_eq!(refusal.reason, Reason::InvalidSpec);
        assert!(refusal.message.contains(advice), "{}", refusal.message);
    }
}

#[test]
fn failure_14_a_path_is_not_a_profile_type() {
    let read = read_spec(with("/profileTypes", json!(["heap", "../../admin/secrets", "heap"])));
    assert_eq!(
        read.facts.policy.expect("usable").types,
        TypeSet::EMPTY.with(ProfileType::Heap)
    );
    assert_eq!(
        read.adjustments,
        [r#"spec.profileTypes has "../../admin/secrets", which are not known and left out"#]
    );

    let refusal = refusal(
        with("/profileTypes", json!(["../../admin/secrets"])),
        &Admission::default(),
    );
    assert_eq!(refusal.reason, Reason::InvalidSpec);
    assert!(
        refusal.message.contains("use one of heap, allocs"),
        "{}",
        refusal.message
    );
}

#[test]
fn failure_21_a_prefix_is_right_or_refused_but_not_cleaned() {
    let prefix = |text: &str| {
        let read = read_spec(with("/s3Config/prefix", json!(text)));
        read.facts.policy.map(|policy| policy.store.prefix.into_string())
    };
    assert_eq!(prefix("team-a/env=prod"), Ok("team-a/env=prod".into()));
    assert_eq!(prefix("/profiles/"), Ok("profiles".into()));
    assert_eq!(prefix(""), Ok(String::new()));
    let longest = "x".repeat(planner::keys::PREFIX_BYTES_MAX);
    assert_eq!(prefix(&longest), Ok(longest.clone()));
    for wrong in ["a//b", "a/../b", "..", "./a", "a b", "a\u{0}", "ä", &"x".repeat(257)] {
        assert_eq!(
            prefix(wrong).expect_err("refused").reason,
            Reason::InvalidSpec,
            "{wrong:?}"
        );
    }
}

#[test]
fn a_bucket_is_named_by_the_rule_of_s3() {
    let fits = |name: &str| read_spec(with("/s3Config/bucket", json!(name))).facts.policy.is_ok();
    for right in ["abc", "my.bucket-1", "0b0", &"x".repeat(63)] {
        assert!(fits(right), "{right:?}");
    }
    for wrong in ["", "ab", "Upper", "-ab", "ab-", "a..b", "a/b", "a_b", &"x".repeat(64)] {
        assert!(!fits(wrong), "{wrong:?}");
    }
}

#[test]
fn an_endpoint_is_used_where_settings_allow_it_only() {
    let spec = || with("/s3Config/endpoint", json!("https://MinIO.storage:9000/"));
    let refused = refusal(spec(), &Admission::default());
    assert_eq!(refused.reason, Reason::EndpointNotAllowed);
    assert!(
        refused.message.contains("--allow-endpoint https://minio.storage:9000"),
        "{}",
        refused.message
    );

    for allowed in ["https://minio.storage:9000", "https://minio.storage:9000/"] {
        let admission = Admission {
            endpoints: vec![allowed.into()],
            ..Admission::default()
        };
        let policy = read(&config(spec()), &admission).facts.policy.expect("allowed");
        assert_eq!(policy.store.endpoint.as_deref(), Some("https://minio.storage:9000"));
    }
    for other in [
        "http://minio.storage:9000",
        "https://minio.storage",
        "https://minio.storage:90001",
        "*",
        "",
    ] {
        let admission = Admission {
            endpoints: vec![other.into()],
            ..Admission::default()
        };
        assert_eq!(
            refusal(spec(), &admission).reason,
            Reason::EndpointNotAllowed,
            "{other}"
        );
    }
    let any = Admission {
        endpoints_unused: true,
        ..Admission::default()
    };
    for wrong in [
        "ftp://x",
        "https://",
        "https://user:secret@x",
        "https://x/path",
        "https://x?y",
        "x:9000",
        "https://a b",
    ] {
        assert_eq!(
            refusal(with("/s3Config/endpoint", json!(wrong)), &any).reason,
            Reason::InvalidSpec,
            "{wrong}"
        );
    }
}

#[test]
fn failure_28_an_object_that_does_not_decode_is_refused_by_itself() {
    let broken = json!({
        "metadata": { "name": "broken", "namespace": "team-a", "uid": "u-1", "generation": 2 },
        "spec": { "s3Config": "a string" },
    });
    let error = serde_json::from_value::<ProfilingConfig>(broken.clone())
        .expect_err("does not decode")
        .to_string();
    let facts = read_undecodable_value(&broken, &error).expect("it has a name");
    assert_eq!(
        (&*facts.namespace, &*facts.name, facts.generation),
        ("team-a", "broken", 2)
    );
    assert_eq!(facts.id, ConfigId(identity::of_uid("u-1")));
    let refusal = facts.policy.expect_err("refused");
    assert_eq!(refusal.reason, Reason::InvalidSpec);
    assert!(refusal.message.contains("apply it again"), "{}", refusal.message);
    assert_eq!(read_undecodable_value(&json!({ "metadata": {} }), ""), None);
}

#[test]
fn every_bound_fits_the_type_of_its_field() {
    let mut notes = Notes::default();
    assert_eq!(notes.clamp::<u16>("x", i64::MAX, &bounds::THRESHOLD_PERCENT), 1_000);
    assert_eq!(
        notes.clamp::<u32>("x", i64::MAX, &bounds::CHECK_INTERVAL_SECONDS),
        3_600
    );
    assert_eq!(notes.clamp::<u32>("x", i64::MAX, &bounds::COOLDOWN_SECONDS), 86_400);
    assert_eq!(notes.clamp::<u32>("x", i64::MAX, &bounds::INTERVAL_SECONDS), 86_400);
    assert_eq!(notes.clamp::<u32>("x", i64::MAX, &bounds::CPU_SECONDS), 120);
    assert_eq!(notes.clamp::<u16>("x", i64::MAX, &bounds::CONCURRENT_PODS), 256);
    assert_eq!(notes.clamp::<u64>("x", i64::MAX, &bounds::BODY_BYTES), 1 << 30);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(testkit::soak::cases(256)))]

    #[test]
    fn any_numbers_give_a_policy_within_bounds(numbers: [i64; 8], on_demand: bool) {
        let [cpu, memory, check, cooldown, interval, window, pods, bytes] = numbers;
        let read = read_spec(json!({
            "thresholds": {
                "cpuThresholdPercent": cpu, "memoryThresholdPercent": memory,
                "checkIntervalSeconds": check, "cooldownSeconds": cooldown,
            },
            "onDemand": { "enabled": on_demand, "intervalSeconds": interval },
            "s3Config": { "bucket": "my-bucket" },
            "capture": { "cpuSeconds": window, "maxConcurrentPods": pods, "maxBytes": bytes },
        }));
        prop_assert!(read.adjustments.len() <= ADJUSTMENTS_MAX);
        let policy = read.facts.policy.expect("numbers alone never make a config unusable");
        let threshold = policy.threshold.expect("on");
        prop_assert!((1..=1_000).contains(&threshold.cpu_percent) && (1..=1_000).contains(&threshold.memory_percent));
        prop_assert!((10..=3_600).contains(&threshold.check_interval_seconds) && threshold.cooldown_seconds <= 86_400);
        prop_assert!((1..=120).contains(&policy.cpu_seconds) && (1..=256).contains(&policy.concurrent_max));
        prop_assert!((65_536..=1 << 30).contains(&policy.body_bytes_max));
        if let Some(mode) = policy.on_demand {
            prop_assert!((15..=86_400).contains(&mode.interval_seconds) && policy.cpu_seconds + 5 <= mode.interval_seconds);
        }
    }

    #[test]
    fn any_texts_are_read_or_refused(texts: [String; 6]) {
        let [namespace, bucket, prefix, endpoint, region, word] = texts;
        let read = read(
            &config(json!({
                "selector": { "namespace": namespace },
                "s3Config": { "bucket": bucket, "prefix": prefix, "endpoint": endpoint, "region": region },
                "profileTypes": [word],
                "capture": { "transport": "" },
            })),
            &Admission { cross_namespace: vec!["team-a".into()], endpoints_unused: true, ..Admission::default() },
        );
        if let Err(refusal) = read.facts.policy {
            prop_assert!(refusal.message.chars().count() < 1_024);
        }
    }
}
