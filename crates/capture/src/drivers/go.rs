//! Go programs with `net/http/pprof`.

use planner::ProfileType;

/// One request and what its answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// Path and query, complete.
    pub(crate) target: String,
    /// Types of samples one of which the profile must have; empty for what is no pprof profile.
    pub(crate) sample_types: &'static [&'static str],
    /// What to do when the program does not have it.
    pub(crate) remedy: &'static str,
}

const IMPORT: &str = "import net/http/pprof in the program and serve it on this port";

/// How a type is asked for.
///
/// Never with `gc=1`, which stops a program that is in trouble already, and never with `debug=`, whose
/// answers are text and, at level 2, hold the arguments of functions.
pub(crate) fn question(profile_type: ProfileType, window_seconds: u32) -> Question {
    let (path, sample_types, remedy): (&str, &'static [&'static str], _) = match profile_type {
        ProfileType::Heap => ("/debug/pprof/heap", &["inuse_space", "alloc_space"], IMPORT),
        ProfileType::Allocs => ("/debug/pprof/allocs", &["alloc_space", "inuse_space"], IMPORT),
        ProfileType::Goroutine => ("/debug/pprof/goroutine", &["goroutine"], IMPORT),
        ProfileType::Mutex => ("/debug/pprof/mutex", &["contentions", "delay"], IMPORT),
        ProfileType::Block => ("/debug/pprof/block", &["contentions", "delay"], IMPORT),
        ProfileType::Threadcreate => ("/debug/pprof/threadcreate", &["threadcreate"], IMPORT),
        ProfileType::Goroutineleak => (
            "/debug/pprof/goroutineleak",
            &["goroutineleak"],
            "build the program with a Go that has the goroutine leak profile",
        ),
        ProfileType::Cpu => ("/debug/pprof/profile", &["cpu"], IMPORT),
        ProfileType::Trace => ("/debug/pprof/trace", &[], IMPORT),
    };
    let target = if profile_type.takes_time() {
        format!("{path}?seconds={window_seconds}")
    } else {
        path.to_owned()
    };
    Question {
        target,
        sample_types,
        remedy,
    }
}

/// How every execution trace since Go 1.5 begins.
pub(crate) const TRACE_MAGIC: &[u8] = b"go 1.";

/// Whether the text of a status 500 says that another profiler runs. The first is `StartCPUProfile`'s, the
/// second `trace.Start`'s.
pub(crate) fn is_busy(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    text.contains("already in use") || text.contains("already enabled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_14_only_paths_of_the_table_are_asked_for() {
        for profile_type in ProfileType::ALL {
            let target = question(profile_type, 30).target;
            assert!(target.starts_with("/debug/pprof/"));
            assert!(!target.contains("gc=") && !target.contains("debug="));
            assert_eq!(target.ends_with("?seconds=30"), profile_type.takes_time());
            assert_eq!(target.matches('?').count(), usize::from(profile_type.takes_time()));
        }
    }

    #[test]
    fn failure_10_both_of_gos_messages_mean_busy() {
        assert!(is_busy(
            b"Could not enable CPU profiling: cpu profiling already in use\n"
        ));
        assert!(is_busy(b"Could not enable tracing: tracing is already enabled\n"));
        assert!(!is_busy(b"failed to collect profile\n"));
    }
}
