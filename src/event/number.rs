//! Exact numbers that are no money, such as a programme's targets: text to whole millionths and back.

use rust_decimal::Decimal;

use super::money::format_scaled;
use crate::say;

/// Digits after the point.
pub const SCALE: u32 = 6;
/// One more than the largest magnitude, in millionths: 10¹⁸.
const LIMIT: i128 = 1_000_000_000_000_000_000_000_000;

/// Why a text is not such a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not a decimal number.
    #[error("{}", say!("not a decimal number"))]
    Syntax,
    /// More than six decimals that are not zero.
    #[error("{}", say!("more than 6 decimals"))]
    Precision,
    /// 10¹⁸ or more.
    #[error("{}", say!("not between -10^18 and 10^18"))]
    Range,
}

/// Millionths of a decimal text such as `-3.5` or `1e3`; nothing is rounded.
///
/// # Errors
/// [`NumberError`].
pub fn parse_number(text: &str) -> Result<i128, NumberError> {
    use rust_decimal::Error;
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if !plain
        || !text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+')
        || text.ends_with('.')
    {
        return Err(NumberError::Syntax);
    }
    let read = if text.contains(['e', 'E']) {
        Decimal::from_scientific(text)
    } else {
        Decimal::from_str_exact(text)
    };
    let number = read.map_err(|e| match e {
        Error::Underflow | Error::ScaleExceedsMaximumPrecision(_) => NumberError::Precision,
        Error::ExceedsMaximumPossibleValue | Error::LessThanMinimumPossibleValue => NumberError::Range,
        _ => NumberError::Syntax,
    })?;
    scaled(number.mantissa(), number.scale())
}

/// Millionths of `mantissa` · 10⁻ˢᶜᵃˡᵉ.
///
/// # Errors
/// [`NumberError::Precision`] or [`NumberError::Range`].
pub fn scaled(mantissa: i128, scale: u32) -> Result<i128, NumberError> {
    let millionths = if scale <= SCALE {
        mantissa.checked_mul(10i128.pow(SCALE - scale)).ok_or(NumberError::Range)?
    } else {
        let unit = 10i128.checked_pow(scale - SCALE).ok_or(NumberError::Precision)?;
        if mantissa % unit != 0 {
            return Err(NumberError::Precision);
        }
        mantissa / unit
    };
    if (1 - LIMIT..LIMIT).contains(&millionths) { Ok(millionths) } else { Err(NumberError::Range) }
}

/// Millionths as text without needless zeros: `85` or `-0.5`.
#[must_use]
pub fn format_number(millionths: i128) -> String {
    let text = format_scaled(millionths, SCALE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{NumberError::*, *};
    use proptest::prelude::*;

    #[test]
    fn exact_numbers_and_why_others_are_none() {
        for (text, millionths) in [
            ("0", 0),
            ("-3.5", -3_500_000),
            ("+85", 85_000_000),
            ("0.0000010", 1),
            ("1e3", 1_000_000_000),
            ("999999999999999999.999999", LIMIT - 1),
        ] {
            assert_eq!(parse_number(text), Ok(millionths), "{text}");
        }
        for (text, why) in [
            ("", Syntax),
            ("x", Syntax),
            (".5", Syntax),
            ("5.", Syntax),
            ("1_000", Syntax),
            ("1,000", Syntax),
            ("--1", Syntax),
            ("NaN", Syntax),
            ("0.0000001", Precision),
            ("1000000000000000000", Range),
            ("-1000000000000000000", Range),
        ] {
            assert_eq!(parse_number(text), Err(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_comes_back(millionths in 1 - LIMIT..LIMIT) {
            prop_assert_eq!(parse_number(&format_number(millionths)), Ok(millionths));
        }
    }
}
