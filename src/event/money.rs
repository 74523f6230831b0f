//! Exact money: text to whole cents and back, never through a float.

use rust_decimal::Decimal;

use super::Cents;
use crate::say;

/// A cent more than the largest amount: 10¹⁶ yuan.
pub const AMOUNT_LIMIT: Cents = Cents::new(1_000_000_000_000_000_000);

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a decimal number.
    #[error("{}", say!("not a decimal number"))]
    Syntax,
    /// More than two decimals that are not zero.
    #[error("{}", say!("more than 2 decimals"))]
    Precision,
    /// 10¹⁶ or more.
    #[error("{}", say!("not below 10,000,000,000,000,000.00"))]
    Range,
    /// Zero or less.
    #[error("{}", say!("not greater than zero"))]
    NotPositive,
}

/// Cents of a decimal text such as `1234.5`, `1e3` or `12.300`; nothing is rounded.
///
/// # Errors
/// [`MoneyError`], with the first thing that is wrong.
pub fn parse_amount(text: &str) -> Result<Cents, MoneyError> {
    let cents = match plain_cents(text.as_bytes()) {
        Some(cents) => cents,
        None => general_cents(text)?,
    };
    check_amount(Cents::new(cents))
}

/// An amount that is inside the allowed range.
///
/// # Errors
/// [`MoneyError::NotPositive`] or [`MoneyError::Range`].
pub fn check_amount(amount: Cents) -> Result<Cents, MoneyError> {
    if amount <= Cents::ZERO {
        return Err(MoneyError::NotPositive);
    }
    if amount < AMOUNT_LIMIT { Ok(amount) } else { Err(MoneyError::Range) }
}

