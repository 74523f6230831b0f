//! What officers did, whole, for queries.

use rusqlite::{Row, types::ValueRef};

use super::{Cases, StoreError};
use crate::sql::desk::{ALERT_HISTORY, NOTIFICATIONS, SILENCES, StoredValue};

impl Cases {
    /// All rows of one of the tables of `evaluate::desk`, with the columns that it has there, the oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn desk(&self, table: &str) -> Result<Vec<Vec<StoredValue>>, StoreError> {
        let sql = match table {
            ALERT_HISTORY => {
                "SELECT h.alert_id, a.rule_id, h.at, h.who, h.action, h.state, h.why
                 FROM alert_history h LEFT JOIN alerts a USING (alert_id) ORDER BY h.seq"
            }
            SILENCES => {
                "SELECT silence_id, starts_at, ends_at, json_extract(body, '$.matchers'), json_extract(body, '$.author'),
                 json_extract(body, '$.reason'), json_extract(body, '$.created_at'), json_extract(body, '$.expired_by')
                 FROM silences ORDER BY silence_id"
            }
            NOTIFICATIONS => {
                "SELECT id, sink, recipient, reason, state, attempts, created_at, ended_at, error,
                 json_extract(body, '$.alerts[0].alert_id'), json_array_length(body, '$.alerts')
                 FROM notifications ORDER BY seq"
            }
            _ => return Ok(Vec::new()),
        };
        self.read(|c| c.prepare(sql)?.query_map([], stored)?.collect())
    }
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Vec<StoredValue>> {
    let cell = |at: usize| {
        Ok(match row.get_ref(at)? {
            ValueRef::Integer(number) => StoredValue::Number(number),
            ValueRef::Text(text) => StoredValue::Text(String::from_utf8_lossy(text).into_owned()),
            _ => StoredValue::Missing,
        })
    };
    (0..row.as_ref().column_count()).map(cell).collect()
}
