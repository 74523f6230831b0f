//! Every table against its sum: all that a start compares, and the same words.

use super::{Check, Problems};
use crate::{
    say,
    store::{JournalView, StoreError, approvals, checksums, explain},
};

pub(crate) fn check(history: &JournalView) -> Result<Check, StoreError> {
    let snapshot = &history.snapshot;
    let connection = snapshot.connection();
    let mut problems = Problems::default();
    let fail = |error| explain(&snapshot.dir, error);
    let tables = checksums::ALL
        .iter()
        .map(|table| (Some(*table), checksums::check(&snapshot.dir, &connection, table)));
    for (table, result) in tables.chain([(None, checksums::check_indexes(&snapshot.dir, &connection))]) {
        match result {
            Ok(()) => {}
            Err(StoreError::Corrupt { what, .. }) => {
                problems.add(what);
                // Its rows are signed, so it can be told which one.
                if table.is_some_and(|table| table.name == checksums::APPROVALS.name) {
                    approvals::faults(&connection)
                        .map_err(fail)?
                        .into_iter()
                        .for_each(|what| problems.add(what));
                }
            }
            Err(error) => return Err(error),
        }
    }
    for name in checksums::unknown(&connection).map_err(|error| explain(&snapshot.dir, error))? {
        problems.add(say!("the table sums has a row {name}, which belongs to no table", name));
    }
    Ok(problems.check("tables", say!("{count} tables and their checksums", count = checksums::ALL.len())))
}
