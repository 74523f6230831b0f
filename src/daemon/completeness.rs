//! The three-way match of a day, as the command line and the API tell it.

use jiff::ToSpan;
use serde_json::{Map, Value, json};

use crate::{
    event::{money::format_cents, time::Calendar},
    ledger::Figure,
    say,
    store::DayStatement,
    text::quoted,
};

/// A local day, given as a date or else yesterday at `now` (microseconds): its name, its first instant and its end.
///
/// # Errors
/// If it is no day.
pub fn span(calendar: &Calendar, given: Option<&str>, now: i64) -> Result<(String, (i64, i64)), String> {
    let date = match given {
        Some(text) => text
            .trim()
            .parse::<jiff::civil::Date>()
            .map_err(|_| say!("{day} is no day: write it as 2026-03-05", day = quoted(text)))?,
        None => calendar.local(now).date().yesterday().map_err(|e| e.to_string())?,
    };
    let start = |date| calendar.start_of_day(date).map_err(|e| e.to_string());
    Ok((date.to_string(), (start(date)?, start(date.saturating_add(1.day()))?)))
}

/// The figures of a statement by their names, in the order in which they are told.
#[must_use]
pub fn figures(statement: &DayStatement) -> [(&'static str, Figure); 9] {
    let f = &statement.figures;
    [
        ("ordered", f.ordered),
        ("cleared", f.cleared),
        ("open", f.open),
        ("budgeted", f.budgeted),
        ("unbudgeted", f.unbudgeted),
        ("confirmed", f.confirmed),
        ("matched", f.matched),
        ("without_order", f.without_order),
        ("quarantined", statement.quarantined),
    ]
}

/// A statement as a JSON object; money as text.
#[must_use]
pub fn object(day: &str, statement: &DayStatement) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert(String::from("day"), json!(day));
    for (name, Figure { count, cents }) in figures(statement) {
        object.insert(name.to_owned(), json!({ "count": count, "amount": format_cents(cents) }));
    }
    object.insert(String::from("quarantined_without_amount"), json!(statement.unreadable));
    object
}
