//! Acts on alerts through the daemon's socket.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Value, json};

use super::{ActArgs, InquireArgs};
use crate::{
    alert::{Action, State},
    cli::{officer::line, socket::Socket},
    say,
};

pub fn act(socket: &Socket, args: &ActArgs, action: Action) -> ExitCode {
    let order = json!({ "action": action, "why": args.why, "version": args.if_version });
    let mut code = ExitCode::SUCCESS;
    for id in &args.ids {
        match socket.ask(Method::POST, &["alerts", id, "transitions"], Some(&order)) {
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

pub fn inquire(socket: &Socket, args: &InquireArgs) -> anyhow::Result<ExitCode> {
    let InquireArgs { id, deadline, note, again, if_version, .. } = args;
    let letter = json!({ "deadline": deadline, "note": note, "again": again, "version": if_version });
    let alert = socket.ask(Method::POST, &["alerts", id, "inquire"], Some(&letter))?;
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
