//! Tables for people.

use crate::ours::{Case, LIMIT_GOAL, OPERATIONS};

/// One operation on one file.
pub(crate) struct Cell {
    pub(crate) ours_nanos: u64,
    pub(crate) theirs_nanos: u64,
    pub(crate) limit_nanos: u64,
    pub(crate) ours_bytes: u64,
    pub(crate) theirs_bytes: u64,
}

impl Cell {
    fn ratio(&self) -> f64 {
        self.theirs_nanos as f64 / self.ours_nanos as f64
    }

    fn to_limit(&self) -> f64 {
        self.ours_nanos as f64 / self.limit_nanos as f64
    }

    fn bytes(&self) -> f64 {
        self.ours_bytes as f64 / self.theirs_bytes as f64
    }
}

/// All operations on one file.
pub(crate) struct Row {
    name: String,
    bytes: usize,
    samples: usize,
    cells: Vec<Option<Cell>>,
}

impl Row {
    pub(crate) fn new(case: &Case, cells: Vec<Option<Cell>>) -> Self {
        let name = case.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            // Names in collections begin with the folders that they come from.
            name: name.rsplit("__").next().unwrap_or_default().to_owned(),
            bytes: case.packed.len(),
            samples: case.samples,
            cells,
        }
    }
}

/// The ratio for each file and operation, and what ours took.
pub(crate) fn print(title: &str, rows: &[Row]) {
    figures(&format!("ratio, {title}"), rows, |cell| format!("{:.1}x", cell.ratio()));
    figures(&format!("ours in µs, {title}"), rows, |cell| {
        format!("{:.1}", cell.ours_nanos as f64 / 1e3)
    });
}

fn figures(title: &str, rows: &[Row], figure: impl Fn(&Cell) -> String) {
    print!("{title:<36} {:>8} {:>8}", "bytes", "samples");
    for operation in OPERATIONS {
        print!(" {:>9}", operation.name);
    }
    println!();
    for row in rows {
        print!("{:<36} {:>8} {:>8}", row.name, row.bytes, row.samples);
        for cell in &row.cells {
            print!(" {:>9}", cell.as_ref().map_or("-".to_owned(), &figure));
        }
        println!();
    }
    println!();
}

/// The median over the files, the extremes, and what was wanted.
pub(crate) fn print_goals(rows: &[Row]) {
    println!(
        "{:<28} {:>8} {:>8} {:>8} {:>8}",
        "ratio to google/pprof", "least", "median", "most", "goal"
    );
    for (index, operation) in OPERATIONS.iter().enumerate() {
        let cells = || {
            rows.iter()
                .filter_map(|row| row.cells.get(index).and_then(Option::as_ref))
        };
        let line = |name: &str, figures: Vec<f64>, goal: f64, at_least: bool| {
            let (least, median, most) = spread(figures);
            let met = if at_least { median >= goal } else { median <= goal };
            let sign = if at_least { "≥" } else { "≤" };
            println!(
                "{name:<28} {least:>8.2} {median:>8.2} {most:>8.2} {:>8} {}",
                format!("{sign}{goal}"),
                verdict(met)
            );
        };
        line(operation.name, cells().map(Cell::ratio).collect(), operation.goal, true);
        if let Some(bytes_max) = operation.bytes_max {
            let name = format!("{}: bytes to theirs", operation.name);
            line(&name, cells().map(Cell::bytes).collect(), bytes_max, false);
        }
        if operation.limit.is_some() {
            let name = format!("{}: times the limit", operation.name);
            line(&name, cells().map(Cell::to_limit).collect(), LIMIT_GOAL, false);
        }
    }
    println!();
}

pub(crate) fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

fn spread(mut figures: Vec<f64>) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(figures.len() / 2), at(figures.len().saturating_sub(1)))
}
