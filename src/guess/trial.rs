//! The first rows of a file as a map reads them.

use std::{path::Path, sync::Arc};

use crate::{
    config::{Config, feeds},
    decode::{Decoded, Decoder, Reading},
    diagnostic::{Diagnostic, os_reason},
    map::Map,
    private, say,
    source::{Chunks, Format, file::file_block},
    stream::Reject,
};

/// Rows that are shown.
const ROWS: usize = 5;
/// Rows that are tried.
const TRIED: usize = 500;

/// The first rows of a file, as the map reads them.
#[derive(Debug)]
pub(crate) struct FirstRows {
    /// The first that are events or refused.
    pub first: Vec<Decoded>,
    /// Events among the rows that were tried.
    pub events: usize,
    /// Rows that are none.
    pub rejected: usize,
    /// Rows that hold nothing.
    pub skipped: u64,
}

impl FirstRows {
    /// Reads the first rows of a file.
    pub(crate) fn of(path: &Path, map: &Map, reading: Reading, config: &Config) -> anyhow::Result<Self> {
        let decoder = Decoder::new(Arc::clone(&config.calendar))
            .not_before(config.earliest_time())
            .in_currency(config.currency.clone())
            .reading(reading);
        let format = Format::of(path, map.format);
        let mut chunks = Chunks::open(path, format, 1, (0, 0), false, Some(map))?;
        let mut trial = Self { first: Vec::new(), events: 0, rejected: 0, skipped: 0 };
        for _ in 0..TRIED {
            let Some(chunk) = chunks.next_chunk()? else { break };
            let block = file_block(&"import".into(), path, chunk.first_record, chunk.payload, None);
            let decoded = decoder.decode(&[block], None);
            trial.events += decoded.types.len();
            trial.rejected += decoded.rejects.len();
            trial.skipped += decoded.skipped.iter().sum::<u64>();
            let is_row = !decoded.types.is_empty() || !decoded.rejects.is_empty();
            if is_row && trial.first.len() < ROWS {
                trial.first.push(decoded);
            }
        }
        Ok(trial)
    }

    /// What is wrong with a row.
    pub(crate) fn fault(reject: &Reject) -> String {
        let (row, reason) = (reject.record, reject.reason.code());
        say!("row {row} is no event: {reason}: {detail}", row, reason, detail = reject.detail)
    }
}

/// The map of a text, and how its records are read.
///
/// # Errors
/// What is wrong with the map.
pub(crate) fn reading(text: &str) -> Result<Reading, Vec<Diagnostic>> {
    let file = "map.yaml";
    let failed = |e: std::io::Error| vec![Diagnostic::of_file(file, os_reason(&e), None)];
    let folder = tempfile::tempdir().map_err(failed)?;
    let path = folder.path().join(file);
    private::write(&path, text).map_err(failed)?;
    let map = feeds::read(&path)?;
    feeds::reading(map).map_err(|why| vec![Diagnostic::of_file(file, why, None)])
}
