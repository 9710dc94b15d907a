//! Names in the bucket.

use planner::{
    Basis, CaptureId, CaptureJob, ConfigId, ProfileType, Reason, Resource, StorePolicy, TargetId, Transport, Trigger,
    TypeSet, Wall, keys,
};
use proptest::prelude::*;
use testkit::soak;

/// 2026-02-03 04:05:06.789 UTC.
const AT: Wall = Wall(1_770_091_506_789);

fn job() -> CaptureJob {
    CaptureJob {
        id: keys::capture_id(ConfigId(1), TargetId(2), "main", Reason::ThresholdExceeded, AT),
        config: ConfigId(1),
        config_namespace: "team-a".into(),
        config_name: "web".into(),
        config_generation: 3,
        target: TargetId(2),
        namespace: "team-a".into(),
        pod: "web-7d9c-x2x4z".into(),
        service: "web".into(),
        node: "node-1".into(),
        container: "main".into(),
        address: None,
        port: 6060,
        transport: Transport::PortForward,
        trigger: Trigger::Threshold {
            resource: Resource::Memory,
            value_permille: 931,
            threshold_permille: 900,
            basis: Basis::Limit,
            sampled_at: AT,
        },
        types: vec![ProfileType::Heap, ProfileType::Goroutine, ProfileType::Cpu],
        cpu_seconds: 30,
        body_bytes_max: 1 << 26,
        store: StorePolicy {
            bucket: "bucket".into(),
            prefix: "profiles".into(),
            region: None,
            endpoint: None,
        },
        decided_at: AT,
    }
}

#[test]
fn golden_names() {
    let job = job();
    assert_eq!(job.id.to_string(), "1a9732a4158f2495");
    assert_eq!(
        keys::profile_keys(&job, ProfileType::Heap),
        [
            "profiles/2026-02-03/web/20260203-040506-heap.pprof",
            "profiles/2026-02-03/web/20260203-040506-heap-web-7d9c-x2x4z-1a9732a4158f2495.pprof",
        ]
    );
    assert!(keys::profile_keys(&job, ProfileType::Trace)[0].ends_with("-trace.trace"));
    assert_eq!(
        keys::record_key(&job),
        "profiles/_captures/2026-02-03/team-a/web/040506_web-7d9c-x2x4z_threshold-exceeded_hgc_1a9732a4158f2495.json"
    );
    assert_eq!(keys::records_folder("", AT, "team-a"), "_captures/2026-02-03/team-a/");
}

#[test]
fn failure_19_two_replicas_of_one_second_have_two_second_names() {
    let (first, mut second) = (job(), job());
    second.pod = "web-7d9c-abcde".into();
    second.target = TargetId(3);
    second.id = keys::capture_id(second.config, second.target, "main", Reason::ThresholdExceeded, AT);
    let (first, second) = (
        keys::profile_keys(&first, ProfileType::Heap),
        keys::profile_keys(&second, ProfileType::Heap),
    );
    assert_eq!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
}

#[test]
fn failure_21_a_prefix_is_not_cleaned_like_a_path() {
    let mut job = job();
    job.store.prefix = "a//b/../c".into();
    assert!(keys::record_key(&job).starts_with("a//b/../c/_captures/"));
}

#[test]
fn a_service_is_named_as_its_label() {
    let mut job = job();
    job.service = "Check_out.v2".into();
    assert!(keys::profile_keys(&job, ProfileType::Heap)[0].starts_with("profiles/2026-02-03/Check_out.v2/"));
    job.service = "_captures".into();
    assert!(keys::profile_keys(&job, ProfileType::Heap)[0].starts_with("profiles/2026-02-03/-captures/"));
}

/// With every name as long as it may be.
#[test]
fn the_longest_key_is_one_that_s3_takes() {
    let mut job = job();
    job.store.prefix = "p".repeat(keys::PREFIX_BYTES_MAX).into();
    job.namespace = "n".repeat(63).into();
    job.service = "s".repeat(253).into();
    job.pod = "p".repeat(253).into();
    job.types = ProfileType::ALL.to_vec();
    let profiles = ProfileType::ALL
        .into_iter()
        .flat_map(|one| keys::profile_keys(&job, one));
    for key in profiles.chain([keys::record_key(&job)]) {
        assert!(key.len() <= 1_024, "{} bytes: {key}", key.len());
    }
}

