//! The last versions of versioned records: written in the commit of the events that follow from
//! them, looked up one by one, and let go of with the events.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params, params};

use super::{
    Lookup, StoreError,
    alerts::json,
    checksums::{self, SumUpdate, meta, set_meta},
    explain,
    named::insert,
};
use crate::{
    engine::{Kept, KnownVersions, NamedEvent, PortError, VersionChange},
    event::Instant,
    say,
};

/// The number in `meta` of the last change.
const LAST: &str = "versions";
/// Records that one transaction lets go of.
const LET_GO: usize = 10_000;

/// Writes what is known of records from this commit on.
pub(crate) fn write(transaction: &Transaction<'_>, changes: &[VersionChange]) -> rusqlite::Result<()> {
    let Some(last) = changes.iter().map(|change| change.number).max() else { return Ok(()) };
    let mut sum = SumUpdate::of(transaction, &checksums::VERSIONS);
    for VersionChange { source, key, kept, .. } in changes {
        let (source, key, body) = (&**source, &**key, json(kept)?);
        let name = params![source, key];
        sum.before(name)?;
        insert!(transaction, "INSERT OR REPLACE INTO versions", { source, key, at: kept.at, body })?;
        sum.after(name)?;
    }
    sum.end()?;
    set_meta(transaction, LAST, last)
}

/// Lets go of some records whose latest event is before `before`, and says how many.
pub(crate) fn let_go(transaction: &Transaction<'_>, before: Instant) -> rusqlite::Result<usize> {
    let sql = "SELECT source, \"key\" FROM versions INDEXED BY versions_at WHERE at < :before LIMIT :limit";
    let mut old = transaction.prepare_cached(sql)?;
    let names = old.query_map(named_params! { ":before": before, ":limit": LET_GO }, |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let names: Vec<(String, String)> = names.collect::<Result<_, _>>()?;
    let sql = "DELETE FROM versions WHERE source = :source AND \"key\" = :key";
    let mut delete = transaction.prepare_cached(sql)?;
    let mut sum = SumUpdate::of(transaction, &checksums::VERSIONS);
    for (source, key) in &names {
        sum.before([source, key])?;
        delete.execute(named_params! { ":source": source, ":key": key })?;
    }
    sum.end()?;
    Ok(names.len())
}

/// Whether there are records whose latest event is before `before`.
pub(crate) fn are_before(connection: &Connection, before: Instant) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM versions INDEXED BY versions_at WHERE at < ?1)";
    connection.prepare_cached(sql)?.query_row([before], |row| row.get(0))
}

fn kept(dir: &Path, source: &str, body: &str) -> Result<Kept, StoreError> {
    serde_json::from_str(body).map_err(|error| StoreError::Corrupt {
        path: dir.to_owned(),
        what: say!("the version of a record of {source}: {what}", source, what = error),
    })
}

impl KnownVersions for Lookup {
    fn version(&mut self, source: &str, key: &str) -> Result<Option<Kept>, PortError> {
        let (dir, connection) = self.database();
        let sql = "SELECT body FROM versions WHERE source = :source AND \"key\" = :key";
        let values = named_params! { ":source": source, ":key": key };
        let found = connection
            .prepare_cached(sql)
            .and_then(|mut find| find.query_row(values, |row| row.get::<_, String>(0)).optional());
        let body = found.map_err(|error| explain(dir, error))?;
        Ok(body.map(|body| kept(dir, source, &body)).transpose()?)
    }

    fn version_of(
        &mut self,
        named: NamedEvent,
        first_id: &str,
    ) -> Result<Option<(String, String, Kept)>, PortError> {
        let (dir, connection) = self.database();
        // As the indexes have it (figures.sql).
        let of = match named {
            NamedEvent::Application => "application",
            NamedEvent::Payment => "payment",
        };
        let sql = format!(
            "SELECT source, \"key\", body FROM versions
             WHERE CASE WHEN json_valid(body) THEN body ->> '$.standing.{of}.base' END = :first_id
             ORDER BY source, \"key\" LIMIT 1"
        );
        let row = |row: &Row<'_>| Ok((row.get("source")?, row.get("key")?, row.get("body")?));
        let found = connection
            .prepare_cached(&sql)
            .and_then(|mut find| find.query_row(named_params! { ":first_id": first_id }, row).optional());
        let found: Option<(String, String, String)> = found.map_err(|error| explain(dir, error))?;
        let Some((source, key, body)) = found else { return Ok(None) };
        let kept = kept(dir, &source, &body)?;
        Ok(Some((source, key, kept)))
    }

    fn last_change(&self) -> Result<i64, PortError> {
        let (dir, connection) = self.database();
        Ok(meta(connection, LAST).map_err(|error| explain(dir, error))?)
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;
    use crate::store::migrate::migrate;

    #[test]
    fn old_records_are_let_go_of_and_the_sum_holds() {
        let dir = Path::new("here");
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(dir, &connection, &Arc::default()).unwrap();
        let change = |number: i64| VersionChange {
            source: "vouchers".into(),
            key: format!("V{number}").into(),
            kept: Kept { at: Instant::from_micros(number), ..Kept::default() },
            number,
        };
        let transaction = connection.transaction().unwrap();
        write(&transaction, &(1..=9).map(change).collect::<Vec<_>>()).unwrap();
        write(
            &transaction,
            &[VersionChange {
                number: 10,
                kept: Kept { at: Instant::from_micros(7), ..Kept::default() },
                ..change(2)
            }],
        )
        .unwrap();
        assert_eq!(meta(&transaction, LAST).unwrap(), 10);
        checksums::check(dir, &transaction, &checksums::VERSIONS).unwrap();
        assert!(are_before(&transaction, Instant::from_micros(5)).unwrap());
        assert_eq!(let_go(&transaction, Instant::from_micros(5)).unwrap(), 3);
        assert!(!are_before(&transaction, Instant::from_micros(5)).unwrap());
        let left = "SELECT group_concat(\"key\", ' ') FROM (SELECT \"key\" FROM versions ORDER BY \"key\")";
        let left: String = transaction.query_row(left, [], |row| row.get(0)).unwrap();
        assert_eq!(left, "V2 V5 V6 V7 V8 V9");
        checksums::check(dir, &transaction, &checksums::VERSIONS).unwrap();
    }
}
