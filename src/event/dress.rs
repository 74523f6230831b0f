//! What other programs put around a value: blanks, marks of spreadsheets, wide letters.

use std::borrow::Cow;

use crate::say;

/// A text without blanks around it and without `="…"`; if it is not free, without an apostrophe in front and with wide
/// letters, digits and punctuation made narrow.
#[must_use]
pub(crate) fn naked(text: &str, free: bool) -> Cow<'_, str> {
    let text = trim(text);
    let text = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"')).map_or(text, trim);
    if free {
        return Cow::Borrowed(text);
    }
    let text = trim(text.strip_prefix('\'').unwrap_or(text));
    match text.contains(is_wide) {
        true => Cow::Owned(text.chars().map(narrow).collect()),
        false => Cow::Borrowed(text),
    }
}

/// A text without blanks around it.
#[must_use]
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

const fn is_wide(c: char) -> bool {
    matches!(c, '！'..='～' | '\u{3000}')
}

fn narrow(c: char) -> char {
    match c {
        '\u{3000}' => ' ',
        // The wide forms stand in the order of ASCII.
        c if is_wide(c) => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        c => c,
    }
}

/// A name as it is compared with others: without blanks and line ends anywhere, narrow, in small letters.
#[must_use]
pub(crate) fn squeezed(name: &str) -> String {
    let seen = name.chars().filter(|c| !c.is_whitespace() && *c != '\u{feff}').map(narrow);
    seen.flat_map(char::to_lowercase).collect()
}

/// That a spreadsheet has rounded a number.
pub(crate) fn lost_digits(name: &str, text: &str) -> String {
    say!(
        "{name} {text} has lost its digits, as spreadsheets write long numbers. Format the column as text there, fill it again and export it again",
        name,
        text
    )
}

/// Whether a code or number stands there as `6.22848E+18`. A plain `1E5` may be a code, so a point or a sign is asked for.
pub(crate) fn is_collapsed(text: &str) -> bool {
    match scientific(text) {
        Some((mantissa, exponent)) => mantissa.contains('.') || exponent.starts_with('+'),
        None => false,
    }
}

/// Whether a number has an exponent.
pub(crate) fn is_scientific(text: &str) -> bool {
    scientific(text).is_some()
}

fn scientific(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let (b'0'..=b'9' | b'+' | b'-') = bytes.first()? else { return None };
    let at = memchr::memchr2(b'e', b'E', bytes)?;
    let (mantissa, exponent) = (&text[..at], &text[at + 1..]);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = |part: &'_ str| -> Cow<'_, str> {
        Cow::Owned(part.trim_start_matches(['+', '-']).replacen('.', "", 1))
    };
    let whole = !exponent.contains('.') && digits(&unsigned(exponent));
    (digits(&unsigned(mantissa)) && whole).then_some((mantissa, exponent))
}
