//! One batch, one transaction.

use rusqlite::{Connection, Transaction, named_params, params};

use super::{
    QuarantineLimit, Store, StoreError,
    alerts::{self, CauseTimes},
    checkpoint::{self, LineSums},
    checksums::{self, SumUpdate, meta, set_meta},
    decisions,
    error::TransactionError,
    in_force,
    named::insert,
    passed, quarantine, reach, ticks, versions,
};
use crate::{
    alert::{Cleared, Desk, Filing},
    engine::{Intake, ListsStep, SavedWatermark, Ticked},
    evaluate::schedule::PassedTick,
    event::Instant,
    finding::Finding,
    journal::JournalBlock,
    stream::{Position, Span},
};

/// All that one transaction stores.
#[derive(Debug, Default)]
pub struct Commit {
    /// What sequencing left of it.
    pub intake: Intake,
    /// The accepted events as blocks of the journal.
    pub journal: Vec<JournalBlock>,
    /// What the rules found.
    pub findings: Vec<Filing>,
    /// Conditions that stopped being true.
    pub cleared: Vec<Cleared>,
    /// How far event time has come after this commit.
    pub watermark: Option<SavedWatermark>,
    /// Rules on a schedule that were evaluated, each after so many of the blocks.
    pub ticks: Vec<Ticked>,
    /// The rules that it was judged by with their digests, if they are others than those of the last commit.
    pub rules: Option<Vec<(String, i64)>>,
    /// What is to be stored about lists that have changed.
    pub lists: Option<ListsStep>,
    /// Ticks that were passed without an answer.
    pub passed: Vec<PassedTick>,
    /// It is stored even if only the watermark is new.
    pub again: bool,
    /// The time of the commit, for quarantine and alerts.
    pub now: Instant,
    /// When the first of its records was read, for how long notifications take.
    pub received_at: Option<Instant>,
}

/// What became of a commit that is stored.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The places of the findings that were not stored before, in order, each with the alert that it was filed under.
    pub findings: Vec<(usize, Option<String>)>,
    /// The alerts that resolved.
    pub resolved: Vec<String>,
    /// The bytes in quarantine.
    pub quarantine_bytes: u64,
    /// Which of the rejects the quarantine had no room for.
    pub overflow: Vec<usize>,
}

impl Commit {
    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.intake.is_empty()
            && self.journal.is_empty()
            && self.ticks.is_empty()
            && self.findings.is_empty()
            && self.cleared.is_empty()
            && self.lists.is_none()
            && self.passed.is_empty()
            && !self.again
    }

    /// Adds what follows directly on this commit.
    pub fn append(&mut self, next: Self) {
        self.intake.append(next.intake);
        let blocks = i64::try_from(self.journal.len()).unwrap_or(i64::MAX);
        let later = next.ticks.into_iter().map(|tick| Ticked { block: tick.block + blocks, ..tick });
        self.ticks.extend(later);
        self.journal.extend(next.journal);
        let before = self.findings.len();
        self.findings.extend(next.findings);
        self.cleared.extend(next.cleared.into_iter().map(|c| Cleared { before: c.before + before, ..c }));
        self.passed.extend(next.passed);
        self.again |= next.again;
        self.rules = next.rules.or(self.rules.take());
        self.lists = next.lists.or(self.lists.take());
        self.now = self.now.max(next.now);
        self.received_at = self.received_at.into_iter().chain(next.received_at).min();
        self.watermark = next.watermark.or(self.watermark.take());
    }
}

impl Store {
    /// Stores all of it durably, or nothing. A finding that is stored already is not stored again; the others become alerts
    /// at the desk, and what it wants to tell goes to the outbox.
    ///
    /// # Errors
    /// If the positions have a gap or an overlap, or the database cannot write. Nothing is stored then.
    pub fn commit(&mut self, commit: &Commit, desk: &Desk) -> Result<Committed, StoreError> {
        let (dir, limit) = (&self.dir, &self.quarantine);
        let reach = |name: &str| reach(dir, name);
        // Of a transaction that fails nothing is remembered.
        let mut lines = std::mem::take(&mut self.lines);
        // However long another program takes: the stream waits, and nothing is lost.
        let committed = self.turns.write(dir, &self.connection, None, |transaction| {
            write(transaction, commit, desk, (limit, &mut lines), &reach)
        })?;
        self.lines = lines;
        reach("commit.done")?;
        Ok(committed)
    }
}

