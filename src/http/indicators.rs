//! Indicators: what programmes are to achieve and have achieved, as the ledger keeps it.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    by::Requester,
    page::Page,
    request::{Params, PathId, page_size},
};
use crate::{
    daemon::Shared,
    ledger::{Indicator, report::indicator_object},
    say,
    text::quoted,
};

/// Which indicators to list, by `indicator_id`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IndicatorFilter {
    /// Only of this unit.
    unit_code: Option<String>,
    /// Only of this programme.
    project_code: Option<String>,
    /// Only those after this one in the list: the `next` of the page before.
    after: Option<String>,
    /// At most so many.
    limit: Option<u32>,
}

/// 绩效指标 as it was stated last; numbers and the achievement are text.
#[derive(ToSchema)]
#[schema(as = Indicator)]
#[expect(dead_code, reason = "it describes what `ledger::report` writes")]
pub(crate) struct IndicatorBody {
    indicator_id: String,
    indicator_name: Option<String>,
    fiscal_year: i32,
    project_code: String,
    region_code: Option<String>,
    unit_code: Option<String>,
    unit_name: Option<String>,
    budget_line_id: Option<String>,
    /// `at_least`, or `at_most` where less is better.
    direction: String,
    target: String,
    actual: Option<String>,
    /// The share of the target that is achieved.
    achievement: Option<String>,
    #[schema(format = DateTime)]
    due: Option<String>,
    #[schema(format = DateTime)]
    stated_at: String,
}

/// A page of indicators.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IndicatorPage {
    /// By `indicator_id`.
    #[schema(value_type = Vec<IndicatorBody>)]
    indicators: Vec<Map<String, Value>>,
    /// Give it as `after` for the next page; null on the last one.
    next: Option<String>,
}

/// The indicators, by `indicator_id`
#[utoipa::path(get, path = "/api/v1/indicators", operation_id = "list_indicators", tag = "indicators", params(IndicatorFilter),
    responses((status = 200, description = "A page", body = IndicatorPage)))]
pub(crate) async fn indicators(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(filter): Params<IndicatorFilter>,
) -> Result<Json<IndicatorPage>, Problem> {
    let limits = by.limits();
    let limit = page_size(filter.limit)?;
    let ledger = shared.ledger.read();
    let found = ledger.indicators().iter().filter(|(id, indicator)| {
        filter.after.as_deref().is_none_or(|after| *id > after)
            && filter.unit_code.as_deref().is_none_or(|unit| indicator.unit_code.as_deref() == Some(unit))
            && filter.project_code.as_deref().is_none_or(|project| *indicator.project_code == *project)
            && limits.allow(indicator.unit_code.as_deref(), indicator.region_code.as_deref())
    });
    let mut last = None;
    let mut page = Page::new(limit);
    for (id, indicator) in found {
        if !page.add(indicator_object(id, indicator, &shared.calendar)) {
            break;
        }
        last = Some(id.to_owned());
    }
    let next = last.filter(|_| page.is_cut);
    Ok(Json(IndicatorPage { indicators: page.rows, next }))
}

/// One indicator
#[utoipa::path(get, path = "/api/v1/indicators/{id}", operation_id = "show_indicator", tag = "indicators",
    params(("id" = String, Path, description = "The `indicator_id`")),
    responses(
        (status = 200, description = "The indicator", body = IndicatorBody),
        (status = 404, description = "There is no such indicator", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn indicator(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<String>,
) -> Result<Json<Map<String, Value>>, Problem> {
    let limits = by.limits();
    let ledger = shared.ledger.read();
    let is_there = |indicator: &&Indicator| {
        limits.allow(indicator.unit_code.as_deref(), indicator.region_code.as_deref())
    };
    match ledger.indicators().get(&id).filter(is_there) {
        Some(indicator) => Ok(Json(indicator_object(&id, indicator, &shared.calendar))),
        None => {
            Err(Problem::new(StatusCode::NOT_FOUND, say!("there is no indicator {id}", id = quoted(&id))))
        }
    }
}
