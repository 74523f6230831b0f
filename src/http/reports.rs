//! 月报 and how cases go: a month in numbers, what is late now and whose it is, and which units come again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use axum::{Json, extract::State, response::Response};
use jiff::{ToSpan as _, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    by::Requester,
    register::saved,
    request::{Params, blocking},
    workbooks,
};
use crate::{
    access::Actor,
    alert::CaseOutcome,
    daemon::Shared,
    event::{Cents, Column, Instant, TimeDelta, time::Calendar},
    say,
    store::{CaseLine, Cases, Month, ServiceNow, StepTimes, Took},
    text::quoted,
};

/// What a rule or unit brought within a month.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReportLine)]
pub(crate) struct LineView {
    /// The rule's id or the unit's code; empty for alerts without one, and for the total.
    pub value: String,
    /// The rule's title.
    pub title: Option<String>,
    /// Alerts that were opened.
    pub opened: u64,
    /// What those are about together, in yuan.
    pub amount: String,
    /// Alerts that ended, whatever their end.
    pub ended: u64,
    /// Those that were as suspected, and are closed.
    pub closed: u64,
    /// Those that were in order.
    pub dismissed: u64,
    /// closed / (closed + dismissed).
    pub precision: Option<f64>,
    /// Money that came back, in yuan.
    pub returned: String,
}

/// How many cases were closed with an outcome.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct OutcomeCount {
    /// The outcome; null for cases that were closed without one.
    pub outcome: Option<CaseOutcome>,
    /// How many.
    pub cases: u64,
    /// Their amounts together, in yuan.
    pub amount: String,
}

/// How long a step took.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = StepTime)]
pub(crate) struct TookView {
    /// How often it was done.
    pub count: u64,
    /// Half of them took no longer, in hours.
    pub median_hours: f64,
    /// Nine of ten took no longer, in hours.
    pub most_hours: f64,
}

/// How long the steps of cases took.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = StepTimes)]
pub(crate) struct TimesView {
    /// From opened to acknowledged.
    pub acknowledge: Option<TookView>,
    /// From the letter to its answer by a link.
    pub answer: Option<TookView>,
    /// From opened to over.
    pub close: Option<TookView>,
}

/// A month of cases.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MonthReport)]
pub(crate) struct MonthView {
    /// The month, `2026-05`.
    pub month: String,
    /// All together.
    pub total: LineView,
    /// By rule, the most first; 50 at most. So with units.
    pub rules: Vec<LineView>,
    /// By unit.
    pub units: Vec<LineView>,
    /// What came of the cases that were closed.
    pub outcomes: Vec<OutcomeCount>,
    /// How long the steps of what ended took.
    pub times: TimesView,
    /// Alerts that were not over at the month's end.
    pub left: u64,
}

/// What is late of a unit or an officer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LateView {
    /// The unit's code, or the officer; empty for alerts without one.
    value: String,
    /// The unit's name, where a budget line tells it.
    name: Option<String>,
    /// Alerts past their last day.
    past_due: u64,
    /// Letters that nobody answered in time.
    unanswered: u64,
}

/// A unit that comes again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RepeatedView {
    /// Its code.
    unit: String,
    /// Its name, where a budget line tells it.
    name: Option<String>,
    /// Its alerts within a year that were as suspected.
    confirmed: u64,
    /// What they are about together, in yuan.
    amount: String,
}

/// A rule and a unit whose alerts were all in order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExceptionView)]
pub(crate) struct ProposedException {
    /// The rule's id.
    rule: String,
    /// The unit's code.
    unit: String,
    /// Its name, where a budget line tells it.
    name: Option<String>,
    /// How many of their alerts officers dismissed; they confirmed none.
    dismissed: u64,
}

/// How cases go now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceReport)]
pub(crate) struct ServiceView {
    /// How long the steps took, of alerts that were opened within the last 90 days.
    times: TimesView,
    /// What is late, by unit, the most first; 50 at most. So with the others.
    units: Vec<LateView>,
    /// What is late, by the officer who has it.
    officers: Vec<LateView>,
    /// Units with two confirmed alerts or more within a year.
    repeated: Vec<RepeatedView>,
    /// Rules and units of which 12 alerts or more were dismissed and none confirmed: an exception may be worth proposing.
    exceptions: Vec<ProposedException>,
}

fn line(line: CaseLine) -> LineView {
    let precision = line.precision();
    LineView {
        precision,
        title: Some(line.title).filter(|title| !title.is_empty()),
        value: line.value,
        opened: line.opened,
        amount: line.amount.to_string(),
        ended: line.ended,
        closed: line.closed,
        dismissed: line.dismissed,
        returned: line.returned.to_string(),
    }
}

fn took(took: Took) -> TookView {
    #[allow(clippy::cast_precision_loss)] // Hours, to be read.
    let hours = |length: TimeDelta| (length.as_micros() as f64 / 36_000_000.0).round() / 100.0;
    TookView { count: took.count, median_hours: hours(took.median), most_hours: hours(took.most) }
}

fn times(times: StepTimes) -> TimesView {
    let StepTimes { acknowledge, answer, close } = times;
    TimesView { acknowledge: acknowledge.map(took), answer: answer.map(took), close: close.map(took) }
}

/// The first instant of a month and of the next one.
///
/// # Errors
/// If the text is no month.
pub(crate) fn span(month: &str, calendar: &Calendar) -> Result<(Instant, Instant), String> {
    let wrong = || say!("{month} is no month; write it such as 2026-05", month = quoted(month));
    let first: Date = match month.len() {
        7 => format!("{month}-01").parse().map_err(|_| wrong())?,
        _ => return Err(wrong()),
    };
    let next = first.checked_add(1.month()).map_err(|_| wrong())?;
    let start = |day| calendar.start_of_day(day).map_err(|_| wrong());
    Ok((start(first)?, start(next)?))
}

