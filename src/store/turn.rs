//! Whose turn it is to write. The database takes one writer at a time, and gives itself to whoever asks at the right
//! moment: a loop that writes again and again shuts out all others. So the writers of this process stand in line, and
//! only the first of them asks. Another program may hold the database meanwhile; it is waited for, and told.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Deref,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::{
    BUSY, StoreError,
    error::TransactionError,
    ship::{Ship, Unshipped},
};

/// How long the database is asked at a time: whoever gave up or ran out of patience notices after it.
const ASK: Duration = Duration::from_millis(20);
/// How often somebody in line looks whether it is still worth it.
const LOOK: Duration = Duration::from_millis(100);
/// A wait that is told.
const TOLD: Duration = Duration::from_secs(1);
/// How often a wait is told again.
const TOLD_AGAIN: Duration = Duration::from_secs(30);

/// The writers of a state directory in this process.
#[derive(Debug, Default)]
pub struct Turns {
    line: Mutex<Line>,
    moved: Condvar,
    /// Another program holds the database, as far as those in line know.
    hold: Mutex<Option<Hold>>,
    holds: AtomicU64,
    given_up: AtomicBool,
    /// This process has the lock of the directory.
    ours: AtomicBool,
    /// Has each commit before anybody hears of it, if the state is replicated.
    shipper: Mutex<Option<Arc<dyn Ship>>>,
}

/// A time in which another program holds the database, however many have waited for it.
#[derive(Debug)]
struct Hold {
    since: std::time::Instant,
    told: Option<std::time::Instant>,
}

#[derive(Debug, Default)]
struct Line {
    next: u64,
    /// The first of them may write.
    waiting: VecDeque<u64>,
}

/// One line a state directory, whoever opens it.
static LINES: Mutex<BTreeMap<PathBuf, Weak<Turns>>> = Mutex::new(BTreeMap::new());

impl Turns {
    /// The line before the database of a state directory.
    #[must_use]
    pub fn of(dir: &Path) -> Arc<Self> {
        let mut lines = LINES.lock();
        lines.retain(|_, turns| turns.strong_count() > 0);
        if let Some(turns) = lines.get(dir).and_then(Weak::upgrade) {
            return turns;
        }
        let turns = Arc::new(Self::default());
        lines.insert(dir.to_owned(), Arc::downgrade(&turns));
        turns
    }

    /// How long another program has held the database against the writer whose turn it is.
    #[must_use]
    pub fn held_up(&self) -> Option<Duration> {
        self.hold.lock().as_ref().map(|hold| hold.since.elapsed())
    }

    /// How long a commit has waited for the store that the state is replicated to.
    #[must_use]
    pub fn waits_for_replica(&self) -> Option<Duration> {
        self.shipper().and_then(|shipper| shipper.waits())
    }

    /// Why nothing more may be committed here, if another machine has the state.
    #[must_use]
    pub fn refusal(&self) -> Option<Unshipped> {
        self.shipper().and_then(|shipper| shipper.refuses())
    }

    /// Whether this machine may tell others what it knows: the state is its own, as far as it heard lately.
    #[must_use]
    pub fn may_tell(&self) -> bool {
        self.shipper().is_none_or(|shipper| shipper.may_tell())
    }

    /// From now on each commit goes to a shipper before anybody hears of it. It is called while it is our turn, or before
    /// anybody writes.
    pub fn ship_by(&self, shipper: Option<Arc<dyn Ship>>) {
        *self.shipper.lock() = shipper;
    }

    /// Says whether this process has the lock of the directory from now on.
    pub(super) fn set_ours(&self, ours: bool) {
        self.ours.store(ours, Ordering::SeqCst);
    }

    /// Whether this process has the lock of the directory.
    #[must_use]
    pub fn are_ours(&self) -> bool {
        self.ours.load(Ordering::SeqCst)
    }

    fn shipper(&self) -> Option<Arc<dyn Ship>> {
        self.shipper.lock().clone()
    }

    /// Ships what the transaction whose turn it is has just made durable here.
    fn ship(&self) -> rusqlite::Result<()> {
        let Some(shipper) = self.shipper() else { return Ok(()) };
        let is_over = || self.given_up.load(Ordering::SeqCst);
        shipper.ship(&is_over).map_err(Unshipped::into_database)
    }

    /// Whether somebody stands in line behind the one whose turn it is.
    #[must_use]
    pub(crate) fn are_waited_for(&self) -> bool {
        self.line.lock().waiting.len() > 1
    }

    /// How often it was held for longer than a second.
    #[must_use]
    pub fn holds(&self) -> u64 {
        self.holds.load(Ordering::Relaxed)
    }

