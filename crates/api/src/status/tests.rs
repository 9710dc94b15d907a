use planner::{ConfigId, ConfigStatus, PodHold, ProfileType, Totals, Truth};

use super::*;

fn wanted(truth: Truth, reason: Reason) -> ConfigStatus {
    let condition = |message: &str| planner::Condition {
        status: truth,
        reason,
        message: message.into(),
    };
    ConfigStatus {
        id: ConfigId(1),
        namespace: "team-a".into(),
        name: "web".into(),
        generation: 3,
        ready: condition("in words"),
        targets_found: condition(""),
        metrics_available: condition(""),
        storage_ready: condition(""),
        targets: 12,
        running: 1,
        running_pods: vec!["team-a/web-1".into()],
        totals: Totals { captured: 4, failed: 2 },
        last: Some(planner::LastCapture {
            namespace: "team-a".into(),
            pod: "web-1".into(),
            reason: Reason::ThresholdExceeded,
            at: Wall(1_767_225_650_123),
            types: ProfileType::DEFAULT.into_iter().collect(),
        }),
        held: vec![PodHold {
            namespace: "team-a".into(),
            pod: "web-2".into(),
            reason: Reason::CoolingDown,
            message: "until 10:05:00".into(),
        }],
    }
}

#[test]
fn everything_that_the_planner_says_is_in_the_status() {
    let status = of(&wanted(Truth::True, Reason::Ready), None, "2026-01-01T00:00:00Z");
    let conditions = ["Ready", "TargetsFound", "MetricsAvailable", "StorageReady"].map(|type_| {
        let message = if type_ == "Ready" { "in words" } else { "" };
        serde_json::json!({
            "type": type_, "status": "True", "reason": "Ready", "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 3,
        })
    });
    assert_eq!(
        serde_json::to_value(&status).expect("JSON"),
        serde_json::json!({
            "observedGeneration": 3,
            "conditions": conditions,
            "targets": 12,
            "activePods": ["team-a/web-1"],
            "capturesTotal": 4,
            "failedTotal": 2,
            "lastCapture": {
                "namespace": "team-a", "pod": "web-1", "reason": "ThresholdExceeded", "time": "2026-01-01T00:00:50Z",
                "types": ["heap", "goroutine", "mutex", "cpu"],
            },
            "heldBack": [{ "pod": "team-a/web-2", "reason": "CoolingDown", "message": "until 10:05:00" }],
        })
    );
}

#[test]
fn failure_03_a_status_is_the_same_while_nothing_happens() {
    let first = of(&wanted(Truth::True, Reason::Ready), None, "2026-01-01T00:00:00Z");
    let later = of(
        &wanted(Truth::True, Reason::Ready),
        Some(&first),
        "2026-01-01T00:10:00Z",
    );
    assert_eq!(first, later);
}

#[test]
fn a_condition_keeps_its_time_while_it_says_the_same() {
    let time = |status: &ProfilingConfigStatus| status.conditions[0].last_transition_time.clone();
    let first = of(&wanted(Truth::False, Reason::NoTargets), None, "2026-01-01T00:00:00Z");
    let same = of(
        &wanted(Truth::False, Reason::InvalidSpec),
        Some(&first),
        "2026-01-01T00:10:00Z",
    );
    assert_eq!(time(&same), "2026-01-01T00:00:00Z");
    assert_eq!(same.conditions[0].reason, "InvalidSpec");
    let changed = of(&wanted(Truth::True, Reason::Ready), Some(&same), "2026-01-01T00:20:00Z");
    assert_eq!(time(&changed), "2026-01-01T00:20:00Z");
}

#[test]
fn lists_and_messages_are_bounded() {
    let mut wanted = wanted(Truth::Unknown, Reason::NotTriedYet);
    wanted.ready.message = "é".repeat(5_000).into();
    wanted.running_pods = vec!["team-a/web-1".into(); 50];
    wanted.held = vec![wanted.held[0].clone(); 50];
    let status = of(&wanted, None, "");
    assert_eq!(status.conditions[0].message.chars().count(), MESSAGE_CHARS_MAX);
    assert_eq!((status.active_pods.len(), status.held_back.len()), (PODS_MAX, PODS_MAX));
}

#[test]
fn adjustments_are_told_without_taking_readiness_away() {
    let adjustments = vec!["spec.x 0 is read as 1".to_owned(); 30];
    let ready = of(&wanted(Truth::True, Reason::Ready), None, "").with_adjustments(&adjustments);
    assert_eq!(
        (&*ready.conditions[0].status, &*ready.conditions[0].reason),
        ("True", "SpecAdjusted")
    );
    assert_eq!(ready.conditions[0].message, "in words; spec.x 0 is read as 1");
    assert_eq!(ready.adjustments.len(), ADJUSTMENTS_MAX);

    let refused = of(&wanted(Truth::False, Reason::InvalidSpec), None, "").with_adjustments(&adjustments);
    assert_eq!(refused.conditions[0].reason, "InvalidSpec");
    let plain = of(&wanted(Truth::True, Reason::Ready), None, "").with_adjustments(&[]);
    assert_eq!(plain.conditions[0].reason, "Ready");
}

#[test]
fn a_status_of_another_version_still_decodes() {
    let old = serde_json::json!({ "conditions": [{ "type": "Ready", "status": "True", "reason": "Ready" }], "profilesCaptured": 7 });
    let status: ProfilingConfigStatus = serde_json::from_value(old).expect("lenient");
    assert_eq!(status.conditions[0].status, "True");
}
