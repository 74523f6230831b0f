//! Journal blocks: events as compressed Arrow IPC, and their id hashes beside them.

use std::{io::Cursor, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, new_null_array},
    compute::{cast, max, min},
    datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType},
    error::ArrowError,
    ipc::{
        CompressionType,
        reader::StreamReader,
        writer::{IpcWriteOptions, StreamWriter},
    },
    record_batch::{RecordBatch, RecordBatchOptions},
};
use xxhash_rust::xxh3::Xxh3;

use crate::event::{Column, EventType, schema::time_type};

/// A block ready to be stored.
#[derive(Debug, Clone)]
pub struct JournalBlock {
    /// The number of events.
    pub events: usize,
    /// The earliest event time, in microseconds.
    pub first_at: i64,
    /// The latest.
    pub last_at: i64,
    /// Compressed Arrow IPC.
    pub block: Vec<u8>,
    /// The id and content hash of each event.
    pub ids: Vec<u8>,
}

impl JournalBlock {
    /// Encodes events with the hashes of their ids and contents.
    ///
    /// # Errors
    /// Only if Arrow cannot write the batch.
    pub fn encode(events: &RecordBatch, hashes: &[(u64, u64)]) -> Result<Self, ArrowError> {
        let stored = stored(events)?;
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
        let mut block = Vec::new();
        let mut writer = StreamWriter::try_new_with_options(&mut block, stored.schema_ref(), options)?;
        writer.write(&stored)?;
        writer.finish()?;
        drop(writer);
        let times = events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>();
        let ids = hashes.iter().flat_map(|(id, content)| [id.to_le_bytes(), content.to_le_bytes()]);
        Ok(Self {
            events: events.num_rows(),
            first_at: min(times).unwrap_or(0),
            last_at: max(times).unwrap_or(0),
            block,
            ids: ids.flatten().collect(),
        })
    }

    /// The checksum stored with the block.
    #[must_use]
    pub fn checksum(block: &[u8], ids: &[u8]) -> i64 {
        let mut hasher = Xxh3::new();
        hasher.update(block);
        hasher.update(ids);
        hasher.digest().cast_signed()
    }
}

/// What is stored of a batch: columns that have values, text without the blocks it was viewed in, and UTC, so
/// that the journal does not depend on the configured zone.
fn stored(events: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in events.schema_ref().fields().iter().zip(events.columns()) {
        if column.null_count() == column.len() {
            continue;
        }
        let data_type = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            DataType::Timestamp(..) => time_type("UTC"),
            other => other.clone(),
        };
        columns.push(cast(column, &data_type)?);
        fields.push(Field::new(field.name(), data_type, field.is_nullable()));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(events.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

/// Reads a block back into the event schema, with the types of its rows.
///
/// # Errors
/// If the bytes are no journal block.
pub fn decode_block(block: &[u8], schema: &SchemaRef) -> Result<(RecordBatch, Vec<EventType>), ArrowError> {
    let mut reader = StreamReader::try_new(Cursor::new(block), None)?;
    let stored = reader.next().ok_or_else(|| ArrowError::IpcError(String::from("an empty block")))??;
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| match stored.column_by_name(field.name()) {
            Some(column) => cast(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), stored.num_rows())),
        })
        .collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(stored.num_rows()));
    let events = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
    let names = events.column(Column::Type.index()).as_string_view();
    let types: Option<Vec<_>> = names.iter().map(|name| EventType::parse(name?)).collect();
    let types = types.ok_or_else(|| ArrowError::IpcError(String::from("an event of unknown type")))?;
    Ok((events, types))
}
