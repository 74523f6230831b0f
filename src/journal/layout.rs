//! How a sealed file is laid out: the event columns as they are stored, and two of its own.
//! The hash of an `event_id` is not stored: eight bytes that do not compress, and that the id itself gives at any time.

use std::sync::{Arc, LazyLock};

use arrow::{
    array::{ArrayRef, new_null_array},
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
    record_batch::{RecordBatch, RecordBatchOptions},
};

use crate::event::{Column, schema::event_schema};

/// The column that gives the order in which events were accepted: `Int64`, block number and row in the block.
pub(crate) const ARRIVAL: &str = "arrival";
/// The column with the hash of the content: `UInt64`.
pub(crate) const CONTENT_HASH: &str = "content_hash";

/// Bits of an arrival that count the rows of a block. Blocks are far smaller: a batch has at most 2²⁰ records, or is
/// one HTTP body, whose size the configuration limits.
const ROW_BITS: u32 = 24;

/// The arrival of a row of a journal block.
#[must_use]
pub(crate) const fn arrival(seq: i64, row: i64) -> i64 {
    (seq << ROW_BITS) | row
}

/// The journal block of an arrival.
#[must_use]
pub(crate) const fn block_of(arrival: i64) -> i64 {
    arrival >> ROW_BITS
}

/// The row of an arrival in its block.
#[must_use]
pub(crate) const fn row_of(arrival: i64) -> i64 {
    arrival & ((1 << ROW_BITS) - 1)
}

/// The type that a column is stored with: text without the buffers it was viewed in, and UTC, so that what is stored
/// does not depend on the configured zone.
pub(crate) fn stored_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, Some(Arc::from("UTC"))),
        other => other.clone(),
    }
}

/// Every column that a sealed file can have: those of the event schema, then its own.
pub(crate) static SEALED: LazyLock<SchemaRef> = LazyLock::new(|| {
    let schema = event_schema("UTC");
    let events = schema.fields().iter();
    let mut fields: Vec<Field> =
        events.map(|f| Field::new(f.name(), stored_type(f.data_type()), f.is_nullable())).collect();
    fields.push(Field::new(ARRIVAL, DataType::Int64, false));
    fields.push(Field::new(CONTENT_HASH, DataType::UInt64, false));
    Arc::new(Schema::new(fields))
});

/// Where [`ARRIVAL`] stands in [`SEALED`].
pub(crate) const ARRIVAL_AT: usize = Column::COUNT;

/// A batch with every column of `schema`, found by name; those it does not have are NULL.
///
/// # Errors
/// If a column has a type that cannot be that of the schema.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => cast(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_in_the_order_of_blocks_and_rows() {
        let order = [arrival(0, 0), arrival(1, 0), arrival(1, 1), arrival(1, (1 << 24) - 1), arrival(2, 0)];
        assert!(order.is_sorted());
        assert_eq!(order.map(block_of), [0, 1, 1, 1, 2]);
        assert_eq!(SEALED.field(ARRIVAL_AT).name(), ARRIVAL);
    }
}
