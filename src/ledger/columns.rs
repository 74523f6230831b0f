//! `budget.*`: the balances and attributes of a line as columns beside the event's. Each is computed only when a
//! rule names it.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, AsArray, BooleanArray, Decimal128Array, Int32Array, Int64Array, PrimitiveArray,
        StringViewArray, StringViewBuilder,
    },
    buffer::NullBuffer,
    datatypes::{DataType, TimestampMicrosecondType},
    record_batch::RecordBatch,
};

use super::{AfterEvent, Attributes, GroupAfter};
use crate::event::{Column, Instant, Ratio, TimeDelta, period::Stretch, schema::FIELDS, time::Calendar};

/// `Decimal128(28, 2)`: see [`super::Balances`] for why no sum leaves it.
pub(crate) const BALANCE_TYPE: DataType = DataType::Decimal128(28, 2);
/// `Decimal128(38, 18)`.
#[allow(clippy::cast_possible_wrap)]
pub(crate) const RATIO_TYPE: DataType = DataType::Decimal128(38, Ratio::SCALE as i8);

/// A column of `budget.*`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BudgetColumn {
    /// A sum, in cents.
    Sum(fn(&AfterEvent, usize) -> i128),
    Ratio(fn(&AfterEvent, usize) -> Option<Ratio>),
    /// The elapsed share of the line's fiscal year, if all that was executed in it is known.
    YearElapsed,
    /// Whether the line was approved.
    Approved,
    /// The line's fiscal year.
    FiscalYear,
    Text(Column),
}

/// Every column of `budget.*` by name, in the order of docs/rules.md.
pub(crate) static BUDGET_COLUMNS: &[(&str, BudgetColumn)] = &[
    ("total", BudgetColumn::Sum(|a, row| a.total[row])),
    ("executed", BudgetColumn::Sum(|a, row| a.executed[row])),
    ("frozen", BudgetColumn::Sum(|a, row| a.frozen[row])),
    ("reserved", BudgetColumn::Sum(|a, row| a.reserved[row])),
    (
        "available",
        BudgetColumn::Sum(|a, row| a.total[row] - a.frozen[row] - a.reserved[row] - a.executed[row]),
    ),
    ("planned", BudgetColumn::Sum(|a, row| a.planned[row])),
    ("plan_available", BudgetColumn::Sum(|a, row| a.planned[row] - a.reserved[row] - a.executed[row])),
    ("opening", BudgetColumn::Sum(|a, row| a.opening[row])),
    ("cleared", BudgetColumn::Sum(|a, row| a.cleared[row])),
    ("uncleared", BudgetColumn::Sum(|a, row| a.uncleared[row])),
    ("executed_ratio", BudgetColumn::Ratio(|a, row| Ratio::of(a.executed[row], a.total[row]))),
    (
        "overspend_ratio",
        BudgetColumn::Ratio(|a, row| Ratio::of((a.executed[row] - a.total[row]).max(0), a.total[row])),
    ),
    ("year_elapsed", BudgetColumn::YearElapsed),
    ("approved", BudgetColumn::Approved),
    ("fiscal_year", BudgetColumn::FiscalYear),
    ("region_code", BudgetColumn::Text(Column::RegionCode)),
    ("unit_code", BudgetColumn::Text(Column::UnitCode)),
    ("unit_name", BudgetColumn::Text(Column::UnitName)),
    ("function_code", BudgetColumn::Text(Column::FunctionCode)),
    ("economic_code", BudgetColumn::Text(Column::EconomicCode)),
    ("project_code", BudgetColumn::Text(Column::ProjectCode)),
    ("fund_type", BudgetColumn::Text(Column::FundType)),
];

impl BudgetColumn {
    #[must_use]
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Sum(_) => BALANCE_TYPE,
            Self::Ratio(_) | Self::YearElapsed => RATIO_TYPE,
            Self::Approved => DataType::Boolean,
            Self::FiscalYear => DataType::Int32,
            Self::Text(column) => {
                debug_assert!(FIELDS[column.index()].name == column.spec().name);
                DataType::Utf8View
            }
        }
    }

    /// The column for the events of a batch.
    #[must_use]
    pub(crate) fn compute(
        self,
        after: &AfterEvent,
        attributes: &boxcar::Vec<Attributes>,
        events: &RecordBatch,
        calendar: &Calendar,
    ) -> ArrayRef {
        let rows = after.attributes.len();
        // NULL where the event is of no line.
        let line = |row: usize| attributes.get(after.attributes[row] as usize);
        let array: ArrayRef = match self {
            Self::Sum(sum) => {
                let lines = (0..rows).map(|row| after.has_line(row)).collect::<NullBuffer>();
                let sums = (0..rows).map(|row| sum(after, row)).collect::<Vec<_>>().into();
                Arc::new(Decimal128Array::new(sums, Some(lines).filter(|lines| lines.null_count() > 0)))
            }
            Self::Ratio(ratio) => Arc::new(
                (0..rows).map(|row| ratio(after, row).map(Ratio::as_scaled)).collect::<Decimal128Array>(),
            ),
            Self::YearElapsed => {
                let at: &PrimitiveArray<TimestampMicrosecondType> =
                    events.column(Column::OccurredAt.index()).as_primitive();
                let mut year = ElapsedYear::new(calendar);
                // NULL where a part of what was executed is not known: nothing can be compared with the calendar.
                let known = |row: usize| line(row).filter(|_| after.covered[row])?.fiscal_year;
                let elapsed = (0..rows).map(|row| {
                    year.elapsed(known(row)?, Instant::from_micros(at.value(row))).map(Ratio::as_scaled)
                });
                Arc::new(elapsed.collect::<Decimal128Array>())
            }
            Self::Approved => {
                Arc::new((0..rows).map(|row| line(row).map(|l| l.approved)).collect::<BooleanArray>())
            }
            Self::FiscalYear => Arc::new((0..rows).map(|row| line(row)?.fiscal_year).collect::<Int32Array>()),
            Self::Text(column) => {
                let mut builder = StringViewBuilder::with_capacity(rows);
                (0..rows).for_each(|row| builder.append_option(line(row).and_then(|l| l.text(column))));
                Arc::new(builder.finish())
            }
        };
        match (self.data_type(), array.as_primitive_opt::<arrow::datatypes::Decimal128Type>()) {
            (data_type, Some(decimals)) => Arc::new(decimals.clone().with_data_type(data_type)),
            _ => array,
        }
    }
}

