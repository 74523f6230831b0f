//! Rules over batches, in three steps. `prepare` judges every event by itself and lays out what windows hold of it;
//! measuring is the only step with a state, and sees the batches one after another; `conclude` judges the events by
//! what their windows measure. The first and last run on many batches at a time.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, NullArray},
    buffer::BooleanBuffer,
    datatypes::{Decimal128Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
};

use super::{
    Backfill, Evaluation, FindingOrigin,
    auto_resolve::Standings,
    backfill::EventTimes,
    condition::{RuleCounts, RuleTable, judge, judge_by, mask},
    finding::{FindingRow, Subject},
    measures::measured_columns,
    select::{Compacts, select},
    shared_parts::SharedParts,
    sliding::Selected,
    windows::Moved,
};
use crate::{
    event::{Cents, Column, EventType, Instant, TypeSet, period::Reaches, time::Calendar},
    finding::Finding,
    ledger::{
        AfterEvent, Attributes,
        columns::{BUDGET_COLUMNS, GROUP_COLUMNS},
        original::ORIGINAL_COLUMNS,
    },
    rule::{
        ById, ColumnId, RuleId, RuleMode, RuleSet, WindowId,
        compile::{CompiledRule, CompiledView, Condition},
    },
};

/// Evaluates a set of rules. The state of their windows is kept elsewhere ([`super::Windows`]).
#[derive(Debug, Clone)]
pub struct Evaluator {
    rules: Arc<RuleSet>,
    calendar: Arc<Calendar>,
}

/// Accepted events with the balances after each.
pub struct Batch<'b> {
    /// The events of the batch as columns.
    pub events: &'b RecordBatch,
    /// The types of those events, row by row.
    pub types: &'b [EventType],
    /// What the ledger says after each.
    pub after: &'b AfterEvent,
    /// The store that `after` points into.
    pub attributes: &'b boxcar::Vec<Attributes>,
}

/// A batch after its events were judged by themselves.
pub struct Prepared {
    evaluator: Evaluator,
    /// The events in the columns of [`crate::rule::compile::wide_schema`].
    table: RuleTable,
    counts: ById<RuleId, RuleCounts>,
    hits: Vec<Hit>,
    standings: Standings,
    compacts: Compacts,
    /// The columns of `group.*`, for each group of the rule set.
    groups: Vec<Vec<ArrayRef>>,
    /// For each window of the rule set the events that belong to it.
    pub windows: ById<WindowId, Selected>,
    /// For each rule on closing windows the events that belong to them; `None` for the others.
    pub closings: ById<RuleId, Option<Selected>>,
}

/// A rule that holds for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    row: usize,
    rule: RuleId,
    /// The event's place among those of the rule's window.
    place: usize,
}

