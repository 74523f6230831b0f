//! Is the state what it should be? Everything is read in one snapshot, beside a running daemon too, and compared with
//! what is stored about it: checksums, counts, numbers, and balances against those that the journal gives.

mod attached;
mod blocks;
mod files;
mod ledger;
mod numbers;
mod records;
mod tables;

use std::path::Path;

use arrow::datatypes::SchemaRef;
use serde::Serialize;

use super::{BackupManifest, JournalView, StoreError, explain, recover};
use crate::{engine::SavedWatermark, event::Instant, finding::Finding, say};

/// Problems of one check that are told one by one.
const TOLD: usize = 20;

/// One thing that was checked.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was compared, in a few words.
    pub name: &'static str,
    /// How the comparison ended.
    pub outcome: CheckOutcome,
    /// What was looked at, or why it was not.
    pub detail: String,
    /// What is wrong; the first of them.
    pub problems: Vec<String>,
    /// How many there are.
    pub problem_count: u64,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// All is as it should be.
    Ok,
    /// Something is wrong, and the problems say what.
    Failed,
    /// It cannot be checked.
    Skipped,
    /// It could be checked, and this run did not come to its end.
    Incomplete,
}

/// What is wrong, gathered.
#[derive(Debug, Default)]
pub struct Problems {
    told: Vec<String>,
    count: u64,
}

impl Problems {
    /// Counts a problem, and keeps the first of them.
    pub fn add(&mut self, problem: impl Into<String>) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(problem.into());
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The check that found them.
    #[must_use]
    pub fn check(self, name: &'static str, detail: impl Into<String>) -> Check {
        let outcome = if self.count == 0 { CheckOutcome::Ok } else { CheckOutcome::Failed };
        Check { name, outcome, detail: detail.into(), problems: self.told, problem_count: self.count }
    }
}

impl Check {
    /// A check that was not made, and why.
    #[must_use]
    pub fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        let (problems, problem_count) = (Vec::new(), 0);
        Self { name, outcome: CheckOutcome::Skipped, detail: why.into(), problems, problem_count }
    }
}

/// A check that could not be made is one that failed: damage must not keep the others from being made.
fn made(name: &'static str, check: Result<Check, StoreError>) -> Check {
    check.unwrap_or_else(|error| {
        let mut problems = Problems::default();
        problems.add(say!("could not be checked: {error}", error));
        problems.check(name, "")
    })
}

/// Checks a backup's files against its manifest; `None` if the directory is no backup.
///
/// # Errors
/// If the manifest cannot be read.
pub fn verify_backup(dir: &Path) -> Result<Option<Check>, StoreError> {
    let Some(manifest) = BackupManifest::read(dir)? else { return Ok(None) };
    let mut problems = Problems::default();
    manifest.differences(dir)?.into_iter().for_each(|problem| problems.add(problem));
    let detail = say!("{files} files, {bytes} bytes", files = manifest.files.len(), bytes = manifest.bytes());
    Ok(Some(problems.check("backup", detail)))
}

impl JournalView {
    /// Checks everything that can be checked without rules. `schema` is the event schema in the configured zone.
    ///
    /// # Errors
    /// If the database cannot be read at all; what is damaged in it is a problem of a check.
    pub fn verify(&self, schema: &SchemaRef) -> Result<Vec<Check>, StoreError> {
        let database = self.verify_database()?;
        // Pages that SQLite itself cannot read are not summed.
        let readable = database.outcome == CheckOutcome::Ok;
        let mut checks = vec![database];
        checks.push(made("numbers", numbers::check(self)));
        checks.push(made("journal", blocks::check(self, schema)));
        checks.push(made("sealed files", files::check(self)));
        // What is built on the journal says nothing if that is damaged.
        let whole = checks.iter().all(|check| check.outcome == CheckOutcome::Ok);
        let after = |name, check: &dyn Fn() -> Result<Check, StoreError>| match whole {
            true => made(name, check()),
            false => Check::skipped(name, say!("the journal is damaged")),
        };
        checks.push(after("event ids", &|| numbers::unique(self)));
        checks.push(after("ledger", &|| ledger::check(self, schema)));
        checks.push(made("findings", numbers::findings(self)));
        for (name, check) in [
            ("tables", tables::check as fn(&Self) -> _),
            ("history", records::check),
            ("attachments", attached::check),
        ] {
            checks.push(match readable {
                true => made(name, check(self)),
                false => Check::skipped(name, say!("the database is damaged")),
            });
        }
        Ok(checks)
    }

    /// Events that were deleted for `state.retain`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn retired(&self) -> Result<i64, StoreError> {
        let sql = "SELECT value FROM meta WHERE name = 'retired'";
        let read = self.snapshot.connection().query_row(sql, [], |row| row.get(0));
        read.map_err(|error| explain(&self.snapshot.dir, error))
    }

    /// How far event time had come at the last commit.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn watermark(&self) -> Result<SavedWatermark, StoreError> {
        recover::watermark(&self.snapshot.connection()).map_err(|error| explain(&self.snapshot.dir, error))
    }

    /// The instant after which ticks were passed and not evaluated yet; the next start does it. `None` if all are done.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn ticks_owed_after(&self) -> Result<Option<Instant>, StoreError> {
        let sql = "SELECT value ->> '$.owed.from' FROM watermark";
        match self.snapshot.connection().query_row(sql, [], |row| row.get(0)) {
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            read => read.map_err(|error| explain(&self.snapshot.dir, error)),
        }
    }

    /// Gives every finding to `take`, with its number and its time.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn each_finding(&self, take: &mut dyn FnMut(i64, Instant, Finding)) -> Result<(), StoreError> {
        let connection = self.snapshot.connection();
        let fail = |error| explain(&self.snapshot.dir, error);
        let mut statement =
            connection.prepare("SELECT seq, at, body FROM findings ORDER BY seq").map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let (seq, at, body): (i64, Instant, String) =
                (row.get("seq").map_err(fail)?, row.get("at").map_err(fail)?, row.get("body").map_err(fail)?);
            let finding = serde_json::from_str(&body).map_err(|e| StoreError::Corrupt {
                path: self.snapshot.dir.clone(),
                what: say!("finding {id}: {error}", id = seq, error = e),
            })?;
            take(seq, at, finding);
        }
        Ok(())
    }

    fn verify_database(&self) -> Result<Check, StoreError> {
        let connection = self.snapshot.connection();
        let fail = |error| explain(&self.snapshot.dir, error);
        let mut problems = Problems::default();
        let mut statement = connection.prepare("PRAGMA integrity_check").map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let line: String = row.get(0).map_err(fail)?;
            if line != "ok" {
                problems.add(line);
            }
        }
        Ok(problems.check("database", say!("SQLite's integrity check")))
    }
}
