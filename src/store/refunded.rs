//! What refunds took from each line, read from the journal once: a state of before version 6 did not keep it.

use std::{collections::BTreeMap, path::Path};

use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::{DataType, Decimal128Type},
    error::ArrowError,
    record_batch::RecordBatch,
};
use rusqlite::Connection;

use super::{
    Select, StoreError, explain,
    history::{file, shape::ScanShape},
    sealed,
};
use crate::{
    event::{Cents, Column, EventType, event_schema},
    journal::{JournalBlock, stored_block},
    say,
};

const COLUMNS: [Column; 3] = [Column::Type, Column::BudgetLineId, Column::Amount];

/// What was refunded by line, of all events that the checkpoint includes.
///
/// # Errors
/// If a block or file is damaged or the database cannot be read.
pub(crate) fn of_lines(dir: &Path, connection: &Connection) -> Result<BTreeMap<String, Cents>, StoreError> {
    let mut refunded = BTreeMap::new();
    let shape = ScanShape::new(&event_schema("UTC"), Some(&COLUMNS.map(Column::index)), false)
        .map_err(|e| StoreError::Request(e.to_string()))?;
    for sealed in sealed::list(connection).map_err(|e| explain(dir, e))? {
        file::read(dir, &sealed, &shape, &Select::default(), &mut |batch| {
            add(&batch, &mut refunded);
            true
        })?;
    }
    let fail = |error| explain(dir, error);
    let sql = "SELECT seq, block, ids, checksum FROM journal
               WHERE seq <= (SELECT value FROM meta WHERE name = 'checkpoint') ORDER BY seq";
    let mut statement = connection.prepare(sql).map_err(fail)?;
    let mut rows = statement.query([]).map_err(fail)?;
    while let Some(row) = rows.next().map_err(fail)? {
        let seq: i64 = row.get("seq").map_err(fail)?;
        let blob = |name: &str| row.get_ref(name).and_then(|value| Ok(value.as_blob()?)).map_err(fail);
        let (block, ids) = (blob("block")?, blob("ids")?);
        let damaged = |what| StoreError::Corrupt { path: dir.to_owned(), what };
        if JournalBlock::checksum(block, ids) != row.get::<_, i64>("checksum").map_err(fail)? {
            return Err(damaged(say!("journal block {seq} does not match its checksum", seq)));
        }
        let wanted = |name: &str| COLUMNS.iter().any(|column| column.spec().name == name);
        let events = stored_block(block, Some(&wanted));
        let broken = |e: ArrowError| damaged(say!("journal block {seq}: {what}", seq, what = e));
        add(&events.map_err(broken)?, &mut refunded);
    }
    Ok(refunded)
}

fn add(events: &RecordBatch, refunded: &mut BTreeMap<String, Cents>) {
    let column = |column: Column| events.column_by_name(column.spec().name);
    // Blocks have text in another layout than files.
    let texts = |of| column(of).and_then(|texts| cast(texts, &DataType::Utf8View).ok());
    let (Some(types), Some(lines)) = (texts(Column::Type), texts(Column::BudgetLineId)) else { return };
    let amounts = column(Column::Amount).and_then(|amounts| amounts.as_primitive_opt::<Decimal128Type>());
    let (Some(amounts), types, lines) = (amounts, types.as_string_view(), lines.as_string_view()) else {
        return;
    };
    let is_refund = |row: &usize| types.is_valid(*row) && types.value(*row) == EventType::Refund.name();
    for row in (0..events.num_rows()).filter(is_refund) {
        *refunded.entry(lines.value(row).to_owned()).or_default() += Cents::new(amounts.value(row));
    }
}
