//! The binary's command line, as a pod's log shows what is wrong with it.

use std::process::Command;

/// A pod whose log is empty restarts for ever, and nobody knows why.
#[test]
fn what_keeps_logs_from_starting_is_said() {
    for level in ["warning", "operator=loud"] {
        let ended = Command::new(env!("CARGO_BIN_EXE_profiling-operator"))
            .args(["--log-level", level, "standalone", "--config", "/dev/null"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains(level), "{said}");
    }
}
