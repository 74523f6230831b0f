//! Events of a test that stand in files: JSON Lines, or CSV with a header.

use std::path::Path;

use serde_json::{Map, Value};

use super::read::TestEvent;
use crate::{
    diagnostic::read_text,
    paths::from_folder,
    say,
    yaml::{Document, Node, Placed},
};

/// The events of the files that a test names, relative to its folder. A record that cannot be an event is found when
/// the test is played, like any other.
pub(crate) fn events<'t>(d: &mut Document<'t>, node: &Node<'t>, folder: &Path) -> Vec<TestEvent> {
    let mut events = Vec::new();
    for file in d.scalars(node, "files") {
        match read(&from_folder(folder, Path::new(&file.text))) {
            Ok(records) => events.extend(records.into_iter().map(|(line, record)| event(line, record))),
            Err(message) => problem(d, &file, &message),
        }
    }
    events
}

fn problem(d: &mut Document<'_>, file: &Placed, message: &str) {
    let hint = say!("a test reads JSON Lines (.jsonl) and CSV with a header (.csv)");
    d.problem(file.span, say!("{file}: {message}", file = file.text, message), Some(hint));
}

fn event(line: usize, record: Map<String, Value>) -> TestEvent {
    let id = record.get("event_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    TestEvent { id, line, record }
}

/// Records with their lines.
type Records = Vec<(usize, Map<String, Value>)>;

fn read(path: &Path) -> Result<Records, String> {
    let text = read_text(path).map_err(|(message, _)| message)?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("jsonl" | "ndjson" | "json") => json_lines(&text),
        Some("csv") => csv(&text),
        _ => Err(say!("unknown format")),
    }
}

fn json_lines(text: &str) -> Result<Records, String> {
    let lines = (1..).zip(crate::stream::lines(text)).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let record =
                serde_json::from_str(line).map_err(|_| say!("line {number} is not a JSON object", number))?;
            Ok((number, record))
        })
        .collect()
}

/// A row that does not fit its header; nothing else can be wrong with text in memory.
fn unreadable(error: &csv::Error) -> String {
    let number = error.position().map_or(1, csv::Position::line);
    say!("line {number} has more or fewer columns than the header", number)
}

fn csv(text: &str) -> Result<Records, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| unreadable(&e))?.clone();
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|e| unreadable(&e))?;
        let line = row.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
        // An empty text is a missing value.
        let fields = header.iter().zip(&row).filter(|(_, value)| !value.is_empty());
        records.push((line, fields.map(|(name, value)| (name.to_owned(), value.into())).collect()));
    }
    Ok(records)
}
