//! 审批 in the store: every matter with what was done with it. An act, what it brings into force in other tables, and its record
//! in the audit log are one transaction.

mod listed;

use std::collections::BTreeMap;

pub use listed::{MatterFilter, MatterPlace, MatterSort, MatterVisibility};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::{
    CaseError, Cases, StoreError,
    alerts::{from_json, json},
    audit::{self, AuditedAction, DONE},
    checksums::{self, SumUpdate, Summed},
    named::insert,
    overrides, rule_sets,
};
use crate::{
    access::Actor,
    alert::desk::Refusal,
    approval::{
        Kind, Matter, MatterState, NewMatter, Office, Person, Verb, check_signed, rows::ListAmendment,
    },
    event::Instant,
    say,
};

const MATTER: &str = "body FROM approvals";
/// Matters that wait for somebody.
const WAITING_MAX: i64 = 500;
/// The most characters of a reason.
const REASON_MAX: usize = 500;

/// What somebody does with a matter.
#[derive(Debug, Clone)]
pub struct Judgement<'j> {
    pub(crate) verb: Verb,
    /// Who, with which roles.
    pub person: &'j Person,
    pub(crate) why: &'j str,
    /// The digest of what they have seen.
    pub seen: Option<&'j str>,
}

impl Cases {
    /// One matter.
    ///
    /// # Errors
    /// If there is none.
    pub fn matter(&self, id: i64) -> Result<Matter, CaseError> {
        self.read(|c| find(c, id))?.ok_or_else(|| no_matter(id))
    }

    /// The latest matter about something.
    ///
    /// # Errors
    /// If there is none.
    pub fn matter_about(&self, kind: Kind, subject: &str) -> Result<Matter, CaseError> {
        self.read(|c| latest(c, &[kind], subject))?.ok_or_else(|| no_matter(0))
    }

    /// Proposes something that comes into force by itself once it is approved.
    ///
    /// # Errors
    /// If it waits already, too many wait, or the reason is missing.
    pub fn propose_matter(
        &mut self,
        wish: NewMatter,
        (person, now): (&Person, Instant),
        office: &Office,
    ) -> Result<Matter, CaseError> {
        let wish = NewMatter { reason: reason(&wish.reason).map_err(missing_words)?, ..wish };
        let actor = self.actor.clone();
        self.change(|summed| {
            let sql =
                format!("SELECT {MATTER} WHERE kind = :kind AND subject = :subject AND state = 'waiting'");
            let mut same = summed.transaction.prepare_cached(&sql)?;
            let values = named_params! { ":kind": wish.kind.word(), ":subject": wish.subject };
            let same: Vec<Matter> = same.query_map(values, read)?.collect::<Result<_, _>>()?;
            if let Some(same) = same.iter().find(|same| same.content == wish.content) {
                let id = same.id;
                return Ok(Err(refused(say!("the same is proposed already, as approval {id}", id))));
            }
            if let Err(why) = has_room(summed.transaction)? {
                return Ok(Err(refused(why)));
            }
            match Matter::propose(next(summed.transaction)?, wish, (person, now), office) {
                Err(why) => Ok(Err(refused(why))),
                Ok(matter) => {
                    put(summed, &matter)?;
                    tell(summed, (&actor, now), &matter, (PROPOSE, &matter.reason))?;
                    Ok(Ok(matter))
                }
            }
        })?
    }

    /// Somebody approves, refuses or takes back a matter.
    ///
    /// # Errors
    /// If there is none, or it is refused.
    pub fn judge_matter(
        &mut self,
        id: i64,
        judgement: &Judgement<'_>,
        now: Instant,
        office: &Office,
    ) -> Result<Matter, CaseError> {
        let actor = self.actor.clone();
        self.change(|summed| {
            let Some(matter) = find(summed.transaction, id)? else { return Ok(Err(no_matter(id))) };
            Ok(act(summed, (matter, &actor), judgement, now, office)?.map_err(refused))
        })?
    }

    /// Matters that are approved and come into force by themselves, the oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn matters_to_carry_out(&self) -> Result<Vec<Matter>, StoreError> {
        let sql = format!(
            "SELECT {MATTER} WHERE state = :approved AND kind IN (:budget, :list) ORDER BY approval_id LIMIT 100"
        );
        let values = named_params! {
            ":approved": MatterState::Approved.word(), ":budget": Kind::Budget.word(), ":list": Kind::List.word(),
        };
        self.read(|c| c.prepare_cached(&sql)?.query_map(values, read)?.collect())
    }

    /// Notes what became of an approved matter. One that has ended is left as it is.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn matter_ended(&mut self, id: i64, ok: bool, outcome: &str, now: Instant) -> Result<(), StoreError> {
        self.change(|summed| {
            let found = find(summed.transaction, id)?.filter(|matter| matter.state == MatterState::Approved);
            let Some(mut matter) = found else { return Ok(()) };
            matter.end(ok, now, outcome);
            keep(summed, &matter)?;
            let word = if ok { IN_FORCE } else { FAILED };
            tell(summed, (&Actor::daemon(), now), &matter, (word, outcome))
        })
    }

    /// The rows of lists that people agreed on, by list, the oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn agreed_rows(&self) -> Result<BTreeMap<String, Vec<ListAmendment>>, StoreError> {
        let sql = format!("SELECT {MATTER} WHERE kind = 'list' AND state = 'in_force'");
        let mut matters: Vec<Matter> =
            self.read(|c| c.prepare_cached(&sql)?.query_map([], read)?.collect())?;
        matters.sort_by_key(|matter| (matter.ended_at, matter.id));
        let mut agreed: BTreeMap<String, Vec<ListAmendment>> = BTreeMap::new();
        for matter in matters {
            agreed.entry(matter.subject.clone()).or_default().extend(ListAmendment::of(&matter.content));
        }
        Ok(agreed)
    }
}

