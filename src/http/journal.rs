//! Events of the journal: found by what people know of them, and with what became of them. Personal data is masked.

use std::{sync::Arc, time::Duration};

use arrow::record_batch::RecordBatch;
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    by::Requester,
    lens::Lens,
    page::Page,
    request::{Params, PathId, blocking, page_size},
    view::AlertView,
};
use crate::{
    daemon::Shared,
    event::{Column, EventType, Instant, event_schema, pattern, schema::FIELDS, time::Calendar},
    finding::Finding,
    lists::Lists,
    say,
    sql::value,
    store::{Cases, FINDINGS_MAX, Sought, filter, place_of, trace},
    text::quoted,
};

/// How long the journal is looked through for one answer.
const TIME: Duration = Duration::from_secs(2);

/// Which events to list. Several codes are parted by commas, and one that ends with `*` means all that begin so.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventFilter {
    /// Only of these types (`payment,application`).
    r#type: Option<String>,
    /// Only of these units.
    unit: Option<String>,
    /// Only of these regions.
    region: Option<String>,
    /// Only of these budget lines.
    line: Option<String>,
    /// Only of this contract.
    contract: Option<String>,
    /// Only where the name of a payee, or of who paid in, has this text.
    payee: Option<String>,
    /// Only where the account of a payee, or of who paid in, ends so; with more than four characters, where it is this one.
    account: Option<String>,
    /// Only where the purpose or reason has this text.
    purpose: Option<String>,
    /// Only where any of these has this text: names, purpose, ids of event, contract, invoice and bank.
    q: Option<String>,
    /// Only amounts of at least this.
    min_amount: Option<String>,
    /// Only amounts of at most this.
    max_amount: Option<String>,
    /// Only from this time on: a local date, or RFC 3339.
    from: Option<String>,
    /// Only before this time; a date counts whole.
    to: Option<String>,
    /// Only those after this one in the list: the `next` of the page before.
    before: Option<String>,
    /// At most so many.
    limit: Option<u32>,
}

const NAMES: [Column; 3] = [Column::PayeeName, Column::ActualPayeeName, Column::PayerName];
const ACCOUNTS: [Column; 4] =
    [Column::PayeeAccount, Column::ActualPayeeAccount, Column::PayerAccount, Column::Account];
const PROSE: [Column; 2] = [Column::Purpose, Column::Reason];
const IDS: [Column; 5] =
    [Column::EventId, Column::ContractNo, Column::InvoiceNo, Column::ProcurementNo, Column::BankRef];

impl EventFilter {
    fn sought(&self, calendar: &Calendar) -> Result<Sought, String> {
        let codes = [
            (Column::UnitCode, &self.unit),
            (Column::RegionCode, &self.region),
            (Column::BudgetLineId, &self.line),
            (Column::ContractNo, &self.contract),
        ];
        let words = |words: &String| pattern::words(words).map(str::to_owned).collect::<Vec<_>>();
        let codes = codes.into_iter().filter_map(|(column, given)| Some((column, words(given.as_ref()?))));
        let anything = [&NAMES[..], &PROSE, &IDS].concat();
        let texts =
            [(NAMES.to_vec(), &self.payee), (PROSE.to_vec(), &self.purpose), (anything, &self.q)].into_iter();
        let texts = texts.filter_map(|(columns, text)| Some((columns, text.as_ref()?.to_lowercase())));
        let cents = |name: &str, text: &Option<String>| {
            text.as_ref().map(|text| filter::cents(name, text)).transpose()
        };
        let time = |text: &Option<String>, read: &dyn Fn(&str) -> Result<Instant, String>| {
            text.as_deref().map(read).transpose()
        };
        Ok(Sought {
            types: self.r#type.as_deref().map(types).transpose()?,
            from: time(&self.from, &|text| filter::instant("from", text, calendar))?,
            to: time(&self.to, &|text| filter::end("to", text, calendar))?,
            codes: codes.collect(),
            texts: texts.collect(),
            ends: self.account.iter().map(|end| (ACCOUNTS.to_vec(), end.clone())).collect(),
            amount: (cents("min_amount", &self.min_amount)?, cents("max_amount", &self.max_amount)?),
            before: self.before.as_deref().map(place).transpose()?,
        })
    }
}

fn types(words: &str) -> Result<u16, String> {
    pattern::words(words).try_fold(0, |set, word| match EventType::parse(word) {
        Some(known) => Ok(set | known.bit()),
        None => {
            let words = EventType::ALL.map(EventType::name).join(", ");
            Err(say!("type: {word} is none of {words}", word = quoted(word), words))
        }
    })
}

