//! The events that can matter, through the parts of a rule.

use std::collections::{BTreeMap, BTreeSet};

use arrow::{
    array::{Array, AsArray},
    record_batch::RecordBatch,
};
use serde_json::Value;
use std::sync::Arc;

use super::{
    ExplainRequest,
    narrow::{Beside, columns, types},
};
use crate::{
    engine::{Dedup, Originals, SavedWatermark},
    evaluate::{Batch, Evaluation, Evaluator, Moved, Until, Windows},
    event::{Column, EventType, Instant, TimeDelta, event_schema, id_hash},
    finding::Finding,
    ledger::{AfterEvent, Ledger},
    rule::{
        Id, RuleId,
        compile::{ClosingRule, CompiledRule, CompiledView},
        probe::{Of, Probes},
        window::{AnomalyMethod, Season},
    },
    say,
    store::{JournalView, ReadOrder, Select, StoreError, Wide},
};

/// How late an event may be that still finds all of its window: a hundred years.
const LATE: TimeDelta = TimeDelta::days(36_500);

/// What the parts found.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// About the event, by the number of the part.
    pub own: BTreeMap<RuleId, Finding>,
    /// The events that pass `where`, with their times and amounts.
    pub passed: Vec<(String, Instant, Value)>,
    /// Those of them that the first window begins again at.
    pub marks: BTreeSet<String>,
    /// About windows, by the number of the part and the end of the window.
    pub windows: Vec<(RuleId, Instant, Finding)>,
    /// The windows that are over.
    pub closed: Until,
    pub errors: Option<String>,
}

impl Played {
    fn take(&mut self, at: Instant, finding: Finding, (probes, event): (&Probes, &str), counts: bool) {
        let Ok(number) = finding.rule_id.parse::<usize>().map(RuleId::new) else { return };
        let part = probes.parts.get(number).map(|part| &part.of);
        if finding.window.is_some() {
            self.windows.push((number, at, finding));
            return;
        }
        if part == Some(&Of::Since) {
            self.marks.extend(finding.event_id.clone());
        }
        if counts {
            let id = finding.event_id.clone().unwrap_or_default();
            self.passed.push((id, at, finding.values.get("amount").cloned().unwrap_or_default()));
        }
        if finding.event_id.as_deref() == Some(event) {
            self.own.insert(number, finding);
        }
    }
}

impl Played {
    /// What the parts found in a batch; `counts` says of which row and finding it is an event that passes `where`.
    fn take_all(
        &mut self,
        mut evaluation: Evaluation,
        of: (&Probes, &str),
        counts: &dyn Fn(usize, &Finding) -> bool,
    ) {
        let error = evaluation.counts.iter().find_map(|counts| counts.last_error.clone());
        self.errors = error.or(self.errors.take());
        let rows: Vec<_> = evaluation.found.iter().map(|found| found.row).collect();
        for (row, (at, _, finding)) in rows.into_iter().zip(evaluation.take_findings()) {
            let counts = counts(row, &finding);
            self.take(at, finding, of, counts);
        }
    }

    /// What they found about windows that were closed at the end.
    fn take_closed(&mut self, moved: Moved, of: (&Probes, &str)) {
        let error = moved.counts.iter().find_map(|counts| counts.last_error.clone());
        self.errors = self.errors.take().or(error);
        moved.closed.into_iter().for_each(|window| self.take(window.at, window.finding, of, false));
    }
}

/// How far windows before the event's own are looked back to.
fn reach_of(view: &ClosingRule, horizon: TimeDelta) -> TimeDelta {
    let seasons = view.anomaly.as_ref().filter(|(anomaly, _)| anomaly.method == AnomalyMethod::Seasonal);
    let times = seasons.map_or(1, |(anomaly, _)| match anomaly.season {
        Season::Weekday => 7,
        Season::Month => 12,
        Season::DayOfMonth => 31,
    });
    horizon.saturating_mul(times)
}

