//! The evidence of a notification as a CSV file that spreadsheets open as it is meant: UTF-8 with a byte order mark,
//! and no cell that they would take for a formula.

use serde_json::{Map, Value};

use super::{render::Style, view::local, words};
use crate::{
    alert::Notification,
    spreadsheet::{BYTE_ORDER_MARK, safe},
};

/// A file is cut after so many bytes of rows, and says so.
const BYTES_MAX: usize = 1 << 20;
const FIXED: [&str; 9] = [
    "alert_id",
    "rule_id",
    "severity",
    "state",
    "finding_id",
    "at",
    "event_id",
    "window_start",
    "window_end",
];

/// The evidence of all alerts, a row a finding; `None` if there is none.
#[must_use]
pub(crate) fn csv(notification: &Notification) -> Option<Vec<u8>> {
    let columns = value_columns(notification);
    let mut rows =
        ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(BYTE_ORDER_MARK.into());
    let header = FIXED.iter().copied().chain(["summary"]).chain(columns.iter().copied());
    let mut written = rows.write_record(header.map(safe));
    let (mut count, mut left_out, mut bytes) = (0u64, 0u64, 0);
    for told in &notification.alerts {
        for finding in &told.evidence {
            let (start, end) =
                finding.window.as_ref().map_or(("", ""), |w| (w.start.as_str(), w.end.as_str()));
            let fixed = [
                told.alert.alert_id.as_str(),
                &told.alert.rule_id,
                finding.severity.word(),
                told.alert.state.word(),
                &finding.finding_id,
                &finding.at,
                finding.event_id.as_deref().unwrap_or_default(),
                start,
                end,
                &finding.summary,
            ];
            let values = columns.iter().map(|column| cell(&finding.values, &finding.key, column));
            let row: Vec<_> = fixed.iter().map(|text| safe(text)).chain(values.map(|v| safe(&v))).collect();
            bytes += row.iter().map(|cell| cell.len() + 3).sum::<usize>();
            if bytes > BYTES_MAX {
                left_out += 1;
                continue;
            }
            count += 1;
            written = written.and_then(|()| rows.write_record(&row));
        }
    }
    if left_out > 0 {
        let mut row = vec![String::new(); FIXED.len() + 1 + columns.len()];
        row[0] = format!("({left_out} ...)");
        written = written.and_then(|()| rows.write_record(&row));
    }
    // Writing to memory fails for rows of unequal length only, and these are equal.
    if count == 0 || written.is_err() {
        return None;
    }
    rows.into_inner().ok()
}

/// What a letter's findings are about, a row each, in words that a unit knows: no ids and no names of our own.
#[must_use]
pub(super) fn for_the_unit(notification: &Notification, style: &Style<'_>) -> Option<Vec<u8>> {
    let language = style.language;
    let first = notification.alerts.first()?;
    let columns: Vec<(&str, &str)> = value_columns(notification)
        .into_iter()
        .filter_map(|name| Some((name, words::known_column(name, language)?)))
        .collect();
    let fixed = [
        words::document(first.alert.event_type.as_deref(), language),
        words::column("occurred_at", language),
        words::matter(language),
    ];
    let header = fixed.into_iter().chain(columns.iter().map(|(_, label)| *label)).map(safe);
    let mut rows =
        ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(BYTE_ORDER_MARK.into());
    rows.write_record(header).ok()?;
    let mut bytes = 0;
    for finding in notification.alerts.iter().flat_map(|told| &told.evidence) {
        let fixed =
            [finding.event_id.clone().unwrap_or_default(), local(&finding.at), finding.summary.clone()];
        let values = columns.iter().map(|(name, _)| cell(&finding.values, &finding.key, name));
        let row: Vec<_> = fixed.into_iter().chain(values).map(|text| safe(&text)).collect();
        bytes += row.iter().map(|cell| cell.len() + 3).sum::<usize>();
        if bytes > BYTES_MAX {
            break;
        }
        rows.write_record(&row).ok()?;
    }
    rows.into_inner().ok().filter(|_| bytes > 0)
}

/// The columns that any finding has values of, in the order they appear.
fn value_columns(notification: &Notification) -> Vec<&str> {
    let mut columns: Vec<&str> = Vec::new();
    let findings = notification.alerts.iter().flat_map(|told| &told.evidence);
    for name in findings.flat_map(|finding| finding.key.keys().chain(finding.values.keys())) {
        if !columns.contains(&name.as_str()) && !FIXED.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    columns
}

fn cell(values: &Map<String, Value>, key: &Map<String, Value>, column: &str) -> String {
    match values.get(column).or_else(|| key.get(column)) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{alert::Reason, notify::sample::sample, rule::Language};

    #[test]
    fn a_reader_gets_back_what_was_written() {
        let mut notification = sample(Reason::First, Language::Zh);
        let nasty = "逗号,引号\"换行\r\n=cmd";
        notification.alerts[0].evidence[0].values.insert("purpose".into(), json!(nasty));
        notification.alerts[0].evidence[0].values.insert("note".into(), json!("=HYPERLINK(\"http://x\")"));
        let bytes = csv(&notification).unwrap();
        let text = std::str::from_utf8(&bytes).unwrap().strip_prefix('\u{feff}').unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), notification.alerts.iter().map(|a| a.evidence.len()).sum::<usize>());
        let at = |name: &str| header.iter().position(|h| h == name).unwrap();
        assert_eq!(&rows[0][at("purpose")], nasty);
        assert_eq!(&rows[0][at("note")], "'=HYPERLINK(\"http://x\")");
        assert_eq!(&rows[0][at("event_id")], notification.alerts[0].evidence[0].event_id.as_deref().unwrap());
    }
}
