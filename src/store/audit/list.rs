//! The audit log as it is looked through: the latest first, narrowed down.

use rusqlite::params_from_iter;

use super::{Audit, AuditEntry, ENTRY, entry, register::AuditFile};
use crate::{
    event::{
        Instant,
        pattern::{self, CodePattern},
    },
    store::{StoreError, chain, conditions::Conditions, explain},
};

/// Files that one page looks into at most: it says where the next one goes on.
const FILES: usize = 32;

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
    /// Only from this time on.
    pub from: Option<Instant>,
    /// Only before this time.
    pub to: Option<Instant>,
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
            conditions.any(words, |word| match CodePattern::of(word) {
                CodePattern::Beginning(start) => {
                    (String::from("instr(action, ?) = 1"), Some(start.to_owned()))
                }
                CodePattern::Whole(word) => (String::from("action = ?"), Some(word.to_owned())),
            });
        }
        if let Some(text) = &self.text {
            let within = "instr(lower(concat_ws(' ', who, place, action, subject, result, detail)), ?) > 0";
            conditions.and(within, [text.to_lowercase().into()]);
        }
        let bounds =
            [("at >= ?", self.from), ("at < ?", self.to), ("seq < ?", self.before.map(Instant::from_micros))];
        for (bound, value) in bounds {
            if let Some(value) = value {
                conditions.and(bound, [value.into()]);
            }
        }
        conditions
    }
}

/// What was found of the records that are wanted.
#[derive(Debug, Default)]
pub struct Listing {
    /// The latest first.
    pub entries: Vec<AuditEntry>,
    /// The number before which the rest was not looked at, if the log was not looked through to its beginning for
    /// another reason than that there were enough.
    pub goes_on_before: Option<i64>,
}

impl AuditFilter {
    /// Whether a record of a file is wanted: what the conditions say of a row.
    fn wants(&self, entry: &AuditEntry) -> bool {
        let one_of = |words: &Option<String>, is: &dyn Fn(&str) -> bool| {
            words
                .as_ref()
                .is_none_or(|words| pattern::words(words).next().is_none() || pattern::words(words).any(is))
        };
        let AuditEntry { seq, at, who, place, action, subject, result, detail, .. } = entry;
        let has = |text: &String| {
            let within = [who, place, action, subject, result, detail].map(String::as_str).join(" ");
            within.to_ascii_lowercase().contains(&text.to_lowercase())
        };
        self.from.is_none_or(|from| *at >= from)
            && self.to.is_none_or(|to| *at < to)
            && self.before.is_none_or(|before| *seq < before)
            && one_of(&self.who, &|word| who == word)
            && one_of(&self.subject, &|word| subject == word)
            && one_of(&self.result, &|word| result == word)
            && one_of(&self.action, &|word| CodePattern::of(word).matches(action))
            && self.text.as_ref().is_none_or(has)
    }

    /// Whether a file may have a record that is wanted.
    fn may_want(&self, file: &AuditFile) -> bool {
        self.from.is_none_or(|from| file.last_at >= from)
            && self.to.is_none_or(|to| file.first_at < to)
            && self.before.is_none_or(|before| file.first < before)
    }
}

impl Audit {
    /// The records that are wanted, the latest first.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn list(&self, filter: &AuditFilter) -> Result<Listing, StoreError> {
        let conditions = filter.conditions();
        let sql = format!(
            "SELECT {ENTRY} FROM audit {} ORDER BY seq DESC LIMIT {}",
            conditions.clause(),
            filter.limit
        );
        self.moment(|c, files| {
            let fail = |error| explain(&self.cases.dir, error);
            let mut statement = c.prepare_cached(&sql).map_err(fail)?;
            let rows =
                statement.query_map(params_from_iter(conditions.values.iter()), entry).map_err(fail)?;
            let entries: Vec<AuditEntry> = rows.collect::<Result<_, _>>().map_err(fail)?;
            self.look_into(&files, filter, Listing { entries, goes_on_before: None })
        })
    }

    /// Adds what files have to what the table has.
    fn look_into(
        &self,
        files: &[AuditFile],
        filter: &AuditFilter,
        mut found: Listing,
    ) -> Result<Listing, StoreError> {
        let limit = filter.limit as usize;
        for (at, file) in files.iter().rev().filter(|file| filter.may_want(file)).enumerate() {
            if found.entries.len() >= limit {
                break;
            }
            if at == FILES {
                found.goes_on_before = Some(file.last + 1);
                break;
            }
            let records = self.records_of(file)?;
            let wanted = records.iter().rev().filter(|entry| filter.wants(entry));
            found.entries.extend(wanted.take(limit - found.entries.len()).cloned());
        }
        Ok(found)
    }

    /// How many records there are.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn records(&self) -> Result<i64, StoreError> {
        self.cases.read(|c| Ok(chain::AUDIT.head(c)?.records))
    }
}