impl ExplainRequest<'_> {
    /// The part of the journal that can matter.
    fn part(&self, beside: Beside, arrival: i64) -> Select {
        let (at, reach) = (self.event.1, self.rule.horizon().unwrap_or_default());
        if let CompiledView::Closing(view) = &self.rule.view {
            // What came later belongs to the window too.
            let from = (!beside.balances).then(|| at.saturating_sub(reach_of(view, reach)));
            return Select { from, to: Some(at.saturating_add(view.size.longest())), ..Select::default() };
        }
        let alone = !beside.balances && !beside.originals;
        let from = alone.then(|| at.saturating_sub(reach));
        let to = (alone && reach == TimeDelta::ZERO).then(|| at.saturating_add(TimeDelta::MICROSECOND));
        Select { from, to, until: Some(arrival), ..Select::default() }
    }

    /// The windows that are over.
    fn closed(&self, watermark: &SavedWatermark) -> Until {
        // At its end the input has no window that is open.
        let has_ended =
            self.lateness > TimeDelta::ZERO && watermark.at.is_some() && watermark.at == watermark.latest;
        match watermark.settled.or(watermark.at) {
            _ if has_ended => Until::Everything,
            Some(at) => Until::At(at),
            None => Until::Nothing,
        }
    }

    /// Plays the events through the parts: those up to this one, and of windows that close all. `None` if there is too little
    /// time.
    pub(super) fn play(
        &self,
        probes: &Probes,
        history: &JournalView,
        (arrival, own): (i64, &RecordBatch),
    ) -> Result<Option<Played>, StoreError> {
        let begun = std::time::Instant::now();
        let schema = event_schema(&self.calendar.zone_name);
        let reads = |of: fn(&CompiledRule) -> bool| probes.rules.rules.iter().any(of);
        let beside = Beside {
            balances: reads(CompiledRule::reads_balances),
            originals: reads(CompiledRule::reads_original),
        };
        let watermark = history.watermark()?;
        let journal = self.journal_from.or(watermark.first).map(|first| self.calendar.journal_start(first));
        let columns = columns(probes);
        let mut wide = Wide::new(&schema, &columns);
        let evaluator = Evaluator::new(Arc::clone(&probes.rules), Arc::clone(self.calendar));
        let mut windows = Windows::new(&probes.rules, self.calendar, LATE, None);
        windows.complete_from(journal.map(|journal| journal.at));
        let (mut ledger, mut originals) = (Ledger::default(), Originals::default());
        ledger.group_by(&probes.rules.groupings());
        ledger.whole_from(journal.map(|journal| journal.year));
        let counting = probes.counting();
        let mut played = Played { closed: self.closed(&watermark), ..Played::default() };
        for batch in history.scan(&self.part(beside, arrival), Some(&columns), ReadOrder::Arrival)? {
            if begun.elapsed() > self.time {
                return Ok(None);
            }
            let damaged = |e: arrow::error::ArrowError| self.damaged(e.to_string());
            let narrow = self.narrowed(&batch?, own, beside).map_err(damaged)?;
            let in_key = self.beside_window(&narrow, own).map_err(damaged)?;
            let events = wide.batch(&narrow).map_err(|e| self.damaged(e.to_string()))?;
            let types = types(&events).ok_or_else(|| self.damaged(say!("an event of unknown type")))?;
            let mut after = AfterEvent::default();
            if beside.balances || beside.originals {
                after = ledger.apply(&events, &types);
            }
            if beside.originals {
                name(&mut originals, &events, &types, &mut after);
            }
            let attributes = ledger.attributes();
            let batch = Batch { events: &events, types: &types, after: &after, attributes: &attributes };
            let prepared = evaluator.prepare(&batch);
            // No watermark: windows are closed at the end.
            let moved = windows.observe(&prepared, &vec![Until::in_column(None); types.len()]);
            let counts = |row: usize, finding: &Finding| {
                in_key.as_ref().is_none_or(|window| window.value(row))
                    && counting.is_some_and(|number| finding.rule_id == number.number().to_string())
            };
            played.take_all(prepared.conclude(moved), (probes, self.event.0), &counts);
        }
        // What is not over yet is told as it stands.
        let mut moved = Moved::default();
        windows.end(0, &mut moved);
        played.take_closed(moved, (probes, self.event.0));
        Ok(Some(played))
    }
}

/// Tells the events that name others which ones those are, as far as they came before.
fn name(originals: &mut Originals, events: &RecordBatch, types: &[EventType], after: &mut AfterEvent) {
    let text = |column: Column| events.column(column.index()).as_string_view();
    let (ids, names) = (text(Column::EventId), text(Column::OriginalEventId));
    originals.begin(events, true);
    let mut naming = after.named.iter_mut().peekable();
    for (row, of) in types.iter().enumerate() {
        originals.accept(*of, id_hash(ids.value(row)), row);
        if let Some(naming) = naming.next_if(|naming| naming.row as usize == row) {
            let named = names.is_valid(row).then(|| names.value(row));
            // All of them are at hand: nothing is looked up in the journal.
            let found = named.map(|id| originals.find(id, id_hash(id), &Dedup::default()));
            naming.original = found.and_then(Result::ok).flatten();
        }
    }
    // The journal is not asked, so there is nothing that can fail.
    let _ = originals.end(0);
}
