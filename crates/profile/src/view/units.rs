//! Values as people read them, formatted as pprof formats them.

use decimal::{Decimal, Zeros};

mod decimal;

/// A unit: how it is shown, how producers call it (in the singular), and how many of its kind's base it is.
type Unit = (&'static str, &'static [&'static str], f64);

/// Units that convert into each other, the smallest first, and which of them is taken when no other fits.
#[derive(Debug)]
struct Kind {
    units: &'static [Unit],
    default: usize,
}

static KINDS: [Kind; 3] = [
    Kind {
        units: &[
            ("B", &["b", "byte"], 1.0),
            ("kB", &["kb", "kbyte", "kilobyte"], (1_u64 << 10) as f64),
            ("MB", &["mb", "mbyte", "megabyte"], (1_u64 << 20) as f64),
            ("GB", &["gb", "gbyte", "gigabyte"], (1_u64 << 30) as f64),
            ("TB", &["tb", "tbyte", "terabyte"], (1_u64 << 40) as f64),
            ("PB", &["pb", "pbyte", "petabyte"], (1_u64 << 50) as f64),
        ],
        default: 0,
    },
    Kind {
        units: &[
            ("ns", &["ns", "nanosecond"], 1.0),
            ("us", &["μs", "us", "microsecond"], 1e3),
            ("ms", &["ms", "millisecond"], 1e6),
            ("s", &["s", "sec", "second"], 1e9),
            ("hrs", &["hour", "hr"], 3600e9),
        ],
        default: 3,
    },
    // Google's compute units.
    Kind {
        units: &[
            ("n*GCU", &["nanogcu"], 1e-9),
            ("u*GCU", &["microgcu"], 1e-6),
            ("m*GCU", &["milligcu"], 1e-3),
            ("GCU", &["gcu"], 1.0),
            ("k*GCU", &["kilogcu"], 1e3),
            ("M*GCU", &["megagcu"], 1e6),
            ("G*GCU", &["gigagcu"], 1e9),
            ("T*GCU", &["teragcu"], 1e12),
            ("P*GCU", &["petagcu"], 1e15),
        ],
        default: 3,
    },
];

impl Kind {
    /// The unit that a producer calls so, in the singular or the plural, in any case.
    fn find(&self, name: &str) -> Option<&'static Unit> {
        let lower = name.to_lowercase();
        // "μs" is no plural.
        let singular = if lower.chars().count() > 2 {
            lower.strip_suffix('s').unwrap_or(&lower)
        } else {
            &lower
        };
        self.units.iter().find(|(_, names, _)| names.contains(&singular))
    }

    /// The largest unit in which so many of the base are at least one.
    fn fitting(&self, value: f64) -> Option<&'static Unit> {
        self.units.iter().rfind(|(_, _, factor)| value / factor >= 1.0)
    }

    fn default(&self) -> Option<&'static Unit> {
        self.units.get(self.default)
    }
}

/// The unit that stands for "the one that fits".
pub const AUTO: &str = "auto";

/// Whether values of one unit can be shown in the other.
pub(crate) fn are_of_one_kind(first: &str, second: &str) -> bool {
    KINDS
        .iter()
        .any(|kind| kind.find(first).is_some() && kind.find(second).is_some())
}

/// From one unit to another: [`AUTO`] is the largest in which a value is at least one.
///
/// A unit of another kind than the value's stands for the default of its kind (bytes, seconds). What is no unit of memory
/// or time keeps its value, and is shown as it is called, but for words that say nothing ("count").
#[derive(Debug, Clone, Copy)]
pub struct Scaler<'u> {
    /// How many of the base of its kind the values' unit is.
    from: f64,
    to: To<'u>,
}

