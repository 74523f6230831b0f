//! Journal blocks: events as compressed Arrow IPC, and their id hashes beside them.

pub(crate) mod layout;

use std::{io::Cursor, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::{cast, max, min},
    datatypes::{Field, Schema, SchemaRef, TimestampMicrosecondType},
    error::ArrowError,
    ipc::{
        CompressionType,
        reader::StreamReader,
        writer::{IpcWriteOptions, StreamWriter},
    },
    record_batch::{RecordBatch, RecordBatchOptions},
};
use xxhash_rust::xxh3::Xxh3;

use crate::{
    event::{Column, EventType, Instant},
    say,
};
use layout::{conform, stored_type};

/// A block ready to be stored.
#[derive(Debug, Clone)]
pub struct JournalBlock {
    /// The number of events.
    pub events: usize,
    /// The earliest event time.
    pub first_at: Instant,
    pub(crate) last_at: Instant,
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
            first_at: Instant::from_micros(min(times).unwrap_or(0)),
            last_at: Instant::from_micros(max(times).unwrap_or(0)),
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

/// What is stored of a batch: columns that have values, in the types of [`stored_type`].
fn stored(events: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in events.schema_ref().fields().iter().zip(events.columns()) {
        if column.null_count() == column.len() {
            continue;
        }
        let data_type = stored_type(field.data_type());
        columns.push(cast(column, &data_type)?);
        fields.push(Field::new(field.name(), data_type, field.is_nullable()));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(events.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

/// A block as it is stored; of its columns only those whose names `wanted` has.
///
/// # Errors
/// If the bytes are no journal block.
pub fn stored_block(block: &[u8], wanted: Option<&dyn Fn(&str) -> bool>) -> Result<RecordBatch, ArrowError> {
    let mut reader = StreamReader::try_new(Cursor::new(block), None)?;
    if let Some(wanted) = wanted {
        let schema = reader.schema();
        let columns = schema.fields().iter().enumerate().filter(|(_, f)| wanted(f.name()));
        let columns = columns.map(|(at, _)| at).collect();
        // The reader takes a projection by position, and the block has to say first what stands where.
        reader = StreamReader::try_new(Cursor::new(block), Some(columns))?;
    }
    reader.next().ok_or_else(|| ArrowError::IpcError(say!("an empty block")))?
}

/// The id and content hashes of a block's events.
pub fn read_ids(blob: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, b| (n << 8) | u64::from(*b));
    blob.chunks_exact(16).map(move |pair| (word(&pair[..8]), word(&pair[8..])))
}

/// Reads a block back into the event schema, with the types of its rows.
///
/// # Errors
/// If the bytes are no journal block.
pub fn decode_block(block: &[u8], schema: &SchemaRef) -> Result<(RecordBatch, Vec<EventType>), ArrowError> {
    let events = conform(&stored_block(block, None)?, schema)?;
    let names = events.column(Column::Type.index()).as_string_view();
    let types: Option<Vec<_>> = names.iter().map(|name| EventType::parse(name?)).collect();
    let types = types.ok_or_else(|| ArrowError::IpcError(say!("an event of unknown type")))?;
    Ok((events, types))
}
