//! A guess as a map, written as people would write one.

use std::fmt::Write;

use super::{FileLayout, Guess, Sample};
use crate::say;

/// The text of a map, with what is to be corrected as comments.
pub(crate) fn text(sample: &Sample, guess: &Guess) -> String {
    let mut map = String::new();
    let mut line = |text: String| {
        map.push_str(&text);
        map.push('\n');
    };
    line(format!("# {}", say!("written by `fiscwatch import`; docs/feeds.md says what each key means")));
    format_keys(&sample.layout).into_iter().for_each(&mut line);
    line("columns:".to_owned());
    for (column, field) in &guess.columns {
        line(format!("  {}: {field}", quoted(&sample.columns[*column])));
    }
    if !guess.id.is_empty() {
        let names: Vec<_> = guess.id.iter().map(|column| quoted(&sample.columns[*column])).collect();
        line(format!("id: [{}]", names.join(", ")));
    }
    line("constants:".to_owned());
    for (field, value) in &guess.constants {
        line(format!("  {field}: {}", quoted(value)));
    }
    for field in &guess.missing {
        line(format!("  # {field}: ?   {}", say!("every payment has it: give a value, or a column above")));
    }
    if !guess.words.is_empty() {
        line("values:".to_owned());
        for (column, words) in &guess.words {
            let words: Vec<_> =
                words.iter().map(|(word, meant)| format!("{}: {meant}", quoted(word))).collect();
            line(format!("  {}: {{ {} }}", quoted(&sample.columns[*column]), words.join(", ")));
        }
    }
    if !guess.dates.is_empty() {
        let formats: Vec<_> = guess.dates.iter().map(|format| quoted(format)).collect();
        line(format!("dates: [{}]", formats.join(", ")));
    }
    if let Some(zone) = &guess.zone {
        line(format!("zone: {}", quoted(zone)));
    }
    let money = money(guess);
    if !money.is_empty() {
        line(format!("money: {{ {money} }}"));
    }
    map
}

fn money(guess: &Guess) -> String {
    let mut money = String::new();
    let mut add = |text: &str| {
        let comma = if money.is_empty() { "" } else { ", " };
        let _ = write!(money, "{comma}{text}");
    };
    if guess.ten_thousands {
        add("unit: 万元");
    }
    if let Some(thousands) = guess.thousands {
        add(&format!("thousands: {}", quoted(&thousands.to_string())));
    }
    if guess.negative {
        add("negative: refund");
    }
    money
}

/// A text as YAML, in quotes where it could be read as something else.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.');
    let word = text.chars().all(plain) && text.chars().any(char::is_alphabetic);
    let keyword = matches!(
        text.to_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "null" | "on" | "off" | "y" | "n"
    );
    let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if word && !keyword && !number { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// The keys that say how a file is read.
fn format_keys(layout: &FileLayout) -> Vec<String> {
    match layout {
        FileLayout::Text { delimiter, header_row } => {
            let name = match *delimiter {
                b'\t' => "tab".to_owned(),
                sign => char::from(sign).to_string(),
            };
            let delimiter = (*delimiter != b',').then(|| format!("delimiter: {}", quoted(&name)));
            let header_row = (*header_row != 1).then(|| format!("header_row: {header_row}"));
            ["format: csv".to_owned()].into_iter().chain(delimiter).chain(header_row).collect()
        }
        FileLayout::Workbook { sheet, header_row } => vec![
            "format: excel".to_owned(),
            format!("sheet: {}", quoted(sheet)),
            format!("header_row: {header_row}"),
        ],
        FileLayout::Markup { rows } => vec!["format: xml".to_owned(), format!("rows: {}", quoted(rows))],
        FileLayout::Json => vec!["format: jsonl".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn texts_that_yaml_would_take_for_something_else_are_quoted() {
        for (text, written) in [
            ("支付凭证号", "支付凭证号"),
            ("Supplier Name", "\"Supplier Name\""),
            ("2026", "\"2026\""),
            ("no", "\"no\""),
            ("a: b", "\"a: b\""),
            ("1e5", "\"1e5\""),
            ("PmtInf/CdtTrfTxInf", "PmtInf/CdtTrfTxInf"),
        ] {
            assert_eq!(quoted(text), written);
        }
    }
}