#[derive(Debug, Clone, Copy)]
enum To<'u> {
    /// So many of the base, and how it is shown.
    Unit(f64, &'u str),
    /// The unit of this kind that fits.
    Fitting(&'static Kind),
}

impl<'u> Scaler<'u> {
    /// From the unit of a sample type, however its producer calls it.
    pub fn new(from: &str, to: &'u str) -> Self {
        for kind in &KINDS {
            let Some((_, _, factor)) = kind.find(from) else {
                continue;
            };
            let unit = kind.find(to).or(kind.default());
            let to = match unit {
                Some((name, _, factor)) if !is_auto(to) => To::Unit(*factor, name),
                _ => To::Fitting(kind),
            };
            return Self { from: *factor, to };
        }
        let says_nothing = matches!(to, "count" | "sample" | "unit") || is_auto(to);
        Self {
            from: 1.0,
            to: To::Unit(1.0, if says_nothing { "" } else { to }),
        }
    }

    /// The value in the other unit, and how that is shown.
    pub(crate) fn scaled(&self, value: i64) -> (f64, &'u str) {
        // The smallest integer has no positive counterpart.
        if value < 0 && value != i64::MIN {
            let (positive, unit) = self.scaled(-value);
            return (-positive, unit);
        }
        let of_base = value as f64 * self.from;
        match self.to {
            To::Unit(factor, name) => (of_base / factor, name),
            To::Fitting(kind) => match kind.fitting(of_base).or(kind.default()) {
                Some((name, _, factor)) => (of_base / factor, name),
                None => (of_base, ""),
            },
        }
    }

    /// The value as text: two decimals, none where they are zero.
    pub fn label(&self, value: i64) -> String {
        text_of(|text| self.write(text, value, 0))
    }

    /// Writes [`Scaler::label`], to the right of at least so many columns, of fifty at most.
    pub(super) fn write(&self, text: &mut Vec<u8>, value: i64, width: usize) {
        let (scaled, unit) = self.scaled(value);
        let Some(hundredths) = decimal::rounded(scaled.abs(), 100) else {
            // Too large for decimals, which are zero.
            let label = format!("{scaled:.0}{unit}");
            text.extend_from_slice(format!("{label:>width$}").as_bytes());
            return;
        };
        if hundredths == 0 {
            text.extend_from_slice(Decimal::new(0, 0, Zeros::All).aligned(width));
            return;
        }
        let mut number = Decimal::new(hundredths, 2, Zeros::AllOrNone);
        if scaled < 0.0 {
            number.put(b'-');
        }
        text.extend_from_slice(number.aligned(width.saturating_sub(unit.chars().count())));
        text.extend_from_slice(unit.as_bytes());
    }
}

fn is_auto(unit: &str) -> bool {
    matches!(unit, "minimum" | AUTO)
}

/// A value in another unit: `1536` `bytes` in [`AUTO`] is `1.50kB`, in `B` it is `1536B`. See [`Scaler`].
pub fn label(value: i64, from: &str, to: &str) -> String {
    Scaler::new(from, to).label(value)
}

/// A value in the unit that fits it.
pub fn value(value: i64, unit: &str) -> String {
    label(value, unit, AUTO)
}

/// A value in whole nanoseconds, if its unit is one of time.
pub fn nanoseconds(value: i64, unit: &str) -> Option<i64> {
    let (scaled, unit) = Scaler::new(unit, "nanoseconds").scaled(value);
    (unit == "ns").then_some(scaled as i64)
}

/// A part of a total, in percent and without its sign: six characters wide, two digits where it is below one.
pub fn percentage(part: i64, total: i64) -> String {
    text_of(|text| write_percentage(text, part, total))
}

fn text_of(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut text = Vec::new();
    write(&mut text);
    // Made of texts and digits.
    String::from_utf8(text).unwrap_or_default()
}

/// Writes [`percentage`].
pub(super) fn write_percentage(text: &mut Vec<u8>, part: i64, total: i64) {
    const WIDTH: usize = 5;
    let ratio = if total == 0 {
        0.0
    } else {
        (part as f64 / total as f64).abs() * 100.0
    };
    let number = if (99.95..=100.05).contains(&ratio) {
        Some(Decimal::new(100, 0, Zeros::All))
    } else if ratio >= 1.0 {
        decimal::rounded(ratio, 100).map(|hundredths| Decimal::new(hundredths, 2, Zeros::All))
    } else {
        decimal::two_digits(ratio)
    };
    match number {
        Some(number) => text.extend_from_slice(number.aligned(WIDTH)),
        None if ratio >= 1.0 => text.extend_from_slice(format!("{ratio:.2}").as_bytes()),
        None => text.extend_from_slice(format!("{:>WIDTH$}", decimal::exponential(ratio)).as_bytes()),
    }
    text.push(b'%');
}

/// One unit for all values of a report: that of the smallest, so that none of them is shown as zero; a larger one when
/// the total is more than a hundred times larger and of another unit.
///
/// `smallest` is the smallest value without its sign, zero if all are.
pub fn common(smallest: i64, total: i64, unit: &str) -> &str {
    let smallest = if smallest == 0 { total } else { smallest };
    let scaler = Scaler::new(unit, AUTO);
    let named = |value| scaler.scaled(value).1;
    let (low, high) = (named(smallest), named(total));
    let hundredfold = smallest.wrapping_mul(100);
    let common = if low != high && hundredfold < total {
        named(hundredfold)
    } else {
        low
    };
    if common.is_empty() { unit } else { common }
}

#[cfg(test)]
mod tests {
    use super::{common, label, percentage, value};

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
            (1_500, "μs", "1.50ms"),
            (3, "nanoGCU", "3n*GCU"),
            (42, "count", "42"),
            (42, "objects", "42"),
            (i64::MIN, "bytes", "-9223372036854775808B"),
        ] {
            assert_eq!(value(number, unit), shown);
        }
        for (number, from, to, shown) in [
            (1536, "bytes", "B", "1536B"),
            (1, "bytes", "MB", "0"),
            (-1, "bytes", "MB", "0"),
            (128, "bytes", "kB", "0.12kB"),
            (384, "bytes", "kB", "0.38kB"),
            (640, "bytes", "kB", "0.62kB"),
            (5, "bytes", "seconds", "5B"),
            (1_500_000, "ns", "bytes", "0"),
            (15_000_000, "ns", "bytes", "0.01s"),
            (42, "objects", "objects", "42objects"),
        ] {
            assert_eq!(label(number, from, to), shown);
        }
    }

    #[test]
    fn percentages_are_shown_as_pprof_shows_them() {
        for (part, total, shown) in [
            (0, 0, "    0%"),
            (1, 0, "    0%"),
            (1, 1, "  100%"),
            (-1, 1, "  100%"),
            (9996, 10_000, "  100%"),
            (99_949, 100_000, "99.95%"),
            (1, 8, "12.50%"),
            (1, 800, " 0.12%"),
            (3, 800, " 0.38%"),
            (1, 200, "  0.5%"),
            (997, 100_000, "    1%"),
            (1, 100_000, "0.001%"),
            (123, 10_000_000, "0.0012%"),
            (1, 10_000_000, "1e-05%"),
            (12, 100_000_000, "1.2e-05%"),
            (3, 1, "300.00%"),
        ] {
            assert_eq!(percentage(part, total), shown);
        }
    }

    #[test]
    fn one_unit_is_found_for_all() {
        assert_eq!(common(512, 2048, "bytes"), "B");
        assert_eq!(common(512, 1 << 30, "bytes"), "kB");
        assert_eq!(common(0, 1 << 30, "bytes"), "GB");
        assert_eq!(common(10_000_000, 30_000_000_000, "nanoseconds"), "s");
        assert_eq!(common(1, 5, "count"), "count");
    }
}
