//! Rules on a schedule: the row that the query had for the event at a tick, or which of its conditions kept it out.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use serde_json::Value;

use super::{EventVerdict, ExplainRequest, Explained, Holds, narrow::types};
use crate::{
    evaluate::{
        LedgerTables,
        schedule::{self, Due, Means, QueryLimits, Ran, Tables},
    },
    event::{Column, EventType, Instant, event_schema},
    finding::Finding,
    journal::layout::{arrival as arrival_of, block_of},
    ledger::{LEDGER_COLUMNS, Ledger},
    rule::{
        Id, RuleId,
        compile::CompiledView,
        probe::{Of, Probes},
        query::ScheduleRule,
    },
    say,
    sql::{
        tables::{self, ALERTS, FINDINGS},
        value,
    },
    store::{CaseQuery, Cases, JournalTable, JournalView, ReadOrder, Reader, Select, StoreError, Wide},
};

/// Ticks around the one that is explained that are named.
const TICKS_MAX: usize = 8;

/// A tick of a rule on a schedule.
#[derive(Debug)]
pub(crate) struct Tick {
    pub at: Instant,
    /// How many rows the query had.
    pub rows: usize,
    /// The rows that tell of the event.
    pub own: Vec<Finding>,
    /// The ticks that saw the event, the first of them.
    pub others: Vec<Instant>,
}

/// What a tick saw of the journal.
type Seen = (Instant, Select);

impl ExplainRequest<'_> {
    /// What the rule said of the event when it was due.
    pub(super) fn at_tick(
        &self,
        probes: &Probes,
        history: &JournalView,
        (arrival, own): (i64, &RecordBatch),
        stored: &[(Instant, Finding)],
    ) -> Result<Explained, StoreError> {
        let begun = std::time::Instant::now();
        let about = About::new(self, own);
        let (ticks, mut limits) = self.ticks(history, arrival)?;
        let hit = stored.iter().filter(|(_, finding)| about.is_meant(finding)).map(|(at, _)| *at).min();
        let wanted = self.tick.or(hit);
        let seen = match wanted {
            Some(at) => ticks.iter().find(|(tick, _)| *tick == at),
            None => ticks.iter().find(|(tick, _)| *tick >= self.event.1),
        };
        let Some((tick, select)) = seen.copied() else {
            let why = match wanted {
                Some(_) => say!("the rule was not due then, or it had not seen the event"),
                None => say!("the rule has not been due since the event came"),
            };
            limits.push(why);
            return Ok(Explained::without(EventVerdict::Waiting, limits));
        };
        let CompiledView::Schedule(query) = &self.rule.view else {
            return Ok(Explained::without(EventVerdict::Unknown, limits));
        };
        if query.tables.contains(ALERTS) {
            limits.push(say!("alerts are as they are now, and not as they were at the tick"));
        }
        let Some(ledger) = self.ledger(query, history, (tick, &select), begun)? else {
            return Ok(Explained::too_long());
        };
        let run = Run {
            asked: self,
            probes,
            due: Due { tick, rule: Id::new(0), ledger, attempt: 0 },
            tables: Arc::new(AtTick::new(self, history, (tick, select))),
        };
        let mut explained = run.explain(&about, begun)?;
        explained.limits.splice(0..0, limits);
        if let Some(told) = &mut explained.tick {
            told.others = ticks.iter().map(|(at, _)| *at).take(TICKS_MAX).collect();
        }
        Ok(explained)
    }

    /// The ticks of the rule that saw the event, with what they saw.
    fn ticks(&self, history: &JournalView, arrival: i64) -> Result<(Vec<Seen>, Vec<String>), StoreError> {
        if let Some(noted) = history.ticks()? {
            let of_rule = noted.into_iter().filter(|tick| tick.rule_id == self.rule.rule.id);
            let seen = of_rule.filter(|tick| tick.block >= block_of(arrival));
            let until = |block: i64| Some(arrival_of(block + 1, 0) - 1);
            let mut seen: Vec<Seen> = seen
                .map(|tick| (tick.at, Select { until: until(tick.block), ..Select::default() }))
                .collect();
            seen.sort_by_key(|(at, _)| *at);
            return Ok((seen, Vec::new()));
        }
        // Of a state of before it is not known what a tick saw: the events before it are taken.
        let (mut at, mut seen) = (self.event.1, Vec::new());
        let latest = history.watermark()?.at.unwrap_or(Instant::MIN);
        if let CompiledView::Schedule(query) = &self.rule.view {
            while let Some(next) = query.ticks.next_after(self.calendar, at).filter(|next| *next <= latest) {
                seen.push((next, Select { to: Some(next), ..Select::default() }));
                at = next;
                if seen.len() > 400 {
                    break;
                }
            }
        }
        Ok((seen, vec![say!("what the tick saw is not noted in this state; all events before it are taken")]))
    }

    /// What the ledger held at a tick, as far as the query reads it; `None` if there is too little time.
    fn ledger(
        &self,
        query: &ScheduleRule,
        history: &JournalView,
        (tick, select): (Instant, &Select),
        begun: std::time::Instant,
    ) -> Result<Option<LedgerTables>, StoreError> {
        if !LedgerTables::are_read_by(query) {
            return Ok(Some(LedgerTables::default()));
        }
        let first = self.journal_from.or(history.watermark()?.first);
        let mut ledger = Ledger::default();
        ledger.whole_from(first.map(|first| self.calendar.journal_start(first).year));
        let schema = event_schema(&self.calendar.zone_name);
        let columns: Vec<usize> = LEDGER_COLUMNS.iter().map(|column| column.index()).collect();
        let mut wide = Wide::new(&schema, &columns);
        for batch in history.scan(select, Some(&columns), ReadOrder::Arrival)? {
            if begun.elapsed() > self.time {
                return Ok(None);
            }
            let events = wide.batch(&batch?).map_err(|e| self.damaged(e.to_string()))?;
            let types = types(&events).ok_or_else(|| self.damaged(say!("an event of unknown type")))?;
            ledger.apply(&events, &types);
        }
        Ok(Some(LedgerTables::read_by(&[query], &ledger, self.calendar, tick)))
    }
}