/// Does something with a matter, and what it brings in other tables.
pub(super) fn act(
    summed: &Summed<'_>,
    (mut matter, actor): (Matter, &Actor),
    judgement: &Judgement<'_>,
    now: Instant,
    office: &Office,
) -> rusqlite::Result<Result<Matter, String>> {
    let Judgement { verb, person, why, seen } = *judgement;
    if why.chars().count() > REASON_MAX {
        return Ok(Err(say!("a reason has 1 to {most} characters", most = REASON_MAX)));
    }
    // What stands there must be what was signed, before anybody puts their name under it. Only tests sign nothing.
    if office.key.is_some()
        && let Err(why) = check_signed(&matter, None)
    {
        let id = matter.id;
        return Ok(Err(say!("approval {id} was changed in the database: {why}", id, why)));
    }
    let done = match verb {
        Verb::Approve => matter.approve((person, now, why), seen, office).map(|_| ()),
        Verb::Refuse => matter.refuse((person, now, why), seen, office),
        Verb::Withdraw => matter.withdraw((person, now, why), office),
        Verb::Propose => Err(say!("it is proposed already")),
    };
    if let Err(why) = done {
        return Ok(Err(why));
    }
    let beside = match matter.kind {
        Kind::Override => overrides::follow(summed, &matter, (verb, person, now))?,
        Kind::Rules | Kind::Exception => rule_sets::follow(summed, &matter, (verb, person, now)).map(Ok)?,
        Kind::Budget | Kind::List => Ok(()),
    };
    if let Err(why) = beside {
        return Ok(Err(why));
    }
    keep(summed, &matter)?;
    let detail = if why.is_empty() { matter.reason.clone() } else { why.to_owned() };
    tell(summed, (actor, now), &matter, (word(matter.kind, verb), &detail))?;
    Ok(Ok(matter))
}

/// What is wrong with which matter; for a table that is not what its sum says.
pub(super) fn faults(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT approval_id, kind, subject, state, body FROM approvals ORDER BY approval_id";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut faults = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get("approval_id")?;
        let fault = match read(row) {
            Err(_) => Some(say!("it cannot be read")),
            Ok(matter) => {
                let columns: [String; 3] = [row.get("kind")?, row.get("subject")?, row.get("state")?];
                let own = [matter.kind.word(), &matter.subject, matter.state.word()];
                let differs = matter.id != id || columns.iter().zip(own).any(|(found, own)| found != own);
                if differs {
                    Some(say!("its columns are not what it says"))
                } else {
                    check_signed(&matter, None).err()
                }
            }
        };
        faults.extend(fault.map(|why| say!("approval {id} was changed in the database: {why}", id, why)));
    }
    Ok(faults)
}

/// What acts are called in the audit log: those with rules and overrides have names of their own.
fn word(kind: Kind, verb: Verb) -> &'static str {
    match (kind, verb) {
        (Kind::Rules | Kind::Exception, Verb::Approve) => "rules.approve",
        (Kind::Rules | Kind::Exception, Verb::Refuse) => "rules.refuse",
        (Kind::Rules | Kind::Exception, Verb::Withdraw) => "rules.withdraw",
        (Kind::Override, Verb::Approve) => "overrides.confirm",
        (Kind::Override, Verb::Refuse | Verb::Withdraw) => "overrides.revoke",
        (_, Verb::Propose) => PROPOSE,
        (_, Verb::Approve) => "approvals.approve",
        (_, Verb::Refuse) => "approvals.refuse",
        (_, Verb::Withdraw) => "approvals.withdraw",
    }
}

const PROPOSE: &str = "approvals.propose";
const IN_FORCE: &str = "approvals.in_force";
const FAILED: &str = "approvals.failed";

pub(super) fn tell(
    summed: &Summed<'_>,
    (actor, now): (&Actor, Instant),
    matter: &Matter,
    (action, detail): (&str, &str),
) -> rusqlite::Result<()> {
    let subject = match matter.kind {
        Kind::Rules | Kind::Exception => matter.subject.clone(),
        Kind::Override => overrides::named(matter),
        Kind::Budget | Kind::List => format!("{} {} {}", matter.id, matter.kind.word(), matter.subject),
    };
    audit::record(summed, now, actor, AuditedAction { action, subject: &subject, result: DONE, detail })
}

