//! Where the last commit left off: the last checkpoint plus the journal after it.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;

use super::{JournalBlock, Store, StoreError, checkpoint, decode_block, explain};
use crate::{engine::SavedWatermark, ledger::Ledger, stream::Position};

/// What a start needs.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The balances after the last commit.
    pub ledger: Ledger,
    /// The id and content hash of every event of the journal.
    pub ids: Vec<(u64, u64)>,
    /// How far each partition is read, by source and partition.
    pub positions: BTreeMap<(String, String), Position>,
    /// How far event time has come.
    pub watermark: SavedWatermark,
    /// Events applied again because no checkpoint had them.
    pub replayed: u64,
}

impl Store {
    /// Reads the state as of the last commit. `schema` is the event schema in the configured zone.
    ///
    /// # Errors
    /// If a block is damaged or the database cannot be read.
    pub fn recover(&self, schema: &SchemaRef) -> Result<Recovered, StoreError> {
        let fail = |error| explain(&self.dir, error);
        let mut recovered = Recovered {
            ledger: checkpoint::read(&self.connection).map_err(fail)?,
            positions: self.positions().map_err(fail)?,
            watermark: self.watermark().map_err(fail)?,
            ..Recovered::default()
        };
        let sql = "SELECT value FROM meta WHERE name = 'checkpoint'";
        let checkpoint: i64 = self.connection.query_row(sql, [], |row| row.get(0)).map_err(fail)?;
        let sql = "SELECT seq, events, ids FROM journal WHERE seq <= ?1 ORDER BY seq";
        let mut statement = self.connection.prepare(sql).map_err(fail)?;
        let mut rows = statement.query([checkpoint]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let ids = row.get_ref(2).and_then(|v| Ok(v.as_blob()?)).map_err(fail)?;
            read_ids(ids, &mut recovered.ids);
        }
        let sql = "SELECT seq, block, ids, checksum FROM journal WHERE seq > ?1 ORDER BY seq";
        let mut statement = self.connection.prepare(sql).map_err(fail)?;
        let mut rows = statement.query([checkpoint]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let seq: i64 = row.get(0).map_err(fail)?;
            let blob = |at| row.get_ref(at).and_then(|v| Ok(v.as_blob()?)).map_err(fail);
            let (block, ids) = (blob(1)?, blob(2)?);
            let damaged = |what: String| StoreError::Corrupt { path: self.dir.clone(), what };
            if JournalBlock::checksum(block, ids) != row.get::<_, i64>(3).map_err(fail)? {
                return Err(damaged(format!("journal block {seq} does not match its checksum")));
            }
            let (events, types) =
                decode_block(block, schema).map_err(|e| damaged(format!("journal block {seq}: {e}")))?;
            recovered.ledger.apply(&events, &types);
            recovered.replayed += types.len() as u64;
            read_ids(ids, &mut recovered.ids);
        }
        Ok(recovered)
    }

    fn watermark(&self) -> rusqlite::Result<SavedWatermark> {
        let sql = "SELECT value FROM watermark";
        match self.connection.query_row(sql, [], |row| row.get::<_, String>(0)) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| {
                rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, e.into())
            }),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(SavedWatermark::default()),
            Err(e) => Err(e),
        }
    }

    fn positions(&self) -> rusqlite::Result<BTreeMap<(String, String), Position>> {
        let mut statement = self.connection.prepare("SELECT * FROM positions")?;
        let rows = statement.query_map([], |row| {
            let position = Position { offset: row.get(2)?, records: row.get(3)?, token: row.get(4)? };
            Ok(((row.get(0)?, row.get(1)?), position))
        })?;
        rows.collect()
    }
}

fn read_ids(blob: &[u8], ids: &mut Vec<(u64, u64)>) {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, b| (n << 8) | u64::from(*b));
    ids.extend(blob.chunks_exact(16).map(|pair| (word(&pair[..8]), word(&pair[8..]))));
}
