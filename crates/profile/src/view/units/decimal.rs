//! Decimals, rounded exactly: half to even of what a float really is, as C and Go print it.
//!
//! A float is an integer times a power of two, so a few of its decimals are a multiplication and a shift. The standard
//! library's way, which is right for any number of them, took most of the time of a report.

/// What is done with decimals that are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zeros {
    /// All are written.
    All,
    /// None is written where all are zero.
    AllOrNone,
    /// None is written at the end.
    NotLast,
}

/// A float times a factor, rounded to an integer. `None` where that is not below 2^64, or the float is no finite one of
/// zero or more.
pub(super) fn rounded(value: f64, factor: u32) -> Option<u64> {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    // The exponent of a float whose digits are an integer.
    const OF_INTEGERS: u32 = 1075;
    if !value.is_finite() || value.is_sign_negative() {
        return None;
    }
    let bits = value.to_bits();
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    let (digits, exponent) = match (bits >> FRACTION_BITS) as u32 {
        0 => (fraction, 1),
        exponent => (fraction | 1 << FRACTION_BITS, exponent),
    };
    // 53 bits and 32: there is room for 43 more.
    let product = u128::from(digits) * u128::from(factor);
    if let Some(up) = exponent.checked_sub(OF_INTEGERS) {
        let shifted = (up < 43).then(|| product << up)?;
        return u64::try_from(shifted).ok();
    }
    let down = OF_INTEGERS - exponent;
    if down > 100 {
        // Far less than half.
        return Some(0);
    }
    let (whole, rest, half) = (product >> down, product & ((1 << down) - 1), 1 << (down - 1));
    let is_up = rest > half || (rest == half && whole & 1 == 1);
    u64::try_from(whole + u128::from(is_up)).ok()
}

/// A number as text.
#[derive(Debug)]
pub(super) struct Decimal {
    /// Its digits come last, after spaces.
    text: [u8; 64],
    begin: usize,
}

impl Decimal {
    /// A number of which the last `decimals` digits come after the point.
    pub(super) fn new(mut number: u64, mut decimals: u32, zeros: Zeros) -> Self {
        let mut text = Self {
            text: [b' '; 64],
            begin: 64,
        };
        if zeros == Zeros::AllOrNone && number.is_multiple_of(10_u64.pow(decimals)) {
            number /= 10_u64.pow(decimals);
            decimals = 0;
        }
        while zeros == Zeros::NotLast && decimals > 0 && number.is_multiple_of(10) {
            number /= 10;
            decimals -= 1;
        }
        if decimals > 0 {
            for _ in 0..decimals {
                text.put(b'0' + (number % 10) as u8);
                number /= 10;
            }
            text.put(b'.');
        }
        loop {
            text.put(b'0' + (number % 10) as u8);
            number /= 10;
            if number == 0 {
                return text;
            }
        }
    }

    /// Puts something before it. There is room: a number of 64 bits has twenty digits, a point, and a zero before it.
    pub(super) fn put(&mut self, byte: u8) {
        self.begin = self.begin.saturating_sub(1);
        if let Some(place) = self.text.get_mut(self.begin) {
            *place = byte;
        }
    }

    /// It, to the right of at least so many columns, of fifty at most.
    pub(super) fn aligned(&self, width: usize) -> &[u8] {
        let begin = self.text.len().saturating_sub(width).min(self.begin);
        self.text.get(begin..).unwrap_or_default()
    }
}

/// A number below one with two significant digits, as C's `%.2g`; `None` where that is [`exponential`].
pub(super) fn two_digits(number: f64) -> Option<Decimal> {
    if number == 0.0 {
        return Some(Decimal::new(0, 0, Zeros::All));
    }
    // So many decimals have two digits from here on, up to the next.
    const DECIMALS: [(f64, u32, u32); 4] = [(1e-1, 100, 2), (1e-2, 1_000, 3), (1e-3, 10_000, 4), (1e-4, 100_000, 5)];
    let (_, factor, decimals) = DECIMALS.iter().find(|(least, ..)| number >= *least)?;
    rounded(number, *factor).map(|rounded| Decimal::new(rounded, *decimals, Zeros::NotLast))
}

/// A number below a ten-thousandth with one digit before the point and one after it: "1.2e-05".
pub(super) fn exponential(number: f64) -> String {
    let exact = format!("{number:.1e}");
    let (digits, exponent) = exact.split_once('e').unwrap_or((&exact, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent == -4 {
        // What is rounded up to where decimals begin.
        return "0.0001".to_owned();
    }
    format!("{}e{exponent:+03}", digits.trim_end_matches(".0"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use testkit::soak;

    use super::{Decimal, Zeros, exponential, rounded};

    /// The way that is right for any number of decimals.
    fn two_digits(number: f64) -> String {
        let exact = format!("{number:.1e}");
        let (digits, exponent) = exact.split_once('e').unwrap();
        let exponent: i32 = exponent.parse().unwrap();
        let digits = digits.replace('.', "");
        let digits = digits.trim_end_matches('0');
        match exponent {
            _ if digits.is_empty() => "0".to_owned(),
            0 => format!("{number:.1}").trim_end_matches(".0").to_owned(),
            -4..0 => format!("0.{}{digits}", "0".repeat((-exponent - 1) as usize)),
            _ if digits.len() == 1 => format!("{digits}e{exponent:+03}"),
            _ => format!("{}.{}e{exponent:+03}", &digits[..1], &digits[1..]),
        }
    }

    fn text(number: &Decimal) -> String {
        String::from_utf8_lossy(number.aligned(0)).into_owned()
    }

    fn check(number: f64) {
        if let Some(hundredths) = rounded(number, 100) {
            let number_text = text(&Decimal::new(hundredths, 2, Zeros::All));
            assert_eq!(number_text, format!("{number:.2}"));
        }
        if number < 1.0 {
            let shown = super::two_digits(number).map_or_else(|| exponential(number), |number| text(&number));
            assert_eq!(shown, two_digits(number), "{number:e}");
        }
    }

    #[test]
    fn numbers_stand_to_the_right_and_may_be_wider_than_their_column() {
        let number = Decimal::new(1230, 2, Zeros::All);
        assert_eq!(number.aligned(0), b"12.30");
        assert_eq!(number.aligned(5), b"12.30");
        assert_eq!(number.aligned(8), b"   12.30");
        assert_eq!(number.aligned(50).len(), 50);
        let mut longest = Decimal::new(u64::MAX, 2, Zeros::NotLast);
        longest.put(b'-');
        assert_eq!(longest.aligned(10), b"-184467440737095516.15");
    }

    #[test]
    fn what_lies_halfway_is_even() {
        for eighths in 0..2_000_u32 {
            check(f64::from(eighths) / 8.0);
            check(f64::from(eighths) / 1024.0);
            check(f64::from(eighths) / 100_000.0);
            check(f64::from(eighths) / 10_000_000.0);
        }
        for number in [
            0.0,
            0.0995,
            0.00995,
            9.95e-5,
            9.949e-5,
            1e-4,
            1e-5,
            f64::MIN_POSITIVE,
            5e-324,
            0.996,
            0.995,
        ] {
            check(number);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(soak::cases(2_000)))]

        #[test]
        fn any_float_is_rounded_as_the_standard_library_does(bits in any::<u64>(), part in any::<u32>(), total in 1_u32..) {
            let number = f64::from_bits(bits).abs();
            if number < 1e17 {
                check(number);
            }
            check(f64::from(part) / f64::from(total));
            check(f64::from(part) / 1e7);
        }
    }
}
