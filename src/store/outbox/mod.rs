//! 待发: entries from the transaction of their cause until they are bundled (`round.rs`), notifications until a sink has
//! them, and figures of both (`figures.rs`).

mod due;
mod figures;
mod order;
mod round;

use std::{collections::BTreeSet, path::Path, sync::Arc};

use rusqlite::{Connection, Row, named_params};

pub use due::{DueEntry, DueGroup, ToldGroup};
pub use figures::{AlertStep, LateOf};
pub use round::{Round, RoundError, RoundResult};

use super::{
    StoreError, Turns,
    alerts::{self, CauseTimes, from_json, json},
    checksums::{self, SumChanges, Summed},
    explain,
    named::insert,
    open_writer,
    words::OVER,
};
use crate::{
    alert::{Labels, Notification, NotifiedAlert, desk::OutboxEntry},
    event::Instant,
};

/// Adds an entry. It is due with its group.
pub(crate) fn add(
    summed: &Summed<'_>,
    alert_id: &str,
    entry: &OutboxEntry,
    times: CauseTimes,
) -> rusqlite::Result<()> {
    let group = entry.group_key();
    let sql = "SELECT (SELECT min(due_at) FROM outbox WHERE group_key = ?1 AND held_by IS NULL),
                      (SELECT told_at FROM groups WHERE group_key = ?1)";
    let transaction = summed.transaction;
    let (waiting, told) =
        transaction.prepare_cached(sql)?.query_row([&group], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let due = entry.due(times.now, waiting, told);
    let OutboxEntry { route, sink, .. } = entry;
    let (matter, labels, received_at) = (entry.matter.word(), json(&entry.group)?, times.received_at);
    insert!(transaction, "INSERT INTO outbox", {
        alert_id, matter, route, sink, group_key: group, labels, due_at: due, received_at,
    })?;
    summed.inserted(&checksums::OUTBOX, [transaction.last_insert_rowid()])
}

/// A notification that a sink has not accepted yet.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The notification that is to be sent.
    pub notification: Notification,
    /// How often it was tried.
    pub attempts: u32,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The sink has it.
    Sent,
    /// It is tried again at this time.
    Later(Instant, String),
    /// It is not tried again.
    Parked(String),
}

/// The outbox, on a connection of its own.
#[derive(Debug)]
pub struct Outbox {
    dir: std::path::PathBuf,
    connection: Connection,
    turns: Arc<Turns>,
}

