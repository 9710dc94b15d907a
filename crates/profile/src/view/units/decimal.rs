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

/// Writes a number of which the last `decimals` digits come after the point.
pub(super) fn write(text: &mut String, mut number: u64, decimals: usize, zeros: Zeros) {
    // A number of 64 bits has twenty digits; a point, and a zero before it.
    let mut place = [b'0'; 24];
    let mut begin = place.len();
    let mut put = |byte: u8| {
        begin -= 1;
        if let Some(place) = place.get_mut(begin) {
            *place = byte;
        }
    };
    let mut digit = || {
        let last = (number % 10) as u8;
        number /= 10;
        (b'0' + last, number == 0)
    };
    for _ in 0..decimals {
        put(digit().0);
    }
    put(b'.');
    loop {
        let (digit, was_last) = digit();
        put(digit);
        if was_last {
            break;
        }
    }
    let mut text_of = place.get(begin..).unwrap_or_default();
    let point = text_of.len() - decimals - 1;
    let end = text_of
        .iter()
        .rposition(|byte| *byte != b'0')
        .map_or(0, |last| last + 1);
    if zeros != Zeros::All && end <= point + 1 {
        text_of = text_of.get(..point).unwrap_or_default();
    } else if zeros == Zeros::NotLast {
        text_of = text_of.get(..end).unwrap_or_default();
    }
    text.push_str(std::str::from_utf8(text_of).unwrap_or_default());
}

/// Writes a number below one with two significant digits, as C's `%.2g`.
pub(super) fn write_two_digits(text: &mut String, number: f64) {
    if number == 0.0 {
        text.push('0');
        return;
    }
    // So many decimals have two digits from here on, up to the next.
    const DECIMALS: [(f64, u32, usize); 4] = [(1e-1, 100, 2), (1e-2, 1_000, 3), (1e-3, 10_000, 4), (1e-4, 100_000, 5)];
    let found = DECIMALS.iter().find(|(least, ..)| number >= *least);
    if let Some((_, factor, decimals)) = found
        && let Some(rounded) = rounded(number, *factor)
    {
        write(text, rounded, *decimals, Zeros::NotLast);
        return;
    }
    // One digit before the point and one after it: "1.2e-5".
    let exact = format!("{number:.1e}");
    let (digits, exponent) = exact.split_once('e').unwrap_or((&exact, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent == -4 {
        // What is rounded up to where decimals begin.
        text.push_str("0.0001");
        return;
    }
    text.push_str(digits.trim_end_matches(".0"));
    text.push_str(&format!("e{exponent:+03}"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use testkit::soak;

    use super::{Zeros, rounded, write, write_two_digits};

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

    fn check(number: f64) {
        let mut text = String::new();
        match rounded(number, 100) {
            Some(hundredths) => write(&mut text, hundredths, 2, Zeros::All),
            None => text = format!("{number:.2}"),
        }
        assert_eq!(text, format!("{number:.2}"));
        if number < 1.0 {
            let mut text = String::new();
            write_two_digits(&mut text, number);
            assert_eq!(text, two_digits(number), "{number:e}");
        }
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