/// A column of `group.*`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum GroupColumn {
    /// What the lines have in common.
    Key,
    /// How many there are.
    Lines,
    /// What a line would say of such balances.
    Of(BudgetColumn),
}

/// Every column of `group.*` by name, in the order of docs/rules.md.
pub(crate) static GROUP_COLUMNS: &[(&str, GroupColumn)] = &[
    ("key", GroupColumn::Key),
    ("lines", GroupColumn::Lines),
    ("total", GroupColumn::Of(BudgetColumn::Sum(|a, row| a.total[row]))),
    ("executed", GroupColumn::Of(BudgetColumn::Sum(|a, row| a.executed[row]))),
    ("frozen", GroupColumn::Of(BudgetColumn::Sum(|a, row| a.frozen[row]))),
    ("reserved", GroupColumn::Of(BudgetColumn::Sum(|a, row| a.reserved[row]))),
    ("used", GroupColumn::Of(BudgetColumn::Sum(|a, row| a.executed[row] + a.reserved[row]))),
    (
        "available",
        GroupColumn::Of(BudgetColumn::Sum(|a, row| {
            a.total[row] - a.frozen[row] - a.reserved[row] - a.executed[row]
        })),
    ),
    ("planned", GroupColumn::Of(BudgetColumn::Sum(|a, row| a.planned[row]))),
    (
        "plan_available",
        GroupColumn::Of(BudgetColumn::Sum(|a, row| a.planned[row] - a.reserved[row] - a.executed[row])),
    ),
    ("opening", GroupColumn::Of(BudgetColumn::Sum(|a, row| a.opening[row]))),
    ("cleared", GroupColumn::Of(BudgetColumn::Sum(|a, row| a.cleared[row]))),
    ("uncleared", GroupColumn::Of(BudgetColumn::Sum(|a, row| a.uncleared[row]))),
    (
        "executed_ratio",
        GroupColumn::Of(BudgetColumn::Ratio(|a, row| Ratio::of(a.executed[row], a.total[row]))),
    ),
    (
        "used_ratio",
        GroupColumn::Of(BudgetColumn::Ratio(|a, row| {
            Ratio::of(a.executed[row] + a.reserved[row], a.total[row])
        })),
    ),
];

impl GroupColumn {
    #[must_use]
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Key => DataType::Utf8View,
            Self::Lines => DataType::Int64,
            Self::Of(column) => column.data_type(),
        }
    }

    /// The column for the events of a batch; NULL where the event's line is of no group.
    #[must_use]
    pub(crate) fn compute(self, after: &GroupAfter, events: &RecordBatch, calendar: &Calendar) -> ArrayRef {
        match self {
            Self::Key => Arc::new(after.keys.iter().map(Option::as_deref).collect::<StringViewArray>()),
            Self::Lines => {
                let lines = after.keys.iter().zip(&after.lines);
                let lines = lines.map(|(key, lines)| key.as_ref().map(|_| i64::from(*lines)));
                Arc::new(lines.collect::<Int64Array>())
            }
            Self::Of(column) => column.compute(&after.sums, &boxcar::Vec::new(), events, calendar),
        }
    }
}

/// The elapsed share of fiscal years; most events are of the same year as the one before.
pub(crate) struct ElapsedYear<'c> {
    calendar: &'c Calendar,
    cached: Option<(i32, Stretch)>,
}

impl<'c> ElapsedYear<'c> {
    /// Without a year yet.
    #[must_use]
    pub(crate) fn new(calendar: &'c Calendar) -> Self {
        Self { calendar, cached: None }
    }

    /// The share of `year` that is over at `at`, 0 to 1.
    pub(crate) fn elapsed(&mut self, year: i32, at: Instant) -> Option<Ratio> {
        let Stretch { start, end } = match self.cached {
            Some((cached, stretch)) if cached == year => stretch,
            _ => {
                let stretch = self.calendar.fiscal_year(year)?;
                self.cached = Some((year, stretch));
                stretch
            }
        };
        let micros = |length: TimeDelta| i128::from(length.as_micros());
        Ratio::of(micros(at.clamp(start, end) - start), micros(end - start))
    }
}
