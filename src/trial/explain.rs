//! Why a rule found something about an event, or why it did not: the parts of the rule are rules of their own
//! (`rule/probe.rs`), and go through ledger, windows and evaluation with the events up to this one, as they did then.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray},
    buffer::BooleanBuffer,
    compute::{filter_record_batch, kernels::cmp::not_distinct},
    datatypes::{Field, Int64Type},
    record_batch::RecordBatch,
};
use serde_json::{Map, Value};

use crate::{
    evaluate::{Batch, Evaluator, Windows},
    event::{Column, EventType, event_schema, period::Reaches, time::Calendar},
    finding::Finding,
    journal::layout::ARRIVAL,
    ledger::{AfterEvent, LEDGER_COLUMNS, Ledger},
    lists::Lists,
    personal::Kinds,
    rule::{
        Language, RuleSet,
        compile::{CompiledRule, CompiledView, Compiler, KeyPart, OverWindow},
        probe::{Of, Probes},
    },
    say,
    store::{History, Order, Select, StoreError, Wide},
};

/// Events of a window that are shown, the latest.
const EVENTS_MAX: usize = 50;
/// How late an event may be that still finds all of its window: a hundred years, in microseconds.
const LATE: i64 = 36_500 * 86_400_000_000;

/// What is explained.
pub(crate) struct Asked<'a> {
    /// The state directory.
    pub dir: &'a Path,
    /// The time zone and fiscal year.
    pub calendar: &'a Arc<Calendar>,
    /// The rules in force.
    pub rules: &'a RuleSet,
    /// The rule.
    pub rule: &'a CompiledRule,
    /// The event, and its time in microseconds.
    pub event: (&'a str, i64),
    /// How long the journal is read.
    pub time: Duration,
}

/// What the rule said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It found something.
    Found,
    /// An exception took it out.
    Excepted,
    /// `when` does not hold.
    NotFound,
    /// `where` does not hold.
    LeftOut,
    /// The rule does not look at events of this type.
    NotAsked,
    /// It is not known; `limits` says why.
    Unknown,
}

/// A part of the rule, and whether it holds.
#[derive(Debug)]
#[allow(clippy::struct_field_names)]
pub(crate) struct Holds {
    /// What it is of.
    pub of: Of,
    /// The condition.
    pub text: String,
    /// Whether it holds; `None` for what was not asked, because `where` does not hold.
    pub holds: Option<bool>,
}

/// An explanation.
#[derive(Debug)]
pub(crate) struct Explained {
    /// What the rule said.
    pub verdict: Verdict,
    /// The conditions of `where`, of `when`, and the exceptions.
    pub parts: Vec<Holds>,
    /// What they read, by the names of columns and measures.
    pub values: Map<String, Value>,
    /// The columns of the key.
    pub key: Map<String, Value>,
    /// What measures tell of persons.
    pub kinds: Kinds,
    /// What is in its window.
    pub window: Option<Window>,
    /// What could not be done.
    pub limits: Vec<String>,
}

/// What is in a window.
#[derive(Debug)]
pub(crate) struct Window {
    /// The latest events, in the order in which they were accepted, with their times and amounts.
    pub events: Vec<(String, i64, Value)>,
    /// How many there are.
    pub total: usize,
}

impl Explained {
    fn without(verdict: Verdict, limits: Vec<String>) -> Self {
        let (values, key, kinds) = (Map::new(), Map::new(), Kinds::default());
        Self { verdict, parts: Vec::new(), values, key, kinds, window: None, limits }
    }
}

