//! `fiscwatch user add|list|roles|disable|enable`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    ConfigArg,
    access::titled,
    local::local,
    officer::{now, wrong_usage},
    table::{Cell, Column, Form, Table},
};
use crate::{
    access::{Action, Role, Roles, User},
    event::time::Calendar,
    say,
    store::Accounts,
    text::quoted,
};

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user with roles; the first one is made here, on the machine
    Add(RolesArgs),
    /// Show the users
    List(ListArgs),
    /// Give a user other roles than before
    Roles(RolesArgs),
    /// Take everything from a user at once
    Disable(NameArgs),
    /// Give a disabled user their roles back
    Enable(NameArgs),
}

#[derive(Debug, Args)]
pub struct RolesArgs {
    /// The name, as the proxy in front or the operating system gives it
    name: String,
    /// A role; several may be named. `fiscwatch access show` says what each may
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<Role>,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, Args)]
pub struct NameArgs {
    /// The name
    name: String,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    form: Form,
}

pub fn user(command: &UserCommand) -> anyhow::Result<ExitCode> {
    match command {
        UserCommand::Add(args) => roles(args, true),
        UserCommand::List(args) => list(args),
        UserCommand::Roles(args) => roles(args, false),
        UserCommand::Disable(args) => enable(args, false),
        UserCommand::Enable(args) => enable(args, true),
    }
}

fn roles(args: &RolesArgs, is_new: bool) -> anyhow::Result<ExitCode> {
    let roles = match Roles::of_person(args.roles.iter().copied()) {
        Ok(roles) => roles,
        Err(message) => return Ok(wrong_usage(&message)),
    };
    let config = args.config.permitted(Action::ManageUsers)?;
    let mut accounts = Accounts::open(&config.state_dir)?;
    match is_new {
        true => accounts.add_user(&args.name, &roles, &local(), now())?,
        false => accounts.set_roles(&args.name, &roles, &local(), now())?,
    }
    let named: Vec<_> = Role::ALL.into_iter().filter(|role| roles.has(*role)).map(titled).collect();
    println!("{}", say!("{name} is {roles}", name = quoted(&args.name), roles = named.join(", ")));
    if !config.clients.auth {
        println!("{}", say!("note: http.auth is off, so whoever reaches the daemon may still do everything"));
    }
    Ok(ExitCode::SUCCESS)
}

fn enable(args: &NameArgs, is: bool) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ManageUsers)?;
    Accounts::open(&config.state_dir)?.set_enabled(&args.name, is, &local(), now())?;
    let name = quoted(&args.name);
    println!(
        "{}",
        match is {
            true => say!("{name} has their roles back", name),
            false => say!("{name} may nothing any more", name),
        }
    );
    Ok(ExitCode::SUCCESS)
}

/// A user as JSON has it.
#[derive(Serialize)]
struct View {
    name: String,
    roles: Roles,
    state: &'static str,
    created_at: String,
    created_by: String,
    seen_at: Option<String>,
}

impl View {
    fn new(user: &User, calendar: &Calendar) -> Self {
        Self {
            name: user.name.clone(),
            roles: user.roles.clone(),
            state: state(user),
            created_at: calendar.format(user.created_at),
            created_by: user.created_by.clone(),
            seen_at: user.seen_at.map(|at| calendar.format(at)),
        }
    }
}

fn state(user: &User) -> &'static str {
    if user.disabled_at.is_some() { "disabled" } else { "enabled" }
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ReadUsers)?;
    let users = Accounts::open_read_only(&config.state_dir)?.users()?;
    let views: Vec<_> = users.iter().map(|user| View::new(user, &config.calendar)).collect();
    let mut table = Table::new([
        Column::new("name", say!("user")),
        Column::new("roles", say!("roles")).shrinks(12),
        Column::new("state", say!("state")),
        Column::new("created_at", say!("added on")).spare(),
        Column::new("created_by", say!("by")).spare(),
        Column::new("seen_at", say!("last here")),
    ]);
    for (user, view) in users.iter().zip(&views) {
        let zh = if user.disabled_at.is_some() { "已停用" } else { "有效" };
        table.row([
            Cell::text(&*view.name),
            Cell::text(user.roles.to_string()),
            Cell::word(view.state, zh),
            Cell::time(user.created_at, &config.calendar),
            Cell::text(&*view.created_by),
            user.seen_at.map_or(Cell::Missing, |at| Cell::time(at, &config.calendar)),
        ]);
    }
    args.form.print(&table, &views, &[])?;
    Ok(ExitCode::SUCCESS)
}
