//! `merge` and `diff`: profiles out of profiles.

use std::path::PathBuf;

use anyhow::{Context as _, Error, Result};
use profile::Profile;
use profile::merge::{MergeError, Merger};
use profile::sources::{self, CombineError, Subtraction};

use crate::args::{DiffArgs, MergeArgs, Rules, WriteArgs};
use crate::files::{self, Sources};
use crate::select::Filters;
use crate::tell;

/// `merge`.
pub(crate) fn merge(args: &MergeArgs) -> Result<bool> {
    let filters = Filters::new(&args.filters);
    let files = files::expand(&args.files, args.write.out.as_deref())?;
    let made = made_one(&mut Sources::new(files)?, rules(&args.write));
    if made.as_ref().is_err_and(measures_otherwise) && args.files.iter().any(|path| path.is_dir()) {
        tell(
            "kubectl-profile: a folder is merged as a whole; where it holds several types, name the files of one: FOLDER/*-cpu.pprof",
        );
    }
    write(made?, &filters, &args.write)
}

fn made_one(sources: &mut Sources, rules: Rules) -> Result<Profile<'static>> {
    match rules {
        Rules::Pprof => Ok(sources::finish(merged(sources)?)),
        Rules::Library => {
            let mut merger = Merger::new();
            for index in 0..sources.len() {
                sources.with_profile(index, |profile| Ok(merger.add(profile)?))?;
            }
            Ok(merger.finish()?)
        }
    }
}

/// Whether profiles were not merged because they do not measure the same.
fn measures_otherwise(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(CombineError::Disagreement { .. }))
        || matches!(error.downcast_ref(), Some(MergeError::Incompatible(_)))
}

/// `diff`.
pub(crate) fn diff(args: &DiffArgs) -> Result<bool> {
    files::stdin_once([&args.base, &args.file])?;
    let filters = Filters::new(&args.filters);
    let difference = match rules(&args.write) {
        _ if args.delta => since(args)?,
        Rules::Pprof => {
            let alone = |path: &PathBuf| merged(&mut Sources::new(vec![path.clone()])?);
            let how = Subtraction {
                is_labelled: args.labelled,
                is_normalized: args.normalize,
            };
            let (base, profile) = (alone(&args.base)?, alone(&args.file)?);
            let shown = || format!("{} less {}", args.file.display(), args.base.display());
            sources::subtract(profile, base, how).with_context(shown)?
        }
        Rules::Library => files::with_profile(&args.base, |mut base| {
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
        })?,
    };
    write(difference, &filters, &args.write)
}

/// What the program did between two profiles.
fn since(args: &DiffArgs) -> Result<Profile<'static>> {
    let shown = || args.file.display().to_string();
    let delta = files::with_profile(&args.base, |base| {
        files::with_profile(&args.file, |profile| profile.since(base).with_context(shown))
    })?;
    if delta.is_reset {
        let file = args.file.display();
        tell(&format!(
            "kubectl-profile: counters of {file} were begun anew: it is what the program did since it was restarted"
        ));
    }
    Ok(delta.profile)
}

/// Those that were asked for, else those that go with the form that is written.
fn rules(args: &WriteArgs) -> Rules {
    let usual = if args.raw { Rules::Library } else { Rules::Pprof };
    args.rules.unwrap_or(usual)
}

/// What went wrong, and whether it says already of which file.
enum Failure {
    Named(Error),
    Unnamed(CombineError),
}

impl From<CombineError> for Failure {
    fn from(error: CombineError) -> Self {
        Self::Unnamed(error)
    }
}

/// The sources as one, by the rules of pprof's command line.
fn merged(sources: &mut Sources) -> Result<Profile<'static>> {
    let merged = sources::merge(sources.len(), |index, use_it| {
        let used = sources.with_profile(index, |profile| Ok(use_it(profile)?));
        used.map_err(Failure::Named)
    });
    merged.map_err(|failure| {
        let error = match failure {
            Failure::Named(error) => return error,
            Failure::Unnamed(error) => error,
        };
        let CombineError::Disagreement { index: Some(index), .. } = error else {
            return error.into();
        };
        Error::from(error).context(sources.path(index).display().to_string())
    })
}

fn write(profile: Profile<'_>, filters: &Filters<'_>, args: &WriteArgs) -> Result<bool> {
    let selected = filters.apply(profile)?;
    filters.warn(&[&selected]);
    let bytes = selected.profile.encode();
    files::write_profile(args.out.as_deref(), &if args.raw { bytes } else { files::gzip(&bytes) })?;
    Ok(true)
}
