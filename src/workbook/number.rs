//! Numbers of a spreadsheet as exact decimals.
//!
//! Excel holds floats, of which the first 15 digits can be trusted, and writes 17: what was typed as 4.35 stands in the file as
//! 4.3499999999999996. Other programs write numbers with all their digits. So a number is what it says with up to 15 digits, the
//! shortest decimal of its float where that has 15, and its own digits where they say more than a float can; all
//! else is inexact.

/// Digits that a float holds whatever they are.
const EXACT_DIGITS: usize = 15;
/// The same before the point.
const WHOLE_DIGITS: i32 = 15;
/// Digits that tell a float from all others.
const FLOAT_DIGITS: usize = 17;
/// Whole numbers below this are floats one by one.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// Powers of ten beyond which nothing is a number of a treasury.
const EXPONENT_MAX: i32 = 40;

/// What a number in a file is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Number {
    /// The decimal, without exponent.
    Exact(String),
    /// Nobody knows the digits that it had.
    Inexact,
    /// It is no number.
    None,
}

/// The number that a text stands for.
pub(crate) fn exact(text: &str) -> Number {
    let Some(written) = Decimal::of(text) else { return Number::None };
    if written.is_short() {
        return written.plain();
    }
    let Ok(float) = text.trim().parse::<f64>() else { return Number::Inexact };
    let Some(shortest) = Decimal::of(&format!("{float:e}")) else { return Number::Inexact };
    if !written.exponent && written.scale <= 0 {
        // A card number that was typed into Excel ends in zeros that nobody typed.
        let told = float.abs() < WHOLE_MAX && written.last() != Some(b'0');
        return if told || written != shortest { written.plain() } else { Number::Inexact };
    }
    match () {
        () if shortest.is_short() => shortest.plain(),
        () if !written.exponent && written.digits.len() > FLOAT_DIGITS => written.plain(),
        () => Number::Inexact,
    }
}

/// Whether a float is whole cents and so on: its shortest decimal, if that can be trusted.
pub(crate) fn of_float(float: f64) -> Number {
    match float.is_finite() {
        true if float.abs() < 1e17 => exact(&format!("{float}")),
        true => Number::Inexact,
        false => Number::None,
    }
}

/// A decimal number: its digits, and how many of them stand behind the point.
#[derive(Debug, Clone)]
struct Decimal {
    negative: bool,
    /// Without zeros in front, and without zeros at the end behind the point.
    digits: Vec<u8>,
    scale: i32,
    /// Whether it was written with an exponent.
    exponent: bool,
}

impl PartialEq for Decimal {
    /// As numbers: 10 and 1e1 are equal.
    fn eq(&self, other: &Self) -> bool {
        self.negative == other.negative && self.stripped() == other.stripped()
    }
}

impl Decimal {
    fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, power) = match text.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, Some(power.parse::<i32>().ok()?)),
            None => (text, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let power_of_ten = power.unwrap_or(0);
        if power_of_ten.abs() > EXPONENT_MAX || whole.len() + fraction.len() > 100 {
            return None;
        }
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let mut scale = i32::try_from(fraction.len()).ok()? - power_of_ten;
        while scale > 0 && digits.last() == Some(&b'0') {
            digits.pop();
            scale -= 1;
        }
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        Some(Self { negative: negative && !digits.is_empty(), digits, scale, exponent: power.is_some() })
    }

    /// Whether a float holds it whatever it is.
    fn is_short(&self) -> bool {
        let whole = i32::try_from(self.digits.len()).unwrap_or(i32::MAX).saturating_sub(self.scale);
        self.digits.len() <= EXACT_DIGITS && whole <= WHOLE_DIGITS
    }

    fn last(&self) -> Option<u8> {
        if self.scale < 0 { Some(b'0') } else { self.digits.last().copied() }
    }

    fn stripped(&self) -> (&[u8], i32) {
        let zeros = self.digits.iter().rev().take_while(|digit| **digit == b'0').count();
        (&self.digits[..self.digits.len() - zeros], self.scale - i32::try_from(zeros).unwrap_or(i32::MAX))
    }

    fn plain(&self) -> Number {
        let mut digits = self.digits.clone();
        if digits.is_empty() {
            return Number::Exact("0".to_owned());
        }
        let zeros = usize::try_from(-self.scale).unwrap_or(0);
        digits.extend(std::iter::repeat_n(b'0', zeros));
        let scale = usize::try_from(self.scale).unwrap_or(0);
        let missing = (scale + 1).saturating_sub(digits.len());
        digits.splice(..0, std::iter::repeat_n(b'0', missing));
        let point = digits.len() - scale;
        let mut text = String::with_capacity(digits.len() + 2);
        if self.negative {
            text.push('-');
        }
        text.extend(digits[..point].iter().map(|digit| char::from(*digit)));
        if scale > 0 {
            text.push('.');
            text.extend(digits[point..].iter().map(|digit| char::from(*digit)));
        }
        Number::Exact(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal as Oracle;

    use super::*;

    fn exactly(text: &str) -> Option<String> {
        match exact(text) {
            Number::Exact(text) => Some(text),
            Number::Inexact => None,
            Number::None => panic!("{text} is no number"),
        }
    }

    #[test]
    fn numbers_as_programs_write_them() {
        for (written, meant) in [
            ("123456.78", "123456.78"),
            ("4.3499999999999996", "4.35"),
            ("1.1000000000000001", "1.1"),
            ("1.2345678E5", "123456.78"),
            ("1.23E+05", "123000"),
            ("-0.10", "-0.1"),
            ("-0", "0"),
            ("0.000", "0"),
            ("5E-2", "0.05"),
            ("100", "100"),
            ("001", "1"),
            // Written by a program that knows all digits.
            ("6228480402564890018", "6228480402564890018"),
            ("123456789012345678.99", "123456789012345678.99"),
            ("6222021234567891", "6222021234567891"),
        ] {
            assert_eq!(exactly(written).as_deref(), Some(meant), "{written}");
        }
        for lost in [
            "6.22848E+18",
            "6222021234567890",
            "6228480402564890000",
            "0.30000000000000004",
            "1234567890123.4567",
            "1E+30",
        ] {
            assert_eq!(exactly(lost), None, "{lost}");
        }
        for none in ["", "-", "1,000", "abc", "1e", "1e999", ".", "1.2.3", "０"] {
            assert_eq!(exact(none), Number::None, "{none}");
        }
    }

    proptest! {
        /// What a person types into a cell comes out, however its float is written.
        #[test]
        fn cents_come_out_of_a_float(cents in -99_999_999_999_999_i64..=99_999_999_999_999) {
            let typed = Oracle::new(cents, 2);
            let float: f64 = typed.to_string().parse().unwrap();
            for written in [format!("{float}"), format!("{float:e}"), format!("{float:.16e}"), typed.to_string()] {
                let exact = exactly(&written).unwrap();
                prop_assert_eq!(exact.parse::<Oracle>().unwrap(), typed, "{}", written);
            }
        }

        /// A whole number of many digits comes out as it is, or not at all.
        #[test]
        fn long_numbers_keep_their_digits(number in 0_u64..) {
            let written = number.to_string();
            if let Some(exact) = exactly(&written) {
                prop_assert_eq!(exact, written);
            }
        }

        /// The float of a long number is never taken for it, unless it is it.
        #[test]
        fn made_up_digits_are_told(number in 1_000_000_000_000_000_u64..) {
            #[allow(clippy::cast_precision_loss)]
            if let Number::Exact(exact) = of_float(number as f64) {
                prop_assert_eq!(exact, number.to_string());
            }
        }
    }
}
