//! Images: the operator's own from the project's Dockerfile, and those of the programs that stories observe.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use testkit::image::Image;
use testkit::process;
use testkit::tools::{Tool, ensure};

use crate::{root, say};

/// `cargo xtask image`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Name and tag.
    #[arg(long, env = "IMG", default_value = "localhost/profiling-operator:dev")]
    tag: String,
    /// Cargo profile of the program.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Write a docker-archive to this file instead of leaving the image with docker, podman or buildah.
    #[arg(long)]
    archive: Option<PathBuf>,
    /// Only put the program and the certificates in place for the Dockerfile.
    #[arg(long, conflicts_with = "archive")]
    stage: bool,
    /// Build nothing: push the image from where it was left.
    #[arg(long, conflicts_with_all = ["archive", "stage"])]
    push: bool,
}

/// What developers have to build images with, and a question that it answers only when it can: a client without its
/// engine builds nothing.
const BUILDERS: [(&str, &[&str]); 3] = [
    ("docker", &["version", "--format", "{{.Server.Version}}"]),
    ("podman", &["info"]),
    ("buildah", &["info"]),
];

/// Where distributions keep the root certificates.
const CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Does what was asked.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let Flags {
        tag,
        profile,
        archive,
        stage: only_stage,
        push,
    } = flags;
    if *push {
        return process::run_shown(Command::new(installed_builder()?).args(["push", tag]));
    }
    if *only_stage {
        return stage(profile).map(drop);
    }
    if let Some(archive) = archive {
        stage(profile)?;
        return build_archive(tag, archive);
    }
    // Looked for first: the program takes minutes.
    let builder = installed_builder()?;
    stage(profile)?;
    process::run_shown(
        Command::new(builder)
            .args(["build", "--tag", tag, "--file", "Dockerfile", "."])
            .current_dir(root()?),
    )
}

/// Builds the static program and puts it, with the certificates, where the Dockerfile takes them from.
pub(crate) fn stage(profile: &str) -> Result<PathBuf> {
    let root = root()?;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    process::run_shown(
        Command::new("cargo")
            .args([
                "build",
                "--package",
                "profiling-operator",
                "--profile",
                profile,
                "--target",
                &target,
            ])
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .current_dir(&root),
    )?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let built = target_dir(&root).join(target).join(folder).join("profiling-operator");
    let stage = root.join("target/image");
    fs::create_dir_all(&stage).with_context(|| format!("create {}", stage.display()))?;
    let program = stage.join("profiling-operator");
    fs::copy(&built, &program).with_context(|| format!("copy {}", built.display()))?;
    let certificates = CERTIFICATES.iter().find(|path| Path::new(path).is_file());
    let certificates = certificates.context("this machine has no root certificates to put into the image")?;
    fs::copy(certificates, stage.join("ca-certificates.crt")).with_context(|| format!("copy {certificates}"))?;
    let size_bytes = fs::metadata(&program).context("size of the program")?.len();
    say(&format!(
        "{} is a static program of {:.1} MiB",
        program.display(),
        size_bytes as f64 / f64::from(1 << 20)
    ));
    Ok(program)
}

/// The first of [`BUILDERS`] that works here.
fn installed_builder() -> Result<&'static str> {
    let works = |(program, question): &&(&str, &[&str])| process::run(Command::new(program).args(*question)).is_ok();
    let (program, _) = BUILDERS.iter().find(works).context(
        "none of docker (with its engine), podman and buildah works here; `cargo xtask image --archive FILE` writes an \
         archive without them",
    )?;
    Ok(program)
}

/// Builds from the Dockerfile with our own buildah and writes an archive. It shares nothing with the machine's images.
pub(crate) fn build_archive(tag: &str, archive: &Path) -> Result<()> {
    let root = root()?;
    let store = root.join("target/buildah");
    fs::create_dir_all(&store).with_context(|| format!("create {}", store.display()))?;
    // Where an image may come from and what is trusted: these two files are the machine's on others, ours here.
    let policy = store.join("policy.json");
    fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).context("write image policy")?;
    let registries = store.join("registries.conf");
    fs::write(&registries, "unqualified-search-registries = []\n").context("write registries")?;
    // A builder looks for a program that sets up networks before it knows that a build runs nothing. Ours never does.
    let helpers = store.join("helpers");
    fs::create_dir_all(&helpers).context("create folder of helpers")?;
    let network_helper = helpers.join("netavark");
    remove_file(&network_helper)?;
    let nothing = process::find("false").context("this machine has no `false`")?;
    std::os::unix::fs::symlink(nothing, network_helper).context("link network helper")?;
    let configuration = store.join("containers.conf");
    let networks = store.join("networks");
    let text = format!("[engine]\nhelper_binaries_dir = [{helpers:?}]\n[network]\nnetwork_config_dir = {networks:?}\n");
    fs::write(&configuration, text).context("write builder's configuration")?;
    let program = ensure(Tool::Buildah)?.join("buildah");
    let buildah = || {
        let mut command = Command::new(&program);
        command
            .arg("--root")
            .arg(store.join("root"))
            .arg("--runroot")
            .arg(store.join("run"));
        command
            .args(["--storage-driver", "vfs"])
            .arg("--registries-conf")
            .arg(&registries);
        command.env("CONTAINERS_CONF", &configuration).current_dir(&root);
        command
    };
    let mut build = buildah();
    build.args(["build", "--isolation", "chroot", "--tag", tag, "--file", "Dockerfile"]);
    process::run(build.arg("--signature-policy").arg(&policy).arg("."))?;
    remove_file(archive)?;
    let mut push = buildah();
    push.args(["push", "--signature-policy"]).arg(&policy).arg(tag);
    process::run(push.arg(format!("docker-archive:{}:{tag}", archive.display())))?;
    // Each build leaves its image in the store; the archive is what is wanted.
    process::run(buildah().args(["rmi", "--force", tag])).map(drop)
}

/// Builds a Go program of this repository to a static file.
pub(crate) fn go_program(source: &str, name: &str) -> Result<PathBuf> {
    let root = root()?;
    let out = root.join("target/programs").join(name);
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-o"])
        .arg(&out)
        .arg(".")
        .env("CGO_ENABLED", "0")
        .current_dir(root.join(source));
    process::run(&mut go).with_context(|| format!("build {source}"))?;
    Ok(out)
}

/// Writes an image of one program, for what is observed and is not the product.
pub(crate) fn program_archive(reference: &str, program: &Path) -> Result<PathBuf> {
    let name = program.file_name().context("a program has a name")?;
    let archive = root()?.join("target/programs").join(name).with_extension("tar");
    let mut image = Image::of_program(reference, program);
    // The name that the program's own Dockerfile gives it, so that manifests fit both.
    let target = format!("/{}", name.to_string_lossy());
    image.entrypoint = vec![target.clone()];
    for file in &mut image.files {
        file.target.clone_from(&target);
    }
    image.write(&archive)?;
    Ok(archive)
}

fn target_dir(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => bail!("remove {}: {error}", path.display()),
        _ => Ok(()),
    }
}
