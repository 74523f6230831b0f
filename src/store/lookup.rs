//! Looking up one event: in the sealed files, for duplicates of events that are too old to be remembered, and in the whole
//! journal, for what another event names.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use arrow::{array::AsArray, datatypes::UInt64Type, record_batch::RecordBatch};
use datafusion::parquet::{arrow::ProjectionMask, bloom_filter::Sbbf};
use rusqlite::{Connection, named_params};

use super::{
    Select, StoreError, explain,
    history::{file, shape::ScanShape},
    open_reader,
    sealed::{self, SealedFile},
};
use crate::{
    event::{Column, Instant, event_schema},
    journal::{JournalBlock, layout::CONTENT_HASH, read_ids, stored_block},
    say,
};

/// Bytes of Bloom filters that are kept: those of about a hundred million events.
const FILTER_BYTES_MAX: usize = 128 << 20;
/// How often a list of files that has become old is read again for one search.
const TRIES: u32 = 3;

/// Finds something in some row groups of a file.
type Find<'f, T> = dyn Fn(&Path, &SealedFile, Vec<usize>) -> Result<Option<T>, StoreError> + 'f;

/// Finds events in sealed files.
#[derive(Debug)]
pub struct Lookup {
    dir: PathBuf,
    connection: Connection,
    files: Vec<SealedFile>,
    /// By file, one a row group; `None` where a group has none and must be read.
    filters: HashMap<String, Vec<Option<Sbbf>>>,
    filter_bytes: usize,
}

