//! Who was paid: by how much, how often, by whom, and what was found about it. A payee is named by a payment to it, so that no
//! address tells an account.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    by::Requester,
    lens::Lens,
    request::{Params, PathId, blocking, page_size},
    view::AlertView,
};
use crate::{
    daemon::Shared,
    event::{Cents, event_schema, time::Calendar},
    lists::Lists,
    say,
    store::{CaseFilter, Cases, Payee, PayeeKey, Payees, PayeesSought, filter, payee_of, trace},
    text::quoted,
};

/// How long the journal is looked through for one answer.
const TIME: Duration = Duration::from_secs(2);
/// Alerts, and units, that are told of a payee.
const TOLD_MAX: u32 = 50;

/// Which payees to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PayeeFilter {
    /// Only where the name has this text.
    name: Option<String>,
    /// Only where the account ends so; with more than four characters, where it is this one.
    account: Option<String>,
    /// Only payments of units whose code begins so.
    unit: Option<String>,
    /// Only payments from this time on: a local date, or RFC 3339.
    from: Option<String>,
    /// Only payments before this time; a date counts whole.
    to: Option<String>,
    /// `-paid` (the default), `-payments`, `-units` or `-last`.
    sort: Option<String>,
    /// Leave out so many: the `next` of the page before.
    after: Option<usize>,
    /// At most so many.
    limit: Option<u32>,
}

impl PayeeFilter {
    fn sought(&self, calendar: &Calendar) -> Result<PayeesSought, String> {
        let from = self.from.as_deref().map(|text| filter::instant("from", text, calendar)).transpose()?;
        let to = self.to.as_deref().map(|text| filter::end("to", text, calendar)).transpose()?;
        let (unit, account) = (self.unit.clone(), self.account.clone());
        Ok(PayeesSought {
            from,
            to,
            unit,
            account,
            name: self.name.as_ref().map(|n| n.to_lowercase()),
            one: None,
        })
    }

    fn order(&self, payees: &mut [Payee]) -> Result<(), String> {
        // What is equal keeps one order, so that pages follow one another.
        payees.sort_by(|a, b| a.last_event.cmp(&b.last_event));
        match self.sort.as_deref().unwrap_or("-paid") {
            "-paid" => payees.sort_by_key(|payee| std::cmp::Reverse(payee.cents)),
            "-payments" => payees.sort_by_key(|payee| std::cmp::Reverse(payee.payments)),
            "-units" => payees.sort_by_key(|payee| std::cmp::Reverse(payee.units.len())),
            "-last" => payees.sort_by_key(|payee| std::cmp::Reverse(payee.span.1)),
            word => {
                let words = "-paid, -payments, -units, -last";
                return Err(say!("sort: {word} is none of {words}", word = quoted(word), words));
            }
        }
        Ok(())
    }
}

/// A page of payees.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayeePage {
    payees: Vec<PayeeView>,
    /// Give it as `after` for the next page; null on the last one.
    next: Option<usize>,
    /// How many there are.
    total: usize,
    /// What all of them were paid, in yuan.
    paid: String,
    /// Payments to payees beyond the 200,000 that are told apart.
    left_out: u64,
    /// How far back the payments were looked through.
    #[schema(format = DateTime)]
    searched_from: String,
    /// Whether that is all that was asked for; there is a time for it.
    complete: bool,
}

/// What somebody was paid. Accounts show their last four characters, and the names of natural persons their first one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payee)]
pub(crate) struct PayeeView {
    /// The event by which it is named: the latest payment.
    id: String,
    account: Option<String>,
    /// The names that it was paid under, at most eight.
    names: Vec<String>,
    /// `person` or `entity`, as the latest payment says.
    owner: Option<String>,
    /// What it was paid, in yuan; what it paid back is not taken off.
    paid: String,
    payments: u64,
    /// How many units paid it.
    units: usize,
    #[schema(format = DateTime)]
    first_at: String,
    #[schema(format = DateTime)]
    last_at: String,
}

