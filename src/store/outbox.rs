//! 待发: entries from the transaction of their cause until they are bundled, and notifications until a sink has them.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{
    StoreError,
    alerts::{self, Times, from_json, json},
    explain, open_writer,
};
use crate::{
    alert::{
        Alert, Change, Desk, Labels, Silence,
        desk::{Entry, Matter},
    },
    evaluate::Finding,
    notify::{Notification, Told},
};

/// Adds an entry. It is due with its group.
pub fn add(
    transaction: &Transaction<'_>,
    alert_id: &str,
    entry: &Entry,
    times: Times,
) -> rusqlite::Result<()> {
    let group = entry.group_key();
    let sql = "SELECT (SELECT min(due_at) FROM outbox WHERE group_key = ?1 AND held_by IS NULL),
                      (SELECT told_at FROM groups WHERE group_key = ?1)";
    let (waiting, told) =
        transaction.prepare_cached(sql)?.query_row([&group], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let due = entry.due(times.now, waiting, told);
    let sql = "INSERT INTO outbox (alert_id, matter, route, sink, group_key, labels, due_at, received_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let (matter, labels) = (entry.matter.word(), json(&entry.group)?);
    transaction
        .prepare_cached(sql)?
        .execute(params![alert_id, matter, entry.route, entry.sink, group, labels, due, times.received_at])
        .map(|_| ())
}

/// Some entries that are told together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueGroup {
    /// What they share.
    pub group_key: String,
    /// The route's path.
    pub route: String,
    /// The sink.
    pub sink: String,
    /// The labels they share.
    pub labels: Labels,
}

/// An entry of a group that is due.
#[derive(Debug, Clone)]
pub struct DueEntry {
    /// Its number.
    pub seq: i64,
    /// What about.
    pub matter: Matter,
    /// When its cause was committed.
    pub received_at: i64,
    /// Whether something muted it before.
    pub was_held: bool,
    /// The alert as it is now.
    pub alert: Alert,
}

/// What is known of a group that was told of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// The thread of its notifications.
    pub thread: String,
    /// Its alerts that were told of and are not known to be over.
    pub alerts: Vec<String>,
}

/// A notification that a sink has not accepted yet.
#[derive(Debug, Clone)]
pub struct Pending {
    /// What to send.
    pub notification: Notification,
    /// How often it was tried.
    pub attempts: u32,
}

/// What was done with an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The line of the history.
    pub seq: i64,
    /// What was done.
    pub action: String,
    /// The alert's severity.
    pub severity: String,
    /// How long after the alert's opening, in microseconds.
    pub after: i64,
    /// Whether the alert was over by it.
    pub is_over: bool,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The sink has it.
    Sent,
    /// It is tried again at this time.
    Later(i64, String),
    /// It is not tried again.
    Parked(String),
}

/// The outbox, on a connection of its own.
#[derive(Debug)]
pub struct Outbox {
    dir: std::path::PathBuf,
    connection: Connection,
}

/// One round of bundling: a transaction.
#[derive(Debug)]
pub struct Round<'o> {
    transaction: Transaction<'o>,
}