impl Lookup {
    /// Opens the sealed files of a state directory.
    ///
    /// # Errors
    /// If there is no state or it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let connection = open_reader(dir)?;
        let (files, filters) = (Vec::new(), HashMap::new());
        let mut lookup = Self { dir: dir.to_owned(), connection, files, filters, filter_bytes: 0 };
        lookup.refresh()?;
        Ok(lookup)
    }

    /// The state directory and the connection to its database.
    pub(super) fn database(&self) -> (&Path, &Connection) {
        (&self.dir, &self.connection)
    }

    /// Learns which files there are now, and gives the last journal block that is sealed: every event up to it is
    /// found from here on.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn refresh(&mut self) -> Result<i64, StoreError> {
        let fail = |error| explain(&self.dir, error);
        let snapshot = self.connection.unchecked_transaction().map_err(fail)?;
        self.files = sealed::list(&snapshot).map_err(fail)?;
        let sql = "SELECT value FROM meta WHERE name = 'sealed'";
        let sealed = snapshot.query_row(sql, [], |row| row.get(0)).map_err(fail)?;
        Ok(sealed)
    }

    /// The content hash of an event, if a file that has events before `before` has it.
    ///
    /// # Errors
    /// If a file is damaged or the database cannot be read.
    pub fn content(&mut self, event_id: &str, before: Instant) -> Result<Option<u64>, StoreError> {
        self.again(|lookup| {
            lookup.search(event_id, (Instant::MIN, before), &|dir, sealed, groups| {
                find(dir, sealed, groups, event_id)
            })
        })
    }

    /// Some columns of a committed event with the id hash `id` whose time is from `times.0` on and before `times.1`.
    ///
    /// # Errors
    /// If a file or block is damaged or the database cannot be read.
    pub fn event(
        &mut self,
        event_id: &str,
        id: u64,
        times: (Instant, Instant),
        columns: &[Column],
    ) -> Result<Option<RecordBatch>, StoreError> {
        let places: Vec<usize> = columns.iter().map(|column| column.index()).collect();
        let shape = ScanShape::new(&event_schema("UTC"), Some(&places), false)
            .map_err(|e| StoreError::Request(e.to_string()))?;
        if let Some(event) = self.in_blocks(id, times, &shape)? {
            return Ok(Some(event));
        }
        // What is in no block any more is in a file by now.
        self.refresh()?;
        self.again(|lookup| {
            lookup.search(event_id, times, &|dir, sealed, groups| row(dir, sealed, groups, event_id, &shape))
        })
    }

    /// The last journal block that is committed.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_block(&self) -> Result<i64, StoreError> {
        super::commit::last_seq(&self.connection).map_err(|error| explain(&self.dir, error))
    }

    fn again<T>(
        &mut self,
        search: impl Fn(&mut Self) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut tries = 1;
        loop {
            match search(self) {
                // A file may have been replaced by one that has its events, and the list tells which.
                Err(StoreError::SealedFile { .. }) if tries < TRIES => {
                    tries += 1;
                    self.refresh()?;
                }
                result => return result,
            }
        }
    }

    fn in_blocks(
        &self,
        id: u64,
        (from, before): (Instant, Instant),
        shape: &ScanShape,
    ) -> Result<Option<RecordBatch>, StoreError> {
        let fail = |error| explain(&self.dir, error);
        let sql =
            "SELECT ids, seq FROM journal WHERE last_at >= :from AND first_at < :before ORDER BY seq DESC";
        let mut statement = self.connection.prepare_cached(sql).map_err(fail)?;
        let mut rows = statement.query(named_params! { ":from": from, ":before": before }).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let ids = row.get_ref("ids").and_then(|ids| Ok(ids.as_blob()?)).map_err(fail)?;
            if let Some(at) = read_ids(ids).position(|(known, _)| known == id) {
                return self.in_block(row.get("seq").map_err(fail)?, at, shape).map(Some);
            }
        }
        Ok(None)
    }

    fn in_block(&self, seq: i64, at: usize, shape: &ScanShape) -> Result<RecordBatch, StoreError> {
        let sql = "SELECT block, ids, checksum FROM journal WHERE seq = ?1";
        let read = self
            .connection
            .query_row(sql, [seq], |row| Ok((row.get("block")?, row.get("ids")?, row.get("checksum")?)));
        let (block, ids, checksum): (Vec<u8>, Vec<u8>, i64) = read.map_err(|e| explain(&self.dir, e))?;
        let damaged = |what| StoreError::Corrupt {
            path: self.dir.clone(),
            what: say!("journal block {seq}: {what}", seq, what),
        };
        if JournalBlock::checksum(&block, &ids) != checksum {
            return Err(damaged(say!("it does not match its checksum")));
        }
        let all = Select::default();
        stored_block(&block, Some(&|name: &str| shape.needs(name, &all)))
            .and_then(|stored| shape.output(&stored.slice(at, 1), None, &all))
            .map_err(|e| damaged(e.to_string()))
    }

    fn search<T>(
        &mut self,
        event_id: &str,
        (from, before): (Instant, Instant),
        find: &Find<'_, T>,
    ) -> Result<Option<T>, StoreError> {
        for sealed in self.files.iter().filter(|file| file.first_at < before && file.last_at >= from) {
            if !self.filters.contains_key(&sealed.file) {
                let filters = filters(&self.dir, sealed)?;
                let bytes: usize = filters.iter().flatten().map(|filter| filter.num_blocks() * 32).sum();
                if self.filter_bytes + bytes > FILTER_BYTES_MAX {
                    self.filters.clear();
                    self.filter_bytes = 0;
                }
                self.filter_bytes += bytes;
                self.filters.insert(sealed.file.clone(), filters);
            }
            let filters = self.filters.get(&sealed.file).map_or(&[][..], |filters| filters);
            let possible = |filter: &Option<Sbbf>| filter.as_ref().is_none_or(|f| f.check(event_id));
            let groups = filters.iter().enumerate().filter(|(_, filter)| possible(filter));
            let groups: Vec<usize> = groups.map(|(group, _)| group).collect();
            if let Some(found) = find(&self.dir, sealed, groups)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// The Bloom filters of `event_id`.
fn filters(dir: &Path, sealed: &SealedFile) -> Result<Vec<Option<Sbbf>>, StoreError> {
    let builder = file::open(dir, sealed)?;
    let columns = builder.parquet_schema().columns();
    let name = Column::EventId.spec().name;
    let column = columns.iter().position(|c| c.path().string() == name);
    let column = column.ok_or_else(|| file::damaged(dir, sealed, say!("it has no column {name}", name)))?;
    (0..builder.metadata().num_row_groups())
        .map(|group| builder.get_row_group_column_bloom_filter(group, column))
        .collect::<Result<_, _>>()
        .map_err(|e| file::damaged(dir, sealed, e))
}

/// The content hash of an event in some row groups of a file.
fn find(
    dir: &Path,
    sealed: &SealedFile,
    groups: Vec<usize>,
    event_id: &str,
) -> Result<Option<u64>, StoreError> {
    if groups.is_empty() {
        return Ok(None);
    }
    let builder = file::open(dir, sealed)?;
    let name = Column::EventId.spec().name;
    let mask = ProjectionMask::columns(builder.parquet_schema(), [name, CONTENT_HASH]);
    let reader = builder.with_projection(mask).with_row_groups(groups).build();
    for batch in reader.map_err(|e| file::damaged(dir, sealed, e))? {
        let batch = batch.map_err(|e| file::damaged(dir, sealed, e))?;
        let missing = |name: &str| file::damaged(dir, sealed, say!("it has no column {name}", name));
        let ids = batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let contents = batch.column_by_name(CONTENT_HASH).and_then(|c| c.as_primitive_opt::<UInt64Type>());
        let (ids, contents) =
            (ids.ok_or_else(|| missing(name))?, contents.ok_or_else(|| missing(CONTENT_HASH))?);
        if let Some(row) = ids.iter().position(|id| id == Some(event_id)) {
            return Ok(Some(contents.value(row)));
        }
    }
    Ok(None)
}

/// Some columns of an event in some row groups of a file.
fn row(
    dir: &Path,
    sealed: &SealedFile,
    groups: Vec<usize>,
    event_id: &str,
    shape: &ScanShape,
) -> Result<Option<RecordBatch>, StoreError> {
    if groups.is_empty() {
        return Ok(None);
    }
    let (builder, all) = (file::open(dir, sealed)?, Select::default());
    let name = Column::EventId.spec().name;
    let stored = builder.schema().fields().iter().map(|field| field.name().clone());
    let wanted: Vec<_> = stored.filter(|column| column == name || shape.needs(column, &all)).collect();
    let mask = ProjectionMask::columns(builder.parquet_schema(), wanted.iter().map(String::as_str));
    let reader = builder.with_projection(mask).with_row_groups(groups).build();
    for batch in reader.map_err(|e| file::damaged(dir, sealed, e))? {
        let batch = batch.map_err(|e| file::damaged(dir, sealed, e))?;
        let ids = batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let ids = ids.ok_or_else(|| file::damaged(dir, sealed, say!("it has no column {name}", name)))?;
        if let Some(row) = ids.iter().position(|id| id == Some(event_id)) {
            let event = shape.output(&batch.slice(row, 1), None, &all);
            return event.map(Some).map_err(|e| file::damaged(dir, sealed, e));
        }
    }
    Ok(None)
}
