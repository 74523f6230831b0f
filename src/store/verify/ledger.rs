//! The balances: those of the checkpoint and the journal after it, against those that the whole journal gives.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::SchemaRef;

use super::{Check, Problems};
use crate::{
    event::Cents,
    ledger::{Attributes, Balances, LEDGER_COLUMNS, Ledger, Line},
    say,
    store::{JournalView, StoreError, checkpoint, query},
};

pub(crate) fn check(history: &JournalView, schema: &SchemaRef) -> Result<Check, StoreError> {
    let snapshot = &history.snapshot;
    let retired = history.retired()?;
    if retired > 0 {
        let why = say!(
            "{retired} events were deleted for state.retain, so the journal does not give all balances",
            retired
        );
        return Ok(Check::skipped("ledger", why));
    }
    // Damage is named by its line here, so the table's checksum is not asked first.
    let checkpoint = checkpoint::read_unchecked(&snapshot.dir, &snapshot.connection())?;
    let stored = query::ledger(&snapshot.dir, &snapshot.connection(), schema, checkpoint)?;
    let mut counted = Ledger::default();
    let columns: Vec<usize> = LEDGER_COLUMNS.iter().map(|column| column.index()).collect();
    history.replay(None, &columns, &mut |batch, types| drop(counted.apply(batch, types)))?;
    let mut problems = Problems::default();
    compare(&stored, &counted, &mut problems);
    compare_indicators(&stored, &counted, &mut problems);
    compare_confirmations(&stored, &counted, &mut problems);
    let mut moved = [Cents::ZERO; 2];
    for (line, _) in counted.lines() {
        moved[0] += line.balances.transferred;
        moved[1] += line.balances.corrected;
    }
    if moved != [Cents::ZERO; 2] {
        let [transfers, corrections] = moved.map(|cents| cents.to_string());
        problems.add(say!(
            "transfers sum to {transfers}, corrections to {corrections}; each must be 0",
            transfers,
            corrections
        ));
    }
    let detail = say!(
        "{lines} budget lines, {applications} open applications, {indicators} indicators",
        lines = counted.len(),
        applications = counted.open_applications(),
        indicators = counted.indicators().iter().count()
    );
    Ok(problems.check("ledger", detail))
}

fn compare(stored: &Ledger, counted: &Ledger, problems: &mut Problems) {
    fn by_id(ledger: &Ledger) -> BTreeMap<&str, (&Line, &Attributes)> {
        ledger.lines().map(|(line, attributes)| (&*line.id, (line, attributes))).collect()
    }
    let (stored_lines, counted_lines) = (by_id(stored), by_id(counted));
    let ids: BTreeSet<_> = stored_lines.keys().chain(counted_lines.keys()).collect();
    for id in ids {
        match (stored_lines.get(id), counted_lines.get(id)) {
            (Some((s, s_is)), Some((c, c_is))) => {
                for (name, sum) in SUMS {
                    let (s, c) = (sum(&s.balances), sum(&c.balances));
                    if s != c {
                        let (s, c) = (s.to_string(), c.to_string());
                        problems.add(say!(
                            "{id}: {name} is {stored}, and the journal gives {counted}",
                            id,
                            name,
                            stored = s,
                            counted = c
                        ));
                    }
                }
                if s_is != c_is || s.last_event_at != c.last_event_at {
                    problems.add(say!("{id}: its attributes are not those that the journal gives", id));
                }
            }
            (Some(_), None) => problems.add(say!("{id}: no event of the journal names this line", id)),
            _ => problems.add(say!("{id}: the line is missing", id)),
        }
    }
    let stored: BTreeMap<_, _> = stored.saved_applications().collect();
    let counted: BTreeMap<_, _> = counted.saved_applications().collect();
    for id in stored.keys().chain(counted.keys()).collect::<BTreeSet<_>>() {
        if stored.get(id) != counted.get(id) {
            problems.add(say!("application {id} is not as the journal gives it", id));
        }
    }
}

fn compare_indicators(stored: &Ledger, counted: &Ledger, problems: &mut Problems) {
    let ids =
        |ledger: &Ledger| ledger.indicators().iter().map(|(id, _)| id.to_owned()).collect::<BTreeSet<_>>();
    for id in &ids(stored) | &ids(counted) {
        if stored.indicators().get(&id) != counted.indicators().get(&id) {
            problems.add(say!("indicator {id} is not as the journal gives it", id));
        }
    }
}

fn compare_confirmations(stored: &Ledger, counted: &Ledger, problems: &mut Problems) {
    let [stored, counted] = [stored, counted].map(|l| l.saved_confirmations().collect::<BTreeMap<_, _>>());
    for id in stored.keys().chain(counted.keys()).collect::<BTreeSet<_>>() {
        if stored.get(id) != counted.get(id) {
            problems.add(say!(
                "what is cleared of the payment {id}, which has not come, is not as the journal gives it",
                id
            ));
        }
    }
}

type Sum = fn(&Balances) -> Cents;
const SUMS: [(&str, Sum); 10] = [
    ("total", |b| b.total),
    ("executed", |b| b.executed),
    ("frozen", |b| b.frozen),
    ("reserved", |b| b.reserved),
    ("planned", |b| b.planned),
    ("transferred", |b| b.transferred),
    ("corrected", |b| b.corrected),
    ("opening", |b| b.opening),
    ("refunded", |b| b.refunded),
    ("cleared", |b| b.cleared),
];