impl PayeeView {
    fn new(payee: &Payee, calendar: &Calendar, lens: Lens) -> Self {
        let shown = |column: &str, text: &str| {
            let mut event = Map::from_iter([(column.to_owned(), Value::from(text))]);
            if let Some(owner) = &payee.owner {
                event.insert(String::from("payee_type"), owner.as_str().into());
            }
            lens.event(&mut event);
            event.get(column).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        Self {
            id: payee.last_event.clone(),
            account: payee.account.as_deref().map(|account| shown("payee_account", account)),
            names: payee.names.iter().map(|name| shown("payee_name", name)).collect(),
            owner: payee.owner.clone(),
            paid: payee.cents.to_string(),
            payments: payee.payments,
            units: payee.units.len(),
            first_at: calendar.format(payee.span.0),
            last_at: calendar.format(payee.span.1),
        }
    }
}

/// Who was paid, who got most first
#[utoipa::path(get, path = "/api/v1/payees", operation_id = "list_payees", tag = "events", params(PayeeFilter),
    responses((status = 200, description = "A page", body = PayeePage)))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(filter): Params<PayeeFilter>,
) -> Result<Json<PayeePage>, Problem> {
    let limit = page_size(filter.limit)? as usize;
    let sought = filter.sought(&shared.calendar).map_err(Problem::bad_request)?;
    let lens = by.lens_on_events();
    blocking(move || {
        let calendar = &shared.calendar;
        let Payees { mut payees, left_out, searched_from, complete } =
            sought.find(&shared.state_dir, &event_schema(&calendar.zone_name), TIME)?;
        filter.order(&mut payees).map_err(Problem::bad_request)?;
        let after = filter.after.unwrap_or(0);
        let end = after.saturating_add(limit);
        let page = payees.iter().skip(after).take(limit);
        Ok(Json(PayeePage {
            payees: page.map(|payee| PayeeView::new(payee, calendar, lens)).collect(),
            next: (end < payees.len()).then_some(end),
            total: payees.len(),
            paid: payees.iter().map(|payee| payee.cents).sum::<Cents>().to_string(),
            left_out,
            searched_from: calendar.format(searched_from),
            complete,
        }))
    })
    .await
}

/// A payee: what it was paid, by whom, and the alerts that name it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PayeeDetail {
    payee: PayeeView,
    /// The units that paid it, the largest sum first; at most 50.
    units: Vec<UnitPaid>,
    /// The alerts whose findings name its account, or its name where it has none; the latest 50.
    alerts: Vec<AlertView>,
    /// The reference lists whose key is its account or one of its names.
    lists: Vec<String>,
    /// How far back the payments were looked through.
    #[schema(format = DateTime)]
    searched_from: String,
    /// Whether that is all there are.
    complete: bool,
}

/// What a unit paid a payee.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnitPaid {
    unit_code: String,
    unit_name: String,
    paid: String,
    payments: u64,
}

/// The payee of a payment: what it was paid in all, by whom, and what was found about it
#[utoipa::path(get, path = "/api/v1/payees/{id}", operation_id = "show_payee", tag = "events",
    params(("id" = String, Path, description = "The `event_id` of any payment to it")),
    responses(
        (status = 200, description = "The payee", body = PayeeDetail),
        (status = 404, description = "There is no such payment, or it tells no payee", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<String>,
) -> Result<Json<PayeeDetail>, Problem> {
    let (lens, limits, of_alerts) = (by.lens_on_events(), by.limits(), by.lens());
    blocking(move || {
        let calendar = &shared.calendar;
        let schema = event_schema(&calendar.zone_name);
        let event = trace(&shared.state_dir, &schema, &id, TIME)?.map(|found| found.event);
        let missing = || {
            Problem::new(
                StatusCode::NOT_FOUND,
                say!("there is no payment {id}, or it tells no payee", id = quoted(&id)),
            )
        };
        let key = event.as_ref().and_then(payee_of).ok_or_else(missing)?;
        let sought = PayeesSought { one: Some(key.clone()), ..PayeesSought::default() };
        let Payees { mut payees, searched_from, complete, .. } =
            sought.find(&shared.state_dir, &schema, TIME)?;
        let payee = payees.pop().ok_or_else(missing)?;
        let mut units: Vec<_> = payee.units.iter().collect();
        units.sort_by_key(|(_, (_, cents, _))| std::cmp::Reverse(*cents));
        let units =
            units.into_iter().take(TOLD_MAX as usize).map(|(code, (name, cents, payments))| UnitPaid {
                unit_code: code.clone(),
                unit_name: name.clone(),
                paid: cents.to_string(),
                payments: *payments,
            });
        let cases = Cases::open_read_only(&shared.state_dir)?.within(&limits);
        let (PayeeKey::Account(text) | PayeeKey::Name(text)) = key;
        let filter = CaseFilter { payee: Some(text), limit: Some(TOLD_MAX), ..CaseFilter::default() };
        let wanted = filter.understood(calendar, shared.clock.now()).map_err(Problem::bad_request)?;
        let alerts = cases.list(&wanted)?;
        Ok(Json(PayeeDetail {
            lists: hits(&payee, &shared.rules_in_force().lists),
            payee: PayeeView::new(&payee, calendar, lens),
            units: units.collect(),
            alerts: of_alerts.alerts(alerts, &cases, calendar)?,
            searched_from: calendar.format(searched_from),
            complete,
        }))
    })
    .await
}

/// The reference lists that have a payee.
fn hits(payee: &Payee, lists: &Lists) -> Vec<String> {
    let has = |name: &&str| {
        lists.get(name).is_some_and(|list| {
            payee.account.as_deref().is_some_and(|account| list.contains(account))
                || payee.names.iter().any(|name| list.contains_name(name))
        })
    };
    lists.names().filter(has).map(str::to_owned).collect()
}