/// The number of the next matter.
pub(super) fn next(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'approvals'), 0) + 1";
    connection.query_row(sql, [], |row| row.get(0))
}

/// The number of the next change of a matter, which readers of what changes go by.
fn next_change(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce(max(changed), 0) + 1 FROM approvals";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

/// Matters that changed after a change, each with its own, so many at most.
pub(super) fn changed_after(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> rusqlite::Result<Vec<(i64, Matter)>> {
    let sql = format!("SELECT changed, {MATTER} WHERE changed > :after ORDER BY changed LIMIT :limit");
    let row = |row: &Row<'_>| Ok((row.get(0)?, read(row)?));
    let values = named_params! { ":after": after, ":limit": limit };
    connection.prepare_cached(&sql)?.query_map(values, row)?.collect()
}

/// Stores a new matter.
pub(super) fn put(summed: &Summed<'_>, matter: &Matter) -> rusqlite::Result<()> {
    let (approval_id, body) = (matter.id, json(matter)?);
    insert!(summed.transaction, "INSERT INTO approvals", {
        approval_id, kind: matter.kind.word(), subject: matter.subject, state: matter.state.word(),
        at: matter.proposed_at, changed: next_change(summed.transaction)?, body,
    })?;
    summed.inserted(&checksums::APPROVALS, [approval_id])
}

/// Stores what became of a matter.
pub(super) fn keep(summed: &Summed<'_>, matter: &Matter) -> rusqlite::Result<()> {
    let (body, changed) = (json(matter)?, next_change(summed.transaction)?);
    summed.change(&checksums::APPROVALS, [matter.id], || {
        let sql =
            "UPDATE approvals SET state = :state, changed = :changed, body = :body WHERE approval_id = :id";
        let state = matter.state.word();
        let values = named_params! { ":id": matter.id, ":state": state, ":changed": changed, ":body": body };
        summed.transaction.execute(sql, values)
    })?;
    Ok(())
}

/// The latest matter about something.
pub(super) fn latest(
    connection: &Connection,
    kinds: &[Kind],
    subject: &str,
) -> rusqlite::Result<Option<Matter>> {
    let sql = format!(
        "SELECT {MATTER} WHERE kind = :kind AND subject = :subject ORDER BY approval_id DESC LIMIT 1"
    );
    let mut found: Option<Matter> = None;
    for kind in kinds {
        let values = named_params! { ":kind": kind.word(), ":subject": subject };
        let one = connection.prepare_cached(&sql)?.query_row(values, read).optional()?;
        found = one.filter(|one| found.as_ref().is_none_or(|known| known.id < one.id)).or(found);
    }
    Ok(found)
}

/// Notes in the commit that an override was used.
pub(super) fn used(
    transaction: &Connection,
    id: i64,
    application: &str,
    now: Instant,
) -> rusqlite::Result<()> {
    let Some(mut matter) = latest(transaction, &[Kind::Override], &id.to_string())? else { return Ok(()) };
    matter.end(true, now, application);
    let (body, changed) = (json(&matter)?, next_change(transaction)?);
    let mut change = SumUpdate::of(transaction, &checksums::APPROVALS);
    change.before([matter.id])?;
    let sql =
        "UPDATE approvals SET state = 'in_force', changed = :changed, body = :body WHERE approval_id = :id";
    let values = named_params! { ":id": matter.id, ":changed": changed, ":body": body };
    transaction.prepare_cached(sql)?.execute(values)?;
    change.after([matter.id])?;
    change.end()
}

/// Whether more can wait.
pub(super) fn has_room(connection: &Connection) -> rusqlite::Result<Result<(), String>> {
    let sql = "SELECT count(*) FROM approvals WHERE state = 'waiting'";
    let waiting: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    let full = || say!("{waiting} proposals wait to be approved, and there is room for no more", waiting);
    Ok(if waiting >= WAITING_MAX { Err(full()) } else { Ok(()) })
}

/// A reason, if it is one.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    match (1..=REASON_MAX).contains(&text.chars().count()) {
        true => Ok(text.to_owned()),
        false => Err(say!("a reason has 1 to {most} characters", most = REASON_MAX)),
    }
}

fn missing_words(why: String) -> CaseError {
    Refusal::Missing(why).into()
}

fn refused(why: String) -> CaseError {
    Refusal::State(why).into()
}

/// That there is no such matter.
#[must_use]
pub fn no_matter(id: i64) -> CaseError {
    CaseError::NotFound(say!(
        "there is no approval {id}; `fiscwatch approvals list` shows those there are",
        id
    ))
}

fn find(connection: &Connection, id: i64) -> rusqlite::Result<Option<Matter>> {
    let sql = format!("SELECT {MATTER} WHERE approval_id = ?1");
    connection.prepare_cached(&sql)?.query_row([id], read).optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Matter> {
    from_json(row, "body")
}
