//! Installing native libraries that Maven packages bring.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The plugin that fetches a package by its name.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

/// Puts one file of a package, named as `group:name`, into `staging/bin`.
pub(super) fn install(package: &str, version: &str, file: &str, staging: &Path) -> Result<()> {
    // What Maven fetches for itself does not go into the user's folders.
    let (repository, jars) = (staging.join("repository"), staging.join("jars"));
    let mut maven = Command::new("mvn");
    maven
        .args(["--quiet", "--batch-mode", COPY])
        .arg(format!("-Dmaven.repo.local={}", repository.display()))
        .arg(format!("-Dartifact={package}:{version}"))
        .arg(format!("-DoutputDirectory={}", jars.display()))
        .current_dir(staging);
    process::run(&mut maven)?;
    for jar in fs::read_dir(&jars).context("list what Maven fetched")? {
        let jar = jar.context("list what Maven fetched")?.path();
        process::run(
            Command::new("jar")
                .arg("--extract")
                .arg("--file")
                .arg(jar)
                .arg(file)
                .current_dir(staging),
        )?;
    }
    let file = staging.join(file);
    let name = file.file_name().context("the file has a name")?;
    fs::rename(&file, staging.join("bin").join(name)).context("move what the package holds")?;
    fs::remove_dir_all(&repository).context("remove what Maven fetched for itself")?;
    fs::remove_dir_all(&jars).context("remove the package")
}
