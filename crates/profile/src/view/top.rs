//! The functions that cost most, with the rows of `pprof -top`.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::frames::Frame;
use super::printable::printable;
use super::{Order, View, units};

/// Calls that are worth less than this part of what all functions cost do not say whether a function was inlined.
/// pprof's own default.
const EDGE_FRACTION: f64 = 0.001;

/// What of a report is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopOptions {
    /// What comes first.
    pub order: Order,
    /// How many functions at most; 0 for all.
    pub rows_max: usize,
    /// Functions that cost less than this part of all, with all that they called, are left out.
    pub fraction_min: f64,
}

impl TopOptions {
    /// All functions, the most expensive in itself first.
    pub const ALL: Self = Self {
        order: Order::Flat,
        rows_max: 0,
        fraction_min: 0.0,
    };

    /// What `pprof -top` shows when it is told nothing else: all that cost half a percent, with all that they called.
    pub const PPROF: Self = Self {
        fraction_min: 0.005,
        ..Self::ALL
    };
}

/// The functions that cost most.
#[derive(Debug, Clone, PartialEq)]
pub struct Top<'v> {
    /// What is shown of each.
    pub rows: Vec<TopRow<'v>>,
    /// What percentages are of.
    pub total: i64,
    /// Functions that there were to choose from.
    pub functions: usize,
    /// Functions that cost too little to be among them.
    pub dropped: usize,
    /// They cost less than this.
    dropped_below: i64,
}

/// What a function costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopRow<'v> {
    /// Its name; bytes that are no UTF-8 are replaced.
    pub name: Cow<'v, str>,
    /// In itself.
    pub flat: i64,
    /// With all that it called.
    pub cum: i64,
    /// Whether its calls were inlined.
    pub inlined: Inlined,
}

/// Whether the calls of a function were inlined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inlined {
    /// None of them, or nobody called it.
    Never,
    /// By some of its callers.
    Partly,
    /// By all of them.
    Always,
}

/// The costs of one node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    pub(super) node: u32,
    pub(super) flat: i64,
    pub(super) cum: i64,
    /// The number of the sample that was counted last, from one: recursion counts once.
    sample: u32,
}

