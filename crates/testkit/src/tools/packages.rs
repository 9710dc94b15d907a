//! What the machine itself must have: packages of Debian and Ubuntu, never a container runtime.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// A thing that must be on the machine and the package that brings it.
const NEEDED: [(Needed, &str); 9] = [
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

#[derive(Clone, Copy)]
enum Needed {
    Program(&'static str),
    File(&'static str),
}

/// The packages that are missing. The CA certificates are not among them: the operator's image brings its own.
pub fn missing() -> Vec<&'static str> {
    let is_there = |needed: Needed| match needed {
        Needed::Program(name) => process::find(name).is_some(),
        Needed::File(path) => std::path::Path::new(path).is_file(),
    };
    NEEDED
        .iter()
        .filter(|(needed, _)| !is_there(*needed))
        .map(|(_, package)| *package)
        .collect()
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