/// A month as it is shown.
pub(crate) fn view(name: &str, month: Month) -> MonthView {
    let outcome =
        |(outcome, cases, amount): (_, _, Cents)| OutcomeCount { outcome, cases, amount: amount.to_string() };
    MonthView {
        month: name.to_owned(),
        total: line(month.total),
        rules: month.rules.into_iter().map(line).collect(),
        units: month.units.into_iter().map(line).collect(),
        outcomes: month.outcomes.into_iter().map(outcome).collect(),
        times: times(month.times),
        left: month.left,
    }
}

/// A month's workbook, with the record of who took it out.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn workbook(
    cases: &Cases,
    view: &MonthView,
    (actor, now): (&Actor, Instant),
) -> Result<Vec<u8>, Problem> {
    let made = workbooks::month(view);
    let bytes =
        made.map_err(|e| Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    cases.record(actor, ("alerts.export", "month", &view.month), now)?;
    Ok(bytes)
}

/// Which month.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MonthFilter {
    /// The month, such as `2026-05`.
    month: String,
}

/// A month of cases in numbers: by rule, unit and outcome, with what came back and how precise rules were
#[utoipa::path(get, path = "/api/v1/reports/month", operation_id = "month_report", tag = "reports", params(MonthFilter),
    responses((status = 200, description = "The month", body = MonthView)))]
pub(crate) async fn month(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(MonthFilter { month }): Params<MonthFilter>,
) -> Result<Json<MonthView>, Problem> {
    let (from, to) = span(&month, &shared.calendar).map_err(Problem::bad_request)?;
    let limits = by.limits();
    blocking(move || {
        let cases = Cases::open_read_only(&shared.state_dir)?.within(&limits);
        Ok(Json(view(&month, cases.month(from, to)?)))
    })
    .await
}

/// The same as a workbook; that it was taken out is recorded
#[utoipa::path(get, path = "/api/v1/reports/month.xlsx", operation_id = "month_workbook", tag = "reports", params(MonthFilter),
    responses((status = 200, description = "The workbook", content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))]
pub(crate) async fn month_workbook(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(MonthFilter { month }): Params<MonthFilter>,
) -> Result<Response, Problem> {
    let (from, to) = span(&month, &shared.calendar).map_err(Problem::bad_request)?;
    let (limits, actor) = (by.limits(), by.unnamed());
    blocking(move || {
        let cases = Cases::open(&shared.state_dir)?.by(actor.clone()).within(&limits);
        let view = view(&month, cases.month(from, to)?);
        let bytes = workbook(&cases, &view, (&actor, shared.clock.now()))?;
        Ok(saved(&format!("month-{month}.xlsx"), bytes))
    })
    .await
}

/// How long it is looked back for times.
const DAYS_90: TimeDelta = TimeDelta::days(90);

/// What is late now and whose it is, how long steps take, and which units come again
#[utoipa::path(get, path = "/api/v1/reports/service", operation_id = "service_report", tag = "reports",
    responses((status = 200, description = "How cases go", body = ServiceView)))]
pub(crate) async fn service(
    State(shared): State<Arc<Shared>>,
    by: Requester,
) -> Result<Json<ServiceView>, Problem> {
    let limits = by.limits();
    blocking(move || {
        let now = shared.clock.now();
        let ServiceNow { times: took, units, officers, repeated, exceptions } =
            Cases::open_read_only(&shared.state_dir)?.within(&limits).service(now - DAYS_90, now)?;
        let of_units = units.iter().map(|(unit, ..)| unit);
        let told = of_units
            .chain(repeated.iter().map(|(unit, ..)| unit))
            .chain(exceptions.iter().map(|(_, unit, _)| unit));
        let names = names_of(&shared, told);
        let late = |rows: Vec<(String, u64, u64)>| {
            let view = |(value, past_due, unanswered): (String, u64, u64)| LateView {
                name: names.get(&value).cloned(),
                value,
                past_due,
                unanswered,
            };
            rows.into_iter().map(view).collect()
        };
        let again = |(unit, confirmed, amount): (String, u64, Cents)| RepeatedView {
            name: names.get(&unit).cloned(),
            unit,
            confirmed,
            amount: amount.to_string(),
        };
        let rules = shared.rules_in_force();
        Ok(Json(ServiceView {
            times: times(took),
            units: late(units),
            officers: late(officers),
            repeated: repeated.into_iter().map(again).collect(),
            exceptions: exceptions
                .into_iter()
                .filter(|(rule, unit, _)| rules.excepted(rule, unit, now).is_none())
                .map(|(rule, unit, dismissed)| ProposedException {
                    name: names.get(&unit).cloned(),
                    rule,
                    unit,
                    dismissed,
                })
                .collect(),
        }))
    })
    .await
}

/// The names of some units, as their budget lines tell them.
fn names_of<'c>(shared: &Shared, codes: impl Iterator<Item = &'c String>) -> HashMap<String, String> {
    let wanted: BTreeSet<&str> = codes.map(String::as_str).collect();
    let mut names = HashMap::new();
    if wanted.is_empty() {
        return names;
    }
    for (_, attributes) in shared.lines().lines() {
        let unit = attributes.text(Column::UnitCode).filter(|code| wanted.contains(code));
        if let (Some(code), Some(name)) = (unit, attributes.text(Column::UnitName))
            && !names.contains_key(code)
        {
            names.insert(code.to_owned(), name.to_owned());
        }
    }
    names
}
