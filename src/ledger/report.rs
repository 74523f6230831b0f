//! A budget line and an indicator as JSON objects; money, numbers and ratios as text.

use serde_json::{Map, Value, json};

use super::{Attributes, Balances, Indicator, Line, columns::ElapsedYear};
use crate::event::{
    Cents, Column,
    number::format_number,
    schema::{FIELDS, LINE_ATTRIBUTES},
    time::Calendar,
};

/// Every sum of balances, by its name.
#[must_use]
pub fn sums(b: &Balances) -> [(&'static str, Cents); 10] {
    [
        ("total", b.total),
        ("executed", b.executed),
        ("frozen", b.frozen),
        ("reserved", b.reserved),
        ("available", b.available()),
        ("planned", b.planned),
        ("plan_available", b.plan_available()),
        ("opening", b.opening),
        ("cleared", b.cleared),
        ("uncleared", b.uncleared()),
    ]
}

/// The balances and attributes of a line. `year_elapsed` is that at the time of the line's last event.
#[must_use]
pub fn line_object(line: &Line, attributes: &Attributes, calendar: &Calendar) -> Map<String, Value> {
    let b = &line.balances;
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("budget_line_id", json!(line.id));
    put("approved", json!(attributes.approved));
    put("fiscal_year", json!(attributes.fiscal_year));
    for column in &LINE_ATTRIBUTES[1..] {
        put(FIELDS[column.index()].name, json!(attributes.text(*column)));
    }
    for (name, cents) in sums(b) {
        put(name, json!(cents.to_string()));
    }
    put("executed_ratio", json!(b.executed_ratio().map(|ratio| ratio.to_string())));
    put("overspend_ratio", json!(b.overspend_ratio().map(|ratio| ratio.to_string())));
    let elapsed =
        attributes.fiscal_year.and_then(|year| ElapsedYear::new(calendar).elapsed(year, line.last_event_at));
    put("year_elapsed", json!(elapsed.map(|ratio| ratio.to_string())));
    put("last_event_at", json!(calendar.format(line.last_event_at)));
    debug_assert_eq!(LINE_ATTRIBUTES[0], Column::FiscalYear);
    object
}

/// An indicator as it was stated last, with what of its target is achieved. `due` is the end of its fiscal year where
/// nobody stated a time.
#[must_use]
pub fn indicator_object(id: &str, indicator: &Indicator, calendar: &Calendar) -> Map<String, Value> {
    let due = indicator.due.or_else(|| Some(calendar.fiscal_year(indicator.fiscal_year)?.end));
    let object = json!({
        "indicator_id": id,
        "indicator_name": indicator.name,
        "fiscal_year": indicator.fiscal_year,
        "project_code": indicator.project_code,
        "region_code": indicator.region_code,
        "unit_code": indicator.unit_code,
        "unit_name": indicator.unit_name,
        "budget_line_id": indicator.budget_line_id,
        "direction": indicator.direction(),
        "target": format_number(indicator.target),
        "actual": indicator.actual.map(format_number),
        "achievement": indicator.achievement().map(|ratio| ratio.to_string()),
        "due": due.map(|due| calendar.format(due)),
        "stated_at": calendar.format(indicator.stated_at),
    });
    match object {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
