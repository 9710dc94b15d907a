//! The five steps of the integration test that users know: deploy the operator, deploy the sample app, create a
//! ProfilingConfig, generate load, find the profiles in S3.

use anyhow::{Result, ensure};
use e2e::story::SampleApp;
use e2e::{IN_A_WHILE, Story, profile};
use serde_json::json;

#[test]
#[ignore = "needs the test cluster: make e2e"]
fn five_steps_lead_from_a_manifest_to_the_burning_function() -> Result<()> {
    // 1. Deploy the operator.
    let story = Story::begin("five-steps")?;
    // 2. Deploy the sample app.
    story.deploy(&SampleApp::default())?;
    // 3. Create a ProfilingConfig.
    story.configure(
        "five-steps",
        &json!({
            "selector": { "labelSelector": { "app.kubernetes.io/name": "sample-app" } },
            "thresholds": { "cpuThresholdPercent": 60, "checkIntervalSeconds": 10, "cooldownSeconds": 300 },
            "profileTypes": ["heap", "cpu", "goroutine", "mutex"],
            "capture": { "cpuSeconds": 5 },
        }),
    )?;
    // 4. Generate load.
    story.ask("sample-app", "/leak?megabytes=100&rate=100")?;
    story.ask("sample-app", "/contend?seconds=120")?;
    story.ask("sample-app", "/burn?seconds=120&cores=0.45")?;
    // 5. Find the profiles in S3.
    let stored = story.wait_for_profiles(&["heap", "cpu", "goroutine", "mutex"], IN_A_WHILE)?;
    let [heap, cpu, goroutine, mutex] = stored.as_slice() else {
        unreachable!("four were asked for")
    };
    for one in &stored {
        ensure!(one.service == "sample-app", "stored under {}", one.service);
        ensure!(one.decided == heap.decided, "one set has one time: {stored:?}");
    }
    let burning = profile::top(&cpu.path, &[])?;
    ensure!(
        burning[0].ends_with("burnCPU"),
        "on top of the CPU profile: {burning:?}"
    );
    let leaking = profile::top(&heap.path, &["-sample_index=inuse_space"])?;
    ensure!(leaking[0].ends_with("leakMemory"), "on top of the heap: {leaking:?}");
    let contended = profile::top(&mutex.path, &["-cum"])?;
    ensure!(
        contended.iter().any(|function| function.ends_with("contendMutex")),
        "contended: {contended:?}"
    );
    profile::top(&goroutine.path, &[])?;
    story.end()
}
