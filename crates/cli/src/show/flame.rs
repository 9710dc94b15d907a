//! `flame`: flame graphs and what other programs draw them from.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use profile::Profile;
use profile::view::flame::Sandwich;
use profile::view::speedscope::Speedscope;
use profile::view::stacks::{Change, Stacks, Weight};
use profile::view::svg::{Caption, Paint};
use profile::view::{self, View, units};

use super::{sample_type, type_and_unit};
use crate::args::FlameArgs;
use crate::files;
use crate::select::{self, Filters, Selected};

/// Functions that are named where a part of a name means several.
const FUNCTIONS_NAMED_MAX: usize = 5;

/// `flame`.
pub(crate) fn flame(args: &FlameArgs) -> Result<bool> {
    files::stdin_once(args.base.iter().chain([&args.file]))?;
    let filters = Filters::new(&args.filters);
    let shown = files::with_profile(&args.file, |profile| {
        let profile = filters.apply(profile)?;
        let Some(base) = &args.base else {
            filters.warn(&[&profile]);
            return if args.speedscope {
                sheets(&args.file, args.sample_type.as_deref(), &profile.profile)
            } else {
                alone(args, &profile)
            };
        };
        files::with_profile(base, |base| {
            let base = filters.apply(base)?;
            filters.warn(&[&base, &profile]);
            compared(args, &base, &profile)
        })
    })?;
    files::write(args.out.as_deref(), shown.as_bytes())?;
    Ok(true)
}

fn alone(args: &FlameArgs, selected: &Selected<'_>) -> Result<String> {
    let index = sample_type(&selected.profile, args.sample_type.as_deref())?;
    let (kind, unit) = type_and_unit(&selected.profile, index);
    let view = selected.view(index)?;
    let title = format!("{kind}: {} in {}", shown(selected, index, &unit), name(&args.file));
    drawn(args, &Stacks::new(&view), &title, (&unit, selected.total(index)))
}

/// The same sample type of two profiles.
fn compared(args: &FlameArgs, base: &Selected<'_>, selected: &Selected<'_>) -> Result<String> {
    let index = sample_type(&selected.profile, args.sample_type.as_deref())?;
    let (kind, unit) = type_and_unit(&selected.profile, index);
    let types = 0..base.profile.header().sample_types.len();
    let base_index = types
        .into_iter()
        .find(|index| type_and_unit(&base.profile, *index) == (kind.clone(), unit.clone()));
    let base_index = base_index.with_context(|| format!("the base has no sample type {kind} in {unit}"))?;
    let (before, after) = (base.view(base_index)?, selected.view(index)?);
    let mut stacks = Stacks::compare(&before, &after)?;
    let mut title = format!(
        "{kind}: {} in {} → {} in {}",
        shown(base, base_index, &unit),
        name(args.base.as_deref().unwrap_or(&args.file)),
        shown(selected, index, &unit),
        name(&args.file)
    );
    if args.normalize {
        stacks = stacks.normalized();
        title += ", as parts of each";
    }
    let whole = base.total(base_index).zip(selected.total(index));
    let whole = whole.map(|(before, after)| Change { before, after });
    drawn(args, &stacks, &title, (&unit, whole))
}

/// How much is drawn, and of how much it is a part where filters took something away.
fn shown(selected: &Selected<'_>, index: usize, unit: &str) -> String {
    let total = view::total(&selected.profile, index);
    match selected.total(index).filter(|whole| *whole != total) {
        Some(whole) => format!("{} of {}", units::value(total, unit), units::value(whole, unit)),
        None => units::value(total, unit),
    }
}

/// The picture, with percentages of `whole` where that is more than what is drawn.
fn drawn<W: Paint>(
    args: &FlameArgs,
    stacks: &Stacks<'_, W>,
    title: &str,
    (unit, whole): (&str, Option<W>),
) -> Result<String> {
    if args.folded {
        return Ok(stacks.folded()?);
    }
    let Some(wanted) = &args.sandwich else {
        let mut tree = if args.inverted {
            stacks.inverted()?
        } else {
            stacks.tree()?
        };
        tree.prune(args.nodes_max);
        return Ok(tree.svg(Caption { title, unit, whole }));
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
    let title = title.as_str();
    Ok(Sandwich { callers, callees }.svg(Caption { title, unit, whole }))
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
    let mut sheets = Speedscope::default();
    for index in &indexes {
        let (kind, unit) = type_and_unit(profile, *index);
        // What there is to tell is told once.
        let view = if *index == chosen {
            select::view(profile, *index)?
        } else {
            View::new(profile, *index)?
        };
        sheets.add(&kind, &unit, &Stacks::new(&view))?;
    }
    let active = indexes.iter().position(|index| *index == chosen).unwrap_or(0);
    Ok(sheets.finish(&name(file), active))
}

/// What a file is called in a title.
fn name(path: &Path) -> String {
    match path.file_name() {
        Some(name) if path != Path::new("-") => name.to_string_lossy().into_owned(),
        _ => "standard input".to_owned(),
    }
}