fn write(
    transaction: &Transaction<'_>,
    commit: &Commit,
    desk: &Desk,
    (limit, lines): (&QuarantineLimit, &mut LineSums),
    reach: &dyn Fn(&str) -> Result<(), StoreError>,
) -> Result<Committed, TransactionError> {
    reach("commit.begun")?;
    positions(transaction, &commit.intake.spans)?;
    reach("commit.positions")?;
    if let Some(rules) = &commit.rules {
        in_force::write(transaction, rules)?;
    }
    if let Some(lists) = &commit.lists {
        in_force::write_lists(transaction, lists)?;
    }
    let before = last_seq(transaction)?;
    let seq = journal(transaction, &commit.journal)?;
    ticks::write(transaction, &commit.ticks, before)?;
    reach("commit.journal")?;
    versions::write(transaction, &commit.intake.versions)?;
    reach("commit.versions")?;
    decisions::write(transaction, &commit.intake.decided)?;
    let stored = findings(transaction, &commit.findings)?;
    reach("commit.findings")?;
    let times = CauseTimes { now: commit.now, received_at: commit.received_at.unwrap_or(commit.now) };
    let filed = alerts::file(transaction, desk, (&commit.findings, &stored), &commit.cleared, times)?;
    reach("commit.alerts")?;
    watermark(transaction, commit.watermark.as_ref())?;
    passed::write(transaction, &commit.passed)?;
    reach("commit.watermark")?;
    let (quarantine_bytes, overflow) = quarantine::write(transaction, commit, limit)?;
    reach("commit.quarantine")?;
    if commit.intake.duplicates > 0 {
        let before = meta(transaction, "duplicates")?;
        set_meta(transaction, "duplicates", before.saturating_add_unsigned(commit.intake.duplicates))?;
    }
    if let Some(changes) = &commit.intake.checkpoint {
        checkpoint::write(transaction, changes, lines, seq)?;
    }
    reach("commit.ready")?;
    let new = filed.alerts.into_iter().enumerate().filter(|(at, _)| stored[*at].is_some());
    Ok(Committed { findings: new.collect(), resolved: filed.resolved, quarantine_bytes, overflow })
}

fn positions(transaction: &Transaction<'_>, spans: &[Span]) -> Result<(), TransactionError> {
    let sql = "SELECT \"offset\" FROM positions WHERE source = :source AND partition = :partition";
    let mut read = transaction.prepare_cached(sql)?;
    let mut change = SumUpdate::of(transaction, &checksums::POSITIONS);
    for span in spans {
        let (source, partition) = (&*span.source, &*span.partition);
        let named = named_params! { ":source": source, ":partition": partition };
        let at = match read.query_row(named, |row| row.get::<_, u64>(0)) {
            Ok(at) => Some(at),
            Err(rusqlite::Error::QueryReturnedNoRows) => None,
            Err(error) => return Err(error.into()),
        };
        // A partition may start anywhere the first time (Kafka's retention), and then only where it stands.
        if let Some(at) = at.filter(|at| *at != span.from) {
            let (source_name, partition) = (source.to_owned(), partition.to_owned());
            return Err(StoreError::Gap { source_name, partition, from: span.from, at }.into());
        }
        let Position { offset, records, token } = &span.to;
        let key = params![source, partition];
        change.before(key)?;
        insert!(transaction, "INSERT OR REPLACE INTO positions", {
            source, partition, offset, records, token,
        })?;
        change.after(key)?;
    }
    Ok(change.end()?)
}

/// Returns the number of the last block. Numbers go on when all blocks are sealed and gone.
fn journal(transaction: &Transaction<'_>, blocks: &[JournalBlock]) -> rusqlite::Result<i64> {
    let mut seq = last_seq(transaction)?;
    let mut change = SumUpdate::of(transaction, &checksums::JOURNAL);
    for b in blocks {
        seq += 1;
        let checksum = JournalBlock::checksum(&b.block, &b.ids);
        let JournalBlock { events, first_at, last_at, block, ids, .. } = b;
        insert!(transaction, "INSERT INTO journal", {
            seq, events, first_at, last_at, block, ids, checksum,
        })?;
        change.after([seq])?;
    }
    change.end()?;
    Ok(seq)
}

/// The number of the last journal block, in the table or sealed.
pub(crate) fn last_seq(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT max(coalesce((SELECT max(seq) FROM journal), 0), (SELECT value FROM meta WHERE name = 'sealed'))";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

fn watermark(transaction: &Transaction<'_>, watermark: Option<&SavedWatermark>) -> rusqlite::Result<()> {
    let Some(watermark) = watermark else { return Ok(()) };
    let value =
        serde_json::to_string(watermark).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    let mut change = SumUpdate::of(transaction, &checksums::WATERMARK);
    change.before([1])?;
    insert!(transaction, "INSERT OR REPLACE INTO watermark", { id: 1, value })?;
    change.after([1])?;
    change.end()
}

/// A window that is judged again after a restart may find what was found before, and so may an event that is sent again
/// after its file was retired: it is stored once. Gives the row of each, `None` for one that was stored before.
fn findings(transaction: &Transaction<'_>, findings: &[Filing]) -> rusqlite::Result<Vec<Option<i64>>> {
    let mut stored = Vec::with_capacity(findings.len());
    let mut change = SumUpdate::of(transaction, &checksums::FINDINGS);
    for Filing { at, finding: f, .. } in findings {
        let body = serde_json::to_string(f).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
        let event_id = f.event_id.as_deref().unwrap_or_default();
        let Finding { finding_id, rule_id, severity, mode, .. } = f;
        let written = insert!(transaction, "INSERT OR IGNORE INTO findings", {
            finding_id, rule_id, severity, mode, at, event_id, body,
        })?;
        let row = (written > 0).then(|| transaction.last_insert_rowid());
        if let Some(row) = row {
            change.after([row])?;
        }
        stored.push(row);
    }
    change.end()?;
    Ok(stored)
}
