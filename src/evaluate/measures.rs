//! Measures computed from the results of their aggregates.

use arrow::{array::ArrayRef, compute::concat, record_batch::RecordBatch};
use datafusion::common::{Result, ScalarValue};

use super::{aggregate::array, condition::RuleCounts};
use crate::diagnostic::at_run_time;
use crate::rule::measure::Measures;

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
