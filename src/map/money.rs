//! Amounts as other programs write them, to exact cents: only digits are moved, nothing is divided or rounded.

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::shape::{MoneyShape, MoneyUnit, Negative};
use crate::{
    event::{
        dress::{is_scientific, naked, trim},
        money::{AMOUNT_LIMIT, MoneyError},
    },
    say,
};

/// How the amounts of a map are written.
#[derive(Debug, Clone)]
pub struct Money {
    /// Zeros that a whole number gets to be cents.
    zeros: u32,
    thousands: Option<char>,
    /// Whether a negative payment is a refund.
    pub refunds: bool,
}

/// An amount as it stands: its size, and on which side of zero it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Greater than zero.
    pub cents: i128,
    /// Whether it is below zero.
    pub negative: bool,
}

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// As in every format.
    #[error(transparent)]
    Plain(#[from] MoneyError),
    /// More decimals than its unit leaves of cents.
    #[error("{}", say!("more decimals than 万元 can have: 6"))]
    Precision,
    /// Commas, of which the map says nothing.
    #[error("{}", say!("not a decimal number; if its commas part thousands, say so in the map with `thousands` below `money`"))]
    Commas,
    /// Separators that part no thousands.
    #[error("{}", say!("its separators do not stand before every three digits"))]
    Grouping,
    /// The sign of a currency that is none of yuan.
    #[error("{}", say!("not a decimal number: {sign} is the sign of a currency; have the amount written without it, and a currency in a column of its own", sign))]
    Sign {
        /// The character before the digits.
        sign: char,
    },
    /// The cell names another unit than the map.
    #[error("{}", say!("it is in 万元, and the map has `unit: 元`"))]
    Unit,
    /// The same the other way.
    #[error("{}", say!("it is in 元, and the map has `unit: 万元`"))]
    Yuan,
    /// A zero and a separator, which no program writes before thousands.
    #[error("{}", say!("no number with separators begins with 0: the separator may be a decimal comma"))]
    LeadingZero,
}

impl Money {
    /// How amounts are written.
    ///
    /// # Errors
    /// If `thousands` is no single character.
    pub fn new(shape: &MoneyShape) -> Result<Self, String> {
        let mut signs = shape.thousands.iter().flat_map(|text| text.chars());
        let thousands = match (signs.next(), signs.next()) {
            (sign, None) if sign.is_none_or(|c| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '(')) => sign,
            _ => return Err(say!("`thousands` is one character such as a comma, and no digit or point")),
        };
        Ok(Self {
            zeros: if shape.unit == MoneyUnit::TenThousand { 6 } else { 2 },
            thousands,
            refunds: shape.negative == Negative::Refund,
        })
    }

    /// Whether an amount in plain digits is what it says in every format.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.zeros == 2
    }

    /// The amount that a text is.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(&self, text: &str) -> Result<Amount, AmountError> {
        let text = naked(text, false);
        let (negative, text) = self.bare(&text)?;
        let text = self.without_separators(text)?;
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if let Some(sign) = text.chars().find(|c| "$€£₩₽₹".contains(*c)) {
            return Err(AmountError::Sign { sign });
        }
        if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
            let commas = self.thousands.is_none() && text.contains(',');
            return Err(if commas { AmountError::Commas } else { MoneyError::Syntax.into() });
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        if whole.is_empty() && fraction.is_empty() {
            return Err(MoneyError::NotPositive.into());
        }
        let left = self.zeros.checked_sub(u32::try_from(fraction.len()).unwrap_or(u32::MAX));
        let Some(left) = left else {
            return Err(if self.is_plain() { MoneyError::Precision.into() } else { AmountError::Precision });
        };
        if whole.len() > 17 {
            return Err(MoneyError::Range.into());
        }
        // At most 17 and 6 digits.
        let number = |digits: &str| digits.bytes().fold(0i128, |n, digit| n * 10 + i128::from(digit - b'0'));
        let moved = 10i128.pow(self.zeros - left);
        let cents = (number(whole) * moved + number(fraction)) * 10i128.pow(left);
        match cents < AMOUNT_LIMIT.as_i128() {
            true => Ok(Amount { cents, negative }),
            false => Err(MoneyError::Range.into()),
        }
    }

    /// A text without sign, brackets, currency and unit, and whether it is below zero.
    fn bare<'t>(&self, text: &'t str) -> Result<(bool, &'t str), AmountError> {
        let (mut text, mut negative) = (text, false);
        if let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
            (text, negative) = (trim(inner), true);
        }
        let mut signs = usize::from(negative);
        loop {
            let before = text;
            for sign in ["-", "−", "+"] {
                if let Some(rest) = text.strip_prefix(sign).or_else(|| text.strip_suffix(sign)) {
                    (text, negative, signs) = (trim(rest), sign != "+", signs + 1);
                }
            }
            for mark in ["¥", "￥", "CNY", "RMB", "人民币"] {
                text = trim(text.strip_prefix(mark).unwrap_or(text));
            }
            for unit in ["万元", "元", "圆", "CNY", "RMB"] {
                if let Some(rest) = text.strip_suffix(unit) {
                    match unit {
                        "万元" if self.is_plain() => return Err(AmountError::Unit),
                        "元" | "圆" if !self.is_plain() => return Err(AmountError::Yuan),
                        _ => {}
                    }
                    text = trim(rest);
                }
            }
            if text == before {
                break;
            }
        }
        if signs > 1 { Err(MoneyError::Syntax.into()) } else { Ok((negative, text)) }
    }

    fn without_separators<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, AmountError> {
        let Some(separator) = self.thousands.filter(|separator| text.contains(*separator)) else {
            return Ok(Cow::Borrowed(text));
        };
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let mut groups = whole.split(separator);
        let first = groups.next().unwrap_or_default();
        let in_order = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
        if !in_order || fraction.is_some_and(|fraction| fraction.contains(separator)) {
            return Err(AmountError::Grouping);
        }
        if first.starts_with('0') {
            return Err(AmountError::LeadingZero);
        }
        Ok(Cow::Owned(text.replace(separator, "")))
    }
}

