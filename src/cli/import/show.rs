//! What a file is taken for, and how its first rows are understood, beside how they stand in it.

use std::path::Path;

use arrow::array::Array;

use super::{
    guess::Guess,
    sample::{Layout, Sample},
};
use crate::{
    app,
    cli::table::{Cell, Column, Screen, Table, plain, separated},
    config::Config,
    decode::{Decoded, Reading},
    event::{Column as Field, schema::field, time::Calendar},
    map::Map,
    say,
    source::{Chunks, Format, file::file_block},
    sql::value,
};

/// Rows that are shown.
const ROWS: usize = 5;
/// Rows that are tried.
const TRIED: usize = 500;

/// The first rows of a file, as the map reads them.
#[derive(Debug)]
pub(crate) struct Trial {
    first: Vec<Decoded>,
    /// Events among the rows that were tried.
    pub events: usize,
    /// Rows that are none.
    pub rejected: usize,
    /// Rows that hold nothing.
    pub skipped: u64,
}

impl Trial {
    /// Reads the first rows of a file.
    pub(crate) fn of(path: &Path, map: &Map, reading: Reading, config: &Config) -> anyhow::Result<Self> {
        let decoder = app::decoder(config).reading(reading);
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
}

/// What a file is taken for.
pub(crate) fn kind(path: &Path, sample: &Sample) -> String {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (columns, rows) = (sample.columns.len(), sample.rows.len());
    match &sample.layout {
        Layout::Text { delimiter, header_row } => {
            let delimiter =
                if *delimiter == b'\t' { "TAB".to_owned() } else { char::from(*delimiter).to_string() };
            say!(
                "{file}: {columns} columns parted by `{delimiter}`, named in row {header_row}; {rows} rows looked at",
                file,
                columns,
                delimiter,
                header_row,
                rows
            )
        }
        Layout::Workbook { sheet, header_row } => say!(
            "{file}: sheet {sheet}, {columns} columns named in row {header_row}; {rows} rows looked at",
            file,
            sheet,
            columns,
            header_row,
            rows
        ),
        Layout::Markup { rows: path } => {
            say!(
                "{file}: XML, a row each {path}, {columns} fields; {rows} rows looked at",
                file,
                path,
                columns,
                rows
            )
        }
        Layout::Json => say!("{file}: JSON, {columns} fields; {rows} rows looked at", file, columns, rows),
    }
}

/// Each column with what stands in its first row, and what that is read as.
pub(crate) fn columns(sample: &Sample, guess: &Guess, trial: Option<&Trial>, calendar: &Calendar) -> String {
    let mut table = Table::new([
        Column::new("column", say!("column")).shrinks(12),
        Column::new("stands", say!("in the file")).shrinks(12),
        Column::new("field", say!("becomes")),
        Column::new("read", say!("read as")).shrinks(12),
    ]);
    let first = trial.and_then(|trial| trial.first.first());
    let read = |name: &str| {
        let (event, (at, _)) = (first.filter(|first| !first.types.is_empty())?, field(name)?);
        let read = value(event.events.column(at), 0, calendar);
        (!read.is_null()).then(|| plain(&read))
    };
    let mut row = |name: &str, stands: &str, field: &str| {
        let read = read(field);
        table.row([Cell::text(name), Cell::text(stands), Cell::text(field), Cell::maybe(read.as_deref())]);
    };
    let stands = |column: usize| sample.rows[0][column].as_str();
    for column in &guess.id {
        row(&sample.columns[*column], stands(*column), "event_id");
    }
    for (column, field) in &guess.columns {
        row(&sample.columns[*column], stands(*column), field);
    }
    for (field, value) in &guess.constants {
        row(&say!("(all rows)"), value, field);
    }
    table.render(Screen::stdout())
}

/// Columns that become nothing.
pub(crate) fn left_out(sample: &Sample, guess: &Guess) -> Vec<String> {
    let used =
        |column: &usize| guess.id.contains(column) || guess.columns.iter().any(|(other, _)| other == column);
    (0..sample.columns.len())
        .filter(|column| !used(column) && !sample.columns[*column].is_empty())
        .map(|column| sample.columns[column].clone())
        .collect()
}

/// The first rows as events, or what is wrong with them.
pub(crate) fn rows(trial: &Trial, calendar: &Calendar) -> String {
    let mut table = Table::new([
        Column::new("event_id", say!("event")).shrinks(10),
        Column::new("occurred_at", say!("event time")),
        Column::new("type", say!("type")),
        Column::new("payee_name", say!("payee")).shrinks(10),
        Column::new("amount", say!("amount")).right(),
    ]);
    let mut faults = String::new();
    for decoded in &trial.first {
        for row in 0..decoded.types.len() {
            let text = |field: Field| {
                let array = decoded.events.column(field.index());
                if array.is_null(row) { String::new() } else { plain(&value(array, row, calendar)) }
            };
            table.row([
                Cell::text(text(Field::EventId)),
                Cell::instant(&text(Field::OccurredAt), calendar),
                Cell::text(text(Field::Type)),
                Cell::text(text(Field::PayeeName)),
                Cell::text(separated(&text(Field::Amount))),
            ]);
        }
        for reject in &decoded.rejects {
            let (row, reason) = (reject.record, reject.reason.code());
            faults += &say!("row {row} is no event: {reason}: {detail}", row, reason, detail = reject.detail);
            faults.push('\n');
        }
    }
    let table = if table.is_empty() { String::new() } else { table.render(Screen::stdout()) };
    table + &faults
}
