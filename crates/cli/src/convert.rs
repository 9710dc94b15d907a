//! `convert`: a profile in one format into another.

use anyhow::{Context as _, Result};
use profile::import::Format;
use profile::view::View;
use profile::{Limits, Profile, gzip, unpack};

use crate::args::{ConvertArgs, From, To};
use crate::files::{self, Source};
use crate::show;

/// `convert`.
pub(crate) fn run(args: &ConvertArgs) -> Result<bool> {
    let bytes = files::read(&args.file)?;
    let shown = || args.file.display().to_string();
    let unpacked = unpack(&bytes, &Limits::DEFAULT).with_context(shown)?;
    let source = args.from.map(|from| match from {
        From::Pprof => Source::Pprof,
        From::Collapsed => Source::Import(Format::Collapsed),
        From::Cpuprofile => Source::Import(Format::V8Cpu),
        From::Heapprofile => Source::Import(Format::V8Heap),
        From::Jfr => Source::Import(Format::Jfr),
    });
    let (_, profile) = files::parse(&unpacked, source).with_context(shown)?;
    let written = match args.to {
        To::Pprof => gzip(&profile.encode()),
        To::Raw => profile.encode(),
        To::Folded => folded(&profile, args.sample_type.as_deref())?.into_bytes(),
    };
    files::write(args.out.as_deref(), &written)?;
    Ok(true)
}

fn folded(profile: &Profile<'_>, sample_type: Option<&str>) -> Result<String> {
    let index = show::sample_type(profile, sample_type)?;
    Ok(View::new(profile, index)?.folded())
}
