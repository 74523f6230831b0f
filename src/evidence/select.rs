//! Which events of the journal a pack carries: those of the budget lines and of the key of its findings first, then what was
//! shortly before, then all. The narrowest choice that gives the findings again is taken.

use std::collections::{BTreeSet, HashSet};

use arrow::{
    array::{Array, AsArray},
    datatypes::{Int64Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use serde_json::{Map, Value};

use crate::{
    decode::versions::fields,
    event::{Column, Instant, TimeDelta, schema::field},
    finding::Finding,
    journal::layout::ARRIVAL,
    store::{JournalView, ReadOrder, Select, StoreError},
};

/// What is looked for.
#[derive(Debug, Default)]
pub(crate) struct EventSelector {
    lines: BTreeSet<String>,
    /// The columns of events that tell the key, with their values.
    key: Vec<(Column, String)>,
    /// The events of findings.
    ids: BTreeSet<String>,
    /// The end of the latest window or the latest tick; `None` if all findings are of events.
    until: Option<Instant>,
    /// Time must have gone so far for that to be found.
    moved: Instant,
}

/// How much is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selection {
    /// Events of the same budget lines and the same key, and those that they name.
    Own,
    /// Beside them all events from this time on.
    Recent(Instant),
    /// All up to the findings.
    All,
}

impl Selection {
    /// Its word in the manifest.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Recent(_) => "recent",
            Self::All => "all",
        }
    }
}

/// An event as it is looked at.
struct Row<'b> {
    batch: &'b RecordBatch,
    row: usize,
}

impl Row<'_> {
    fn text(&self, column: Column) -> Option<&str> {
        let array = self.batch.column_by_name(column.spec().name)?.as_string_view_opt()?;
        array.is_valid(self.row).then(|| array.value(self.row))
    }

    fn at(&self) -> Instant {
        let times = self.batch.column_by_name(Column::OccurredAt.spec().name);
        let times = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>());
        times.map_or(Instant::EPOCH, |times| Instant::from_micros(times.value(self.row)))
    }

    fn arrival(&self) -> i64 {
        let arrivals = self.batch.column_by_name(ARRIVAL);
        arrivals
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
            .map_or(0, |all| all.value(self.row))
    }
}

const NAMING: [Column; 2] = [Column::ApplicationId, Column::OriginalEventId];
const LINES: [Column; 2] = [Column::BudgetLineId, Column::ToBudgetLineId];

pub(crate) enum Chosen {
    /// Events with their places in the journal, in its order.
    Events(Vec<(i64, Map<String, Value>)>),
    /// There are more than may be carried.
    TooMany,
}

impl EventSelector {
    /// For these findings, of which each has its time; events may be so late.
    pub(crate) fn of(findings: &[(Instant, Finding)], lateness: TimeDelta) -> Self {
        let mut wanted = Self::default();
        for (at, finding) in findings {
            match &finding.event_id {
                Some(id) => drop(wanted.ids.insert(id.clone())),
                None => {
                    wanted.until = wanted.until.max(Some(*at));
                    wanted.moved = wanted.moved.max(at.saturating_add(lateness));
                }
            }
            let columns = finding.key.iter().chain(&finding.values);
            let line = |(name, value): (&String, &Value)| {
                LINES.iter().any(|of| of.spec().name == name).then(|| value.as_str().map(str::to_owned))?
            };
            wanted.lines.extend(columns.filter_map(line));
        }
        if let Some((_, finding)) = findings.first() {
            let told = |(name, value): (&String, &Value)| {
                Some((*Column::ALL.get(field(name)?.0)?, value.as_str()?.to_owned()))
            };
            wanted.key = finding.key.iter().filter_map(told).collect();
        }
        wanted
    }

