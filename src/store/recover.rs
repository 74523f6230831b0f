//! Where the last commit left off: the last checkpoint plus the journal after it, and which events are known.

use std::collections::BTreeMap;

use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::{DataType, Decimal128Type, SchemaRef, TimestampMicrosecondType, UInt64Type},
    error::ArrowError,
    record_batch::RecordBatch,
};
use rusqlite::Connection;

use super::{
    Select, Store, StoreError, checkpoint,
    checksums::{self, Sum},
    explain,
    history::{file, parallel::Ordered, shape::ScanShape},
    sealed,
};
use crate::{
    engine::{KnownEvent, SavedWatermark},
    event::{BankStatus, Cents, Column, EventType, Instant, id_hash},
    journal::{JournalBlock, decode_block, read_ids, stored_block},
    ledger::{Ledger, Reversal},
    say,
    stream::Position,
};

/// What a start needs.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The balances after the last commit.
    pub ledger: Ledger,
    /// How far each partition is read, by source and partition.
    pub positions: BTreeMap<(String, String), Position>,
    /// How far event time has come.
    pub watermark: SavedWatermark,
    /// Events applied again because no checkpoint had them.
    pub replayed: u64,
    /// Events in the journal, sealed ones included.
    pub events: u64,
    /// The number of the last journal block.
    pub last_seq: i64,
}

/// The journal and the balances.
const SUMMED_WHILE_READ: [&str; 5] = [
    checksums::JOURNAL.name,
    checksums::LINES.name,
    checksums::APPLICATIONS.name,
    checksums::CONFIRMATIONS.name,
    checksums::INDICATORS.name,
];

impl Store {
    /// Reads the state as of the last commit. `schema` is the event schema in the configured zone. `known` is given
    /// every event of the journal: those of sealed files in no particular order, then those of blocks, in order.
    ///
    /// # Errors
    /// If a block or file is damaged or the database cannot be read.
    pub fn recover(
        &self,
        schema: &SchemaRef,
        known: &mut dyn FnMut(KnownEvent),
    ) -> Result<Recovered, StoreError> {
        let fail = |error| explain(&self.dir, error);
        self.check_tables()?;
        let mut recovered = Recovered {
            ledger: checkpoint::read(&self.dir, &self.connection).map_err(|error| self.damage_or(error))?,
            positions: self.positions().map_err(fail)?,
            events: number(self, EVENTS)?.unwrap_or(0).unsigned_abs(),
            last_seq: super::commit::last_seq(&self.connection).map_err(fail)?,
            watermark: watermark(&self.connection).map_err(fail)?,
            ..Recovered::default()
        };
        self.sealed_events(schema, &mut recovered.ledger, known)?;
        self.blocks(schema, &mut recovered, known)?;
        super::reach(&self.dir, "start.recovered")?;
        Ok(recovered)
    }

    /// Compares every table with its sum, but for those that are summed while they are read. Officers may write
    /// meanwhile, so it is done in one transaction.
    fn check_tables(&self) -> Result<(), StoreError> {
        let snapshot = self.connection.unchecked_transaction().map_err(|error| explain(&self.dir, error))?;
        for table in checksums::ALL.iter().filter(|table| !SUMMED_WHILE_READ.contains(&table.name)) {
            checksums::check(&self.dir, &snapshot, table)?;
        }
        checksums::check_indexes(&self.dir, &snapshot)
    }

    /// A row that cannot be read has been changed, as a rule: then the sum of its table says so.
    fn damage_or(&self, error: StoreError) -> StoreError {
        let mut read = checksums::ALL.iter().filter(|table| SUMMED_WHILE_READ.contains(&table.name));
        read.find_map(|table| checksums::check(&self.dir, &self.connection, table).err()).unwrap_or(error)
    }

