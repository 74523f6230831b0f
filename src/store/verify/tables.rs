//! Every table against its sum: all that a start compares, and the same words.

use super::{Check, Problems};
use crate::{
    say,
    store::{History, StoreError, explain, sums},
};

pub(crate) fn check(history: &History) -> Result<Check, StoreError> {
    let snapshot = &history.snapshot;
    let connection = snapshot.connection();
    let mut problems = Problems::default();
    let tables = sums::ALL.iter().map(|table| sums::check(&snapshot.dir, &connection, table));
    for result in tables.chain([sums::check_indexes(&snapshot.dir, &connection)]) {
        match result {
            Ok(()) => {}
            Err(StoreError::Corrupt { what, .. }) => problems.add(what),
            Err(error) => return Err(error),
        }
    }
    for name in sums::unknown(&connection).map_err(|error| explain(&snapshot.dir, error))? {
        problems.add(say!("the table sums has a row {name}, which belongs to no table", name));
    }
    Ok(problems.check("tables", say!("{count} tables and their checksums", count = sums::ALL.len())))
}
