//! `fiscwatch user add|list|roles|password|totp|disable|enable`

use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, Subcommand};

use super::{
    ConfigArg,
    local::local,
    officer::{now, wrong_usage},
    password::PasswordArg,
    table::{Cell, ListFormat, Table, TableColumn},
};
use crate::{
    access::{Action, Limits, Role, Roles, User},
    http::UserView,
    say,
    store::{Accounts, Factor},
    text::quoted,
};

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user with roles; the first one is made here, on the machine, also before the first run
    Add(AddArgs),
    /// Show the users
    List(ListArgs),
    /// Give a user other roles than before
    Roles(RolesArgs),
    /// Set a user's password; all their sessions end
    Password(PasswordArgs),
    /// Ask a user for a second factor (TOTP), or take it away from who has lost it
    Totp(TotpArgs),
    /// Take everything from a user at once
    Disable(NameArgs),
    /// Give a disabled user their roles back
    Enable(NameArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    user: RolesArgs,
    #[command(flatten)]
    password: PasswordArg,
}

#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    #[command(flatten)]
    user: NameArgs,
    #[command(flatten)]
    password: PasswordArg,
}

#[derive(Debug, Args)]
pub(crate) struct TotpArgs {
    #[command(flatten)]
    user: NameArgs,
    #[command(flatten)]
    what: TotpChange,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TotpChange {
    /// Who has none can only set one up after logging in
    #[arg(long)]
    require: bool,
    /// The configuration alone says whether they need one
    #[arg(long)]
    optional: bool,
    /// Take it away: they log in by the password alone, and set up another one
    #[arg(long)]
    reset: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RolesArgs {
    /// The name: what they log in with, and as the proxy in front or the operating system gives it
    name: String,
    /// A role; several may be named. `fiscwatch access show` says what each may
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<Role>,
    /// Limit the roles to units whose code begins so; several may be named
    #[arg(long = "unit", value_name = "PREFIX")]
    units: Vec<String>,
    /// Limit the roles to regions whose code begins so; several may be named
    #[arg(long = "region", value_name = "PREFIX")]
    regions: Vec<String>,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// The name
    name: String,
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

pub(crate) fn user(command: &UserCommand) -> anyhow::Result<ExitCode> {
    match command {
        UserCommand::Add(args) => roles(&args.user, Some(&args.password)),
        UserCommand::List(args) => list(args),
        UserCommand::Roles(args) => roles(args, None),
        UserCommand::Password(args) => password(args),
        UserCommand::Totp(args) => totp(args),
        UserCommand::Disable(args) => enable(args, false),
        UserCommand::Enable(args) => enable(args, true),
    }
}

/// Gives a user roles; a new one also what they log in with.
fn roles(args: &RolesArgs, new: Option<&PasswordArg>) -> anyhow::Result<ExitCode> {
    let limits = Limits::new(args.units.clone(), args.regions.clone());
    let roles =
        limits.and_then(|limits| Ok(Roles::of_person(args.roles.iter().copied())?.limited_to(limits)));
    let roles = match roles {
        Ok(roles) => roles,
        Err(message) => return Ok(wrong_usage(&message)),
    };
    let config = args.config.permitted(Action::ManageUsers)?;
    let name = &*args.name;
    match new {
        Some(password) => {
            let kept =
                password.read(name)?.map(|password| password.hash()).transpose().map_err(|e| anyhow!(e))?;
            let mut accounts = Accounts::open_or_make(&config.state_dir)?;
            accounts.add_user_with((name, kept.as_deref()), &roles, &local(), now())?;
        }
        None => Accounts::open(&config.state_dir)?.set_roles(name, &roles, &local(), now())?,
    }
    let named: Vec<_> = Role::ALL.into_iter().filter(|role| roles.has(*role)).map(Role::titled).collect();
    println!("{}", say!("{name} is {roles}", name = quoted(name), roles = named.join(", ")));
    if !roles.limits().is_none() {
        println!("{}", say!("limited to {limits}", limits = roles.limits()));
    }
    if !config.clients.auth {
        println!("{}", say!("note: http.auth is off, so whoever reaches the daemon may still do everything"));
    }
    Ok(ExitCode::SUCCESS)
}

fn password(args: &PasswordArgs) -> anyhow::Result<ExitCode> {
    let (name, config) = (&*args.user.name, args.user.config.permitted(Action::ManageUsers)?);
    let Some(password) = args.password.read(name)? else {
        return Ok(wrong_usage(&say!("there is no terminal to ask: give the password by --password-file")));
    };
    let kept = password.hash().map_err(|e| anyhow!(e))?;
    Accounts::open(&config.state_dir)?.set_password(name, &kept, &local(), now())?;
    println!("{}", say!("{name} has a new password, and all their sessions have ended", name = quoted(name)));
    Ok(ExitCode::SUCCESS)
}

fn totp(args: &TotpArgs) -> anyhow::Result<ExitCode> {
    let (name, config) = (&*args.user.name, args.user.config.permitted(Action::ManageUsers)?);
    let mut accounts = Accounts::open(&config.state_dir)?;
    if args.what.reset {
        accounts.remove_factor(name, &local(), now())?;
        println!("{}", say!("{name} has no second factor any more", name = quoted(name)));
        return Ok(ExitCode::SUCCESS);
    }
    accounts.require_factor(name, args.what.require, &local(), now())?;
    println!(
        "{}",
        match args.what.require {
            true => say!("{name} needs a second factor", name = quoted(name)),
            false =>
                say!("{name} needs a second factor only if http.second_factor says so", name = quoted(name)),
        }
    );
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

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ReadUsers)?;
    let accounts = Accounts::open_read_only(&config.state_dir)?;
    let (users, factors) = (accounts.users()?, accounts.factors()?);
    let view = |user: &User| UserView::new(user, factors.get(&user.name), &config.calendar);
    let views: Vec<_> = users.iter().map(view).collect();
    let mut table = Table::new([
        TableColumn::new("name", say!("user")),
        TableColumn::new("roles", say!("roles")).shrinks(12),
        TableColumn::new("state", say!("state")),
        TableColumn::new("login", say!("logs in by")),
        TableColumn::new("created_at", say!("added on")).spare(),
        TableColumn::new("created_by", say!("by")).spare(),
        TableColumn::new("seen_at", say!("last here")),
    ]);
    for user in &users {
        let zh = if user.disabled_at.is_some() { "已停用" } else { "有效" };
        table.row([
            Cell::text(&*user.name),
            Cell::text(user.roles.to_string()),
            Cell::word(if user.disabled_at.is_some() { "disabled" } else { "enabled" }, zh),
            login(factors.get(&user.name)),
            Cell::time(user.created_at, &config.calendar),
            Cell::text(&*user.created_by),
            user.seen_at.map_or(Cell::Missing, |at| Cell::time(at, &config.calendar)),
        ]);
    }
    args.form.print(&table, &views, &[])?;
    Ok(ExitCode::SUCCESS)
}

/// What somebody logs in by.
fn login(factor: Option<&Factor>) -> Cell {
    match factor {
        None => Cell::Missing,
        Some(factor) if factor.secret().is_some() => Cell::word("password and code", "口令和动态口令"),
        Some(_) => Cell::word("password", "口令"),
    }
}
