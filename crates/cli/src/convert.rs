//! `convert`: a profile in one format into another.

use anyhow::{Context as _, Result};
use profile::import::Format;
use profile::view::stacks::Stacks;
use profile::{Limits, Profile};

use crate::args::{ConvertArgs, From, To};
use crate::files;
use crate::select::{self, Filters};
use crate::show;

/// `convert`.
pub(crate) fn run(args: &ConvertArgs) -> Result<bool> {
    let bytes = files::read(&args.file)?;
    let shown = || args.file.display().to_string();
    let unpacked = files::unpack(&bytes, &Limits::DEFAULT).with_context(shown)?;
    let format = match args.from {
        None => Format::of(&unpacked),
        Some(From::Pprof) => None,
        Some(From::Collapsed) => Some(Format::Collapsed),
        Some(From::Cpuprofile) => Some(Format::V8Cpu),
        Some(From::Heapprofile) => Some(Format::V8Heap),
        Some(From::Jfr) => Some(Format::Jfr),
    };
    let (_, profile) = files::parse(&unpacked, format).with_context(shown)?;
    let filters = Filters::new(&args.filters);
    let selected = filters.apply(profile)?;
    filters.warn(&[&selected]);
    let (profile, sample_type) = (&selected.profile, args.sample_type.as_deref());
    let out = args.out.as_deref();
    match args.to {
        To::Pprof => files::write_profile(out, &files::gzip(&profile.encode()))?,
        To::Raw => files::write_profile(out, &profile.encode())?,
        To::Folded => files::write(out, folded(profile, sample_type)?.as_bytes())?,
        To::Speedscope => files::write(out, show::sheets(&args.file, sample_type, profile)?.as_bytes())?,
    }
    Ok(true)
}

fn folded(profile: &Profile<'_>, sample_type: Option<&str>) -> Result<String> {
    let index = show::sample_type(profile, sample_type)?;
    Ok(Stacks::new(&select::view(profile, index)?).folded()?)
}
