//! `fiscwatch silence add|list|expire`

mod remote;

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};

use super::{
    ConfigArg,
    alerts::alert_table,
    local::{local, permit},
    officer::{Officer, line, now, span, wrong_usage},
    persons::unasked,
    socket::Socket,
    table::{Cell, ListFormat, Screen, Table, TableColumn, more},
};
use crate::{
    access::Action,
    alert::{Matcher, Matchers, Silence},
    config::Config,
    event::{Instant, TimeDelta, duration, time::TimeError},
    http::view::SilenceView,
    say,
    store::Cases,
    text::quoted,
};

#[derive(Debug, Subcommand)]
pub(crate) enum SilenceCommand {
    /// Order a silence; what it mutes now is shown first
    Add(AddArgs),
    /// Show silences that are in force or to come
    List(ListArgs),
    /// End a silence now
    Expire(ExpireArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// What alerts: rule="large-cash", severity!="critical", `unit_code=~"101.*"`; several must all match
    #[arg(long = "match", value_name = "MATCHER", required = true, value_parser = Matcher::parse)]
    matchers: Vec<Matcher>,
    /// How long, such as 2h or 3d
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, required_unless_present = "until")]
    lasts: Option<Duration>,
    /// Until when, such as 2026-03-06T18:00:00+08:00, or a date for its first minute
    #[arg(long, value_name = "TIME", conflicts_with = "lasts")]
    until: Option<String>,
    /// From when; now without it
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Why
    #[arg(long)]
    why: String,
    #[command(flatten)]
    officer: Officer,
    /// Only show what it would mute now
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Show those that are over too
    #[arg(long)]
    expired: bool,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 100)]
    limit: u32,
    #[command(flatten)]
    form: ListFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ExpireArgs {
    /// The silence's number
    id: i64,
    #[command(flatten)]
    officer: Officer,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of words
    #[arg(long)]
    json: bool,
}

pub(crate) fn silence(command: &SilenceCommand) -> anyhow::Result<ExitCode> {
    match command {
        SilenceCommand::Add(args) => add(args),
        SilenceCommand::List(args) => list(args),
        SilenceCommand::Expire(args) => expire(args),
    }
}

/// Alerts shown before a silence is ordered.
const SHOWN: usize = 10;

fn add(args: &AddArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let socket = Socket::of(&config)?;
    if socket.is_none() {
        permit(&config, Action::OrderSilences)?;
    }
    let silence = match order(args, &config, now()) {
        Ok(silence) => silence,
        Err(message) => return Ok(wrong_usage(&message)),
    };
    if let Some(socket) = socket {
        return remote::add(&socket, &silence, (args.dry_run, args.json), &config);
    }
    let mut cases = Cases::open(&config.state_dir)?.by(local());
    if !args.json {
        let muted = cases.muted_by(&silence.matchers)?;
        let count = muted.count;
        match muted.complete {
            true => println!("{}", say!("it mutes {count} alerts that are not over", count)),
            false => println!("{}", say!("it mutes at least {count} alerts that are not over", count)),
        }
        if count > 0 {
            let newest = muted.alerts.into_iter().take(SHOWN);
            let newest = newest.map(|alert| unasked(&config).seen(alert, &cases));
            let newest: Vec<_> = newest.collect::<Result<_, _>>()?;
            print!("{}", alert_table(&newest, &config.calendar).render(Screen::stdout()));
        }
    }
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let silence = cases.silence(&silence, now())?;
    told(&silence, args.json, &config)
}

fn order(args: &AddArgs, config: &Config, now: Instant) -> Result<Silence, String> {
    let time = |text: &String| config.calendar.parse(text).map_err(|e| no_time(text, &e));
    let starts_at = args.from.as_ref().map_or(Ok(now), time)?;
    let lasts = args.lasts.unwrap_or_default();
    let end = starts_at.saturating_add(TimeDelta::of(lasts));
    let silence = Silence {
        silence_id: 0,
        matchers: Matchers(args.matchers.clone()),
        starts_at,
        ends_at: args.until.as_ref().map_or(Ok(end), time)?,
        author: args.officer.name(config).map_err(|e| e.to_string())?,
        reason: args.why.clone(),
        created_at: now,
        expired_by: None,
    };
    silence.check(now).map(|()| silence)
}

fn no_time(text: &str, error: &TimeError) -> String {
    say!("{text} is no time: {error}", text = quoted(text), error)
}

fn told(silence: &Silence, json: bool, config: &Config) -> anyhow::Result<ExitCode> {
    let view = SilenceView::new(silence, &config.calendar, now());
    match json {
        true => println!("{}", serde_json::to_string(&view)?),
        false => {
            let at = |micros| Cell::time(micros, &config.calendar).shown().into_owned();
            let text = say!(
                "silence {id} is {state}, from {start} to {end}: {matchers}",
                id = view.silence_id,
                state = Cell::word(view.state, state_zh(view.state)).shown(),
                start = at(silence.starts_at),
                end = at(silence.ends_at),
                matchers = line(&view.matchers.join(", "), 300)
            );
            println!("{text}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    if let Some(socket) = Socket::of(&args.config.load_or_default()?)? {
        return remote::list(&socket, args);
    }
    let config = args.config.permitted(Action::ReadSilences)?;
    let now = now();
    let cases = Cases::open_read_only(&config.state_dir)?;
    let mut found = cases.silences(now, args.expired, None, args.limit)?;
    // What ends soon comes first: whoever relies on it can still order another.
    found.sort_by_key(|s| (s.ends_at <= now, s.ends_at));
    let left = more(found.len(), cases.count_silences(now, args.expired)?);
    let views: Vec<_> = found.iter().map(|s| SilenceView::new(s, &config.calendar, now)).collect();
    let mut table = empty_table();
    for (silence, view) in found.iter().zip(&views) {
        let left = silence.ends_at - now;
        table.row([
            Cell::text(view.silence_id.to_string()),
            Cell::word(view.state, state_zh(view.state)),
            if left > TimeDelta::ZERO { Cell::text(span(left)) } else { Cell::Missing },
            Cell::time(silence.ends_at, &config.calendar),
            Cell::text(view.matchers.join(", ")),
            Cell::text(&*view.author),
            Cell::text(&*view.reason),
        ]);
    }
    args.form.print(&table, &views, left.as_slice())?;
    Ok(ExitCode::SUCCESS)
}

fn empty_table() -> Table {
    Table::new([
        TableColumn::new("silence_id", say!("silence")).right(),
        TableColumn::new("state", say!("state")),
        TableColumn::new("ends_in", say!("ends in")).right(),
        TableColumn::new("ends_at", say!("ends")),
        TableColumn::new("matchers", say!("matchers")).shrinks(12),
        TableColumn::new("author", say!("author")).shrinks(6),
        TableColumn::new("reason", say!("reason")).shrinks(10),
    ])
}

fn state_zh(state: &str) -> &'static str {
    match state {
        "pending" => "待生效",
        "active" => "生效中",
        _ => "已结束",
    }
}

fn expire(args: &ExpireArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let who = args.officer.name(&config)?;
    if let Some(socket) = Socket::of(&config)? {
        return remote::expire(&socket, args.id, args.json);
    }
    permit(&config, Action::OrderSilences)?;
    let silence = Cases::open(&config.state_dir)?.by(local()).expire(args.id, &who, now())?;
    told(&silence, args.json, &config)
}