impl View<'_> {
    /// The functions that cost most.
    pub fn top(&self, options: TopOptions) -> Top<'_> {
        let mut costs = self.costs();
        let flat_total = costs.iter().fold(0_i64, |sum, cost| sum.wrapping_add(cost.flat));
        let below = part(flat_total, options.fraction_min);
        let all = costs.len();
        if below > 0 {
            costs.retain(|cost| cost.cum.wrapping_abs() >= below);
        }
        let functions = costs.len();
        let rows = if options.rows_max == 0 {
            functions
        } else {
            options.rows_max
        };
        if rows < functions {
            costs.select_nth_unstable_by(rows, |a, b| self.compare(a, b, options.order));
            costs.truncate(rows);
        }
        self.sort(&mut costs, options.order);
        let inlined = self.inlined(&costs, part(flat_total, EDGE_FRACTION));
        let row = |(cost, inlined): (&Cost, Inlined)| TopRow {
            name: self.text(cost.node),
            flat: cost.flat,
            cum: cost.cum,
            inlined,
        };
        Top {
            rows: costs.iter().zip(inlined).map(row).collect(),
            total: self.total,
            functions,
            dropped: all - functions,
            dropped_below: part(self.total, options.fraction_min),
        }
    }

    /// What each node costs, if anything.
    pub(super) fn costs(&self) -> Vec<Cost> {
        // No more nodes than lines, which are below 2^32.
        let mut costs: Vec<_> = (0..self.nodes.nodes.len() as u32)
            .map(|node| Cost {
                node,
                ..Cost::default()
            })
            .collect();
        // Neither are samples more.
        for (sample, (stack, value)) in (1..).zip(self.stacks()) {
            let mut count = |frame: &Frame| {
                if let Some(cost) = costs.get_mut(frame.node() as usize) {
                    // Without a jump: where functions call themselves, nothing tells how often.
                    let counts = i64::from(cost.sample != sample);
                    cost.sample = sample;
                    cost.cum = cost.cum.wrapping_add(counts * value);
                }
            };
            for location in stack {
                if let Some(place) = self.nodes.place(*location) {
                    let [outermost, ..] = &place.first;
                    count(outermost);
                    if place.count() > 1 {
                        self.nodes.inner(place).iter().for_each(&mut count);
                    }
                }
            }
            let leaf = stack.first().and_then(|location| self.nodes.frames(*location).last());
            if let Some(cost) = leaf.and_then(|leaf| costs.get_mut(leaf.node() as usize)) {
                cost.flat = cost.flat.wrapping_add(value);
            }
        }
        costs.retain(|cost| cost.flat != 0 || cost.cum != 0);
        costs
    }

    pub(super) fn sort(&self, costs: &mut [Cost], order: Order) {
        costs.sort_unstable_by(|a, b| self.compare(a, b, order));
    }

    fn compare(&self, a: &Cost, b: &Cost, order: Order) -> Ordering {
        // As Go has it, where the smallest integer is its own absolute.
        let (flat, cum) = (
            || b.flat.wrapping_abs().cmp(&a.flat.wrapping_abs()),
            || b.cum.wrapping_abs().cmp(&a.cum.wrapping_abs()),
        );
        let nodes = || {
            Some((
                self.nodes.nodes.get(a.node as usize)?,
                self.nodes.nodes.get(b.node as usize)?,
            ))
        };
        let by_name = || nodes().map_or(Ordering::Equal, |(a, b)| a.cmp_name(b));
        let by_rest = || nodes().map_or(Ordering::Equal, |(a, b)| a.cmp_rest(b));
        match order {
            Order::Flat => flat().then_with(by_name).then_with(cum).then_with(by_rest),
            Order::Cum => cum().then_with(by_name).then_with(flat).then_with(by_rest),
        }
    }

    pub(super) fn text(&self, node: u32) -> Cow<'_, str> {
        self.nodes.text(node)
    }

    /// Whether the calls of these nodes by each other were inlined, for each of them, as far as the calls are worth
    /// something.
    fn inlined(&self, costs: &[Cost], weight_min: i64) -> Vec<Inlined> {
        const DROPPED: u8 = 0;
        const KEPT: u8 = 1;
        const WANTED: u8 = 2;
        let mut inlined = vec![Inlined::Never; costs.len()];
        let mut state = vec![DROPPED; self.nodes.nodes.len()];
        // Of a profile without negative values no call is worth more than the function that is called.
        let is_sum = self.spans.iter().all(|span| span.value > 0);
        let is_light = |cost: &Cost| is_sum && cost.cum.wrapping_abs() < weight_min;
        let is_wanted = |cost: &Cost| self.nodes.is_inlined(cost.node) && !is_light(cost);
        for cost in costs {
            if let Some(state) = state.get_mut(cost.node as usize) {
                *state = if is_wanted(cost) { WANTED } else { KEPT };
            }
        }
        if !state.contains(&WANTED) {
            return inlined;
        }
        let state_of = |node: u32| state.get(node as usize).copied().unwrap_or(DROPPED);
        let edges = self.edges(
            |node| state_of(node) != DROPPED,
            |node| state_of(node) == WANTED,
            |_, _| true,
        );
        let mut found = vec![(false, false); state.len()];
        for edge in edges.iter().filter(|edge| edge.weight.wrapping_abs() >= weight_min) {
            if let Some((inline, call)) = found.get_mut(edge.to as usize) {
                *(if edge.inline { inline } else { call }) = true;
            }
        }
        for (cost, inlined) in costs.iter().zip(&mut inlined) {
            *inlined = match found.get(cost.node as usize) {
                Some((true, false)) => Inlined::Always,
                Some((true, true)) => Inlined::Partly,
                Some((false, _)) | None => Inlined::Never,
            };
        }
        inlined
    }
}

