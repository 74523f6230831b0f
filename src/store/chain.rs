//! Chained histories: each record has the digest of its own content and of the record before, so a record that was
//! changed, taken out, put in or moved breaks the chain from there on. How many records there are and the last digest
//! stand beside, in the table `chains`, so the end cannot be cut off unseen either. Whoever rewrites all of it cannot be
//! told from the writer: an auditor who noted the last digest (`fiscwatch state verify` prints it) still finds it.
//!
//! A digest is BLAKE3 of the digest before (32 zero bytes at first) and of each value: its type, length and bytes.

use rusqlite::{
    Connection, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};

use super::checksums::{self, Summed, SummedTable};
use crate::say;

/// A history whose records are chained.
#[derive(Debug)]
pub(crate) struct Chain {
    table: &'static SummedTable,
    /// What a digest covers, in this order; the number of a record is only its place.
    columns: &'static str,
    /// What it covers besides where that is not NULL: a column of a later version, so that the digests of older records
    /// stay what they are.
    added: Option<&'static str>,
}

/// What happened to alerts.
pub(crate) const ALERTS: Chain = Chain {
    table: &checksums::ALERT_HISTORY,
    columns: "alert_id, at, who, action, state, why",
    added: Some("facts"),
};
/// What officers did with silences.
pub(crate) const SILENCES: Chain =
    Chain { table: &checksums::SILENCE_HISTORY, columns: "silence_id, at, who, action, body", added: None };
pub(crate) const AUDIT: Chain = Chain {
    table: &checksums::AUDIT,
    columns: "at, who, place, action, subject, result, detail",
    added: None,
};
/// Those that are in their tables from the first record on; the audit log begins in files (`audit/follow.rs`).
pub(crate) const WHOLE: [&Chain; 2] = [&ALERTS, &SILENCES];

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// How many records there are.
    pub records: i64,
    /// The digest of the last one.
    pub digest: blake3::Hash,
}

impl Head {
    pub(crate) const NONE: Self = Self { records: 0, digest: blake3::Hash::from_bytes([0; 32]) };

    /// The end after one more record.
    pub(crate) fn then<'v>(self, values: impl Iterator<Item = ValueRef<'v>>) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.digest.as_bytes());
        values.for_each(|value| add(&mut hasher, value));
        Self { records: self.records + 1, digest: hasher.finalize() }
    }
}

