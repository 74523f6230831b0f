//! Event times that cannot be right: a wrong stamp goes to quarantine, where it is counted and seen.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray},
    datatypes::Int32Type,
    record_batch::RecordBatch,
};

use crate::{
    event::{BudgetAction, Column, EventType, Instant, time::Calendar},
    say,
};

/// Fiscal years before that of the first budget lines from which events are accepted.
const YEARS: i32 = 3;

/// The earliest time that events may have, as the first budget lines show it.
#[derive(Debug, Clone)]
pub struct Plausible {
    calendar: Arc<Calendar>,
    /// The fiscal years of the first two lines that were approved: one alone may be wrong, too.
    years: Vec<i32>,
    earliest: Option<Instant>,
}

impl Plausible {
    /// A bound that follows from the budget lines to come.
    #[must_use]
    pub fn new(calendar: &Arc<Calendar>) -> Self {
        Self { calendar: Arc::clone(calendar), years: Vec::new(), earliest: None }
    }

    /// Goes on after lines of these fiscal years.
    pub fn restore(&mut self, years: &[i32]) {
        self.years = years.to_vec();
        self.settle();
    }

    /// The fiscal years that it follows from.
    #[must_use]
    pub fn years(&self) -> &[i32] {
        &self.years
    }

    /// Takes in an accepted event.
    #[inline]
    pub fn observe(&mut self, events: &RecordBatch, event_type: EventType, row: usize) {
        if event_type != EventType::Budget || self.earliest.is_some() {
            return;
        }
        let action = events.column(Column::Action.index()).as_string_view();
        let year = events.column(Column::FiscalYear.index()).as_primitive::<Int32Type>();
        if year.is_valid(row) && BudgetAction::parse(action.value(row)) == Some(BudgetAction::Approve) {
            self.years.push(year.value(row));
            self.settle();
        }
    }

    fn settle(&mut self) {
        if let [a, b, ..] = self.years[..] {
            self.earliest = self.calendar.fiscal_year(a.min(b) - YEARS).map(|year| year.start);
        }
    }

    /// Why an event of this time is refused; `None` if it is not.
    #[inline]
    #[must_use]
    pub fn refuses(&self, at: Instant) -> Option<String> {
        let earliest = self.earliest.filter(|earliest| at < *earliest)?;
        Some(say!(
            "occurred_at {at} is before {earliest}, three fiscal years before the first budget lines; if it is right, set engine.min_time to an earlier day",
            at = self.calendar.format(at),
            earliest = self.calendar.format(earliest)
        ))
    }
}
