//! The three-way match of a day: vouchers, bank and budget lines.

use std::sync::Arc;

use axum::{Json, extract::State};
use jiff::ToSpan;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    request::{Params, blocking},
};
use crate::{
    daemon::Shared,
    event::{Instant, event_schema, money::format_cents, time::Calendar},
    ledger::Figure,
    say,
    store::{DayStatement, JournalView},
    text::quoted,
};

/// Which day.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DayFilter {
    /// The local day; yesterday if it is not given.
    #[param(format = Date)]
    day: Option<String>,
}

/// So many, and so much in yuan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Figure)]
pub struct FigureView {
    /// How many.
    pub count: u64,
    /// Yuan, as text.
    pub amount: String,
}

impl From<Figure> for FigureView {
    fn from(Figure { count, cents }: Figure) -> Self {
        Self { count, amount: format_cents(cents) }
    }
}

/// What a day comes to. `ordered` is `cleared` and `open`, and it is `budgeted` and `unbudgeted`; `confirmed` is `matched`
/// and `without_order`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Completeness)]
pub struct CompletenessView {
    /// The local day.
    #[schema(format = Date)]
    pub day: String,
    /// Payments of the day.
    pub ordered: FigureView,
    /// Of them: those that the bank confirmed whole by now, and the cents of parts too.
    pub cleared: FigureView,
    /// The others, and what is left of them.
    pub open: FigureView,
    /// Of the ordered: on approved lines.
    pub budgeted: FigureView,
    /// On lines that nobody approved.
    pub unbudgeted: FigureView,
    /// Confirmations of the day; returns count below zero.
    pub confirmed: FigureView,
    /// Of them: of a payment.
    pub matched: FigureView,
    /// Of no payment.
    pub without_order: FigureView,
    /// Records received on the day that are in quarantine, with the amounts that can be read in them.
    pub quarantined: FigureView,
    /// Those of them in which no amount can be read.
    pub quarantined_without_amount: u64,
}

impl CompletenessView {
    /// The statement of a day.
    #[must_use]
    pub fn new(day: String, statement: &DayStatement) -> Self {
        let f = &statement.figures;
        Self {
            day,
            ordered: f.ordered.into(),
            cleared: f.cleared.into(),
            open: f.open.into(),
            budgeted: f.budgeted.into(),
            unbudgeted: f.unbudgeted.into(),
            confirmed: f.confirmed.into(),
            matched: f.matched.into(),
            without_order: f.without_order.into(),
            quarantined: statement.quarantined.into(),
            quarantined_without_amount: statement.unreadable,
        }
    }
}

/// A local day, given as a date or else yesterday at `now`: its name, its first instant and its end.
///
/// # Errors
/// If it is no day.
pub fn day_span(
    calendar: &Calendar,
    given: Option<&str>,
    now: Instant,
) -> Result<(String, (Instant, Instant)), String> {
    let date = match given {
        Some(text) => text
            .trim()
            .parse::<jiff::civil::Date>()
            .map_err(|_| say!("{day} is no day: write it as 2026-03-05", day = quoted(text)))?,
        None => calendar.local(now).date().yesterday().map_err(|e| e.to_string())?,
    };
    let start = |date| calendar.start_of_day(date).map_err(|e| e.to_string());
    Ok((date.to_string(), (start(date)?, start(date.saturating_add(1.day()))?)))
}

/// The three-way match of a day
#[utoipa::path(get, path = "/api/v1/completeness", operation_id = "show_completeness", tag = "budget lines", params(DayFilter),
    responses((status = 200, description = "The statement", body = CompletenessView)))]
pub(crate) async fn completeness(
    State(shared): State<Arc<Shared>>,
    Params(filter): Params<DayFilter>,
) -> Result<Json<CompletenessView>, Problem> {
    let (day, span) = day_span(&shared.calendar, filter.day.as_deref(), shared.clock.now())
        .map_err(Problem::bad_request)?;
    blocking(move || {
        let history = JournalView::open(&shared.state_dir, &event_schema(&shared.calendar.zone_name))?;
        let approved = |line: &str| {
            let ledger = shared.ledger.read();
            ledger.line(line).is_some_and(|(_, attributes)| attributes.approved)
        };
        Ok(Json(CompletenessView::new(day, &history.completeness(span, &approved)?)))
    })
    .await
}
