//! Numbers as people write them: digits, Chinese numerals, English words, and the units behind them.

use rust_decimal::Decimal;

const WORDS: [&str; 13] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
];

/// A number without its unit: digits, Chinese numerals below ten thousand, or an English word up to twelve.
pub(super) fn number(text: &str) -> Option<Decimal> {
    if let Some(at) = WORDS.iter().position(|word| *word == text) {
        return Some(Decimal::from(at));
    }
    match text {
        "fifteen" => return Some(Decimal::from(15)),
        "twenty" => return Some(Decimal::from(20)),
        "fifty" => return Some(Decimal::from(50)),
        "hundred" => return Some(Decimal::from(100)),
        _ => {}
    }
    match text.chars().next()? {
        first if first.is_ascii_digit() => text.replace(',', "").parse().ok(),
        _ => chinese(text),
    }
}

fn chinese(text: &str) -> Option<Decimal> {
    let (mut sum, mut digit) = (0_i64, None);
    for sign in text.chars() {
        let value = "零一二三四五六七八九".chars().position(|known| known == sign);
        let value = value.or_else(|| matches!(sign, '两' | '俩').then_some(2));
        let times = match sign {
            '十' => 10,
            '百' => 100,
            '千' => 1000,
            _ => {
                digit = Some(i64::try_from(value?).ok()?);
                continue;
            }
        };
        sum += digit.take().unwrap_or(1) * times;
    }
    Some(Decimal::from(sum + digit.unwrap_or(0)))
}

/// How many of one a unit behind a number is.
pub(super) fn scale(unit: &str) -> Option<Decimal> {
    let times: i64 = match unit {
        "k" | "thousand" | "千" => 1_000,
        "万" | "万元" | "wan" => 10_000,
        "十万" => 100_000,
        "百万" | "m" | "million" => 1_000_000,
        "千万" => 10_000_000,
        "亿" | "亿元" => 100_000_000,
        "bn" | "billion" => 1_000_000_000,
        "" => 1,
        _ => return None,
    };
    Some(Decimal::from(times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, value) in [
            ("12", "12"),
            ("50,000", "50000"),
            ("1.5", "1.5"),
            ("十", "10"),
            ("二十", "20"),
            ("三百五十", "350"),
            ("两千", "2000"),
            ("ten", "10"),
        ] {
            assert_eq!(number(text).map(|n| n.to_string()), Some(value.to_owned()), "{text}");
        }
        assert_eq!(number("支付"), None);
    }
}
