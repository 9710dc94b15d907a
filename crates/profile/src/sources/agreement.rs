//! What profiles that measure alike are made to measure, so that they can be merged: the sample types that all have, in the
//! finest unit that any has.

use crate::limits::LimitExceeded;
use crate::model::{Profile, StringId, ValueType};
use crate::scale::to_integer;
use crate::view::units::{self, Scaler};

/// Why profiles cannot be made to measure the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// No sample type is in all of them.
    #[error("no sample type is in all profiles up to this one, which has {kinds}")]
    NothingInCommon {
        /// The first after which none is left.
        index: usize,
        /// Its sample types.
        kinds: String,
    },
    /// A type has units that do not convert into each other, or another name.
    #[error("the profiles measure {first} and {second}, of which neither can be made the other")]
    Units {
        /// The later one.
        index: usize,
        /// That of a profile.
        first: String,
        /// That of a later one.
        second: String,
    },
}

impl Disagreement {
    /// Which profile is the first that does not measure like those before it.
    pub fn index(&self) -> usize {
        match self {
            Self::NothingInCommon { index, .. } | Self::Units { index, .. } => *index,
        }
    }
}

/// A kind and its unit.
type Type = (Vec<u8>, Vec<u8>);

/// What a profile measures: all of it that decides with what it can be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    sample_types: Vec<Type>,
    period_type: Type,
}

impl Measured {
    /// By a profile.
    pub fn by(profile: &Profile<'_>) -> Self {
        let owned = |of: &ValueType| {
            let text = |id| profile.strings.get(id).to_vec();
            (text(of.kind), text(of.unit))
        };
        Self {
            sample_types: profile.header.sample_types.iter().map(owned).collect(),
            period_type: owned(&profile.header.period_type),
        }
    }

    fn kinds(&self) -> impl Iterator<Item = &[u8]> {
        self.sample_types.iter().map(|(kind, _)| kind.as_slice())
    }

    /// What the names take.
    pub(super) fn bytes(&self) -> u64 {
        let types = self.sample_types.iter().chain([&self.period_type]);
        types.map(|(kind, unit)| (kind.len() + unit.len()) as u64).sum()
    }
}

/// What profiles are made to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// Kinds that all have, in the order of the first.
    kinds: Vec<Vec<u8>>,
    /// Units of the kinds, and of the period. A profile alone keeps its own.
    units: Option<(Vec<Vec<u8>>, Vec<u8>)>,
}

impl Agreement {
    /// Between profiles, as google/pprof's `CompatibilizeSampleTypes` and `ScaleProfiles` find it. Kinds are the same by
    /// their names, those of periods but for an "s" at the end.
    ///
    /// # Errors
    /// When they cannot be made to measure the same. So too when a profile has a kind twice and no other.
    pub fn between(measured: &[Measured]) -> Result<Self, Disagreement> {
        let Some(first) = measured.first() else {
            return Err(nothing_in_common(measured));
        };
        let count = |kind: &[u8]| {
            let types = measured.iter().flat_map(|measured| &measured.sample_types);
            types.filter(|(other, _)| other == kind).count()
        };
        let kinds = first.sample_types.iter().map(|(kind, _)| kind.clone());
        // A kind that a profile has twice is in none, as google/pprof counts.
        let kinds: Vec<_> = kinds.filter(|kind| count(kind) == measured.len()).collect();
        if kinds.is_empty() {
            return Err(nothing_in_common(measured));
        }
        if measured.len() < 2 {
            return Ok(Self { kinds, units: None });
        }
        let unit = |kind: &Vec<u8>| {
            let type_of =
                |measured: &'_ Measured| measured.sample_types.iter().find(|(other, _)| other == kind).cloned();
            let types = measured.iter().map(type_of).collect::<Option<Vec<_>>>();
            finest(&types.ok_or_else(|| nothing_in_common(measured))?)
        };
        let units = kinds.iter().map(unit).collect::<Result<_, _>>()?;
        let periods: Vec<_> = measured.iter().map(|measured| measured.period_type.clone()).collect();
        let period = finest(&periods)?;
        Ok(Self {
            kinds,
            units: Some((units, period)),
        })
    }

