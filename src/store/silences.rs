//! 静默 in the store: ordered and ended by officers, beside a running daemon or without one.

use rusqlite::{Connection, Row, named_params, types::ValueRef};

use super::{
    CaseError, Cases, StoreError, Turns,
    alerts::{self, from_json, json},
    cases::patience,
    chain,
    checksums::{self, SumChanges, Summed},
    named::insert,
    query::LIMIT_MAX,
    words::OVER,
};
use crate::{
    alert::{
        Alert, Labels, Matchers, Silence,
        desk::{Refusal, name, reason},
    },
    event::Instant,
    say,
};

/// What a silence would mute now.
#[derive(Debug, Clone)]
pub struct Muted {
    /// How many alerts that are not over.
    pub count: usize,
    /// The newest of them.
    pub alerts: Vec<Alert>,
    /// Whether all alerts that are not over were looked at.
    pub complete: bool,
}

/// Alerts looked at for a preview, and those that it shows.
const LOOKED_AT_MAX: usize = 20_000;
const SHOWN_MAX: usize = 100;

impl Cases {
    /// Orders a silence.
    ///
    /// # Errors
    /// If it is refused.
    pub fn silence(&mut self, silence: &Silence, now: Instant) -> Result<Silence, CaseError> {
        silence.check(now).map_err(Refusal::Missing)?;
        let silence = Silence {
            author: name(&silence.author).map_err(Refusal::Missing)?.to_owned(),
            reason: reason(&silence.reason).map_err(Refusal::Missing)?,
            ..silence.clone()
        };
        let silence_id = self.change(|summed| {
            let body = json(&silence)?;
            let Silence { starts_at, ends_at, .. } = silence;
            insert!(summed.transaction, "INSERT INTO silences", { starts_at, ends_at, body })?;
            let id = summed.transaction.last_insert_rowid();
            summed.inserted(&checksums::SILENCES, [id])?;
            record(summed, id, now, &silence.author, ORDER, &body)?;
            self.tell(summed, (&silence.author, now), ("silences.order", &id.to_string(), &silence.reason))?;
            Ok(id)
        })?;
        Ok(Silence { silence_id, ..silence })
    }

