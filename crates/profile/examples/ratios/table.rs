//! Tables for people.

use crate::ours::{Case, LIMIT_GOAL, Operation};

/// One operation on one file.
pub(crate) struct Cell {
    pub(crate) ours_nanos: u64,
    pub(crate) theirs_nanos: u64,
    pub(crate) limit_nanos: u64,
    pub(crate) ours_bytes: u64,
    pub(crate) theirs_bytes: u64,
}

impl Cell {
    /// Before the first round: every time is shorter.
    pub(crate) const UNMEASURED: Self = Self {
        ours_nanos: u64::MAX,
        theirs_nanos: u64::MAX,
        limit_nanos: u64::MAX,
        ours_bytes: 0,
        theirs_bytes: 0,
    };

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

/// All operations on one file; `None` where one says nothing of it.
pub(crate) struct Row<'c> {
    pub(crate) case: &'c Case,
    pub(crate) cells: Vec<Option<Cell>>,
    name: String,
}

impl<'c> Row<'c> {
    pub(crate) fn new(case: &'c Case, operations: usize) -> Self {
        let name = case.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            case,
            cells: (0..operations).map(|_| None).collect(),
            // Names in collections begin with the folders that they come from.
            name: name.rsplit("__").next().unwrap_or_default().to_owned(),
        }
    }
}

/// The ratio for each file and operation, and what ours took.
pub(crate) fn print(title: &str, operations: &[&Operation], rows: &[Row<'_>]) {
    figures(&format!("ratio, {title}"), operations, rows, |cell| {
        format!("{:.1}x", cell.ratio())
    });
    figures(&format!("ours in µs, {title}"), operations, rows, |cell| {
        format!("{:.1}", cell.ours_nanos as f64 / 1e3)
    });
}

fn figures(title: &str, operations: &[&Operation], rows: &[Row<'_>], figure: impl Fn(&Cell) -> String) {
    print!("{title:<36} {:>8} {:>8}", "bytes", "samples");
    for operation in operations {
        print!(" {:>9}", operation.name);
    }
    println!();
    for row in rows {
        print!("{:<36} {:>8} {:>8}", row.name, row.case.packed.len(), row.case.samples);
        for cell in &row.cells {
            print!(" {:>9}", cell.as_ref().map_or("-".to_owned(), &figure));
        }
        println!();
    }
    println!();
}

/// The median over the files, the extremes, what was wanted, and which file is the worst.
pub(crate) fn print_goals(operations: &[&Operation], rows: &[Row<'_>]) {
    println!(
        "{:<28} {:>8} {:>8} {:>8} {:>8}        worst",
        "ratio to google/pprof", "least", "median", "most", "goal"
    );
    for (index, operation) in operations.iter().enumerate() {
        let line = |name: &str, figure: fn(&Cell) -> f64, goal: f64, at_least: bool| {
            let cell_of = |row: &Row<'_>| row.cells.get(index).and_then(Option::as_ref).map(figure);
            let mut of_files: Vec<_> = rows.iter().filter_map(|row| Some((cell_of(row)?, &row.name))).collect();
            of_files.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (Some(least), Some(median), Some(most)) =
                (of_files.first(), of_files.get(of_files.len() / 2), of_files.last())
            else {
                return;
            };
            let (met, sign, worst) = if at_least {
                (median.0 >= goal, "≥", least.1)
            } else {
                (median.0 <= goal, "≤", most.1)
            };
            println!(
                "{name:<28} {:>8.2} {:>8.2} {:>8.2} {:>8} {:<6} {worst}",
                least.0,
                median.0,
                most.0,
                format!("{sign}{goal}"),
                verdict(met)
            );
        };
        line(operation.name, Cell::ratio, operation.goal, true);
        if let Some(bytes_max) = operation.bytes_max {
            line(
                &format!("{}: bytes to theirs", operation.name),
                Cell::bytes,
                bytes_max,
                false,
            );
        }
        if operation.limit.is_some() {
            line(
                &format!("{}: times the limit", operation.name),
                Cell::to_limit,
                LIMIT_GOAL,
                false,
            );
        }
    }
    println!();
}

pub(crate) fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