    /// Ends all waiting: the process is to end, and what was not written is read again.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
    }

    /// Waits again, in a state directory that is opened again.
    pub fn take_up(&self) {
        self.given_up.store(false, Ordering::SeqCst);
    }

    /// Begins to write when it is this connection's turn and the database is free. Without `patience` it waits as long
    /// as that takes.
    ///
    /// # Errors
    /// If the database is not free in time, or fails.
    pub fn begin<'c>(
        self: &Arc<Self>,
        connection: &'c Connection,
        patience: Option<Duration>,
    ) -> rusqlite::Result<Turn<'c>> {
        let until = patience.map(|patience| std::time::Instant::now() + patience);
        let place = self.stand_in_line(until).ok_or_else(busy)?;
        if let Some(why) = self.refusal() {
            return Err(why.into_database());
        }
        connection.busy_timeout(ASK)?;
        let transaction = self.ask(connection, until);
        connection.busy_timeout(BUSY)?;
        Ok(Turn { transaction: transaction?, place })
    }

    /// Keeps the writers of this process waiting until it is dropped; `None` if it is not our turn in time.
    pub(super) fn stand_aside(self: &Arc<Self>, patience: Duration) -> Option<Place> {
        self.stand_in_line(Some(std::time::Instant::now() + patience))
    }

    fn stand_in_line(self: &Arc<Self>, until: Option<std::time::Instant>) -> Option<Place> {
        let mut line = self.line.lock();
        let number = line.next;
        line.next += 1;
        line.waiting.push_back(number);
        while line.waiting.front() != Some(&number) {
            if self.is_over(until) {
                line.waiting.retain(|other| *other != number);
                return None;
            }
            self.moved.wait_for(&mut line, LOOK);
        }
        drop(line);
        Some(Place { turns: Arc::clone(self), number })
    }

    /// Writes: begins a transaction, does the work in it, and makes it durable. What fails is undone, and is explained here.
    ///
    /// # Errors
    /// If the database fails, or the work does; nothing is changed then.
    pub fn write<T>(
        self: &Arc<Self>,
        dir: &Path,
        connection: &Connection,
        patience: Option<Duration>,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, TransactionError>,
    ) -> Result<T, StoreError> {
        let run = || -> Result<T, TransactionError> {
            let turn = self.begin(connection, patience)?;
            let done = work(&turn)?;
            turn.commit()?;
            Ok(done)
        };
        run().map_err(|failed| failed.explained(dir))
    }

    fn ask<'c>(
        &self,
        connection: &'c Connection,
        until: Option<std::time::Instant>,
    ) -> rusqlite::Result<Transaction<'c>> {
        loop {
            // Immediate: a transaction that reads first cannot wait for another one when it comes to write.
            match Transaction::new_unchecked(connection, TransactionBehavior::Immediate) {
                Err(error) if is_busy(&error) => {
                    self.is_held();
                    // The next in line finds the database held since the same time.
                    if self.is_over(until) {
                        return Err(error);
                    }
                }
                done => {
                    let hold = self.hold.lock().take().filter(|hold| hold.told.is_some());
                    if let (Some(hold), true) = (hold, done.is_ok()) {
                        let seconds = hold.since.elapsed().as_secs();
                        tracing::info!(seconds, "the database of the state is free again");
                    }
                    return done;
                }
            }
        }
    }

    /// Notes that another program holds the database, and tells of it now and then.
    fn is_held(&self) {
        let mut hold = self.hold.lock();
        let hold = hold.get_or_insert_with(|| Hold { since: std::time::Instant::now(), told: None });
        let held = hold.since.elapsed();
        if held < TOLD || hold.told.is_some_and(|told| told.elapsed() < TOLD_AGAIN) {
            return;
        }
        self.holds.fetch_add(u64::from(hold.told.is_none()), Ordering::Relaxed);
        hold.told = Some(std::time::Instant::now());
        tracing::warn!(
            seconds = held.as_secs(),
            "another program holds the database of the state; writing waits for it, and nothing is lost; end that program (sqlite3, a backup tool, a check of the disk)"
        );
    }

    fn is_over(&self, until: Option<std::time::Instant>) -> bool {
        self.given_up.load(Ordering::SeqCst) || until.is_some_and(|until| std::time::Instant::now() >= until)
    }
}

/// A place in the line, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    turns: Arc<Turns>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut line = self.turns.line.lock();
        line.waiting.retain(|other| *other != self.number);
        if line.waiting.is_empty() {
            // Nobody asks any more, so nobody knows.
            self.turns.hold.lock().take();
        }
        drop(line);
        self.turns.moved.notify_all();
    }
}

