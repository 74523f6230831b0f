//! Words in SQL rows: the only place where enums become texts of the database. A word that is none is an error: what stands
//! there was not written by fiscwatch.

use std::sync::LazyLock;

use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

use crate::{
    alert::{
        State,
        desk::{EntryTopic, GroupKey},
    },
    finding::{Handling, RuleMode, Severity},
};

macro_rules! words {
    ($($type:ty),+) => {$(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.word().into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let word = value.as_str()?;
                Self::parse(word)
                    .ok_or_else(|| FromSqlError::Other(format!("{word:?} is no {}", stringify!($type)).into()))
            }
        }
    )+};
}

words!(Severity, Handling, RuleMode, EntryTopic);

impl ToSql for GroupKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.text().into())
    }
}

impl FromSql for GroupKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::read)
    }
}

/// The states of alerts that are over, written as in the index of those that are not: `SQLite` uses that only for the same words.
pub(super) const OVER: &str = "('closed', 'dismissed', 'resolved')";

/// The states of alerts that are not over.
pub(super) static NOT_OVER: LazyLock<String> = LazyLock::new(|| states(false));

fn states(over: bool) -> String {
    let words = State::ALL.iter().filter(|(state, ..)| state.is_over() == over);
    format!("({})", words.map(|(_, word, _)| format!("'{word}'")).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use rusqlite::Connection;

    use super::*;

    #[test]
    fn what_is_over_for_sql_is_over_for_the_alert() {
        let words =
            |list: &str| list.split('\'').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(words(OVER), words(&states(true)));
        assert!(words(OVER).is_disjoint(&words(&NOT_OVER)));
        assert_eq!(words(OVER).len() + words(&NOT_OVER).len(), State::ALL.len());
    }

    /// A list of its own would go on meaning what `State` no longer means.
    #[test]
    fn nobody_lists_the_states_of_alerts_anew() {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store")];
        let mut read = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                match entry.extension() {
                    _ if entry.is_dir() => folders.push(entry),
                    Some(kind) if kind == "rs" && !entry.ends_with("store/words.rs") => {
                        let text = fs::read_to_string(&entry).unwrap();
                        assert!(!text.contains("'dismissed'"), "{} lists states", entry.display());
                        read += 1;
                    }
                    _ => {}
                }
            }
        }
        assert!(read > 80, "{read} files");
    }

    #[test]
    fn a_word_that_is_none_is_an_error() {
        let db = Connection::open_in_memory().unwrap();
        let severity = |word: &str| db.query_row("SELECT ?1", [word], |row| row.get::<_, Severity>(0));
        assert_eq!(severity("high").unwrap(), Severity::High);
        assert!(severity("High").unwrap_err().to_string().contains("is no Severity"));
        let matter = |word: &str| db.query_row("SELECT ?1", [word], |row| row.get::<_, EntryTopic>(0));
        for known in EntryTopic::ALL {
            assert_eq!(matter(known.word()).unwrap(), known);
        }
        assert!(matter("").is_err());
    }
}