fn place(cursor: &str) -> Result<(Instant, String), String> {
    let place = cursor
        .split_once('~')
        .and_then(|(at, id)| Some((Instant::from_micros(at.parse().ok()?), id.to_owned())));
    place.ok_or_else(|| say!("before: take the `next` of the page before"))
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventPage {
    /// The latest first, each with the columns that it has. Accounts show their last four characters, and the names of
    /// natural persons their first one.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Map<String, Value>>,
    /// Give it as `before` for the next page; null on the last one.
    next: Option<String>,
    /// How far back the journal was looked through for this page. It may have fewer events than there is room for: there
    /// is a time for it, and `next` leads on.
    #[schema(format = DateTime)]
    searched_from: String,
}

/// The events of the journal, the latest first
#[utoipa::path(get, path = "/api/v1/events", operation_id = "list_events", tag = "events", params(EventFilter),
    responses((status = 200, description = "A page", body = EventPage)))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(filter): Params<EventFilter>,
) -> Result<Json<EventPage>, Problem> {
    let limit = page_size(filter.limit)?;
    let sought = filter.sought(&shared.calendar).map_err(Problem::bad_request)?;
    let lens = by.lens_on_events();
    blocking(move || {
        let calendar = &shared.calendar;
        let schema = event_schema(&calendar.zone_name);
        let found = sought.find(&shared.state_dir, &schema, limit as usize, TIME)?;
        let rules = shared.rules_in_force();
        let lists = &rules.lists;
        let page =
            Page::new(limit).fill(found.events.iter().map(|event| shown(event, (calendar, lists), lens)));
        let next = match found.events.get(page.rows.len().saturating_sub(1)).filter(|_| page.is_cut) {
            Some(last) => Some(place_of(last)),
            None => found.next,
        };
        let next = next.map(|(at, id)| format!("{}~{id}", at.as_micros()));
        let searched_from = calendar.format(found.searched_from);
        Ok(Json(EventPage { events: page.rows, next, searched_from }))
    })
    .await
}

/// The columns that an event has.
pub(crate) fn shown(
    event: &RecordBatch,
    (calendar, lists): (&Calendar, &Lists),
    lens: Lens,
) -> Map<String, Value> {
    let columns = FIELDS.iter().filter_map(|field| Some((field.name, event.column_by_name(field.name)?)));
    let values = columns.map(|(name, array)| (name.to_owned(), value(array, 0, calendar)));
    let mut object: Map<_, _> = values.filter(|(_, value)| !value.is_null()).collect();
    lens.event(&mut object);
    if let Some(at) = object.get("occurred_at").and_then(Value::as_str).and_then(|at| calendar.parse(at).ok())
    {
        lists.add_names(&mut object, at);
    }
    object
}

/// An event, with what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventDetail {
    /// Its columns. Accounts show their last four characters, and the names of natural persons their first one.
    #[schema(value_type = Object)]
    event: Map<String, Value>,
    /// The events that it names and that name it, in the order of their times: the application before a payment, what the
    /// bank confirmed, what was returned, charged elsewhere or withdrawn.
    #[schema(value_type = Vec<Object>)]
    trace: Vec<Map<String, Value>>,
    /// Whether the whole journal was looked through for it; there is a time for that.
    complete: bool,
    /// What was found about it; 100 at most.
    findings: Vec<FindingRef>,
    /// The alerts that these are in.
    alerts: Vec<AlertView>,
}

/// What was found, in short.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindingRef {
    finding_id: String,
    rule_id: String,
    severity: String,
    /// `live` or `shadow`.
    mode: String,
}

impl From<Finding> for FindingRef {
    fn from(found: Finding) -> Self {
        let Finding { finding_id, rule_id, severity, mode, .. } = found;
        let (severity, mode) = (severity.word().to_owned(), mode.word().to_owned());
        Self { finding_id, rule_id, severity, mode }
    }
}

/// One event with what became of it
#[utoipa::path(get, path = "/api/v1/events/{id}", operation_id = "show_event", tag = "events",
    params(("id" = String, Path, description = "The `event_id`")),
    responses(
        (status = 200, description = "The event", body = EventDetail),
        (status = 404, description = "There is no such event", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<String>,
) -> Result<Json<EventDetail>, Problem> {
    let lens = by.lens_on_events();
    blocking(move || {
        let calendar = &shared.calendar;
        let schema = event_schema(&calendar.zone_name);
        let Some(found) = trace(&shared.state_dir, &schema, &id, TIME)? else {
            let detail = say!("there is no event {id} in the journal", id = quoted(&id));
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        };
        let rules = shared.rules_in_force();
        let lists = &rules.lists;
        let cases = Cases::open_read_only(&shared.state_dir)?;
        let (findings, alerts) = cases.about(&id, FINDINGS_MAX)?;
        Ok(Json(EventDetail {
            event: shown(&found.event, (calendar, lists), lens),
            trace: found.others.iter().map(|event| shown(event, (calendar, lists), lens)).collect(),
            complete: found.complete,
            findings: findings.into_iter().map(FindingRef::from).collect(),
            alerts: by.lens().alerts(alerts, &cases, calendar)?,
        }))
    })
    .await
}
