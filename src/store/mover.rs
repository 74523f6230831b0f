//! Moving `SQLite`'s log into the database, beside the commits. `SQLite` would do it within one of them, which then takes ten
//! times as long as the others. A log that is moved while others write is never all moved, so it would grow for ever: from
//! time to time the last of it is moved while nobody of this process writes, and the next commit begins the log anew.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rusqlite::Connection;

use super::{DATABASE, Store, StoreError, Turns, configure, explain};

/// Bytes of the log that it is begun anew from. That moment takes two or three fsyncs, which everybody who writes waits for, so
/// it is rare: at five thousand events a second a few times a minute.
const ANEW: u64 = 128 << 20;
/// How long it stands in line for that. Otherwise the next step tries again.
const PATIENCE: Duration = Duration::from_millis(100);

/// Moves the log into the database beside the commits.
#[derive(Debug)]
pub struct LogMover {
    dir: PathBuf,
    connection: Connection,
    turns: Arc<Turns>,
    page_size: u64,
    anew: u64,
}

impl Store {
    /// What moves the log while this store commits.
    ///
    /// # Errors
    /// If the database cannot be opened once more.
    pub fn log_mover(&self) -> Result<LogMover, StoreError> {
        let fail = |error| explain(&self.dir, error);
        let connection = Connection::open(self.dir.join(DATABASE)).map_err(fail)?;
        configure(&connection).map_err(fail)?;
        // It has no use for pages that it has moved.
        connection.pragma_update(None, "cache_size", -256).map_err(fail)?;
        let page_size = connection.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(fail)?;
        let (dir, turns) = (self.dir.clone(), Arc::clone(&self.turns));
        Ok(LogMover { dir, connection, turns, page_size, anew: ANEW })
    }
}

impl LogMover {
    /// Moves what is committed, and gives the bytes of the log. A reader of an earlier moment keeps what came after it from
    /// being moved, and the log from being begun anew; the next step tries again.
    ///
    /// # Errors
    /// If the disk fails. The log is whole then, and what was not confirmed is moved once more.
    pub fn step(&self) -> Result<u64, StoreError> {
        let log = self.pass()?;
        if log < self.anew {
            return Ok(log);
        }
        // What has come during a long pass takes a short one, and the writers wait only for what has come during that.
        self.pass()?;
        match self.turns.stand_aside(PATIENCE) {
            Some(_place) => self.pass(),
            None => Ok(log),
        }
    }

    fn pass(&self) -> Result<u64, StoreError> {
        let row = |row: &rusqlite::Row<'_>| row.get::<_, i64>(1);
        let pages = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], row);
        let pages = pages.map_err(|error| explain(&self.dir, error))?;
        // Below zero: somebody else moves it at this moment.
        Ok(u64::try_from(pages).unwrap_or(0) * self.page_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOUGH: u64 = 16 << 20;

    fn log(dir: &std::path::Path) -> u64 {
        dir.join(format!("{DATABASE}-wal")).metadata().unwrap().len()
    }

    /// Others commit all the time, so that what is moved is never all of it.
    #[test]
    fn the_log_stays_short_while_others_commit_and_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mover = LogMover { anew: ENOUGH, ..store.log_mover().unwrap() };
        let writer = std::thread::spawn(move || {
            for n in 0..600 {
                let done = store.turns.write(&store.dir, &store.connection, None, |transaction| {
                    transaction.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER, x BLOB)", [])?;
                    transaction.execute("INSERT INTO t VALUES (?1, zeroblob(200000))", [n])?;
                    Ok(())
                });
                done.unwrap();
            }
            store
        });
        while !writer.is_finished() {
            mover.step().unwrap();
        }
        let store = writer.join().unwrap();
        // 120 MB were written.
        assert!(log(dir.path()) < 3 * ENOUGH, "{} bytes", log(dir.path()));
        let count = "SELECT count(*), sum(n) FROM t";
        let found = store.connection.query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(found.unwrap(), (600_i64, 599 * 300_i64));
    }

    /// Whoever writes at that moment is not waited for long.
    #[test]
    fn a_writer_that_takes_long_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mover = LogMover { anew: ENOUGH, ..store.log_mover().unwrap() };
        let turn = store.turns.begin(&store.connection, None).unwrap();
        turn.execute_batch("CREATE TABLE t (x BLOB); INSERT INTO t VALUES (zeroblob(20000000))").unwrap();
        turn.commit().unwrap();
        let turn = store.turns.begin(&store.connection, None).unwrap();
        let started = std::time::Instant::now();
        assert!(mover.step().unwrap() >= ENOUGH);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        turn.commit().unwrap();
    }
}