impl Evaluator {
    /// An evaluator for these rules.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, calendar: Arc<Calendar>) -> Self {
        Self { rules, calendar }
    }

    /// The rules that it evaluates now.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// The time zone and fiscal year.
    #[must_use]
    pub fn calendar(&self) -> &Arc<Calendar> {
        &self.calendar
    }

    /// Lays out events that were judged before for windows that are being filled. Of the batch only the columns that
    /// these read have to be there.
    #[must_use]
    pub fn lay_out(&self, batch: &Batch<'_>, filling: &Backfill) -> Prepared {
        let mut prepared = self.prepared(batch, &|column| filling.reads(column));
        prepared.windows.resize_with(self.rules.windows.len(), Selected::default);
        prepared.closings.resize_with(self.rules.rules.len(), || None);
        let times = EventTimes::new(batch.events);
        let shared = SharedParts::new(&self.rules.in_parts.shared);
        let mut masks: Vec<(TypeSet, BooleanBuffer)> = Vec::new();
        for (number, from) in &filling.closing {
            let rule = &self.rules.rules[*number];
            let mask = times.since(*from, mask(&mut masks, rule.rule.trigger, batch.types));
            prepared.closings[*number] =
                mask.and_then(|mask| prepared.prepare_rule(*number, rule, &mask, &shared));
        }
        for (number, from) in &filling.sliding {
            let types = self.rules.windows[*number].types;
            if let Some(mask) = times.since(*from, mask(&mut masks, types, batch.types)) {
                prepared.windows[*number] = prepared.prepare_window(*number, &mask, &shared);
            }
        }
        prepared
    }

    /// Judges the events of a batch by themselves, and lays them out for the windows.
    #[must_use]
    pub fn prepare(&self, batch: &Batch<'_>) -> Prepared {
        let mut prepared = self.prepared(batch, &|column| self.rules.beside.contains(&column));
        prepared.groups = self.groups(batch);
        prepared.standings = Standings::new(&self.rules, &prepared.table, batch, &self.calendar);
        let shared = SharedParts::new(&self.rules.in_parts.shared);
        let present = batch.types.iter().fold(0, |bits, t| bits | t.bit());
        let mut masks: Vec<(TypeSet, BooleanBuffer)> = Vec::new();
        for (number, rule) in self.rules.rules.entries() {
            let mut closing = None;
            if rule.rule.mode != RuleMode::Disabled && rule.rule.trigger & present != 0 {
                let mask = mask(&mut masks, rule.rule.trigger, batch.types);
                closing = prepared.prepare_rule(number, rule, mask, &shared);
            }
            prepared.closings.push(closing);
        }
        for (number, window) in self.rules.windows.entries() {
            let types = window.types;
            let selected = match types & present {
                0 => Selected::default(),
                _ => prepared.prepare_window(number, mask(&mut masks, types, batch.types), &shared),
            };
            prepared.windows.push(selected);
        }
        prepared
    }

    fn prepared(&self, batch: &Batch<'_>, wanted: &dyn Fn(ColumnId) -> bool) -> Prepared {
        Prepared {
            evaluator: self.clone(),
            table: self.table(batch, wanted),
            counts: ById::filled(self.rules.rules.len(), RuleCounts::default()),
            hits: Vec::new(),
            standings: Standings::default(),
            compacts: Compacts::default(),
            groups: Vec::new(),
            windows: ById::default(),
            closings: ById::default(),
        }
    }

    /// The columns of `group.*`. Whoever applied the events had the lines grouped for these rules.
    fn groups(&self, batch: &Batch<'_>) -> Vec<Vec<ArrayRef>> {
        debug_assert_eq!(
            batch.after.groups.len(),
            self.rules.groups.len(),
            "the ledger is grouped by others"
        );
        let columns = |group| {
            let columns = GROUP_COLUMNS.iter();
            columns.map(|(_, column)| column.compute(group, batch.events, &self.calendar)).collect()
        };
        batch.after.groups.iter().map(columns).collect()
    }

    /// The event columns, and the `wanted` of the `budget.*` and `original.*` columns; the others are empty and never read.
    fn table(&self, batch: &Batch<'_>, wanted: &dyn Fn(ColumnId) -> bool) -> RuleTable {
        let mut columns = ById::from(batch.events.columns().to_vec());
        let none: ArrayRef = Arc::new(NullArray::new(0));
        for (at, (_, column)) in BUDGET_COLUMNS.iter().enumerate() {
            columns.push(if wanted(ColumnId::budget(at)) {
                column.compute(batch.after, batch.attributes, batch.events, &self.calendar)
            } else {
                Arc::clone(&none)
            });
        }
        for (at, (_, column)) in ORIGINAL_COLUMNS.iter().enumerate() {
            columns.push(if wanted(ColumnId::original(at)) {
                column.compute(batch.after, batch.events)
            } else {
                Arc::clone(&none)
            });
        }
        RuleTable::new(columns, batch.events.num_rows())
    }
}

impl Prepared {
    /// The rules that the batch is judged by.
    #[must_use]
    pub fn evaluator(&self) -> &Evaluator {
        &self.evaluator
    }

    /// The event columns and those of `budget.*`.
    #[must_use]
    pub fn table(&self) -> &RuleTable {
        &self.table
    }

    /// Judges the events of the trigger by a rule without a window, or lays them out for one on closing windows.
    fn prepare_rule(
        &mut self,
        number: RuleId,
        rule: &CompiledRule,
        mask: &BooleanBuffer,
        shared: &SharedParts<'_>,
    ) -> Option<Selected> {
        let started = std::time::Instant::now();
        let counts = &mut self.counts[number];
        let in_parts = &self.evaluator.rules.in_parts;
        let filtered = |counts: &mut RuleCounts| match &rule.filter {
            Some(filter) => {
                shared.holds((filter, in_parts.filters[number].as_ref()), &self.table, mask, counts)
            }
            None => mask.clone(),
        };
        let mut closing = None;
        match &rule.view {
            CompiledView::Event => {
                let mask = filtered(counts);
                let beside = rule.group.as_ref().and_then(|(_, at)| self.groups.get(*at));
                let grouped = beside.map(|columns| self.table.with(columns));
                let table = grouped.as_ref().unwrap_or(&self.table);
                let parts = in_parts.conditions[number].as_ref();
                let holds = |when: &Condition, counts: &mut RuleCounts| {
                    shared.holds((when, parts), table, &mask, counts)
                };
                let found = judge_by(rule, table, &mask, &|row| time(&self.table, row), counts, holds);
                let place = |row| if beside.is_some() { row } else { 0 };
                self.hits.extend(found.into_iter().map(|row| Hit { row, rule: number, place: place(row) }));
            }
            CompiledView::Closing(view) => {
                let mask = filtered(counts);
                let compact = self.compacts.of(&self.table, &mask);
                let selected = select(&compact, &view.by, &view.measures.lanes, &view.layout, |_| 0);
                selected.failed.iter().for_each(|failed| counts.fail(&failed.error));
                closing = Some(selected);
            }
            CompiledView::Sliding(_) | CompiledView::Schedule(_) => {}
        }
        counts.nanos += nanos(started);
        closing
    }

