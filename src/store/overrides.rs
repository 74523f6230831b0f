//! 特批 in the store: granted and taken back by people, used by the commit of the application that passes.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params};

use super::{
    CaseError, Cases, StoreError,
    alerts::{from_json, json},
    approvals::{self, Judgement},
    checksums::{self, SumUpdate, Summed},
    decisions::of,
    named::insert,
    query::LIMIT_MAX,
};
use crate::{
    access::Action,
    alert::desk::{Refusal, name, reason},
    approval::{self, Kind, Matter, Office, Person, Verb},
    decision::{NewOverride, Override, OverrideAct},
    event::Instant,
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
    /// Grants an override of what was decided of an application, or asks others to grant it: a matter to be approved, which
    /// whoever asked for the application has proposed, or who asks now.
    ///
    /// # Errors
    /// If nothing was decided of it, or the override is refused.
    pub fn grant_override(
        &mut self,
        application: &str,
        wish: &NewOverride,
        (person, office): (&Person, &Office),
    ) -> Result<Override, CaseError> {
        let missing = Refusal::Missing;
        let who = name(&wish.by.who).map_err(missing)?.to_owned();
        let why = reason(&wish.reason).map_err(missing)?;
        if why.is_empty() {
            return Err(missing(say!("say why: an override needs a reason")).into());
        }
        let now = wish.by.at;
        let wish = NewOverride { by: OverrideAct { who, at: now }, reason: why, ..*wish };
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
            let wanted = Override::of(&decision.decision, &wish).and_then(|mut wanted| {
                wanted.needed = office.levels.of(Kind::Override, Some(wanted.cents)).len();
                wanted.override_id = next(summed.transaction).map_err(|error| error.to_string())?;
                let matter = proposed(approvals::next(summed.transaction), &wanted, (&wish, person), office)?;
                if wish.is_granted {
                    wanted.grant(wish.by.clone())?;
                }
                Ok((wanted, matter))
            });
            let (wanted, matter) = match wanted {
                Ok(wanted) => wanted,
                Err(why) => return Ok(Err(refused(why))),
            };
            let (override_id, body) = (wanted.override_id, json(&wanted)?);
            insert!(summed.transaction, "INSERT INTO overrides", { override_id, application, at: now, body })?;
            summed.inserted(&checksums::OVERRIDES, [override_id])?;
            approvals::put(summed, &matter)?;
            let (who, amount) = (&wish.by.who, wanted.cents.to_string());
            let word = if wish.is_granted { GRANT } else { PROPOSE };
            self.tell(summed, (who, now), (word, &subject(&wanted), &format!("{amount} {}", wanted.reason)))?;
            Ok(Ok(wanted))
        })?
    }

    /// Has a second person grant an override.
    ///
    /// # Errors
    /// If there is none, or it is refused.
    pub fn confirm_override(
        &mut self,
        id: i64,
        (person, now): (&Person, Instant),
        office: &Office,
    ) -> Result<Override, CaseError> {
        self.judge_override(id, (Verb::Approve, person, now), office)
    }

    /// Takes an override back.
    ///
    /// # Errors
    /// If there is none, or it is over.
    pub fn revoke_override(
        &mut self,
        id: i64,
        (person, now): (&Person, Instant),
        office: &Office,
    ) -> Result<Override, CaseError> {
        self.judge_override(id, (Verb::Withdraw, person, now), office)
    }

    fn judge_override(
        &mut self,
        id: i64,
        (verb, person, now): (Verb, &Person, Instant),
        office: &Office,
    ) -> Result<Override, CaseError> {
        name(&person.who).map_err(Refusal::Missing)?;
        let actor = self.actor.clone();
        self.change(|summed| {
            let Some(found) = find(summed.transaction, id)? else { return Ok(Err(none(id))) };
            // What does not go by the override itself is told as that.
            if let Err(why) = changed(found.clone(), (verb, person, now)) {
                return Ok(Err(refused(why)));
            }
            let matter = match approvals::latest(summed.transaction, &[Kind::Override], &id.to_string())? {
                Some(matter) => matter,
                None => match of_before(approvals::next(summed.transaction)?, &found, office) {
                    Ok(matter) => {
                        approvals::put(summed, &matter)?;
                        matter
                    }
                    Err(why) => return Ok(Err(refused(why))),
                },
            };
            let judgement = Judgement { verb, person, why: "", seen: None };
            match approvals::act(summed, (matter, &actor), &judgement, now, office)? {
                Ok(_) => Ok(find(summed.transaction, id)?.ok_or_else(|| none(id))),
                Err(why) => Ok(Err(refused(why))),
            }
        })?
    }

    /// Records that somebody released what an application reserves.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn released(&mut self, application: &str, now: Instant) -> Result<(), StoreError> {
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

