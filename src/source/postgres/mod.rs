//! A table or query of a PostgreSQL database, polled by a column that grows (the only place that knows tokio-postgres).
//! The database is only read: every session and transaction says so. How far it was read is committed with what became of
//! the rows; rows that were committed there with an earlier value of the column are found by reading a stretch again.

mod poll;
mod row;
mod settings;
mod shape;
mod trouble;
mod window;

use std::time::Duration;

use super::{Outlet, Positions, SourceError};
use poll::TableReader;
pub(crate) use settings::{Overlap, PostgresSettings, PostgresSource, PostgresTls, Relation};

/// How long it waits after an error, at first and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

impl PostgresSource {
    /// Reads until asked to stop. A database that is not there, or refuses, is waited for.
    ///
    /// # Errors
    /// If the settings cannot be used.
    pub async fn run(&self, outlet: &Outlet, positions: &Positions) -> Result<(), SourceError> {
        let name = self.relation.name();
        outlet.status.start([name.to_owned()]);
        let connector = self.connector().map_err(|message| SourceError::Postgres { message })?;
        let mut reader = TableReader::new(self, outlet, positions);
        let reading = async {
            let mut wait = BACK_OFF.0;
            // A session ends by itself only where everything is read once.
            while let Err(trouble) = reader.session(&connector, &mut wait).await {
                if outlet.status.trouble(name, &trouble) {
                    tracing::warn!(source = %outlet.name, "postgres: {name}: {trouble}");
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(BACK_OFF.1);
            }
        };
        // What waits for the server or for room is left where it is: nothing is told of it yet.
        tokio::select! {
            () = outlet.stop.cancelled() => {}
            () = reading => {}
        }
        Ok(())
    }
}
