//! What officers and the daemon recorded: the chains hold, and alerts and silences are as their last record says.

use rusqlite::Connection;

use super::{Check, Problems};
use crate::{
    say,
    store::{JournalView, StoreError, audit, chain, chain::Head, explain},
};

pub(crate) fn check(history: &JournalView) -> Result<Check, StoreError> {
    let snapshot = &history.snapshot;
    let connection = snapshot.connection();
    let fail = |error| explain(&snapshot.dir, error);
    let mut problems = Problems::default();
    let mut ends = Vec::new();
    let end = |table: &str, head: &Head| {
        say!(
            "{table}: {records} records, the last digest {digest}",
            table,
            records = head.records,
            digest = head.digest,
        )
    };
    for chain in chain::WHOLE {
        match chain.follow(&connection).map_err(fail)? {
            Ok(head) => ends.push(end(chain.table(), &head)),
            Err(broken) => problems.add(broken),
        }
    }
    let log = audit::follow(&snapshot.dir, &connection, |_| {}).map_err(fail)?;
    match log.problems.is_empty() {
        true => ends.push(end(chain::AUDIT.table(), &log.end)),
        false => log.problems.into_iter().for_each(|problem| problems.add(problem)),
    }
    for id in ids(&connection, ALERTS).map_err(fail)? {
        problems.add(say!("alert {id} is not in the state that the last record of its history says", id));
    }
    for id in ids(&connection, SILENCES).map_err(fail)? {
        problems.add(say!("silence {id} is not as the last record of its history says", id));
    }
    Ok(problems.check("history", ends.join(&say!("; "))))
}

/// Alerts without a history or with another state, and histories without an alert.
const ALERTS: &str = "
    SELECT alert_id FROM alerts a WHERE state IS NOT CASE WHEN json_valid(body) THEN body ->> '$.state' END OR state IS NOT
        (SELECT state FROM alert_history h WHERE h.alert_id = a.alert_id ORDER BY seq DESC LIMIT 1)
    UNION SELECT alert_id FROM alert_history WHERE alert_id NOT IN (SELECT alert_id FROM alerts)";
/// The same of silences, of which the history has the whole.
const SILENCES: &str = "
    SELECT CAST(silence_id AS TEXT) FROM silences s WHERE body IS NOT
        (SELECT body FROM silence_history h WHERE h.silence_id = s.silence_id ORDER BY seq DESC LIMIT 1)
    UNION SELECT CAST(silence_id AS TEXT) FROM silence_history
        WHERE silence_id NOT IN (SELECT silence_id FROM silences)";

fn ids(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}
