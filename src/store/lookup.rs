//! Looking up one event in the sealed files, for duplicates of events that are too old to be remembered.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use arrow::{array::AsArray, datatypes::UInt64Type};
use datafusion::parquet::{arrow::ProjectionMask, bloom_filter::Sbbf};
use rusqlite::Connection;

use super::{
    StoreError, explain,
    history::file,
    layout::CONTENT_HASH,
    open_reader,
    sealed::{self, SealedFile},
};
use crate::{event::Column, say};

/// Bytes of Bloom filters that are kept: those of about a hundred million events.
const FILTER_BYTES_MAX: usize = 128 << 20;
/// How often a list of files that has become old is read again for one search.
const TRIES: u32 = 3;

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

    /// The content hash of an event, if a file that has events before `before` (microseconds) has it.
    ///
    /// # Errors
    /// If a file is damaged or the database cannot be read.
    pub fn content(&mut self, event_id: &str, before: i64) -> Result<Option<u64>, StoreError> {
        let mut tries = 1;
        loop {
            match self.search(event_id, before) {
                // A file may have been replaced by one that has its events, and the list tells which.
                Err(StoreError::SealedFile { .. }) if tries < TRIES => {
                    tries += 1;
                    self.refresh()?;
                }
                result => return result,
            }
        }
    }

    fn search(&mut self, event_id: &str, before: i64) -> Result<Option<u64>, StoreError> {
        for sealed in self.files.iter().filter(|file| file.first_at < before) {
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
            if let Some(content) = find(&self.dir, sealed, groups, event_id)? {
                return Ok(Some(content));
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
