//! 规则审批: which sets of rules were proposed, and which are approved. Each change is recorded with it in the audit log.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde_json::Value;

use super::{
    AccountError, Cases, Store, StoreError,
    audit::{self, DONE, Deed},
    named::insert,
    sums::{self, Summed},
};
use crate::{access::Actor, rule::manifest::Manifest, say, text::quoted};

/// A set of rules that was proposed.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// The digest of its manifest.
    pub digest: String,
    /// What it is made of.
    pub manifest: Manifest,
    /// Why.
    pub reason: String,
    /// When, in microseconds.
    pub proposed_at: i64,
    /// By whom.
    pub proposed_by: String,
    /// When it was approved, and by whom.
    pub approved: Option<(i64, String)>,
    /// The constants that it changes beside the configuration; `None` if it does not come from the rule lab.
    pub params: Option<LabParams>,
}

/// Constants of rules that are others than their files and the configuration say, by rule and name.
pub type LabParams = BTreeMap<String, BTreeMap<String, Value>>;

/// The sets of rules of a state directory.
#[derive(Debug)]
pub struct RuleSets {
    cases: Cases,
}

/// Proposals that wait for somebody.
const WAITING_MAX: i64 = 200;
/// The most characters of a reason.
const REASON_MAX: usize = 500;
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
        Ok(Self { cases: Cases::open(dir)? })
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
        Ok(Self { cases: Cases::open_read_only(dir)? })
    }

    /// All of them, the newest proposal first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn all(&self) -> Result<Vec<Proposed>, StoreError> {
        let sql = format!("SELECT {SET} ORDER BY proposed_at DESC, digest");
        self.cases.read(|c| c.prepare_cached(&sql)?.query_map([], set)?.collect())
    }

    /// The one with this digest, or with this beginning of it.
    ///
    /// # Errors
    /// If there is none or several, or the database cannot be read.
    pub fn one(&self, prefix: &str) -> Result<Proposed, AccountError> {
        self.cases.read(|c| find(c, prefix))?.map_err(AccountError::Refused)
    }

    /// The one with this digest, if there is one.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn find(&self, digest: &str) -> Result<Option<Proposed>, StoreError> {
        self.cases.read(|c| Ok(matching(c, digest)?.pop()))
    }

    /// Proposes a set, and with which constants it goes beyond the configuration, if it comes from the rule lab.
    ///
    /// # Errors
    /// If it was proposed already, or too many wait.
    pub fn propose(
        &mut self,
        (manifest, params): (&Manifest, Option<&LabParams>),
        reason: &str,
        by: &Actor,
        now: i64,
    ) -> Result<Proposed, AccountError> {
        let (digest, reason) = (manifest.digest(), reason.trim());
        if !(1..=REASON_MAX).contains(&reason.chars().count()) {
            return Err(AccountError::Refused(say!(
                "a reason has 1 to {most} characters",
                most = REASON_MAX
            )));
        }
        self.act(&digest, |summed| {
            let known = matching(summed.transaction, &digest)?.pop();
            if let Some(known) = known {
                let who = quoted(&known.proposed_by);
                return Ok(Err(say!("these rules are proposed already, by {who}", who)));
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
            summed.inserted(&sums::RULE_SETS, [&digest])?;
            if let Some(params) = params {
                let params = serde_json::to_string(params).unwrap_or_default();
                insert!(summed.transaction, "INSERT INTO rule_params", { digest, params })?;
                summed.inserted(&sums::RULE_PARAMS, [&digest])?;
            }
            tell(summed, now, by, ("rules.propose", &digest, reason))
        })
    }

    /// Approves a set: it may be put into force from now on.
    ///
    /// # Errors
    /// If there is none, it is approved already, or who approves it proposed it.
    pub fn approve(&mut self, prefix: &str, by: &Actor, now: i64) -> Result<Proposed, AccountError> {
        let known = self.one(prefix)?;
        self.act(&known.digest, |summed| {
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
            judge(summed, &known.digest, Some((now, &by.who)))?;
            tell(summed, now, by, ("rules.approve", &known.digest, &known.reason))
        })
    }

    /// Takes an approval back: the set is put into force no more. What is in force stays until then.
    ///
    /// # Errors
    /// If there is none, or it is not approved.
    pub fn withdraw(&mut self, prefix: &str, by: &Actor, now: i64) -> Result<Proposed, AccountError> {
        let known = self.one(prefix)?;
        self.act(&known.digest, |summed| {
            if judge(summed, &known.digest, None)? == 0 {
                return Ok(Err(say!("these rules are not approved")));
            }
            tell(summed, now, by, ("rules.withdraw", &known.digest, &known.reason))
        })
    }

    /// The constants in force that came from the rule lab: those of the approved set that was adopted last.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn adopted(&self) -> Result<LabParams, StoreError> {
        let sql = "SELECT params FROM rule_params JOIN rule_sets USING (digest)
             WHERE adopted_at IS NOT NULL AND approved_at IS NOT NULL ORDER BY adopted_at DESC LIMIT 1";
        let text: Option<String> = self.cases.read(|c| c.query_row(sql, [], |row| row.get(0)).optional())?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// Notes that the constants of an approved set come into force, or with `None` that they do not after all. When it was
    /// adopted before.
    ///
    /// # Errors
    /// If there is none, it is not approved, or changes no constants.
    pub fn adopt(
        &mut self,
        digest: &str,
        at: Option<i64>,
        by: &Actor,
        now: i64,
    ) -> Result<Option<i64>, AccountError> {
        let before = self.cases.change(|summed| {
            let sql = "SELECT adopted_at FROM rule_params JOIN rule_sets USING (digest)
                 WHERE digest = ?1 AND approved_at IS NOT NULL";
            let found =
                summed.transaction.query_row(sql, [digest], |row| row.get::<_, Option<i64>>(0)).optional()?;
            let Some(before) = found else { return Ok(Err(say!("these rules are not approved"))) };
            let values = named_params! { ":digest": digest, ":at": at };
            let sql = "UPDATE rule_params SET adopted_at = :at WHERE digest = :digest";
            summed.change(&sums::RULE_PARAMS, [digest], || summed.transaction.execute(sql, values))?;
            let detail = if at.is_some() { "" } else { "refused" };
            tell(summed, now, by, ("rules.adopt", digest, detail))?.ok();
            Ok(Ok(before))
        })?;
        before.map_err(AccountError::Refused)
    }

    /// Does `work` in a transaction; what it refuses has changed nothing. What is there afterwards.
    fn act(
        &mut self,
        digest: &str,
        work: impl FnOnce(&Summed<'_>) -> rusqlite::Result<Result<(), String>>,
    ) -> Result<Proposed, AccountError> {
        self.cases.change(work)?.map_err(AccountError::Refused)?;
        self.one(digest)
    }
}

/// Approves a set, or takes that back; whether that changed something.
fn judge(summed: &Summed<'_>, digest: &str, approved: Option<(i64, &str)>) -> rusqlite::Result<usize> {
    let sql = "UPDATE rule_sets SET approved_at = :at, approved_by = :who
               WHERE digest = :digest AND (approved_at IS NULL) = (:at IS NOT NULL)";
    let (at, who) = approved.unzip();
    let values = named_params! { ":digest": digest, ":at": at, ":who": who };
    summed.change(&sums::RULE_SETS, [digest], || summed.transaction.execute(sql, values))
}

fn tell(
    summed: &Summed<'_>,
    now: i64,
    by: &Actor,
    (action, subject, detail): (&str, &str, &str),
) -> rusqlite::Result<Result<(), String>> {
    audit::record(summed, now, by, Deed { action, subject, result: DONE, detail }).map(Ok)
}

fn find(connection: &Connection, prefix: &str) -> rusqlite::Result<Result<Proposed, String>> {
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

fn matching(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<Proposed>> {
    // A digest has digits and small letters only.
    let sql = format!("SELECT {SET} WHERE digest >= ?1 AND digest < ?1 || 'z' LIMIT 2");
    connection.prepare_cached(&sql)?.query_map([prefix], set)?.collect()
}

fn set(row: &Row<'_>) -> rusqlite::Result<Proposed> {
    let text: String = row.get("manifest")?;
    let (at, who): (Option<i64>, Option<String>) = (row.get("approved_at")?, row.get("approved_by")?);
    Ok(Proposed {
        digest: row.get("digest")?,
        manifest: Manifest::read(&text).unwrap_or_default(),
        reason: row.get("reason")?,
        proposed_at: row.get("proposed_at")?,
        proposed_by: row.get("proposed_by")?,
        approved: at.zip(who),
        params: row.get::<_, Option<String>>("params")?.and_then(|text| serde_json::from_str(&text).ok()),
    })
}
