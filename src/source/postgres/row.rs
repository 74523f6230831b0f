//! A row as a JSON object of texts, with what the reader adds: its place, and which values cannot be exact.

use std::io::Write as _;

use tokio_postgres::Row;
use xxhash_rust::xxh3::xxh3_128;

use super::{
    PostgresSource, Relation,
    shape::{ColumnText, TableShape},
    window::Digest,
};
use crate::{
    say,
    stream::{FAULT, INEXACT, PLACE, RECORD_BYTES_MAX, SHOWN},
};

/// A row as it is read.
pub(crate) struct Read {
    pub digest: Digest,
    /// The value of the cursor.
    pub at: String,
    /// Whether that is larger than everything that was read before.
    pub is_beyond: bool,
}

/// Appends a row as a line.
pub(crate) fn append(
    row: &Row,
    shape: &TableShape,
    source: &PostgresSource,
    out: &mut Vec<u8>,
) -> Result<Read, tokio_postgres::Error> {
    let start = out.len();
    out.push(b'{');
    for (at, column) in shape.columns.iter().enumerate() {
        string(&column.name, out);
        out.push(b':');
        match row.try_get::<_, Option<&str>>(at)? {
            None => out.extend_from_slice(b"null"),
            Some(text) => value(text, column.kind, out),
        }
        out.push(b',');
    }
    let digest = xxh3_128(&out[start..]);
    let count = shape.columns.len();
    let at: &str = row.try_get(count)?;
    let beyond: Option<&str> = row.try_get(count + 1)?;
    string(PLACE, out);
    out.push(b':');
    string(&place(row, shape, source, at)?, out);
    out.extend_from_slice(b"}\n");
    Ok(Read { digest, at: at.to_owned(), is_beyond: beyond == Some("true") })
}

/// Where a row is found, for people.
fn place(
    row: &Row,
    shape: &TableShape,
    source: &PostgresSource,
    at: &str,
) -> Result<String, tokio_postgres::Error> {
    let mut parts = Vec::new();
    for column in &shape.key {
        let value: Option<&str> = row.try_get(*column)?;
        parts.push(format!("{} {}", shape.columns[*column].name, value.unwrap_or("NULL")));
    }
    if parts.is_empty() {
        parts.push(format!("{} {at}", source.cursor));
    }
    let row = parts.join(", ");
    Ok(match &source.relation {
        Relation::Table(table) => say!("table {table}, row with {row}", table, row),
        Relation::Query(_) => say!("row with {row}", row),
    })
}

fn value(text: &str, kind: ColumnText, out: &mut Vec<u8>) {
    match kind {
        ColumnText::Zoned if text.ends_with("+00") && text.as_bytes().get(10) == Some(&b' ') => {
            let _ = write!(out, "\"{}T{}Z\"", &text[..10], &text[11..text.len() - 3]);
        }
        ColumnText::Float(digits) if !is_exact(text, digits) => {
            let _ = write!(out, "{{\"{FAULT}\":\"{INEXACT}\",\"{SHOWN}\":");
            string(text, out);
            out.push(b'}');
        }
        // JSON may have line ends between its parts, never within its strings.
        ColumnText::Json if text.len() <= RECORD_BYTES_MAX => {
            out.extend(text.bytes().map(|byte| if byte.is_ascii_whitespace() { b' ' } else { byte }));
        }
        _ => string(text, out),
    }
}

/// Whether the digits of a floating-point number are those that were once put in: it holds so many, and shows more only
/// where it had to.
fn is_exact(text: &str, digits: usize) -> bool {
    let plain = text.strip_prefix('-').unwrap_or(text);
    let significant = plain.bytes().filter(u8::is_ascii_digit).skip_while(|byte| *byte == b'0').count();
    plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && significant <= digits
}

fn string(text: &str, out: &mut Vec<u8>) {
    // Writing text to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, kind: ColumnText) -> String {
        let mut out = Vec::new();
        value(text, kind, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_stand_as_the_database_wrote_them() {
        assert_eq!(shown("60150.51", ColumnText::Plain), "\"60150.51\"");
        assert_eq!(shown("a\"b\nc", ColumnText::Plain), r#""a\"b\nc""#);
        assert_eq!(shown("2026-03-04 02:00:00.5+00", ColumnText::Zoned), "\"2026-03-04T02:00:00.5Z\"");
        assert_eq!(shown("infinity", ColumnText::Zoned), "\"infinity\"");
        assert_eq!(shown("0044-03-15 00:00:00+00 BC", ColumnText::Zoned), "\"0044-03-15 00:00:00+00 BC\"");
        assert_eq!(shown("[\"直达\",\n \"三保\"]", ColumnText::Json), "[\"直达\",  \"三保\"]");
    }

    #[test]
    fn a_float_with_more_digits_than_it_holds_is_no_exact_value() {
        let fault = |text: &str| format!("{{\"$fault\":\"inexact\",\"shown\":\"{text}\"}}");
        for (text, digits, exact) in [
            ("60150.51", 15, true),
            ("0.30000000000000004", 15, false),
            ("9999999999999.99", 15, true),
            ("99999999999999.99", 15, false),
            ("1e+20", 15, false),
            ("NaN", 15, false),
            ("-0.05", 6, true),
            ("60150.5", 6, true),
            ("60150.51", 6, false),
        ] {
            let expected = if exact { format!("\"{text}\"") } else { fault(text) };
            assert_eq!(shown(text, ColumnText::Float(digits)), expected, "{text}");
        }
    }

    /// Whatever amount of up to 15 digits is put into a float comes out of it again.
    #[test]
    fn fifteen_digits_come_back() {
        let mut cents = 1u64;
        while cents < 1_000_000_000_000_000 {
            for near in [cents - 1, cents, cents + 1, cents * 7 / 3] {
                let text = format!("{}.{:02}", near / 100, near % 100);
                let text = text.trim_end_matches('0').trim_end_matches('.');
                let float: f64 = text.parse().unwrap();
                if is_exact(&float.to_string(), 15) {
                    assert_eq!(float.to_string(), text);
                }
            }
            cents = cents * 3 + 1;
        }
    }
}
