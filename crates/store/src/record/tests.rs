use super::*;

fn job() -> CaptureJob {
    CaptureJob {
        id: CaptureId(0xab),
        config: ConfigId(0x1234_5678_9abc_def0_1234_5678_9abc_def0),
        config_namespace: "team-a".into(),
        config_name: "default".into(),
        config_generation: 3,
        target: TargetId(7),
        namespace: "shop".into(),
        pod: "cart-7d9c-x2".into(),
        service: "cart".into(),
        node: "node-1".into(),
        container: "app".into(),
        address: None,
        port: 6060,
        transport: planner::Transport::PortForward,
        trigger: Trigger::Threshold {
            resource: Resource::Cpu,
            value_permille: 912,
            threshold_permille: 800,
            basis: Basis::Limit,
            sampled_at: Wall(1_700_000_000_123),
        },
        types: vec![ProfileType::Heap, ProfileType::Cpu],
        cpu_seconds: 30,
        body_bytes_max: 1 << 26,
        store: planner::StorePolicy {
            bucket: "b".into(),
            prefix: "profiles".into(),
            region: None,
            endpoint: None,
        },
        decided_at: Wall(1_700_000_001_000),
    }
}

fn stored(profile_type: ProfileType) -> RecordType {
    RecordType {
        profile_type: profile_type.as_str().into(),
        started: Some(Wall(1_700_000_001_500)),
        took_millis: Some(40),
        result: TypeResult::Stored {
            key: "k".into(),
            bytes: 5,
            sha256: "00".repeat(32),
            sample_types: vec!["inuse_space".into()],
            samples: Some(2),
        },
    }
}

#[test]
fn a_started_record_reads_as_people_expect() {
    let text = serde_json::to_string_pretty(&Record::started(&job()).with_type(stored(ProfileType::Heap))).unwrap();
    let expected = r#"{
  "schemaVersion": 1,
  "captureId": "00000000000000ab",
  "state": "started",
  "config": {
    "namespace": "team-a",
    "name": "default",
    "uid": "12345678-9abc-def0-1234-56789abcdef0",
    "generation": 3
  },
  "target": {
    "namespace": "shop",
    "pod": "cart-7d9c-x2",
    "uid": "00000000-0000-0000-0000-000000000007",
    "service": "cart",
    "node": "node-1",
    "container": "app"
  },
  "trigger": {
    "reason": "threshold-exceeded",
    "resource": "cpu",
    "valuePermille": 912,
    "thresholdPermille": 800,
    "basis": "limit",
    "sampledAt": "2023-11-14T22:13:20.123Z"
  },
  "decidedAt": "2023-11-14T22:13:21Z",
  "types": [
    {
      "type": "heap",
      "started": "2023-11-14T22:13:21.5Z",
      "tookMillis": 40,
      "outcome": "stored",
      "key": "k",
      "bytes": 5,
      "sha256": "0000000000000000000000000000000000000000000000000000000000000000",
      "sampleTypes": [
        "inuse_space"
      ],
      "samples": 2
    },
    {
      "type": "cpu",
      "outcome": "pending"
    }
  ]
}"#;
    assert_eq!(text, expected);
}

#[test]
fn what_is_written_is_read_back_and_unknown_fields_are_passed_over() {
    let failed = RecordType::failed(ProfileType::Cpu, Reason::ProfilerBusy, "already in use", Wall(5), 9);
    let record = Record::started(&job())
        .with_type(stored(ProfileType::Heap))
        .with_type(failed)
        .complete();
    let mut value = serde_json::to_value(&record).unwrap();
    value["schemaVersion"] = 9.into();
    value["later"] = serde_json::json!({"a": [1]});
    value["types"][0]["later"] = 1.into();
    let read: Record = serde_json::from_value(value).unwrap();
    assert_eq!(
        read,
        Record {
            schema_version: 9,
            ..record
        }
    );
}

#[test]
fn the_past_tells_captured_failed_and_interrupted_apart() {
    let outcome = |record: &Record| record.to_past_capture().outcome;
    let started = Record::started(&job());
    assert_eq!(outcome(&started), PastOutcome::Interrupted);
    assert_eq!(outcome(&started.clone().interrupted()), PastOutcome::Interrupted);
    let failed = RecordType::failed(ProfileType::Heap, Reason::TimedOut, "", Wall(0), 0);
    let failed = started.clone().with_type(failed);
    assert_eq!(outcome(&failed.clone().complete()), PastOutcome::Failed);
    assert_eq!(
        outcome(&failed.with_type(stored(ProfileType::Cpu)).complete()),
        PastOutcome::Captured
    );
    assert_eq!(
        outcome(&started.with_type(stored(ProfileType::Cpu))),
        PastOutcome::Captured
    );
}

#[test]
fn a_long_message_is_cut_at_a_character() {
    let failed = RecordType::failed(ProfileType::Heap, Reason::TimedOut, &"ä".repeat(1_000), Wall(0), 0);
    let TypeResult::Failed { message, .. } = failed.result else {
        panic!("{failed:?}")
    };
    assert_eq!(message.len(), MESSAGE_BYTES_MAX);
}
