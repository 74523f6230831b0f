//! Silences through the daemon's socket.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Value, json};

use super::{ListArgs, empty_table, state_zh};
use crate::{
    alert::Silence,
    cli::{
        officer::{line, now, span},
        socket::Socket,
        table::Cell,
    },
    config::Config,
    event::TimeDelta,
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

/// The silences that there are; those that end soon come first.
pub(crate) fn list(socket: &Socket, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let query = json!({ "expired": args.expired, "limit": args.limit });
    let page = socket.read(&["silences"], &query, false)?;
    let (now, mut table) = (now(), empty_table());
    let ends = |silence: &Value| {
        let text = silence["ends_at"].as_str().unwrap_or_default();
        config.calendar.parse(text).unwrap_or_default()
    };
    let mut found = page["silences"].as_array().cloned().unwrap_or_default();
    found.sort_by_key(|silence| (ends(silence) <= now, ends(silence)));
    for silence in &found {
        let text = |key: &str| silence[key].as_str().unwrap_or_default();
        let left = ends(silence) - now;
        let matchers = silence["matchers"].as_array().into_iter().flatten().filter_map(Value::as_str);
        table.row([
            Cell::text(silence["silence_id"].to_string()),
            Cell::word(text("state"), state_zh(text("state"))),
            if left > TimeDelta::ZERO { Cell::text(span(left)) } else { Cell::Missing },
            Cell::time(ends(silence), &config.calendar),
            Cell::text(matchers.collect::<Vec<_>>().join(", ")),
            Cell::text(text("author")),
            Cell::text(text("reason")),
        ]);
    }
    let is_cut = (!page["next"].is_null()).then(|| say!("there are more: show more of them with --limit"));
    args.form.print(&table, &found, is_cut.as_slice())?;
    Ok(ExitCode::SUCCESS)
}

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
