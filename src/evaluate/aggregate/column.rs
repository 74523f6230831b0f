//! The results of aggregates as Arrow columns.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayBuilder, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, ListBuilder,
        StringViewBuilder, new_null_array,
    },
    compute::cast,
    datatypes::{DataType, i256},
};
use datafusion::common::{Result, ScalarValue, exec_err};

use super::{Tally, Texts, median, tally::Moments};
use crate::{
    diagnostic::{at_run_time, type_name},
    rule::plan::{Aggregate, AggregateKind},
    say,
    sql::functions::deviation::VALUES_MAX,
};

/// The results of one aggregate, a value an event or window.
#[derive(Debug)]
pub(crate) struct AggregateColumn {
    data_type: DataType,
    cells: Cells,
    /// Rows whose result does not fit its type, or could not be computed, with why.
    pub failed: Vec<(usize, String)>,
}

/// Values on their way into a column.
#[derive(Debug)]
pub(crate) enum Cells {
    /// Whole numbers, and decimals at their scale.
    Numbers(Vec<Option<i128>>),
    Floats(Vec<Option<f64>>),
    Texts(StringViewBuilder),
    Lists(Box<ListBuilder<StringViewBuilder>>),
    Values(Vec<ScalarValue>),
}

impl AggregateColumn {
    /// An empty column for an aggregate.
    #[must_use]
    pub(crate) fn new(aggregate: &Aggregate, rows: usize) -> Self {
        let cells = match aggregate.kind {
            AggregateKind::Other(_) => Cells::Values(Vec::with_capacity(rows)),
            AggregateKind::Listed(_) => Cells::Lists(Box::new(ListBuilder::new(StringViewBuilder::new()))),
            AggregateKind::Min | AggregateKind::Max if aggregate.data_type.is_string() => {
                Cells::Texts(StringViewBuilder::with_capacity(rows))
            }
            AggregateKind::Moment { .. } | AggregateKind::Deviation => {
                Cells::Floats(Vec::with_capacity(rows))
            }
            AggregateKind::Median if aggregate.data_type == DataType::Float64 => {
                Cells::Floats(Vec::with_capacity(rows))
            }
            _ => Cells::Numbers(Vec::with_capacity(rows)),
        };
        Self { data_type: aggregate.data_type.clone(), cells, failed: Vec::new() }
    }

