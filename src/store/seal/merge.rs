//! Several files of one day become one: a merge of sorted files that holds one batch of each.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    path::Path,
    sync::Arc,
};

use arrow::{
    array::AsArray,
    compute::interleave_record_batch,
    datatypes::{Int64Type, Schema, SchemaRef, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::{
    super::{StoreError, history::file, sealed::SealedFile},
    writer::SealedWriter,
};
use crate::{
    event::Column,
    journal::layout::{ARRIVAL, SEALED, conform},
};

/// Rows that are read of a file, and written, at once.
const ROWS: usize = 8192;

/// Writes the events of `files`, all of one day, into a new file.
///
/// # Errors
/// If one of them is damaged or the new one cannot be written.
pub(crate) fn merge(dir: &Path, files: &[SealedFile]) -> Result<SealedFile, StoreError> {
    let mut present = BTreeSet::new();
    let mut readers = Vec::new();
    for sealed in files {
        let builder = file::open(dir, sealed)?.with_batch_size(ROWS);
        present.extend(builder.schema().fields().iter().map(|f| f.name().clone()));
        let reader = builder.build().map_err(|e| file::damaged(dir, sealed, e))?;
        readers.push((reader, sealed));
    }
    let fields: Vec<_> = SEALED.fields().iter().filter(|f| present.contains(f.name())).cloned().collect();
    let schema = Arc::new(Schema::new(fields));
    let mut cursors = Vec::new();
    for (reader, sealed) in readers {
        cursors.extend(Cursor::start(dir, sealed, reader, &schema)?);
    }
    let day = files.first().map_or("", |f| f.day.as_str());
    let mut writer = SealedWriter::create(dir, day, &schema)?;
    let mut heap: BinaryHeap<_> = cursors.iter().enumerate().map(|(at, c)| Reverse((c.key(), at))).collect();
    // Rows of the batches that the cursors are in now. They are written before a cursor leaves its batch.
    let mut rows: Vec<(usize, usize)> = Vec::with_capacity(ROWS);
    while let Some(Reverse((_, at))) = heap.pop() {
        rows.push((at, cursors[at].row));
        cursors[at].row += 1;
        let ended = cursors[at].row == cursors[at].batch.num_rows();
        if ended || rows.len() == ROWS {
            write(&mut writer, &cursors, &rows)?;
            rows.clear();
        }
        if !ended || cursors[at].next_batch()? {
            heap.push(Reverse((cursors[at].key(), at)));
        }
    }
    writer.finish()
}

fn write(writer: &mut SealedWriter, cursors: &[Cursor], rows: &[(usize, usize)]) -> Result<(), StoreError> {
    let batches: Vec<&RecordBatch> = cursors.iter().map(|c| &c.batch).collect();
    let merged = interleave_record_batch(&batches, rows);
    let merged = merged.map_err(|e| StoreError::Seal {
        path: cursors.first().map(|c| c.sealed.path(&c.dir)).unwrap_or_default(),
        error: std::io::Error::other(e),
    })?;
    writer.write(&merged)
}

/// A place in a file.
struct Cursor {
    dir: std::path::PathBuf,
    sealed: SealedFile,
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    batch: RecordBatch,
    row: usize,
}

impl Cursor {
    /// At the first row; `None` for a file without rows.
    fn start(
        dir: &Path,
        sealed: &SealedFile,
        reader: ParquetRecordBatchReader,
        schema: &SchemaRef,
    ) -> Result<Option<Self>, StoreError> {
        let batch = RecordBatch::new_empty(Arc::clone(schema));
        let schema = Arc::clone(schema);
        let mut cursor = Self { dir: dir.to_owned(), sealed: sealed.clone(), reader, schema, batch, row: 0 };
        Ok(cursor.next_batch()?.then_some(cursor))
    }

    /// Goes to the next batch that has rows; `false` at the end.
    fn next_batch(&mut self) -> Result<bool, StoreError> {
        for batch in self.reader.by_ref() {
            let batch = batch.and_then(|b| conform(&b, &self.schema));
            let batch = batch.map_err(|e| file::damaged(&self.dir, &self.sealed, e))?;
            if batch.num_rows() > 0 {
                (self.batch, self.row) = (batch, 0);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the order goes by.
    fn key(&self) -> (i64, i64) {
        let column = |name: &str| self.batch.column_by_name(name);
        let at = column(Column::OccurredAt.spec().name)
            .and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
        let arrival = column(ARRIVAL).and_then(|c| c.as_primitive_opt::<Int64Type>());
        (at.map_or(0, |a| a.value(self.row)), arrival.map_or(0, |a| a.value(self.row)))
    }
}
