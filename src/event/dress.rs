//! What other programs put around a value: blanks, marks of spreadsheets, wide letters.

use std::borrow::Cow;

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