    fn sealed_events(
        &self,
        schema: &SchemaRef,
        ledger: &mut Ledger,
        known: &mut dyn FnMut(KnownEvent),
    ) -> Result<(), StoreError> {
        let files = sealed::list(&self.connection).map_err(|e| explain(&self.dir, e))?;
        let mut columns = vec![Column::EventId.index(), Column::OccurredAt.index()];
        columns.extend(REVERSING.map(Column::index));
        let shape = ScanShape::new(schema, Some(&columns), false)
            .map_err(|e| StoreError::Request(e.to_string()))?
            .with_content_hash();
        let dir = self.dir.clone();
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let parts = Ordered::new(files, threads, move |sealed, take: &mut dyn FnMut(_) -> bool| {
            let all = Select::default();
            let read = file::read(&dir, &sealed, &shape, &all, &mut |batch| {
                take(Ok((events(&batch), reversals(&batch))))
            });
            if let Err(e) = read {
                take(Err(e));
            }
        });
        for part in parts {
            let part: Result<(Vec<KnownEvent>, Vec<Reversal>), StoreError> =
                part.map_err(|e| super::history::lost(&self.dir, e))?;
            let (events, reversals) = part?;
            events.into_iter().for_each(&mut *known);
            reversals.iter().for_each(|reversal| ledger.restore_reversal(reversal));
        }
        Ok(())
    }

    /// The number of events in files and blocks that have some from `at` on.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn events_since(&self, at: Instant) -> Result<u64, StoreError> {
        let sql = "SELECT (SELECT coalesce(sum(events), 0) FROM journal INDEXED BY journal_times WHERE last_at >= ?1)
            + (SELECT coalesce(sum(events), 0) FROM sealed WHERE last_at >= ?1)";
        let read = self.connection.query_row(sql, [at], |row| row.get::<_, i64>(0));
        read.map(i64::unsigned_abs).map_err(|error| explain(&self.dir, error))
    }

    /// Applies what the checkpoint does not have, and gives every event to `known`.
    fn blocks(
        &self,
        schema: &SchemaRef,
        recovered: &mut Recovered,
        known: &mut dyn FnMut(KnownEvent),
    ) -> Result<(), StoreError> {
        let fail = |error| explain(&self.dir, error);
        let checkpoint = number(self, "SELECT value FROM meta WHERE name = 'checkpoint'")?.unwrap_or(0);
        let summed = checksums::columns(&checksums::JOURNAL);
        let sql = format!("SELECT block, ids, {summed} FROM journal ORDER BY seq");
        let mut statement = self.connection.prepare(&sql).map_err(fail)?;
        let summed = 2..statement.column_count();
        let mut sum = Sum::default();
        let mut rows = statement.query([]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            sum.add(row, summed.clone()).map_err(fail)?;
            let seq: i64 = row.get("seq").map_err(fail)?;
            let blob = |name: &str| row.get_ref(name).and_then(|v| Ok(v.as_blob()?)).map_err(fail);
            let (block, ids) = (blob("block")?, blob("ids")?);
            let damaged = |what: String| StoreError::Corrupt { path: self.dir.clone(), what };
            if JournalBlock::checksum(block, ids) != row.get::<_, i64>("checksum").map_err(fail)? {
                return Err(damaged(say!("journal block {seq} does not match its checksum", seq)));
            }
            let broken = |e: ArrowError| damaged(say!("journal block {seq}: {what}", seq, what = e));
            let events = if seq > checkpoint {
                let (events, types) = decode_block(block, schema).map_err(broken)?;
                recovered.ledger.apply(&events, &types);
                recovered.replayed += types.len() as u64;
                events
            } else {
                let wanted = |name: &str| {
                    name == Column::OccurredAt.spec().name
                        || REVERSING.iter().any(|column| column.spec().name == name)
                };
                let events = stored_block(block, Some(&wanted)).map_err(broken)?;
                for reversal in reversals(&events) {
                    recovered.ledger.restore_reversal(&reversal);
                }
                events
            };
            let times = events.column_by_name(Column::OccurredAt.spec().name);
            let times = times
                .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
                .ok_or_else(|| damaged(say!("journal block {seq} has no times", seq)))?;
            for ((id, content), at) in read_ids(ids).zip(times.values()) {
                known(KnownEvent { id, content, at: Instant::from_micros(*at), block: Some(seq) });
            }
        }
        checksums::expect(&self.dir, &self.connection, &checksums::JOURNAL, sum)
    }

    fn positions(&self) -> rusqlite::Result<BTreeMap<(String, String), Position>> {
        let mut statement = self.connection.prepare("SELECT * FROM positions")?;
        let rows = statement.query_map([], |row| {
            let position = Position {
                offset: row.get("offset")?,
                records: row.get("records")?,
                token: row.get("token")?,
            };
            Ok(((row.get("source")?, row.get("partition")?), position))
        })?;
        rows.collect()
    }
}

