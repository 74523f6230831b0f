//! When findings come: week by week, and at which hours of which days.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    request::{Params, blocking},
};
use crate::{
    daemon::Shared,
    store::{Reader, TimesFilter, filter},
};

/// Weeks that are told.
const WEEKS: usize = 53;

/// Which findings to count. Several values are parted by commas.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Counted {
    /// Only of this rule, by its id.
    rule: Option<String>,
    /// Only of this severity: `critical`, `high`, `medium` or `low`.
    severity: Option<String>,
    /// Only from this event time on: a local date, or RFC 3339.
    from: Option<String>,
    /// Only before this event time; a date counts whole.
    to: Option<String>,
}

/// How many findings of live rules there were, by event time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FindingTimes)]
pub(crate) struct FindingTimesView {
    /// The latest 53 weeks that have any, the oldest first.
    weeks: Vec<WeekOfFindings>,
    /// Seven days from Monday, each with 24 hours of the local clock.
    hours: Vec<Vec<u64>>,
}

/// What was found in a week.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WeekOfFindings {
    /// Its Monday.
    #[schema(format = Date)]
    week: String,
    findings: u64,
    /// By severity; none that has nothing.
    severities: BTreeMap<String, u64>,
}

/// Findings by week, and by day of the week and hour
#[utoipa::path(get, path = "/api/v1/findings/times", operation_id = "count_findings_by_time", tag = "findings", params(Counted),
    responses((status = 200, description = "How many there were, and when", body = FindingTimesView)))]
pub(crate) async fn times(
    State(shared): State<Arc<Shared>>,
    Params(counted): Params<Counted>,
) -> Result<Json<FindingTimesView>, Problem> {
    let Counted { rule, severity, from, to } = counted;
    let calendar = Arc::clone(&shared.calendar);
    let from = from.map(|text| filter::instant("from", &text, &calendar));
    let to = to.map(|text| filter::end("to", &text, &calendar));
    let from = from.transpose().map_err(Problem::bad_request)?;
    let to = to.transpose().map_err(Problem::bad_request)?;
    blocking(move || {
        let wanted = TimesFilter { rule, severity, from, to };
        let found = Reader::open(&shared.state_dir)?.finding_times_kept(
            &wanted,
            &shared.finding_times,
            &calendar,
            WEEKS,
        )?;
        let week = |(monday, severities): (jiff::civil::Date, BTreeMap<String, u64>)| WeekOfFindings {
            week: monday.to_string(),
            findings: severities.values().sum(),
            severities,
        };
        Ok(Json(FindingTimesView {
            weeks: found.weeks.into_iter().map(week).collect(),
            hours: found.hours.iter().map(|hours| hours.to_vec()).collect(),
        }))
    })
    .await
}
