//! 台账: the cases that a filter finds, as a workbook. Who takes it out is recorded, and persons are masked as for the role.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{
    Problem,
    by::Requester,
    lens::Lens,
    request::{Params, blocking},
    saved::saved_as,
    view::AlertView,
    workbooks,
};
use crate::{
    access::Actor,
    alert::Action,
    daemon::Shared,
    event::{Instant, time::Calendar},
    finding::Severity,
    lists::Lists,
    say,
    store::{CaseError, CaseFilter, CaseQuery, Cases, StoreError},
};

/// The most cases of one register.
pub(crate) const CASES_MAX: u32 = 10_000;
/// The longest remarks of one case, in characters.
const REMARKS_MAX: usize = 2000;
/// The media type of a workbook.
pub(crate) const WORKBOOK: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// A case of the register.
pub(crate) struct RegisterEntry {
    /// The alert as it is shown.
    pub alert: AlertView,
    /// Its severity in Chinese.
    pub severity: &'static str,
    pub remarks: String,
    /// How many files it has.
    pub files: u64,
}

/// Why there is no register.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRegister {
    #[error("{}", say!("a register has {most} cases at most; narrow the filter", most = CASES_MAX))]
    TooMany,
    /// It cannot be read or written.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// The workbook cannot be made.
    #[error("{0}")]
    Workbook(String),
}

impl From<StoreError> for NoRegister {
    fn from(error: StoreError) -> Self {
        Self::Case(error.into())
    }
}

impl From<NoRegister> for Problem {
    fn from(error: NoRegister) -> Self {
        match error {
            NoRegister::Case(error) => error.into(),
            NoRegister::TooMany => Self::unprocessable(error.to_string()),
            NoRegister::Workbook(why) => Self::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, why),
        }
    }
}

/// The register of what is wanted, with the record of who took it out. Gives it with the number of cases.
///
/// # Errors
/// If there are too many, or it cannot be made.
pub(crate) fn register(
    cases: &mut Cases,
    mut wanted: CaseQuery,
    (lens, calendar, lists): (Lens, &Calendar, &Lists),
    (actor, now): (&Actor, Instant),
) -> Result<(Vec<u8>, usize), NoRegister> {
    wanted.filter.limit = Some(CASES_MAX);
    if cases.count(&wanted)? > u64::from(CASES_MAX) {
        return Err(NoRegister::TooMany);
    }
    let mut rows = Vec::new();
    for alert in cases.list(&wanted)? {
        let (id, severity) = (alert.alert_id.clone(), alert.severity);
        let remarks = match lens {
            // A person's name cannot be told from the words around it.
            Lens::Masked => String::new(),
            Lens::Whole => remarks(cases, &id)?,
        };
        let files = cases.attachments(&id)?.len() as u64;
        let severity = severity_in_chinese(severity);
        rows.push(RegisterEntry {
            alert: lens.alert(alert, cases, calendar)?.named(lists, now),
            severity,
            remarks,
            files,
        });
    }
    let bytes = workbooks::register(&rows).map_err(|error| NoRegister::Workbook(error.to_string()))?;
    let detail = format!("{} cases, {}", rows.len(), if lens == Lens::Whole { "unmasked" } else { "masked" });
    cases.record(actor, ("alerts.export", "register", &detail), now)?;
    Ok((bytes, rows.len()))
}

const fn severity_in_chinese(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "红",
        Severity::High => "橙",
        Severity::Medium => "黄",
        Severity::Low => "蓝",
    }
}

/// What officers wrote of a case, oldest first.
fn remarks(cases: &Cases, id: &str) -> Result<String, CaseError> {
    let (_, history, _) = cases.show(id, 0)?;
    let by_people =
        |action: Action| !matches!(action, Action::Undelivered | Action::Unanswered | Action::Resolve);
    let said = history.into_iter().filter(|change| by_people(change.action));
    let said =
        said.filter_map(|change| Some(format!("{}（{}）：{}", change.who, change.action.zh(), change.why?)));
    let text = said.collect::<Vec<_>>().join("\n");
    Ok(text.chars().take(REMARKS_MAX).collect())
}

/// A workbook to be saved.
pub(crate) fn saved(name: &str, bytes: Vec<u8>) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] =
        [(header::CONTENT_TYPE, HeaderValue::from_static(WORKBOOK)), saved_as(name)];
    (headers, bytes).into_response()
}

/// The register of the cases that a filter finds, as a workbook
///
/// 10,000 cases at most. That it was taken out is recorded. What officers wrote is in it only if personal data is shown as a
/// whole.
#[utoipa::path(get, path = "/api/v1/alerts/register.xlsx", operation_id = "register_of_alerts", tag = "alerts", params(CaseFilter),
    responses(
        (status = 200, description = "The workbook", content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (status = 422, description = "There are too many cases", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(filter): Params<CaseFilter>,
) -> Result<Response, Problem> {
    let now = shared.clock.now();
    let wanted = filter.understood(&shared.calendar, now).map_err(Problem::bad_request)?.within(&by.limits());
    let (lens, actor, limits) = (by.lens(), by.unnamed(), by.limits());
    blocking(move || {
        let rules = shared.rules_in_force();
        let mut cases = Cases::open(&shared.state_dir)?.by(actor.clone()).within(&limits);
        let (bytes, _) = register(&mut cases, wanted, (lens, &shared.calendar, &rules.lists), (&actor, now))?;
        let day = shared.calendar.local(now).date();
        Ok(saved(&format!("register-{day}.xlsx"), bytes))
    })
    .await
}
