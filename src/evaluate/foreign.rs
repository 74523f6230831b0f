//! The aggregates of a window that `DataFusion` computes, anew from its events.

use std::sync::Arc;

use arrow::array::StringViewArray;
use datafusion::{
    common::{Result, ScalarValue},
    physical_expr::aggregate::AggregateFunctionExpr,
};
use hashbrown::HashSet;
use smallvec::SmallVec;

use super::aggregate::{Output, Texts};
use crate::rule::plan::{Layout, NULL_TEXT, Others};

/// So many different texts are looked through one by one.
const FEW: usize = 8;

/// The different texts of a window, whose rows are `words`. One or none, as there mostly are, need no `DataFusion`; of
/// several it says in which order they come, which depends on the first of each alone.
pub fn list(
    function: &AggregateFunctionExpr,
    (layout, lane): (&Layout, usize),
    words: &[u64],
    held: &Texts,
    output: &mut Output,
) {
    let different = different(layout, lane, words);
    let text = |word: &u64| (*word != NULL_TEXT).then(|| held.get(*word as u32));
    if different.len() < 2 {
        return output.push_list(different.first().map(text));
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
pub fn evaluate(function: &AggregateFunctionExpr, beside: usize, events: &[Others]) -> Result<ScalarValue> {
    let mut accumulator = function.create_accumulator()?;
    let rows: Vec<_> = events.iter().filter_map(|row| row[beside].as_deref()).collect();
    if let Some(first) = rows.first() {
        let column = |at: usize| ScalarValue::iter_to_array(rows.iter().map(|row| row[at].clone()));
        let columns: Vec<_> = (0..first.len()).map(column).collect::<Result<_>>()?;
        accumulator.update_batch(&columns)?;
    }
    accumulator.evaluate()
}