    /// Makes one of the profiles measure what was agreed on. What it has of nothing else is left out with it.
    ///
    /// # Errors
    /// When its strings outgrow 4 GiB.
    pub fn apply(&self, profile: &mut Profile<'_>) -> Result<(), LimitExceeded> {
        self.keep_kinds(profile);
        let Some((units, period_unit)) = &self.units else {
            return Ok(());
        };
        let text = |bytes| String::from_utf8_lossy(bytes);
        let old = profile.strings.text(profile.header.period_type.unit).into_owned();
        let (period, _) = Scaler::new(&old, &text(period_unit)).scaled(profile.header.period);
        profile.header.period = truncated(period);
        profile.header.period_type.unit = set(profile, profile.header.period_type.unit, period_unit)?;
        let mut factors = Vec::with_capacity(units.len());
        for (index, unit) in units.iter().enumerate() {
            let Some(of) = profile.header.sample_types.get(index).copied() else {
                break;
            };
            let (factor, _) = Scaler::new(&profile.strings.text(of.unit), &text(unit)).scaled(1);
            factors.push(factor);
            let unit = set(profile, of.unit, unit)?;
            if let Some(of) = profile.header.sample_types.get_mut(index) {
                of.unit = unit;
            }
        }
        // As many factors as there are types.
        let scaled = profile.scale(&factors);
        debug_assert!(scaled.is_ok());
        Ok(())
    }

    /// Leaves the kinds that were agreed on, in that order.
    fn keep_kinds(&self, profile: &mut Profile<'_>) {
        let header = &mut profile.header;
        let strings = &profile.strings;
        let index = |kind: &Vec<u8>| header.sample_types.iter().position(|of| strings.get(of.kind) == kind);
        let indexes: Vec<_> = self.kinds.iter().filter_map(index).collect();
        if indexes.iter().copied().eq(0..header.sample_types.len()) {
            return;
        }
        let types: Vec<_> = indexes
            .iter()
            .filter_map(|index| header.sample_types.get(*index).copied())
            .collect();
        let default = strings.get(header.default_sample_type);
        if !self.kinds.iter().any(|kind| kind == default) {
            header.default_sample_type = types.first().map_or(StringId::EMPTY, |of| of.kind);
        }
        let old = header.sample_types.len().max(1);
        let values = profile.samples.values.chunks_exact(old);
        let kept = values.flat_map(|values| {
            let value = |index: &usize| values.get(*index).copied().unwrap_or(0);
            indexes.iter().map(value)
        });
        profile.samples.values = kept.collect();
        header.sample_types = types;
    }
}

/// The error of profiles of which none has what all others have.
fn nothing_in_common(measured: &[Measured]) -> Disagreement {
    let mut left: Vec<_> = measured.iter().take(1).flat_map(Measured::kinds).collect();
    let ends = |measured: &Measured| {
        left.retain(|kind| measured.kinds().any(|other| other == *kind));
        left.is_empty()
    };
    // When a kind is there twice, none is left although each is in all.
    let last = measured.len().saturating_sub(1);
    let index = measured.iter().position(ends).unwrap_or(last);
    let kinds = measured.get(index).into_iter().flat_map(Measured::kinds);
    let kinds: Vec<_> = kinds.map(String::from_utf8_lossy).collect();
    let kinds = if kinds.is_empty() {
        "none".to_owned()
    } else {
        kinds.join(", ")
    };
    Disagreement::NothingInCommon { index, kinds }
}

/// The unit of the finest of several types.
fn finest(types: &[Type]) -> Result<Vec<u8>, Disagreement> {
    let mut types = types.iter().enumerate();
    let Some((_, mut finest)) = types.next() else {
        return Ok(Vec::new());
    };
    for (index, other) in types {
        if !is_convertible(finest, other) {
            let shown =
                |(kind, unit): &Type| format!("{}/{}", String::from_utf8_lossy(kind), String::from_utf8_lossy(unit));
            return Err(Disagreement::Units {
                index,
                first: shown(finest),
                second: shown(other),
            });
        }
        let (factor, _) =
            Scaler::new(&String::from_utf8_lossy(&other.1), &String::from_utf8_lossy(&finest.1)).scaled(1);
        if factor < 1.0 {
            finest = other;
        }
    }
    Ok(finest.1.clone())
}

fn is_convertible((first_kind, first): &Type, (second_kind, second): &Type) -> bool {
    let singular = |kind: &'_ [u8]| kind.strip_suffix(b"s").unwrap_or(kind).to_vec();
    let text = |unit| String::from_utf8_lossy(unit);
    singular(first_kind) == singular(second_kind)
        && (first == second || units::are_of_one_kind(&text(first), &text(second)))
}

/// The id of a unit in a profile, which may be the one that it has.
fn set(profile: &mut Profile<'_>, old: StringId, unit: &[u8]) -> Result<StringId, LimitExceeded> {
    match unit {
        unit if profile.strings.get(old) == unit => Ok(old),
        b"" => Ok(StringId::EMPTY),
        unit => profile.strings.push(unit),
    }
}

/// Go's conversion of a float: towards zero.
fn truncated(value: f64) -> i64 {
    to_integer(value.trunc())
}
