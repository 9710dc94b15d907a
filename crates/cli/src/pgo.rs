//! `pgo`: CPU profiles of a service into the one that Go's compiler reads.

use std::path::Path;

use anyhow::{Result, bail};
use profile::Profile;
use profile::merge::Merger;
use profile::view::units;

use crate::args::PgoArgs;
use crate::files::{self, Sources};
use crate::tell;

/// `pgo`. Files are merged one by one: none of them stays in memory, but what comes from a pipe.
pub(crate) fn run(args: &PgoArgs) -> Result<bool> {
    let mut merger = Merger::new();
    let mut merged = 0_u64;
    let mut sources = Sources::new(files::expand(&args.files, Some(&args.out))?)?;
    for index in 0..sources.len() {
        let path = sources.path(index).to_owned();
        let is_named = args.files.contains(&path);
        let added = sources.with_profile(index, |profile| match refusal(profile) {
            None => {
                merger.add(profile)?;
                Ok(1)
            }
            Some(why) if is_named => bail!(why),
            Some(why) => {
                tell(&format!("left out {}: {why}", path.display()));
                Ok(0)
            }
        });
        merged += match added {
            // Traces lie beside profiles, and much else may.
            Err(error) if !is_named && files::is_foreign(&error) => {
                tell(&format!("left out {error:#}"));
                0
            }
            added => added?,
        };
    }
    if merged == 0 {
        bail!("none of these is a CPU profile");
    }
    let profile = merger.finish()?;
    if profile.sample_count() > 0 && profile.functions().iter().all(|function| function.start_line == 0) {
        bail!("the profiles have no start lines of functions, which `go build -pgo` needs: Go writes them since 1.20");
    }
    files::write_profile(Some(&args.out), &files::gzip(&profile.encode()))?;
    tell(&summary(&profile, merged, &args.out));
    Ok(true)
}

/// Why a profile is of no use to the compiler.
fn refusal(profile: &Profile<'_>) -> Option<String> {
    let strings = profile.strings();
    let types = &profile.header().sample_types;
    let is_cpu = |kind: &[u8], unit: &[u8]| (kind, unit) == (b"cpu", b"nanoseconds");
    if types
        .iter()
        .any(|of| is_cpu(strings.get(of.kind), strings.get(of.unit)))
    {
        return None;
    }
    let kinds: Vec<_> = types.iter().map(|of| strings.text(of.kind)).collect();
    Some(format!("not a CPU profile: it has {}", kinds.join(", ")))
}

fn summary(profile: &Profile<'_>, merged: u64, out: &Path) -> String {
    let strings = profile.strings();
    let types = profile.header().sample_types.iter().zip(profile.totals());
    let cpu: i64 = types
        .filter(|(of, _)| strings.get(of.kind) == b"cpu")
        .map(|(_, total)| total)
        .sum();
    format!(
        "{}: {} of CPU in {} samples from {merged} profiles",
        out.display(),
        units::value(cpu, "nanoseconds"),
        profile.sample_count()
    )
}
