//! Notifications as officers see them: what was told, what waits and what was refused.

use rusqlite::{Row, named_params};

use super::{CaseError, Cases, StoreError, checksums, query::LIMIT_MAX};
use crate::{alert::desk::Refusal, event::Instant, say, text::quoted};

/// A notification without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub(crate) seq: i64,
    /// Its id, which receivers see too.
    pub id: String,
    pub(crate) sink: String,
    /// The recipient, if the sink has several.
    pub recipient: Option<String>,
    /// Why it is sent.
    pub reason: String,
    /// `pending`, `sent` or `parked`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next, while it is pending.
    pub next_at: Instant,
    /// When it was made.
    pub created_at: Instant,
    /// When it was accepted or parked.
    pub ended_at: Option<Instant>,
    /// What the sink said last.
    pub error: Option<String>,
    /// The first of its alerts.
    pub alert_id: Option<String>,
    /// How many alerts it tells of.
    pub alerts: i64,
}

/// Something to tell that waits for its group, its hour or the end of a silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub(crate) matter: String,
    pub(crate) route: String,
    pub(crate) sink: String,
    /// When it is looked at next.
    pub due_at: Instant,
    /// What holds it back.
    pub held_by: Option<String>,
}

/// Which notifications to list, the newest first.
#[derive(Debug, Clone, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NoticeFilter {
    /// Only in this state: `pending`, `sent` or `parked`.
    pub state: Option<String>,
    /// Only of this sink.
    pub sink: Option<String>,
    /// Only those after this one in the list: the `next` of the page before.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: Option<u32>,
}

impl NoticeFilter {
    /// What is wrong with a filter that would find nothing, ever.
    ///
    /// # Errors
    /// The words there are.
    pub fn check(&self) -> Result<(), String> {
        match self.state.as_deref() {
            None | Some("pending" | "sent" | "parked") => Ok(()),
            Some(word) => Err(say!("state: {word} is none of pending, sent, parked", word = quoted(word))),
        }
    }
}

/// Notifications that one transaction lets be tried again.
const RETRIED: usize = 500;
/// Notifications listed when nobody says how many.
const LIMIT: u32 = 100;
/// The columns that [`notice`] reads.
const COLUMNS: &str =
    "seq, id, sink, recipient, reason, state, attempts, next_at, created_at, ended_at, error,
    json_extract(body, '$.alerts[0].alert_id') AS alert_id, json_array_length(body, '$.alerts') AS alerts";

