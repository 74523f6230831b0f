//! 规则审批: which sets of rules were proposed, and which are approved. Each change is recorded with it in the audit log.

mod adopted;
mod matters;

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, Row, named_params, types::ValueRef};
use serde_json::Value;

use super::{
    AccountError, Cases, Store, StoreError,
    alerts::from_json,
    approvals::{self, Judgement},
    audit::{self, AuditedAction, DONE},
    checksums::{self, Summed},
    named::insert,
};
pub(super) use matters::follow;
use matters::{KINDS, in_force, matter_of, wish};

use crate::{
    access::Actor,
    approval::{Kind, Matter, MatterState, Office, Person, Verb},
    event::Instant,
    rule::manifest::RuleManifest,
    say,
    text::quoted,
};

/// A set of rules that was proposed.
#[derive(Debug, Clone)]
pub struct ProposedSet {
    /// The digest of its manifest.
    pub digest: String,
    /// What it is made of.
    pub manifest: RuleManifest,
    pub(crate) reason: String,
    pub(crate) proposed_at: Instant,
    pub(crate) proposed_by: String,
    /// When it was approved, and by whom.
    pub approved: Option<(Instant, String)>,
    /// The constants that it changes beside the configuration; `None` if it does not come from the rule lab.
    pub params: Option<LabParams>,
}

/// Constants of rules that are others than their files and the configuration say, by rule and name.
pub type LabParams = BTreeMap<String, BTreeMap<String, Value>>;

/// The sets of rules of a state directory.
#[derive(Debug)]
pub struct RuleSets {
    cases: Cases,
    office: Office,
}

/// Proposals that wait for somebody.
const WAITING_MAX: i64 = 200;
/// So much of a digest names it.
const PREFIX_MIN: usize = 8;

const SET: &str = "digest, manifest, reason, proposed_at, proposed_by, approved_at, approved_by, params
     FROM rule_sets LEFT JOIN rule_params USING (digest)";

