//! Which rules were in force since when, in three rows of `meta` for each: its digest, and the last block and the last
//! finding before it came into force. It lets `state verify` tell a finding that is wrong from one of another rule.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction};

use super::{
    JournalView, Store, StoreError,
    checksums::{meta, remove_meta, set_meta},
    commit, explain,
};
use crate::engine::ListsStep;

/// Since when a rule is in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InForce {
    /// That of [`crate::rule::RuleSet::digests`].
    pub digest: i64,
    /// The last journal block before it was.
    pub after_block: i64,
    /// The number of the last finding before it was.
    pub after_finding: i64,
}

const DIGEST: &str = "rule ";
const BLOCK: &str = "rule block ";
const FINDING: &str = "rule finding ";

/// Notes the rules in force from the next block on. Of those that were before nothing changes.
pub(crate) fn write(transaction: &Transaction<'_>, rules: &[(String, i64)]) -> rusqlite::Result<()> {
    let known = read(transaction)?;
    let after_block = commit::last_seq(transaction)?;
    let after_finding =
        transaction.query_row("SELECT coalesce(max(seq), 0) FROM findings", [], |row| row.get(0))?;
    for (id, digest) in rules {
        if known.get(id).is_none_or(|known| known.digest != *digest) {
            let values: [(&str, i64); 3] =
                [(DIGEST, *digest), (BLOCK, after_block), (FINDING, after_finding)];
            for (prefix, value) in values {
                set_meta(transaction, &format!("{prefix}{id}"), value)?;
            }
        }
    }
    for gone in known.keys().filter(|id| !rules.iter().any(|(rule, _)| rule == *id)) {
        for prefix in [DIGEST, BLOCK, FINDING] {
            remove_meta(transaction, &format!("{prefix}{gone}"))?;
        }
    }
    Ok(())
}

fn read(connection: &Connection) -> rusqlite::Result<BTreeMap<String, InForce>> {
    let mut statement = connection.prepare_cached("SELECT name, value FROM meta WHERE name LIKE 'rule %'")?;
    let mut rows = statement.query([])?;
    let mut known: BTreeMap<String, InForce> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (name, value): (String, i64) = (row.get(0)?, row.get(1)?);
        // An id has no spaces, so the prefix is told by what is left.
        let rest = |prefix: &str| name.strip_prefix(prefix).filter(|id| !id.contains(' '));
        if let Some(id) = rest(DIGEST) {
            known.entry(id.to_owned()).or_default().digest = value;
        } else if let Some(id) = rest(BLOCK) {
            known.entry(id.to_owned()).or_default().after_block = value;
        } else if let Some(id) = rest(FINDING) {
            known.entry(id.to_owned()).or_default().after_finding = value;
        }
    }
    Ok(known)
}

const LIST: &str = "list ";

/// How many processes have begun to judge events again by other lists, and did not end.
const BEGUN: &str = "lists_begun";

/// Notes that events are about to be judged again by other lists, or the lists that everything so far was judged by: for
/// each a number that tells what it holds.
pub(crate) fn write_lists(transaction: &Transaction<'_>, step: &ListsStep) -> rusqlite::Result<()> {
    let lists = match step {
        ListsStep::Begun(attempts) => return set_meta(transaction, BEGUN, i64::from(*attempts)),
        ListsStep::Judged(lists) => lists,
    };
    if meta(transaction, BEGUN)? > 0 {
        remove_meta(transaction, BEGUN)?;
    }
    for gone in read_lists(transaction)?.keys().filter(|name| !lists.contains_key(*name)) {
        remove_meta(transaction, &format!("{LIST}{gone}"))?;
    }
    let mut lists = lists.iter();
    lists.try_for_each(|(name, print)| set_meta(transaction, &format!("{LIST}{name}"), print.cast_signed()))
}

fn read_lists(connection: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut statement = connection.prepare_cached("SELECT name, value FROM meta WHERE name LIKE 'list %'")?;
    let rows = statement.query_map([], |row| {
        let (name, value): (String, i64) = (row.get(0)?, row.get(1)?);
        Ok((name[LIST.len()..].to_owned(), value.cast_unsigned()))
    })?;
    rows.collect()
}

impl Store {
    /// The lists that everything so far was judged by, and how many processes ended while they judged by others.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn lists_judged_by(&self) -> Result<(BTreeMap<String, u64>, u32), StoreError> {
        let read = || {
            let begun = u32::try_from(meta(&self.connection, BEGUN)?).unwrap_or(u32::MAX);
            Ok((read_lists(&self.connection)?, begun))
        };
        read().map_err(|error| explain(&self.dir, error))
    }
}

impl JournalView {
    /// The rules that the last commit was judged by, by their ids. Empty if the state is of a version that did not note
    /// them.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn rules_in_force(&self) -> Result<BTreeMap<String, InForce>, StoreError> {
        read(&self.snapshot.connection()).map_err(|error| explain(&self.snapshot.dir, error))
    }
}
