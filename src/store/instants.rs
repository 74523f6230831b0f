//! Instants and lengths of time in SQL rows: whole microseconds. The only place where they become numbers of the database.

use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlResult, ToSqlOutput, Value, ValueRef},
};

use crate::event::{Instant, TimeDelta};

impl ToSql for Instant {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_micros().into())
    }
}

impl FromSql for Instant {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self::from_micros)
    }
}

impl From<Instant> for Value {
    fn from(at: Instant) -> Self {
        at.as_micros().into()
    }
}

impl ToSql for TimeDelta {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_micros().into())
    }
}

impl FromSql for TimeDelta {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self::from_micros)
    }
}

impl From<TimeDelta> for Value {
    fn from(length: TimeDelta) -> Self {
        length.as_micros().into()
    }
}
