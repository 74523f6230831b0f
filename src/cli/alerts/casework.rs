//! `fiscwatch alerts close|assign|hand-over|due|merge`, and what `alerts show` tells of a case.

use std::{process::ExitCode, sync::Arc};

use clap::Args;

use super::{ActArgs, act, remote};
use crate::{
    access::{Action as Permit, LimitScope},
    alert::{Action, CaseOutcome, ChangeFacts, Desk, casework::Terms},
    cli::{
        ConfigArg,
        local::permit,
        officer::{Officer, now, wrong_usage},
        problems,
        socket::Socket,
        table::{Cell, FactSheet},
    },
    config::Config,
    http::{
        casework::{cents, day},
        view::{AlertView, ChangeView},
    },
    say,
    store::{Cases, HandOver},
};

#[derive(Debug, Args)]
// What stands here is shown by `--help`.
#[allow(clippy::doc_markdown)]
pub(crate) struct CloseArgs {
    /// What came of it: money_returned, documents_supplied, budget_adjusted, handed_to_audit, handed_to_discipline or no_fault
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<CaseOutcome>,
    /// The outcome's amount in yuan; money_returned needs it
    #[arg(long, value_name = "YUAN")]
    amount: Option<String>,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AssignArgs {
    /// Who is to have them; - for nobody
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    to: String,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DueArgs {
    /// The last day, such as 2026-03-01
    #[arg(long, value_name = "DAY")]
    on: String,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// The alert that goes on with them: its id, or its beginning
    #[arg(long, value_name = "ID")]
    into: String,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HandOverArgs {
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

/// What is known of an alert as a case.
pub(crate) fn facts(alert: &AlertView, sheet: &mut FactSheet) {
    let mut add = |name: String, value: Option<String>| {
        if let Some(value) = value {
            sheet.add(name, Cell::text(value));
        }
    };
    add(say!("amount"), alert.amount.clone());
    add(say!("last day"), alert.due.clone());
    let review = alert.review.as_ref();
    add(
        say!("second officer"),
        review.map(|review| {
            say!("to decide: {action}, proposed by {by}", action = review.action.shown(), by = review.by)
        }),
    );
    add(say!("what came of it"), alert.outcome.map(|outcome| outcome.shown().to_owned()));
    add(say!("amount of the outcome"), alert.outcome_amount.clone());
    add(say!("merged into"), alert.merged_into.clone());
    add(say!("merged"), Some(alert.merged.join(" ")).filter(|merged| !merged.is_empty()));
}

/// What a change says beside who did it: its facts, and why.
pub(crate) fn words(change: &ChangeView) -> Option<String> {
    let ChangeFacts { from: _, to, due, proposed, proposed_by, outcome, amount, alert, mentions: _, files } =
        &change.facts;
    let given = (change.action == Action::Assign).then(|| match to {
        Some(to) => say!("to {to}", to),
        None => say!("put back"),
    });
    let parts = [
        given,
        due.clone(),
        proposed.map(|action| action.shown().to_owned()),
        proposed_by.as_ref().map(|by| say!("proposed by {by}", by)),
        outcome.map(|outcome| outcome.shown().to_owned()),
        amount.clone(),
        alert.clone(),
        change.why.clone(),
        Some(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", "))
            .filter(|names| !names.is_empty()),
    ];
    let said: Vec<_> = parts.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(" · "))
}

pub(crate) fn close(args: &CloseArgs) -> anyhow::Result<ExitCode> {
    let amount = match args.amount.as_deref().map(cents).transpose() {
        Ok(amount) => amount,
        Err(message) => return Ok(wrong_usage(&message)),
    };
    act(&args.act, Action::Close, Terms { outcome: args.outcome, amount, ..Terms::default() })
}

pub(crate) fn assign(args: &AssignArgs) -> anyhow::Result<ExitCode> {
    act(&args.act, Action::Assign, Terms { to: Some(args.to.clone()), ..Terms::default() })
}

pub(crate) fn due(args: &DueArgs) -> anyhow::Result<ExitCode> {
    match day(&args.on) {
        Ok(day) => act(&args.act, Action::Postpone, Terms { due: Some(day), ..Terms::default() }),
        Err(message) => Ok(wrong_usage(&message)),
    }
}

pub(crate) fn merge(args: &MergeArgs) -> anyhow::Result<ExitCode> {
    act(&args.act, Action::Merge, Terms { into: Some(args.into.clone()), ..Terms::default() })
}

/// A desk that knows what people who are limited see.
pub(super) fn desk_with_people(config: &Config) -> anyhow::Result<Desk> {
    let scope = LimitScope { lists: config.read_lists().map_err(problems)?, ..LimitScope::default() };
    Ok(Desk { scope: Arc::new(scope), ..Desk::new(Arc::clone(&config.policy)) })
}

pub(crate) fn hand_over(args: &HandOverArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let HandOverArgs { from, to, why, .. } = args;
    let shift = |who| HandOver { from: from.clone(), to: to.clone(), who, why: why.clone() };
    let alerts = match Socket::of(&config)? {
        Some(socket) => {
            args.officer.name(&config)?;
            remote::hand_over(&socket, &shift(String::new()))?.to_string()
        }
        None => {
            permit(&config, Permit::WorkAlerts)?;
            let actor = args.officer.actor(&config)?;
            let shift = shift(actor.who.clone());
            let desk = desk_with_people(&config)?;
            Cases::open(&config.state_dir)?.by(actor).hand_over(&shift, &desk, now())?.to_string()
        }
    };
    println!("{}", say!("{alerts} alerts were handed over to {to}", alerts, to));
    Ok(ExitCode::SUCCESS)
}
