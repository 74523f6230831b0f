//! The columns of a Parquet file: one of a type that its field cannot have makes every row wrong in the same way.

use arrow::datatypes::{DataType, Schema};
use datafusion::parquet::file::metadata::ParquetMetaData;

use super::header::twice;
use crate::{
    event::{
        Column, FieldKind,
        schema::{TextKind, field},
    },
    say,
};

/// Checks the columns of a file.
///
/// # Errors
/// What is wrong with all of them, and what to do.
pub(crate) fn check(schema: &Schema, metadata: &ParquetMetaData) -> Result<(), String> {
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    if let Some(name) = twice(names()) {
        return Err(say!("the column {name} appears twice", name = format!("{name:?}")));
    }
    let common = [Column::EventId, Column::Type, Column::OccurredAt].map(|column| column.spec().name);
    let missing: Vec<_> = common.into_iter().filter(|name| names().all(|other| other != *name)).collect();
    if !missing.is_empty() {
        let found: Vec<_> = names().take(12).collect();
        return Err(say!(
            "it has no column {missing}; its columns are {found}. Name them as docs/events.md does",
            missing = missing.join(", "),
            found = found.join(", ")
        ));
    }
    let rows = metadata.file_metadata().num_rows();
    let mut faults = Vec::new();
    for column in schema.fields() {
        let Some((_, spec)) = field(column.name()) else { continue };
        if fits(spec.kind, column.data_type()) || is_empty(metadata, column.name()) {
            continue;
        }
        faults.push(say!(
            "{column} is {found} in all {rows} rows, but must be {wanted}",
            column = column.name(),
            found = type_name(column.data_type()),
            rows,
            wanted = wanted(spec.kind)
        ));
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(say!("{faults}. Cast the columns where the file is written", faults = faults.join("; ")))
}

/// Whether values of this type can be read as the field's.
fn fits(kind: FieldKind, data_type: &DataType) -> bool {
    let text = match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, value) => value.is_string(),
        _ => false,
    };
    let decimal =
        matches!(data_type, DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..));
    match kind {
        FieldKind::Text(_) | FieldKind::Choice(_) => text,
        FieldKind::Money | FieldKind::Number => text || decimal || data_type.is_integer(),
        FieldKind::Time => {
            text || decimal
                || data_type.is_integer()
                || matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
        }
        FieldKind::Year => text || data_type.is_integer(),
        FieldKind::Tags => {
            matches!(
                data_type,
                DataType::List(item) | DataType::LargeList(item) if fits(FieldKind::Text(TextKind::Code), item.data_type())
            ) || *data_type == DataType::Null
        }
    }
}

/// Whether the column has no value at all, by the file's statistics: its type says nothing then.
fn is_empty(metadata: &ParquetMetaData, name: &str) -> bool {
    metadata.row_groups().iter().all(|group| {
        let column = group.columns().iter().find(|column| column.column_path().string() == name);
        let nulls = column.and_then(|column| column.statistics()?.null_count_opt());
        nulls == u64::try_from(group.num_rows()).ok()
    })
}

/// What a field is read from.
fn wanted(kind: FieldKind) -> String {
    match kind {
        FieldKind::Text(_) | FieldKind::Choice(_) => say!("text"),
        FieldKind::Money | FieldKind::Number => say!("a decimal, a whole number or text"),
        FieldKind::Time => say!("a timestamp, a date, a number or text"),
        FieldKind::Year => say!("a whole number or text"),
        FieldKind::Tags => say!("a list of texts"),
    }
}

/// What a column holds, in words.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        t if t.is_floating() => say!("a floating-point number"),
        t if t.is_integer() => say!("a whole number"),
        t if t.is_decimal() => say!("a decimal"),
        DataType::Boolean => say!("true or false"),
        DataType::Timestamp(..) => say!("a timestamp"),
        DataType::Date32 | DataType::Date64 => say!("a date"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            say!("bytes without a character set")
        }
        DataType::List(_) | DataType::LargeList(_) => say!("a list"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => say!("text"),
        _ => say!("a type that no field can have"),
    }
}
