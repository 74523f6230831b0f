//! Rules on each event: `where` and `when` as physical expressions over the columns of a batch.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, RecordBatchOptions, new_empty_array,
    },
    buffer::BooleanBuffer,
    compute::{filter_record_batch, prep_null_mask_filter},
    datatypes::{Decimal128Type, SchemaRef, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use datafusion::{common::Result, logical_expr::ColumnarValue};

use super::Finding;
use crate::{
    event::{Column, EventType, time::Calendar},
    ledger::{AfterEvent, Attributes, columns::BUDGET_COLUMNS},
    rule::{
        Mode, RuleSet,
        compile::{CompiledRule, Condition, wide_schema},
    },
};

/// Below this share of rows left, a condition is evaluated on those rows alone.
const SPARSE: usize = 8;

/// Evaluates a set of rules. It has no state: each event is judged by itself and by its line's balances.
#[derive(Debug, Clone)]
pub struct Evaluator {
    rules: Arc<RuleSet>,
    calendar: Arc<Calendar>,
    wide: SchemaRef,
}

/// What a batch brought.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// Findings in the order of the events, those of one event in the order of the rules.
    pub findings: Vec<Finding>,
    /// The event time of each finding, in microseconds, and the event's amount in cents.
    pub found: Vec<(i64, i128)>,
    /// For each rule of the set, what happened.
    pub counts: Vec<RuleCounts>,
}

impl Evaluation {
    /// Takes the findings, each with its event's time and amount.
    pub fn take_findings(&mut self) -> impl Iterator<Item = (i64, i128, Finding)> + use<> {
        let found = std::mem::take(&mut self.found).into_iter();
        found.zip(std::mem::take(&mut self.findings)).map(|((at, cents), finding)| (at, cents, finding))
    }
}

/// What happened to one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Events that passed `where`.
    pub evaluated: u64,
    /// Findings.
    pub findings: u64,
    /// Events that an exception took out.
    pub excepted: u64,
    /// Events that the rule could not be evaluated for.
    pub errors: u64,
    /// The last such error.
    pub last_error: Option<String>,
    /// Time spent, in nanoseconds; for metrics only.
    pub nanos: u64,
}

impl RuleCounts {
    /// Adds another batch's.
    pub fn add(&mut self, other: &Self) {
        self.evaluated += other.evaluated;
        self.findings += other.findings;
        self.excepted += other.excepted;
        self.errors += other.errors;
        self.nanos += other.nanos;
        if other.last_error.is_some() {
            self.last_error.clone_from(&other.last_error);
        }
    }
}

/// Accepted events with the balances after each.
pub struct Batch<'b> {
    /// The events.
    pub events: &'b RecordBatch,
    /// Their types.
    pub types: &'b [EventType],
    /// What the ledger says after each.
    pub after: &'b AfterEvent,
    /// The store that `after` points into.
    pub attributes: &'b boxcar::Vec<Attributes>,
}

impl Evaluator {
    /// An evaluator for these rules.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, calendar: Arc<Calendar>) -> Self {
        let wide = wide_schema(&calendar.zone_name);
        Self { rules, calendar, wide }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Evaluates all rules on a batch.
    #[must_use]
    pub fn evaluate(&self, batch: &Batch<'_>) -> Evaluation {
        let mut evaluation =
            Evaluation { counts: Vec::with_capacity(self.rules.rules.len()), ..Default::default() };
        let wide = self.wide(batch);
        let present = batch.types.iter().fold(0, |bits, t| bits | t.bit());
        let mut masks: Vec<(u8, BooleanBuffer)> = Vec::new();
        let mut hits: Vec<(usize, usize)> = Vec::new();
        for (number, rule) in self.rules.rules.iter().enumerate() {
            let mut counts = RuleCounts::default();
            if rule.rule.mode != Mode::Disabled && rule.rule.trigger & present != 0 {
                let started = std::time::Instant::now();
                let found = judge(rule, &wide, mask(&mut masks, rule.rule.trigger, batch.types), &mut counts);
                hits.extend(found.into_iter().map(|row| (row, number)));
                counts.nanos = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            }
            evaluation.counts.push(counts);
        }
        hits.sort_unstable();
        let times = wide.columns[Column::OccurredAt.index()].as_primitive::<TimestampMicrosecondType>();
        let amounts = wide.columns[Column::Amount.index()].as_primitive::<Decimal128Type>();
        evaluation.found = hits.iter().map(|(row, _)| (times.value(*row), amounts.value(*row))).collect();
        evaluation.findings = hits
            .into_iter()
            .map(|(row, rule)| Finding::new(&self.rules.rules[rule], &wide, row, &self.calendar))
            .collect();
        evaluation
    }