/// The events of a sealed file's batch: ids, times and content hashes.
fn events(batch: &RecordBatch) -> Vec<KnownEvent> {
    let ids = batch.column(0).as_string_view().iter().flatten();
    let times = batch.column(1).as_primitive::<TimestampMicrosecondType>().values();
    // The content hash comes after all other columns.
    let contents = batch.column(batch.num_columns() - 1).as_primitive::<UInt64Type>().values();
    let event = |((id, at), content): ((&str, &i64), &u64)| KnownEvent {
        id: id_hash(id),
        content: *content,
        at: Instant::from_micros(*at),
        block: None,
    };
    ids.zip(times).zip(contents).map(event).collect()
}

/// The columns that tell what an event takes back or confirms. One that no event of a batch has may be missing.
const REVERSING: [Column; 6] = [
    Column::Type,
    Column::OriginalEventId,
    Column::BudgetLineId,
    Column::ToBudgetLineId,
    Column::Status,
    Column::Amount,
];

/// What the events of a batch take back of others, or confirm.
fn reversals(batch: &RecordBatch) -> Vec<Reversal> {
    let stored = |column: Column| batch.column_by_name(column.spec().name);
    if stored(Column::OriginalEventId).is_none_or(|names| names.null_count() == names.len()) {
        return Vec::new();
    }
    // Blocks have text in another layout than files.
    let [texts @ .., _] = REVERSING;
    let views = texts.map(|column| Some((column, cast(stored(column)?, &DataType::Utf8View).ok()?)));
    let text = |column: Column, row: usize| {
        let (_, texts) = views.iter().flatten().find(|(known, _)| *known == column)?;
        let texts = texts.as_string_view_opt()?;
        texts.is_valid(row).then(|| texts.value(row))
    };
    let amounts = stored(Column::Amount).and_then(|column| column.as_primitive_opt::<Decimal128Type>());
    let reversal = |row: usize| {
        let original = text(Column::OriginalEventId, row)?;
        let event_type = EventType::parse(text(Column::Type, row)?)?;
        // A confirmation may be of no line.
        let line = text(Column::BudgetLineId, row).unwrap_or_default();
        let to_line = text(Column::ToBudgetLineId, row);
        let cents = amounts.map_or(Cents::ZERO, |amounts| Cents::new(amounts.value(row)));
        let status = text(Column::Status, row).and_then(BankStatus::parse);
        let cents = status.map_or(cents, |status| status.cleared(cents));
        Some(Reversal::new(event_type, original, line, to_line, cents))
    };
    (0..batch.num_rows()).filter_map(reversal).collect()
}

/// How far event time had come at the last commit.
pub(crate) fn watermark(connection: &Connection) -> rusqlite::Result<SavedWatermark> {
    match connection.query_row("SELECT value FROM watermark", [], |row| row.get::<_, String>(0)) {
        Ok(text) => serde_json::from_str(&text)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, e.into())),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(SavedWatermark::default()),
        Err(e) => Err(e),
    }
}

/// The number of events in the journal.
pub(crate) const EVENTS: &str =
    "SELECT (SELECT coalesce(sum(events), 0) FROM journal INDEXED BY journal_times)
    + (SELECT coalesce(sum(events), 0) FROM sealed)";
/// The latest event time.
pub(crate) const LATEST: &str = "SELECT max(at) FROM (SELECT max(last_at) at FROM journal INDEXED BY journal_times UNION ALL SELECT max(last_at) FROM sealed)";
pub(crate) const EARLIEST: &str = "SELECT min(at) FROM (SELECT min(first_at) at FROM journal INDEXED BY journal_times UNION ALL SELECT min(first_at) FROM sealed)";

pub(crate) fn number(store: &Store, sql: &str) -> Result<Option<i64>, StoreError> {
    store.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| explain(&store.dir, error))
}
