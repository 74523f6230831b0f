//! The value of a field as a format has it.

use std::borrow::Cow;

/// A value as a record has it, before it is checked.
#[derive(Debug, Clone, Default)]
pub(crate) enum RawCell<'a> {
    /// Missing, null or empty.
    #[default]
    Absent,
    /// Text inside the block.
    Text(&'a str),
    /// Text that is not in the block as it stands (it was escaped there).
    Owned(String),
    /// A JSON number, as written.
    Number(&'a str),
    /// Cents that are exact already (a decimal column).
    Cents(i128),
    /// Microseconds that are exact already (a timestamp column).
    Micros(i64),
    /// Microseconds of a clock whose zone is not told (a timestamp column without one).
    Local(i64),
    /// A list of strings.
    List(Vec<Cow<'a, str>>),
    /// Anything else, by its name.
    Other(&'static str),
    /// A value that has lost its digits, as its source shows it.
    Inexact(String),
    /// A value whose fault is told already.
    Told,
}

impl<'a> RawCell<'a> {
    /// Text of the block; an empty text is a missing value in every format.
    pub(crate) fn text(text: &'a str) -> Self {
        if text.is_empty() { Self::Absent } else { Self::Text(text) }
    }
}