    /// The event columns, and those `budget.*` columns that a rule names; the others are empty and never read.
    fn wide(&self, batch: &Batch<'_>) -> Wide {
        let mut columns: Vec<ArrayRef> = batch.events.columns().to_vec();
        for (at, (_, column)) in BUDGET_COLUMNS.iter().enumerate() {
            columns.push(if self.rules.budget_columns.contains(&at) {
                column.compute(batch.after, batch.attributes, batch.events, &self.calendar)
            } else {
                new_empty_array(&column.data_type())
            });
        }
        Wide { schema: Arc::clone(&self.wide), columns, rows: batch.events.num_rows() }
    }
}

/// A batch in the columns of [`wide_schema`].
pub struct Wide {
    /// The names and types.
    pub schema: SchemaRef,
    /// The columns; those that no rule names are empty.
    pub columns: Vec<ArrayRef>,
    rows: usize,
}

/// The rows of the trigger's types, made once a batch for each set of types.
fn mask<'m>(masks: &'m mut Vec<(u8, BooleanBuffer)>, trigger: u8, types: &[EventType]) -> &'m BooleanBuffer {
    let at = masks.iter().position(|(bits, _)| *bits == trigger).unwrap_or_else(|| {
        let mask = BooleanBuffer::collect_bool(types.len(), |row| types[row].bit() & trigger != 0);
        masks.push((trigger, mask));
        masks.len() - 1
    });
    &masks[at].1
}

/// The rows on which the rule holds.
fn judge(rule: &CompiledRule, wide: &Wide, mask: &BooleanBuffer, counts: &mut RuleCounts) -> Vec<usize> {
    let mut left = mask.clone();
    if let Some(filter) = &rule.filter {
        left = holds(filter, wide, &left, counts);
    }
    counts.evaluated = left.count_set_bits() as u64;
    let found = holds(&rule.when, wide, &left, counts);
    if found.count_set_bits() == 0 {
        return Vec::new();
    }
    let times = &wide.columns[Column::OccurredAt.index()];
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let mut excepted = BooleanBuffer::new_unset(wide.rows);
    for exception in &rule.exceptions {
        let current = BooleanBuffer::collect_bool(wide.rows, |row| {
            found.value(row) && exception.until.is_none_or(|until| times.value(row) < until)
        });
        excepted = &excepted | &holds(&exception.when, wide, &current, counts);
    }
    counts.excepted = excepted.count_set_bits() as u64;
    let found = &found & &!&excepted;
    counts.findings = found.count_set_bits() as u64;
    found.set_indices().collect()
}

/// The rows among `left` on which a condition is true. A row on which it fails is counted as an error and is
/// not among them; whether it fails for one row does not depend on the others.
fn holds(condition: &Condition, wide: &Wide, left: &BooleanBuffer, counts: &mut RuleCounts) -> BooleanBuffer {
    let rows = left.count_set_bits();
    if rows == 0 {
        return BooleanBuffer::new_unset(left.len());
    }
    let batch = project(condition, wide);
    if rows * SPARSE > left.len()
        && let Ok(result) = evaluate(condition, &batch)
    {
        return left & &result;
    }
    let selected = if rows == left.len() {
        Ok(batch)
    } else {
        filter_record_batch(&batch, &BooleanArray::new(left.clone(), None))
    };
    let Ok(selected) = selected else { return BooleanBuffer::new_unset(left.len()) };
    let result = evaluate(condition, &selected).unwrap_or_else(|_| row_by_row(condition, &selected, counts));
    let mut all = BooleanBufferBuilder::new(left.len());
    all.append_n(left.len(), false);
    left.set_indices().zip(result.iter()).filter(|(_, hit)| *hit).for_each(|(row, _)| all.set_bit(row, true));
    all.finish()
}

/// The columns that a condition reads.
fn project(condition: &Condition, wide: &Wide) -> RecordBatch {
    let columns = condition.inputs.iter().map(|&at| Arc::clone(&wide.columns[at])).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(wide.rows));
    RecordBatch::try_new_with_options(Arc::clone(&condition.schema), columns, &options)
        .expect("a condition's schema is taken from the wide schema")
}

fn evaluate(condition: &Condition, batch: &RecordBatch) -> Result<BooleanBuffer> {
    let rows = batch.num_rows();
    let array = match condition.expr.evaluate(batch)? {
        ColumnarValue::Array(array) => array,
        scalar @ ColumnarValue::Scalar(_) => scalar.to_array(rows)?,
    };
    match array.as_boolean_opt() {
        Some(result) if result.null_count() > 0 => Ok(prep_null_mask_filter(result).values().clone()),
        Some(result) => Ok(result.values().clone()),
        // A condition that is always NULL is never true.
        None => Ok(BooleanBuffer::new_unset(rows)),
    }
}

fn row_by_row(condition: &Condition, batch: &RecordBatch, counts: &mut RuleCounts) -> BooleanBuffer {
    BooleanBuffer::collect_bool(batch.num_rows(), |row| match evaluate(condition, &batch.slice(row, 1)) {
        Ok(result) => result.value(0),
        Err(e) => {
            counts.errors += 1;
            counts.last_error = Some(e.to_string());
            false
        }
    })
}