    /// Values so far.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        match &self.cells {
            Cells::Numbers(cells) => cells.len(),
            Cells::Floats(cells) => cells.len(),
            Cells::Texts(cells) => cells.len(),
            Cells::Lists(cells) => cells.len(),
            Cells::Values(cells) => cells.len(),
        }
    }

    /// Adds the result of a tally, whose texts are `held`.
    #[inline]
    pub(crate) fn push(&mut self, aggregate: &Aggregate, tally: &Tally, held: &Texts) {
        match &mut self.cells {
            Cells::Numbers(_) => self.push_number(aggregate, tally),
            Cells::Floats(_) => self.push_float(aggregate, tally),
            Cells::Texts(cells) => cells.append_option(match tally {
                Tally::Text { candidates, .. } => candidates.front().map(|(_, number)| held.get(*number)),
                Tally::Best { text, .. } => text.as_deref(),
                _ => None,
            }),
            // Those are no tally's.
            Cells::Lists(_) | Cells::Values(_) => {}
        }
    }

    fn push_float(&mut self, aggregate: &Aggregate, tally: &Tally) {
        let value = match (tally, &aggregate.kind) {
            (Tally::Moments(moments), AggregateKind::Moment { sample, root, scale }) => {
                let value = moment(moments, *sample, *scale);
                value.map(|v| if *root { v.sqrt() } else { v })
            }
            (Tally::Ordered { numbers, .. }, AggregateKind::Deviation) if numbers.len() > VALUES_MAX => {
                let error = say!("more than {most} different values in one group", most = VALUES_MAX);
                self.failed.push((self.len(), error));
                None
            }
            (Tally::Ordered { numbers, .. }, AggregateKind::Deviation) => median::deviation(numbers),
            (Tally::Ordered { numbers, .. }, _) => median::of_floats(numbers),
            _ => None,
        };
        if let Cells::Floats(cells) = &mut self.cells {
            cells.push(value);
        }
    }

    fn push_number(&mut self, aggregate: &Aggregate, tally: &Tally) {
        let number = match (tally, &aggregate.kind) {
            (Tally::Count(n), _) => Some(i128::from(*n)),
            (Tally::Sum { n, total }, _) => (*n > 0).then_some(*total),
            (Tally::WideSum { n, total }, _) => (*n > 0).then(|| total.to_i128().unwrap_or(i128::MAX)),
            (Tally::Extreme { candidates, .. }, _) => candidates.front().map(|(_, value)| *value),
            (Tally::Most { value, .. }, _) => *value,
            (Tally::Distinct(values), _) => i128::try_from(values.len()).ok(),
            (Tally::Ordered { numbers, .. }, _) => median::number(numbers),
            _ => None,
        };
        let fits = number.is_none_or(|number| fits(number, &self.data_type));
        let row = self.len();
        if !fits {
            self.failed
                .push((row, say!("the result is too large for {kind}", kind = type_name(&self.data_type))));
        }
        if let Cells::Numbers(cells) = &mut self.cells {
            cells.push(number.filter(|_| fits));
        }
    }

    /// Adds a result of `DataFusion`'s.
    pub(crate) fn push_value(&mut self, value: Result<ScalarValue>) {
        let row = self.len();
        let value = value.unwrap_or_else(|e| {
            self.failed.push((row, at_run_time(&e)));
            ScalarValue::Null
        });
        match (&mut self.cells, value) {
            (Cells::Values(cells), value) => {
                let null = || ScalarValue::try_from(&self.data_type).unwrap_or(ScalarValue::Null);
                cells.push(if value.is_null() { null() } else { value });
            }
            (Cells::Lists(cells), ScalarValue::List(list)) if list.is_valid(0) => {
                let texts = list.value(0);
                texts.as_string_view().iter().for_each(|text| cells.values().append_option(text));
                cells.append(true);
            }
            (Cells::Lists(cells), _) => cells.append_null(),
            _ => {}
        }
    }

    /// Adds a list of one text, or none.
    // The list may be missing, and so may its text.
    #[allow(clippy::option_option)]
    pub(crate) fn push_list(&mut self, text: Option<Option<&str>>) {
        let Cells::Lists(cells) = &mut self.cells else { return };
        if let Some(text) = text {
            cells.values().append_option(text);
        }
        cells.append(text.is_some());
    }

    /// The column.
    ///
    /// # Errors
    /// If values of `DataFusion`'s do not fit one another.
    pub(crate) fn finish(self) -> Result<(ArrayRef, Vec<(usize, String)>)> {
        let array = match self.cells {
            Cells::Floats(cells) => Arc::new(cells.into_iter().collect::<Float64Array>()) as ArrayRef,
            Cells::Texts(mut cells) => {
                let texts: ArrayRef = Arc::new(cells.finish());
                if texts.data_type() == &self.data_type { texts } else { cast(&texts, &self.data_type)? }
            }
            Cells::Lists(mut cells) => Arc::new(cells.finish()) as ArrayRef,
            Cells::Values(cells) if cells.is_empty() => new_null_array(&self.data_type, 0),
            Cells::Values(cells) => ScalarValue::iter_to_array(cells)?,
            Cells::Numbers(cells) => numbers(cells, &self.data_type)?,
        };
        if array.data_type() != &self.data_type {
            return exec_err!("an aggregate of type {} gave {}", self.data_type, array.data_type());
        }
        Ok((array, self.failed))
    }
}

fn numbers(cells: Vec<Option<i128>>, data_type: &DataType) -> Result<ArrayRef> {
    if let DataType::Decimal128(..) = data_type {
        let array: Decimal128Array = cells.into_iter().collect();
        return Ok(Arc::new(array.with_data_type(data_type.clone())));
    }
    let array: Int64Array = cells.into_iter().map(|n| i64::try_from(n?).ok()).collect();
    Ok(cast(&array, data_type)?)
}

fn fits(number: i128, data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal128(precision, _) => {
            10u128.checked_pow(u32::from(*precision)).is_none_or(|limit| number.unsigned_abs() < limit)
        }
        _ => i64::try_from(number).is_ok(),
    }
}

/// The variance from exact sums: (n Σx² − (Σx)²) / (n (n − 1)), or / n². Only the last division is a float's.
fn moment(moments: &Moments, sample: bool, scale: u32) -> Option<f64> {
    let Moments { n, total, squares } = *moments;
    let divisor = i128::from(n) * i128::from(if sample { n - 1 } else { n });
    if divisor <= 0 {
        return None;
    }
    let n = i256::from_i128(i128::from(n));
    let spread = n.wrapping_mul(squares).wrapping_sub(total.wrapping_mul(total));
    #[allow(clippy::cast_precision_loss)]
    Some(float(spread) / divisor as f64 / 10f64.powi(2 * i32::try_from(scale).unwrap_or(0)))
}

/// The nearest float.
#[allow(clippy::cast_precision_loss)]
fn float(number: i256) -> f64 {
    match number.to_i128() {
        Some(small) => small as f64,
        // The two halves are exact; their sum is rounded once.
        None => {
            let (low, high) = number.to_parts();
            high as f64 * 2f64.powi(128) + low as f64
        }
    }
}