impl Outbox {
    /// Opens the outbox of a state directory that a store has opened before.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { dir: dir.to_owned(), connection: open_writer(dir)? })
    }

    /// Does a round of bundling: everything that `work` does, or nothing.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn round<T>(
        &mut self,
        work: impl FnOnce(&Round<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let dir = self.dir.clone();
        let behavior = TransactionBehavior::Immediate;
        let run = || {
            let round = Round { transaction: self.connection.transaction_with_behavior(behavior)? };
            let result = work(&round)?;
            round.transaction.commit()?;
            Ok(result)
        };
        run().map_err(|error| explain(&dir, error))
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work(&self.connection).map_err(|error| explain(&self.dir, error))
    }

    /// When something is due next; `None` if nothing waits.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn next_due(&self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT min(at) FROM (SELECT min(due_at) AS at FROM outbox
                   UNION ALL SELECT min(repeat_at) FROM groups WHERE repeat_at IS NOT NULL
                   UNION ALL SELECT min(escalates_at) FROM alerts WHERE escalates_at IS NOT NULL)";
        self.read(|c| c.prepare_cached(sql)?.query_row([], |row| row.get(0)))
    }

    /// The number of changes that other connections made, so that a change by a command is noticed.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        self.read(|c| c.pragma_query_value(None, "data_version", |row| row.get(0)))
    }

    /// Notifications of a sink that are to be tried now, without those that are under way.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn pending(
        &self,
        sink: &str,
        now: i64,
        under_way: &[String],
        limit: usize,
    ) -> Result<Vec<Pending>, StoreError> {
        let sql =
            "SELECT body, attempts FROM notifications WHERE state = 'pending' AND sink = ?1 AND next_at <= ?2
                   ORDER BY next_at, seq LIMIT ?3";
        self.read(|c| {
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query_map(params![sink, now, limit + under_way.len()], |row| {
                Ok(Pending { notification: from_json(row, 0)?, attempts: row.get(1)? })
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
    pub fn next_attempt(&self, sink: &str, under_way: &[String]) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT id, next_at FROM notifications WHERE state = 'pending' AND sink = ?1 ORDER BY next_at LIMIT ?2";
        self.read(|c| {
            let mut statement = c.prepare_cached(sql)?;
            let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
            let rows = statement.query_map(params![sink, under_way.len() + 1], row)?;
            let found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(found.into_iter().find(|(id, _)| !under_way.contains(id)).map(|(_, at)| at))
        })
    }

    /// How many notifications were not tried yet.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn untried(&self) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM notifications WHERE state = 'pending' AND attempts = 0";
        self.read(|c| c.prepare_cached(sql)?.query_row([], |row| row.get(0)))
    }

    /// Records what became of attempts, all in one transaction.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn record(&mut self, outcomes: &[(String, Fate)], now: i64) -> Result<(), StoreError> {
        self.round(|round| {
            let sql =
                "UPDATE notifications SET state = ?2, attempts = attempts + 1, next_at = ?3, error = ?4,
                       ended_at = ?5 WHERE id = ?1";
            let mut update = round.transaction.prepare_cached(sql)?;
            for (id, outcome) in outcomes {
                match outcome {
                    Fate::Sent => update.execute(params![id, "sent", now, None::<String>, now])?,
                    Fate::Later(at, error) => {
                        update.execute(params![id, "pending", at, error, None::<i64>])?
                    }
                    Fate::Parked(error) => update.execute(params![id, "parked", now, error, now])?,
                };
            }
            Ok(())
        })
    }

    /// How much waits for each sink: entries that are not bundled, and notifications that are not accepted; and since
    /// when the oldest waits beyond its time.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn waiting(&self) -> Result<(BTreeMap<String, i64>, Option<i64>), StoreError> {
        self.read(|c| {
            let sql = "SELECT sink, count(*) FROM (SELECT sink FROM outbox
                       UNION ALL SELECT sink FROM notifications WHERE state = 'pending') GROUP BY sink";
            let mut statement = c.prepare_cached(sql)?;
            let by_sink = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let oldest = "SELECT min(at) FROM (SELECT min(due_at) AS at FROM outbox WHERE held_by IS NULL
                          UNION ALL SELECT min(created_at) FROM notifications WHERE state = 'pending')";
            let oldest = c.prepare_cached(oldest)?.query_row([], |row| row.get(0))?;
            Ok((by_sink.collect::<rusqlite::Result<_>>()?, oldest))
        })
    }

    /// How many alerts there are in each state and severity.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn alert_counts(&self) -> Result<Vec<(String, String, i64)>, StoreError> {
        let sql = "SELECT state, severity, count(*) FROM alerts GROUP BY state, severity";
        self.read(|c| {
            let mut statement = c.prepare_cached(sql)?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        })
    }

    /// What officers and time did with alerts after a line of the history: its number, the action, the alert's severity,
    /// how long after its opening it was done, in microseconds, and whether the alert was over by it.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn history_after(&self, seq: i64, limit: usize) -> Result<Vec<Done>, StoreError> {
        let sql = "SELECT h.seq, h.action, a.severity, h.at - a.opened_at, h.state IN ('closed', 'dismissed', 'resolved')
                   FROM alert_history h JOIN alerts a USING (alert_id) WHERE h.seq > ?1 ORDER BY h.seq LIMIT ?2";
        let done = |row: &Row<'_>| {
            let action: String = row.get(1)?;
            Ok(Done {
                seq: row.get(0)?,
                action,
                severity: row.get(2)?,
                after: row.get(3)?,
                is_over: row.get(4)?,
            })
        };
        self.read(|c| c.prepare_cached(sql)?.query_map(params![seq, limit], done)?.collect())
    }

    /// The number of the last line of the history.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_history(&self) -> Result<i64, StoreError> {
        self.read(|c| c.query_row("SELECT coalesce(max(seq), 0) FROM alert_history", [], |row| row.get(0)))
    }

    /// How many alerts of a severity are unacknowledged (or, with `any`, not over) and were opened before a time.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn overdue(&self, severity: &str, any: bool, before: i64) -> Result<i64, StoreError> {
        let states = if any { "'open', 'acknowledged', 'confirmed', 'rectifying'" } else { "'open'" };
        let sql = format!(
            "SELECT count(*) FROM alerts WHERE state IN ({states}) AND severity = ?1 AND opened_at <= ?2"
        );
        self.read(|c| c.prepare_cached(&sql)?.query_row(params![severity, before], |row| row.get(0)))
    }

    /// The alerts that a sink was told of and that are not over, and those that ended after a time, each with its latest
    /// finding; for sinks that must hear of them again and again.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn told(&self, sink: &str, ended_after: i64, limit: usize) -> Result<Vec<Told>, StoreError> {
        let sql =
            "SELECT a.body FROM groups g JOIN group_alerts m USING (group_key) JOIN alerts a USING (alert_id)
                     WHERE g.sink = ?1 AND a.state NOT IN ('closed', 'dismissed', 'resolved')
                   UNION SELECT body FROM alerts
                     WHERE state IN ('closed', 'dismissed', 'resolved') AND changed_at >= ?2
                   LIMIT ?3";
        self.read(|c| {
            let mut statement = c.prepare_cached(sql)?;
            let alerts = statement.query_map(params![sink, ended_after, limit], alerts::alert)?;
            let told = alerts.map(|alert| {
                let alert = alert?;
                Ok(Told { evidence: alerts::evidence(c, &alert.alert_id, 1)?, alert })
            });
            told.collect()
        })
    }
}