/// `digits` or `digits.d` or `digits.dd` with at most 16 whole digits: nearly every amount there is.
fn plain_cents(text: &[u8]) -> Option<i128> {
    let (whole, fraction) = match text.iter().rev().take(3).position(|b| *b == b'.') {
        Some(digits) => (&text[..text.len() - digits - 1], &text[text.len() - digits..]),
        None => (text, &[][..]),
    };
    if whole.is_empty() || whole.len() > 16 || (fraction.is_empty() && whole.len() != text.len()) {
        return None;
    }
    let digits = |part: &[u8]| {
        part.iter().try_fold(0i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    };
    let cents = match fraction.len() {
        0 => 0,
        1 => digits(fraction)? * 10,
        _ => digits(fraction)?,
    };
    Some(i128::from(digits(whole)? * 100 + cents))
}

/// Everything else that is a decimal number: signs, exponents, further zeros.
fn general_cents(text: &str) -> Result<i128, MoneyError> {
    let (mantissa, exponent) = split_exponent(text)?;
    let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || (digits.ends_with('.')) {
        return Err(MoneyError::Syntax);
    }
    if whole.bytes().chain(fraction.bytes()).all(|b| b == b'0') || mantissa.starts_with('-') {
        return Err(MoneyError::NotPositive);
    }
    // The decimal point moves by the exponent; what is left of digits after two places must be zeros.
    let all: String = [whole, fraction].concat();
    let significant = all.trim_start_matches('0').trim_end_matches('0');
    let trailing = all.len() - all.trim_end_matches('0').len();
    let power = exponent - i64::try_from(fraction.len()).unwrap_or(i64::MAX)
        + i64::try_from(trailing).unwrap_or(i64::MAX);
    let length = i64::try_from(significant.len()).unwrap_or(i64::MAX);
    if length.saturating_add(power) > 16 {
        return Err(MoneyError::Range);
    }
    if power < -2 {
        return Err(MoneyError::Precision);
    }
    let cents: i128 = significant.parse().map_err(|_| MoneyError::Range)?;
    u32::try_from(power + 2).map(|zeros| cents * 10i128.pow(zeros)).map_err(|_| MoneyError::Precision)
}

fn split_exponent(text: &str) -> Result<(&str, i64), MoneyError> {
    match text.split_once(['e', 'E']) {
        None => Ok((text, 0)),
        Some((mantissa, exponent)) => {
            let exponent: i64 = exponent.parse().map_err(|_| MoneyError::Syntax)?;
            // An exponent beyond this is out of range whatever the mantissa; the bound keeps the sums small.
            Ok((mantissa, exponent.clamp(-100_000_000, 100_000_000)))
        }
    }
}

/// A sum of money in cents as a decimal with two places.
#[must_use]
pub fn decimal(cents: Cents) -> Option<Decimal> {
    Decimal::try_from_i128_with_scale(cents.as_i128(), 2).ok()
}

/// A decimal of any scale as text: `123456` at scale 2 is `1234.56`.
#[must_use]
pub fn format_scaled(value: i128, scale: u32) -> String {
    let (digits, scale) = (value.unsigned_abs().to_string(), scale as usize);
    let zeros = (scale + 1).saturating_sub(digits.len());
    let mut text = String::with_capacity(zeros + digits.len() + 2);
    if value < 0 {
        text.push('-');
    }
    let sign = text.len();
    text.extend(std::iter::repeat_n('0', zeros));
    text.push_str(&digits);
    if scale > 0 {
        let point = sign + zeros + digits.len() - scale;
        text.insert(point, '.');
    }
    text
}

/// Cents as text with two decimals.
#[must_use]
pub fn format_cents(cents: impl Into<Cents>) -> String {
    format_scaled(cents.into().as_i128(), 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::str::FromStr;

    #[test]
    fn every_digit_stands_at_its_place() {
        for (value, scale, text) in [
            (0, 2, "0.00"),
            (-5, 2, "-0.05"),
            (123_456, 2, "1234.56"),
            (-100, 2, "-1.00"),
            (7, 0, "7"),
            (-7, 0, "-7"),
            (1, 8, "0.00000001"),
            (i128::MIN, 2, "-1701411834604692317316873037158841057.28"),
        ] {
            assert_eq!(format_scaled(value, scale), text);
        }
    }

    #[test]
    fn exact_amounts() {
        for (text, cents) in [
            ("1", 100),
            ("0.01", 1),
            ("1234.5", 123_450),
            ("12.300", 1230),
            ("1e3", 100_000),
            ("1.25E1", 1250),
            ("+7.00", 700),
            ("123e-2", 123),
            ("0.1e1", 100),
            ("9999999999999999.99", 999_999_999_999_999_999),
            ("00012.5", 1250),
        ] {
            assert_eq!(parse_amount(text), Ok(Cents::new(cents)), "{text}");
        }
    }

    #[test]
    fn refused_amounts() {
        use MoneyError::*;
        for (text, why) in [
            ("", Syntax),
            (".5", Syntax),
            ("5.", Syntax),
            ("1,000.00", Syntax),
            ("NaN", Syntax),
            ("1e", Syntax),
            ("0x10", Syntax),
            (" 1", Syntax),
            ("１２", Syntax),
            ("--1", Syntax),
            ("12.345", Precision),
            ("0.30000000000000004", Precision),
            ("1e-3", Precision),
            ("0", NotPositive),
            ("-1", NotPositive),
            ("0.00", NotPositive),
            ("10000000000000000", Range),
            ("1e400000000000", Range),
            ("99999999999999999999999999999999999999999999", Range),
        ] {
            assert_eq!(parse_amount(text), Err(why), "{text}");
        }
    }

    proptest! {
        /// The oracle is `rust_decimal`.
        #[test]
        fn agrees_with_rust_decimal(mantissa in -10_000_000_000i64..10_000_000_000_000, scale in 0u32..6, exponent in -3i64..4) {
            let text = format!("{}e{exponent}", Decimal::new(mantissa, scale));
            let value = Decimal::from_scientific(&text).unwrap().normalize();
            let expected = if value <= Decimal::ZERO {
                Err(MoneyError::NotPositive)
            } else if value.scale() > 2 {
                Err(MoneyError::Precision)
            } else if value >= Decimal::from_str("10000000000000000").unwrap() {
                Err(MoneyError::Range)
            } else {
                Ok(Cents::new((value * Decimal::ONE_HUNDRED).normalize().mantissa()))
            };
            prop_assert_eq!(parse_amount(&text), expected);
        }

        #[test]
        fn text_comes_back(cents in (1..AMOUNT_LIMIT.as_i128()).prop_map(Cents::new)) {
            prop_assert_eq!(parse_amount(&format_cents(cents)), Ok(cents));
            prop_assert_eq!(decimal(cents).unwrap().to_string(), format_cents(cents));
        }
    }
}