/// The digits of a number that JSON may write with an exponent.
pub(crate) fn plain_number(number: &str) -> Cow<'_, str> {
    match Decimal::from_scientific(number) {
        Ok(exact) if is_scientific(number) => Cow::Owned(exact.normalize().to_string()),
        _ => Cow::Borrowed(number),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::money::format_cents;

    fn money(unit: MoneyUnit, thousands: Option<&str>) -> Money {
        let thousands = thousands.map(str::to_owned);
        Money::new(&MoneyShape { unit, thousands, negative: Negative::Refund }).unwrap()
    }

    #[test]
    fn amounts_as_programs_write_them() {
        let yuan = money(MoneyUnit::One, Some(","));
        for (text, cents) in [
            ("1234.5", 123_450),
            ("1,234.50", 123_450),
            ("１，２３４．５０", 123_450),
            ("¥1,234.50", 123_450),
            ("￥ 1234.50元", 123_450),
            ("CNY 1234.50", 123_450),
            ("(1,234.50)", -123_450),
            ("（1234.50）", -123_450),
            ("1,234.50-", -123_450),
            ("-¥1,234.50", -123_450),
            ("¥-1,234.50", -123_450),
            ("－1234.50", -123_450),
            ("'1234.50", 123_450),
            ("=\"1234.50\"", 123_450),
            ("0001.500000", 150),
            ("9,999,999,999,999,999.99", 999_999_999_999_999_999),
        ] {
            let read = yuan.read(text).map(|a| if a.negative { -a.cents } else { a.cents });
            assert_eq!(read, Ok(cents), "{text}");
        }
        for text in ["", "-", "abc", "--1", "(-1)", "-1-", "1.2.3", "5.", ".", "1 000", "1e3"] {
            assert_eq!(yuan.read(text), Err(MoneyError::Syntax.into()), "{text}");
        }
        for (text, sign) in [("US$5", '$'), ("€5.00", '€'), ("5 £", '£')] {
            assert_eq!(yuan.read(text), Err(AmountError::Sign { sign }), "{text}");
        }
        for text in ["1,23", "12,34.5", "1234,567", ",123", "1.234,56", "1,,234"] {
            assert_eq!(yuan.read(text), Err(AmountError::Grouping), "{text}");
        }
        assert_eq!(yuan.read("1.005"), Err(MoneyError::Precision.into()));
        assert_eq!(yuan.read("0.00"), Err(MoneyError::NotPositive.into()));
        assert_eq!(yuan.read("10000000000000000"), Err(MoneyError::Range.into()));
        assert_eq!(yuan.read("3万元"), Err(AmountError::Unit));
        let wan = money(MoneyUnit::TenThousand, None);
        for text in ["5000元", "5000.00 元", "￥5000圆"] {
            assert_eq!(wan.read(text), Err(AmountError::Yuan), "{text}");
        }
        let amounts = ["1.0E7", "1.2e3", "12", "5e-1", "1e99"].map(plain_number);
        assert_eq!(amounts, ["10000000", "1200", "12", "0.5", "1e99"]);
        let grouped = money(MoneyUnit::One, Some(","));
        for text in ["0,123", "0,050", "0,000,005", "00,123.00", "(0,123)"] {
            assert_eq!(grouped.read(text), Err(AmountError::LeadingZero), "{text}");
        }
        assert_eq!(money(MoneyUnit::One, None).read("1,234.50"), Err(AmountError::Commas));
    }

    #[test]
    fn ten_thousands_lose_no_cent() {
        let wan = money(MoneyUnit::TenThousand, Some(","));
        for (text, cents) in
            [("1", 1_000_000), ("0.000001", 1), ("1,234.567891万元", 1_234_567_891), ("12.30", 12_300_000)]
        {
            assert_eq!(wan.read(text), Ok(Amount { cents, negative: false }), "{text}");
        }
        assert_eq!(wan.read("0.0000001"), Err(AmountError::Precision));
        assert_eq!(wan.read("1000000000000"), Err(MoneyError::Range.into()));
    }

    proptest! {
        /// The oracle is `rust_decimal`.
        #[test]
        fn every_way_of_writing_is_the_same_amount(cents in 1i128..AMOUNT_LIMIT.as_i128(), way in 0usize..5) {
            let plain = format_cents(cents);
            let (whole, fraction) = plain.split_once('.').unwrap();
            let grouped: Vec<_> = whole.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap()).collect();
            let grouped = format!("{}.{fraction}", grouped.join(","));
            let negative = way >= 3;
            let text = [
                plain.clone(), grouped.clone(), format!("￥{grouped}元"), format!("({grouped})"), format!("{plain}-"),
            ][way].clone();
            prop_assert_eq!(money(MoneyUnit::One, Some(",")).read(&text), Ok(Amount { cents, negative }));
            let wan = Decimal::from_i128_with_scale(cents, 6).to_string();
            prop_assert_eq!(money(MoneyUnit::TenThousand, None).read(&wan), Ok(Amount { cents, negative: false }));
        }

        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,24}") {
            let _ = money(MoneyUnit::One, Some(",")).read(&text);
        }
    }
}