/// A transaction that writes. It is undone unless it is committed.
#[derive(Debug)]
pub struct Turn<'c> {
    // Dropped first: the next in line finds the database free.
    transaction: Transaction<'c>,
    place: Place,
}

impl Turn<'_> {
    /// Makes it durable, here and where the state is replicated to.
    ///
    /// # Errors
    /// If the database fails, or another machine has the state now.
    pub fn commit(self) -> rusqlite::Result<()> {
        let Self { transaction, place } = self;
        transaction.commit()?;
        place.turns.ship()
    }
}

impl<'c> Deref for Turn<'c> {
    type Target = Transaction<'c>;

    fn deref(&self) -> &Transaction<'c> {
        &self.transaction
    }
}

/// Whether somebody else has what is asked for.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// What the database says when somebody else writes.
pub(crate) fn busy() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn database() -> (tempfile::TempDir, impl Fn() -> Connection) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let open = move || {
            let connection = Connection::open(&path).unwrap();
            connection.busy_timeout(Duration::ZERO).unwrap();
            connection
        };
        open().execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER)").unwrap();
        (dir, open)
    }

    /// A loop that writes again and again, as the delivery of 100,000 groups does, lets everybody else have a turn.
    #[test]
    fn a_greedy_writer_waits_for_those_in_line() {
        let (dir, open) = database();
        let turns = Turns::of(dir.path());
        let (stop, greedy) = (Arc::new(AtomicBool::new(false)), open());
        let (line, ends) = (Arc::clone(&turns), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::SeqCst) {
                let turn = line.begin(&greedy, None).unwrap();
                std::thread::sleep(Duration::from_millis(20));
                turn.commit().unwrap();
            }
        });
        let modest = open();
        for _ in 0..20 {
            let started = std::time::Instant::now();
            turns.begin(&modest, None).unwrap().commit().unwrap();
            assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        }
        stop.store(true, Ordering::SeqCst);
        thread.join().unwrap();
    }

    #[test]
    fn another_program_is_waited_for_and_told_and_patience_ends() {
        let (dir, open) = database();
        let turns = Turns::of(dir.path());
        let other = open();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let connection = open();
        let impatient = turns.begin(&connection, Some(Duration::from_millis(50))).map(|_| ());
        assert!(is_busy(&impatient.unwrap_err()));
        assert_eq!(turns.held_up(), None);

        let (line, connection) = (Arc::clone(&turns), open());
        let (sender, done) = mpsc::channel();
        std::thread::spawn(move || sender.send(line.begin(&connection, None).and_then(Turn::commit)));
        assert!(done.recv_timeout(Duration::from_millis(1300)).is_err());
        assert!(turns.held_up().unwrap() > Duration::from_secs(1));
        assert_eq!(turns.holds(), 1);
        other.execute_batch("ROLLBACK").unwrap();
        done.recv_timeout(Duration::from_secs(5)).unwrap().unwrap();
        assert_eq!(turns.held_up(), None);
    }

    /// Who gives up does not make the time shorter that the next in line has waited, nor is it another time.
    #[test]
    fn a_database_that_is_held_is_held_for_all_in_line() {
        let (dir, open) = database();
        let turns = Turns::of(dir.path());
        let other = open();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let begin = |patience: Option<Duration>| {
            let (line, connection) = (Arc::clone(&turns), open());
            std::thread::spawn(move || line.begin(&connection, patience).and_then(Turn::commit))
        };
        let impatient = begin(Some(Duration::from_millis(1300)));
        std::thread::sleep(Duration::from_millis(100));
        let patient = begin(None);
        assert!(is_busy(&impatient.join().unwrap().unwrap_err()));
        std::thread::sleep(Duration::from_millis(100));
        assert!(turns.held_up().unwrap() > Duration::from_millis(1300), "{:?}", turns.held_up());
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(turns.holds(), 1);
        other.execute_batch("ROLLBACK").unwrap();
        patient.join().unwrap().unwrap();
        assert_eq!((turns.held_up(), turns.holds()), (None, 1));
    }

    #[test]
    fn giving_up_ends_all_waiting() {
        let (dir, open) = database();
        let turns = Turns::of(dir.path());
        let other = open();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let (line, connection) = (Arc::clone(&turns), open());
                std::thread::spawn(move || line.begin(&connection, None).map(|_| ()))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(50));
        turns.give_up();
        for thread in waiting {
            assert!(is_busy(&thread.join().unwrap().unwrap_err()));
        }
        assert!(turns.line.lock().waiting.is_empty());
    }
}