    /// How many silences there are; those that are over only if they are asked for.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn count_silences(&self, now: Instant, expired: bool) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM silences WHERE :expired OR ends_at > :now";
        let values = named_params! { ":expired": expired, ":now": now };
        self.read(|c| c.query_row(sql, values, |row| row.get(0)))
    }

    /// Silences, the newest first, after `before` in the list; those that are over only if they are asked for.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn silences(
        &self,
        now: Instant,
        expired: bool,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Silence>, StoreError> {
        let sql = "SELECT body, silence_id FROM silences WHERE (ends_at > :now OR :expired)
                   AND (:before IS NULL OR silence_id < :before) ORDER BY silence_id DESC LIMIT :limit";
        let limit = limit.min(LIMIT_MAX);
        let values = named_params! { ":now": now, ":expired": expired, ":before": before, ":limit": limit };
        self.read(|c| c.prepare_cached(sql)?.query_map(values, silence)?.collect())
    }

    /// One silence.
    ///
    /// # Errors
    /// If there is none.
    pub fn find_silence(&self, id: i64) -> Result<Silence, CaseError> {
        let sql = "SELECT body, silence_id FROM silences WHERE silence_id = ?1";
        let found: Vec<Silence> =
            self.read(|c| c.prepare_cached(sql)?.query_map([id], silence)?.collect())?;
        let none =
            || CaseError::NotFound(say!("there is no silence {id}; `fiscwatch silence list` shows them", id));
        found.into_iter().next().ok_or_else(none)
    }

    /// Ends a silence now.
    ///
    /// # Errors
    /// If there is none, or it is over.
    pub fn expire(&mut self, id: i64, who: &str, now: Instant) -> Result<Silence, CaseError> {
        let who = name(who).map_err(Refusal::Missing)?;
        let found = self.find_silence(id)?;
        if found.ends_at <= now {
            return Err(Refusal::State(say!("silence {id} is over already", id)).into());
        }
        // One that has not begun never does.
        let starts_at = found.starts_at.min(now);
        let silence = Silence { starts_at, ends_at: now, expired_by: Some(who.to_owned()), ..found };
        self.change(|summed| {
            let body = json(&silence)?;
            summed.change(&checksums::SILENCES, [id], || {
                let sql = "UPDATE silences SET starts_at = :starts_at, ends_at = :ends_at, body = :body
                           WHERE silence_id = :id";
                let Silence { starts_at, ends_at, .. } = silence;
                summed.transaction.execute(
                    sql,
                    named_params! { ":id": id, ":starts_at": starts_at, ":ends_at": ends_at, ":body": body },
                )
            })?;
            record(summed, id, now, who, EXPIRE, &body)?;
            self.tell(summed, (who, now), ("silences.expire", &id.to_string(), ""))?;
            // What it held back is looked at again at once. That it was held back stays known: what is over by now is
            // not told.
            let held_by = format!("silence {id}");
            summed.change_where(&checksums::OUTBOX, "held_by = ?1", [&held_by], || {
                let sql = "UPDATE outbox SET due_at = :now WHERE held_by = :held_by";
                summed.transaction.execute(sql, named_params! { ":held_by": held_by, ":now": now })
            })?;
            Ok(())
        })?;
        Ok(silence)
    }

    /// Does `work` in one transaction, which keeps the sums.
    pub(super) fn change<T>(
        &self,
        work: impl FnOnce(&Summed<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        Turns::of(&self.dir).write(&self.dir, &self.connection, Some(patience()), |transaction| {
            let changes = SumChanges::default();
            let done = work(&changes.within(transaction))?;
            changes.end(transaction)?;
            Ok(done)
        })
    }

    /// The alerts that are not over and match, as far as the newest 20000 tell.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn muted_by(&self, matchers: &Matchers) -> Result<Muted, StoreError> {
        let sql = format!(
            "SELECT body FROM alerts WHERE state NOT IN {OVER} ORDER BY opened_at DESC, alert_id DESC LIMIT ?1"
        );
        self.read(|c| {
            let mut muted = Muted { count: 0, alerts: Vec::new(), complete: true };
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map([LOOKED_AT_MAX + 1], alerts::alert)?;
            for (number, alert) in rows.enumerate() {
                let alert = alert?;
                if number == LOOKED_AT_MAX {
                    muted.complete = false;
                } else if matchers.matches(&alert.labels) {
                    muted.count += 1;
                    muted.alerts.extend(Some(alert).filter(|_| muted.alerts.len() < SHOWN_MAX));
                }
            }
            Ok(muted)
        })
    }

    /// See [`alerts::open_labels`].
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn open_labels(&self, severity: Option<&str>, rule: Option<&str>) -> Result<Vec<Labels>, StoreError> {
        self.read(|c| alerts::open_labels(c, severity, rule))
    }

    /// What an alert says, if it is there.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn title(&self, alert_id: &str) -> Result<Option<String>, StoreError> {
        self.read(|c| Ok(alerts::find(c, alert_id)?.map(|alert| alert.title)))
    }

    /// The silences in force.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn in_force(&self, now: Instant) -> Result<Vec<Silence>, StoreError> {
        let sql = "SELECT body, silence_id FROM silences WHERE starts_at <= ?1 AND ends_at > ?1 ORDER BY silence_id";
        self.read(|c| c.prepare_cached(sql)?.query_map([now], silence)?.collect())
    }
}

/// What officers do with silences, in their history.
const ORDER: &str = "order";
const EXPIRE: &str = "expire";

fn record(
    summed: &Summed<'_>,
    id: i64,
    at: Instant,
    who: &str,
    action: &str,
    body: &str,
) -> rusqlite::Result<()> {
    chain::SILENCES.add(
        summed,
        &[ValueRef::Integer(id), ValueRef::Integer(at.as_micros()), who.into(), action.into(), body.into()],
    )
}

/// The history of silences of before there was one, as far as they tell it themselves: when each was ordered and ended.
pub(crate) fn begin_history(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "INSERT INTO silence_history (silence_id, at, who, action, body, digest)
               SELECT silence_id, at, who, action, body, x'' FROM (
                   SELECT silence_id, body ->> '$.created_at' AS at, body ->> '$.author' AS who, :order AS action, body FROM silences
                   UNION ALL SELECT silence_id, ends_at, body ->> '$.expired_by', :expire, body FROM silences
                   WHERE body ->> '$.expired_by' IS NOT NULL)
               ORDER BY at, silence_id";
    connection.execute(sql, named_params! { ":order": ORDER, ":expire": EXPIRE }).map(|_| ())
}

fn silence(row: &Row<'_>) -> rusqlite::Result<Silence> {
    let silence: Silence = from_json(row, "body")?;
    Ok(Silence { silence_id: row.get("silence_id")?, ..silence })
}
