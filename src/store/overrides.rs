//! 特批 in the store: granted and taken back by people, used by the commit of the application that passes.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};

use super::{
    CaseError, Cases, StoreError,
    alerts::{from_json, json},
    decisions::of,
    named::insert,
    query::LIMIT_MAX,
    sums::{self, Change},
};
use crate::{
    access::Action,
    alert::desk::{Refusal, name, reason},
    decision::{Act, Override, Wish},
    event::money::format_cents,
    say,
    text::quoted,
};

const OVERRIDE: &str = "override_id, used_by, body";

/// Which overrides are listed, the newest first.
#[derive(Debug, Clone, Default)]
pub struct OverrideFilter {
    /// Only those of this blocked application.
    pub application: Option<String>,
    /// Only those before this one in the list.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

impl Cases {
    /// Grants an override of what was decided of an application.
    ///
    /// # Errors
    /// If nothing was decided of it, or the override is refused.
    pub fn grant_override(&mut self, application: &str, wish: &Wish) -> Result<Override, CaseError> {
        let missing = Refusal::Missing;
        let who = name(&wish.grant.who).map_err(missing)?.to_owned();
        let why = reason(&wish.reason).map_err(missing)?;
        if why.is_empty() {
            return Err(missing(say!("say why: an override needs a reason")).into());
        }
        let wish = Wish { grant: Act { who, at: wish.grant.at }, reason: why, ..*wish };
        let now = wish.grant.at;
        self.change(|summed| {
            let Some(decision) = of(summed.transaction, application)? else {
                let id = quoted(application);
                return Ok(Err(CaseError::NotFound(say!("nothing was decided of {id}", id))));
            };
            let sql = format!("SELECT {OVERRIDE} FROM overrides WHERE application = ?1");
            let mut others = summed.transaction.prepare_cached(&sql)?;
            let others: Vec<Override> = others.query_map([application], read)?.collect::<Result<_, _>>()?;
            if let Some(other) = others.iter().find(|other| other.stands(now)) {
                let id = other.override_id;
                return Ok(Err(refused(say!("there is override {id} of this application already", id))));
            }
            let mut granted = match Override::of(&decision.decision, wish) {
                Ok(granted) => granted,
                Err(why) => return Ok(Err(refused(why))),
            };
            let body = json(&granted)?;
            insert!(summed.transaction, "INSERT INTO overrides", { application, at: now, body })?;
            granted.override_id = summed.transaction.last_insert_rowid();
            summed.inserted(&sums::OVERRIDES, [granted.override_id])?;
            let (who, amount) = (&granted.grants[0].who, format_cents(granted.cents));
            self.tell(
                summed,
                (who, now),
                (GRANT, &subject(&granted), &format!("{amount} {}", granted.reason)),
            )?;
            Ok(Ok(granted))
        })?
    }

    /// Has a second person grant an override.
    ///
    /// # Errors
    /// If there is none, or it is refused.
    pub fn confirm_override(&mut self, id: i64, act: &Act) -> Result<Override, CaseError> {
        self.change_override(id, act, CONFIRM, Override::grant)
    }

    /// Takes an override back.
    ///
    /// # Errors
    /// If there is none, or it is over.
    pub fn revoke_override(&mut self, id: i64, act: &Act) -> Result<Override, CaseError> {
        self.change_override(id, act, REVOKE, Override::revoke)
    }

    fn change_override(
        &mut self,
        id: i64,
        act: &Act,
        word: &str,
        change: impl FnOnce(&mut Override, Act) -> Result<(), String>,
    ) -> Result<Override, CaseError> {
        let who = name(&act.who).map_err(Refusal::Missing)?.to_owned();
        let now = act.at;
        self.change(|summed| {
            let Some(mut found) = find(summed.transaction, id)? else { return Ok(Err(none(id))) };
            if let Err(why) = change(&mut found, Act { who: who.clone(), at: now }) {
                return Ok(Err(refused(why)));
            }
            let body = json(&found)?;
            summed.change(&sums::OVERRIDES, [id], || {
                let sql = "UPDATE overrides SET body = :body WHERE override_id = :id";
                summed.transaction.execute(sql, named_params! { ":id": id, ":body": body })
            })?;
            self.tell(summed, (&who, now), (word, &subject(&found), ""))?;
            Ok(Ok(found))
        })?
    }

    /// Records that somebody released what an application reserves.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn released(&mut self, application: &str, now: i64) -> Result<(), StoreError> {
        let who = self.actor.who.clone();
        self.change(|summed| {
            self.tell(summed, (&who, now), (Action::ReleaseDecisions.word(), application, ""))
        })
    }

    /// Overrides, the newest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn overrides(&self, filter: &OverrideFilter) -> Result<Vec<Override>, StoreError> {
        let sql = format!(
            "SELECT {OVERRIDE} FROM overrides WHERE (:application IS NULL OR application = :application)
             AND (:before IS NULL OR override_id < :before) ORDER BY override_id DESC LIMIT :limit"
        );
        let (application, before, limit) = (&filter.application, filter.before, filter.limit.min(LIMIT_MAX));
        let values = named_params! { ":application": application, ":before": before, ":limit": limit };
        self.read(|c| c.prepare_cached(&sql)?.query_map(values, read)?.collect())
    }

    /// One override.
    ///
    /// # Errors
    /// If there is none.
    pub fn find_override(&self, id: i64) -> Result<Override, CaseError> {
        self.read(|c| find(c, id))?.ok_or_else(|| none(id))
    }
}

/// Writes which application passed by an override.
pub(crate) fn uses(transaction: &Transaction<'_>, id: i64, application: &str) -> rusqlite::Result<()> {
    let mut change = Change::of(transaction, &sums::OVERRIDES);
    change.before([id])?;
    let sql = "UPDATE overrides SET used_by = :application WHERE override_id = :id";
    transaction.prepare_cached(sql)?.execute(named_params! { ":id": id, ":application": application })?;
    change.after([id])?;
    change.end()
}

/// Deletes those granted before a time, in microseconds.
pub(crate) fn retire(transaction: &Transaction<'_>, before: i64) -> rusqlite::Result<()> {
    let mut old = transaction.prepare_cached("SELECT override_id FROM overrides WHERE at < ?1")?;
    let old: Vec<i64> = old.query_map([before], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if old.is_empty() {
        return Ok(());
    }
    let mut change = Change::of(transaction, &sums::OVERRIDES);
    old.iter().try_for_each(|id| change.before([id]))?;
    change.end()?;
    transaction.execute("DELETE FROM overrides WHERE at < ?1", [before]).map(|_| ())
}

/// What people do with overrides, in the audit log.
const GRANT: &str = Action::GrantOverrides.word();
const CONFIRM: &str = "overrides.confirm";
const REVOKE: &str = "overrides.revoke";

/// An override in the audit log: its number and its application.
fn subject(of: &Override) -> String {
    format!("{} {}", of.override_id, of.application)
}

fn refused(why: String) -> CaseError {
    Refusal::State(why).into()
}

fn none(id: i64) -> CaseError {
    CaseError::NotFound(say!("there is no override {id}", id))
}

fn find(connection: &Connection, id: i64) -> rusqlite::Result<Option<Override>> {
    let sql = format!("SELECT {OVERRIDE} FROM overrides WHERE override_id = ?1");
    connection.prepare_cached(&sql)?.query_row([id], read).optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Override> {
    let body: Override = from_json(row, "body")?;
    Ok(Override { override_id: row.get("override_id")?, used_by: row.get("used_by")?, ..body })
}
