//! Conditions as physical expressions over the columns of a table.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, RecordBatchOptions},
    buffer::BooleanBuffer,
    compute::{filter_record_batch, prep_null_mask_filter},
    record_batch::RecordBatch,
};
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::ColumnarValue,
};

use super::select::Compact;
use crate::{
    diagnostic::at_run_time,
    event::{EventType, Instant, TypeSet},
    rule::{
        ById, ColumnId, Id,
        compile::{CompiledRule, Condition},
    },
};

/// Below this share of rows left, a condition is evaluated on those rows alone.
pub(super) const SPARSE: usize = 8;

/// What happened to one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Events that passed `where`.
    pub evaluated: u64,
    pub findings: u64,
    /// Events that an exception took out.
    pub excepted: u64,
    /// Events that the rule could not be evaluated for.
    pub errors: u64,
    /// The last such error.
    pub last_error: Option<String>,
    /// Events that came so late that a part of their window may be gone.
    pub beyond: u64,
    /// Time spent, in nanoseconds; for metrics only.
    pub nanos: u64,
}

impl RuleCounts {
    /// Counts an event that the rule could not be evaluated for.
    pub fn fail(&mut self, error: &str) {
        self.errors += 1;
        self.last_error = Some(error.to_owned());
    }

    /// Adds another batch's.
    pub fn add(&mut self, other: &Self) {
        self.evaluated += other.evaluated;
        self.findings += other.findings;
        self.excepted += other.excepted;
        self.errors += other.errors;
        self.beyond += other.beyond;
        self.nanos += other.nanos;
        if other.last_error.is_some() {
            self.last_error.clone_from(&other.last_error);
        }
    }
}

/// Rows in the columns of a rule's table.
#[derive(Debug, Clone)]
pub struct RuleTable {
    /// The columns of all rows of the batch; those that no rule names may be empty.
    columns: Arc<ById<ColumnId, ArrayRef>>,
    /// The rows of the batch that the table has; all of them without.
    compact: Option<Arc<Compact>>,
    /// The columns behind those.
    more: Vec<ArrayRef>,
    /// The number of rows.
    pub rows: usize,
}

impl RuleTable {
    /// A table of these columns.
    #[must_use]
    pub fn new(columns: ById<ColumnId, ArrayRef>, rows: usize) -> Self {
        Self { columns: Arc::new(columns), compact: None, more: Vec::new(), rows }
    }

    /// Some rows of a batch, with more columns behind.
    pub(crate) fn of(compact: &Arc<Compact>, more: Vec<ArrayRef>) -> Self {
        let (columns, rows) = (Arc::clone(compact.columns()), compact.rows());
        Self { columns, compact: Some(Arc::clone(compact)), more, rows }
    }

    /// The same rows with more columns behind.
    #[must_use]
    pub fn with(&self, more: &[ArrayRef]) -> Self {
        Self { more: [&self.more, more].concat(), ..self.clone() }
    }

    /// The columns of all rows of the batch, whichever of them the table has.
    pub(super) fn of_batch(&self) -> &Arc<ById<ColumnId, ArrayRef>> {
        &self.columns
    }

    #[must_use]
    pub fn column(&self, at: ColumnId) -> ArrayRef {
        match (at.number().checked_sub(self.columns.len()), &self.compact) {
            (Some(behind), _) => Arc::clone(&self.more[behind]),
            (None, Some(compact)) => compact.column(at),
            (None, None) => Arc::clone(&self.columns[at]),
        }
    }
}

/// The rows of the trigger's types, made once a batch for each set of types.
pub(crate) fn mask<'m>(
    masks: &'m mut Vec<(TypeSet, BooleanBuffer)>,
    trigger: TypeSet,
    types: &[EventType],
) -> &'m BooleanBuffer {
    let at = masks.iter().position(|(bits, _)| *bits == trigger).unwrap_or_else(|| {
        let mask = BooleanBuffer::collect_bool(types.len(), |row| types[row].bit() & trigger != 0);
        masks.push((trigger, mask));
        masks.len() - 1
    });
    &masks[at].1
}