fn add(hasher: &mut blake3::Hasher, value: ValueRef<'_>) {
    let mut put = |kind: u8, bytes: &[u8]| {
        hasher.update(&[kind]);
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    match value {
        ValueRef::Null => put(0, &[]),
        ValueRef::Integer(value) => put(1, &value.to_le_bytes()),
        ValueRef::Real(value) => put(2, &value.to_le_bytes()),
        ValueRef::Text(bytes) => put(3, bytes),
        ValueRef::Blob(bytes) => put(4, bytes),
    }
}

impl Chain {
    pub(crate) fn table(&self) -> &'static str {
        self.table.name
    }

    /// All columns that a digest covers.
    fn all_columns(&self) -> String {
        self.columns.split(", ").chain(self.added).collect::<Vec<_>>().join(", ")
    }

    /// The values that a digest covers.
    fn covered<'v>(&self, mut values: Vec<ValueRef<'v>>) -> Vec<ValueRef<'v>> {
        if self.added.is_some() && values.last() == Some(&ValueRef::Null) {
            values.pop();
        }
        values
    }

    /// Adds a record with the values of its columns.
    pub(crate) fn add(&self, summed: &Summed<'_>, values: &[ValueRef<'_>]) -> rusqlite::Result<()> {
        let head = self.head(summed.transaction)?.then(self.covered(values.to_vec()).into_iter());
        let marks = "?, ".repeat(values.len());
        let sql =
            format!("INSERT INTO {} ({}, digest) VALUES ({marks}?)", self.table.name, self.all_columns());
        let digest = ValueRef::Blob(head.digest.as_bytes());
        let values = values.iter().copied().chain([digest]).map(ToSqlOutput::Borrowed);
        let seq = summed.transaction.prepare_cached(&sql)?.insert(params_from_iter(values))?;
        summed.inserted(self.table, [seq])?;
        self.set_head(summed, &head)
    }

    /// Chains the records of a state that has no digests yet, and no later columns.
    pub(crate) fn begin(&self, summed: &Summed<'_>) -> rusqlite::Result<()> {
        let mut head = Head::NONE;
        let sql = format!("SELECT seq, {} FROM {} ORDER BY seq", self.columns, self.table.name);
        let mut statement = summed.transaction.prepare(&sql)?;
        let count = statement.column_count();
        let mut write = summed
            .transaction
            .prepare(&format!("UPDATE {} SET digest = ?1 WHERE seq = ?2", self.table.name))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            head = head.then((1..count).map(|at| row.get_ref_unwrap(at)));
            write.execute((&head.digest.as_bytes()[..], row.get::<_, i64>(0)?))?;
        }
        self.set_head(summed, &head)
    }

    /// What is said of a record that breaks it.
    pub(crate) fn broken(&self, seq: i64) -> String {
        say!(
            "{table}: record {seq} does not follow the one before it: it was changed, or a record before it was taken out, put in or moved",
            table = self.table.name,
            seq,
        )
    }

    pub(crate) fn head(&self, connection: &Connection) -> rusqlite::Result<Head> {
        let mut read = connection.prepare_cached("SELECT records, head FROM chains WHERE name = ?1")?;
        match read.query_row([self.table.name], |row| Ok((row.get(0)?, row.get(1)?))) {
            Ok((records, digest)) => Ok(Head { records, digest: blake3::Hash::from_bytes(digest) }),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(Head::NONE),
            Err(error) => Err(error),
        }
    }

    fn set_head(&self, summed: &Summed<'_>, head: &Head) -> rusqlite::Result<()> {
        let name = self.table.name;
        summed.change(&checksums::CHAINS, [name], || {
            let mut write =
                summed.transaction.prepare_cached("INSERT OR REPLACE INTO chains VALUES (?1, ?2, ?3)")?;
            write.execute((name, head.records, &head.digest.as_bytes()[..])).map(|_| ())
        })
    }

    /// Follows the chain from its first record, and gives its end, or where it breaks.
    pub(crate) fn follow(&self, connection: &Connection) -> rusqlite::Result<Result<Head, String>> {
        self.follow_from(connection, Head::NONE, |_| {})
    }

    /// The same from where records before the table end, and shows the end after each record that follows.
    pub(crate) fn follow_from(
        &self,
        connection: &Connection,
        before: Head,
        mut shown: impl FnMut(&Head),
    ) -> rusqlite::Result<Result<Head, String>> {
        let table = self.table.name;
        let sql = format!("SELECT seq, digest, {} FROM {table} ORDER BY seq", self.all_columns());
        let mut statement = connection.prepare(&sql)?;
        let count = statement.column_count();
        let mut head = before;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let values = (2..count).map(|at| row.get_ref_unwrap(at)).collect();
            head = head.then(self.covered(values).into_iter());
            if row.get_ref(1)?.as_blob().is_ok_and(|digest| digest == head.digest.as_bytes()) {
                shown(&head);
                continue;
            }
            return Ok(Err(self.broken(row.get(0)?)));
        }
        let end = self.head(connection)?;
        Ok(match end == head {
            true => Ok(head),
            false => Err(say!(
                "{table}: there are {found} records, and the chain ends after {records}: its end was cut off or added to",
                table,
                found = head.records,
                records = end.records,
            )),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::Connection;

    use super::*;
    use crate::store::{checksums::SumChanges, migrate};

    fn chained(records: i64) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        migrate::migrate(Path::new("here"), &connection, &std::sync::Arc::default()).unwrap();
        let changes = SumChanges::default();
        for n in 0..records {
            let (alert, why) = (format!("a{n}"), format!("because {n}"));
            let values = [
                ValueRef::from(alert.as_str()),
                ValueRef::Integer(n),
                "王芳".into(),
                "comment".into(),
                "open".into(),
                if n % 2 == 0 { ValueRef::Null } else { why.as_str().into() },
                ValueRef::Null,
            ];
            ALERTS.add(&changes.within(&connection), &values).unwrap();
        }
        changes.end(&connection).unwrap();
        connection
    }

    #[test]
    fn a_whole_chain_ends_as_it_says() {
        for records in [0, 1, 6] {
            let connection = chained(records);
            let head = ALERTS.follow(&connection).unwrap().unwrap();
            assert_eq!(head.records, records);
            checksums::check(Path::new("here"), &connection, &checksums::ALERT_HISTORY).unwrap();
            checksums::check(Path::new("here"), &connection, &checksums::CHAINS).unwrap();
            // The digests of a state from before are the same ones.
            connection.execute_batch("UPDATE alert_history SET digest = x''; DELETE FROM chains").unwrap();
            ALERTS.begin(&SumChanges::default().within(&connection)).unwrap();
            assert_eq!(ALERTS.follow(&connection).unwrap(), Ok(head));
        }
    }

    /// Sums do not help here: somebody who keeps them did it.
    #[test]
    fn whatever_is_done_to_a_record_breaks_the_chain() {
        for (sql, says) in [
            ("UPDATE alert_history SET who = '李雷' WHERE seq = 3", "record 3"),
            ("UPDATE alert_history SET why = '' WHERE seq = 3", "record 3"),
            ("UPDATE alert_history SET facts = '{}' WHERE seq = 3", "record 3"),
            ("UPDATE alert_history SET digest = zeroblob(32) WHERE seq = 4", "record 4"),
            ("DELETE FROM alert_history WHERE seq = 1", "record 2"),
            ("DELETE FROM alert_history WHERE seq = 3", "record 4"),
            ("UPDATE alert_history SET seq = -seq; UPDATE alert_history SET seq = 7 + seq", "record 1"),
            (
                "UPDATE alert_history SET seq = 99 WHERE seq = 3; UPDATE alert_history SET seq = 3 WHERE seq = 4; UPDATE alert_history SET seq = 4 WHERE seq = 99",
                "record 3",
            ),
            (
                "INSERT INTO alert_history SELECT 7, alert_id, at, who, action, state, why, digest, facts FROM alert_history WHERE seq = 6",
                "record 7",
            ),
            ("DELETE FROM alert_history WHERE seq >= 5", "its end was cut off"),
            ("DELETE FROM alert_history", "its end was cut off"),
            ("UPDATE chains SET records = 5 WHERE name = 'alert_history'", "its end was cut off"),
            ("DELETE FROM chains", "its end was cut off"),
        ] {
            let connection = chained(6);
            connection.execute_batch(sql).unwrap();
            let broken = ALERTS.follow(&connection).unwrap().unwrap_err();
            assert!(broken.contains(says) && broken.starts_with("alert_history: "), "{sql}: {broken}");
        }
    }
}
