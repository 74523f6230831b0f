//! Budget lines as JSON, for the API, the command line and the ledger file of a backtest.

use std::sync::{Arc, PoisonError};

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Problem;
use crate::{
    app::Shared,
    event::Column,
    ledger::{Attributes, Line, report::line_object},
};

/// Which lines to list, by `budget_line_id`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineFilter {
    unit_code: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// A line as JSON.
#[must_use]
pub fn line_json(line: &Line, attributes: &Attributes, calendar: &crate::event::time::Calendar) -> Value {
    Value::Object(line_object(line, attributes, calendar))
}

/// `GET /api/v1/budget-lines?unit_code=&after=&limit=`
pub async fn lines(
    State(shared): State<Arc<Shared>>,
    filter: Result<Query<LineFilter>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter.map_err(|e| Problem::new(StatusCode::BAD_REQUEST, e.body_text()))?;
    let ledger = shared.ledger.read().unwrap_or_else(PoisonError::into_inner);
    let wanted = |line: &Line, attributes: &Attributes| {
        filter.after.as_deref().is_none_or(|after| *line.id > *after)
            && filter.unit_code.as_deref().is_none_or(|unit| attributes.text(Column::UnitCode) == Some(unit))
    };
    let mut found: Vec<_> = ledger.lines().filter(|(line, attributes)| wanted(line, attributes)).collect();
    found.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    found.truncate(filter.limit.unwrap_or(100).min(10_000));
    let lines: Vec<_> = found.iter().map(|(line, a)| line_json(line, a, &shared.calendar)).collect();
    Ok(Json(json!({ "budget_lines": lines })))
}

/// `GET /api/v1/budget-lines/{id}`
pub async fn line(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let ledger = shared.ledger.read().unwrap_or_else(PoisonError::into_inner);
    match ledger.line(&id) {
        Some((line, attributes)) => Ok(Json(line_json(line, attributes, &shared.calendar))),
        None => Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no budget line {id:?}"))),
    }
}
