//! The table of crates in ARCHITECTURE.md, as a test: who may use whom, and what each must never be linked with.

#![expect(clippy::unwrap_used, reason = "a test that cannot look has failed")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// A crate, the crates of ours that may be below it, and what of others may not be.
struct Rule {
    package: &'static str,
    ours: &'static [&'static str],
    banned: &'static [&'static str],
}

const ASYNC: &[&str] = &[
    "tokio",
    "futures",
    "futures-util",
    "async-std",
    "smol",
    "hyper",
    "reqwest",
];

const RULES: &[Rule] = &[
    Rule {
        package: "profiling-planner",
        ours: &[],
        banned: &["rand", "getrandom", "chrono", "time", "kube", "serde"],
    },
    Rule {
        package: "profiling-profile",
        ours: &[],
        banned: &["kube", "k8s-openapi", "rustix", "libc"],
    },
    Rule {
        package: "profiling-api",
        ours: &["profiling-planner"],
        banned: &[
            "tokio",
            "hyper",
            "hyper-util",
            "tower",
            "kube-client",
            "kube-runtime",
            "rustls",
        ],
    },
    Rule {
        package: "profiling-capture",
        ours: &["profiling-planner", "profiling-profile"],
        banned: &["object_store", "axum", "kube-runtime"],
    },
    Rule {
        package: "profiling-store",
        ours: &["profiling-planner", "profiling-profile"],
        banned: &["kube", "kube-core", "kube-client", "kube-runtime", "k8s-openapi"],
    },
    Rule {
        package: "profiling-server",
        ours: &["profiling-planner", "profiling-profile", "profiling-store"],
        banned: &["kube", "kube-core", "kube-client", "kube-runtime", "k8s-openapi"],
    },
    Rule {
        package: "profiling-operator",
        ours: &[
            "profiling-planner",
            "profiling-profile",
            "profiling-api",
            "profiling-capture",
            "profiling-store",
            "profiling-server",
        ],
        banned: &[],
    },
    Rule {
        package: "profiling-cli",
        ours: &[
            "profiling-planner",
            "profiling-profile",
            "profiling-api",
            "profiling-capture",
            "profiling-store",
        ],
        banned: &["axum"],
    },
];

/// What the planner may be built from, each with what it brings along.
const PLANNER_MAY_USE: [&str; 3] = ["hashbrown", "jiff", "sha2"];

/// One TLS provider everywhere.
const NOWHERE: [&str; 5] = ["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls"];

/// C that only the command line may have, where nobody but its user hands it bytes.
const COMMAND_LINE_ONLY: (&str, &str) = ("libdeflater", "profiling-cli");

#[test]
fn every_crate_keeps_to_its_place() {
    let packages = workspace_packages();
    let mut broken = Vec::new();
    for rule in RULES.iter().filter(|rule| packages.contains(rule.package)) {
        for below in tree(&["-p", rule.package]) {
            if below == rule.package {
                continue;
            }
            let is_ours = packages.contains(&below);
            if is_ours && !rule.ours.contains(&below.as_str()) {
                broken.push(format!("{} uses {below} of ours", rule.package));
            }
            let (c, may_have_c) = COMMAND_LINE_ONLY;
            let is_banned = rule.banned.contains(&below.as_str()) || NOWHERE.contains(&below.as_str());
            if is_banned || (below == c && rule.package != may_have_c) {
                broken.push(format!("{} is linked with {below}", rule.package));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_crate_has_a_place() {
    let known: BTreeSet<String> = RULES.iter().map(|rule| rule.package.to_owned()).collect();
    let tools = ["profiling-testkit", "xtask", "e2e"].map(str::to_owned);
    let unknown: Vec<String> = workspace_packages()
        .into_iter()
        .filter(|name| !known.contains(name) && !tools.contains(name))
        .collect();
    assert!(
        unknown.is_empty(),
        "give these a rule in the architecture test: {}",
        unknown.join(", ")
    );
}

#[test]
fn the_planner_is_built_from_a_short_list() {
    let direct = tree(&["-p", "profiling-planner", "--depth", "1"]);
    let stranger: Vec<&String> = direct
        .iter()
        .filter(|name| *name != "profiling-planner" && !PLANNER_MAY_USE.contains(&name.as_str()))
        .collect();
    assert!(stranger.is_empty(), "{stranger:?}");
    let source = std::fs::read_to_string(root().join("crates/planner/src/lib.rs")).unwrap();
    assert!(source.contains("no_std"), "the planner is no_std outside tests");
}

#[test]
fn the_core_is_synchronous() {
    for package in ["profiling-planner", "profiling-profile", "profiling-api"] {
        let asynchronous: Vec<String> = tree(&["-p", package])
            .into_iter()
            .filter(|name| ASYNC.contains(&name.as_str()))
            .collect();
        assert!(asynchronous.is_empty(), "{package}: {asynchronous:?}");
    }
}

#[test]
fn nobody_ships_what_tests_run_on() {
    for package in workspace_packages() {
        if ["xtask", "e2e", "profiling-testkit"].contains(&package.as_str()) {
            continue;
        }
        assert!(
            !tree(&["-p", &package]).contains("profiling-testkit"),
            "{package} uses testkit outside its tests"
        );
    }
}

/// The names of everything below, by the edges that end up in a program.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let mut all = vec!["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    all.extend(arguments);
    // The first word of a line is the name; the version and the path follow.
    cargo(&all)
        .lines()
        .filter_map(|line| Some(line.split(' ').next()?.to_owned()))
        .collect()
}

fn workspace_packages() -> BTreeSet<String> {
    let metadata: serde_json::Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| package["name"].as_str().unwrap().to_owned())
        .collect()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
