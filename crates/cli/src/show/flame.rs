//! `flame`: flame graphs and what other programs draw them from.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use profile::Profile;
use profile::view::flame::Sandwich;
use profile::view::speedscope::{Sheet, speedscope};
use profile::view::stacks::{Stacks, Weight};
use profile::view::svg::{Caption, Paint};
use profile::view::{View, units};

use super::{sample_type, type_and_unit};
use crate::args::FlameArgs;
use crate::files;

/// Functions that are named where a part of a name means several.
const FUNCTIONS_NAMED_MAX: usize = 5;

/// `flame`.
pub(crate) fn flame(args: &FlameArgs) -> Result<bool> {
    let shown = files::with_profile(&args.file, |profile| match &args.base {
        _ if args.speedscope => sheets(&args.file, args.sample_type.as_deref(), &profile),
        None => alone(args, &profile),
        Some(base) => {
            ensure!(
                base != &args.file || base != Path::new("-"),
                "standard input can be read only once"
            );
            files::with_profile(base, |base| compared(args, &base, &profile))
        }
    })?;
    files::write(args.out.as_deref(), shown.as_bytes())?;
    Ok(true)
}

fn alone(args: &FlameArgs, profile: &Profile<'_>) -> Result<String> {
    let index = sample_type(profile, args.sample_type.as_deref())?;
    let (kind, unit) = type_and_unit(profile, index);
    let view = View::new(profile, index)?;
    let title = format!("{kind}: {} in {}", units::value(view.total(), &unit), name(&args.file));
    drawn(args, &Stacks::new(&view), &title, &unit)
}

/// The same sample type of two profiles.
fn compared(args: &FlameArgs, base: &Profile<'_>, profile: &Profile<'_>) -> Result<String> {
    let index = sample_type(profile, args.sample_type.as_deref())?;
    let (kind, unit) = type_and_unit(profile, index);
    let types = 0..base.header().sample_types.len();
    let base_index = types
        .into_iter()
        .find(|index| type_and_unit(base, *index) == (kind.clone(), unit.clone()));
    let base_index = base_index.with_context(|| format!("the base has no sample type {kind} in {unit}"))?;
    let (before, after) = (View::new(base, base_index)?, View::new(profile, index)?);
    let mut stacks = Stacks::compare(&before, &after)?;
    let mut title = format!(
        "{kind}: {} in {} → {} in {}",
        units::value(before.total(), &unit),
        name(args.base.as_deref().unwrap_or(&args.file)),
        units::value(after.total(), &unit),
        name(&args.file)
    );
    if args.normalize {
        stacks = stacks.normalized();
        title += ", as parts of each";
    }
    drawn(args, &stacks, &title, &unit)
}

fn drawn<W: Paint>(args: &FlameArgs, stacks: &Stacks<'_, W>, title: &str, unit: &str) -> Result<String> {
    if args.folded {
        return Ok(stacks.folded());
    }
    let Some(wanted) = &args.sandwich else {
        let mut tree = if args.inverted {
            stacks.inverted()?
        } else {
            stacks.tree()?
        };
        tree.prune(args.nodes_max);
        return Ok(tree.svg(Caption { title, unit }));
    };
    let function = function(stacks, wanted)?;
    let sandwich = stacks.sandwich(function)?.context("the function is in no stack")?;
    let Sandwich {
        mut callers,
        mut callees,
    } = sandwich;
    // What one half does not need is the other's.
    let half = args.nodes_max / 2;
    callers.prune(half.max(args.nodes_max.saturating_sub(callees.nodes().len())));
    callees.prune(args.nodes_max.saturating_sub(callers.nodes().len()));
    let title = format!("{title}: {function}");
    let caption = Caption { title: &title, unit };
    Ok(Sandwich { callers, callees }.svg(caption))
}

/// The function that is called so, or the only one whose name has this part.
fn function<'s, W: Weight>(stacks: &'s Stacks<'_, W>, wanted: &str) -> Result<&'s str> {
    let functions = stacks.functions();
    if let Some(exact) = functions.iter().find(|name| **name == wanted) {
        return Ok(exact);
    }
    let meant: Vec<_> = functions.into_iter().filter(|name| name.contains(wanted)).collect();
    match meant.as_slice() {
        [] => bail!("no function is called {wanted}"),
        [one] => Ok(one),
        several => {
            let named = several
                .iter()
                .take(FUNCTIONS_NAMED_MAX)
                .copied()
                .collect::<Vec<_>>()
                .join(", ");
            let more = several.len().saturating_sub(FUNCTIONS_NAMED_MAX);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            bail!("{wanted} is a part of several names: {named}{more}")
        }
    }
}

/// All sample types, or the one that was asked for, for speedscope.
pub(crate) fn sheets(file: &Path, wanted: Option<&str>, profile: &Profile<'_>) -> Result<String> {
    let chosen = sample_type(profile, wanted)?;
    let indexes = match wanted {
        Some(_) => vec![chosen],
        None => (0..profile.header().sample_types.len()).collect(),
    };
    let mut stacks = Vec::new();
    for index in &indexes {
        let (kind, unit) = type_and_unit(profile, *index);
        stacks.push((kind, unit, Stacks::new(&View::new(profile, *index)?)));
    }
    let sheets: Vec<_> = stacks
        .iter()
        .map(|(name, unit, stacks)| Sheet { name, unit, stacks })
        .collect();
    let active = indexes.iter().position(|index| *index == chosen).unwrap_or(0);
    Ok(speedscope(&name(file), &sheets, active)?)
}

/// What a file is called in a title.
fn name(path: &Path) -> String {
    match path.file_name() {
        Some(name) if path != Path::new("-") => name.to_string_lossy().into_owned(),
        _ => "standard input".to_owned(),
    }
}
