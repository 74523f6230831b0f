//! One rule: what it says, and what became of what it found.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    Problem,
    api::RuleView,
    request::{PathId, blocking},
};
use crate::{
    daemon::Shared,
    evaluate::condition::RuleCounts,
    event::EventType,
    rule::{
        Group, Rule, Text,
        window::{Measure, Over, View},
    },
    say,
    store::{Cases, Reader, VerdictCounts},
    text::quoted,
    yaml::Placed,
};

/// Weeks that are told.
const WEEKS: usize = 53;

/// A rule with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleDetail {
    /// The rule, with what happened to it and what officers said of its alerts.
    rule: RuleView,
    /// The types of events that it is asked of, or that its windows hold.
    trigger: Vec<&'static str>,
    /// What it looks at: `event`, `over` an event and those before it, `window` when it closes, or `schedule`.
    view: &'static str,
    /// How long its window is, or when it is due.
    span: Option<String>,
    /// What the events of a window have in common.
    by: Vec<String>,
    /// What is measured of a window.
    measures: Vec<MeasureView>,
    /// The budget lines whose sums it compares with those of the event's line.
    group: Option<GroupDefinition>,
    r#where: Option<String>,
    /// The condition; of a schedule its query.
    when: String,
    /// The columns that make an alert.
    key: Vec<String>,
    /// Its constants.
    #[schema(value_type = Object)]
    params: Map<String, Value>,
    /// What is in order although it fulfils the condition.
    exceptions: Vec<ExceptionView>,
    /// Known false positives, and how to tune.
    false_positives: Vec<String>,
    /// Who answers for it.
    owner: Option<String>,
    /// What it found by week of event time, the latest 53 weeks that have any.
    weeks: Vec<WeekView>,
}

/// Which budget lines belong together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupDefinition {
    group_id: String,
    title: Text,
    /// What its lines have in common beside the fiscal year.
    by: Vec<String>,
    /// Which lines there are; null for all.
    r#where: Option<String>,
}

impl GroupDefinition {
    fn new(group: &Group) -> Self {
        Self {
            group_id: group.id.clone(),
            title: group.title.clone(),
            by: group.by.iter().map(|part| part.text.clone()).collect(),
            r#where: group.filter.as_ref().map(|filter| filter.text.clone()),
        }
    }
}

/// Something that is measured of a window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleMeasure)]
pub(crate) struct MeasureView {
    name: String,
    expression: String,
}

impl MeasureView {
    fn new(measure: &Measure) -> Self {
        Self { name: measure.name.text.clone(), expression: measure.expression.text.clone() }
    }
}

/// 例外
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleException)]
pub(crate) struct ExceptionView {
    name: String,
    when: String,
    reason: String,
    basis: Option<String>,
    /// From when on it no longer holds.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// What was found in a week.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleWeek)]
pub(crate) struct WeekView {
    /// Its Monday.
    #[schema(format = Date)]
    week: String,
    findings: u64,
}

/// One rule in force, what it says, and what it found by week
#[utoipa::path(get, path = "/api/v1/rules/{id}", operation_id = "show_rule", tag = "rules",
    params(("id" = String, Path, description = "The rule's id")),
    responses(
        (status = 200, description = "The rule", body = RuleDetail),
        (status = 404, description = "No such rule is in force", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    PathId(id): PathId<String>,
) -> Result<Json<RuleDetail>, Problem> {
    blocking(move || {
        let rules = shared.rules_in_force();
        let found = rules.rules.iter().find(|compiled| compiled.rule.id == id).ok_or_else(|| {
            let detail = say!("no rule {id} is in force; `fiscwatch check` lists them", id = quoted(&id));
            Problem::new(StatusCode::NOT_FOUND, detail)
        })?;
        let verdicts = Cases::open_read_only(&shared.state_dir)?.verdicts()?;
        let counts = shared.rule_counts.lock().get(&id).cloned();
        let weeks = Reader::open(&shared.state_dir)?.findings_by_week(&id, &shared.calendar, WEEKS)?;
        let verdicts = verdicts.get(&id).copied().unwrap_or_default();
        Ok(Json(RuleDetail {
            rule: RuleView::new(&found.rule, counts.unwrap_or_default(), verdicts),
            weeks: weeks
                .into_iter()
                .map(|(monday, findings)| WeekView { week: monday.to_string(), findings })
                .collect(),
            ..detail(&found.rule, &shared)
        }))
    })
    .await
}

/// The measures of the windows in `also`, each with the window that it is of.
fn beside(view: &View) -> impl Iterator<Item = MeasureView> {
    let also = match view {
        View::Sliding(windows) => windows.get(1..).unwrap_or_default(),
        _ => &[],
    };
    also.iter().flat_map(|over| {
        let by: Vec<_> = over.by.iter().map(|part| part.text.as_str()).collect();
        let window = format!("by: [{}], {}", by.join(", "), over.span());
        over.measures.iter().map(move |measure| {
            let of = MeasureView::new(measure);
            MeasureView { expression: format!("{} ({window})", of.expression), ..of }
        })
    })
}

fn detail(rule: &Rule, shared: &Shared) -> RuleDetail {
    let texts = |placed: &[Placed]| placed.iter().map(|one| one.text.clone()).collect();
    let (view, span, by, measures) = match &rule.view {
        View::Event => ("event", None, Vec::new(), &[][..]),
        View::Sliding(windows) => {
            let first = windows.first();
            let by = first.map(|over| texts(&over.by)).unwrap_or_default();
            ("over", first.map(Over::span), by, first.map_or(&[][..], |over| &over.measures))
        }
        View::Window(closing) => ("window", Some(closing.span()), texts(&closing.by), &closing.measures[..]),
        View::Schedule(_) => ("schedule", None, Vec::new(), &[][..]),
    };
    let when = match &rule.view {
        View::Schedule(schedule) => schedule.sql.text.clone(),
        _ => rule.when.text.clone(),
    };
    let types = EventType::ALL.into_iter().filter(|of| rule.trigger & of.bit() != 0);
    RuleDetail {
        rule: RuleView::new(rule, RuleCounts::default(), VerdictCounts::default()),
        trigger: types.map(EventType::name).collect(),
        view,
        span,
        by,
        measures: measures.iter().map(MeasureView::new).chain(beside(&rule.view)).collect(),
        group: rule.group.as_deref().map(GroupDefinition::new),
        r#where: rule.filter.as_ref().map(|filter| filter.text.clone()),
        when,
        key: texts(&rule.key),
        params: rule.params.iter().map(|(name, param)| (name.clone(), param.to_json())).collect(),
        exceptions: rule
            .exceptions
            .iter()
            .map(|exception| ExceptionView {
                name: exception.name.clone(),
                when: exception.when.text.clone(),
                reason: exception.reason.clone(),
                basis: exception.basis.clone(),
                until: exception.until.map(|until| shared.calendar.format(until)),
            })
            .collect(),
        false_positives: rule.false_positives.clone(),
        owner: rule.owner.clone(),
        weeks: Vec::new(),
    }
}
