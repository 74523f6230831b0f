//! Silences through the daemon's socket.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Value, json};

use super::state_zh;
use crate::{
    alert::Silence,
    cli::{officer::line, socket::Socket, table::Cell},
    config::Config,
    say,
};

/// Says what a silence would mute, and orders it unless that was all.
pub(crate) fn add(
    socket: &Socket,
    silence: &Silence,
    (dry_run, json): (bool, bool),
    config: &Config,
) -> anyhow::Result<ExitCode> {
    let matchers: Vec<String> = silence.matchers.0.iter().map(ToString::to_string).collect();
    if !json {
        let preview = json!({ "matchers": matchers });
        let muted = socket.ask(Method::POST, &["silences", "preview"], Some(&preview))?;
        let count = muted["count"].as_u64().unwrap_or_default();
        match muted["complete"] == true {
            true => println!("{}", say!("it mutes {count} alerts that are not over", count)),
            false => println!("{}", say!("it mutes at least {count} alerts that are not over", count)),
        }
    }
    if dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let at = |micros| config.calendar.format(micros);
    let order = json!({
        "matchers": matchers,
        "starts_at": at(silence.starts_at),
        "ends_at": at(silence.ends_at),
        "reason": silence.reason,
    });
    told(&socket.ask(Method::POST, &["silences"], Some(&order))?, json);
    Ok(ExitCode::SUCCESS)
}

/// Ends a silence.
pub(crate) fn expire(socket: &Socket, id: i64, json: bool) -> anyhow::Result<ExitCode> {
    told(&socket.ask(Method::DELETE, &["silences", &id.to_string()], None)?, json);
    Ok(ExitCode::SUCCESS)
}

fn told(silence: &Value, json: bool) {
    if json {
        println!("{silence}");
        return;
    }
    let text = |key: &str| silence[key].as_str().unwrap_or_default();
    let matchers: Vec<_> =
        silence["matchers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let told = say!(
        "silence {id} is {state}, from {start} to {end}: {matchers}",
        id = silence["silence_id"],
        state = Cell::word(text("state"), state_zh(text("state"))).shown(),
        start = text("starts_at"),
        end = text("ends_at"),
        matchers = line(&matchers.join(", "), 300)
    );
    println!("{told}");
}