/// The rows on which the rule holds, of those in `mask`; `times` are the instants that exceptions are limited by.
pub(crate) fn judge(
    rule: &CompiledRule,
    table: &RuleTable,
    mask: &BooleanBuffer,
    times: &dyn Fn(usize) -> Instant,
    counts: &mut RuleCounts,
) -> Vec<usize> {
    judge_by(rule, table, mask, times, counts, |when, counts| holds(when, table, mask, counts))
}

/// The same, where `asked` tells on which rows of the mask the condition holds.
pub(crate) fn judge_by(
    rule: &CompiledRule,
    table: &RuleTable,
    mask: &BooleanBuffer,
    times: &dyn Fn(usize) -> Instant,
    counts: &mut RuleCounts,
    asked: impl FnOnce(&Condition, &mut RuleCounts) -> BooleanBuffer,
) -> Vec<usize> {
    counts.evaluated += mask.count_set_bits() as u64;
    let found = rule.when.as_ref().map_or_else(|| mask.clone(), |when| asked(when, counts));
    if found.count_set_bits() == 0 {
        return Vec::new();
    }
    let mut excepted = BooleanBuffer::new_unset(table.rows);
    for exception in &rule.exceptions {
        let current = BooleanBuffer::collect_bool(table.rows, |row| {
            found.value(row) && exception.until.is_none_or(|until| times(row) < until)
        });
        excepted = &excepted | &holds(&exception.when, table, &current, counts);
    }
    counts.excepted += excepted.count_set_bits() as u64;
    let found = &found & &!&excepted;
    counts.findings += found.count_set_bits() as u64;
    found.set_indices().collect()
}

/// The rows on which the rule holds, of all rows.
pub(crate) fn judge_all(
    rule: &CompiledRule,
    table: &RuleTable,
    times: &dyn Fn(usize) -> Instant,
    counts: &mut RuleCounts,
) -> Vec<usize> {
    judge(rule, table, &BooleanBuffer::new_set(table.rows), times, counts)
}

/// The rows among `left` on which a condition is true. A row on which it fails is counted as an error and is
/// not among them; whether it fails for one row does not depend on the others.
pub(crate) fn holds(
    condition: &Condition,
    table: &RuleTable,
    left: &BooleanBuffer,
    counts: &mut RuleCounts,
) -> BooleanBuffer {
    let rows = left.count_set_bits();
    if rows == 0 {
        return BooleanBuffer::new_unset(left.len());
    }
    let batch = project(condition, table);
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
    spread(&result, left)
}

/// Puts what was found of the rows in `left` at their places among all.
pub(super) fn spread(found: &BooleanBuffer, left: &BooleanBuffer) -> BooleanBuffer {
    let mut all = BooleanBufferBuilder::new(left.len());
    all.append_n(left.len(), false);
    left.set_indices().zip(found.iter()).filter(|(_, hit)| *hit).for_each(|(row, _)| all.set_bit(row, true));
    all.finish()
}

/// The columns that a condition reads.
pub(super) fn project(condition: &Condition, table: &RuleTable) -> RecordBatch {
    let columns = condition.inputs.iter().map(|&column| table.column(column)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(table.rows));
    RecordBatch::try_new_with_options(Arc::clone(&condition.schema), columns, &options)
        .expect("a condition's schema is taken from its rule's table")
}

/// The value of an expression in one row.
///
/// # Errors
/// If it cannot be computed.
pub(crate) fn value(expression: &Condition, table: &RuleTable, row: usize) -> Result<ScalarValue> {
    match expression.expr.evaluate(&project(expression, table).slice(row, 1))? {
        ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0),
        ColumnarValue::Scalar(scalar) => Ok(scalar),
    }
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
            counts.fail(&at_run_time(&e));
            false
        }
    })
}
