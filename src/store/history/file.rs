//! Reading one sealed file.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arrow::{
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
};
use datafusion::parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    },
    errors::ParquetError,
    file::statistics::Statistics,
};
use parking_lot::Mutex;
use xxhash_rust::xxh3::Xxh3;

use super::{
    super::{
        StoreError,
        sealed::{SealedFile, check_size},
    },
    Select,
    shape::ScanShape,
};
use crate::{
    event::{Column, Instant},
    say,
};

/// Rows of a batch.
const ROWS: usize = 32 << 10;

/// What was found wrong with a sealed file.
pub(crate) fn damaged(dir: &Path, file: &SealedFile, what: impl std::fmt::Display) -> StoreError {
    StoreError::SealedFile { path: file.path(dir), what: what.to_string() }
}

/// Opens a file and makes sure that it is what was written.
///
/// # Errors
/// If it is missing, damaged or no Parquet file.
pub(crate) fn open(
    dir: &Path,
    sealed: &SealedFile,
) -> Result<ParquetRecordBatchReaderBuilder<File>, StoreError> {
    let file = verified(dir, sealed)?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(dir, sealed, e))
}

/// Files of this process that had their checksums, by path, size and time of the last change.
static VERIFIED: Mutex<BTreeSet<(PathBuf, u64, SystemTime)>> = Mutex::new(BTreeSet::new());
/// Files remembered; a decade of days.
const VERIFIED_MAX: usize = 4096;

/// A file with the right size and, the first time a process opens it, the right checksum: Parquet would take many a
/// flipped bit for another value.
fn verified(dir: &Path, sealed: &SealedFile) -> Result<File, StoreError> {
    let fail = |e: std::io::Error| damaged(dir, sealed, e);
    check_size(dir, sealed)?;
    let path = sealed.path(dir);
    let mut file = File::open(&path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    let key = (path, metadata.len(), metadata.modified().map_err(fail)?);
    if VERIFIED.lock().contains(&key) {
        return Ok(file);
    }
    check(dir, sealed, &mut file)?;
    let mut known = VERIFIED.lock();
    if known.len() >= VERIFIED_MAX {
        known.clear();
    }
    known.insert(key);
    // Parquet reads at positions of its own, not at the file's.
    Ok(file)
}

/// Makes sure that a file is what was written, whether it was looked at before or not.
///
/// # Errors
/// If not.
pub(crate) fn verify(dir: &Path, sealed: &SealedFile) -> Result<(), StoreError> {
    check_size(dir, sealed)?;
    let mut file = File::open(sealed.path(dir)).map_err(|e| damaged(dir, sealed, e))?;
    check(dir, sealed, &mut file)
}

fn check(dir: &Path, sealed: &SealedFile, file: &mut File) -> Result<(), StoreError> {
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(|e| damaged(dir, sealed, e))?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
    }
    if hash.digest().cast_signed() != sealed.checksum {
        return Err(damaged(dir, sealed, say!("it does not match its checksum")));
    }
    Ok(())
}

/// Gives the selected events of a file to `take`, until it returns `false`.
///
/// # Errors
/// If the file is damaged.
pub(crate) fn read(
    dir: &Path,
    sealed: &SealedFile,
    shape: &ScanShape,
    select: &Select,
    take: &mut dyn FnMut(arrow::record_batch::RecordBatch) -> bool,
) -> Result<(), StoreError> {
    let file = verified(dir, sealed)?;
    let fail = |e: ParquetError| damaged(dir, sealed, e);
    // Values that lie outside of what is selected must be told apart only in files that have some.
    let select = select.within(sealed.first_at, sealed.last_at, sealed.first_seq, sealed.last_seq);
    let stored = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(fail)?;
    let options = ArrowReaderOptions::new().with_schema(Arc::new(viewed(stored.schema())));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(stored.metadata()), options).map_err(fail)?;
    let columns = metadata.schema().fields().iter().enumerate();
    let columns = columns.filter(|(_, f)| shape.needs(f.name(), &select)).map(|(at, _)| at);
    let mask = ProjectionMask::roots(metadata.parquet_schema(), columns);
    let groups = row_groups(&metadata, &select);
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let reader = builder.with_projection(mask).with_row_groups(groups).with_batch_size(ROWS).build();
    for batch in reader.map_err(fail)? {
        let fail = |e: ArrowError| damaged(dir, sealed, e);
        let batch = batch.map_err(fail)?;
        let batch = shape.output(&batch, None, &select).map_err(fail)?;
        if batch.num_rows() > 0 && !take(batch) {
            break;
        }
    }
    Ok(())
}

/// Text is read as views into the decompressed pages.
fn viewed(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 => Field::new(field.name(), DataType::Utf8View, field.is_nullable()),
        _ => field.as_ref().clone(),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// The row groups that can have selected events. A file is sorted by time, so time tells most.
fn row_groups(metadata: &ArrowReaderMetadata, select: &Select) -> Vec<usize> {
    let metadata = metadata.metadata();
    let names = metadata.file_metadata().schema_descr();
    let place = |name: &str| names.columns().iter().position(|c| c.path().string() == name);
    let at = place(Column::OccurredAt.spec().name);
    (0..metadata.num_row_groups())
        .filter(|group| {
            let Some(at) = at else { return true };
            match metadata.row_group(*group).column(at).statistics() {
                Some(Statistics::Int64(s)) => match (s.min_opt(), s.max_opt()) {
                    (Some(min), Some(max)) => {
                        select.times_overlap(Instant::from_micros(*min), Instant::from_micros(*max))
                    }
                    _ => true,
                },
                _ => true,
            }
        })
        .collect()
}