/// A tick once more.
struct Run<'r> {
    asked: &'r ExplainRequest<'r>,
    probes: &'r Probes,
    due: Due,
    tables: Arc<AtTick>,
}

impl Run<'_> {
    fn explain(&self, about: &About, begun: std::time::Instant) -> Result<Explained, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| StoreError::Request(e.to_string()))?;
        let run = |rule: RuleId| {
            let time = self.asked.time.saturating_sub(begun.elapsed());
            let limits = QueryLimits { time: self.asked.query.time.min(time), ..self.asked.query };
            let means = Means { tables: Arc::clone(&self.tables) as _, limits, plans: Arc::default() };
            let due = Due { rule, ..self.due.clone() };
            runtime.block_on(schedule::run(&self.probes.rules, &due, &means, self.asked.calendar, true))
        };
        let (Some(whole), Some(passed)) = (self.probes.part(&Of::Whole), self.probes.part(&Of::Passed))
        else {
            return Ok(Explained::without(EventVerdict::Unknown, Vec::new()));
        };
        let (whole, passed) = (run(whole), run(passed));
        let failed = |ran: &Ran| ran.counts.last_error.clone();
        let limits: Vec<String> = failed(&whole).or_else(|| failed(&passed)).into_iter().collect();
        let is_own = |finding: &&Finding| about.is_meant(finding);
        let own: Vec<Finding> = passed.findings.iter().filter(is_own).cloned().collect();
        let is_found = whole.findings.iter().any(|finding| about.is_meant(finding));
        let verdict = match (is_found, own.is_empty(), limits.is_empty()) {
            (true, ..) => EventVerdict::Found,
            (false, _, false) => EventVerdict::Unknown,
            (false, false, true) => EventVerdict::Excepted,
            (false, true, true) => EventVerdict::NotFound,
        };
        let mut parts = Vec::new();
        for (number, part) in self.probes.parts.entries().filter(|(_, part)| !part.of.is_shown()) {
            let is_there = |ran: Ran| ran.findings.iter().any(|finding| about.is_meant(finding));
            let in_time = begun.elapsed() < self.asked.time;
            let holds = match part.of {
                Of::When if !own.is_empty() => Some(true),
                // A row that comes without one condition was kept out by it alone.
                Of::When if verdict == EventVerdict::NotFound && in_time => {
                    is_there(run(number)).then_some(false)
                }
                Of::Exception(_) if !own.is_empty() => Some(!is_there(run(number))),
                _ => None,
            };
            parts.push(Holds { of: part.of.clone(), text: part.text.clone(), holds });
        }
        let first = own.first();
        let values = first.map(|finding| finding.values.clone()).unwrap_or_default();
        let key = first.map(|finding| finding.key.clone()).unwrap_or_default();
        let tick = Tick { at: self.due.tick, rows: passed.findings.len(), own, others: Vec::new() };
        let kinds = self.asked.rule.personal.as_ref().clone();
        let without = Explained::without(verdict, limits);
        Ok(Explained { parts, values, key, kinds, tick: Some(tick), ..without })
    }
}

