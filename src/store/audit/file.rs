//! One file of the audit log: Parquet with a row a record, its columns named as those of the table.

use std::{
    io::{ErrorKind, Write as _},
    path::Path,
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Int64Type, Schema, TimeUnit, TimestampMicrosecondType},
    error::ArrowError,
    record_batch::RecordBatch,
};
use bytes::Bytes;
use datafusion::parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};

use super::{AuditEntry, register::AuditFile};
use crate::{
    diagnostic::os_reason,
    event::Instant,
    private, say,
    store::{
        StoreError, reach,
        sealed::{FOLDER, UNFINISHED, make_folder, sync_folder},
    },
};

/// Files are written once and read for years.
const ZSTD_LEVEL: i32 = 9;

/// The texts of a record, in the order of the columns.
const TEXTS: [&str; 7] = ["who", "place", "action", "subject", "result", "detail", "digest"];

/// The bytes of a file with these records.
pub(crate) fn encode(entries: &[AuditEntry]) -> Result<Vec<u8>, ParquetError> {
    let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![Field::new("seq", DataType::Int64, false), Field::new("at", at, false)];
    fields.extend(TEXTS.map(|name| Field::new(name, DataType::Utf8, false)));
    let text = |of: fn(&AuditEntry) -> &String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(entries.iter().map(of)))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(entries.iter().map(|e| e.seq))),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(entries.iter().map(|e| e.at.as_micros()))
                .with_timezone("UTC"),
        ),
        text(|e| &e.who),
        text(|e| &e.place),
        text(|e| &e.action),
        text(|e| &e.subject),
        text(|e| &e.result),
        text(|e| &e.detail),
        text(|e| &e.digest),
    ];
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    let level = ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default();
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.into_inner()
}

/// Writes a file durably under its name.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = dir.join(FOLDER);
    let (unfinished, path) = (folder.join(format!("audit{UNFINISHED}")), folder.join(name));
    let fail = |error| StoreError::Seal { path: path.clone(), error };
    let unsure = |error: std::io::Error| StoreError::Unsure { path: path.clone(), error: error.to_string() };
    make_folder(&folder).map_err(fail)?;
    let mut file = private::create(&unfinished).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    reach(dir, "audit.written")?;
    file.sync_all().map_err(unsure)?;
    std::fs::rename(&unfinished, &path).map_err(fail)?;
    reach(dir, "audit.renamed")?;
    sync_folder(dir).map_err(unsure)
}

/// The records of a file whose bytes are those that were registered, or what is wrong with it.
pub(crate) fn read(dir: &Path, file: &AuditFile) -> Result<Vec<AuditEntry>, String> {
    let bytes = std::fs::read(file.path(dir)).map_err(|e| match e.kind() {
        ErrorKind::NotFound => say!("the file is not there"),
        _ => os_reason(&e),
    })?;
    if blake3::hash(&bytes) != file.digest {
        return Err(say!("it does not match its digest: it was changed, or is another file"));
    }
    decode(bytes).map_err(|e| e.to_string())
}

fn decode(bytes: Vec<u8>) -> Result<Vec<AuditEntry>, ParquetError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))?.build()?;
    let mut entries = Vec::new();
    for batch in reader {
        records(&batch?, &mut entries)?;
    }
    Ok(entries)
}

fn records(batch: &RecordBatch, entries: &mut Vec<AuditEntry>) -> Result<(), ArrowError> {
    let column = |name: &str| {
        let found = batch.column_by_name(name).filter(|column| column.null_count() == 0);
        found.ok_or_else(|| ArrowError::SchemaError(name.to_owned()))
    };
    let unlike = |name: &str| ArrowError::SchemaError(name.to_owned());
    let seqs = column("seq")?.as_primitive_opt::<Int64Type>().ok_or_else(|| unlike("seq"))?;
    let ats = column("at")?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| unlike("at"))?;
    let texts: Vec<&StringArray> = TEXTS
        .iter()
        .map(|name| column(name)?.as_string_opt::<i32>().ok_or_else(|| unlike(name)))
        .collect::<Result<_, _>>()?;
    entries.extend((0..batch.num_rows()).map(|row| {
        let text = |at: usize| texts[at].value(row).to_owned();
        AuditEntry {
            seq: seqs.value(row),
            at: Instant::from_micros(ats.value(row)),
            who: text(0),
            place: text(1),
            action: text(2),
            subject: text(3),
            result: text(4),
            detail: text(5),
            digest: text(6),
        }
    }));
    Ok(())
}