impl Asked<'_> {
    /// Explains what the rule says of the event, which is of this type.
    ///
    /// # Errors
    /// If the state cannot be read, or the rule cannot be taken apart.
    pub(crate) fn explain(&self, of: EventType) -> Result<Explained, StoreError> {
        if let Some(why) = self.not_explained() {
            return Ok(Explained::without(Verdict::Unknown, vec![why]));
        }
        if self.rule.rule.trigger & of.bit() == 0 {
            return Ok(Explained::without(Verdict::NotAsked, Vec::new()));
        }
        let compiler = Compiler::new(self.calendar, Lists::clone(&self.rules.lists), Language::Zh);
        let probes = Probes::new(&self.rule.rule, &compiler).map_err(StoreError::Request)?;
        let Some(found) = self.play(&probes)? else {
            let why = say!("the journal is longer than there is time to read it");
            return Ok(Explained::without(Verdict::Unknown, vec![why]));
        };
        Ok(self.told(&probes, found))
    }

    /// Why rules of this kind are not explained.
    fn not_explained(&self) -> Option<String> {
        match &self.rule.view {
            CompiledView::Event | CompiledView::Sliding(_) if self.rule.reads_beside().1 => {
                Some(say!("rules that read original.* are not explained yet"))
            }
            CompiledView::Event | CompiledView::Sliding(_) => None,
            CompiledView::Closing(_) => Some(say!(
                "this rule judges windows when they close, and no single event; it is not explained yet"
            )),
            CompiledView::Schedule(_) => Some(say!(
                "this rule is a query on a schedule, and looks at no single event; it is not explained yet"
            )),
        }
    }

    /// Plays the events up to this one through the parts. `None` if there is too little time.
    fn play(&self, probes: &Probes) -> Result<Option<Played>, StoreError> {
        let begun = Instant::now();
        let schema = event_schema(&self.calendar.zone_name);
        let history = History::open(self.dir, &schema)?;
        let Some((arrival, own)) = self.own(&history)? else { return Ok(None) };
        let balances = probes.rules.rules.iter().any(|rule| rule.reads_beside().0);
        let reach = self.rule.horizon().unwrap_or(0);
        let from = (!balances).then(|| self.event.1.saturating_sub(reach));
        let to = (!balances && reach == 0).then(|| self.event.1.saturating_add(1));
        let select = Select { from, to, until: Some(arrival), ..Select::default() };
        let columns = columns(probes);
        let mut wide = Wide::new(&schema, &columns);
        let evaluator = Evaluator::new(Arc::clone(&probes.rules), Arc::clone(self.calendar));
        let mut windows = Windows::new(&probes.rules, self.calendar, LATE, i64::MIN);
        let (mut ledger, mut played) = (Ledger::default(), Played::default());
        ledger.group_by(&probes.rules.groupings());
        for batch in history.scan(&select, Some(&columns), Order::Arrival)? {
            if begun.elapsed() > self.time {
                return Ok(None);
            }
            let narrow = self.narrowed(&batch?, &own, balances).map_err(|e| self.damaged(e.to_string()))?;
            let beside = self.beside_window(&narrow, &own).map_err(|e| self.damaged(e.to_string()))?;
            let events = wide.batch(&narrow).map_err(|e| self.damaged(e.to_string()))?;
            let names = events.column(Column::Type.index()).as_string_view();
            let types: Option<Vec<_>> = names.iter().map(|name| EventType::parse(name?)).collect();
            let types = types.ok_or_else(|| self.damaged(say!("an event of unknown type")))?;
            let after = if balances { ledger.apply(&events, &types) } else { AfterEvent::default() };
            let attributes = ledger.attributes();
            let batch = Batch { events: &events, types: &types, after: &after, attributes: &attributes };
            let prepared = evaluator.prepare(&batch);
            let moved = windows.observe(&prepared, &vec![i64::MIN; types.len()]);
            let mut evaluation = prepared.conclude(moved);
            played.errors = evaluation.counts.iter().find_map(|counts| counts.last_error.clone());
            let rows: Vec<_> = evaluation.found.iter().map(|found| found.row).collect();
            for (row, (at, _, finding)) in rows.into_iter().zip(evaluation.take_findings()) {
                let is_in = beside.as_ref().is_none_or(|window| window.value(row));
                played.take(at, finding, self.event.0, is_in);
            }
        }
        Ok(Some(played))
    }

    /// The event's place in the journal, and the event.
    fn own(&self, history: &History) -> Result<Option<(i64, RecordBatch)>, StoreError> {
        let at = self.event.1;
        let select = Select { from: Some(at), to: Some(at.saturating_add(1)), ..Select::default() };
        for batch in history.scan(&select, None, Order::Any)? {
            let batch = batch?;
            let ids = batch.column(Column::EventId.index()).as_string_view();
            let arrivals = batch.column_by_name(ARRIVAL).map(AsArray::as_primitive::<Int64Type>);
            if let (Some(row), Some(arrivals)) =
                (ids.iter().position(|id| id == Some(self.event.0)), arrivals)
            {
                return Ok(Some((arrivals.value(row), batch.slice(row, 1))));
            }
        }
        Ok(None)
    }

    /// The events that can matter: those of the event's window, and those of its budget line. Where a window's events read
    /// balances, or a group of lines is compared, all of them can.
    fn narrowed(
        &self,
        batch: &RecordBatch,
        own: &RecordBatch,
        balances: bool,
    ) -> Result<RecordBatch, arrow::error::ArrowError> {
        let same = |column: Column| -> Result<BooleanArray, arrow::error::ArrowError> {
            let name = column.spec().name;
            let missing = || arrow::error::ArrowError::SchemaError(format!("no column {name}"));
            let (all, one) = (batch.column_by_name(name), own.column_by_name(name));
            let (all, one) = (all.ok_or_else(missing)?, one.ok_or_else(missing)?);
            not_distinct(all, &arrow::array::Scalar::new(Arc::clone(one)))
        };
        let mask = match (&self.rule.view, balances) {
            (CompiledView::Sliding(_), true) => return Ok(batch.clone()),
            (_, true) if self.rule.group.is_some() => return Ok(batch.clone()),
            (CompiledView::Sliding(windows), false) => {
                let masks: Result<Vec<_>, _> = windows.iter().map(|w| in_window(w, batch, own)).collect();
                masks?.into_iter().reduce(|all, one| &all | &one).map(|mask| BooleanArray::new(mask, None))
            }
            (_, true) => {
                let line = own.column(Column::BudgetLineId.index());
                let line = arrow::array::Scalar::new(Arc::clone(line));
                let to = batch.column_by_name(Column::ToBudgetLineId.spec().name);
                let to = to.map(|to| not_distinct(to, &line)).transpose()?;
                let own = same(Column::BudgetLineId)?;
                Some(match to {
                    Some(to) => arrow::compute::or(&own, &to)?,
                    None => own,
                })
            }
            (_, false) => Some(same(Column::EventId)?),
        };
        mask.map_or_else(|| Ok(batch.clone()), |mask| filter_record_batch(batch, &mask))
    }

    /// The events that are in the first window, where others are played too: those of further windows.
    fn beside_window(
        &self,
        batch: &RecordBatch,
        own: &RecordBatch,
    ) -> Result<Option<BooleanBuffer>, arrow::error::ArrowError> {
        match &self.rule.view {
            CompiledView::Sliding(windows) => {
                windows.first().map(|window| in_window(window, batch, own)).transpose()
            }
            _ => Ok(None),
        }
    }

    fn damaged(&self, what: String) -> StoreError {
        StoreError::Corrupt { path: self.dir.to_owned(), what }
    }

    /// What the parts found, put together.
    fn told(&self, probes: &Probes, played: Played) -> Explained {
        let found = |of: &Of| probes.parts.iter().position(|part| part.of == *of);
        let finding = |of: &Of| found(of).and_then(|number| played.own.get(&number));
        let has_passed = finding(&Of::Passed).is_some();
        let parts: Vec<Holds> = probes
            .parts
            .iter()
            .enumerate()
            .filter(|(_, part)| !matches!(part.of, Of::Whole | Of::Asked | Of::Passed))
            .map(|(number, part)| Holds {
                of: part.of.clone(),
                text: part.text.clone(),
                holds: (has_passed || part.of == Of::Where).then(|| played.own.contains_key(&number)),
            })
            .collect();
        let all = |of: &Of| parts.iter().filter(|part| part.of == *of).all(|part| part.holds == Some(true));
        let verdict = match (finding(&Of::Whole).is_some(), has_passed, all(&Of::When)) {
            (true, ..) => Verdict::Found,
            (false, false, _) => Verdict::LeftOut,
            (false, true, true) => Verdict::Excepted,
            (false, true, false) => Verdict::NotFound,
        };
        let mut values = finding(&Of::Asked).map(|finding| finding.values.clone()).unwrap_or_default();
        values.extend(finding(&Of::Passed).map(|finding| finding.values.clone()).unwrap_or_default());
        let key = finding(&Of::Passed).map(|finding| finding.key.clone()).unwrap_or_default();
        let window = match (&self.rule.view, &self.rule.rule.view) {
            (CompiledView::Sliding(_), crate::rule::window::View::Sliding(windows)) if has_passed => {
                let reach = windows.first().map(|over| over.reach);
                let from = reach.map_or(i64::MIN, |r| Reaches::new(self.calendar, r).from(self.event.1));
                let is_in = |(_, at, _): &(String, i64, Value)| *at >= from && *at <= self.event.1;
                let mut events: Vec<_> = played.passed.into_iter().filter(is_in).collect();
                let total = events.len();
                events.drain(..total.saturating_sub(EVENTS_MAX));
                Some(Window { events, total })
            }
            _ => None,
        };
        let mut kinds = Kinds::default();
        if let CompiledView::Sliding(windows) = &self.rule.view {
            for OverWindow { measures, .. } in windows {
                let names = measures.fields.iter().map(Field::name);
                names.zip(&measures.personal).for_each(|(name, kind)| kinds.add(name, *kind));
            }
        }
        // An event that the rule fails on is found by none of its parts.
        let limits = played.errors.into_iter().filter(|_| !has_passed).collect();
        Explained { verdict, parts, values, key, kinds, window, limits }
    }
}