impl Round<'_> {
    /// Groups with entries that are due.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn due(&self, now: i64, limit: usize) -> rusqlite::Result<Vec<DueGroup>> {
        let sql = "SELECT group_key, route, sink, labels FROM outbox WHERE due_at <= ?1
                   GROUP BY group_key ORDER BY min(due_at), min(seq) LIMIT ?2";
        self.transaction.prepare_cached(sql)?.query_map(params![now, limit], due_group)?.collect()
    }

    /// The entries of a group that are due, oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn entries(&self, group_key: &str, now: i64) -> rusqlite::Result<Vec<DueEntry>> {
        let sql = "SELECT a.body, o.seq, o.matter, o.received_at, o.held_by IS NOT NULL FROM outbox o JOIN alerts a USING (alert_id)
                   WHERE o.group_key = ?1 AND o.due_at <= ?2 ORDER BY o.seq";
        let entry = |row: &Row<'_>| {
            let matter: String = row.get(2)?;
            Ok(DueEntry {
                alert: alerts::alert(row)?,
                seq: row.get(1)?,
                matter: Matter::of(&matter),
                received_at: row.get(3)?,
                was_held: row.get(4)?,
            })
        };
        self.transaction.prepare_cached(sql)?.query_map(params![group_key, now], entry)?.collect()
    }

    /// What is known of a group.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn group(&self, group_key: &str) -> rusqlite::Result<Option<Group>> {
        let sql = "SELECT thread FROM groups WHERE group_key = ?1";
        let thread =
            self.transaction.prepare_cached(sql)?.query_row([group_key], |row| row.get(0)).optional()?;
        let Some(thread) = thread else { return Ok(None) };
        let sql = "SELECT alert_id FROM group_alerts WHERE group_key = ?1 ORDER BY alert_id";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let alerts = statement.query_map([group_key], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(Some(Group { thread, alerts }))
    }

    /// Writes what is known of a group after it was told of.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn save_group(
        &self,
        due: &DueGroup,
        group: &Group,
        now: i64,
        repeat_at: Option<i64>,
    ) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO groups VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let labels = json(&due.labels)?;
        let values = params![due.group_key, due.route, due.sink, labels, group.thread, now, repeat_at];
        self.transaction.prepare_cached(sql)?.execute(values)?;
        self.transaction
            .prepare_cached("DELETE FROM group_alerts WHERE group_key = ?1")?
            .execute([&due.group_key])?;
        let mut insert = self.transaction.prepare_cached("INSERT INTO group_alerts VALUES (?1, ?2)")?;
        group.alerts.iter().try_for_each(|alert| insert.execute([&due.group_key, alert]).map(|_| ()))
    }

    /// Forgets a group whose alerts are all over.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn remove_group(&self, group_key: &str) -> rusqlite::Result<()> {
        for table in ["groups", "group_alerts"] {
            let sql = format!("DELETE FROM {table} WHERE group_key = ?1");
            self.transaction.prepare_cached(&sql)?.execute([group_key])?;
        }
        Ok(())
    }

    /// Groups whose alerts are to be told of again.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn repeats(&self, now: i64, limit: usize) -> rusqlite::Result<Vec<DueGroup>> {
        let sql = "SELECT group_key, route, sink, labels FROM groups WHERE repeat_at <= ?1 ORDER BY repeat_at LIMIT ?2";
        self.transaction.prepare_cached(sql)?.query_map(params![now, limit], due_group)?.collect()
    }

    /// Sets when a group is to be told of again.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn repeat_at(&self, group_key: &str, at: Option<i64>) -> rusqlite::Result<()> {
        let sql = "UPDATE groups SET repeat_at = ?2 WHERE group_key = ?1";
        self.transaction.prepare_cached(sql)?.execute(params![group_key, at]).map(|_| ())
    }

    /// Lets entries wait until `until`, because something mutes them or there are too many.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn hold(&self, seqs: &[i64], held_by: &str, until: i64) -> rusqlite::Result<()> {
        let sql = "UPDATE outbox SET due_at = ?2, held_by = ?3 WHERE seq = ?1";
        let mut update = self.transaction.prepare_cached(sql)?;
        seqs.iter().try_for_each(|seq| update.execute(params![seq, until, held_by]).map(|_| ()))
    }

    /// Takes entries out: they are in a notification of the same transaction, or there is nothing more to tell.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn take(&self, seqs: &[i64]) -> rusqlite::Result<()> {
        let mut delete = self.transaction.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?;
        seqs.iter().try_for_each(|seq| delete.execute([seq]).map(|_| ()))
    }

    /// Adds a notification; one with the same id is there already after a crash, and stays.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn notify(&self, n: &Notification) -> rusqlite::Result<()> {
        let sql = "INSERT OR IGNORE INTO notifications (id, sink, recipient, reason, state, attempts, next_at, created_at, body)
                   VALUES (?1, ?2, ?3, ?4, 'pending', 0, ?5, ?5, ?6)";
        let reason = serde_json::to_value(n.reason).ok();
        let reason = reason.as_ref().and_then(|r| r.as_str()).unwrap_or_default();
        let values = params![n.id, n.sink, n.recipient, reason, n.created_at, json(n)?];
        self.transaction.prepare_cached(sql)?.execute(values).map(|_| ())
    }

    /// How many notifications a sink was given since `since`, digests and summaries left out.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn given(&self, sink: &str, since: i64) -> rusqlite::Result<u32> {
        let sql = "SELECT count(*) FROM notifications WHERE sink = ?1 AND created_at > ?2 AND reason NOT IN ('digest', 'storm')";
        self.transaction.prepare_cached(sql)?.query_row(params![sink, since], |row| row.get(0))
    }

    /// When a sink was last given a summary of a storm.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_storm(&self, sink: &str) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT max(created_at) FROM notifications WHERE sink = ?1 AND reason = 'storm'";
        self.transaction.prepare_cached(sql)?.query_row([sink], |row| row.get(0))
    }

    /// Silences that are in force.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn silences(&self, now: i64) -> rusqlite::Result<Vec<Silence>> {
        let sql = "SELECT body, silence_id FROM silences WHERE starts_at <= ?1 AND ends_at > ?1 ORDER BY silence_id";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let silence = |row: &Row<'_>| {
            let silence: Silence = from_json(row, 0)?;
            Ok(Silence { silence_id: row.get(1)?, ..silence })
        };
        statement.query_map([now], silence)?.collect()
    }

    /// The labels of alerts that are not over, with these values where they are given.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn open_labels(&self, severity: Option<&str>, rule: Option<&str>) -> rusqlite::Result<Vec<Labels>> {
        let sql = "SELECT body FROM alerts WHERE state IN ('open', 'acknowledged', 'confirmed', 'rectifying')
                   AND (?1 IS NULL OR severity = ?1) AND (?2 IS NULL OR rule_id = ?2)";
        let mut statement = self.transaction.prepare_cached(sql)?;
        statement.query_map([severity, rule], |row| Ok(alerts::alert(row)?.labels))?.collect()
    }

    /// Alerts that are to be escalated.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn unacknowledged(&self, now: i64, limit: usize) -> rusqlite::Result<Vec<Alert>> {
        let sql = "SELECT body FROM alerts WHERE escalates_at <= ?1 ORDER BY escalates_at LIMIT ?2";
        self.transaction.prepare_cached(sql)?.query_map(params![now, limit], alerts::alert)?.collect()
    }

    /// An alert by its id.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn alert(&self, id: &str) -> rusqlite::Result<Option<Alert>> {
        alerts::find(&self.transaction, id)
    }

    /// Escalates an alert.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn escalate(&self, desk: &Desk, alert: Alert, now: i64) -> rusqlite::Result<()> {
        alerts::save(&self.transaction, &desk.escalate(alert, now), Times::at(now))
    }

    /// Adds a remark to an alert's history.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn remark(&self, alert_id: &str, change: &Change) -> rusqlite::Result<()> {
        alerts::remark(&self.transaction, alert_id, change)
    }

    /// The latest findings of an alert, newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn evidence(&self, alert_id: &str, limit: usize) -> rusqlite::Result<Vec<Finding>> {
        alerts::evidence(&self.transaction, alert_id, limit)
    }
}

fn due_group(row: &Row<'_>) -> rusqlite::Result<DueGroup> {
    Ok(DueGroup { group_key: row.get(0)?, route: row.get(1)?, sink: row.get(2)?, labels: from_json(row, 3)? })
}
