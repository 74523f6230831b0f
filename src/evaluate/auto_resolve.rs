//! Where conditions on budget lines stand after each event, so that an alert whose condition stops being true resolves
//! by itself. An event of any type counts, and so do the other lines that it touches.

use std::{
    cell::LazyCell,
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, UInt32Array, new_empty_array},
    buffer::BooleanBuffer,
    compute::take_record_batch,
};

use super::{
    Batch, FindingOrigin,
    condition::{RuleCounts, RuleTable, holds},
};
use crate::{
    event::{Column, time::Calendar},
    finding::Finding,
    ledger::columns::BUDGET_COLUMNS,
    rule::{ColumnId, RuleMode, RuleSet},
};

/// The conditions of a batch's rules after each of its events.
#[derive(Debug, Default)]
pub struct Standings {
    rules: Vec<Standing>,
    ids: Option<ArrayRef>,
    lines: Option<ArrayRef>,
    other_rows: Vec<u32>,
    other_lines: Vec<Box<str>>,
}

#[derive(Debug)]
struct Standing {
    rule_id: String,
    /// For each event, whether the condition is true of the line in its `budget_line_id`.
    events: BooleanBuffer,
    /// For each other line.
    others: BooleanBuffer,
}

/// A condition that is not true after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LapsedCondition {
    /// The row of the event.
    pub row: usize,
    pub rule_id: String,
    pub line: String,
    pub event_id: String,
}

/// The budget lines that keep alerts open, by rule.
pub(crate) type Watched = HashMap<String, HashSet<String>>;

impl Standings {
    /// Judges the conditions of live rules on a batch whose columns are in `table`.
    #[must_use]
    pub fn new(rules: &RuleSet, table: &RuleTable, batch: &Batch<'_>, calendar: &Calendar) -> Self {
        let mut standings = Self::default();
        let others = LazyCell::new(|| other_lines(rules, batch, calendar));
        let other_rows = batch.after.others.as_ref().map_or(0, |others| others.rows.len());
        let conditions = rules.rules.iter().filter(|rule| rule.rule.mode == RuleMode::Live);
        for (rule, condition) in conditions.filter_map(|rule| Some((rule, rule.clears.as_ref()?))) {
            // What fails here is counted where the rule itself is judged; a line that cannot be judged is not cleared.
            let mut counts = RuleCounts::default();
            let judge = |table: &RuleTable, counts: &mut RuleCounts| {
                let held = holds(condition, table, &BooleanBuffer::new_set(table.rows), counts);
                if counts.errors > 0 { BooleanBuffer::new_set(table.rows) } else { held }
            };
            let events = judge(table, &mut counts);
            let others = match &*others {
                Some(others) => judge(others, &mut counts),
                None => BooleanBuffer::new_set(other_rows),
            };
            standings.rules.push(Standing { rule_id: rule.rule.id.clone(), events, others });
        }
        if !standings.rules.is_empty() {
            standings.ids = Some(Arc::clone(batch.events.column(Column::EventId.index())));
            standings.lines = Some(Arc::clone(batch.events.column(Column::BudgetLineId.index())));
            if let Some(others) = &batch.after.others {
                standings.other_rows.clone_from(&others.rows);
                standings.other_lines.clone_from(&others.lines);
            }
        }
        standings
    }

    /// Those after the events of some rows, as if there were no others.
    #[must_use]
    pub(super) fn of(&self, rows: Range<usize>) -> Self {
        let (start, count) = (rows.start, rows.len());
        let place = |row: usize| self.other_rows.partition_point(|other| (*other as usize) < row);
        let others = place(start)..place(rows.end);
        let of_rule = |standing: &Standing| Standing {
            rule_id: standing.rule_id.clone(),
            events: standing.events.slice(start, count),
            others: standing.others.slice(others.start, others.len()),
        };
        let column = |column: &ArrayRef| column.slice(start, count);
        let offset = u32::try_from(start).unwrap_or(u32::MAX);
        Self {
            rules: self.rules.iter().map(of_rule).collect(),
            ids: self.ids.as_ref().map(column),
            lines: self.lines.as_ref().map(column),
            other_rows: self
                .other_rows
                .get(others.clone())
                .unwrap_or_default()
                .iter()
                .map(|row| row - offset)
                .collect(),
            other_lines: self.other_lines.get(others).unwrap_or_default().to_vec(),
        }
    }

    /// The conditions that were lost for watched lines, in the order of the events. Lines that findings of this batch
    /// are about are watched from their event on, and lost ones no longer.
    pub fn lost(
        &self,
        watched: &mut Watched,
        findings: &[Finding],
        found: &[FindingOrigin],
    ) -> Vec<LapsedCondition> {
        let (Some(ids), Some(lines)) = (&self.ids, &self.lines) else { return Vec::new() };
        let (ids, lines) = (ids.as_string_view(), lines.as_string_view());
        let mut lost = Vec::new();
        for standing in &self.rules {
            let own = findings.iter().zip(found).filter(|(finding, _)| finding.rule_id == standing.rule_id);
            let mut own: Vec<(usize, &str)> =
                own.filter_map(|(f, at)| Some((at.row, f.labels.get("budget_line_id")?.as_str()?))).collect();
            own.sort_unstable();
            let watched = watched.entry(standing.rule_id.clone()).or_default();
            if watched.is_empty() && own.is_empty() {
                continue;
            }
            let mut own = own.into_iter().peekable();
            let mut others = self.other_rows.iter().enumerate().peekable();
            for row in 0..lines.len() {
                let mut lose = |line: &str| {
                    if watched.remove(line) {
                        let (rule_id, line) = (standing.rule_id.clone(), line.to_owned());
                        lost.push(LapsedCondition {
                            row,
                            rule_id,
                            line,
                            event_id: ids.value(row).to_owned(),
                        });
                    }
                };
                if !standing.events.value(row) {
                    lose(lines.value(row));
                }
                while let Some((at, _)) = others.next_if(|(_, other)| **other as usize == row) {
                    if !standing.others.value(at) {
                        lose(&self.other_lines[at]);
                    }
                }
                while let Some((_, line)) = own.next_if(|(at, _)| *at == row) {
                    watched.insert(line.to_owned());
                }
            }
        }
        lost.sort_by_key(|lost| lost.row);
        lost
    }
}

/// The `budget.*` columns of the other lines, if there are any; the columns of events are empty, for no such condition
/// reads them.
fn other_lines(rules: &RuleSet, batch: &Batch<'_>, calendar: &Calendar) -> Option<RuleTable> {
    let others = batch.after.others.as_deref().filter(|others| !others.rows.is_empty())?;
    // Rows that cannot be taken cannot be judged.
    let events = take_record_batch(batch.events, &UInt32Array::from(others.rows.clone())).ok()?;
    let own = events.columns().iter().map(|column| new_empty_array(column.data_type()));
    let budget = BUDGET_COLUMNS.iter().enumerate().map(|(at, (_, column))| {
        match rules.beside.contains(&ColumnId::budget(at)) {
            true => column.compute(&others.after, batch.attributes, &events, calendar),
            false => new_empty_array(&column.data_type()),
        }
    });
    Some(RuleTable::new(own.chain(budget).collect(), others.rows.len()))
}
