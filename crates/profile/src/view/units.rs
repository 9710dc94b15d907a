//! Values as people read them, formatted as pprof formats them.

/// A unit: how it is shown, how producers call it (in the singular), and how many of its kind's smallest it is.
type Unit = (&'static str, &'static [&'static str], f64);

const MEMORY: [Unit; 6] = [
    ("B", &["b", "byte"], 1.0),
    ("kB", &["kb", "kbyte", "kilobyte"], (1_u64 << 10) as f64),
    ("MB", &["mb", "mbyte", "megabyte"], (1_u64 << 20) as f64),
    ("GB", &["gb", "gbyte", "gigabyte"], (1_u64 << 30) as f64),
    ("TB", &["tb", "tbyte", "terabyte"], (1_u64 << 40) as f64),
    ("PB", &["pb", "pbyte", "petabyte"], (1_u64 << 50) as f64),
];

const TIME: [Unit; 5] = [
    ("ns", &["ns", "nanosecond"], 1.0),
    ("us", &["μs", "us", "microsecond"], 1e3),
    ("ms", &["ms", "millisecond"], 1e6),
    ("s", &["s", "sec", "second"], 1e9),
    ("hrs", &["hour", "hr"], 3600e9),
];

/// A value in the largest unit of its kind in which it is at least one: `1536` `bytes` is `1.50kB`.
///
/// Two decimals, none where they are zero. Counts have no unit, and units that are neither of memory nor of time stay
/// as they are.
pub fn value(value: i64, unit: &str) -> String {
    if value < 0 {
        // The smallest integer has no positive counterpart; as a float it has.
        let positive = shown(-(value as f64), unit);
        return if positive == "0" {
            positive
        } else {
            format!("-{positive}")
        };
    }
    shown(value as f64, unit)
}

fn shown(value: f64, unit: &str) -> String {
    let (scaled, unit) = scaled(value, unit);
    let number = format!("{scaled:.2}");
    let number = number.strip_suffix(".00").unwrap_or(&number);
    if number == "0" {
        number.to_owned()
    } else {
        format!("{number}{unit}")
    }
}

fn scaled(value: f64, unit: &str) -> (f64, &str) {
    let lower = unit.to_lowercase();
    let singular = if lower.chars().count() > 2 {
        lower.strip_suffix('s').unwrap_or(&lower)
    } else {
        &lower
    };
    for kind in [&MEMORY[..], &TIME[..]] {
        let Some((_, _, factor)) = kind.iter().find(|(_, names, _)| names.contains(&singular)) else {
            continue;
        };
        let smallest = value * factor;
        let fitting = kind.iter().rfind(|(_, _, factor)| smallest / factor >= 1.0);
        return match fitting.or(kind.first()) {
            Some((name, _, factor)) => (smallest / factor, name),
            None => (value, unit),
        };
    }
    match unit {
        "count" | "sample" | "unit" | "minimum" | "auto" => (value, ""),
        other => (value, other),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn values_are_shown_as_pprof_shows_them() {
        for (number, unit, shown) in [
            (0, "bytes", "0"),
            (512, "bytes", "512B"),
            (1536, "bytes", "1.50kB"),
            (-1536, "bytes", "-1.50kB"),
            (1 << 30, "bytes", "1GB"),
            (10_000_000, "nanoseconds", "10ms"),
            (1_230_000_000, "nanoseconds", "1.23s"),
            (7_200, "seconds", "2hrs"),
            (1_500, "microseconds", "1.50ms"),
            (42, "count", "42"),
            (42, "objects", "42objects"),
            (i64::MIN, "bytes", "-8192PB"),
        ] {
            assert_eq!(super::value(number, unit), shown);
        }
    }
}
