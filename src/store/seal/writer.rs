//! Writing one sealed file: under a temporary name, durable before it gets its own.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::AsArray,
    compute::{max, min},
    datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use datafusion::parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::SortingColumn,
        properties::{EnabledStatistics, WriterProperties},
    },
    schema::types::ColumnPath,
};
use xxhash_rust::xxh3::Xxh3;

use super::super::{
    StoreError, reach,
    sealed::{FOLDER, SealedFile, UNFINISHED, sync_folder},
};
use crate::{
    event::{Column, Instant},
    journal::layout::{ARRIVAL, CONTENT_HASH, block_of},
    private,
};

/// Rows of a row group: what a reader decodes at least, and what a Bloom filter covers.
const ROW_GROUP: usize = 128 << 10;
/// One in a hundred ids that are not in a row group seems to be.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// Files are written once, by a thread that nobody waits for, and read for years.
const ZSTD_LEVEL: i32 = 9;

/// A sealed file under construction. Batches come in the order of (`occurred_at`, `arrival`).
pub(crate) struct SealedWriter {
    dir: PathBuf,
    day: String,
    unfinished: PathBuf,
    writer: ArrowWriter<Hashed>,
    first_at: Instant,
    last_at: Instant,
    events: i64,
    arrivals: (i64, i64),
}

impl SealedWriter {
    /// Starts a file of a local day. `schema` has the columns that have values, out of [`super::super::layout::SEALED`].
    ///
    /// # Errors
    /// If the file cannot be made.
    pub(crate) fn create(dir: &Path, day: &str, schema: &SchemaRef) -> Result<Self, StoreError> {
        let unfinished = dir.join(FOLDER).join(format!("{day}{UNFINISHED}"));
        let file = private::create(&unfinished)
            .map_err(|error| StoreError::Seal { path: unfinished.clone(), error })?;
        reach(dir, "seal.created")?;
        let out = Hashed { file: BufWriter::with_capacity(1 << 18, file), hash: Box::default(), bytes: 0 };
        let writer = ArrowWriter::try_new(out, Arc::clone(schema), Some(properties(schema)))
            .map_err(|e| broken(&unfinished, e))?;
        Ok(Self {
            dir: dir.to_owned(),
            day: day.to_owned(),
            unfinished,
            writer,
            first_at: Instant::MAX,
            last_at: Instant::MIN,
            events: 0,
            arrivals: (i64::MAX, i64::MIN),
        })
    }

    /// Adds events.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let times = batch.column_by_name(Column::OccurredAt.spec().name);
        let times = times.and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
        let arrivals = batch.column_by_name(ARRIVAL).and_then(|c| c.as_primitive_opt::<Int64Type>());
        if let (Some(times), Some(arrivals)) = (times, arrivals) {
            self.first_at = self.first_at.min(Instant::from_micros(min(times).unwrap_or(i64::MAX)));
            self.last_at = self.last_at.max(Instant::from_micros(max(times).unwrap_or(i64::MIN)));
            self.arrivals.0 = self.arrivals.0.min(min(arrivals).unwrap_or(i64::MAX));
            self.arrivals.1 = self.arrivals.1.max(max(arrivals).unwrap_or(i64::MIN));
        }
        self.events += i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        self.writer.write(batch).map_err(|e| broken(&self.unfinished, e))
    }

    /// Makes the file durable under its own name, which [`super::super::sealed::sync_folder`] makes durable in turn.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn finish(mut self) -> Result<SealedFile, StoreError> {
        let unfinished = self.unfinished;
        let fail = |error| StoreError::Seal { path: unfinished.clone(), error };
        self.writer.finish().map_err(|e| broken(&unfinished, e))?;
        let out = self.writer.inner_mut();
        out.flush().map_err(fail)?;
        reach(&self.dir, "seal.written")?;
        out.file.get_ref().sync_all().map_err(|error| unsure(&unfinished, &error))?;
        reach(&self.dir, "seal.synced")?;
        let (first_seq, last_seq) = (block_of(self.arrivals.0), block_of(self.arrivals.1));
        let sealed = SealedFile {
            file: format!("{}.{first_seq}-{last_seq}.parquet", self.day),
            day: self.day,
            first_at: self.first_at,
            last_at: self.last_at,
            events: self.events,
            first_seq,
            last_seq,
            bytes: out.bytes,
            checksum: out.hash.digest().cast_signed(),
        };
        std::fs::rename(&unfinished, sealed.path(&self.dir)).map_err(fail)?;
        reach(&self.dir, "seal.renamed")?;
        Ok(sealed)
    }
}

/// Writes files one after another and makes their names durable.
///
/// # Errors
/// If the folder cannot be synchronised.
pub(crate) fn settle(dir: &Path) -> Result<(), StoreError> {
    sync_folder(dir).map_err(|error| unsure(&dir.join(FOLDER), &error))?;
    reach(dir, "seal.settled")
}

/// A disk that did not confirm what was written once is not asked again: the next answer would say nothing of it.
fn unsure(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unsure { path: path.to_owned(), error: error.to_string() }
}

fn broken(path: &Path, error: ParquetError) -> StoreError {
    let error = match error {
        ParquetError::External(e) => match e.downcast::<std::io::Error>() {
            Ok(io) => *io,
            Err(other) => std::io::Error::other(other),
        },
        other => std::io::Error::other(other),
    };
    StoreError::Seal { path: path.to_owned(), error }
}

fn properties(schema: &SchemaRef) -> WriterProperties {
    let column = |name: &str| ColumnPath::from(name);
    let (id, at) = (Column::EventId.spec().name, Column::OccurredAt.spec().name);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default()))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        // Ids are in order or at random, and each is there once.
        .set_column_dictionary_enabled(column(id), false)
        .set_column_encoding(column(id), Encoding::DELTA_BYTE_ARRAY)
        .set_column_bloom_filter_enabled(column(id), true)
        .set_column_bloom_filter_fpp(column(id), BLOOM_FALSE_POSITIVES)
        .set_column_bloom_filter_max_ndv(column(id), ROW_GROUP as u64)
        .set_column_statistics_enabled(column(at), EnabledStatistics::Page);
    for time in [at, Column::RecordedAt.spec().name, ARRIVAL] {
        properties = properties
            .set_column_dictionary_enabled(column(time), false)
            .set_column_encoding(column(time), Encoding::DELTA_BINARY_PACKED);
    }
    // A hash is noise.
    properties = properties
        .set_column_dictionary_enabled(column(CONTENT_HASH), false)
        .set_column_encoding(column(CONTENT_HASH), Encoding::PLAIN)
        .set_column_compression(column(CONTENT_HASH), Compression::UNCOMPRESSED)
        .set_column_statistics_enabled(column(CONTENT_HASH), EnabledStatistics::None);
    let sorting = [at, ARRIVAL].into_iter().filter_map(|name| {
        let column_idx = i32::try_from(schema.index_of(name).ok()?).ok()?;
        Some(SortingColumn { column_idx, descending: false, nulls_first: false })
    });
    properties.set_sorting_columns(Some(sorting.collect())).build()
}

/// Counts and hashes what goes through.
struct Hashed {
    file: BufWriter<File>,
    hash: Box<Xxh3>,
    bytes: i64,
}

impl Write for Hashed {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += i64::try_from(written).unwrap_or(i64::MAX);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
