//! Container images from files, without a builder: an archive that `ctr images import` and `docker load` take.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// A file to put into an image.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// Where it is now.
    pub source: PathBuf,
    /// Where it will be, absolute.
    pub target: String,
    /// Permission bits.
    pub mode: u32,
}

/// An image of one layer.
#[derive(Clone, Debug)]
pub struct Image {
    /// Name and tag, `localhost/pause:1`.
    pub reference: String,
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// `uid:gid`.
    pub user: String,
    /// What it holds.
    pub files: Vec<ImageFile>,
}

impl Image {
    /// An image that runs one static program as nobody.
    pub fn of_program(reference: &str, program: &Path) -> Self {
        let file = ImageFile {
            source: program.to_owned(),
            target: "/program".to_owned(),
            mode: 0o755,
        };
        Self {
            reference: reference.to_owned(),
            entrypoint: vec![file.target.clone()],
            user: "65532:65532".to_owned(),
            files: vec![file],
        }
    }

    /// Writes the archive.
    pub fn write(&self, out: &Path) -> Result<()> {
        let layer_path = out.with_extension("layer");
        let layer = self.write_layer(&layer_path)?;
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": { "Entrypoint": self.entrypoint, "User": self.user, "WorkingDir": "/" },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
        })
        .to_string();
        let config_name = format!("{}.json", hex(&Sha256::digest(&config)));
        let layer_name = format!("{layer}/layer.tar");
        let manifest =
            json!([{ "Config": config_name, "RepoTags": [self.reference], "Layers": [layer_name] }]).to_string();

        let mut tar = Tar::new(create(out)?);
        tar.bytes(&config_name, config.as_bytes())?;
        tar.file(&layer_name, &layer_path, 0o644)?;
        tar.bytes("manifest.json", manifest.as_bytes())?;
        tar.finish()?;
        fs::remove_file(&layer_path).context("remove layer")
    }

    /// Writes the layer and gives its digest.
    fn write_layer(&self, path: &Path) -> Result<String> {
        let mut tar = Tar::new(Hashed {
            out: create(path)?,
            digest: Sha256::new(),
        });
        for file in &self.files {
            tar.file(file.target.trim_start_matches('/'), &file.source, file.mode)?;
        }
        Ok(hex(&tar.finish()?.digest.finalize()))
    }
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    Ok(BufWriter::new(
        File::create(path).with_context(|| format!("create {}", path.display()))?,
    ))
}

/// The architecture in the words of images.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Hashed<W> {
    out: W,
    digest: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// The smallest tar writer that serves: regular files, owned by root, of time zero, so that equal content gives an equal
/// archive.
struct Tar<W> {
    out: W,
}

/// Everything in a tar file is padded to this.
const BLOCK_BYTES: usize = 512;

impl<W: Write> Tar<W> {
    fn new(out: W) -> Self {
        Self { out }
    }

    fn bytes(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.entry(name, 0o644, content.len() as u64, content)
    }

    fn file(&mut self, name: &str, source: &Path, mode: u32) -> Result<()> {
        let file = File::open(source).with_context(|| format!("open {}", source.display()))?;
        let size_bytes = file.metadata().context("file size")?.len();
        self.entry(name, mode, size_bytes, file)
    }

    fn entry(&mut self, name: &str, mode: u32, size_bytes: u64, mut content: impl std::io::Read) -> Result<()> {
        self.out
            .write_all(&header(name, mode, size_bytes)?)
            .context("write archive")?;
        let copied = std::io::copy(&mut content, &mut self.out).context("write archive")?;
        if copied != size_bytes {
            bail!("{name} changed its size while it was read");
        }
        let padding = copied.next_multiple_of(BLOCK_BYTES as u64) - copied;
        std::io::copy(&mut std::io::Read::take(std::io::repeat(0), padding), &mut self.out).context("write archive")?;
        Ok(())
    }

    fn finish(mut self) -> Result<W> {
        self.out.write_all(&[0; 2 * BLOCK_BYTES]).context("write archive")?;
        self.out.flush().context("write archive")?;
        Ok(self.out)
    }
}

fn header(name: &str, mode: u32, size_bytes: u64) -> Result<[u8; BLOCK_BYTES]> {
    let mut header = [0; BLOCK_BYTES];
    let mut field = |start: usize, value: &[u8]| header[start..start + value.len()].copy_from_slice(value);
    if name.len() > 100 {
        bail!("{name} is longer than the 100 bytes that a tar header holds");
    }
    field(0, name.as_bytes());
    field(100, format!("{mode:07o}\0").as_bytes());
    field(108, b"0000000\0");
    field(116, b"0000000\0");
    field(124, format!("{size_bytes:011o}\0").as_bytes());
    field(136, b"00000000000\0");
    field(148, b"        ");
    field(156, b"0");
    field(257, b"ustar\x0000");
    // The checksum is the sum of all bytes with its own field as spaces.
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn tar_reads_what_is_written_and_equal_content_gives_equal_archives() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        fs::write(&program, [7; 1000]).unwrap();
        let image = Image::of_program("localhost/it:1", &program);
        let (first, second) = (dir.path().join("first.tar"), dir.path().join("second.tar"));
        image.write(&first).unwrap();
        image.write(&second).unwrap();
        assert_eq!(
            fs::read_to_string(&first).unwrap(),
            fs::read_to_string(&second).unwrap()
        );

        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        crate::process::run(Command::new("tar").arg("-xf").arg(&first).arg("-C").arg(&out)).unwrap();
        let manifest: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(out.join("manifest.json")).unwrap()).unwrap();
        let layer = out.join(manifest[0]["Layers"][0].as_str().unwrap());
        let listing = crate::process::text(Command::new("tar").arg("-tvf").arg(layer)).unwrap();
        assert!(
            listing.starts_with("-rwxr-xr-x 0/0") && listing.ends_with("program"),
            "{listing}"
        );
    }
}
