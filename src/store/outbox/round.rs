//! One round of bundling: what is due is read, and becomes notifications, in one transaction.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Row, params};

use crate::{
    alert::{
        Alert, Change, Desk, Labels, Notification, Silence,
        desk::{Matter, Step},
    },
    finding::Finding,
    store::{
        alerts::{self, Times, from_json, json},
        sums::{self, Changes, Summed},
        turn::Turn,
    },
};

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

/// What the database has against a round. [`super::Outbox::round`] says it in words.
#[derive(Debug)]
pub struct RoundError(pub(super) rusqlite::Error);

impl From<rusqlite::Error> for RoundError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error)
    }
}

/// What a step of a round gives.
pub type RoundResult<T> = Result<T, RoundError>;

/// One round of bundling: a transaction.
#[derive(Debug)]
pub struct Round<'o> {
    pub(super) transaction: Turn<'o>,
    pub(super) changes: Changes,
}

impl Round<'_> {
    pub(super) fn summed(&self) -> Summed<'_> {
        self.changes.within(&self.transaction)
    }

    /// The groups of the next entries that are due, in the order of the entries; a group comes once for each of them. They
    /// follow on `after`, which is moved on.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn due(&self, now: i64, after: &mut (i64, i64), limit: usize) -> RoundResult<Vec<DueGroup>> {
        let sql = "SELECT group_key, route, sink, labels, due_at, seq FROM outbox
                   WHERE (due_at, seq) > (?1, ?2) AND due_at <= ?3 ORDER BY due_at, seq LIMIT ?4";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let (due_at, seq) = *after;
        let values = params![due_at, seq, now, limit];
        let rows = statement.query_map(values, |row| Ok((due_group(row)?, (row.get(4)?, row.get(5)?))))?;
        rows.map(|row| {
            let (group, place) = row?;
            *after = place;
            Ok(group)
        })
        .collect()
    }

    /// The entries of a group that are due, oldest first, and at most so many.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn entries(&self, group_key: &str, now: i64, limit: usize) -> RoundResult<Vec<DueEntry>> {
        let sql = "SELECT a.body, o.seq, o.matter, o.received_at, o.held_by IS NOT NULL FROM outbox o JOIN alerts a USING (alert_id)
                   WHERE o.group_key = ?1 AND o.due_at <= ?2 ORDER BY o.seq LIMIT ?3";
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
        self.transaction
            .prepare_cached(sql)?
            .query_map(params![group_key, now, limit], entry)?
            .map(|row| Ok(row?))
            .collect()
    }

    /// What is known of a group.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn group(&self, group_key: &str) -> RoundResult<Option<Group>> {
        let sql = "SELECT thread FROM groups WHERE group_key = ?1";
        let thread =
            self.transaction.prepare_cached(sql)?.query_row([group_key], |row| row.get(0)).optional()?;
        let Some(thread) = thread else { return Ok(None) };
        let sql = "SELECT alert_id FROM group_alerts WHERE group_key = ?1 ORDER BY alert_id";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let alerts = statement.query_map([group_key], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(Some(Group { thread, alerts }))
    }

    /// Writes what is known of a group after it was told of; of its alerts only those that came or went.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn save_group(
        &self,
        due: &DueGroup,
        (before, group): (&Group, &Group),
        now: i64,
        repeat_at: Option<i64>,
    ) -> RoundResult<()> {
        let sql = "INSERT OR REPLACE INTO groups VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let labels = json(&due.labels)?;
        let values = params![due.group_key, due.route, due.sink, labels, group.thread, now, repeat_at];
        let (summed, key) = (self.summed(), [&due.group_key]);
        summed.change(&sums::GROUPS, key, || self.transaction.prepare_cached(sql)?.execute(values))?;
        let known: BTreeSet<_> = before.alerts.iter().collect();
        let told: BTreeSet<_> = group.alerts.iter().collect();
        let one = "group_key = ?1 AND alert_id = ?2";
        for (sql, alerts) in [
            ("DELETE FROM group_alerts WHERE group_key = ?1 AND alert_id = ?2", known.difference(&told)),
            ("INSERT OR IGNORE INTO group_alerts VALUES (?1, ?2)", told.difference(&known)),
        ] {
            let mut write = self.transaction.prepare_cached(sql)?;
            for alert in alerts {
                let key = [&due.group_key, *alert];
                summed.change_where(&sums::GROUP_ALERTS, one, key, || write.execute(key))?;
            }
        }
        Ok(())
    }

    /// Forgets a group whose alerts are all over.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn remove_group(&self, group_key: &str) -> RoundResult<()> {
        for table in [&sums::GROUPS, &sums::GROUP_ALERTS] {
            let sql = format!("DELETE FROM {} WHERE group_key = ?1", table.name);
            self.summed()
                .change(table, [group_key], || self.transaction.prepare_cached(&sql)?.execute([group_key]))?;
        }
        Ok(())
    }

    /// Groups whose alerts are to be told of again.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn repeats(&self, now: i64, limit: usize) -> RoundResult<Vec<DueGroup>> {
        let sql = "SELECT group_key, route, sink, labels FROM groups WHERE repeat_at <= ?1 ORDER BY repeat_at LIMIT ?2";
        self.transaction
            .prepare_cached(sql)?
            .query_map(params![now, limit], due_group)?
            .map(|row| Ok(row?))
            .collect()
    }

    /// Sets when a group is to be told of again.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn repeat_at(&self, group_key: &str, at: Option<i64>) -> RoundResult<()> {
        let sql = "UPDATE groups SET repeat_at = ?2 WHERE group_key = ?1";
        self.summed().change(&sums::GROUPS, [group_key], || {
            self.transaction.prepare_cached(sql)?.execute(params![group_key, at]).map(|_| ())
        })?;
        Ok(())
    }

    /// Lets entries wait until `until`, because something mutes them or there are too many.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn hold(&self, seqs: &[i64], held_by: &str, until: i64) -> RoundResult<()> {
        let sql = "UPDATE outbox SET due_at = ?2, held_by = ?3 WHERE seq = ?1";
        let mut update = self.transaction.prepare_cached(sql)?;
        for seq in seqs {
            self.summed()
                .change(&sums::OUTBOX, [seq], || update.execute(params![seq, until, held_by]).map(|_| ()))?;
        }
        Ok(())
    }

    /// Makes entries due that wait only for others of their group, and would until `until` at most. What something mutes
    /// goes on waiting. Gives how many there were, at most `limit`.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn bring_forward(&self, now: i64, until: i64, limit: usize) -> RoundResult<usize> {
        let sql = "SELECT seq FROM outbox WHERE held_by IS NULL AND due_at > ?1 AND due_at <= ?2 LIMIT ?3";
        let mut waiting = self.transaction.prepare_cached(sql)?;
        let waiting = waiting.query_map(params![now, until, limit], |row| row.get(0))?;
        let waiting: Vec<i64> = waiting.collect::<Result<_, _>>()?;
        let mut update = self.transaction.prepare_cached("UPDATE outbox SET due_at = ?2 WHERE seq = ?1")?;
        for seq in &waiting {
            self.summed().change(&sums::OUTBOX, [seq], || update.execute([*seq, now]).map(|_| ()))?;
        }
        Ok(waiting.len())
    }

    /// Takes entries out: they are in a notification of the same transaction, or there is nothing more to tell.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn take(&self, seqs: &[i64]) -> RoundResult<()> {
        let mut delete = self.transaction.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?;
        for seq in seqs {
            self.summed().change(&sums::OUTBOX, [seq], || delete.execute([seq]).map(|_| ()))?;
        }
        Ok(())
    }

    /// Adds a notification; one with the same id is there already after a crash, and stays.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn notify(&self, n: &Notification) -> RoundResult<()> {
        let sql = "INSERT OR IGNORE INTO notifications (id, sink, recipient, reason, state, attempts, next_at, created_at, body)
                   VALUES (?1, ?2, ?3, ?4, 'pending', 0, ?5, ?5, ?6)";
        let reason = serde_json::to_value(n.reason).ok();
        let reason = reason.as_ref().and_then(|r| r.as_str()).unwrap_or_default();
        let values = params![n.id, n.sink, n.recipient, reason, n.created_at, json(n)?];
        self.summed().change(&sums::NOTIFICATIONS, [&n.id], || {
            self.transaction.prepare_cached(sql)?.execute(values).map(|_| ())
        })?;
        Ok(())
    }

    /// How many notifications a sink was given since `since`, digests and summaries left out.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn given(&self, sink: &str, since: i64) -> RoundResult<u32> {
        let sql = "SELECT count(*) FROM notifications WHERE sink = ?1 AND created_at > ?2 AND reason NOT IN ('digest', 'storm')";
        Ok(self.transaction.prepare_cached(sql)?.query_row(params![sink, since], |row| row.get(0))?)
    }

    /// When a sink was last given a summary of a storm, if that was after `since`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_storm(&self, sink: &str, since: i64) -> RoundResult<Option<i64>> {
        let sql = "SELECT max(created_at) FROM notifications WHERE sink = ?1 AND created_at > ?2 AND reason = 'storm'";
        Ok(self.transaction.prepare_cached(sql)?.query_row(params![sink, since], |row| row.get(0))?)
    }

    /// Silences that are in force.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn silences(&self, now: i64) -> RoundResult<Vec<Silence>> {
        let sql = "SELECT body, silence_id FROM silences WHERE starts_at <= ?1 AND ends_at > ?1 ORDER BY silence_id";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let silence = |row: &Row<'_>| {
            let silence: Silence = from_json(row, 0)?;
            Ok(Silence { silence_id: row.get(1)?, ..silence })
        };
        statement.query_map([now], silence)?.map(|row| Ok(row?)).collect()
    }

    /// Alerts that are to be escalated.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn unacknowledged(&self, now: i64, limit: usize) -> RoundResult<Vec<Alert>> {
        let sql = "SELECT body FROM alerts WHERE escalates_at <= ?1 ORDER BY escalates_at LIMIT ?2";
        self.transaction
            .prepare_cached(sql)?
            .query_map(params![now, limit], alerts::alert)?
            .map(|row| Ok(row?))
            .collect()
    }

    /// An alert by its id.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn alert(&self, id: &str) -> RoundResult<Option<Alert>> {
        Ok(alerts::find(&self.transaction, id)?)
    }

    /// Escalates an alert.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn escalate(&self, desk: &Desk, alert: Alert, now: i64) -> RoundResult<()> {
        Ok(alerts::save(&self.summed(), &desk.escalate(alert, now), Times::at(now))?)
    }

    /// Stores what became of an alert.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn save(&self, step: &Step, now: i64) -> RoundResult<()> {
        Ok(alerts::save(&self.summed(), step, Times::at(now))?)
    }

    /// Adds a remark to an alert's history.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn remark(&self, alert_id: &str, change: &Change) -> RoundResult<()> {
        Ok(alerts::remark(&self.summed(), alert_id, change)?)
    }

    /// The latest findings of an alert, newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn evidence(&self, alert_id: &str, limit: usize) -> RoundResult<Vec<Finding>> {
        Ok(alerts::evidence(&self.transaction, alert_id, limit)?)
    }
}

fn due_group(row: &Row<'_>) -> rusqlite::Result<DueGroup> {
    Ok(DueGroup { group_key: row.get(0)?, route: row.get(1)?, sink: row.get(2)?, labels: from_json(row, 3)? })
}