/// What tells that a row is about the event.
struct About {
    event: String,
    /// The event's columns, as findings show them.
    columns: serde_json::Map<String, Value>,
}

impl About {
    fn new(asked: &ExplainRequest<'_>, own: &RecordBatch) -> Self {
        let named = Column::ALL.iter().zip(own.columns());
        let columns =
            named.map(|(column, array)| (column.spec().name.to_owned(), value(array, 0, asked.calendar)));
        Self { event: asked.event.0.to_owned(), columns: columns.collect() }
    }

    /// Whether a finding is about the event: it names it, or no other one, and all that its key has of events is as this one has it.
    fn is_meant(&self, finding: &Finding) -> bool {
        let text =
            |name: &str| finding.key.get(name).or_else(|| finding.values.get(name)).and_then(Value::as_str);
        let ids = ["event_id", "original_event_id"];
        if ids.iter().any(|name| text(name) == Some(self.event.as_str())) {
            return true;
        }
        let (mut same, mut of_events) = (true, 0);
        for (name, value) in &finding.key {
            if ids.contains(&name.as_str()) {
                return false;
            }
            if let Some(own) = self.columns.get(name) {
                same &= own == value;
                of_events += 1;
            }
        }
        same && of_events > 0
    }
}

/// The tables as a tick saw them.
struct AtTick {
    history: JournalView,
    dir: std::path::PathBuf,
    calendar: Arc<crate::event::time::Calendar>,
    tick: Instant,
    select: Select,
}

impl AtTick {
    fn new(asked: &ExplainRequest<'_>, history: &JournalView, (tick, select): Seen) -> Self {
        let calendar = Arc::clone(asked.calendar);
        Self { history: history.clone(), dir: asked.dir.to_owned(), calendar, tick, select }
    }

    fn in_memory(&self, name: &str, rows: Option<RecordBatch>) -> Result<Arc<dyn TableProvider>, String> {
        let schema =
            tables::schema(name, &self.calendar.zone_name).ok_or_else(|| say!("no table {name}", name))?;
        let rows = rows.into_iter().collect();
        tables::in_memory(schema, rows).ok_or_else(|| say!("rows do not fit their table"))
    }
}

impl Tables for AtTick {
    fn events(&self, event_types: &[EventType]) -> Result<Arc<dyn TableProvider>, String> {
        let table = JournalTable::new(self.history.clone(), event_types);
        Ok(Arc::new(table.only(&self.select)))
    }

    fn findings(&self) -> Result<Arc<dyn TableProvider>, String> {
        let reader = Reader::open(&self.dir).map_err(|e| e.to_string())?;
        let mut found = Vec::new();
        let take = |body: &str| -> Result<(), String> {
            let finding: Finding = serde_json::from_str(body).map_err(|e| e.to_string())?;
            let at = self.calendar.parse(&finding.at).map_err(|e| e.to_string())?;
            found.extend((at < self.tick).then_some((at, finding)));
            Ok(())
        };
        reader.export_findings(&CaseQuery::default(), take).map_err(|e| e.to_string())??;
        let zone = &self.calendar.zone_name;
        self.in_memory(FINDINGS, tables::findings(found.iter().map(|(at, f)| (at.as_micros(), f)), zone))
    }

    fn alerts(&self) -> Result<Arc<dyn TableProvider>, String> {
        let cases = Cases::open_read_only(&self.dir).map_err(|e| e.to_string())?;
        let alerts = cases.all().map_err(|e| e.to_string())?;
        self.in_memory(ALERTS, crate::alert::rows(alerts.iter(), &self.calendar.zone_name))
    }
}
