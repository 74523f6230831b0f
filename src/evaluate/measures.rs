//! Measures computed from the results of their aggregates.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatchOptions, new_null_array},
    compute::concat,
    record_batch::RecordBatch,
};
use datafusion::common::{Result, ScalarValue};

use super::{
    aggregate::{FailedValue, KEY, array},
    condition::RuleCounts,
    sliding::{Selected, WindowResults},
};
use crate::{
    diagnostic::at_run_time,
    rule::{compile::OverWindow, measure::Measures},
};

/// The measures for rows of results. A row on which one fails is counted and marked in `failed`.
///
/// # Errors
/// If the values of a measure do not fit one another.
pub(crate) fn compute(
    measures: &Measures,
    results: &RecordBatch,
    failed: &mut [bool],
    counts: &mut RuleCounts,
) -> Result<Vec<ArrayRef>> {
    let mut columns = Vec::with_capacity(measures.columns.len());
    for (expr, field) in measures.columns.iter().zip(&measures.fields) {
        if let Ok(column) = array(expr, results) {
            columns.push(column);
            continue;
        }
        let mut rows = Vec::with_capacity(results.num_rows());
        for (row, failed) in failed.iter_mut().enumerate() {
            rows.push(match array(expr, &results.slice(row, 1)) {
                Ok(value) => value,
                Err(e) => {
                    if !std::mem::replace(failed, true) {
                        counts.fail(&at_run_time(&e));
                    }
                    ScalarValue::try_from(field.data_type())?.to_array()?
                }
            });
        }
        columns.push(concat(&rows.iter().map(AsRef::as_ref).collect::<Vec<_>>())?);
    }
    Ok(columns)
}

/// The measures of a window for the events of a rule. Events for which one of them could not be computed are marked in
/// `failed`.
pub(crate) fn measured_columns(
    window: &OverWindow,
    measured: &WindowResults,
    selected: &Selected,
    failed: &mut [bool],
    counts: &mut RuleCounts,
) -> Vec<ArrayRef> {
    // What goes wrong for another rule that shares the window is not this one's business.
    let own = |f: &&FailedValue| f.lane == KEY || window.lanes.contains(&f.lane);
    let values = selected.failed.iter().filter(own).map(|f| (f.row, &f.error));
    let results =
        window.results.iter().flat_map(|at| &measured.failed[*at]).map(|(row, error)| (*row, error));
    for (row, error) in values.chain(results) {
        if !std::mem::replace(&mut failed[row], true) {
            counts.fail(error);
        }
    }
    let results = window.results.iter().map(|at| Arc::clone(&measured.columns[*at])).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(failed.len()));
    let columns = RecordBatch::try_new_with_options(Arc::clone(&window.measures.results), results, &options)
        .map_err(Into::into)
        .and_then(|batch| compute(&window.measures, &batch, failed, counts));
    columns.unwrap_or_else(|e| {
        counts.fail(&at_run_time(&e));
        failed.fill(true);
        let rows = failed.len();
        window.measures.fields.iter().map(|f| new_null_array(f.data_type(), rows)).collect()
    })
}
