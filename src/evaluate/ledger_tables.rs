//! The tables that the ledger gives at a tick: budget lines and indicators, each only if a query names it.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Decimal128Builder, Int32Builder, StringViewBuilder, TimestampMicrosecondBuilder},
    record_batch::RecordBatch,
};

use super::tables::{budget_lines, elapsed_at};
use crate::{
    event::{
        Instant, Ratio,
        schema::{NUMBER_TYPE, time_type},
        time::Calendar,
    },
    ledger::{Attributes, Indicator, Ledger, Line, columns::RATIO_TYPE},
    rule::query::ScheduleRule,
    sql::tables::{BUDGET_LINES, INDICATOR_TEXTS, INDICATORS, schema},
};

/// What the ledger held at one moment.
#[derive(Debug, Clone, Default)]
pub struct LedgerTables {
    lines: Option<RecordBatch>,
    indicators: Option<RecordBatch>,
}

impl LedgerTables {
    /// The tables that queries name which are due together: of the budget lines the columns that one of them reads. Other
    /// ticks get theirs from [`Self::at`].
    #[must_use]
    pub fn read_by(queries: &[&ScheduleRule], ledger: &Ledger, calendar: &Calendar, now: Instant) -> Self {
        let mut tables = Self::default();
        tables.add_lines(queries, ledger.lines_covered(), calendar, now);
        tables.add_indicators(queries, ledger, calendar);
        tables
    }

    /// Adds the budget lines, where queries read them.
    pub fn add_lines<'l>(
        &mut self,
        queries: &[&ScheduleRule],
        lines: impl Iterator<Item = (&'l Line, &'l Attributes, bool)>,
        calendar: &Calendar,
        now: Instant,
    ) {
        let reads = |name: &str| queries.iter().any(|query| query.reads_of_lines(name));
        if queries.iter().any(|query| query.reads_lines()) {
            self.lines = budget_lines(lines, calendar, now, &reads);
        }
    }

    /// Adds the indicators, where queries read them.
    pub fn add_indicators(&mut self, queries: &[&ScheduleRule], ledger: &Ledger, calendar: &Calendar) {
        if queries.iter().any(|query| query.tables.contains(INDICATORS)) {
            self.indicators = indicators(ledger, calendar);
        }
    }

    /// Whether a query reads any of them.
    #[must_use]
    pub fn are_read_by(query: &ScheduleRule) -> bool {
        query.reads_lines() || query.tables.contains(INDICATORS)
    }

    /// The same at another tick, between which no event was.
    #[must_use]
    pub fn at(&self, calendar: &Calendar, now: Instant) -> Self {
        let lines = self.lines.as_ref().and_then(|lines| elapsed_at(lines, calendar, now));
        Self { lines, indicators: self.indicators.clone() }
    }

    /// The rows of a table.
    #[must_use]
    pub fn rows(&self, table: &str) -> Option<&RecordBatch> {
        match table {
            BUDGET_LINES => self.lines.as_ref(),
            INDICATORS => self.indicators.as_ref(),
            _ => None,
        }
    }
}

type TextOf = fn(&Indicator) -> Option<&str>;

/// In the order of [`INDICATOR_TEXTS`].
const TEXTS: [TextOf; INDICATOR_TEXTS.len()] = [
    |i| i.name.as_deref(),
    |i| Some(&i.project_code),
    |i| i.region_code.as_deref(),
    |i| i.unit_code.as_deref(),
    |i| i.unit_name.as_deref(),
    |i| i.budget_line_id.as_deref(),
    |i| Some(i.direction()),
];

/// Every indicator as it was stated last.
fn indicators(ledger: &Ledger, calendar: &Calendar) -> Option<RecordBatch> {
    let (mut ids, mut years) = (StringViewBuilder::new(), Int32Builder::new());
    let mut texts = TEXTS.map(|_| StringViewBuilder::new());
    let mut numbers = [0, 1].map(|_| Decimal128Builder::new().with_data_type(NUMBER_TYPE));
    let mut shares = Decimal128Builder::new().with_data_type(RATIO_TYPE);
    let mut times =
        [0, 1].map(|_| TimestampMicrosecondBuilder::new().with_data_type(time_type(&calendar.zone_name)));
    for (id, indicator) in ledger.indicators().iter() {
        ids.append_value(id);
        years.append_value(indicator.fiscal_year);
        texts.iter_mut().zip(TEXTS).for_each(|(text, of)| text.append_option(of(indicator)));
        numbers[0].append_value(indicator.target);
        numbers[1].append_option(indicator.actual);
        shares.append_option(indicator.achievement().map(Ratio::as_scaled));
        let year_end = || Some(calendar.fiscal_year(indicator.fiscal_year)?.end);
        times[0].append_option(indicator.due.or_else(year_end).map(Instant::as_micros));
        times[1].append_value(indicator.stated_at.as_micros());
    }
    let mut columns: Vec<ArrayRef> = vec![Arc::new(ids.finish()), Arc::new(years.finish())];
    columns.extend(texts.iter_mut().map(|text| Arc::new(text.finish()) as ArrayRef));
    columns.extend(numbers.iter_mut().map(|number| Arc::new(number.finish()) as ArrayRef));
    columns.push(Arc::new(shares.finish()));
    columns.extend(times.iter_mut().map(|time| Arc::new(time.finish()) as ArrayRef));
    RecordBatch::try_new(schema(INDICATORS, &calendar.zone_name)?, columns).ok()
}