    /// Chooses events of the journal; not more than `most`.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub(crate) fn choose(
        &mut self,
        history: &JournalView,
        choice: Selection,
        most: usize,
    ) -> Result<Chosen, StoreError> {
        let last = self.last(history)?;
        let mut chosen: HashSet<i64> = HashSet::new();
        let mut named: HashSet<String> = HashSet::new();
        // What an event names mostly came before it; the second time what the first named is there.
        for round in 0..2 {
            let mut full = false;
            each(history, &self.columns(), last, |row| {
                let own = self.is_own(row) || row.text(Column::EventId).is_some_and(|id| named.contains(id));
                if own && round == 0 {
                    named.extend(NAMING.iter().filter_map(|column| row.text(*column)).map(str::to_owned));
                }
                let taken = match choice {
                    Selection::Own => own,
                    Selection::Recent(from) => own || row.at() >= from,
                    Selection::All => true,
                };
                if taken || Some(row.arrival()) == last.moved_by {
                    chosen.insert(row.arrival());
                    full |= chosen.len() > most;
                }
                !full
            })?;
            if full {
                return Ok(Chosen::TooMany);
            }
        }
        let mut events = Vec::with_capacity(chosen.len());
        let all: Vec<Column> = Column::ALL.to_vec();
        each(history, &all, last, |row| {
            if chosen.contains(&row.arrival()) {
                events.push((row.arrival(), fields(&event_of(row), 0)));
            }
            true
        })?;
        Ok(Chosen::Events(events))
    }

    /// Where the part of the journal ends that matters, and the event that moved time on. Learns the lines of the events of
    /// findings on the way.
    fn last(&mut self, history: &JournalView) -> Result<Last, StoreError> {
        let mut last = Last::default();
        let mut latest = Instant::MIN;
        let columns = [Column::EventId, Column::OccurredAt, LINES[0], LINES[1]];
        let (ids, until, moved) = (self.ids.clone(), self.until, self.moved);
        let lines = &mut self.lines;
        each(history, &columns, Last::open(), |row| {
            if row.text(Column::EventId).is_some_and(|id| ids.contains(id)) {
                last.arrival = last.arrival.max(row.arrival());
                lines.extend(LINES.iter().filter_map(|column| row.text(*column)).map(str::to_owned));
            }
            if until.is_some() && (row.at() > latest || last.moved_by.is_none()) && latest < moved {
                (latest, last.moved_by) = (row.at(), Some(row.arrival()));
            }
            true
        })?;
        // A late event may have come after the one that moved time on.
        last.until = until;
        Ok(last)
    }

    fn is_own(&self, row: &Row<'_>) -> bool {
        let of_line =
            LINES.iter().any(|column| row.text(*column).is_some_and(|line| self.lines.contains(line)));
        let has = |(column, value): &(Column, String)| row.text(*column) == Some(value.as_str());
        let of_key = !self.key.is_empty() && self.key.iter().all(has);
        of_line || of_key || row.text(Column::EventId).is_some_and(|id| self.ids.contains(id))
    }

    fn columns(&self) -> Vec<Column> {
        let mut columns = vec![Column::EventId, Column::OccurredAt];
        columns.extend(LINES.iter().chain(&NAMING));
        columns.extend(self.key.iter().map(|(column, _)| *column));
        columns
    }
}

/// The end of what matters.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    /// The place of the last event of a finding.
    arrival: i64,
    /// Events up to this time, wherever they stand.
    until: Option<Instant>,
    /// The place of the event that moved time on.
    moved_by: Option<i64>,
}

impl Last {
    /// Of everything.
    fn open() -> Self {
        Self { arrival: i64::MAX, ..Self::default() }
    }

    fn has(&self, row: &Row<'_>) -> bool {
        row.arrival() <= self.arrival
            || self.until.is_some_and(|until| row.at() <= until)
            || Some(row.arrival()) == self.moved_by
    }
}

/// Goes through the part of the journal that matters, until `take` has enough.
fn each(
    history: &JournalView,
    columns: &[Column],
    last: Last,
    mut take: impl FnMut(&Row<'_>) -> bool,
) -> Result<(), StoreError> {
    let mut places: Vec<usize> = columns.iter().map(|column| column.index()).collect();
    places.sort_unstable();
    places.dedup();
    for batch in history.scan(&Select::default(), Some(&places), ReadOrder::Arrival)? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let row = Row { batch: &batch, row };
            if last.has(&row) && !take(&row) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One row, in the columns of the event schema.
fn event_of(row: &Row<'_>) -> RecordBatch {
    let columns: Vec<usize> = (0..Column::COUNT).collect();
    row.batch.slice(row.row, 1).project(&columns).unwrap_or_else(|_| row.batch.slice(row.row, 1))
}
