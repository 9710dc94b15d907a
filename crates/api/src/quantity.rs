//! Kubernetes quantities (`100m`, `1500000n`, `1Gi`, `1e3`), read exactly.
//!
//! There is no floating point in it: a quantity is a decimal number times a power of two or ten, and so is
//! what is made of it. A rest is rounded up, as Kubernetes does, so that something is never nothing.

/// Billionths of a core. None for what is no quantity, is negative, or does not fit.
pub fn cpu_nanos(text: &str) -> Option<u64> {
    scaled(text, 9)
}

/// Thousandths of a core. None for what is no quantity, is negative, or does not fit.
pub fn cpu_millis(text: &str) -> Option<u64> {
    scaled(text, 3)
}

/// Bytes. None for what is no quantity, is negative, or does not fit.
pub fn bytes(text: &str) -> Option<u64> {
    scaled(text, 0)
}

/// Longest text that is looked at: a quantity of the API server has at most 18 digits and a suffix, and
/// whatever is longer was written by nobody.
const CHARS_MAX: usize = 64;

/// The value times ten to the power of `digits`, rounded up.
fn scaled(text: &str, digits: i32) -> Option<u64> {
    if text.len() > CHARS_MAX {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let number_ends = text
        .find(|one: char| !one.is_ascii_digit() && one != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(number_ends)?;
    let (mantissa, fraction_digits) = decimal(number)?;
    let (binary, power_of_ten) = power(suffix)?;
    let shifted = mantissa.checked_mul(1_u128.checked_shl(binary)?)?;
    times_ten_to(shifted, power_of_ten.checked_add(digits)?.checked_sub(fraction_digits)?)
}

/// `12.50` as 1250 and 2 digits after the point.
fn decimal(number: &str) -> Option<(u128, i32)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Zeros at the end say nothing and would only take room in the mantissa.
    let fraction = fraction.trim_end_matches('0');
    let mantissa = whole.bytes().chain(fraction.bytes()).try_fold(0_u128, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u128::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })?;
    Some((mantissa, i32::try_from(fraction.len()).ok()?))
}

/// A suffix as a power of two and a power of ten.
fn power(suffix: &str) -> Option<(u32, i32)> {
    let ten = |power: i32| Some((0, power));
    match suffix {
        "" => ten(0),
        "n" => ten(-9),
        "u" => ten(-6),
        "m" => ten(-3),
        "k" => ten(3),
        "M" => ten(6),
        "G" => ten(9),
        "T" => ten(12),
        "P" => ten(15),
        "E" => ten(18),
        "Ki" => Some((10, 0)),
        "Mi" => Some((20, 0)),
        "Gi" => Some((30, 0)),
        "Ti" => Some((40, 0)),
        "Pi" => Some((50, 0)),
        "Ei" => Some((60, 0)),
        exponent => {
            let power = exponent.strip_prefix(['e', 'E'])?;
            let digits = power.strip_prefix(['+', '-']).unwrap_or(power);
            let is_number = !digits.is_empty() && digits.bytes().all(|one| one.is_ascii_digit());
            is_number.then(|| power.parse().ok()).flatten().and_then(ten)
        }
    }
}

fn times_ten_to(value: u128, power: i32) -> Option<u64> {
    if value == 0 {
        return Some(0);
    }
    // No factor: ten to this power is more than any value, so that a division leaves a rest of it.
    let factor = 10_u128.checked_pow(power.unsigned_abs());
    let result = if power >= 0 {
        value.checked_mul(factor?)?
    } else {
        factor.map_or(1, |factor| value.div_ceil(factor))
    };
    u64::try_from(result).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use testkit::soak;

    use super::*;

    #[test]
    fn the_forms_of_the_api_server_are_read() {
        assert_eq!(cpu_nanos("100m"), Some(100_000_000));
        assert_eq!(cpu_nanos("1500000n"), Some(1_500_000));
        assert_eq!(cpu_nanos("250u"), Some(250_000));
        assert_eq!(cpu_nanos("0.5"), Some(500_000_000));
        assert_eq!(cpu_nanos("2"), Some(2_000_000_000));
        assert_eq!(cpu_nanos("0"), Some(0));
        assert_eq!(cpu_millis(".5"), Some(500));
        assert_eq!(cpu_millis("5."), Some(5_000));
        assert_eq!(bytes("1Gi"), Some(1 << 30));
        assert_eq!(bytes("1.5Gi"), Some(3 << 29));
        assert_eq!(bytes("128974848"), Some(128_974_848));
        assert_eq!(bytes("1e3"), Some(1_000));
        assert_eq!(bytes("12E-1"), Some(2));
        assert_eq!(bytes("1E"), Some(1_000_000_000_000_000_000));
        assert_eq!(bytes("1k"), Some(1_000));
        assert_eq!(bytes("+5Ki"), Some(5_120));
        assert_eq!(bytes("15Ei"), Some(15 << 60));
    }

    #[test]
    fn a_rest_is_rounded_up() {
        assert_eq!(cpu_millis("1u"), Some(1));
        assert_eq!(cpu_millis("1500u"), Some(2));
        assert_eq!(bytes("100m"), Some(1));
        assert_eq!(cpu_nanos("1e-60"), Some(1));
        assert_eq!(cpu_nanos("0.00000000000000000000000000000000001"), Some(1));
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in [
            "",
            " ",
            "-1",
            "-0",
            "NaN",
            "nan",
            "inf",
            "1 Gi",
            "Gi",
            ".",
            "1..2",
            "1.2.3",
            "1e",
            "1e+",
            "1ee3",
            "1K",
            "1ki",
            "0x10",
            "1_000",
            "1e99999999999",
            "1e40",
            "16Ei",
            "999999999999999999999999999999999999999999",
            "１",
            "1é",
        ] {
            assert_eq!(bytes(text), None, "{text:?}");
        }
        assert_eq!(bytes(&"1".repeat(65)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(soak::cases(256)))]

        #[test]
        fn whole_numbers_keep_their_value(value: u64) {
            prop_assert_eq!(bytes(&value.to_string()), Some(value));
            prop_assert_eq!(cpu_nanos(&format!("{value}n")), Some(value));
            prop_assert_eq!(cpu_millis(&format!("{value}m")), Some(value));
        }

        #[test]
        fn finer_and_coarser_forms_agree(millis in 0..u64::MAX / 1_000_000) {
            let text = format!("{millis}m");
            prop_assert_eq!(cpu_nanos(&text), Some(millis * 1_000_000));
            prop_assert_eq!(cpu_nanos(&format!("{}.{:03}", millis / 1_000, millis % 1_000)), cpu_nanos(&text));
            prop_assert_eq!(cpu_nanos(&format!("{millis}e-3")), cpu_nanos(&text));
        }

        #[test]
        fn binary_suffixes_are_shifts(value in 0_u64..1 << 20, step in 0_usize..5) {
            let suffix = ["", "Ki", "Mi", "Gi", "Ti"][step];
            prop_assert_eq!(bytes(&format!("{value}{suffix}")), Some(value << (10 * step)));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,70}") {
            cpu_nanos(&text);
            bytes(&text);
        }

        #[test]
        fn nothing_like_a_quantity_panics(text in "[+-]?[0-9.]{0,50}([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{0,12})?") {
            cpu_nanos(&text);
            bytes(&text);
        }
    }
}