/// A part of a value without its sign, cut to an integer as Go cuts it.
fn part(value: i64, fraction: f64) -> i64 {
    ((value as f64 * fraction) as i64).wrapping_abs()
}

impl Top<'_> {
    /// The unit that all values are shown in, given the sample type's.
    pub fn unit<'u>(&self, unit: &'u str) -> &'u str {
        common_unit(
            smallest(self.rows.iter().map(|row| (row.flat, row.cum))),
            self.total,
            unit,
        )
    }

    /// The report as pprof prints it, from the line that says how much is shown on; `unit` is the sample type's, and
    /// `shown_unit` that in which values are shown. Names are [`printable`].
    pub fn text(&self, unit: &str, shown_unit: &str) -> String {
        let (unit, shown_unit) = (&*printable(unit), &*printable(shown_unit));
        let scaler = units::Scaler::new(unit, shown_unit);
        let label = |value| scaler.label(value);
        let shown = self.rows.iter().fold(0_i64, |sum, row| sum.wrapping_add(row.flat));
        let mut text = showing(shown, self.total, label).into_bytes();
        if self.total != 0 && self.dropped > 0 {
            let plural = if self.dropped > 1 { "s" } else { "" };
            let below = label(self.dropped_below);
            text.extend(format!("Dropped {} node{plural} (cum <= {below})\n", self.dropped).bytes());
        }
        if self.total != 0 && !self.rows.is_empty() && self.rows.len() < self.functions {
            text.extend(format!("Showing top {} nodes out of {}\n", self.rows.len(), self.functions).bytes());
        }
        text.extend_from_slice(b"      flat  flat%   sum%        cum   cum%\n");
        // Five columns and a name of middle length.
        text.reserve(80 * self.rows.len());
        let mut sum = 0_i64;
        for row in &self.rows {
            sum = sum.wrapping_add(row.flat);
            let inlined = match row.inlined {
                Inlined::Never => "",
                Inlined::Partly => " (partial-inline)",
                Inlined::Always => " (inline)",
            };
            write_numbers(&mut text, row.flat, sum, row.cum, self.total, &scaler);
            for part in ["  ", &printable(&row.name), inlined, "\n"] {
                text.extend_from_slice(part.as_bytes());
            }
        }
        // Made of texts and digits.
        String::from_utf8(text).unwrap_or_default()
    }
}

/// The smallest value that is shown, without its sign; zero if all are, `None` if nothing is.
pub(super) fn smallest(rows: impl Iterator<Item = (i64, i64)>) -> Option<i64> {
    let mut smallest = None;
    for (flat, cum) in rows {
        let value = match flat.wrapping_abs() {
            0 => cum.wrapping_abs(),
            flat => flat,
        };
        let known = smallest.get_or_insert(0);
        if value > 0 && (*known == 0 || value < *known) {
            *known = value;
        }
    }
    smallest
}

/// The unit in which the smallest value is not shown as zero.
pub(super) fn common_unit(smallest: Option<i64>, total: i64, unit: &str) -> &str {
    smallest.map_or(units::AUTO, |smallest| units::common(smallest, total, unit))
}

/// How much of a total a report accounts for.
pub(super) fn showing(shown: i64, total: i64, label: impl Fn(i64) -> String) -> String {
    let percentage = units::percentage(shown, total);
    format!(
        "Showing nodes accounting for {}, {} of {} total\n",
        label(shown),
        percentage.trim_start(),
        label(total)
    )
}

/// Writes the five columns before a name: a function's own cost, what part of all it is and all up to it are, and its cost
/// with all that it called.
pub(super) fn write_numbers(text: &mut Vec<u8>, flat: i64, sum: i64, cum: i64, total: i64, scaler: &units::Scaler<'_>) {
    scaler.write(text, flat, 10);
    for part in [flat, sum] {
        text.push(b' ');
        units::write_percentage(text, part, total);
    }
    text.push(b' ');
    scaler.write(text, cum, 10);
    text.push(b' ');
    units::write_percentage(text, cum, total);
}
