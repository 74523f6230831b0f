//! What a file is taken for, and how its first rows are understood, beside how they stand in it.

use std::path::Path;

use arrow::array::Array;

use crate::{
    cli::table::{Cell, Screen, Table, TableColumn, plain, separated},
    event::{Column as Field, schema::field, time::Calendar},
    guess::{FileLayout, FirstRows, Guess, Sample},
    say,
    sql::value,
};

/// What a file is taken for.
pub(crate) fn kind(path: &Path, sample: &Sample) -> String {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (columns, rows) = (sample.columns.len(), sample.rows.len());
    match &sample.layout {
        FileLayout::Text { delimiter, header_row } => {
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
        FileLayout::Workbook { sheet, header_row } => say!(
            "{file}: sheet {sheet}, {columns} columns named in row {header_row}; {rows} rows looked at",
            file,
            sheet,
            columns,
            header_row,
            rows
        ),
        FileLayout::Markup { rows: path } => {
            say!(
                "{file}: XML, a row each {path}, {columns} fields; {rows} rows looked at",
                file,
                path,
                columns,
                rows
            )
        }
        FileLayout::Json => {
            say!("{file}: JSON, {columns} fields; {rows} rows looked at", file, columns, rows)
        }
    }
}

/// Each column with what stands in its first row, and what that is read as.
pub(crate) fn columns(
    sample: &Sample,
    guess: &Guess,
    trial: Option<&FirstRows>,
    calendar: &Calendar,
) -> String {
    let mut table = Table::new([
        TableColumn::new("column", say!("column")).shrinks(12),
        TableColumn::new("stands", say!("in the file")).shrinks(12),
        TableColumn::new("field", say!("becomes")),
        TableColumn::new("read", say!("read as")).shrinks(12),
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

/// The first rows as events, or what is wrong with them.
pub(crate) fn rows(trial: &FirstRows, calendar: &Calendar) -> String {
    let mut table = Table::new([
        TableColumn::new("event_id", say!("event")).shrinks(10),
        TableColumn::new("occurred_at", say!("event time")),
        TableColumn::new("type", say!("type")),
        TableColumn::new("payee_name", say!("payee")).shrinks(10),
        TableColumn::new("amount", say!("amount")).right(),
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
            faults += &FirstRows::fault(reject);
            faults.push('\n');
        }
    }
    let table = if table.is_empty() { String::new() } else { table.render(Screen::stdout()) };
    table + &faults
}
