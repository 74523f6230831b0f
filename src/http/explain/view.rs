//! An explanation as it is shown.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    event::time::Calendar,
    finding::Finding,
    http::lens::Lens,
    personal::{self, Kinds},
    rule::probe::Of,
    say,
    trial::explain::{Baseline, EventVerdict, Explained, ExplainedWindow, Holds, ListRow, Tick},
};

/// Rows of a query that are shown.
const ROWS_MAX: usize = 20;

/// An explanation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    event_id: String,
    rule_id: String,
    title: String,
    /// `found`; `excepted`: an exception took it out; `not_found`: `when` does not hold, or the query has no row for the event;
    /// `left_out`: `where` does not hold; `not_asked`: the rule does not look at events of this type; `waiting`: the event's
    /// window is open, or the rule was not due since; `unknown`: see `limits`.
    verdict: &'static str,
    /// The finding that is stored, if there is one.
    finding_id: Option<String>,
    /// The conditions that `where` joins.
    r#where: Vec<ConditionView>,
    /// The conditions that `when` joins. Of a rule on a schedule those of its query.
    when: Vec<ConditionView>,
    /// The exceptions.
    exceptions: Vec<ConditionView>,
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
    /// What that window was compared with.
    baseline: Option<BaselineView>,
    /// The tick of a rule on a schedule.
    tick: Option<TickView>,
    /// The rows of the reference lists that the rule names, as they are now, that tell of the event.
    lists: Vec<ListRowView>,
    /// What could not be done.
    limits: Vec<String>,
}

/// A condition, and whether it holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedCondition)]
pub(crate) struct ConditionView {
    /// The name of an exception.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// As the rule has it.
    text: String,
    /// Null for what was not asked, because `where` does not hold. Of a query true if there is a row, false of a condition
    /// without which there would be one, and null where it is not that condition alone.
    holds: Option<bool>,
}

/// What a window was compared with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedBaseline)]
pub(crate) struct BaselineView {
    /// The measure.
    measure: String,
    /// How: a method of `anomaly`.
    method: &'static str,
    /// What is usual; null with fewer windows than `least`.
    usual: Value,
    /// How far the window is from it.
    score: Value,
    /// With fewer windows before it nothing is found.
    least: usize,
    /// The windows before it, the oldest first; at most 120.
    before: Vec<BeforeView>,
}

/// A window before it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedBefore)]
pub(crate) struct BeforeView {
    /// Its first instant.
    #[schema(format = DateTime)]
    start: String,
    /// What the measure was.
    value: Value,
}

/// A tick of a rule on a schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedTick)]
pub(crate) struct TickView {
    /// When it was.
    #[schema(format = DateTime)]
    at: String,
    /// How many rows the query had.
    rows: usize,
    /// Those about the event, at most 20; personal data is masked.
    #[schema(value_type = Vec<Object>)]
    own: Vec<Map<String, Value>>,
    /// The first ticks that saw the event: `at` of another question.
    ticks: Vec<String>,
}

/// A row of a reference list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedListRow)]
pub(crate) struct ListRowView {
    /// The list.
    list: String,
    /// A digest of its rows, which is another one when the list has changed.
    version: String,
    /// How many rows it has.
    rows: usize,
    /// The row; null if none tells of the event. Personal data is masked.
    #[schema(value_type = Option<Object>)]
    row: Option<Map<String, Value>>,
}

