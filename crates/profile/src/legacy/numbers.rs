//! Numbers as Go's `strconv` reads them, and its `math.Exp`.

use crate::scale::to_integer;

/// A decimal number with or without a minus.
pub(super) fn decimal(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A hexadecimal number without a prefix.
pub(super) fn hexadecimal(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Go's `ParseInt` with base 0: the prefix says which base (0x, 0o, 0b, or 0 alone for octal), and underscores may stand
/// between digits.
pub(super) fn any_base(text: &[u8]) -> Option<i64> {
    let (is_negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (base, digits) = match unsigned {
        [b'0', b'x' | b'X', rest @ ..] if !rest.is_empty() => (16, rest),
        [b'0', b'o' | b'O', rest @ ..] if !rest.is_empty() => (8, rest),
        [b'0', b'b' | b'B', rest @ ..] if !rest.is_empty() => (2, rest),
        [b'0', rest @ ..] => (8, rest),
        [] => return None,
        _ => (10, unsigned),
    };
    let mut magnitude = 0_u64;
    for byte in digits.iter().filter(|byte| **byte != b'_') {
        let digit = char::from(*byte).to_digit(base)?;
        magnitude = magnitude.checked_mul(base.into())?.checked_add(digit.into())?;
    }
    if digits.contains(&b'_') && !underscores_separate(unsigned) {
        return None;
    }
    if is_negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Whether each underscore has a digit, or the prefix of the base, before it and a digit after it. The bytes are known to
/// be digits, underscores and a prefix.
fn underscores_separate(number: &[u8]) -> bool {
    let body = match number {
        // The prefix counts as a digit.
        [b'0', b'b' | b'B' | b'o' | b'O' | b'x' | b'X', rest @ ..] => rest,
        [b'_', ..] => return false,
        _ => number,
    };
    !body.ends_with(b"_") && !body.windows(2).any(|pair| pair == b"__")
}

/// Each "0x…" of a text, from left to right, in lower-case digits. `None` when one does not fit in 64 bits.
pub(super) fn addresses(text: &[u8]) -> impl Iterator<Item = Option<u64>> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            match rest {
                [b'0', b'x', after @ ..] if after.first().is_some_and(is_digit) => {
                    let len = after.iter().take_while(|byte| is_digit(byte)).count();
                    let (digits, left) = after.split_at_checked(len)?;
                    rest = left;
                    return Some(hexadecimal(digits));
                }
                [_, after @ ..] => rest = after,
                [] => return None,
            }
        }
    })
}

/// The values that a sample of the heap stands for: the sampler took it with a chance that grows with its size, one in
/// `rate` bytes.
pub(super) fn unsampled(count: i64, size: i64, rate: i64) -> (i64, i64) {
    if count == 0 || size == 0 {
        return (0, 0);
    }
    if rate <= 1 {
        return (count, size);
    }
    let average = size as f64 / count as f64;
    let scale = 1.0 / (1.0 - exp(-average / rate as f64));
    (to_integer(count as f64 * scale), to_integer(size as f64 * scale))
}

