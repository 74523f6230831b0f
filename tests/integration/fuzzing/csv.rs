//! CSV files, from the file to the events.

use std::path::Path;

use fiscwatch::{
    source::{Chunks, Format},
    stream::{Payload, RejectReason},
};

use super::{fuzz, json::outcome, seeds};
use crate::support::{block, decoder};

/// What a file gives, read so many records at a time; an error if it has no header.
pub type Read = Result<(String, Vec<(RejectReason, Vec<u8>)>), String>;

/// Reads a file to its end, in chunks of so many records.
pub fn read(path: &Path, rows: usize) -> Read {
    let mut chunks =
        Chunks::open(path, Format::of(path, None), rows, (0, 0), false, None).map_err(|e| e.to_string())?;
    let (mut payloads, mut at) = (Vec::new(), None);
    while let Some(chunk) = chunks.next_chunk().map_err(|e| e.to_string())? {
        assert!(at.is_none_or(|at| at == chunk.from), "a gap between chunks");
        at = Some(chunk.to);
        payloads.push(chunk.payload);
    }
    assert!(chunks.rest().is_empty(), "something is left of the file");
    let blocks: Vec<_> = payloads.into_iter().map(block).collect();
    let decoded = decoder().decode(&blocks, None);
    for block in &blocks {
        if let Payload::Csv { rows, .. } = &block.payload {
            assert!(!rows.is_empty());
        }
    }
    Ok(outcome(&decoded))
}

#[test]
fn rows_are_all_accounted_for_however_they_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.csv");
    fuzz("csv", 500, &seeds("csv"), |input, _| {
        std::fs::write(&path, input).unwrap();
        let whole = read(&path, 100_000);
        for rows in [1, 2, 7] {
            assert_eq!(read(&path, rows), whole, "{rows} rows at a time");
        }
        let Ok((events, rejects)) = whole else { return };
        // Every row that has an id of ours is an event, or is in quarantine with its bytes.
        let text = String::from_utf8_lossy(input);
        let body = text.split_once('\n').map_or("", |(_, body)| body);
        for id in body.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.starts_with("csvid")) {
            let refused = rejects.iter().any(|(_, raw)| String::from_utf8_lossy(raw).contains(id));
            assert!(events.contains(id) || refused, "{id} has vanished");
        }
    });
}

/// An open quote must not swallow the rest of the file.
#[test]
fn a_quote_that_is_never_closed_takes_one_row_with_it() {
    let header = "event_id,type,occurred_at,budget_line_id,original_event_id,purpose\n";
    let row = |id: usize, purpose: &str| format!("w{id},withdrawal,2026-03-04,L1,a{id},{purpose}\n");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.csv");
    for (name, broken) in [("in a cell", "5\" pipe"), ("at the start of one", "\"five inches")] {
        for count in [20, 40_000] {
            let rows: String = (0..count).map(|id| row(id, if id == 3 { broken } else { "" })).collect();
            std::fs::write(&path, format!("{header}{rows}")).unwrap();
            let (events, rejects) = read(&path, 1000).unwrap();
            let found = events.matches("withdrawal").count();
            assert_eq!(found + rejects.len(), count, "{count} rows with a quote {name}");
            assert!(rejects.len() <= 1, "{count} rows with a quote {name}");
        }
    }
}
