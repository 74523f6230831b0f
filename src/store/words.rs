//! Words in SQL rows: the only place where enums become texts of the database. A word that is none is an error: what stands
//! there was not written by fiscwatch.

use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

use crate::{
    alert::desk::{EntryTopic, GroupKey},
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

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

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
