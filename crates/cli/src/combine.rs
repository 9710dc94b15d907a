//! `merge` and `diff`: profiles out of profiles.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use profile::Profile;
use profile::merge::Merger;

use crate::args::{DiffArgs, MergeArgs};
use crate::files;

/// Merges files one by one: none of them stays in memory.
fn merged(paths: &[PathBuf]) -> Result<Profile<'static>> {
    let mut merger = Merger::new();
    for path in files::expand(paths)? {
        files::with_profile(&path, |profile| {
            merger.add(&profile).with_context(|| path.display().to_string())
        })?;
    }
    Ok(merger.finish()?)
}

fn write(profile: &Profile<'_>, raw: bool, out: Option<&Path>) -> Result<bool> {
    let bytes = profile.encode();
    files::write(out, &if raw { bytes } else { files::gzip(&bytes) })?;
    Ok(true)
}

/// `merge`.
pub(crate) fn merge(args: &MergeArgs) -> Result<bool> {
    let merged = merged(&args.files)?;
    write(&merged, args.raw, args.out.as_deref())
}

/// `diff`.
pub(crate) fn diff(args: &DiffArgs) -> Result<bool> {
    ensure!(
        args.base != args.file || args.file != Path::new("-"),
        "standard input can be read only once"
    );
    let difference = files::with_profile(&args.base, |mut base| {
        files::with_profile(&args.file, |mut profile| {
            if args.normalize {
                profile.normalize(&base)?;
            }
            let difference = if args.labelled {
                profile.compare(&mut base)
            } else {
                profile.subtract(&mut base)
            };
            Ok(difference?)
        })
    })?;
    write(&difference, args.raw, args.out.as_deref())
}
