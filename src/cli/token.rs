//! `fiscwatch token add|list|revoke`

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};

use super::{
    ConfigArg,
    local::local,
    officer::{now, wrong_usage},
    table::{Cell, ListFormat, Table, TableColumn},
};
use crate::{
    access::{Action, Role, Roles, token_lasts},
    event::duration,
    http::TokenView,
    say,
    store::{Accounts, TokenSpec},
};

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token for a program, or for a user; it is shown once
    Add(AddArgs),
    /// Show the tokens, without their secrets
    List(ListArgs),
    /// Revoke a token: from the next request on it is good for nothing
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// What it is for, such as prometheus
    name: String,
    /// What a program may: ingest, decide, metrics, read; several may be named
    #[arg(long = "role", value_name = "ROLE", required_unless_present = "user", conflicts_with = "user")]
    roles: Vec<Role>,
    /// Whose it is: who sends it may what this user may
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// How long it is good, such as 30d; 400d at most
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "90d")]
    lasts: Duration,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The token's id, as the list has it: eight digits, not its secret
    id: String,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    form: ListFormat,
}

pub(crate) fn token(command: &TokenCommand) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::Add(args) => add(args),
        TokenCommand::List(args) => list(args),
        TokenCommand::Revoke(args) => revoke(args),
    }
}

fn add(args: &AddArgs) -> anyhow::Result<ExitCode> {
    let lasts = match token_lasts(args.lasts) {
        Ok(lasts) => lasts,
        Err(message) => return Ok(wrong_usage(&format!("{message}: --for"))),
    };
    let roles = match &args.user {
        Some(_) => Ok(Roles::default()),
        None => Roles::of_program(args.roles.iter().copied()),
    };
    let roles = match roles {
        Ok(roles) => roles,
        Err(message) => return Ok(wrong_usage(&message)),
    };
    let config = args.config.permitted(Action::ManageUsers)?;
    let now = now();
    let spec = TokenSpec {
        name: args.name.clone(),
        owner: args.user.clone(),
        roles,
        expires_at: now.saturating_add(lasts),
    };
    let made = Accounts::open(&config.state_dir)?.add_token(&spec, &local(), now)?;
    let until = config.calendar.format(spec.expires_at);
    if args.json {
        println!("{}", serde_json::json!({ "id": made.id, "token": made.text, "expires_at": until }));
        return Ok(ExitCode::SUCCESS);
    }
    // The token stands alone on standard output, so that it can go into a file.
    eprintln!(
        "{}",
        say!(
            "token {id} is good until {until}. It is shown now and never again; keep it in a file that only its user can read",
            id = made.id,
            until
        )
    );
    println!("{}", made.text);
    Ok(ExitCode::SUCCESS)
}

fn revoke(args: &RevokeArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ManageUsers)?;
    Accounts::open(&config.state_dir)?.revoke(&args.id, &local(), now())?;
    println!("{}", say!("token {id} is good for nothing any more", id = args.id));
    Ok(ExitCode::SUCCESS)
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ReadUsers)?;
    let now = now();
    let tokens = Accounts::open_read_only(&config.state_dir)?.tokens()?;
    let views: Vec<_> = tokens.iter().map(|token| TokenView::new(token, &config.calendar, now)).collect();
    let mut table = Table::new([
        TableColumn::new("id", say!("token")),
        TableColumn::new("name", say!("for")).shrinks(8),
        TableColumn::new("user", say!("user")),
        TableColumn::new("roles", say!("roles")).shrinks(8),
        TableColumn::new("state", say!("state")),
        TableColumn::new("expires_at", say!("good until")),
        TableColumn::new("created_by", say!("by")).spare(),
        TableColumn::new("used_at", say!("last used")),
    ]);
    for token in &tokens {
        table.row([
            Cell::text(&*token.id),
            Cell::text(&*token.name),
            token.owner.as_deref().map_or(Cell::Missing, Cell::text),
            Cell::text(token.roles.to_string()),
            Cell::word(token.state(now), state_zh(token.state(now))),
            Cell::time(token.expires_at, &config.calendar),
            Cell::text(&*token.created_by),
            token.used_at.map_or(Cell::Missing, |at| Cell::time(at, &config.calendar)),
        ]);
    }
    args.form.print(&table, &views, &[])?;
    Ok(ExitCode::SUCCESS)
}

fn state_zh(state: &str) -> &'static str {
    match state {
        "good" => "有效",
        "expired" => "已过期",
        _ => "已撤销",
    }
}
