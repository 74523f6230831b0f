//! The forecasts that schedules query: columns of `budget_lines`, and a table by level.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Decimal128Builder, Int32Builder, StringViewArray, StringViewBuilder},
    datatypes::{Decimal128Type, Int32Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use datafusion::{
    common::{DataFusionError, Result},
    execution::context::SessionContext,
    logical_expr::col,
    prelude::Expr,
};
use futures::StreamExt;

use super::{bounded::Unread, guard::QueryDeadline, schedule::Tables};
use crate::{
    event::{BudgetAction, EventType, Instant, time::Calendar},
    forecast::{Early, Forecast, ForecastLevel, Forecasts, LineYear, YearPosition, forecast},
    ledger::columns::BALANCE_TYPE,
    say,
    sql::tables::{EVENT_COLUMNS, EVENT_TYPES, forecasts_schema, with_forecasts},
};

/// The lines of a moment, and what became of them.
pub(crate) struct Forecaster<'b> {
    lines: Vec<LineYear<'b>>,
    position: YearPosition,
}

impl<'b> Forecaster<'b> {
    /// For the rows of `budget_lines` at `now`; `None` beyond the calendar.
    #[must_use]
    pub(crate) fn new(lines: &'b RecordBatch, calendar: &Calendar, now: Instant) -> Option<Self> {
        let text = |name: &str| lines.column_by_name(name)?.as_string_view_opt();
        let cents = |name: &str| lines.column_by_name(name)?.as_primitive_opt::<Decimal128Type>();
        let (ids, units, classes) = (text("budget_line_id")?, text("unit_code")?, text("economic_code")?);
        let (totals, executed) = (cents("total")?, cents("executed")?);
        let years = lines.column_by_name("fiscal_year")?.as_primitive_opt::<Int32Type>()?;
        let elapsed = lines.column_by_name("year_elapsed")?;
        let line = |row: usize| LineYear {
            id: ids.value(row),
            unit: cell(units, row).unwrap_or_default(),
            class: cell(classes, row).unwrap_or_default(),
            // A year of which the journal lacks the beginning says nothing, and is no closed year to learn from.
            year: (years.is_valid(row) && elapsed.is_valid(row)).then(|| years.value(row)),
            total: totals.value(row),
            executed: executed.value(row),
            early_total: totals.value(row),
            early_executed: executed.value(row),
            is_known: true,
        };
        let lines = (0..lines.num_rows()).map(line).collect();
        Some(Self { lines, position: YearPosition::at(calendar, now)? })
    }

    /// What earlier events say of earlier years.
    pub(crate) fn early(&mut self) -> Early<'_, 'b> {
        Early::new(&mut self.lines, &self.position)
    }

    #[must_use]
    pub(crate) fn forecasts(&self) -> Forecasts {
        forecast(&self.lines, &self.position)
    }

    /// The lines, in the order of the rows.
    #[must_use]
    pub(crate) fn lines(&self) -> &[LineYear<'b>] {
        &self.lines
    }

    /// Where in the year it is.
    #[must_use]
    pub(crate) fn position(&self) -> &YearPosition {
        &self.position
    }

    /// Reads the events: all of them, for only those that tell all of a line tell something of it.
    async fn read(
        &mut self,
        context: &SessionContext,
        tables: &dyn Tables,
        watch: &QueryDeadline,
    ) -> Result<()> {
        let mut early = self.early();
        if early.is_empty() {
            return Ok(());
        }
        let events = tables.events(&EVENT_TYPES).map_err(|e| DataFusionError::from(Unread(e)))?;
        let columns: Vec<Expr> = EVENT_COLUMNS.map(col).to_vec();
        let mut stream = context.read_table(events)?.select(columns)?.execute_stream().await?;
        while let Some(batch) = stream.next().await {
            if watch.is_over() {
                return Err(watch.over());
            }
            add(&mut early, &batch?);
        }
        early.finish();
        Ok(())
    }
}

/// The forecasts for rows of `budget_lines`, by the events in the tables.
///
/// # Errors
/// If a table cannot be read.
pub(crate) async fn read<'b>(
    lines: &'b RecordBatch,
    context: &SessionContext,
    tables: &dyn Tables,
    calendar: &Calendar,
    now: Instant,
    watch: &QueryDeadline,
) -> Result<(Forecaster<'b>, Forecasts)> {
    let beyond = || DataFusionError::External(say!("there is no fiscal year for this time").into());
    let mut forecaster = Forecaster::new(lines, calendar, now).ok_or_else(beyond)?;
    forecaster.read(context, tables, watch).await?;
    let forecasts = forecaster.forecasts();
    Ok((forecaster, forecasts))
}

