//! A budget line as a JSON object: every balance of SPEC §2, money as text.

use serde_json::{Map, Value, json};

use super::{Attributes, Line, columns::ElapsedYear, ratio_text};
use crate::event::{
    Column,
    money::format_cents,
    schema::{FIELDS, LINE_ATTRIBUTES},
    time::Calendar,
};

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
    let sums = [
        ("total", b.total),
        ("executed", b.executed),
        ("frozen", b.frozen),
        ("reserved", b.reserved),
        ("available", b.available()),
        ("planned", b.planned),
        ("plan_available", b.plan_available()),
    ];
    for (name, cents) in sums {
        put(name, json!(format_cents(cents)));
    }
    put("executed_ratio", json!(b.executed_ratio().map(ratio_text)));
    put("overspend_ratio", json!(b.overspend_ratio().map(ratio_text)));
    let elapsed =
        attributes.fiscal_year.and_then(|year| ElapsedYear::new(calendar).elapsed(year, line.last_event_at));
    put("year_elapsed", json!(elapsed.map(ratio_text)));
    put("last_event_at", json!(calendar.format(line.last_event_at)));
    debug_assert_eq!(LINE_ATTRIBUTES[0], Column::FiscalYear);
    object
}
