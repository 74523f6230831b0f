//! Rows that are columns already: Parquet files, whose columns have the names of the JSON fields.

use std::borrow::Cow;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    buffer::NullBuffer,
    compute::cast,
    datatypes::{DataType, Decimal128Type, Int64Type, TimeUnit, TimestampMicrosecondType},
    record_batch::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use bytes::Bytes;

use super::row::{RawCell, RowBuilder};
use crate::event::{Column, schema};

/// Decodes the rows of a table.
pub(crate) fn rows(table: &RecordBatch, first_record: u64, rows: &mut RowBuilder<'_>) {
    let mut columns: Vec<Option<(ColumnReader, Option<NullBuffer>)>> =
        (0..Column::COUNT).map(|_| None).collect();
    for (field, array) in table.schema_ref().fields().iter().zip(table.columns()) {
        match schema::field(field.name()) {
            Some((column, _)) => columns[column] = Some((ColumnReader::new(array), array.logical_nulls())),
            None => (0..table.num_rows()).for_each(|_| rows.unknown_field(field.name())),
        }
    }
    let mut cells = vec![RawCell::Absent; Column::COUNT];
    for row in 0..table.num_rows() {
        for (cell, reader) in cells.iter_mut().zip(&columns) {
            *cell = match reader {
                Some((reader, nulls)) if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) => {
                    reader.cell(row)
                }
                _ => RawCell::Absent,
            };
        }
        rows.row(&mut cells, first_record + row as u64 + 1, row, row);
    }
}

/// A column in one of the few shapes that cells are read from.
pub(crate) enum ColumnReader {
    Text(ArrayRef),
    /// Decimals with this many digits after the point.
    Decimal(ArrayRef, u32),
    Micros(ArrayRef),
    /// What a clock showed, nobody knows where.
    Clock(ArrayRef),
    /// Integers, written out.
    Integer(ArrayRef, Vec<Option<String>>),
    List(ArrayRef),
    /// A type that no field can have, by its name.
    Other(ArrayRef),
}

impl ColumnReader {
    pub(crate) fn new(array: &ArrayRef) -> Self {
        let to = |target: &DataType| cast(array, target).ok();
        match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                to(&DataType::Utf8View).map(Self::Text)
            }
            DataType::Dictionary(_, value) if value.is_string() => to(&DataType::Utf8View).map(Self::Text),
            DataType::Decimal32(_, s) | DataType::Decimal64(_, s) | DataType::Decimal128(_, s) => {
                to(&DataType::Decimal128(38, *s))
                    .and_then(|array| Some(Self::Decimal(array, u32::try_from(*s).ok()?)))
            }
            // Nanoseconds that are no whole microseconds are cut off, as in text.
            DataType::Timestamp(_, zone) => {
                let read = if zone.is_some() { Self::Micros } else { Self::Clock };
                to(&DataType::Timestamp(TimeUnit::Microsecond, None)).map(read)
            }
            DataType::List(_) | DataType::LargeList(_) => {
                let item = arrow::datatypes::Field::new_list_field(DataType::Utf8View, true);
                to(&DataType::List(item.into())).map(Self::List)
            }
            kind if kind.is_integer() => to(&DataType::Int64).map(|array| {
                let texts =
                    array.as_primitive::<Int64Type>().iter().map(|n| n.map(|n| n.to_string())).collect();
                Self::Integer(array, texts)
            }),
            // A date is the start of the local day, so it is read as the text it would be.
            DataType::Date32 | DataType::Date64 => {
                to(&DataType::Date32).and_then(|days| cast(&days, &DataType::Utf8View).ok()).map(Self::Text)
            }
            _ => None,
        }
        .unwrap_or_else(|| Self::Other(array.clone()))
    }

    fn array(&self) -> &ArrayRef {
        match self {
            Self::Text(a)
            | Self::Decimal(a, _)
            | Self::Micros(a)
            | Self::Clock(a)
            | Self::Integer(a, _)
            | Self::List(a)
            | Self::Other(a) => a,
        }
    }

    pub(crate) fn cell(&self, row: usize) -> RawCell<'_> {
        if self.array().is_null(row) {
            // It was there before it was cast.
            return RawCell::Other("a value out of range");
        }
        match self {
            Self::Text(array) => RawCell::text(array.as_string_view().value(row)),
            Self::Decimal(array, scale) => decimal(array.as_primitive::<Decimal128Type>().value(row), *scale),
            Self::Micros(array) => {
                RawCell::Micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            Self::Clock(array) => RawCell::Local(array.as_primitive::<TimestampMicrosecondType>().value(row)),
            Self::Integer(_, texts) => texts[row].as_deref().map_or(RawCell::Absent, RawCell::Number),
            Self::List(array) => {
                let list = array.as_list::<i32>().value(row);
                let items: Option<Vec<_>> = list.as_string_view().iter().collect();
                items.map_or(RawCell::Other("a list that is not of strings"), |items| {
                    RawCell::List(items.into_iter().map(|item| Cow::Owned(item.to_owned())).collect())
                })
            }
            Self::Other(array) if array.data_type().is_floating() => {
                RawCell::Other("a floating-point number")
            }
            Self::Other(_) => RawCell::Other("of a column type that no field can have"),
        }
    }
}

/// Cents, or text where the value is no whole number of cents and the amount check must say so.
fn decimal(value: i128, scale: u32) -> RawCell<'static> {
    if scale <= 2
        && let Some(cents) = value.checked_mul(10i128.pow(2 - scale))
    {
        return RawCell::Cents(cents);
    }
    RawCell::Owned(crate::event::money::format_scaled(value, scale))
}

/// A row as a JSON object of texts, for quarantine.
pub(crate) fn raw_row(table: &RecordBatch, row: usize) -> Bytes {
    let options = FormatOptions::default();
    let object: serde_json::Map<_, _> = table
        .schema_ref()
        .fields()
        .iter()
        .zip(table.columns())
        .filter(|(_, array)| row < array.len() && !array.is_null(row))
        .filter_map(|(field, array)| {
            let text = ArrayFormatter::try_new(array, &options).ok()?.value(row).to_string();
            Some((field.name().clone(), serde_json::Value::String(text)))
        })
        .collect();
    Bytes::from(serde_json::Value::Object(object).to_string())
}