/// The events that share the window's key with one event.
fn in_window(
    window: &OverWindow,
    batch: &RecordBatch,
    own: &RecordBatch,
) -> Result<BooleanBuffer, arrow::error::ArrowError> {
    let mut mask = BooleanBuffer::new_set(batch.num_rows());
    for part in &window.by {
        if let (Some(all), Some(one)) = (values(part, batch), values(part, own)) {
            mask = &mask & not_distinct(&all, &arrow::array::Scalar::new(one))?.values();
        }
    }
    Ok(mask)
}

/// What a part of a key is for each event; `None` if that cannot be told from what events say.
fn values(part: &KeyPart, of: &RecordBatch) -> Option<ArrayRef> {
    match part {
        KeyPart::Column(at) => of.column_by_name(Column::ALL.get(*at)?.spec().name).cloned(),
        KeyPart::Computed(expression) => {
            let names = expression.schema.fields().iter().map(|field| field.name());
            let columns: Option<Vec<_>> = names.map(|name| of.column_by_name(name).cloned()).collect();
            let columns = RecordBatch::try_new(Arc::clone(&expression.schema), columns?).ok()?;
            expression.expr.evaluate(&columns).and_then(|v| v.into_array(of.num_rows())).ok()
        }
    }
}

/// The columns that the parts and the ledger read, by position in the event schema.
fn columns(probes: &Probes) -> Vec<usize> {
    let mut columns: Vec<usize> = LEDGER_COLUMNS.iter().map(|column| column.index()).collect();
    for rule in &probes.rules.rules {
        columns.extend(rule.event_columns().into_iter().filter(|at| *at < Column::COUNT));
    }
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// What the parts found.
#[derive(Debug, Default)]
struct Played {
    /// About the event, by the number of the part.
    own: BTreeMap<usize, Finding>,
    /// The events that pass `where`, with their times and amounts.
    passed: Vec<(String, i64, Value)>,
    errors: Option<String>,
}

impl Played {
    fn take(&mut self, at: i64, finding: Finding, event: &str, is_in: bool) {
        let Ok(number) = finding.rule_id.parse::<usize>() else { return };
        // The third part is found on every event that passes.
        if number == 2 && is_in {
            let id = finding.event_id.clone().unwrap_or_default();
            self.passed.push((id, at, finding.values.get("amount").cloned().unwrap_or_default()));
        }
        if finding.event_id.as_deref() == Some(event) {
            self.own.insert(number, finding);
        }
    }
}