impl Outbox {
    /// Opens the outbox of a state directory that a store has opened before.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { dir: dir.to_owned(), connection: open_writer(dir)?, turns: Turns::of(dir) })
    }

    /// Does a round of bundling: everything that `work` does, or nothing. It waits for its turn however long that takes.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn round<T>(&mut self, work: impl FnOnce(&Round<'_>) -> RoundResult<T>) -> Result<T, StoreError> {
        let turns = &self.turns;
        turns.write(&self.dir, &self.connection, None, |transaction| {
            let round = Round { dir: &self.dir, turns, transaction, changes: SumChanges::default() };
            let result = work(&round)?;
            round.changes.end(transaction)?;
            Ok(result)
        })
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work(&self.connection).map_err(|error| explain(&self.dir, error))
    }

    /// Those of these notifications that are there.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn known<'i>(&self, ids: impl Iterator<Item = &'i str>) -> Result<BTreeSet<String>, StoreError> {
        self.read(|c| {
            let mut find = c.prepare_cached("SELECT EXISTS (SELECT 1 FROM notifications WHERE id = ?1)")?;
            let mut known = BTreeSet::new();
            for id in ids {
                if find.query_row([id], |row| row.get::<_, bool>(0))? {
                    known.insert(id.to_owned());
                }
            }
            Ok(known)
        })
    }

    /// When something is due next; `None` if nothing waits.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn next_due(&self) -> Result<Option<Instant>, StoreError> {
        let sql = "SELECT min(at) FROM (SELECT min(due_at) AS at FROM outbox
                   UNION ALL SELECT min(repeat_at) FROM groups WHERE repeat_at IS NOT NULL
                   UNION ALL SELECT min(escalates_at) FROM alerts WHERE escalates_at IS NOT NULL)";
        self.read(|c| c.prepare_cached(sql)?.query_row([], |row| row.get(0)))
    }

    /// Notifications of a sink that are to be tried now, without those that are under way.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn pending(
        &self,
        sink: &str,
        now: Instant,
        under_way: &[String],
        limit: usize,
    ) -> Result<Vec<Pending>, StoreError> {
        // Whoever slept while another machine took over would tell again what that one tells.
        if !self.turns.may_tell() {
            return Ok(Vec::new());
        }
        let sql =
            "SELECT body, attempts FROM notifications WHERE state = 'pending' AND sink = :sink AND next_at <= :now
                   ORDER BY next_at, seq LIMIT :limit";
        self.read(|c| {
            let mut statement = c.prepare_cached(sql)?;
            let most = limit + under_way.len();
            let values = named_params! { ":sink": sink, ":now": now, ":limit": most };
            let rows = statement.query_map(values, |row| {
                Ok(Pending { notification: from_json(row, "body")?, attempts: row.get("attempts")? })
            })?;
            let mut found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            found.retain(|p| !under_way.contains(&p.notification.id));
            found.truncate(limit);
            Ok(found)
        })
    }

    /// When a notification of a sink is to be tried next that is not under way.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn next_attempt(&self, sink: &str, under_way: &[String]) -> Result<Option<Instant>, StoreError> {
        let sql = "SELECT id, next_at FROM notifications WHERE state = 'pending' AND sink = :sink ORDER BY next_at LIMIT :limit";
        self.read(|c| {
            let mut statement = c.prepare_cached(sql)?;
            let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Instant>(1)?));
            let values = named_params! { ":sink": sink, ":limit": under_way.len() + 1 };
            let rows = statement.query_map(values, row)?;
            let found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(found.into_iter().find(|(id, _)| !under_way.contains(id)).map(|(_, at)| at))
        })
    }

    /// Whether a notification was not tried yet.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn has_untried(&self) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM notifications WHERE state = 'pending' AND attempts = 0 LIMIT 1";
        self.read(|c| c.prepare_cached(sql)?.exists([]))
    }

    /// See [`alerts::open_labels`]. It may take its time: nobody who writes waits for it.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn open_labels(&self, severity: Option<&str>, rule: Option<&str>) -> Result<Vec<Labels>, StoreError> {
        self.read(|c| alerts::open_labels(c, severity, rule))
    }

    /// Records what became of attempts, all in one transaction.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn record(&mut self, outcomes: &[(String, Fate)], now: Instant) -> Result<(), StoreError> {
        self.round(|round| {
            let sql =
                "UPDATE notifications SET state = :state, attempts = attempts + 1, next_at = :next_at, error = :error,
                       ended_at = :ended_at WHERE id = :id";
            let mut update = round.transaction.prepare_cached(sql)?;
            for (id, outcome) in outcomes {
                let (state, next_at, error, ended_at) = match outcome {
                    Fate::Sent => ("sent", now, None, Some(now)),
                    Fate::Later(at, error) => ("pending", *at, Some(error), None),
                    Fate::Parked(error) => ("parked", now, Some(error), Some(now)),
                };
                let values = named_params! {
                    ":id": id, ":state": state, ":next_at": next_at, ":error": error, ":ended_at": ended_at,
                };
                round.summed().change(&checksums::NOTIFICATIONS, [id], || update.execute(values))?;
                match outcome {
                    Fate::Parked(why) => round.letter_went(id, Some(why), now)?,
                    Fate::Sent => round.letter_went(id, None, now)?,
                    Fate::Later(..) => {}
                }
            }
            Ok(())
        })
    }

    /// The alerts that a sink was told of and that are not over, and those that ended after a time, each with its latest
    /// finding; for sinks that must hear of them again and again.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn told(
        &self,
        sink: &str,
        ended_after: Instant,
        limit: usize,
    ) -> Result<Vec<NotifiedAlert>, StoreError> {
        let sql = format!(
            "SELECT a.body FROM groups g JOIN group_alerts m USING (group_key) JOIN alerts a USING (alert_id)
                     WHERE g.sink = :sink AND a.state NOT IN {OVER}
                   UNION SELECT body FROM alerts WHERE state IN {OVER} AND changed_at >= :ended_after
                   LIMIT :limit"
        );
        self.read(|c| {
            let mut statement = c.prepare_cached(&sql)?;
            let values = named_params! { ":sink": sink, ":ended_after": ended_after, ":limit": limit };
            let alerts = statement.query_map(values, alerts::alert)?;
            let told = alerts.map(|alert| {
                let alert = alert?;
                Ok(NotifiedAlert { evidence: alerts::evidence(c, &alert.alert_id, 1)?, alert })
            });
            told.collect()
        })
    }
}