#[test]
fn an_id_depends_on_what_tells_captures_apart_and_on_nothing_else() {
    let id = |config, target, container, reason, at| {
        keys::capture_id(ConfigId(config), TargetId(target), container, reason, at)
    };
    let base = id(1, 2, "main", Reason::OnDemand, Wall(1_000));
    assert_eq!(
        base,
        id(1, 2, "main", Reason::OnDemand, Wall(1_999)),
        "whole seconds count"
    );
    let others = [
        id(2, 2, "main", Reason::OnDemand, Wall(1_000)),
        id(1, 3, "main", Reason::OnDemand, Wall(1_000)),
        id(1, 2, "side", Reason::OnDemand, Wall(1_000)),
        id(1, 2, "main", Reason::Requested, Wall(1_000)),
        id(1, 2, "main", Reason::OnDemand, Wall(2_000)),
        id(1, 2, "main", Reason::OnDemand, Wall(-1)),
    ];
    assert!(others.iter().all(|other| *other != base));
}

#[test]
fn every_reason_has_one_word() {
    let words: std::collections::BTreeSet<String> = Reason::ALL.iter().map(|one| one.as_kebab()).collect();
    assert_eq!(words.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        assert_eq!(Reason::parse_kebab(&reason.as_kebab()), Some(*reason));
        assert!(!reason.meaning_plain().is_empty() && !reason.meaning_plain().ends_with('.'));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: soak::cases(256), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_name_is_read_back(
        namespace in "[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?",
        service in "[a-zA-Z0-9]([-a-zA-Z0-9._]{0,20}[a-zA-Z0-9])?",
        pod in "[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?",
        prefix in prop_oneof![Just(String::new()), "[a-z]{1,5}(/[a-z_]{1,5}){0,2}"],
        seconds in 0i64..4_102_444_800,
        id in any::<u64>(),
        mask in 1u16..512,
        trigger in 0u8..2,
    ) {
        let mut job = job();
        let types: TypeSet = ProfileType::ALL.into_iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, one)| one).collect();
        job.types = types.in_capture_order(None);
        job.namespace = namespace.as_str().into();
        job.service = service.as_str().into();
        job.pod = pod.as_str().into();
        job.store.prefix = prefix.as_str().into();
        job.decided_at = Wall(seconds * 1_000);
        job.id = CaptureId(id);
        if trigger == 0 {
            job.trigger = Trigger::OnDemand;
        }
        let name = keys::parse_record_key(&prefix, &keys::record_key(&job)).expect("a record's name");
        prop_assert_eq!((name.namespace, name.service, name.pod), (namespace, service, pod));
        prop_assert_eq!((name.decided_at, name.types, name.capture), (job.decided_at, types, job.id));
        prop_assert_eq!(name.trigger, job.trigger.reason());
    }

    /// Names that others chose never add a segment, climb, or move into the records.
    #[test]
    fn hostile_names_stay_one_segment(namespace in ".{0,30}", service in ".{0,30}", pod in ".{0,30}", at in any::<i64>()) {
        let mut job = job();
        job.namespace = namespace.into();
        job.service = service.into();
        job.pod = pod.into();
        job.decided_at = Wall(at);
        for key in keys::profile_keys(&job, ProfileType::Cpu) {
            prop_assert_eq!(key.split('/').count(), 4, "{}", key);
            prop_assert!(key.split('/').all(|one| !one.is_empty() && one != "." && one != ".."), "{}", key);
            prop_assert!(key.is_ascii() && !key.contains("/_"), "{}", key);
        }
        let record = keys::record_key(&job);
        prop_assert_eq!(record.split('/').count(), 6, "{}", record);
        prop_assert!(record.split('/').all(|one| !one.is_empty() && one != "." && one != ".."), "{}", record);
        let file = record.rsplit('/').next().unwrap_or_default();
        prop_assert_eq!(file.split('_').count(), 5, "{}", record);
    }

    #[test]
    fn a_name_that_is_not_a_record_is_none(key in ".{0,80}", tail in "[0-9_a-z/-]{0,60}(\\.json)?") {
        prop_assert_eq!(keys::parse_record_key("profiles", &key), None);
        // Almost one: never a panic.
        let _name = keys::parse_record_key("profiles", &format!("profiles/_captures/{tail}"));
        let _name = keys::parse_record_key("profiles", &format!("profiles/_captures/2026-02-03/a/b/{tail}.json"));
    }
}
