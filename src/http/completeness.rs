//! The three-way match of a day: vouchers, bank and budget lines.

use std::sync::{Arc, PoisonError};

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    request::{Params, blocking},
};
use crate::{
    daemon::{Shared, completeness},
    event::event_schema,
    store::History,
};

/// Which day.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DayFilter {
    /// The local day; yesterday if it is not given.
    #[param(format = Date)]
    day: Option<String>,
}

/// So many, and so much in yuan.
#[derive(ToSchema)]
#[schema(as = Figure)]
// It describes what `daemon::completeness` writes.
#[allow(dead_code)]
pub struct FigureBody {
    count: u64,
    amount: String,
}

/// What a day comes to. `ordered` is `cleared` and `open`, and it is `budgeted` and `unbudgeted`; `confirmed` is `matched`
/// and `without_order`.
#[derive(ToSchema)]
#[schema(as = Completeness)]
// It describes what `daemon::completeness` writes.
#[allow(dead_code)]
pub struct CompletenessBody {
    #[schema(format = Date)]
    day: String,
    /// Payments of the day.
    ordered: FigureBody,
    /// Of them: those that the bank confirmed whole by now, and the cents of parts too.
    cleared: FigureBody,
    /// The others, and what is left of them.
    open: FigureBody,
    /// Of the ordered: on approved lines.
    budgeted: FigureBody,
    /// On lines that nobody approved.
    unbudgeted: FigureBody,
    /// Confirmations of the day; returns count below zero.
    confirmed: FigureBody,
    /// Of them: of a payment.
    matched: FigureBody,
    /// Of no payment.
    without_order: FigureBody,
    /// Records received on the day that are in quarantine, with the amounts that can be read in them.
    quarantined: FigureBody,
    /// Those of them in which no amount can be read.
    quarantined_without_amount: u64,
}

/// The three-way match of a day
#[utoipa::path(get, path = "/api/v1/completeness", operation_id = "show_completeness", tag = "budget lines", params(DayFilter),
    responses((status = 200, description = "The statement", body = CompletenessBody)))]
pub async fn completeness(
    State(shared): State<Arc<Shared>>,
    Params(filter): Params<DayFilter>,
) -> Result<Json<Map<String, Value>>, Problem> {
    let (day, span) = completeness::span(&shared.calendar, filter.day.as_deref(), shared.clock.now())
        .map_err(Problem::bad_request)?;
    blocking(move || {
        let history = History::open(&shared.state_dir, &event_schema(&shared.calendar.zone_name))?;
        let approved = |line: &str| {
            let ledger = shared.ledger.read().unwrap_or_else(PoisonError::into_inner);
            ledger.line(line).is_some_and(|(_, attributes)| attributes.approved)
        };
        Ok(Json(completeness::object(&day, &history.completeness(span, &approved)?)))
    })
    .await
}
