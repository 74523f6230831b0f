//! Why a rule found something about an event, or why it did not.

mod view;

use std::{sync::Arc, time::Duration};

use arrow::{array::AsArray, datatypes::TimestampMicrosecondType};
use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

pub(crate) use view::Explanation;
use view::view;

use super::{
    Problem,
    by::Requester,
    request::{Params, blocking},
};
use crate::{
    daemon::Shared,
    event::{Column, EventType, Instant, id_hash},
    finding::Finding,
    rule::compile::{CompiledRule, CompiledView},
    say,
    store::{CaseFilter, Cases, FINDINGS_MAX, Lookup, Reader},
    text::quoted,
    trial::explain::ExplainRequest,
};

/// How long the journal is read for one answer.
const TIME: Duration = Duration::from_secs(10);
/// Findings about windows and ticks that are looked through for one that tells of the event, the latest.
const STORED_MAX: u32 = 10_000;

/// What to explain.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainQuery {
    /// The `event_id`.
    event: String,
    /// The rule's id.
    rule: String,
    /// Of a rule on a schedule, the tick that is explained (RFC 3339); without it the one that found something about the event, or
    /// the first that saw it.
    at: Option<String>,
}

/// Why a rule found something about an event, or why it did not
///
/// The parts of the rule go through the same evaluation as the rule itself, with the events up to this one.
#[utoipa::path(get, path = "/api/v1/explain", operation_id = "explain_event", tag = "rules", params(ExplainQuery),
    responses(
        (status = 200, description = "The explanation", body = Explanation),
        (status = 404, description = "There is no such event, or no such rule in force", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn explain(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(asked): Params<ExplainQuery>,
) -> Result<Json<Explanation>, Problem> {
    let lens = by.lens_on_events();
    blocking(move || {
        let (calendar, rules) = (&shared.calendar, shared.rules_in_force());
        let missing = |detail: String| Problem::new(StatusCode::NOT_FOUND, detail);
        let rule = rules.rules.iter().find(|rule| rule.rule.id == asked.rule);
        let rule = rule.ok_or_else(|| {
            missing(say!("no rule {id} is in force; `fiscwatch check` lists them", id = quoted(&asked.rule)))
        })?;
        let columns = [Column::Type, Column::OccurredAt];
        let event = Lookup::open(&shared.state_dir)?
            .event(&asked.event, id_hash(&asked.event), (Instant::MIN, Instant::MAX), &columns)?
            .ok_or_else(|| {
                missing(say!("there is no event {id} in the journal", id = quoted(&asked.event)))
            })?;
        let name = event.column_by_name("type").and_then(|c| c.as_string_view_opt()).map(|c| c.value(0));
        let of = name.and_then(EventType::parse);
        let at = event.column_by_name("occurred_at");
        let at = at.and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>()).map(|c| c.value(0));
        let (Some(of), Some(at)) = (of, at) else {
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, say!("an event of unknown type")));
        };
        let tick = asked.at.as_deref().map(|text| calendar.parse(text)).transpose();
        let tick = tick.map_err(|e| Problem::new(StatusCode::BAD_REQUEST, say!("at: {error}", error = e)))?;
        let config = shared.config();
        let question = ExplainRequest {
            dir: &shared.state_dir,
            calendar,
            rules: &rules,
            rule,
            event: (&asked.event, Instant::from_micros(at)),
            time: TIME,
            lateness: shared.lateness,
            journal_from: config.journal_from,
            query: config.query_limits,
            tick,
        };
        let known = stored(&shared, rule, (&asked.event, Instant::from_micros(at)))?;
        let explained = question.explain(of, &known)?;
        let stored = explained.stored(&known, &asked.event).map(|finding| finding.finding_id.clone());
        let params = rule.rule.params.iter().map(|(name, param)| (name.clone(), param.to_json()));
        let about = (asked.event.clone(), asked.rule.clone(), rule.title.clone());
        Ok(Json(view(explained, about, params.collect(), stored, (calendar, lens))))
    })
    .await
}

/// The findings of a rule that may tell of an event, with their times: those of the event itself, and of windows and ticks those
/// from its time on.
fn stored(
    shared: &Shared,
    rule: &CompiledRule,
    (event, at): (&str, Instant),
) -> Result<Vec<(Instant, Finding)>, Problem> {
    let calendar = &shared.calendar;
    let timed = |finding: Finding| Some((calendar.parse(&finding.at).ok()?, finding));
    let found = match rule.view {
        CompiledView::Event | CompiledView::Sliding(_) => {
            let (findings, _) = Cases::open_read_only(&shared.state_dir)?.about(event, FINDINGS_MAX)?;
            findings.into_iter().filter(|finding| finding.rule_id == rule.rule.id).collect()
        }
        CompiledView::Closing(_) | CompiledView::Schedule(_) => {
            // A tick is before the event that time went on with, and sees it.
            let from = matches!(rule.view, CompiledView::Closing(_)).then(|| calendar.format(at));
            let rule = Some(rule.rule.id.clone());
            let filter = CaseFilter { rule, from, limit: Some(STORED_MAX), ..CaseFilter::default() };
            let wanted = filter.understood(calendar, at);
            let wanted = wanted.map_err(|why| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why))?;
            let found = Reader::open(&shared.state_dir)?.findings(&wanted)?;
            found.into_iter().map(|(_, finding)| finding).collect::<Vec<_>>()
        }
    };
    Ok(found.into_iter().filter_map(timed).collect())
}
