//! One round of bundling: what is due is read, and becomes notifications, in one transaction.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::due::{DueEntry, DueGroup, Followed, ToldGroup};
use crate::{
    alert::{
        Alert, Desk, HistoryEntry, Notification, Silence,
        desk::{AlertUpdate, GroupKey},
    },
    event::Instant,
    finding::Finding,
    store::{
        Turns,
        alerts::{self, CauseTimes, from_json, json},
        answers,
        checksums::{self, SumChanges, Summed},
        error::TransactionError,
        named::insert,
    },
};

/// What the database has against a round. [`super::Outbox::round`] says it in words.
#[derive(Debug)]
pub struct RoundError(pub(super) rusqlite::Error);

impl From<RoundError> for TransactionError {
    fn from(RoundError(error): RoundError) -> Self {
        Self::Database(error)
    }
}

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
    pub(super) dir: &'o std::path::Path,
    pub(super) turns: &'o Turns,
    pub(super) transaction: &'o Connection,
    pub(super) changes: SumChanges,
}

impl Round<'_> {
    /// Whether a commit, or somebody else, waits for this round to end.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.turns.are_waited_for()
    }

    pub(super) fn summed(&self) -> Summed<'_> {
        self.changes.within(self.transaction)
    }

    /// The groups of the next entries that are due, in the order of the entries; a group comes once for each of them. They
    /// follow on `after`, which is moved on.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn due(&self, now: Instant, after: &mut Followed, limit: usize) -> RoundResult<Vec<DueGroup>> {
        let sql = "SELECT group_key, route, sink, labels, due_at, seq FROM outbox
                   WHERE (due_at, seq) > (:after_due, :after_seq) AND due_at <= :now ORDER BY due_at, seq LIMIT :limit";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let from = after.unwrap_or((Instant::MIN, 0));
        let values =
            named_params! { ":after_due": from.0, ":after_seq": from.1, ":now": now, ":limit": limit };
        let rows = statement
            .query_map(values, |row| Ok((DueGroup::of(row)?, (row.get("due_at")?, row.get("seq")?))))?;
        rows.map(|row| {
            let (group, place) = row?;
            *after = Some(place);
            Ok(group)
        })
        .collect()
    }

    /// The entries of a group that are due, oldest first, and at most so many.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn entries(&self, group_key: &GroupKey, now: Instant, limit: usize) -> RoundResult<Vec<DueEntry>> {
        let sql = "SELECT a.body, o.seq, o.matter, o.received_at, o.held_by IS NOT NULL AS was_held
                   FROM outbox o JOIN alerts a USING (alert_id)
                   WHERE o.group_key = :group_key AND o.due_at <= :now ORDER BY o.seq LIMIT :limit";
        let entry = |row: &Row<'_>| {
            Ok(DueEntry {
                alert: alerts::alert(row)?,
                seq: row.get("seq")?,
                matter: row.get("matter")?,
                received_at: row.get("received_at")?,
                was_held: row.get("was_held")?,
            })
        };
        self.transaction
            .prepare_cached(sql)?
            .query_map(named_params! { ":group_key": group_key, ":now": now, ":limit": limit }, entry)?
            .map(|row| Ok(row?))
            .collect()
    }

    /// What is known of a group.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn group(&self, group_key: &GroupKey) -> RoundResult<Option<ToldGroup>> {
        let sql = "SELECT thread FROM groups WHERE group_key = ?1";
        let thread =
            self.transaction.prepare_cached(sql)?.query_row([group_key], |row| row.get(0)).optional()?;
        let Some(thread) = thread else { return Ok(None) };
        let sql = "SELECT alert_id FROM group_alerts WHERE group_key = ?1 ORDER BY alert_id";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let alerts = statement.query_map([group_key], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(Some(ToldGroup { thread, alerts }))
    }

    /// Writes what is known of a group after it was told of; of its alerts only those that came or went.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn save_group(
        &self,
        due: &DueGroup,
        (before, group): (&ToldGroup, &ToldGroup),
        now: Instant,
        repeat_at: Option<Instant>,
    ) -> RoundResult<()> {
        let DueGroup { group_key, route, sink, labels } = due;
        let (thread, labels) = (&group.thread, json(labels)?);
        let summed = self.summed();
        summed.change(&checksums::GROUPS, [group_key], || {
            insert!(self.transaction, "INSERT OR REPLACE INTO groups", {
                group_key, route, sink, labels, thread, told_at: now, repeat_at,
            })
        })?;
        let known: BTreeSet<_> = before.alerts.iter().collect();
        let told: BTreeSet<_> = group.alerts.iter().collect();
        let one = "group_key = :group_key AND alert_id = :alert_id";
        for alert_id in known.difference(&told) {
            let key = named_params! { ":group_key": group_key, ":alert_id": alert_id };
            let sql = "DELETE FROM group_alerts WHERE group_key = :group_key AND alert_id = :alert_id";
            summed.change_where(&checksums::GROUP_ALERTS, one, key, || {
                self.transaction.prepare_cached(sql)?.execute(key)
            })?;
        }
        for alert_id in told.difference(&known) {
            let key = named_params! { ":group_key": group_key, ":alert_id": alert_id };
            summed.change_where(
                &checksums::GROUP_ALERTS,
                one,
                key,
                || insert!(self.transaction, "INSERT OR IGNORE INTO group_alerts", { group_key, alert_id }),
            )?;
        }
        Ok(())
    }

    /// Forgets a group whose alerts are all over.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn remove_group(&self, group_key: &GroupKey) -> RoundResult<()> {
        for table in [&checksums::GROUPS, &checksums::GROUP_ALERTS] {
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
    pub fn repeats(&self, now: Instant, limit: usize) -> RoundResult<Vec<DueGroup>> {
        let sql = "SELECT group_key, route, sink, labels FROM groups WHERE repeat_at <= :now ORDER BY repeat_at LIMIT :limit";
        self.transaction
            .prepare_cached(sql)?
            .query_map(named_params! { ":now": now, ":limit": limit }, DueGroup::of)?
            .map(|row| Ok(row?))
            .collect()
    }

    /// Sets when a group is to be told of again.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn repeat_at(&self, group_key: &GroupKey, at: Option<Instant>) -> RoundResult<()> {
        let sql = "UPDATE groups SET repeat_at = :at WHERE group_key = :group_key";
        let values = named_params! { ":group_key": group_key, ":at": at };
        self.summed().change(&checksums::GROUPS, [group_key], || {
            self.transaction.prepare_cached(sql)?.execute(values).map(|_| ())
        })?;
        Ok(())
    }

    /// Lets entries wait until `until`, because something mutes them or there are too many.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn hold(&self, seqs: &[i64], held_by: &str, until: Instant) -> RoundResult<()> {
        let sql = "UPDATE outbox SET due_at = :until, held_by = :held_by WHERE seq = :seq";
        let mut update = self.transaction.prepare_cached(sql)?;
        for seq in seqs {
            let values = named_params! { ":seq": seq, ":until": until, ":held_by": held_by };
            self.summed().change(&checksums::OUTBOX, [seq], || update.execute(values))?;
        }
        Ok(())
    }

    /// Makes entries due that wait only for others of their group, and would until `until` at most. What something mutes
    /// goes on waiting. Gives how many there were, at most `limit`.
    ///
    /// # Errors
    /// If the database cannot be read or written.
    pub fn bring_forward(&self, now: Instant, until: Instant, limit: usize) -> RoundResult<usize> {
        let sql = "SELECT seq FROM outbox WHERE held_by IS NULL AND due_at > :now AND due_at <= :until LIMIT :limit";
        let mut waiting = self.transaction.prepare_cached(sql)?;
        let waiting = waiting
            .query_map(named_params! { ":now": now, ":until": until, ":limit": limit }, |row| row.get(0))?;
        let waiting: Vec<i64> = waiting.collect::<Result<_, _>>()?;
        let sql = "UPDATE outbox SET due_at = :now WHERE seq = :seq";
        let mut update = self.transaction.prepare_cached(sql)?;
        for seq in &waiting {
            let values = named_params! { ":seq": seq, ":now": now };
            self.summed().change(&checksums::OUTBOX, [seq], || update.execute(values))?;
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
            self.summed().change(&checksums::OUTBOX, [seq], || delete.execute([seq]).map(|_| ()))?;
        }
        Ok(())
    }

    /// Adds a notification; one with the same id is there already after a crash, and stays.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn notify(&self, n: &Notification) -> RoundResult<()> {
        let reason = serde_json::to_value(n.reason).ok();
        let reason = reason.as_ref().and_then(|r| r.as_str()).unwrap_or_default();
        let Notification { id, sink, recipient, created_at, .. } = n;
        let (body, state) = (json(n)?, "pending");
        self.summed().change(&checksums::NOTIFICATIONS, [id], || {
            insert!(self.transaction, "INSERT OR IGNORE INTO notifications", {
                id, sink, recipient, reason, state, attempts: 0, next_at: created_at, created_at, body,
            })
        })?;
        Ok(())
    }

    /// How many notifications a sink was given since `since`, digests and summaries left out.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn given(&self, sink: &str, since: Instant) -> RoundResult<u32> {
        let sql = "SELECT count(*) FROM notifications WHERE sink = :sink AND created_at > :since AND reason NOT IN ('digest', 'storm')";
        let values = named_params! { ":sink": sink, ":since": since };
        Ok(self.transaction.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
    }

    /// When a sink was last given a summary of a storm, if that was after `since`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn last_storm(&self, sink: &str, since: Instant) -> RoundResult<Option<Instant>> {
        let sql = "SELECT max(created_at) FROM notifications WHERE sink = :sink AND created_at > :since AND reason = 'storm'";
        let values = named_params! { ":sink": sink, ":since": since };
        Ok(self.transaction.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
    }

    /// Silences that are in force.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn silences(&self, now: Instant) -> RoundResult<Vec<Silence>> {
        let sql = "SELECT body, silence_id FROM silences WHERE starts_at <= ?1 AND ends_at > ?1 ORDER BY silence_id";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let silence = |row: &Row<'_>| {
            let silence: Silence = from_json(row, "body")?;
            Ok(Silence { silence_id: row.get("silence_id")?, ..silence })
        };
        statement.query_map([now], silence)?.map(|row| Ok(row?)).collect()
    }

    /// Alerts that are to be escalated.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn unacknowledged(&self, now: Instant, limit: usize) -> RoundResult<Vec<Alert>> {
        let sql = "SELECT body FROM alerts WHERE escalates_at <= :now ORDER BY escalates_at LIMIT :limit";
        self.transaction
            .prepare_cached(sql)?
            .query_map(named_params! { ":now": now, ":limit": limit }, alerts::alert)?
            .map(|row| Ok(row?))
            .collect()
    }

    /// An alert by its id.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn alert(&self, id: &str) -> RoundResult<Option<Alert>> {
        Ok(alerts::find(self.transaction, id)?)
    }

    /// Escalates an alert.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn escalate(&self, desk: &Desk, alert: Alert, now: Instant) -> RoundResult<()> {
        Ok(alerts::save(&self.summed(), &desk.escalate(alert, now), CauseTimes::at(now))?)
    }

    /// Stores what became of an alert.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn save(&self, step: &AlertUpdate, now: Instant) -> RoundResult<()> {
        Ok(alerts::save(&self.summed(), step, CauseTimes::at(now))?)
    }

    /// Stores that a letter goes out without an officer, and issues its link.
    ///
    /// # Errors
    /// If the database or the key of links cannot be written.
    pub fn send_letter(&self, desk: &Desk, step: &AlertUpdate, now: Instant) -> RoundResult<()> {
        answers::issue(self.dir, &self.summed(), step, desk, now)?;
        self.save(step, now)
    }

    /// Notes in its alerts that a letter was refused for good, or that it went out after all, if the notification was one.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub(super) fn letter_went(
        &self,
        notification: &str,
        refused: Option<&str>,
        now: Instant,
    ) -> RoundResult<()> {
        let sql = "SELECT body FROM notifications WHERE id = ?1 AND reason = 'explain'";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let letter: Option<Notification> =
            statement.query_row([notification], |row| from_json(row, "body")).optional()?;
        for told in letter.map(|letter| letter.alerts).unwrap_or_default() {
            let Some(alert) = self.alert(&told.alert.alert_id)? else { continue };
            let same = |one: &Alert, other: &Alert| {
                one.inquiry.as_ref().map(|letter| letter.at) == other.inquiry.as_ref().map(|letter| letter.at)
            };
            // Another letter may be out since.
            if !same(&alert, &told.alert) {
                continue;
            }
            let step = match refused {
                Some(why) => Desk::undelivered(alert, why, now),
                None => Desk::delivered(alert, now),
            };
            if let Some(step) = step {
                self.save(&step, now)?;
            }
        }
        Ok(())
    }

    /// Adds a remark to an alert's history.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn remark(&self, alert_id: &str, change: &HistoryEntry) -> RoundResult<()> {
        Ok(alerts::remark(&self.summed(), alert_id, change)?)
    }

    /// The latest findings of an alert, newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn evidence(&self, alert_id: &str, limit: usize) -> RoundResult<Vec<Finding>> {
        Ok(alerts::evidence(self.transaction, alert_id, limit)?)
    }
}
