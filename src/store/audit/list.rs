//! The audit log as it is looked through: the latest first, narrowed down.

use rusqlite::params_from_iter;

use super::{Audit, ENTRY, Entry, entry};
use crate::store::{StoreError, chain, conditions::Conditions};

/// Which records to list, the latest first.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only what these did; several are parted by commas.
    pub who: Option<String>,
    /// Only these actions, or those that begin so: `users.*`.
    pub action: Option<String>,
    /// Only what was done to these.
    pub subject: Option<String>,
    /// Only what came to this.
    pub result: Option<String>,
    /// Only where any of it has this text.
    pub text: Option<String>,
    /// Only from this time on, in microseconds.
    pub from: Option<i64>,
    /// Only before this time, in microseconds.
    pub to: Option<i64>,
    /// Only those before this number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

impl AuditFilter {
    fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        conditions.one_of("who", self.who.as_ref());
        conditions.one_of("subject", self.subject.as_ref());
        conditions.one_of("result", self.result.as_ref());
        if let Some(words) = &self.action {
            conditions.any(words, |word| match word.strip_suffix('*') {
                Some(start) => (String::from("instr(action, ?) = 1"), Some(start.to_owned())),
                None => (String::from("action = ?"), Some(word.to_owned())),
            });
        }
        if let Some(text) = &self.text {
            let within = "instr(lower(concat_ws(' ', who, place, action, subject, result, detail)), ?) > 0";
            conditions.and(within, [text.to_lowercase().into()]);
        }
        let bounds = [("at >= ?", self.from), ("at < ?", self.to), ("seq < ?", self.before)];
        for (bound, value) in bounds {
            if let Some(value) = value {
                conditions.and(bound, [value.into()]);
            }
        }
        conditions
    }
}

impl Audit {
    /// The records that are wanted, the latest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn list(&self, filter: &AuditFilter) -> Result<Vec<Entry>, StoreError> {
        let conditions = filter.conditions();
        let sql = format!(
            "SELECT {ENTRY} FROM audit {} ORDER BY seq DESC LIMIT {}",
            conditions.clause(),
            filter.limit
        );
        self.cases.read(|c| {
            c.prepare_cached(&sql)?.query_map(params_from_iter(conditions.values.iter()), entry)?.collect()
        })
    }

    /// How many records there are.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn records(&self) -> Result<i64, StoreError> {
        self.cases.read(|c| Ok(chain::AUDIT.head(c)?.records))
    }
}