/// The number of the next override.
fn next(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'overrides'), 0) + 1";
    connection.query_row(sql, [], |row| row.get(0))
}

/// The matter of a new override.
fn proposed(
    id: rusqlite::Result<i64>,
    of: &Override,
    (wish, person): (&NewOverride, &Person),
    office: &Office,
) -> Result<Matter, String> {
    let id = id.map_err(|error| error.to_string())?;
    // Whoever grants it answers for what somebody else asked for.
    let asker = Person { who: of.asked_by.clone(), roles: Vec::new() };
    let by = if wish.is_granted { &asker } else { person };
    let now = wish.by.at;
    let mut matter = Matter::propose(id, matter_wish(of), (by, now), office)?;
    if wish.is_granted {
        matter.approve((person, now, ""), None, office)?;
    }
    Ok(matter)
}

/// The matter of an override of a version that knew none.
fn of_before(id: i64, of: &Override, office: &Office) -> Result<Matter, String> {
    let asker = Person { who: of.asked_by.clone(), roles: Vec::new() };
    let began = of.grants.first().map_or(Instant::EPOCH, |act| act.at);
    let mut matter = Matter::propose(id, matter_wish(of), (&asker, began), office)?;
    for act in &of.grants {
        matter.approve((&Person::anybody(&act.who), act.at, ""), None, office)?;
    }
    Ok(matter)
}

fn matter_wish(of: &Override) -> approval::NewMatter {
    approval::NewMatter {
        kind: Kind::Override,
        subject: of.override_id.to_string(),
        content: serde_json::json!({
            "override_id": of.override_id,
            "application": of.application,
            "budget_line_id": of.budget_line_id,
            // What it is about names people; its digest says the same to who has the application.
            "about": blake3::hash(of.subject.as_bytes()).to_hex().to_string(),
            "rules": of.rules,
            "asked_by": of.asked_by,
        }),
        cents: Some(of.cents),
        reason: of.reason.clone(),
        expires_at: Some(of.expires_at),
    }
}

/// An override after somebody did something with it.
fn changed(mut of: Override, (verb, person, now): (Verb, &Person, Instant)) -> Result<Override, String> {
    let act = OverrideAct { who: person.who.clone(), at: now };
    match verb {
        Verb::Approve => of.grant(act)?,
        Verb::Refuse | Verb::Withdraw => of.revoke(act)?,
        Verb::Propose => {}
    }
    Ok(of)
}

/// Has an override follow what was done with its matter.
pub(super) fn follow(
    summed: &Summed<'_>,
    matter: &Matter,
    what: (Verb, &Person, Instant),
) -> rusqlite::Result<Result<(), String>> {
    let found = match matter.subject.parse() {
        Ok(id) => find(summed.transaction, id)?,
        Err(_) => None,
    };
    let Some(found) = found else { return Ok(Err(say!("its override no longer exists"))) };
    let changed = match changed(found, what) {
        Ok(changed) => changed,
        Err(why) => return Ok(Err(why)),
    };
    let (id, body) = (changed.override_id, json(&changed)?);
    summed.change(&checksums::OVERRIDES, [id], || {
        let sql = "UPDATE overrides SET body = :body WHERE override_id = :id";
        summed.transaction.execute(sql, named_params! { ":id": id, ":body": body })
    })?;
    Ok(Ok(()))
}

/// The matter of an override in the audit log.
pub(super) fn named(matter: &Matter) -> String {
    format!("{} {}", matter.subject, matter.content["application"].as_str().unwrap_or_default())
}

/// Writes which application passed by an override.
pub(crate) fn uses(
    transaction: &Transaction<'_>,
    id: i64,
    (application, now): (&str, Instant),
) -> rusqlite::Result<()> {
    let mut change = SumUpdate::of(transaction, &checksums::OVERRIDES);
    change.before([id])?;
    let sql = "UPDATE overrides SET used_by = :application WHERE override_id = :id";
    transaction.prepare_cached(sql)?.execute(named_params! { ":id": id, ":application": application })?;
    change.after([id])?;
    change.end()?;
    approvals::used(transaction, id, application, now)
}

/// Deletes those granted before an instant.
pub(crate) fn retire(transaction: &Transaction<'_>, before: Instant) -> rusqlite::Result<()> {
    let mut old = transaction.prepare_cached("SELECT override_id FROM overrides WHERE at < ?1")?;
    let old: Vec<i64> = old.query_map([before], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if old.is_empty() {
        return Ok(());
    }
    let mut change = SumUpdate::of(transaction, &checksums::OVERRIDES);
    old.iter().try_for_each(|id| change.before([id]))?;
    change.end()?;
    transaction.execute("DELETE FROM overrides WHERE at < ?1", [before]).map(|_| ())
}

/// What people do with overrides, in the audit log.
const GRANT: &str = Action::GrantOverrides.word();
const PROPOSE: &str = "overrides.propose";

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
