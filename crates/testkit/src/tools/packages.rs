//! What the machine itself must have: packages of Debian and Ubuntu, never a container runtime.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// What a cluster needs on the machine, each with the package that brings it.
const CLUSTER: [(Needed, &str); 9] = [
    (Needed::Program("ip"), "iproute2"),
    (Needed::Program("iptables"), "iptables"),
    (Needed::Program("conntrack"), "conntrack"),
    (Needed::Program("openssl"), "openssl"),
    (Needed::Program("nsenter"), "util-linux"),
    (Needed::Program("mount"), "mount"),
    (Needed::Program("gcc"), "gcc"),
    (Needed::Program("pkg-config"), "pkg-config"),
    (Needed::File("/usr/include/seccomp.h"), "libseccomp-dev"),
];

/// The runtimes whose profiles are imported: tests run programs of theirs.
const RUNTIMES: [(Needed, &str); 4] = [
    (Needed::Program("node"), "nodejs"),
    // The JVM alone does not compile.
    (Needed::Program("javac"), "default-jdk-headless"),
    // Brings async-profiler.
    (Needed::Program("mvn"), "maven"),
    (Needed::Python("ensurepip"), "python3-venv"),
];

/// perf, where one package has one for every kernel.
const PERF: (Needed, &str) = (Needed::Program("perf"), "linux-perf");

#[derive(Clone, Copy)]
enum Needed {
    Program(&'static str),
    File(&'static str),
    /// A module of Python, which Debian keeps apart from the program.
    Python(&'static str),
}

/// The packages that are missing for a cluster. The CA certificates are not among them: the operator's image brings its own.
pub fn missing() -> Vec<&'static str> {
    missing_of(&CLUSTER)
}

/// The packages that are missing for the tests that run other languages' programs.
pub fn missing_runtimes() -> Vec<&'static str> {
    let mut missing = missing_of(&RUNTIMES);
    if brings_perf() {
        missing.extend(missing_of(&[PERF]));
    }
    missing
}

/// Whether this machine's distribution has a perf for whatever kernel runs: Debian has, Ubuntu has one for each kernel.
pub fn brings_perf() -> bool {
    fs::read_to_string("/etc/os-release").is_ok_and(|about| about.lines().any(|line| line == "ID=debian"))
}

fn missing_of(list: &[(Needed, &'static str)]) -> Vec<&'static str> {
    let is_there = |needed: Needed| match needed {
        Needed::Program(name) => process::find(name).is_some(),
        Needed::File(path) => std::path::Path::new(path).is_file(),
        Needed::Python(module) => {
            process::run(Command::new("python3").args(["-c", &format!("import {module}")])).is_ok()
        }
    };
    let missing = list.iter().filter(|(needed, _)| !is_there(*needed));
    missing.map(|(_, package)| *package).collect()
}

/// Installs `packages` where that is possible: as root, with apt, and only when nothing installed is removed for them.
pub fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if !process::is_root() {
        bail!("missing, and only root can install them: {names}");
    }
    if process::find("apt-get").is_none() {
        bail!("missing, and this machine has no apt-get to install them with: {names}");
    }
    if let Err(first) = install_with_apt(packages) {
        // A fresh machine has no package lists yet, or old ones.
        process::run(Command::new("apt-get").args(["update", "-q"])).map_err(|_| first)?;
        install_with_apt(packages)?;
    }
    Ok(())
}

fn install_with_apt(packages: &[&str]) -> Result<()> {
    let plan = process::text(
        Command::new("apt-get")
            .args(["install", "--simulate", "--no-install-recommends"])
            .args(packages),
    )?;
    if let Some(removal) = plan.lines().find(|line| line.starts_with("Remv ")) {
        bail!(
            "installing {} would remove a package of this machine: {removal}",
            packages.join(" ")
        );
    }
    process::run(
        Command::new("apt-get")
            .args(["install", "-y", "-q", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .map(drop)
}
