//! Acts on alerts through the daemon's socket.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Value, json};

use super::{ActArgs, InquireArgs};
use crate::{
    alert::{Action, State, casework::Terms},
    cli::{officer::line, socket::Socket},
    event::money::format_cents,
    say,
    store::HandOver,
};

pub(crate) fn act(socket: &Socket, args: &ActArgs, action: Action, terms: &Terms) -> ExitCode {
    // What a second officer decides has an address of its own.
    let (address, mut order) = match action {
        Action::Approve | Action::Return => ("review", json!({ "decision": action })),
        _ => ("transitions", json!({ "action": action })),
    };
    let said = [
        ("why", json!(args.why)),
        ("version", json!(args.if_version)),
        ("to", json!(terms.to)),
        ("into", json!(terms.into)),
        ("due", json!(terms.due.map(|day| day.to_string()))),
        ("outcome", json!(terms.outcome)),
        ("amount", json!(terms.amount.map(format_cents))),
    ];
    for (name, value) in said.into_iter().filter(|(_, value)| !value.is_null()) {
        order[name] = value;
    }
    let mut code = ExitCode::SUCCESS;
    for id in &args.ids {
        let done_by = |id: String| socket.ask(Method::POST, &["alerts", &id, address], Some(&order));
        match socket.alert_id(id).and_then(done_by) {
            Ok(alert) if args.json => println!("{alert}"),
            Ok(alert) => println!("{}", done(&alert)),
            Err(e) => {
                eprintln!("fiscwatch: {}: {e:#}", line(id, 64));
                code = ExitCode::from(1);
            }
        }
    }
    code
}

/// Hands over a shift, and says how many alerts that were.
pub(crate) fn hand_over(socket: &Socket, shift: &HandOver) -> anyhow::Result<Value> {
    let order = json!({ "from": shift.from, "to": shift.to, "why": shift.why });
    Ok(socket.ask(Method::POST, &["alerts", "hand-over"], Some(&order))?["alerts"].clone())
}

pub(crate) fn inquire(socket: &Socket, args: &InquireArgs) -> anyhow::Result<ExitCode> {
    let InquireArgs { id, deadline, note, again, if_version, .. } = args;
    let letter = json!({ "deadline": deadline, "note": note, "again": again, "version": if_version });
    let id = socket.alert_id(id)?;
    let alert = socket.ask(Method::POST, &["alerts", &id, "inquire"], Some(&letter))?;
    match args.json {
        true => println!("{alert}"),
        false => println!("{}", done(&alert)),
    }
    Ok(ExitCode::SUCCESS)
}

fn done(alert: &Value) -> String {
    let state = serde_json::from_value::<State>(alert["state"].clone());
    let text = |key: &str| line(alert[key].as_str().unwrap_or_default(), 100);
    say!(
        "{alert_id} is {state}, version {version}: {title}",
        alert_id = text("alert_id"),
        state = state.map_or("", State::shown),
        version = alert["version"],
        title = text("title")
    )
}
