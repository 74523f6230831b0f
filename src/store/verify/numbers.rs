//! What must fit together: block numbers, ids, and findings with their columns.

use std::collections::BTreeSet;

use arrow::array::AsArray;

use super::{Check, CheckOutcome, Problems};
use crate::{
    engine::SavedWatermark,
    event::{Column, id_hash},
    finding::Finding,
    say,
    store::{JournalView, ReadOrder, SealedFile, Select, StoreError, explain},
};

/// Ids that are compared at once; with more, the journal is read once more for each so many.
const IDS: u64 = 64 << 20;

/// Block numbers go on without gaps from the first block to the last, sealed or not, and positions, checkpoint and
/// watermark can be read.
pub(crate) fn check(history: &JournalView) -> Result<Check, StoreError> {
    let snapshot = &history.snapshot;
    let connection = snapshot.connection();
    let fail = |error| explain(&snapshot.dir, error);
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).map_err(fail);
    let meta = |name: &str| {
        number(&format!("SELECT value FROM meta WHERE name = '{name}'")).map(Option::unwrap_or_default)
    };
    let (sealed, checkpoint, retired) = (meta("sealed")?, meta("checkpoint")?, meta("retired")?);
    let journal = "FROM journal INDEXED BY journal_times";
    let blocks = number(&format!("SELECT count(*) {journal}"))?.unwrap_or_default();
    let (first, last) =
        (number(&format!("SELECT min(seq) {journal}"))?, number(&format!("SELECT max(seq) {journal}"))?);
    let mut problems = Problems::default();
    if let (Some(first), Some(last)) = (first, last) {
        compare_blocks(&mut problems, (first, last), blocks, sealed);
    }
    let last = last.unwrap_or(sealed);
    if checkpoint > last || sealed > checkpoint {
        problems.add(say!(
            "these numbers do not fit together: sealed up to block {sealed}, checkpoint at {checkpoint}, the last block is {last}",
            sealed,
            checkpoint,
            last
        ));
    }
    compare_files(&mut problems, &snapshot.files, sealed, retired != 0);
    let sql = "SELECT count(*) FROM positions WHERE typeof(\"offset\") <> 'integer' OR \"offset\" < 0 OR records < 0";
    if number(sql)? != Some(0) {
        problems.add(say!("a position is no number"));
    }
    let watermark = connection.query_row("SELECT value FROM watermark", [], |row| row.get::<_, String>(0));
    if let Ok(text) = watermark
        && let Err(e) = serde_json::from_str::<SavedWatermark>(&text)
    {
        problems.add(say!("the watermark cannot be read: {error}", error = e));
    }
    let positions = number("SELECT count(*) FROM positions")?.unwrap_or_default();
    Ok(problems.check("numbers", say!("blocks up to {last}, {positions} positions", last, positions)))
}

/// The blocks of the journal follow one another, and what is sealed.
fn compare_blocks(problems: &mut Problems, (first, last): (i64, i64), blocks: i64, sealed: i64) {
    if last - first + 1 != blocks {
        let missing = last - first + 1 - blocks;
        problems.add(say!("of the blocks {first} to {last}, {missing} are missing", first, last, missing));
    }
    if first != sealed + 1 {
        problems.add(say!(
            "blocks up to {sealed} are sealed, and the first one after them is {first}",
            sealed,
            first
        ));
    }
}

/// The sealed files follow one another up to the last block that is sealed, but for those that were let go of.
fn compare_files(problems: &mut Problems, files: &[SealedFile], sealed: i64, are_retired: bool) {
    let mut covered = 0;
    for file in files {
        if file.first_seq > covered + 1 && !are_retired {
            let (first, last) = (covered + 1, file.first_seq - 1);
            problems.add(say!("no file has the sealed blocks {first} to {last}", first, last));
        }
        covered = covered.max(file.last_seq);
    }
    if covered > sealed || covered < sealed && !are_retired {
        problems.add(say!(
            "blocks are sealed up to {sealed}, and files have them up to {covered}",
            sealed,
            covered
        ));
    }
}

/// Each event is there once.
pub(crate) fn unique(history: &JournalView) -> Result<Check, StoreError> {
    let events = history.events()?;
    let passes = events.div_ceil(IDS).max(1);
    let mut problems = Problems::default();
    let mut seen = 0;
    for pass in 0..passes {
        let mut ids = Vec::with_capacity(usize::try_from(events / passes).unwrap_or(0));
        let columns = [Column::EventId.index()];
        each_id(history, &columns, |id| {
            let hash = id_hash(id);
            seen += 1;
            if hash % passes == pass {
                ids.push(hash);
            }
        })?;
        ids.sort_unstable();
        let twice: BTreeSet<u64> =
            ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        if !twice.is_empty() {
            let mut names = BTreeSet::new();
            each_id(history, &columns, |id| {
                if names.len() < super::TOLD && twice.contains(&id_hash(id)) {
                    names.insert(id.to_owned());
                }
            })?;
            names.iter().for_each(|name| problems.add(say!("event {name} is there more than once", name)));
            problems.count += (twice.len() - names.len()) as u64;
        }
    }
    if seen != events * passes {
        problems.add(say!(
            "{read} events were read, and {events} are registered",
            read = seen / passes,
            events
        ));
    }
    Ok(problems.check("event ids", say!("{events} events", events)))
}

fn each_id(history: &JournalView, columns: &[usize], mut take: impl FnMut(&str)) -> Result<(), StoreError> {
    for batch in history.scan(&Select::default(), Some(columns), ReadOrder::Any)? {
        batch?.column(0).as_string_view().iter().flatten().for_each(&mut take);
    }
    Ok(())
}

/// Findings can be read, and their columns are those of their bodies.
pub(crate) fn findings(history: &JournalView) -> Result<Check, StoreError> {
    let snapshot = &history.snapshot;
    let connection = snapshot.connection();
    let fail = |error| explain(&snapshot.dir, error);
    let sql = "SELECT finding_id, rule_id, severity, mode, event_id, body FROM findings ORDER BY seq";
    let mut statement = connection.prepare(sql).map_err(fail)?;
    let mut rows = statement.query([]).map_err(fail)?;
    let mut problems = Problems::default();
    let mut count = 0u64;
    while let Some(row) = rows.next().map_err(fail)? {
        count += 1;
        let text = |name: &str| row.get::<_, String>(name).map_err(fail);
        let id = text("finding_id")?;
        match serde_json::from_str::<Finding>(&text("body")?) {
            Ok(f) => {
                let event = f.event_id.unwrap_or_default();
                let own = [f.finding_id, f.rule_id, f.severity.to_string(), f.mode.to_string(), event];
                let columns = [text("rule_id")?, text("severity")?, text("mode")?, text("event_id")?];
                if own[0] != id || own[1..] != columns {
                    problems.add(say!("finding {id}: its columns are not those of its body", id));
                }
            }
            Err(e) => problems.add(say!("finding {id}: {error}", id, error = e)),
        }
    }
    let check = problems.check("findings", say!("{count} findings", count));
    debug_assert_ne!(check.outcome, CheckOutcome::Skipped);
    Ok(check)
}
