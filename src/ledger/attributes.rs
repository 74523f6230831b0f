//! The attributes of a budget line: what it was approved for, or what the payment that opened it says.

use arrow::{
    array::{Array, AsArray},
    datatypes::Int32Type,
    record_batch::RecordBatch,
};

use crate::event::{Column, schema::LINE_ATTRIBUTES};

/// The texts among [`LINE_ATTRIBUTES`]: all but the fiscal year.
pub(crate) const TEXTS: usize = LINE_ATTRIBUTES.len() - 1;

/// A line's attributes, packed into one text because there can be millions of lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Whether a `budget` event approved the line.
    pub approved: bool,
    /// The fiscal year that the line is of.
    pub fiscal_year: Option<i32>,
    ends: [u32; TEXTS],
    text: Box<str>,
}

impl Attributes {
    /// Attributes with texts in the order of [`LINE_ATTRIBUTES`]; a missing one is `None`.
    #[must_use]
    pub fn new(approved: bool, fiscal_year: Option<i32>, texts: [Option<&str>; TEXTS]) -> Self {
        let mut ends = [0; TEXTS];
        let mut text = String::new();
        for (end, part) in ends.iter_mut().zip(texts) {
            text.push_str(part.unwrap_or_default());
            *end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        }
        Self { approved, fiscal_year, ends, text: text.into() }
    }

    /// The attributes that an event has.
    #[must_use]
    pub fn of(events: &RecordBatch, row: usize, approved: bool) -> Self {
        let text = |column: Column| {
            let array = events.column(column.index()).as_string_view();
            array.is_valid(row).then(|| array.value(row))
        };
        let years = events.column(Column::FiscalYear.index()).as_primitive::<Int32Type>();
        let texts = std::array::from_fn(|at| text(LINE_ATTRIBUTES[at + 1]));
        Self::new(approved, years.is_valid(row).then(|| years.value(row)), texts)
    }

    /// A text attribute; `None` where it is missing, or `column` is none.
    #[must_use]
    pub fn text(&self, column: Column) -> Option<&str> {
        let at = LINE_ATTRIBUTES.iter().position(|c| *c == column)?.checked_sub(1)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        let text = &self.text[start as usize..self.ends[at] as usize];
        // An empty text is a missing value everywhere (see `decode`).
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_and_unpacks() {
        let texts = [Some("330100000"), None, Some("教育局"), None, Some("30201"), None, Some("11")];
        let attributes = Attributes::new(true, Some(2026), texts);
        let unpacked: Vec<_> = LINE_ATTRIBUTES[1..].iter().map(|c| attributes.text(*c)).collect();
        assert_eq!(unpacked, texts);
        assert_eq!(attributes.text(Column::Amount), None);
        assert_eq!(attributes.text(Column::FiscalYear), None);
    }
}
