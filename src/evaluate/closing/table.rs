//! Windows in the columns of their rule's table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, TimestampMicrosecondArray};
use datafusion::common::Result;

use super::{
    super::{
        aggregate::AggregateColumn,
        anomaly::{AnomalyScore, score},
        condition::{RuleCounts, RuleTable},
        key_history::ClosedWindow,
    },
    CalendarWindows, Judge, Window,
    judge::{column, measured, numbers},
};

impl CalendarWindows {
    /// The windows in the columns of the rule's table. Their values become history.
    pub(super) fn table(
        &mut self,
        j: &Judge<'_>,
        windows: &[Window],
        outputs: Vec<AggregateColumn>,
        failed: &mut [bool],
        counts: &mut RuleCounts,
    ) -> Result<RuleTable> {
        let mut columns = Vec::with_capacity(j.rule.columns.fields().len());
        for at in 0..j.view.by.len() {
            let keys = windows.iter().filter_map(|window| self.keys.get(&window.key));
            columns.push(column(keys.map(|key| &key.by[at]))?);
        }
        let measures = measured(j, outputs, failed, counts)?;
        let values = j.view.anomaly.as_ref().map(|(_, at)| numbers(&measures[*at])).transpose()?;
        columns.extend(measures);
        let mut scores: Vec<(Option<AnomalyScore>, usize)> = Vec::new();
        let mut history = Vec::new();
        for (row, Window { stretch, key, .. }) in windows.iter().enumerate() {
            let value = values.as_ref().and_then(|values| values[row]).filter(|_| !j.is_partial(*stretch));
            let Some(key) = self.keys.get_mut(key) else { continue };
            if let Some((anomaly, _)) = &j.view.anomaly {
                key.history(j, *stretch, anomaly.history, &mut history);
                scores.push((value.and_then(|x| score(anomaly, x, &history)), history.len()));
            }
            let new = || ClosedWindow { start: stretch.start.as_micros(), value, found: false };
            key.past.get_or_insert_with(stretch.end.as_micros(), new).value = value;
        }
        if j.view.anomaly.is_some() {
            let floats = |f: fn(&AnomalyScore) -> f64| {
                scores.iter().map(|(s, _)| s.as_ref().map(f)).collect::<Float64Array>()
            };
            columns.push(Arc::new(floats(|s| s.score)));
            columns.push(Arc::new(floats(|s| s.baseline)));
            let counts = scores.iter().map(|(_, n)| i64::try_from(*n).unwrap_or(i64::MAX));
            columns.push(Arc::new(Int64Array::from_iter_values(counts)));
        }
        columns.extend(times(j, windows));
        Ok(RuleTable::new(columns.into(), windows.len()))
    }
}

/// The columns `window_start` and `window_end`.
pub(super) fn times(j: &Judge<'_>, windows: &[Window]) -> [ArrayRef; 2] {
    [|w: &Window| w.stretch.start.as_micros(), |w: &Window| w.stretch.end.as_micros()].map(|at| -> ArrayRef {
        let times = TimestampMicrosecondArray::from(windows.iter().map(at).collect::<Vec<_>>());
        Arc::new(times.with_timezone(j.calendar.zone_name.as_str()))
    })
}
