//! What stands in a table: shown to people in one way, given to programs in another.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::visible::visible;
use crate::{
    event::{Cents, Instant, time::Calendar},
    say,
    text::{Language, spoken},
};

#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Missing,
    /// Text of data, or of ours.
    Text(String),
    /// An id, of which a table shows as much as names it.
    Id(String),
    /// A number of things.
    Count(String),
    Money(String),
    /// A share of one, as exact text.
    Share(String),
    /// An instant: the local one, and the exact one.
    Time(String, String),
    Severity(String),
    /// A word of the API, and what it is called.
    Word(String, String),
}

/// Characters of an id that a table shows.
const ID_SHOWN: usize = 8;

impl Cell {
    /// Text; nothing for a missing one.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Missing } else { Self::Text(text) }
    }

    /// Text that may be missing.
    pub(crate) fn maybe(text: Option<&str>) -> Self {
        text.map_or(Self::Missing, Self::text)
    }

    /// A number of things.
    #[allow(clippy::needless_pass_by_value)] // Numbers are copied.
    pub(crate) fn count(count: impl ToString) -> Self {
        Self::Count(count.to_string())
    }

    pub(crate) fn money(amount: Cents) -> Self {
        Self::Money(amount.to_string())
    }

    pub(crate) fn time(at: Instant, calendar: &Calendar) -> Self {
        let local = calendar.local(at).strftime("%Y-%m-%d %H:%M:%S").to_string();
        Self::Time(local, calendar.format(at))
    }

    /// An instant as RFC 3339; text that is none stays what it is.
    pub(crate) fn instant(text: &str, calendar: &Calendar) -> Self {
        calendar.parse(text).map_or_else(|_| Self::text(text), |at| Self::time(at, calendar))
    }

    /// A word with its Chinese.
    pub(crate) fn word(word: &str, zh: &str) -> Self {
        let said = if spoken() == Language::Zh && !zh.is_empty() { zh } else { word };
        Self::Word(word.to_owned(), said.to_owned())
    }

    /// As people see it.
    pub(crate) fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Missing => Cow::Borrowed("–"),
            Self::Text(text) => visible(text),
            Self::Id(id) => match id.char_indices().nth(ID_SHOWN) {
                Some((end, _)) => visible(&id[..end]),
                None => visible(id),
            },
            Self::Money(number) | Self::Count(number) => Cow::Owned(separated(number)),
            Self::Share(share) => Cow::Owned(percent(share)),
            Self::Time(local, _) => Cow::Borrowed(local),
            Self::Severity(word) => Cow::Owned(format!("● {}", severity_word(word))),
            Self::Word(_, said) => visible(said),
        }
    }

    /// As programs read it.
    pub(crate) fn plain(&self) -> &str {
        match self {
            Self::Missing => "",
            Self::Text(text) | Self::Id(text) | Self::Count(text) | Self::Money(text) | Self::Share(text) => {
                text
            }
            Self::Time(_, exact) => exact,
            Self::Severity(word) | Self::Word(word, _) => word,
        }
    }

    /// As a spreadsheet has it: whole, in people's words, and amounts as numbers.
    pub(crate) fn on_sheet(&self) -> Cow<'_, str> {
        match self {
            Self::Time(local, _) => Cow::Borrowed(local),
            Self::Severity(word) => Cow::Owned(severity_word(word)),
            Self::Word(_, said) => Cow::Borrowed(said),
            _ => Cow::Borrowed(self.plain()),
        }
    }

    /// Its colour on a screen that has some.
    pub(crate) fn colour(&self) -> Option<&'static str> {
        match self {
            Self::Severity(word) => Some(severity_colour(word)),
            _ => None,
        }
    }
}

/// What a severity is called; in Chinese by its colour.
fn severity_word(word: &str) -> String {
    match word {
        "critical" => say!("critical"),
        "high" => say!("high"),
        "medium" => say!("medium"),
        "low" => say!("low"),
        other => visible(other).into_owned(),
    }
}

/// The escape code of a severity's colour.
fn severity_colour(word: &str) -> &'static str {
    match word {
        "critical" => "31",
        "high" => "38;5;208",
        "medium" => "33",
        _ => "34",
    }
}

/// `1234567.80` as `1,234,567.80`; anything else as it is.
pub(crate) fn separated(amount: &str) -> String {
    let (sign, digits) = amount.strip_prefix('-').map_or(("", amount), |digits| ("-", digits));
    let (whole, fraction) = digits.find('.').map_or((digits, ""), |at| digits.split_at(at));
    if !whole.bytes().all(|b| b.is_ascii_digit()) || !fraction.bytes().skip(1).all(|b| b.is_ascii_digit()) {
        return visible(amount).into_owned();
    }
    let mut text = String::with_capacity(amount.len() + whole.len() / 3);
    text.push_str(sign);
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

/// `0.87345` as `87.3 %`, cut off; exact digits stay for programs.
fn percent(share: &str) -> String {
    let shown = share.parse::<rust_decimal::Decimal>().ok().and_then(|share| {
        share.checked_mul(rust_decimal::Decimal::ONE_HUNDRED).map(|percent| percent.trunc_with_scale(1))
    });
    shown.map_or_else(|| visible(share).into_owned(), |percent| format!("{percent:.1} %"))
}

/// `unit_code=101001 amount=60.00`
pub(crate) fn pairs(object: &Map<String, Value>) -> String {
    let pairs: Vec<_> = object.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
    pairs.join(" ")
}

/// A value of JSON as text.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_separators_and_stay_exact() {
        for (amount, shown) in [
            ("0.00", "0.00"),
            ("999.99", "999.99"),
            ("1000.00", "1,000.00"),
            ("-1234567.80", "-1,234,567.80"),
            ("12345678901234567890.12", "12,345,678,901,234,567,890.12"),
            ("100", "100"),
            ("a\u{1b}", "a\\u{1b}"),
        ] {
            assert_eq!(separated(amount), shown);
        }
        assert_eq!(Cell::Money("1234.50".into()).plain(), "1234.50");
        assert_eq!(percent("0.87399"), "87.3 %");
        assert_eq!(percent("1"), "100.0 %");
    }

    #[test]
    fn times_are_local_to_the_second_and_exact_for_programs() {
        let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        let cell = Cell::instant("2026-03-04T02:00:05.25Z", &calendar);
        assert_eq!((&*cell.shown(), cell.plain()), ("2026-03-04 10:00:05", "2026-03-04T10:00:05.25+08:00"));
    }
}
