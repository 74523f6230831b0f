//! Why a rule found something about an event, or why it did not.

use std::{sync::Arc, time::Duration};

use arrow::{array::AsArray, datatypes::TimestampMicrosecondType};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    by::By,
    lens::Lens,
    request::{Params, blocking},
};
use crate::{
    daemon::Shared,
    event::{Column, EventType, id_hash, time::Calendar},
    personal,
    rule::probe::Of,
    say,
    store::{Cases, FINDINGS_MAX, Lookup},
    text::quoted,
    trial::explain::{Asked, Explained, Holds, Verdict, Window},
};

/// How long the journal is read for one answer.
const TIME: Duration = Duration::from_secs(10);

/// What to explain.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExplainQuery {
    /// The `event_id`.
    event: String,
    /// The rule's id.
    rule: String,
}

/// An explanation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    event_id: String,
    rule_id: String,
    title: String,
    /// `found`; `excepted`: an exception took it out; `not_found`: `when` does not hold; `left_out`: `where` does not hold;
    /// `not_asked`: the rule does not look at events of this type; `unknown`: see `limits`.
    verdict: &'static str,
    /// The finding that is stored, if there is one.
    finding_id: Option<String>,
    /// The conditions that `where` joins.
    r#where: Vec<Condition>,
    /// The conditions that `when` joins.
    when: Vec<Condition>,
    /// The exceptions.
    exceptions: Vec<Condition>,
    /// The one condition that is in the way, if it is one alone.
    nearest: Option<String>,
    /// What the conditions read, by the names of columns and measures; personal data is masked.
    #[schema(value_type = Object)]
    values: Map<String, Value>,
    /// The constants of the rule.
    #[schema(value_type = Object)]
    params: Map<String, Value>,
    /// The columns of the key.
    #[schema(value_type = Object)]
    key: Map<String, Value>,
    /// What is in the event's window.
    window: Option<WindowView>,
    /// What could not be done.
    limits: Vec<String>,
}

/// A condition, and whether it holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedCondition)]
pub(crate) struct Condition {
    /// The name of an exception.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// As the rule has it.
    text: String,
    /// Null for what was not asked, because `where` does not hold.
    holds: Option<bool>,
}

/// The events of a window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedWindow)]
pub(crate) struct WindowView {
    /// The latest 50, in the order in which they were accepted.
    events: Vec<WindowEvent>,
    /// How many there are.
    total: usize,
}

/// An event of a window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedEvent)]
pub(crate) struct WindowEvent {
    event_id: String,
    #[schema(format = DateTime)]
    occurred_at: String,
    #[schema(value_type = Option<String>)]
    amount: Value,
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
    by: By,
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
            .event(&asked.event, id_hash(&asked.event), (i64::MIN, i64::MAX), &columns)?
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
        let question = Asked {
            dir: &shared.state_dir,
            calendar,
            rules: &rules,
            rule,
            event: (&asked.event, at),
            time: TIME,
        };
        let explained = question.explain(of)?;
        let (findings, _) = Cases::open_read_only(&shared.state_dir)?.about(&asked.event, FINDINGS_MAX)?;
        let stored = findings.into_iter().find(|finding| finding.rule_id == asked.rule);
        let params = rule.rule.params.iter().map(|(name, param)| (name.clone(), param.to_json()));
        let about = (asked.event.clone(), asked.rule.clone(), rule.title.clone());
        let stored = stored.map(|finding| finding.finding_id);
        Ok(Json(view(explained, about, params.collect(), stored, (calendar, lens))))
    })
    .await
}

fn view(
    explained: Explained,
    (event_id, rule_id, title): (String, String, String),
    params: Map<String, Value>,
    finding_id: Option<String>,
    (calendar, lens): (&Calendar, Lens),
) -> Explanation {
    let Explained { verdict, parts, mut values, mut key, kinds, window, mut limits } = explained;
    for shown in [&mut values, &mut key].into_iter().filter(|_| lens == Lens::Masked) {
        personal::event::mask_measures(shown, &kinds);
        personal::event::mask(shown);
    }
    if verdict != Verdict::Unknown && (verdict == Verdict::Found) != finding_id.is_some() {
        limits.push(say!(
            "what is stored says otherwise: the rule, its lists or its exceptions were others when the event came, or it came before the rule"
        ));
    }
    let failing: Vec<&Holds> = parts
        .iter()
        .filter(|part| match part.of {
            Of::Exception(_) => part.holds == Some(true),
            _ => part.holds == Some(false),
        })
        .collect();
    let nearest = match failing.as_slice() {
        [one] => Some(one.text.clone()),
        _ => None,
    };
    let of = |wanted: &dyn Fn(&Of) -> bool| {
        parts.iter().filter(|part| wanted(&part.of)).map(condition).collect::<Vec<_>>()
    };
    Explanation {
        event_id,
        rule_id,
        title,
        verdict: word(verdict),
        finding_id,
        r#where: of(&|of| *of == Of::Where),
        when: of(&|of| *of == Of::When),
        exceptions: of(&|of| matches!(of, Of::Exception(_))),
        nearest,
        values,
        params,
        key,
        window: window.map(|Window { events, total }| WindowView {
            events: events
                .into_iter()
                .map(|(event_id, at, amount)| WindowEvent {
                    event_id,
                    occurred_at: calendar.format(at),
                    amount,
                })
                .collect(),
            total,
        }),
        limits,
    }
}

fn condition(part: &Holds) -> Condition {
    let name = match &part.of {
        Of::Exception(name) => Some(name.clone()),
        _ => None,
    };
    Condition { name, text: part.text.clone(), holds: part.holds }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Found => "found",
        Verdict::Excepted => "excepted",
        Verdict::NotFound => "not_found",
        Verdict::LeftOut => "left_out",
        Verdict::NotAsked => "not_asked",
        Verdict::Unknown => "unknown",
    }
}
