//! `fiscwatch alerts`: what officers look at and do.

mod casework;
mod context;
mod list;
mod register;
mod remote;
mod show;

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};

use super::{
    ConfigArg,
    local::permit,
    officer::{Officer, line, now, wrong_usage},
    persons::unasked,
    problems,
    socket::Socket,
    table::Cell,
};
use crate::{
    access::Action as Permit,
    alert::{Action, Alert, Desk, casework::Terms, desk::Order, inquiry},
    config::Config,
    say,
    store::Cases,
};
use casework::{
    AssignArgs, CloseArgs, DueArgs, HandOverArgs, MergeArgs, assign, close, desk_with_people, due, hand_over,
    merge,
};
pub(crate) use list::alert_table;
use list::{ListArgs, list};
use show::{ShowArgs, show};

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant)] // It is made once.
pub(crate) enum AlertsCommand {
    /// Show the newest alerts that are not over
    List(ListArgs),
    /// 台账: write the cases that a filter finds as an Excel workbook
    Register(register::RegisterArgs),
    /// 月报: a month of cases in numbers, as JSON or as an Excel workbook
    Report(register::ReportArgs),
    /// Show one alert with its history, evidence and notifications
    Show(ShowArgs),
    /// 受理: take alerts on; escalation ends
    Ack(ActArgs),
    /// 属实: they are as suspected
    Confirm(ActArgs),
    /// 误报: they were in order; say why
    Dismiss(ActArgs),
    /// 整改: they are being put right
    Rectify(ActArgs),
    /// 办结: they are done; say what came of it, and why
    Close(CloseArgs),
    /// 备注: add a remark; the state stays
    Comment(ActArgs),
    /// 分派: give alerts to somebody, or put them back
    Assign(AssignArgs),
    /// 交接班: hand all alerts of an officer that are not over to another
    HandOver(HandOverArgs),
    /// 改期: set the last day for alerts to be over; say why
    Due(DueArgs),
    /// 并案: let another alert go on with them
    Merge(MergeArgs),
    /// 复核通过: what somebody else proposed is done
    Approve(ActArgs),
    /// 退回: what somebody else proposed is not done; say why
    Return(ActArgs),
    /// 撤回: take back what you proposed
    Withdraw(ActArgs),
    /// 收回链接: the unit can no longer answer by the link of its letter
    Revoke(ActArgs),
    /// 发函: send the letter that asks the unit to explain
    Inquire(InquireArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ActArgs {
    /// The alerts' ids, or their beginnings
    #[arg(required = true)]
    ids: Vec<String>,
    /// Why, for the history
    #[arg(long)]
    why: Option<String>,
    #[command(flatten)]
    officer: Officer,
    /// Only if the alert is still at this version, as `show` told it
    #[arg(long, value_name = "VERSION")]
    if_version: Option<i64>,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON Lines instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InquireArgs {
    /// The alert's id, or its beginning
    id: String,
    /// Workdays that the unit has for its answer, by the list of holidays; alerts.explain.deadline without it
    #[arg(long, value_name = "WORKDAYS")]
    deadline: Option<u16>,
    /// What is added to the letter, for the unit to read
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Ask a unit again that was asked already
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    officer: Officer,
    /// Only if the alert is still at this version, as `show` told it
    #[arg(long, value_name = "VERSION")]
    if_version: Option<i64>,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of words
    #[arg(long)]
    json: bool,
}

pub(crate) fn alerts(command: &AlertsCommand) -> anyhow::Result<ExitCode> {
    match command {
        AlertsCommand::List(args) => list(args),
        AlertsCommand::Show(args) => show(args),
        AlertsCommand::Register(args) => register::cases(args),
        AlertsCommand::Report(args) => register::report(args),
        AlertsCommand::Ack(args) => plainly(args, Action::Acknowledge),
        AlertsCommand::Confirm(args) => plainly(args, Action::Confirm),
        AlertsCommand::Dismiss(args) => plainly(args, Action::Dismiss),
        AlertsCommand::Rectify(args) => plainly(args, Action::Rectify),
        AlertsCommand::Close(args) => close(args),
        AlertsCommand::Assign(args) => assign(args),
        AlertsCommand::HandOver(args) => hand_over(args),
        AlertsCommand::Due(args) => due(args),
        AlertsCommand::Merge(args) => merge(args),
        AlertsCommand::Approve(args) => plainly(args, Action::Approve),
        AlertsCommand::Return(args) => plainly(args, Action::Return),
        AlertsCommand::Withdraw(args) => plainly(args, Action::Withdraw),
        AlertsCommand::Revoke(args) => plainly(args, Action::Revoke),
        AlertsCommand::Comment(args) => plainly(args, Action::Comment),
        AlertsCommand::Inquire(args) => inquire(args),
    }
}

fn plainly(args: &ActArgs, action: Action) -> anyhow::Result<ExitCode> {
    act(args, action, Terms::default())
}

fn act(args: &ActArgs, action: Action, terms: Terms) -> anyhow::Result<ExitCode> {
    if args.if_version.is_some() && args.ids.len() > 1 {
        return Ok(wrong_usage(&say!("--if-version is of one alert; name only that one")));
    }
    let config = args.config.load_or_default()?;
    if let Some(socket) = Socket::of(&config)? {
        args.officer.name(&config)?;
        return Ok(remote::act(&socket, args, action, &terms));
    }
    let is_review = matches!(action, Action::Approve | Action::Return);
    permit(&config, if is_review { Permit::ReviewAlerts } else { Permit::WorkAlerts })?;
    let actor = args.officer.actor(&config)?;
    let mut cases = Cases::open(&config.state_dir)?.by(actor.clone());
    let desk = if action == Action::Assign {
        desk_with_people(&config)?
    } else {
        Desk::new(Arc::clone(&config.policy))
    };
    let terms = match &terms.into {
        Some(into) => Terms { into: Some(cases.complete(into)?), ..terms },
        None => terms,
    };
    let (who, why) = (actor.who, args.why.clone());
    let order = Order { action, who, why, version: args.if_version, letter: None, terms };
    let mut code = ExitCode::SUCCESS;
    for id in &args.ids {
        // One alert that cannot be moved on keeps none of the others back.
        match cases.complete(id).and_then(|id| cases.act(&id, &order, &desk, now())) {
            Ok(alert) => println!("{}", done(alert, args.json, (&config, &cases))?),
            Err(e) => {
                eprintln!("fiscwatch: {}: {e}", line(id, 64));
                code = ExitCode::from(1);
            }
        }
    }
    Ok(code)
}

fn inquire(args: &InquireArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    if let Some(Err(message)) = args.deadline.map(inquiry::check_deadline) {
        return Ok(wrong_usage(&message));
    }
    if let Some(socket) = Socket::of(&config)? {
        args.officer.name(&config)?;
        return remote::inquire(&socket, args);
    }
    permit(&config, Permit::WorkAlerts)?;
    let lists = config.read_lists().map_err(problems)?;
    let actor = args.officer.actor(&config)?;
    let mut cases = Cases::open(&config.state_dir)?.by(actor.clone());
    let (desk, now) = (Desk::new(Arc::clone(&config.policy)), now());
    let (alert, ..) = cases.show(&cases.complete(&args.id)?, 0)?;
    let by = (actor.who, args.note.clone(), args.if_version);
    let order = inquiry::order(&alert, &desk, &lists, by, (args.deadline, args.again), now)?;
    let alert = cases.act(&alert.alert_id, &order, &desk, now)?;
    if args.json {
        println!("{}", done(alert, true, (&config, &cases))?);
        return Ok(ExitCode::SUCCESS);
    }
    let to = inquiry::contact(&alert.labels, config.policy.explain.as_ref(), &lists).unwrap_or_default();
    let due = alert.inquiry.as_ref().and_then(|letter| letter.due.as_deref()).unwrap_or("–");
    println!(
        "{}",
        say!(
            "the letter goes out to {to}, within a second if the daemon runs; the answer is due on {due}",
            to = line(&to, 100),
            due
        )
    );
    Ok(ExitCode::SUCCESS)
}

fn done(alert: Alert, json: bool, (config, cases): (&Config, &Cases)) -> anyhow::Result<String> {
    if json {
        return Ok(serde_json::to_string(&unasked(config).alert(alert, cases, &config.calendar)?)?);
    }
    let Alert { alert_id, version, .. } = &alert;
    let (state, title) = (Cell::word(alert.state.word(), alert.state.zh()), line(&alert.title, 100));
    if let Some(review) = &alert.case.review {
        return Ok(say!(
            "{alert_id} waits for a second officer, version {version}: {proposed} ({title})",
            alert_id,
            version,
            proposed = review.action.shown(),
            title
        ));
    }
    Ok(say!(
        "{alert_id} is {state}, version {version}: {title}",
        alert_id,
        state = state.shown(),
        version,
        title
    ))
}