/// e to the power of `x`, bit for bit as Go has it on 64-bit x86 with fused multiplication.
///
/// Every other good `exp` is as exact, but a last bit that differs can move a value over a whole number. Go evaluates a
/// Taylor series of the sixteenth of what is left of `x` when the powers of two are taken out, then squares four times
/// (Shibata, "Efficient evaluation methods of elementary functions suitable for SIMD computation", 2010).
fn exp(x: f64) -> f64 {
    const OVERFLOW: f64 = 709.782_712_893_384;
    // ln 2 in two parts: their sum is more exact than one float.
    const LN2_UPPER: f64 = 0.693_147_180_559_663;
    const LN2_LOWER: f64 = 2.823_529_056_303_157_7e-13;
    // The coefficients after that of the eighth power: 1/7! to 1/1!.
    const SERIES: [f64; 7] = [1.0 / 5_040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0];
    const EXPONENT_BIAS: i32 = 0x3ff;
    if x.is_nan() || x > OVERFLOW {
        return if x.is_nan() { x } else { f64::INFINITY };
    }
    if x == f64::NEG_INFINITY {
        return 0.0;
    }
    let rounded = (x * std::f64::consts::LOG2_E).round_ties_even();
    let power = if rounded < f64::from(i32::MIN) {
        i32::MIN
    } else {
        rounded as i32
    };
    let upper = f64::from(power).mul_add(-LN2_UPPER, x);
    let rest = f64::from(power).mul_add(-LN2_LOWER, upper) * 0.0625;
    let sum = SERIES
        .iter()
        .fold(1.0 / 40_320.0, |sum: f64, term| sum.mul_add(rest, *term));
    let mut result = sum * rest;
    for _ in 0..3 {
        result *= result + 2.0;
    }
    result = (result + 2.0).mul_add(result, 1.0);
    let power_of_two = |biased: i32| f64::from_bits(u64::from(biased.unsigned_abs()) << 52);
    let biased = power.saturating_add(EXPONENT_BIAS);
    if biased > 0x7fe {
        f64::INFINITY
    } else if biased > 0 {
        result * power_of_two(biased)
    } else if biased < -52 {
        0.0
    } else {
        // In two steps: the first would have no exponent that a float can hold.
        result * power_of_two(biased + EXPONENT_BIAS - 1) * power_of_two(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_base_is_gos() {
        for (text, value) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("+7", Some(7)),
            ("10", Some(10)),
            ("010", Some(8)),
            ("09", None),
            ("0x1F", Some(31)),
            ("-0b101", Some(-5)),
            ("0o17", Some(15)),
            ("0x", None),
            ("0b", None),
            ("", None),
            ("-", None),
            ("1_000", Some(1000)),
            ("0_7", Some(7)),
            ("0x_1", Some(1)),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("0_", None),
            ("0x1_", None),
            ("1 0", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("-9223372036854775808", Some(i64::MIN)),
            ("-9223372036854775809", None),
            ("18446744073709551616", None),
            ("0xffffffffffffffff", None),
        ] {
            assert_eq!(any_base(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn addresses_are_found_wherever_they_stand() {
        let found = |text: &str| addresses(text.as_bytes()).collect::<Option<Vec<_>>>();
        assert_eq!(found(" 0x1 0x2f x00x3"), Some(vec![1, 0x2f, 3]));
        assert_eq!(found("0x0x12 0xAB 0x"), Some(vec![0]));
        assert_eq!(found("0x0000000000000000000001"), Some(vec![1]));
        assert_eq!(found("0x1 0x10000000000000000"), None);
        assert_eq!(found(""), Some(vec![]));
    }

    #[test]
    fn exp_is_right_and_ends_where_floats_end() {
        for x in [-700.0, -30.5, -1.0, -0.001, -1e-9, 0.0, 1e-9, 0.5, 1.0, 20.0, 700.0] {
            let (ours, theirs) = (exp(x), x.exp());
            assert!((ours - theirs).abs() <= theirs * 1e-15, "{x}: {ours} {theirs}");
        }
        assert!(exp(f64::NAN).is_nan());
        assert_eq!(exp(710.0), f64::INFINITY);
        assert_eq!(exp(f64::INFINITY), f64::INFINITY);
        for x in [-800.0, -1e300, f64::NEG_INFINITY] {
            assert_eq!(exp(x).to_bits(), 0, "{x}");
        }
        assert!(exp(-740.0) > 0.0);
    }

    #[test]
    fn what_was_sampled_rarely_stands_for_much() {
        assert_eq!(unsampled(1, 524_288, 524_288), (1, 829_411));
        assert_eq!(unsampled(1, 1_000_000_000, 524_288), (1, 1_000_000_000));
        assert_eq!(unsampled(3, 300, 1), (3, 300));
        assert_eq!(unsampled(0, 300, 512), (0, 0));
        assert_eq!(unsampled(5, 0, 512), (0, 0));
    }
}
