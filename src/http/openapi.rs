//! The API and its description, which are made from the same handlers: what is served is described, and the other way
//! round.

use axum::{Json, Router, extract::DefaultBodyLimit};
use utoipa::{
    OpenApi,
    openapi::{Content, Ref, RefOr, ResponseBuilder},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Problem, Served, alert_lists, alerts, api, approvals, ask, attachments, audit, backtests, bulk, casework,
    codes, completeness, decide, events, evidence, exceptions, explain, finding_times, groups, indicators,
    journal, ledger, line_history, notifications, oidc, outlook, overrides, payees, problem, quarantine,
    reference_lists, register, replay, reports, rule, rule_sets, session, silences, stream, tokens, totals,
    totp, trial, users, works,
};

/// The longest body of what officers send, in bytes.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What the description says of the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "fiscwatch",
        description = "Treasury execution monitoring. Times are RFC 3339, in answers in the configured zone; money is \
                       text with two decimals. Lists give the newest first and lead on by `next`. Errors are RFC 9457."
    ),
    components(schemas(
        Problem,
        ledger::BudgetLine,
        ledger::BudgetSums,
        indicators::IndicatorBody,
        completeness::CompletenessView,
        completeness::FigureView
    ))
)]
struct Description;

/// The routes of the API, and their description. What reads events bounds them itself.
pub(crate) fn api() -> (Router<Served>, utoipa::openapi::OpenApi) {
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(api::findings))
        .routes(routes!(finding_times::times))
        .routes(routes!(api::rules))
        .routes(routes!(ledger::lines))
        .routes(routes!(ledger::line))
        .routes(routes!(line_history::history))
        .routes(routes!(outlook::forecast))
        .routes(routes!(totals::totals))
        .routes(routes!(groups::groups))
        .routes(routes!(journal::show))
        .routes(routes!(ask::questions))
        .routes(routes!(ask::ask))
        .routes(routes!(payees::list))
        .routes(routes!(payees::show))
        .routes(routes!(explain::explain))
        .routes(routes!(rule::show))
        .routes(routes!(exceptions::propose))
        .routes(routes!(backtests::list, backtests::begin))
        .routes(routes!(backtests::show, backtests::stop))
        .routes(routes!(quarantine::list))
        .routes(routes!(replay::show))
        .routes(routes!(replay::replay))
        .routes(routes!(completeness::completeness))
        .routes(routes!(codes::tables))
        .routes(routes!(reference_lists::lists))
        .routes(routes!(codes::list))
        .routes(routes!(indicators::indicators))
        .routes(routes!(indicators::indicator))
        .routes(routes!(api::status))
        .routes(routes!(stream::stream))
        .routes(routes!(stream::changes))
        .merge(alerts_and_who_is_told())
        .merge(people_and_what_they_may())
        .merge(decisions_and_approvals())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(quarantine::maps::trial))
                .layer(DefaultBodyLimit::max(quarantine::maps::FILE_BYTES_MAX)),
        )
        .routes(routes!(decide::decide))
        .routes(routes!(events::events))
        .routes(routes!(works::against))
        .routes(routes!(journal::list))
        .routes(routes!(itself))
        .split_for_parts();
    add_problems(&mut description);
    (router, description)
}

fn alerts_and_who_is_told() -> OpenApiRouter<Served> {
    OpenApiRouter::new()
        .routes(routes!(alert_lists::list))
        .routes(routes!(alert_lists::counts))
        .routes(routes!(bulk::transitions))
        .routes(routes!(register::show))
        .routes(routes!(reports::month))
        .routes(routes!(reports::month_workbook))
        .routes(routes!(reports::service))
        .routes(routes!(alerts::show))
        .routes(routes!(alerts::transition))
        .routes(routes!(alerts::inquire))
        .routes(routes!(casework::hand_over))
        .routes(routes!(casework::related))
        .routes(routes!(casework::review))
        .routes(routes!(casework::worth))
        .routes(routes!(attachments::list, attachments::add))
        .routes(routes!(attachments::show))
        .routes(routes!(evidence::show))
        .routes(routes!(silences::list, silences::add))
        .routes(routes!(silences::preview))
        .routes(routes!(silences::show, silences::expire))
        .routes(routes!(notifications::list))
        .routes(routes!(notifications::retry))
        .routes(routes!(trial::tree))
        .routes(routes!(trial::trial))
}

fn people_and_what_they_may() -> OpenApiRouter<Served> {
    OpenApiRouter::new()
        .routes(routes!(session::show, session::log_in, session::log_out))
        .routes(routes!(oidc::begin))
        .routes(routes!(oidc::end))
        .routes(routes!(session::change_password))
        .routes(routes!(totp::offer))
        .routes(routes!(totp::confirm))
        .routes(routes!(totp::disable))
        .routes(routes!(users::list, users::add))
        .routes(routes!(users::change))
        .routes(routes!(rule_sets::list, rule_sets::propose))
        .routes(routes!(rule_sets::approve, rule_sets::withdraw))
        .routes(routes!(rule_sets::force))
        .routes(routes!(tokens::list, tokens::add))
        .routes(routes!(tokens::revoke))
        .routes(routes!(session::list))
        .routes(routes!(session::expel))
        .routes(routes!(audit::list))
        .routes(routes!(audit::check))
}

/// What is decided before money moves, what people approve, and long work.
fn decisions_and_approvals() -> OpenApiRouter<Served> {
    OpenApiRouter::new()
        .routes(routes!(decide::list))
        .routes(routes!(decide::show))
        .routes(routes!(decide::release))
        .routes(routes!(overrides::grant))
        .routes(routes!(overrides::list))
        .routes(routes!(overrides::show, overrides::revoke))
        .routes(routes!(overrides::confirm))
        .routes(routes!(works::list, works::begin))
        .routes(routes!(works::show, works::stop))
        .routes(routes!(works::file))
        .routes(routes!(approvals::list, approvals::propose))
        .routes(routes!(approvals::show))
        .routes(routes!(approvals::signed))
        .routes(routes!(approvals::judge))
        .routes(routes!(approvals::withdraw))
}

/// This description of the API
#[utoipa::path(get, path = "/api/v1/openapi.json", operation_id = "show_openapi", tag = "status",
    responses((status = 200, description = "The description", body = Object)))]
async fn itself() -> Json<utoipa::openapi::OpenApi> {
    Json(api().1)
}

/// Whatever else a request ends in is a problem document.
fn add_problems(description: &mut utoipa::openapi::OpenApi) {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = Content::new(Some(schema));
    let response = ResponseBuilder::new()
        .description("What is wrong, and what to do")
        .content(problem::CONTENT_TYPE, content)
        .build();
    for item in description.paths.paths.values_mut() {
        for operation in
            [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
        {
            let responses = &mut operation.responses.responses;
            responses.insert(String::from("default"), RefOr::T(response.clone()));
        }
    }
}
