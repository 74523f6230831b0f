//! The aggregates of a window that `DataFusion` computes, again from its events.

use std::sync::Arc;

use arrow::array::StringViewArray;
use datafusion::{
    common::{DataFusionError, ScalarValue},
    logical_expr::Accumulator,
    physical_expr::aggregate::AggregateFunctionExpr,
};
use hashbrown::HashSet;
use smallvec::SmallVec;

use super::aggregate::{AggregateColumn, Texts};
use crate::{
    diagnostic::ExpressionProblem,
    rule::plan::{Layout, NULL_TEXT, Others},
    sql::functions::{
        capped,
        growth::{Keeps, of_aggregate},
    },
};

/// How much an aggregate of `DataFusion`'s is given of one window, as far as it keeps it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccumulatorSize {
    keeps: Keeps,
    bytes: u64,
    values: u64,
}

impl AccumulatorSize {
    pub(crate) fn of(function: &AggregateFunctionExpr) -> Self {
        let keeps = match of_aggregate(function.fun().name()) {
            // What is kept once is not told by what is given.
            Some(_) if function.is_distinct() => Keeps::Values,
            keeps => keeps.unwrap_or(Keeps::Values),
        };
        Self { keeps, bytes: 0, values: 0 }
    }

    /// Adds the arguments of an event.
    pub(crate) fn add(&mut self, args: &[ScalarValue]) {
        if self.keeps != Keeps::Numbers {
            self.values += 1;
            self.bytes += args.iter().map(bytes).sum::<u64>();
        }
    }

    /// Adds what another pane of the window is given.
    pub(crate) fn merge(&mut self, other: Self) {
        self.values += other.values;
        self.bytes += other.bytes;
    }

    /// An aggregate that keeps each different value once holds this.
    pub(crate) fn set(&mut self, accumulator: &dyn Accumulator) {
        self.bytes = accumulator.size() as u64;
    }

    /// Whether that is no more than it may be.
    ///
    /// # Errors
    /// If it is more.
    pub(crate) fn within(self, function: &AggregateFunctionExpr) -> Result<(), ExpressionProblem> {
        match self.keeps {
            Keeps::Numbers => Ok(()),
            Keeps::Values => capped::values(function.fun().name(), self.bytes),
            Keeps::Everything => capped::value(function.fun().name(), self.bytes, self.values),
        }
    }
}

/// The result of an aggregate, unless it is longer than a value may be.
///
/// # Errors
/// If it is, or there is none.
pub(crate) fn result(
    function: &AggregateFunctionExpr,
    accumulator: &mut dyn Accumulator,
) -> Result<ScalarValue, DataFusionError> {
    let result = accumulator.evaluate()?;
    let name = function.fun().name();
    if of_aggregate(name) == Some(Keeps::Everything) {
        capped::value(name, bytes(&result), 0)?;
    }
    Ok(result)
}

fn bytes(value: &ScalarValue) -> u64 {
    match value.try_as_str() {
        Some(text) => text.map_or(0, str::len) as u64,
        None => (value.size() - size_of::<ScalarValue>()).max(8) as u64,
    }
}

/// So many different texts are looked through one by one.
const FEW: usize = 8;

/// The different texts of a window, whose rows are `words`. One or none, as there mostly are, need no `DataFusion`; of
/// several it says in which order they come, which depends on the first of each alone.
pub(crate) fn list(
    function: &AggregateFunctionExpr,
    (layout, lane): (&Layout, usize),
    words: &[u64],
    held: &Texts,
    output: &mut AggregateColumn,
) {
    let different = different(layout, lane, words);
    let text = |word: &u64| (*word != NULL_TEXT).then(|| held.get(*word as u32));
    if different.len() < 2 {
        return output.push_list(different.first().map(text));
    }
    let bytes = different.iter().filter_map(text).map(|text| text.len() as u64).sum();
    if let Err(refusal) = capped::value(function.fun().name(), bytes, different.len() as u64) {
        return output.push_value(Err(refusal.into()));
    }
    let texts: StringViewArray = different.iter().map(text).collect();
    let list = function.create_accumulator().and_then(|mut accumulator| {
        accumulator.update_batch(&[Arc::new(texts)])?;
        accumulator.evaluate()
    });
    output.push_value(list);
}

/// The different words of a lane, in the order in which they first come.
fn different(layout: &Layout, lane: usize, words: &[u64]) -> SmallVec<[u64; FEW]> {
    let mut different: SmallVec<[u64; FEW]> = SmallVec::new();
    let mut seen = HashSet::new();
    for row in words.chunks_exact(layout.stride()).filter(|row| Layout::has(row, lane)) {
        let word = layout.word(row, lane);
        if different.last() == Some(&word) {
            continue;
        }
        if different.len() == FEW && seen.is_empty() {
            seen.extend(different.iter().copied());
        }
        let known = if seen.is_empty() { different.contains(&word) } else { !seen.insert(word) };
        if !known {
            different.push(word);
        }
    }
    different
}

/// An aggregate over the events of a window in the order of time.
///
/// # Errors
/// If `DataFusion` cannot compute it.
pub(crate) fn evaluate(
    function: &AggregateFunctionExpr,
    beside: usize,
    events: &[Others],
) -> Result<ScalarValue, DataFusionError> {
    let mut accumulator = function.create_accumulator()?;
    let rows: Vec<_> = events.iter().filter_map(|row| row[beside].as_deref()).collect();
    let mut weight = AccumulatorSize::of(function);
    if !function.is_distinct() {
        rows.iter().for_each(|row| weight.add(row));
        weight.within(function)?;
    }
    if let Some(first) = rows.first() {
        let column = |at: usize| ScalarValue::iter_to_array(rows.iter().map(|row| row[at].clone()));
        let columns: Vec<_> = (0..first.len()).map(column).collect::<Result<_, DataFusionError>>()?;
        accumulator.update_batch(&columns)?;
    }
    result(function, accumulator.as_mut())
}
