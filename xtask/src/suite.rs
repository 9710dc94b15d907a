//! A suite: a program that tests something, run with its output shown and its results counted.

use std::io::{BufRead as _, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

/// What became of a suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self {
            passed,
            failed,
            ignored,
        } = other;
        self.passed += passed;
        self.failed += failed;
        self.ignored += ignored;
    }
}

/// A suite that ran.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) name: String,
    pub(crate) counts: Counts,
    pub(crate) took: Duration,
}

/// Runs `command`, shows its output and counts what the test harness says. A program that counts nothing is one test.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<Ran> {
    run_to(&mut std::io::stdout(), name, command)
}

fn run_to(out: &mut impl Write, name: &str, command: &mut Command) -> Result<Ran> {
    let begun = testkit::wait::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", command.get_program().to_string_lossy()))?;
    let output = child.stdout.take().context("output of the suite")?;
    let mut counts = Counts::default();
    let mut counted = false;
    for line in BufReader::new(output).lines() {
        let line = line.context("read the suite's output")?;
        writeln!(out, "{line}").context("show the suite's output")?;
        if let Some(more) = harness_line(&line) {
            counts += more;
            counted = true;
        }
    }
    let status = child.wait().context("wait for the suite")?;
    match (status.success(), counted) {
        (true, false) => counts.passed = 1,
        // It ended before it could count: a crash, or a build that failed.
        (false, _) if counts.failed == 0 => counts.failed = 1,
        _ => {}
    }
    Ok(Ran {
        name: name.to_owned(),
        counts,
        took: begun.elapsed(),
    })
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; …` of Rust's harness, and `--- PASS:` lines of Go's.
fn harness_line(line: &str) -> Option<Counts> {
    if line.starts_with("--- PASS:") {
        return Some(Counts {
            passed: 1,
            ..Counts::default()
        });
    }
    if line.starts_with("--- FAIL:") {
        return Some(Counts {
            failed: 1,
            ..Counts::default()
        });
    }
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = Counts::default();
    for part in rest.split(';') {
        let (number, what) = part.trim().split_once(' ')?;
        match what {
            "passed" => counts.passed = number.parse().ok()?,
            "failed" => counts.failed = number.parse().ok()?,
            "ignored" => counts.ignored = number.parse().ok()?,
            _ => {}
        }
    }
    Some(counts)
}

/// The table at the end: each suite, its results and its minutes, then one plain line.
pub(crate) fn table(ran: &[Ran], left_out: &[(String, String)]) -> String {
    let mut lines = vec![format!(
        "{:<40} {:>7} {:>7} {:>8}",
        "suite", "passed", "failed", "minutes"
    )];
    let mut total = Counts::default();
    for Ran { name, counts, took } in ran {
        let minutes = took.as_secs_f64() / 60.0;
        lines.push(format!(
            "{name:<40} {:>7} {:>7} {minutes:>8.1}",
            counts.passed, counts.failed
        ));
        total += *counts;
    }
    for (name, why) in left_out {
        lines.push(format!("{name:<40} left out: {why}"));
    }
    lines.push(format!("{} passed, {} failed", total.passed, total.failed));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_harness_says_is_counted() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(
            harness_line(line),
            Some(Counts {
                passed: 12,
                failed: 2,
                ignored: 1
            })
        );
        assert_eq!(
            harness_line("--- FAIL: TestIt (0.00s)"),
            Some(Counts {
                failed: 1,
                ..Counts::default()
            })
        );
        assert_eq!(harness_line("running 3 tests"), None);
    }

    #[test]
    fn a_suite_that_ends_without_counting_is_one_result() {
        assert_eq!(run("fine", &mut Command::new("true")).unwrap().counts.passed, 1);
        assert_eq!(run("broken", &mut Command::new("false")).unwrap().counts.failed, 1);
        // A harness that ran nothing, because of a filter, is no result.
        let filtered = "echo 'test result: ok. 0 passed; 0 failed; 0 ignored'";
        let ran = run_to(&mut Vec::new(), "filtered", Command::new("sh").args(["-c", filtered])).unwrap();
        assert_eq!(ran.counts, Counts::default());
        let crashed = "echo 'test result: ok. 3 passed; 0 failed; 0 ignored'; exit 1";
        let ran = run_to(&mut Vec::new(), "crashed", Command::new("sh").args(["-c", crashed])).unwrap();
        assert_eq!(
            ran.counts,
            Counts {
                passed: 3,
                failed: 1,
                ignored: 0
            }
        );
    }

    #[test]
    fn the_last_line_is_plain() {
        let counts = Counts {
            passed: 4,
            failed: 0,
            ignored: 0,
        };
        let ran = [Ran {
            name: "units".to_owned(),
            counts,
            took: Duration::from_secs(90),
        }];
        let text = table(&ran, &[("e2e".to_owned(), "needs root".to_owned())]);
        assert!(text.ends_with(" left out: needs root\n4 passed, 0 failed"), "{text}");
    }
}
