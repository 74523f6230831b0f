//! 事前校验 in the store: what was answered, written with the application that it is about, so that the same question gets the
//! same answer whatever happens in between.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};

use super::{
    StoreError,
    alerts::{from_json, json},
    audit::{self, AuditedAction},
    checksums::{self, SumChanges, SumUpdate},
    explain,
    named::insert,
    open_reader, overrides,
};
use crate::{
    access::Action,
    decision::{Decided, Decision, Release, UNCHECKED, Verdict},
    event::Instant,
};

/// The use of an override, in the audit log.
const USE: &str = "overrides.use";
/// Decisions that one page gives at most.
const LIMIT: u32 = 1000;

/// Which decisions are listed, the latest by event time first.
#[derive(Debug, Clone, Default)]
pub struct DecisionFilter {
    /// Only these.
    pub decision: Option<Verdict>,
    /// Only of this budget line.
    pub budget_line_id: Option<String>,
    /// Only those behind this one: its event time and application.
    pub after: Option<(Instant, String)>,
    /// At most so many.
    pub limit: u32,
}

/// Writes what was decided. An application that is decided a second time keeps its first answer.
pub(crate) fn write(transaction: &Transaction<'_>, decided: &[Decided]) -> rusqlite::Result<()> {
    if decided.is_empty() {
        return Ok(());
    }
    let mut change = SumUpdate::of(transaction, &checksums::DECISIONS);
    let changes = SumChanges::default();
    for Decided { decision, content, at, expires_at, actor, asked_at } in decided {
        let body = json(decision)?;
        let id = decision.event_id.as_str();
        let verdict = decision.decision.word();
        let line = decision.budget_line_id.as_str();
        let stored = insert!(transaction, "INSERT OR IGNORE INTO decisions", {
            event_id: id, content: content.cast_signed(), at, decision: verdict, budget_line_id: line, expires_at, body,
        })?;
        if stored > 0 {
            change.after([id])?;
            let detail = if decision.unchecked { format!("{line} {UNCHECKED}") } else { line.to_owned() };
            let deed = AuditedAction {
                action: Action::Decide.word(),
                subject: id,
                result: verdict,
                detail: &detail,
            };
            audit::record(&changes.within(transaction), *asked_at, actor, deed)?;
            if let Some(by) = &decision.overridden {
                overrides::uses(transaction, by.override_id, (id, *asked_at))?;
                let subject = by.override_id.to_string();
                let deed = AuditedAction { action: USE, subject: &subject, result: audit::DONE, detail: id };
                audit::record(&changes.within(transaction), *asked_at, actor, deed)?;
            }
        }
    }
    changes.end(transaction)?;
    change.end()
}

/// Deletes decisions on applications from before an instant, and overrides.
pub(crate) fn retire(transaction: &Transaction<'_>, before: Instant) -> rusqlite::Result<()> {
    overrides::retire(transaction, before)?;
    let mut old = transaction.prepare_cached("SELECT event_id FROM decisions WHERE at < ?1")?;
    let old: Vec<String> = old.query_map([before], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if old.is_empty() {
        return Ok(());
    }
    let mut change = SumUpdate::of(transaction, &checksums::DECISIONS);
    old.iter().try_for_each(|id| change.before([id]))?;
    change.end()?;
    transaction.execute("DELETE FROM decisions WHERE at < ?1", [before]).map(|_| ())
}

/// A decision as it is read.
#[derive(Debug, Clone)]
pub struct StoredDecision {
    pub(crate) decision: Decision,
    /// The hash of the application's content.
    pub content: u64,
    /// The application's event time.
    pub at: Instant,
}

/// What was decided, for readers.
#[derive(Debug)]
pub struct Decisions {
    connection: Connection,
    dir: std::path::PathBuf,
}

impl Decisions {
    /// Opens it for reading.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: open_reader(dir)?, dir: dir.to_owned() })
    }

    /// What was decided of an application.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn of(&self, event_id: &str) -> Result<Option<StoredDecision>, StoreError> {
        of(&self.connection, event_id).map_err(|error| explain(&self.dir, error))
    }

    /// A page of them.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn list(&self, filter: &DecisionFilter) -> Result<Vec<StoredDecision>, StoreError> {
        let (at, id) = filter.after.clone().unzip();
        let sql = "SELECT content, at, body FROM decisions
             WHERE (:verdict IS NULL OR decision = :verdict) AND (:line IS NULL OR budget_line_id = :line)
               AND (:at IS NULL OR at < :at OR (at = :at AND event_id > :id))
             ORDER BY at DESC, event_id LIMIT :limit";
        let verdict = filter.decision.map(Verdict::word);
        let (line, limit) = (&filter.budget_line_id, filter.limit.min(LIMIT));
        let values =
            named_params! { ":verdict": verdict, ":line": line, ":at": at, ":id": id, ":limit": limit };
        let read = || -> rusqlite::Result<Vec<_>> {
            self.connection.prepare(sql)?.query_map(values, decided)?.collect()
        };
        read().map_err(|error| explain(&self.dir, error))
    }
}

/// What was decided of an application.
pub(super) fn of(connection: &Connection, event_id: &str) -> rusqlite::Result<Option<StoredDecision>> {
    let sql = "SELECT content, at, body FROM decisions WHERE event_id = ?1";
    connection.prepare_cached(sql)?.query_row([event_id], decided).optional()
}

/// Reservations that end by themselves, and what was blocked: a process that ended in between may not have withdrawn it.
pub(crate) fn releases(connection: &Connection) -> rusqlite::Result<Vec<Release>> {
    let sql = "SELECT decision = 'block' AS is_blocked, coalesce(expires_at, at) AS ends_at, at, event_id, budget_line_id
         FROM decisions WHERE decision = 'block' OR expires_at IS NOT NULL";
    let release = |row: &Row<'_>| {
        let (is_blocked, ends_at, at): (bool, Instant, Instant) =
            (row.get("is_blocked")?, row.get("ends_at")?, row.get("at")?);
        let (due, at) = if is_blocked { (Instant::MIN, at) } else { (ends_at, ends_at) };
        Ok(Release { due, at, event_id: row.get("event_id")?, budget_line_id: row.get("budget_line_id")? })
    };
    connection.prepare(sql)?.query_map([], release)?.collect()
}

fn decided(row: &Row<'_>) -> rusqlite::Result<StoredDecision> {
    let decision: Decision = from_json(row, "body")?;
    let content: i64 = row.get("content")?;
    Ok(StoredDecision { decision, content: content.cast_unsigned(), at: row.get("at")? })
}
