//! The table: what was measured, and whether it keeps to its limit.

use std::time::Duration;

/// Figures, in the order in which they were taken.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<[String; 4]>,
}

impl Table {
    /// A figure with a largest value, both in `unit`.
    pub(crate) fn at_most(&mut self, figure: &str, measured: f64, limit: f64, unit: &str) {
        let decimals = if measured.abs() >= 100.0 { 0 } else { 1 };
        let kept = measured <= limit;
        self.row(
            figure,
            &format!("{measured:.decimals$} {unit}"),
            &format!("≤ {limit} {unit}"),
            kept,
        );
    }

    /// The same for times, shown in milliseconds.
    pub(crate) fn millis_at_most(&mut self, figure: &str, measured: Duration, limit: Duration) {
        let millis = |one: Duration| one.as_secs_f64() * 1_000.0;
        self.at_most(figure, millis(measured), millis(limit), "ms");
    }

    /// A figure whose limit is not a number.
    pub(crate) fn row(&mut self, figure: &str, measured: &str, limit: &str, kept: bool) {
        let verdict = if kept { "kept" } else { "MISSED" };
        self.rows.push([figure, measured, limit, verdict].map(str::to_owned));
    }

    /// What is told without a limit.
    pub(crate) fn note(&mut self, figure: &str, measured: &str) {
        self.rows.push([figure, measured, "–", "–"].map(str::to_owned));
    }

    /// Prints all of it.
    #[expect(clippy::print_stdout, reason = "the table is this program's output")]
    pub(crate) fn show(&self) {
        println!("| figure | measured | limit | verdict |");
        println!("|---|---|---|---|");
        for row in &self.rows {
            println!("| {} |", row.join(" | "));
        }
        let missed = self.rows.iter().filter(|[.., verdict]| verdict == "MISSED").count();
        println!("\n{missed} of {} figures missed", self.rows.len());
    }
}

/// The middle of some times; zero of none.
pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The largest of some times.
pub(crate) fn largest(times: &[Duration]) -> Duration {
    times.iter().max().copied().unwrap_or_default()
}
