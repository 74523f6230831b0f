//! `fiscwatch alerts close|assign|hand-over|due|merge`

use std::{process::ExitCode, sync::Arc};

use clap::Args;

use super::{ActArgs, act};
use crate::{
    access::Action as Permit,
    alert::{Action, Desk, Outcome, casework::Terms},
    cli::{
        ConfigArg,
        officer::{Officer, now, wrong_usage},
    },
    http::casework::{cents, day},
    say,
    store::{Cases, HandOver},
};

#[derive(Debug, Args)]
pub struct CloseArgs {
    /// What came of it: money_returned, documents_supplied, budget_adjusted, handed_to_audit, handed_to_discipline or no_fault
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<Outcome>,
    /// The outcome's amount in yuan; money_returned needs it
    #[arg(long, value_name = "YUAN")]
    amount: Option<String>,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Debug, Args)]
pub struct AssignArgs {
    /// Who is to have them; - for nobody
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    to: String,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Debug, Args)]
pub struct DueArgs {
    /// The last day, such as 2026-03-01
    #[arg(long, value_name = "DAY")]
    on: String,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The alert that goes on with them: its id, or its beginning
    #[arg(long, value_name = "ID")]
    into: String,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Debug, Args)]
pub struct HandOverArgs {
    /// Whose alerts
    #[arg(long, value_name = "NAME")]
    from: String,
    /// To whom; - for nobody
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    to: String,
    /// What the next shift has to know, for the history
    #[arg(long)]
    why: Option<String>,
    #[command(flatten)]
    officer: Officer,
    #[command(flatten)]
    config: ConfigArg,
}

pub fn close(args: &CloseArgs) -> anyhow::Result<ExitCode> {
    let amount = match args.amount.as_deref().map(cents).transpose() {
        Ok(amount) => amount,
        Err(message) => return Ok(wrong_usage(&message)),
    };
    act(&args.act, Action::Close, Terms { outcome: args.outcome, amount, ..Terms::default() })
}

pub fn assign(args: &AssignArgs) -> anyhow::Result<ExitCode> {
    act(&args.act, Action::Assign, Terms { to: Some(args.to.clone()), ..Terms::default() })
}

pub fn due(args: &DueArgs) -> anyhow::Result<ExitCode> {
    match day(&args.on) {
        Ok(day) => act(&args.act, Action::Postpone, Terms { due: Some(day), ..Terms::default() }),
        Err(message) => Ok(wrong_usage(&message)),
    }
}

pub fn merge(args: &MergeArgs) -> anyhow::Result<ExitCode> {
    act(&args.act, Action::Merge, Terms { into: Some(args.into.clone()), ..Terms::default() })
}

pub fn hand_over(args: &HandOverArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Permit::WorkAlerts)?;
    let actor = args.officer.actor(&config)?;
    let who = actor.who.clone();
    let mut cases = Cases::open(&config.state_dir)?.by(actor);
    let desk = Desk::new(Arc::clone(&config.policy));
    let shift = HandOver { from: args.from.clone(), to: args.to.clone(), who, why: args.why.clone() };
    let alerts = cases.hand_over(&shift, &desk, now())?;
    println!("{}", say!("{alerts} alerts were handed over to {to}", alerts, to = shift.to));
    Ok(ExitCode::SUCCESS)
}
