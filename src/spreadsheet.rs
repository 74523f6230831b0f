//! Rows as spreadsheets open them: no cell of any CSV that leaves the program is taken for a formula.

use std::io::{self, Write};

use crate::event::hidden::is_hidden;

/// What tells a spreadsheet that a file is UTF-8.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A CSV file whose cells are all guarded.
pub(crate) struct GuardedCsv<W: Write> {
    out: csv::Writer<W>,
}

impl<W: Write> GuardedCsv<W> {
    /// For programs: lines end as on Unix.
    pub(crate) fn plain(out: W) -> Self {
        Self { out: csv::Writer::from_writer(out) }
    }

    /// For people's spreadsheets: a byte order mark, and lines that end as Excel ends them.
    ///
    /// # Errors
    /// If `out` cannot be written.
    pub(crate) fn marked(mut out: W) -> io::Result<Self> {
        out.write_all(BYTE_ORDER_MARK.as_bytes())?;
        let out = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        Ok(Self { out })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// If the file cannot be written, or the row has another length than the one before.
    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) -> io::Result<()> {
        let cells = cells.into_iter().map(|cell| safe(cell.as_ref()));
        self.out.write_record(cells).map_err(io::Error::from)
    }

    /// Writes what is still held back.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A cell that no spreadsheet runs: what begins like a formula gets an apostrophe in front, but for plain numbers.
#[must_use]
pub(crate) fn safe(text: &str) -> String {
    // Some programs pass over blanks, and over what nobody sees, in front of a formula.
    let seen = text.trim_start_matches(|c: char| c.is_whitespace() || is_hidden(c));
    let risky = seen.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    let breaks = text.trim_start_matches(' ').starts_with(['\t', '\r', '\n']);
    match (risky || breaks) && !is_number(text) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_are_neutralised_and_numbers_are_not() {
        for formula in [
            "=1+1",
            "+1",
            "-1+cmd|' /C calc'!A0",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            " =1",
            "＝1",
            "-",
            "-1-1",
            "-inf",
            "\u{3000}=1",
            "\u{feff}=1",
            "\u{202e}=1",
            "\0@SUM(A1)",
            "\u{2060}\u{ad}+1",
        ] {
            assert_eq!(safe(formula), format!("'{formula}"));
        }
        for plain in ["-12.50", "1", "", "a=b", "张三", "-5", "-1e-7", " 张三"] {
            assert_eq!(safe(plain), plain);
        }
    }

    #[test]
    fn a_marked_file_is_what_excel_expects() {
        let mut bytes = Vec::new();
        let mut rows = GuardedCsv::marked(&mut bytes).unwrap();
        rows.row(["收款人", "amount"]).unwrap();
        rows.row(["=1", "-1.00"]).unwrap();
        rows.flush().unwrap();
        drop(rows);
        assert_eq!(String::from_utf8(bytes).unwrap(), "\u{feff}收款人,amount\r\n'=1,-1.00\r\n");
    }

    proptest! {
        #[test]
        fn no_cell_begins_like_a_formula(text in "[=+@\\-\t\r a1.]{0,12}") {
            let cell = safe(&text);
            let first = cell.trim_start_matches(' ').chars().next();
            let number = cell.parse::<f64>().is_ok();
            prop_assert!(number || !matches!(first, Some('=' | '+' | '-' | '@' | '\t' | '\r')), "{cell:?}");
        }
    }
}