/// The events of a window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedWindow)]
pub(crate) struct WindowView {
    /// Its first instant; null where it ends with the event.
    #[schema(format = DateTime)]
    start: Option<String>,
    /// The first instant after it.
    #[schema(format = DateTime)]
    end: Option<String>,
    /// Whether it is over; windows are judged when they are.
    closed: Option<bool>,
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

/// Without what the lens hides.
pub(super) fn view(
    explained: Explained,
    (event_id, rule_id, title): (String, String, String),
    params: Map<String, Value>,
    finding_id: Option<String>,
    (calendar, lens): (&Calendar, Lens),
) -> Explanation {
    let Explained { verdict, parts, mut values, mut key, kinds, window, baseline, tick, lists, mut limits } =
        explained;
    let masked = |shown: &mut Map<String, Value>, kinds: &Kinds| {
        if lens == Lens::Masked {
            personal::event::mask_measures(shown, kinds);
            personal::event::mask(shown);
        }
    };
    masked(&mut values, &kinds);
    masked(&mut key, &kinds);
    let is_told = !matches!(verdict, EventVerdict::Unknown | EventVerdict::Waiting);
    if is_told && (verdict == EventVerdict::Found) != finding_id.is_some() {
        limits.push(say!(
            "what is stored says otherwise: the rule, its lists or its exceptions were others when the event came, or it came before the rule"
        ));
    }
    let nearest = only_obstacle(&parts).map(|part| part.text.clone());
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
        window: window.map(|window| of_window(window, calendar)),
        baseline: baseline.map(|baseline| compared(baseline, calendar)),
        tick: tick.map(|tick| at_tick(tick, calendar, &|shown| masked(shown, &kinds))),
        lists: lists.into_iter().map(|row| of_list(row, &masked)).collect(),
        limits,
    }
}

fn compared(baseline: Baseline, calendar: &Calendar) -> BaselineView {
    let Baseline { measure, method, usual, score, least, before } = baseline;
    let before =
        before.into_iter().map(|(at, value)| BeforeView { start: calendar.format(at), value }).collect();
    let (usual, score) = (usual.unwrap_or_default(), score.unwrap_or_default());
    BaselineView { measure, method, usual, score, least, before }
}

fn at_tick(tick: Tick, calendar: &Calendar, masked: &dyn Fn(&mut Map<String, Value>)) -> TickView {
    let shown = |finding: Finding| {
        let mut values = finding.values;
        masked(&mut values);
        values
    };
    TickView {
        at: calendar.format(tick.at),
        rows: tick.rows,
        own: tick.own.into_iter().take(ROWS_MAX).map(shown).collect(),
        ticks: tick.others.into_iter().map(|at| calendar.format(at)).collect(),
    }
}

fn of_list(row: ListRow, masked: &dyn Fn(&mut Map<String, Value>, &Kinds)) -> ListRowView {
    let ListRow { list, version, rows, row, kinds } = row;
    let row = row.map(|mut row| {
        masked(&mut row, &kinds);
        row
    });
    ListRowView { list, version: format!("{version:016x}"), rows, row }
}

fn condition(part: &Holds) -> ConditionView {
    let name = match &part.of {
        Of::Exception(name) => Some(name.clone()),
        _ => None,
    };
    ConditionView { name, text: part.text.clone(), holds: part.holds }
}

fn word(verdict: EventVerdict) -> &'static str {
    match verdict {
        EventVerdict::Found => "found",
        EventVerdict::Excepted => "excepted",
        EventVerdict::NotFound => "not_found",
        EventVerdict::LeftOut => "left_out",
        EventVerdict::NotAsked => "not_asked",
        EventVerdict::Waiting => "waiting",
        EventVerdict::Unknown => "unknown",
    }
}

/// The one part that keeps a rule from holding; `None` where several do.
fn only_obstacle(parts: &[Holds]) -> Option<&Holds> {
    let mut failing = parts.iter().filter(|part| match part.of {
        Of::Exception(_) => part.holds == Some(true),
        _ => part.holds == Some(false),
    });
    failing.next().filter(|_| failing.next().is_none())
}

fn of_window(ExplainedWindow { stretch, events, total }: ExplainedWindow, calendar: &Calendar) -> WindowView {
    let event = |(event_id, at, amount)| WindowEvent { event_id, occurred_at: calendar.format(at), amount };
    WindowView {
        start: stretch.map(|(start, ..)| calendar.format(start)),
        end: stretch.map(|(_, end, _)| calendar.format(end)),
        closed: stretch.map(|(.., closed)| closed),
        events: events.into_iter().map(event).collect(),
        total,
    }
}