impl RuleSets {
    /// Opens them for changes.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { cases: Cases::open(dir)?, office: Office::default() })
    }

    /// The same; a state that is not there yet, or of an older version, is made one of this version: rules may have to be
    /// approved before the first start.
    ///
    /// # Errors
    /// If it cannot be made, or is of a newer version.
    pub fn open_or_make(dir: &Path) -> Result<Self, StoreError> {
        match Self::open(dir) {
            Err(StoreError::Missing(_) | StoreError::Older { .. }) => {
                drop(Store::open(dir)?);
                Self::open(dir)
            }
            opened => opened,
        }
    }

    /// Opens them for reading.
    ///
    /// # Errors
    /// If there is no state, or it is of another version.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { cases: Cases::open_read_only(dir)?, office: Office::default() })
    }

    /// Says who has to approve them, and by what that is signed.
    #[must_use]
    pub fn judged_by(self, office: Office) -> Self {
        Self { office, ..self }
    }

    /// All of them, the newest proposal first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn all(&self) -> Result<Vec<ProposedSet>, StoreError> {
        let sql = format!("SELECT {SET} ORDER BY proposed_at DESC, digest");
        self.cases.read(|c| c.prepare_cached(&sql)?.query_map([], set)?.collect())
    }

    /// The one with this digest, or with this beginning of it.
    ///
    /// # Errors
    /// If there is none or several, or the database cannot be read.
    pub fn one(&self, prefix: &str) -> Result<ProposedSet, AccountError> {
        self.cases.read(|c| find(c, prefix))?.map_err(AccountError::Refused)
    }

    /// The one with this digest, if there is one.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn find(&self, digest: &str) -> Result<Option<ProposedSet>, StoreError> {
        self.cases.read(|c| Ok(matching(c, digest)?.pop()))
    }

    /// Proposes a set, and with which constants it goes beyond the configuration, if it comes from the rule lab.
    ///
    /// # Errors
    /// If it was proposed already, or too many wait.
    pub fn propose(
        &mut self,
        set: (&RuleManifest, Option<&LabParams>),
        reason: &str,
        by: &Actor,
        now: Instant,
    ) -> Result<ProposedSet, AccountError> {
        self.propose_as((Kind::Rules, Value::Null), set, reason, by, now)
    }

    /// The same, for what people call it: rules, or an exception with what it says.
    ///
    /// # Errors
    /// As [`Self::propose`].
    pub fn propose_as(
        &mut self,
        (kind, what): (Kind, Value),
        (manifest, params): (&RuleManifest, Option<&LabParams>),
        reason: &str,
        by: &Actor,
        now: Instant,
    ) -> Result<ProposedSet, AccountError> {
        let digest = manifest.digest();
        let reason = &approvals::reason(reason).map_err(AccountError::Refused)?;
        let office = std::mem::take(&mut self.office);
        let proposed = self.act(&digest, |summed| {
            let wish = wish((kind, what), (&digest, params), reason);
            let proposer = Person { who: by.who.clone(), roles: Vec::new() };
            let matter =
                Matter::propose(approvals::next(summed.transaction)?, wish, (&proposer, now), &office);
            let matter = match matter {
                Ok(matter) => matter,
                Err(why) => return Ok(Err(why)),
            };
            let known = matching(summed.transaction, &digest)?.pop();
            if let Some(known) = known {
                let before = approvals::latest(summed.transaction, &KINDS, &digest)?;
                let is_over = |m: &Matter| matches!(m.state, MatterState::Refused | MatterState::Withdrawn);
                if known.approved.is_some() || !before.as_ref().is_some_and(is_over) {
                    let who = quoted(&known.proposed_by);
                    return Ok(Err(say!("these rules are proposed already, by {who}", who)));
                }
                let sql = "UPDATE rule_sets SET reason = :reason, proposed_at = :at, proposed_by = :who
                           WHERE digest = :digest";
                let values =
                    named_params! { ":digest": digest, ":reason": reason, ":at": now, ":who": by.who };
                summed
                    .change(&checksums::RULE_SETS, [&digest], || summed.transaction.execute(sql, values))?;
                approvals::put(summed, &matter)?;
                return tell(summed, now, by, ("rules.propose", &digest, reason)).map(Ok);
            }
            let sql = "SELECT count(*) FROM rule_sets WHERE approved_at IS NULL";
            let waiting: i64 = summed.transaction.query_row(sql, [], |row| row.get(0))?;
            if waiting >= WAITING_MAX {
                return Ok(Err(say!(
                    "{waiting} proposals wait to be approved, and there is room for no more",
                    waiting
                )));
            }
            insert!(summed.transaction, "INSERT INTO rule_sets", {
                digest, manifest: manifest.text(), reason, proposed_at: now, proposed_by: by.who,
            })?;
            summed.inserted(&checksums::RULE_SETS, [&digest])?;
            if let Some(params) = params {
                let params = serde_json::to_string(params).unwrap_or_default();
                insert!(summed.transaction, "INSERT INTO rule_params", { digest, params })?;
                summed.inserted(&checksums::RULE_PARAMS, [&digest])?;
            }
            approvals::put(summed, &matter)?;
            tell(summed, now, by, ("rules.propose", &digest, reason)).map(Ok)
        });
        self.office = office;
        proposed
    }

    /// Approves a set: it may be put into force once all who have to have approved it.
    ///
    /// # Errors
    /// If there is none, it is approved already, or who approves it proposed it.
    pub fn approve(&mut self, prefix: &str, by: &Actor, now: Instant) -> Result<ProposedSet, AccountError> {
        self.approve_as(prefix, by, &Person::anybody(&by.who), now)
    }

    /// The same, by somebody with these roles.
    ///
    /// # Errors
    /// As [`Self::approve`].
    pub fn approve_as(
        &mut self,
        prefix: &str,
        by: &Actor,
        person: &Person,
        now: Instant,
    ) -> Result<ProposedSet, AccountError> {
        let known = self.one(prefix)?;
        let office = std::mem::take(&mut self.office);
        let approved = self.act(&known.digest, |summed| {
            let known = match find(summed.transaction, &known.digest)? {
                Ok(known) => known,
                Err(why) => return Ok(Err(why)),
            };
            if known.proposed_by == by.who {
                return Ok(Err(say!("nobody approves what they themselves proposed; ask another approver")));
            }
            if let Some((_, who)) = known.approved {
                return Ok(Err(say!("these rules are approved already, by {who}", who = quoted(&who))));
            }
            let matter = match matter_of(summed, &known, &office)? {
                Ok(matter) => matter,
                Err(why) => return Ok(Err(why)),
            };
            let judgement = Judgement { verb: Verb::Approve, person, why: "", seen: None };
            Ok(approvals::act(summed, (matter, by), &judgement, now, &office)?.map(|_| ()))
        });
        self.office = office;
        approved
    }

    /// Takes an approval back: the set is put into force no more. What is in force stays until then.
    ///
    /// # Errors
    /// If there is none, or it is not approved.
    pub fn withdraw(&mut self, prefix: &str, by: &Actor, now: Instant) -> Result<ProposedSet, AccountError> {
        self.withdraw_as(prefix, by, &Person::anybody(&by.who), now)
    }

    /// The same, by somebody with these roles.
    ///
    /// # Errors
    /// As [`Self::withdraw`].
    pub fn withdraw_as(
        &mut self,
        prefix: &str,
        by: &Actor,
        person: &Person,
        now: Instant,
    ) -> Result<ProposedSet, AccountError> {
        let known = self.one(prefix)?;
        let office = std::mem::take(&mut self.office);
        let withdrawn = self.act(&known.digest, |summed| {
            let matter = approvals::latest(summed.transaction, &KINDS, &known.digest)?;
            match matter.filter(Matter::was_approved) {
                Some(matter) => {
                    let judgement = Judgement { verb: Verb::Withdraw, person, why: "", seen: None };
                    Ok(approvals::act(summed, (matter, by), &judgement, now, &office)?.map(|_| ()))
                }
                // It was approved by a version that knew no matters, or is not.
                None if judge(summed, &known.digest, None)? == 0 => {
                    Ok(Err(say!("these rules are not approved")))
                }
                None => tell(summed, now, by, ("rules.withdraw", &known.digest, &known.reason)).map(Ok),
            }
        });
        self.office = office;
        withdrawn
    }

    /// Notes that an approved set without constants of its own is in force.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn took_effect(&self, digest: &str, now: Instant) -> Result<(), StoreError> {
        self.cases.change(|summed| in_force(summed, digest, now))
    }

    /// Does `work` in a transaction; what it refuses has changed nothing. What is there afterwards.
    fn act(
        &mut self,
        digest: &str,
        work: impl FnOnce(&Summed<'_>) -> rusqlite::Result<Result<(), String>>,
    ) -> Result<ProposedSet, AccountError> {
        self.cases.change(work)?.map_err(AccountError::Refused)?;
        self.one(digest)
    }
}