/// Adds the events of a batch that has [`EVENT_COLUMNS`].
pub(crate) fn add(early: &mut Early<'_, '_>, events: &RecordBatch) -> Option<()> {
    let text = |name: &str| events.column_by_name(name)?.as_string_view_opt();
    let (types, lines, actions) = (text("type")?, text("budget_line_id")?, text("action")?);
    let others = text("to_budget_line_id")?;
    let times = events.column_by_name("occurred_at")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    let amounts = events.column_by_name("amount")?.as_primitive_opt::<Decimal128Type>()?;
    for row in 0..events.num_rows() {
        let (line, cents) = (lines.value(row), amounts.value(row));
        let at = Instant::from_micros(times.value(row));
        let other = || cell(others, row).unwrap_or_default();
        match EventType::parse(types.value(row)) {
            Some(EventType::Payment) => early.execute(line, at, cents),
            Some(EventType::Refund | EventType::Reversal) => {
                early.execute(line, at, -cents);
            }
            Some(EventType::Correction) => {
                early.execute(line, at, -cents);
                early.execute(other(), at, cents);
            }
            Some(EventType::Budget) => match cell(actions, row).and_then(BudgetAction::parse) {
                Some(BudgetAction::Approve | BudgetAction::Supplement | BudgetAction::CarryOver) => {
                    early.budget(line, at, cents);
                }
                Some(BudgetAction::Reduce | BudgetAction::Reclaim) => {
                    early.budget(line, at, -cents);
                }
                Some(BudgetAction::Transfer) => {
                    early.budget(line, at, -cents);
                    early.budget(other(), at, cents);
                }
                _ => {}
            },
            _ => {}
        }
    }
    Some(())
}

fn cell(texts: &StringViewArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

struct Money<const N: usize>([Decimal128Builder; N]);

impl<const N: usize> Money<N> {
    fn new() -> Self {
        Self(std::array::from_fn(|_| Decimal128Builder::new().with_data_type(BALANCE_TYPE)))
    }

    fn push(&mut self, cents: [Option<i128>; N]) {
        self.0.iter_mut().zip(cents).for_each(|(column, cents)| column.append_option(cents));
    }

    fn finish(mut self) -> impl Iterator<Item = ArrayRef> {
        let columns: Vec<_> = self.0.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
        columns.into_iter()
    }
}

fn cells(forecast: Option<&Forecast>) -> [Option<i128>; 3] {
    [forecast.map(|f| f.year_end), forecast.and_then(|f| f.low), forecast.and_then(|f| f.high)]
}

/// The rows of `budget_lines` with the columns of forecasts.
#[must_use]
pub(crate) fn columns(lines: &RecordBatch, forecasts: &Forecasts) -> Option<RecordBatch> {
    let mut money = Money::<3>::new();
    forecasts.lines.iter().for_each(|forecast| money.push(cells(forecast.as_ref())));
    let columns = lines.columns().iter().cloned().chain(money.finish()).collect();
    RecordBatch::try_new(with_forecasts(&lines.schema()), columns).ok()
}

/// The rows of `forecasts`: every line, unit and economic class.
#[must_use]
pub(crate) fn table(forecaster: &Forecaster<'_>, forecasts: &Forecasts) -> Option<RecordBatch> {
    let mut texts: [StringViewBuilder; 4] = std::array::from_fn(|_| StringViewBuilder::new());
    let mut years = Int32Builder::new();
    let mut money = Money::<6>::new();
    let mut row = |codes: [Option<&str>; 4], year: Option<i32>, sums: (i128, i128), f: Option<&Forecast>| {
        texts.iter_mut().zip(codes).for_each(|(text, code)| text.append_option(code));
        years.append_option(year);
        let naive = year.and_then(|year| forecaster.position.pace(year, sums.1));
        let [year_end, low, high] = cells(f);
        money.push([Some(sums.0), Some(sums.1), year_end, low, high, naive]);
    };
    let named = |code| Some(code).filter(|code: &&str| !code.is_empty());
    for (line, forecast) in forecaster.lines.iter().zip(&forecasts.lines) {
        let codes = [Some(ForecastLevel::Line.word()), Some(line.id), named(line.unit), named(line.class)];
        row(codes, line.year, (line.total, line.executed), forecast.as_ref());
    }
    for group in &forecasts.groups {
        let code = |level| Some(&*group.code).filter(|_| group.level == level);
        let codes =
            [Some(group.level.word()), None, code(ForecastLevel::Unit), code(ForecastLevel::EconomicClass)];
        row(codes, Some(group.year), (group.total, group.executed), Some(&group.forecast));
    }
    let mut columns: Vec<ArrayRef> =
        texts.iter_mut().map(|text| Arc::new(text.finish()) as ArrayRef).collect();
    columns.push(Arc::new(years.finish()));
    columns.extend(money.finish());
    RecordBatch::try_new(forecasts_schema(), columns).ok()
}
