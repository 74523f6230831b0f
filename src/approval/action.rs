//! 预算操作 that are entered by hand: what is proposed, and the events that it becomes. An event's id is made of the matter, so
//! one that is handed in again after a crash is known already.

use serde_json::{Map, Value, json};

use super::{Kind, Matter, NewMatter};
use crate::{
    event::{Cents, Instant, money::parse_amount, time::Calendar},
    say,
    text::quoted,
};

/// The most actions of one matter.
pub const ACTIONS_MAX: usize = 100;

/// What an action may say; what it must say by its kind, the decoder tells.
const FIELDS: [&str; 14] = [
    "action",
    "budget_line_id",
    "to_budget_line_id",
    "amount",
    "occurred_at",
    "fiscal_year",
    "region_code",
    "unit_code",
    "unit_name",
    "function_code",
    "economic_code",
    "project_code",
    "fund_type",
    "reason",
];

/// What is proposed by these actions. One that says no time gets the day of the proposal.
///
/// # Errors
/// If there are none or too many, or one says what no budget action says.
pub fn wish(
    actions: Vec<Map<String, Value>>,
    reason: &str,
    (now, calendar): (Instant, &Calendar),
) -> Result<NewMatter, String> {
    if !(1..=ACTIONS_MAX).contains(&actions.len()) {
        return Err(say!("one proposal has 1 to {most} budget actions", most = ACTIONS_MAX));
    }
    let (mut cents, mut content) = (Cents::ZERO, Vec::new());
    let mut lines = Vec::new();
    for (number, mut action) in (1..).zip(actions) {
        let fault = |why: String| say!("action {number}: {why}", number, why);
        if let Some(unknown) = action.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            let (name, fields) = (quoted(unknown), FIELDS.join(", "));
            return Err(fault(say!("there is no field {name}; there are {fields}", name, fields)));
        }
        action.retain(|_, value| !value.is_null() && value != "");
        // As it is written: an amount that came as a number must not have become a float.
        let amount = match action.get("amount") {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(fault(say!("it has no amount"))),
        };
        let amount = parse_amount(&amount)
            .map_err(|why| fault(say!("{text} is no amount: {why}", text = quoted(&amount), why)))?;
        cents += amount;
        action.insert(String::from("amount"), amount.to_string().into());
        // A day, so that what is sent twice is the same.
        action.entry("occurred_at").or_insert_with(|| calendar.local(now).date().to_string().into());
        if let Some(Value::String(line)) = action.get("budget_line_id")
            && !lines.contains(line)
        {
            lines.push(line.clone());
        }
        content.push(Value::Object(action));
    }
    let subject = lines.iter().take(3).cloned().collect::<Vec<_>>().join(" ");
    Ok(NewMatter {
        kind: Kind::Budget,
        subject,
        content: json!({ "actions": content }),
        cents: Some(cents),
        reason: reason.to_owned(),
        expires_at: None,
    })
}

/// The events that a matter becomes, one JSON object each.
#[must_use]
pub fn events(matter: &Matter, calendar: &Calendar) -> Vec<Value> {
    let recorded_at = matter.approvals().map(|act| act.at).max().unwrap_or(matter.proposed_at);
    let actions = matter.content["actions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let event = |(number, action): (usize, &Value)| {
        let mut event = Map::new();
        let digest = matter.digest.get(..16).unwrap_or(&matter.digest);
        event.insert(String::from("event_id"), format!("approval-{}-{number}-{digest}", matter.id).into());
        event.insert(String::from("type"), "budget".into());
        event.extend(action.as_object().cloned().unwrap_or_default());
        event.remove("reason");
        event.insert(String::from("recorded_at"), calendar.format(recorded_at).into());
        Value::Object(event)
    };
    (1..).zip(actions).map(event).collect()
}