/// Approves a set, or takes that back; whether that changed something.
fn judge(summed: &Summed<'_>, digest: &str, approved: Option<(Instant, &str)>) -> rusqlite::Result<usize> {
    let sql = "UPDATE rule_sets SET approved_at = :at, approved_by = :who
               WHERE digest = :digest AND (approved_at IS NULL) = (:at IS NOT NULL)";
    let (at, who) = approved.unzip();
    let values = named_params! { ":digest": digest, ":at": at, ":who": who };
    summed.change(&checksums::RULE_SETS, [digest], || summed.transaction.execute(sql, values))
}

fn tell(
    summed: &Summed<'_>,
    now: Instant,
    by: &Actor,
    (action, subject, detail): (&str, &str, &str),
) -> rusqlite::Result<()> {
    audit::record(summed, now, by, AuditedAction { action, subject, result: DONE, detail })
}

fn find(connection: &Connection, prefix: &str) -> rusqlite::Result<Result<ProposedSet, String>> {
    let mut found = if prefix.len() < PREFIX_MIN { Vec::new() } else { matching(connection, prefix)? };
    Ok(match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(say!("several sets of rules begin with {digest}", digest = quoted(prefix))),
        (None, _) => Err(say!(
            "no set of rules with the digest {digest} was proposed; `fiscwatch rules status` shows those there are, and their first {n} digits name them",
            digest = quoted(prefix),
            n = PREFIX_MIN
        )),
    })
}

fn matching(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<ProposedSet>> {
    // A digest has digits and small letters only.
    let sql = format!("SELECT {SET} WHERE digest >= ?1 AND digest < ?1 || 'z' LIMIT 2");
    connection.prepare_cached(&sql)?.query_map([prefix], set)?.collect()
}

fn set(row: &Row<'_>) -> rusqlite::Result<ProposedSet> {
    let params = match row.get_ref("params")? {
        ValueRef::Null => None,
        _ => Some(from_json(row, "params")?),
    };
    let (at, who): (Option<Instant>, Option<String>) = (row.get("approved_at")?, row.get("approved_by")?);
    Ok(ProposedSet {
        digest: row.get("digest")?,
        manifest: from_json(row, "manifest")?,
        reason: row.get("reason")?,
        proposed_at: row.get("proposed_at")?,
        proposed_by: row.get("proposed_by")?,
        approved: at.zip(who),
        params,
    })
}