    /// Lays out the events of the mask that a window holds.
    fn prepare_window(
        &mut self,
        number: WindowId,
        mask: &BooleanBuffer,
        shared: &SharedParts<'_>,
    ) -> Selected {
        let evaluator = self.evaluator.clone();
        let window = &evaluator.rules.windows[number];
        let started = std::time::Instant::now();
        let mut counts = RuleCounts::default();
        let mask = match &window.filter {
            Some(filter) => {
                let parts = evaluator.rules.in_parts.windows[number].as_ref();
                shared.holds((filter, parts), &self.table, mask, &mut counts)
            }
            None => mask.clone(),
        };
        let reaches = Reaches::new(&evaluator.calendar, window.reach);
        let from = |at| reaches.from(Instant::from_micros(at)).as_micros();
        let compact = self.compacts.of(&self.table, &mask);
        let selected = select(&compact, &window.by, &window.lanes, &window.plan.layout, from);
        counts.nanos = nanos(started);
        // What happens to a window happens to all rules that share it; its time is divided among them.
        counts.nanos /= window.users.len().max(1) as u64;
        window.users.iter().for_each(|rule| self.counts[*rule].add(&counts));
        selected
    }

    /// Judges the events by what their windows measure, and puts all findings in order: those about an event, then
    /// those about windows that closed after it.
    #[must_use]
    pub fn conclude(mut self, moved: Moved) -> Evaluation {
        let measured = &moved.measured;
        self.counts.iter_mut().zip(&moved.counts).for_each(|(counts, more)| counts.add(more));
        let evaluator = self.evaluator.clone();
        let rules = &evaluator.rules.rules;
        let mut measures: ById<RuleId, Vec<ArrayRef>> = ById::filled(rules.len(), Vec::new());
        for (number, rule) in rules.entries() {
            if let Some(columns) = rule.group.as_ref().and_then(|(_, at)| self.groups.get(*at)) {
                measures[number].clone_from(columns);
            }
            let CompiledView::Sliding(windows) = &rule.view else { continue };
            // Its windows hold the same events, by other keys.
            let first = windows.first().and_then(|window| window.window);
            let Some(selected) = first.and_then(|window| self.windows.get(window)) else { continue };
            if measured.is_empty() || rule.rule.mode == RuleMode::Disabled || selected.rows.is_empty() {
                continue;
            }
            let Some(compact) = &selected.compact else { continue };
            let started = std::time::Instant::now();
            let counts = &mut self.counts[number];
            let (mut columns, mut failed) = (Vec::new(), vec![false; selected.rows.len()]);
            for (window, id) in windows.iter().filter_map(|window| Some((window, window.window?))) {
                let (measured, selected) = (&measured[id], &self.windows[id]);
                counts.beyond += measured.beyond.len() as u64;
                columns.extend(measured_columns(window, measured, selected, &mut failed, counts));
            }
            let sound = BooleanBuffer::collect_bool(failed.len(), |row| !failed[row]);
            let table = RuleTable::of(compact, columns.clone());
            let at = |place: usize| time(&self.table, selected.rows[place] as usize);
            let found = judge(rule, &table, &sound, &at, counts);
            let hit = |place: usize| Hit { row: selected.rows[place] as usize, rule: number, place };
            self.hits.extend(found.into_iter().map(hit));
            measures[number] = columns;
            counts.nanos += nanos(started);
        }
        self.hits.sort_unstable();
        let about_events =
            self.hits.iter().map(|hit| (self.found(*hit), self.finding(*hit, &measures[hit.rule])));
        let about_windows = moved.closed.into_iter().map(|closed| {
            (FindingOrigin { row: closed.row, at: closed.at, cents: Cents::ZERO }, closed.finding)
        });
        let mut all: Vec<_> = about_events.chain(about_windows).collect();
        all.sort_by_key(|(found, _)| found.row);
        let (found, findings) = all.into_iter().unzip();
        Evaluation { findings, found, counts: self.counts, standings: self.standings }
    }

    fn finding(&self, hit: Hit, measures: &[ArrayRef]) -> Finding {
        let place = FindingRow { table: &self.table, row: hit.row, more: measures, more_row: hit.place };
        let ids = self.table.of_batch()[Column::EventId.into()].as_string_view();
        let subject = Subject::Event { id: ids.value(hit.row), at: time(&self.table, hit.row) };
        Finding::new(&self.evaluator.rules.rules[hit.rule], &place, subject, &self.evaluator.calendar)
    }

    fn found(&self, hit: Hit) -> FindingOrigin {
        let amounts = self.table.of_batch()[Column::Amount.into()].as_primitive::<Decimal128Type>();
        FindingOrigin {
            row: hit.row,
            at: time(&self.table, hit.row),
            cents: Cents::new(amounts.value(hit.row)),
        }
    }
}

fn time(table: &RuleTable, row: usize) -> Instant {
    let times = table.of_batch()[Column::OccurredAt.into()].as_primitive::<TimestampMicrosecondType>();
    Instant::from_micros(times.value(row))
}

fn nanos(started: std::time::Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