impl Cases {
    /// Notifications, the newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn notifications(&self, filter: &NoticeFilter) -> Result<Vec<Notice>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM notifications WHERE (:state IS NULL OR state = :state)
             AND (:sink IS NULL OR sink = :sink) AND (:before IS NULL OR seq < :before)
             ORDER BY seq DESC LIMIT :limit"
        );
        let limit = filter.limit.unwrap_or(LIMIT).min(LIMIT_MAX);
        let NoticeFilter { state, sink, before, .. } = filter;
        let values = named_params! { ":state": state, ":sink": sink, ":before": before, ":limit": limit };
        self.read(|c| c.prepare_cached(&sql)?.query_map(values, notice)?.collect())
    }

    /// How many notifications a filter names, whatever its limit.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn count_notifications(&self, filter: &NoticeFilter) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM notifications WHERE (:state IS NULL OR state = :state)
                   AND (:sink IS NULL OR sink = :sink) AND (:before IS NULL OR seq < :before)";
        let NoticeFilter { state, sink, before, .. } = filter;
        let values = named_params! { ":state": state, ":sink": sink, ":before": before };
        self.read(|c| c.query_row(sql, values, |row| row.get(0)))
    }

    /// The notifications that tell of an alert opened at `opened_at`, the newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn told_of(&self, alert_id: &str, opened_at: Instant, limit: u32) -> Result<Vec<Notice>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM notifications WHERE created_at >= :since AND instr(body, :named) > 0
             ORDER BY seq DESC LIMIT :limit"
        );
        let named = format!("\"alert_id\":\"{alert_id}\"");
        let limit = limit.min(LIMIT_MAX);
        let values = named_params! { ":named": named, ":since": opened_at, ":limit": limit };
        self.read(|c| c.prepare_cached(&sql)?.query_map(values, notice)?.collect())
    }

    /// What is still to be told of an alert.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn waiting_for(&self, alert_id: &str, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        let sql = "SELECT matter, route, sink, due_at, held_by FROM outbox WHERE alert_id = :alert_id
                   ORDER BY seq LIMIT :limit";
        let row = |row: &Row<'_>| {
            Ok(Waiting {
                matter: row.get("matter")?,
                route: row.get("route")?,
                sink: row.get("sink")?,
                due_at: row.get("due_at")?,
                held_by: row.get("held_by")?,
            })
        };
        let values = named_params! { ":alert_id": alert_id, ":limit": limit.min(LIMIT_MAX) };
        self.read(|c| c.prepare_cached(sql)?.query_map(values, row)?.collect())
    }

    /// The one notification whose id begins so, as people type it.
    ///
    /// # Errors
    /// If there is none, or several.
    pub fn notification(&self, prefix: &str) -> Result<Notice, CaseError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM notifications WHERE id >= :first AND id < :end ORDER BY id LIMIT 2"
        );
        let end = format!("{prefix}\u{7f}");
        let values = named_params! { ":first": prefix, ":end": end };
        let mut found: Vec<Notice> =
            self.read(|c| c.prepare_cached(&sql)?.query_map(values, notice)?.collect())?;
        match found.len() {
            2 if found[0].id != prefix => Err(CaseError::NotFound(say!(
                "several notifications begin with {prefix}; give more of the id",
                prefix = quoted(prefix)
            ))),
            0 => Err(CaseError::NotFound(say!(
                "there is no notification {prefix}; `fiscwatch notify list` shows those there are",
                prefix = quoted(prefix)
            ))),
            _ => Ok(found.swap_remove(0)),
        }
    }

    /// Tries one notification again, and at once.
    ///
    /// # Errors
    /// If there is none, or its sink has it already.
    pub fn retry_one(&mut self, id: &str, now: Instant) -> Result<Notice, CaseError> {
        let notice = self.notification(id)?;
        if self.retry(Some(&notice.id), None, now)? == 0 {
            return Err(Refusal::State(say!(
                "notification {id} was sent; it is not sent again",
                id = notice.id
            ))
            .into());
        }
        self.notification(&notice.id)
    }

    /// Tries notifications again that are parked or wait: one, or all of a sink, or all. Gives how many.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn retry(&mut self, id: Option<&str>, sink: Option<&str>, now: Instant) -> Result<usize, StoreError> {
        let which =
            "state IN ('parked', 'pending') AND (:id IS NULL OR id = :id) AND (:sink IS NULL OR sink = :sink)
                     AND seq BETWEEN :first AND :last";
        let next = format!(
            "SELECT min(seq), max(seq) FROM (SELECT seq FROM notifications WHERE {which} ORDER BY seq LIMIT {RETRIED})"
        );
        let update = format!(
            "UPDATE notifications SET state = 'pending', next_at = :now, ended_at = NULL WHERE {which}"
        );
        let (mut all, mut after) = (0, 0);
        // Some at a time: commits come in between.
        loop {
            let values = named_params! { ":id": id, ":sink": sink, ":first": after, ":last": i64::MAX };
            let part: (Option<i64>, Option<i64>) =
                self.read(|c| c.query_row(&next, values, |row| Ok((row.get(0)?, row.get(1)?))))?;
            let (Some(first), Some(last)) = part else { return Ok(all) };
            all += self.change(|summed| {
                let key = named_params! { ":id": id, ":sink": sink, ":first": first, ":last": last };
                let retried = summed.change_where(&checksums::NOTIFICATIONS, which, key, || {
                    let values = named_params! {
                        ":id": id, ":sink": sink, ":first": first, ":last": last, ":now": now,
                    };
                    summed.transaction.execute(&update, values)
                })?;
                let (of, detail) = (id.or(sink).unwrap_or("all"), retried.to_string());
                self.tell(summed, (&self.actor.who, now), ("notifications.retry", of, &detail))?;
                Ok(retried)
            })?;
            after = last + 1;
        }
    }
}

fn notice(row: &Row<'_>) -> rusqlite::Result<Notice> {
    Ok(Notice {
        seq: row.get("seq")?,
        id: row.get("id")?,
        sink: row.get("sink")?,
        recipient: row.get("recipient")?,
        reason: row.get("reason")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        next_at: row.get("next_at")?,
        created_at: row.get("created_at")?,
        ended_at: row.get("ended_at")?,
        error: row.get("error")?,
        alert_id: row.get("alert_id")?,
        alerts: row.get::<_, Option<i64>>("alerts")?.unwrap_or(0),
    })
}
