//! What a budget line is expected to have executed at the end of its year.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Problem, request::PathId};
use crate::{
    daemon::Shared,
    event::money::format_cents,
    forecast::{Basis, ForecastMethod},
    say,
    text::quoted,
};

/// 执行预测 of a line, as docs/forecast.md tells it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BudgetLineForecast)]
pub(crate) struct ForecastView {
    /// The latest event time that it rests on; forecasts are up to a quarter of an hour old.
    #[schema(format = DateTime)]
    at: String,
    /// The end of the line's fiscal year; null where the year is not known.
    #[schema(format = DateTime)]
    ends_at: Option<String>,
    /// What is expected to be executed then. Null, like the two that follow, for a line whose year has not begun or is not
    /// known from its beginning.
    year_end: Option<String>,
    /// In one of ten cases it is less. Null, like the next, while no closed year tells how far forecasts err.
    year_end_low: Option<String>,
    /// In one of ten cases it is more.
    year_end_high: Option<String>,
    /// What the even pace since the beginning of the year would bring.
    naive_year_end: Option<String>,
    /// The methods that the forecast is the mean of, by their weights; none for a year that is over.
    methods: Vec<MethodView>,
    /// The closed years that told the weights and the interval.
    closed_years: Vec<i32>,
}

/// A method that has a part in a forecast.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForecastMethod)]
struct MethodView {
    /// `budget`, `pace` or `last_year`.
    method: &'static str,
    /// What it expects to be executed at the end of the year.
    year_end: String,
    /// Its weight, in hundredths.
    weight: u32,
}

fn methods(basis: &Basis) -> Vec<MethodView> {
    let view = |(method, cents, weight): (ForecastMethod, _, _)| MethodView {
        method: method.word(),
        year_end: format_cents(cents),
        weight,
    };
    basis.parts().map(view).collect()
}

/// What a budget line is expected to have executed at the end of its year
#[utoipa::path(get, path = "/api/v1/budget-lines/{id}/forecast", operation_id = "show_budget_line_forecast", tag = "budget lines",
    params(("id" = String, Path, description = "The `budget_line_id`")),
    responses(
        (status = 200, description = "The forecast", body = ForecastView),
        (status = 404, description = "There is no such line", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "There is no forecast now, and why", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn forecast(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
) -> Result<Json<ForecastView>, Problem> {
    let year = {
        let ledger = shared.ledger.read();
        ledger.line(&id).map(|(_, attributes)| attributes.fiscal_year)
    };
    let Some(year) = year else {
        let detail = say!("there is no budget line {id}", id = quoted(&id));
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let outlook = shared.forecasts.get(&shared).await.map_err(|error| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, say!("no forecast: {error}", error)).again_after(60)
    })?;
    let time = |at| shared.calendar.format(at);
    let made = outlook.made.lines.get(&id);
    let forecast = made.map(|made| made.forecast);
    let basis = made.and_then(|made| made.basis);
    Ok(Json(ForecastView {
        at: time(outlook.at),
        ends_at: year.and_then(|year| shared.calendar.fiscal_year(year)).map(|year| time(year.end)),
        year_end: forecast.map(|f| format_cents(f.year_end)),
        year_end_low: forecast.and_then(|f| f.low).map(format_cents),
        year_end_high: forecast.and_then(|f| f.high).map(format_cents),
        naive_year_end: made.and_then(|made| made.naive).map(format_cents),
        closed_years: if basis.is_some() { outlook.made.years.clone() } else { Vec::new() },
        methods: basis.as_ref().map(methods).unwrap_or_default(),
    }))
}
