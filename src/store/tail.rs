//! What was committed since one looked last, as pages of the database: the end of `SQLite`'s write-ahead log.
//!
//! Whoever asks holds the turn, so nobody of this process writes meanwhile; other processes do not write to a state that
//! is replicated (`StoreError::Replicated`). Checkpoints move frames into the database and leave the log as it is. The next writer
//! after a complete one begins the log again, with a first salt that is one higher: if it is another one, something was
//! missed, and only the whole database tells what.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::{
    DATABASE,
    wal::{FRAME_HEADER, HEADER, MAGIC, checksum, fill, pair, word},
};

/// Pages as they are after one or more commits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Commits {
    pub(crate) page_size: u32,
    /// How many the database has now.
    pub(crate) database_pages: u32,
    /// By their number, from 1 on.
    pub(crate) pages: BTreeMap<u32, Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TailNews {
    Nothing,
    Pages(Commits),
    /// The log was begun again by somebody else meanwhile.
    Missed,
}

/// A place in the log.
#[derive(Debug)]
pub(crate) struct LogTail {
    path: PathBuf,
    at: Option<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    salt: (u32, u32),
    /// Where the next frame begins.
    offset: u64,
    /// The checksum of everything before it.
    sum: (u32, u32),
}

impl LogTail {
    /// Begins after what is committed now.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub(crate) fn at_end(dir: &Path) -> std::io::Result<Self> {
        let mut tail = Self { path: dir.join(format!("{DATABASE}-wal")), at: None };
        tail.look()?;
        Ok(tail)
    }

    /// What was committed since the last look, or since the beginning.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub(crate) fn look(&mut self) -> std::io::Result<TailNews> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(TailNews::Nothing),
            file => file?,
        };
        let mut log = BufReader::with_capacity(1 << 18, file);
        let mut header = [0; HEADER];
        if !fill(&mut log, &mut header)? || word(&header, 0) & !1 != MAGIC {
            return Ok(TailNews::Nothing);
        }
        let salt = pair(&header, 16);
        let place = match self.at {
            Some(place) if place.salt == salt => place,
            Some(place) if place.salt.0.wrapping_add(1) != salt.0 => return Ok(TailNews::Missed),
            _ => Place { salt, offset: HEADER as u64, sum: pair(&header, 24) },
        };
        log.seek(SeekFrom::Start(place.offset))?;
        let (place, pages) = read(&mut log, &header, place)?;
        self.at = Some(place);
        Ok(if pages.pages.is_empty() { TailNews::Nothing } else { TailNews::Pages(pages) })
    }
}

/// Reads whole commits. What is behind the last one was undone, or is of an earlier log.
fn read(log: &mut impl Read, header: &[u8], from: Place) -> std::io::Result<(Place, Commits)> {
    let (big_endian, page_size) = (word(header, 0) & 1 == 1, word(header, 8));
    let mut frame = vec![0; FRAME_HEADER + page_size as usize];
    let (mut place, mut committed) = (from, from);
    let mut pages = Commits { page_size, ..Commits::default() };
    let mut open = BTreeMap::new();
    while fill(log, &mut frame)? {
        let sum = checksum(place.sum, &frame[..8], big_endian);
        let sum = checksum(sum, &frame[FRAME_HEADER..], big_endian);
        if pair(&frame, 8) != place.salt || pair(&frame, 16) != sum {
            break;
        }
        place = Place { offset: place.offset + frame.len() as u64, sum, ..place };
        open.insert(word(&frame, 0), frame[FRAME_HEADER..].to_vec());
        let database_pages = word(&frame, 4);
        if database_pages != 0 {
            pages.pages.append(&mut open);
            pages.database_pages = database_pages;
            committed = place;
        }
    }
    Ok((committed, pages))
}

/// Puts pages into a database that nobody has open.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn put(database: &File, pages: &Commits) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    let size = u64::from(pages.page_size);
    for (number, page) in &pages.pages {
        database.write_all_at(page, u64::from(number.saturating_sub(1)) * size)?;
    }
    database.set_len(u64::from(pages.database_pages) * size)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn rows(path: &Path) -> Vec<i64> {
        let db = Connection::open(path).unwrap();
        db.prepare("SELECT n FROM t ORDER BY n")
            .unwrap()
            .query_map([], |r| r.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    /// Through commits, undone transactions that spilled, checkpoints and logs that are begun again.
    #[test]
    fn a_copy_that_gets_the_pages_is_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let db = Connection::open(dir.path().join(DATABASE)).unwrap();
        db.execute_batch("PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 30; PRAGMA cache_size = 5;
            CREATE TABLE t (n INTEGER PRIMARY KEY, x BLOB); INSERT INTO t VALUES (0, NULL)").unwrap();
        let mut tail = LogTail::at_end(dir.path()).unwrap();
        let path = dir.path().join("copy.db");
        let mut copy = Connection::open(&path).unwrap();
        rusqlite::backup::Backup::new(&db, &mut copy)
            .unwrap()
            .run_to_completion(100, std::time::Duration::ZERO, None)
            .unwrap();
        copy.close().unwrap();
        let copy = File::options().write(true).open(&path).unwrap();
        let mut anew = 0;
        for n in 1..300 {
            let salt = tail.at.map(|at| at.salt);
            if n % 3 == 0 {
                db.execute_batch("BEGIN; INSERT INTO t SELECT 1000 + value, randomblob(2000) FROM (WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM c LIMIT 60) SELECT value FROM c); ROLLBACK").unwrap();
                assert_eq!(tail.look().unwrap(), TailNews::Nothing);
            }
            db.execute("INSERT INTO t VALUES (?1, randomblob(3000))", [n]).unwrap();
            if n % 50 == 0 {
                db.execute("DELETE FROM t WHERE n < ?1 AND n % 2 = 0", [n]).unwrap();
            }
            let TailNews::Pages(pages) = tail.look().unwrap() else { panic!("commit {n} is not seen") };
            put(&copy, &pages).unwrap();
            assert_eq!(tail.look().unwrap(), TailNews::Nothing);
            anew += i32::from(salt.is_some() && salt != tail.at.map(|at| at.salt));
        }
        assert!(anew > 3, "the log was begun anew {anew} times");
        let wanted = rows(&dir.path().join(DATABASE));
        assert_eq!(rows(&path), wanted);
        let whole: String =
            Connection::open(&path).unwrap().query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
        assert_eq!(whole, "ok");
    }

    #[test]
    fn a_log_that_was_begun_anew_twice_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        let db = Connection::open(dir.path().join(DATABASE)).unwrap();
        db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER)").unwrap();
        let mut tail = LogTail::at_end(dir.path()).unwrap();
        for _ in 0..2 {
            db.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
            db.execute("INSERT INTO t VALUES (1)", []).unwrap();
        }
        assert_eq!(tail.look().unwrap(), TailNews::Missed);
    }
}
