//! `fiscwatch routes show|test`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    ConfigArg,
    officer::{line, now, span, wrong_usage},
    table::{Cell, visible},
};
use crate::{
    alert::{
        Labels, Policy,
        route::{ALERT, Passage, Route},
    },
    config::Config,
    daemon::{HeldBy, held},
    finding::Handling,
    say,
};

#[derive(Debug, Subcommand)]
pub(crate) enum RoutesCommand {
    /// Show the tree as it is in force, with what routes take from their parents
    Show(ShowArgs),
    /// Tell where an alert with these labels would go, why, and what would hold it back now
    Test(TestArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// JSON Lines instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Labels, such as rule=large-cash severity=high `unit_code=101001` tag=cash
    #[arg(long = "alert", value_name = "NAME=VALUE", num_args = 1.., required = true)]
    labels: Vec<String>,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of words
    #[arg(long)]
    json: bool,
}

pub(crate) fn routes(command: &RoutesCommand) -> anyhow::Result<ExitCode> {
    match command {
        RoutesCommand::Show(args) => show(&args.config.load_or_default()?, args.json),
        RoutesCommand::Test(args) => test(args),
    }
}

fn show(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let Some(root) = &config.policy.routes else {
        println!("{}", no_sink());
        return Ok(ExitCode::SUCCESS);
    };
    for (depth, route, _) in root.explain(&Labels::default()) {
        if json {
            println!("{}", object(route));
            continue;
        }
        println!("{}{}", "  ".repeat(depth), title(route));
        println!("{}    {}", "  ".repeat(depth), settings(route));
    }
    Ok(ExitCode::SUCCESS)
}

fn object(route: &Route) -> serde_json::Value {
    let matchers: Vec<String> = route.matchers.clone().into();
    json!({
        "route": route.path, "match": matchers, "sinks": route.sinks, "group_by": route.group_by,
        "group_wait_seconds": route.group_wait / 1_000_000,
        "group_interval_seconds": route.group_interval / 1_000_000,
        "repeat_interval_seconds": route.repeat_interval.map(|at| at / 1_000_000),
        "tell_ended": route.tell_ended, "digest": route.digest, "send_letters": route.send_letters, "continue": route.continues,
    })
}

/// What to say where nobody is told anything.
fn no_sink() -> String {
    say!("there is no sink, so nobody is told of alerts; name some under `sinks` in the configuration")
}

fn title(route: &Route) -> String {
    let matchers: Vec<String> = route.matchers.clone().into();
    let matchers = if matchers.is_empty() { say!("every alert") } else { matchers.join(", ") };
    visible(&format!("{}: {matchers}", route.path)).into_owned()
}

fn settings(route: &Route) -> String {
    let sinks = if route.sinks.is_empty() { say!("nobody") } else { route.sinks.join(", ") };
    let when = match route.digest {
        true => say!("with the digest"),
        false => {
            say!(
                "after {wait}, then every {interval}",
                wait = span(route.group_wait),
                interval = span(route.group_interval)
            )
        }
    };
    let repeat = match route.repeat_interval {
        Some(at) => say!("repeated after {span}", span = span(at)),
        None => say!("never repeated"),
    };
    let group = route.group_by.join(", ");
    let mut settings = vec![say!("to {sinks}", sinks), say!("together by [{group}]", group), when, repeat];
    settings.extend((!route.tell_ended).then(|| say!("not told of ends")));
    settings.extend(route.send_letters.then(|| say!("letters to units go out by themselves")));
    settings.extend(route.continues.then(|| say!("goes on to the next route")));
    settings.join(&say!(", "))
}

fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let labels = match Labels::parse(&args.labels) {
        Ok(labels) => labels,
        Err(message) => return Ok(wrong_usage(&message)),
    };
    let config = args.config.load_or_default()?;
    let held = holds(&config, &labels)?;
    let Some(root) = &config.policy.routes else {
        println!("{}", no_sink());
        return Ok(ExitCode::SUCCESS);
    };
    if args.json {
        let taken = root.select(&labels).into_iter().map(|route| {
            json!({
                "route": route.path, "sinks": route.sinks, "group": labels.only(&route.group_by),
                "group_wait_seconds": route.group_wait / 1_000_000, "digest": waits_for_digest(route, &labels),
            })
        });
        println!("{}", json!({ "routes": taken.collect::<Vec<_>>(), "held_by": held }));
        return Ok(ExitCode::SUCCESS);
    }
    for (depth, route, passage) in root.explain(&labels) {
        let indent = "  ".repeat(depth);
        println!("{indent}{} — {}", line(&title(route), 200), passage.words());
        if passage == Passage::Taken {
            println!("{indent}    {}", settings(route));
            match route.group_by.iter().any(|name| name == ALERT) {
                true => println!("{indent}    {}", say!("told by itself")),
                false => {
                    let group = visible(&labels.only(&route.group_by).to_string()).into_owned();
                    println!("{indent}    {}", say!("told with those of {{{group}}}", group));
                }
            }
            if waits_for_digest(route, &labels) {
                let at = config.policy.next_digest(now());
                let at = Cell::time(at, &config.calendar);
                println!("{indent}    {}", say!("it waits for the digest at {at}", at = at.shown()));
            }
        }
    }
    match held.is_empty() {
        true => println!("{}", say!("nothing holds it back now")),
        false => held.iter().for_each(|by| println!("{}", say!("held back now by {by}", by))),
    }
    Ok(ExitCode::SUCCESS)
}

fn waits_for_digest(route: &Route, labels: &Labels) -> bool {
    route.digest || labels.first("handling").and_then(Handling::parse).is_some_and(Policy::waits_for_digest)
}

/// What would keep an alert with these labels from being told of now, in words.
fn holds(config: &Config, labels: &Labels) -> anyhow::Result<Vec<String>> {
    let words = |held| match held {
        HeldBy::Quiet(name) => say!("quiet hours {name}", name),
        HeldBy::Silence { id, author, until } => {
            let (author, end) = (line(&author, 100), Cell::time(until, &config.calendar));
            say!("silence {id} of {author}, until {end}", id, author, end = end.shown())
        }
        HeldBy::Alert { id, title } => say!("alert {id} ({title})", id, title = line(&title, 100)),
    };
    Ok(held(&config.policy, &config.state_dir, labels, now())?.into_iter().map(words).collect())
}
